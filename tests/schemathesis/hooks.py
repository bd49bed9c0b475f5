"""What schemathesis cannot know of this host: how to write two kinds of values, and what is meant."""

import json
import os
from pathlib import Path

import schemathesis
from hypothesis import strategies as st

# A JSON object as text, as `factory_input` is sent.
objects = st.dictionaries(st.text(max_size=8), st.none() | st.booleans() | st.integers() | st.text(max_size=8), max_size=3)
schemathesis.openapi.format("json-object", objects.map(json.dumps))

# A component that is a plugin. Bytes that are none are what `negative` cases send.
component = Path(os.environ["STEPMILL_COMPONENT"]).read_bytes()
schemathesis.openapi.media_type("application/wasm", st.just(component))

# Forms carry text: what stands for yes and no, and an empty field, which is an absent one. Agno
# reads them so, and so does the host. The document says what should be sent.
LENIENT = {"", "true", "1", "yes", "on", "t", "y", "false", "0", "no", "off", "f", "n"}


@schemathesis.hook
def filter_failure(context, failure, case, response):
    if failure.code != "ST201" or not isinstance(case.body, dict):
        return True
    lenient = [it for it in ("stream", "background", "version") if str(case.body.get(it)).lower() in LENIENT]
    return not any(f"{it}:" in failure.message for it in lenient)


# A multipart header cannot carry control characters.
@schemathesis.hook
def filter_body(context, body):
    return not isinstance(body, dict) or all(it.isprintable() for it in body)
