"""Runs: whole, streamed, and what a factory makes of its input."""

import time

from agno.media import Image

from checks import refused
from setting import ODD_TEXT, is_uuid, status_of, step_names


def check_run_object(checks, s, run, workflow, message, what):
    """What every whole answer holds, whatever the workflow."""
    checks.equal(status_of(run), "COMPLETED", f"{what} completes")
    checks.that(is_uuid(run.run_id), f"{what} has a UUID", run.run_id)
    checks.equal(run.workflow_id, workflow, f"{what} names its workflow")
    checks.equal(run.input, message, f"{what} repeats its input")
    checks.equal(run.content_type, "str", f"{what} holds text")
    checks.that(message in run.content, f"{what} answers the message", run.content)
    checks.that(abs(run.created_at - time.time()) < 300, f"{what} was made just now", run.created_at)
    checks.that(len(run.step_results) >= 1, f"{what} shows its steps")
    checks.that(run.metrics is not None and run.metrics.duration > 0, f"{what} took some time", run.metrics)
    # A key that is no JWT names nobody: then the host believes the form.
    checks.equal(run.user_id, s.user, f"{what} belongs to its user")


async def check_runs(checks, s):
    session = s.new_session("runs")
    first = await s.run(s.workflow, "a message about the sea", session_id=session)
    check_run_object(checks, s, first, s.workflow, "a message about the sea", "a run")
    checks.equal(first.session_id, session, "a run is in the session that was asked for")
    second = await s.run(s.workflow, ODD_TEXT, session_id=session)
    checks.equal(second.input, ODD_TEXT, "a run keeps every character of its input")
    checks.that(second.run_id != first.run_id, "each run has its own id")
    alone = await s.run(s.workflow, "no session given")
    checks.that(is_uuid(alone.session_id), "a run without a session gets a new one", alone.session_id)
    await refused(checks, s.run(s.workflow, ""), 422, "an empty message")
    unknown = s.run(f"unknown-{s.mark}", "x")
    await refused(checks, unknown, 404, "a run of an unknown workflow", "Workflow not found")
    unknown = s.stream(f"unknown-{s.mark}", "x")
    await refused(checks, unknown, 404, "a streamed run of an unknown workflow")
    if s.subject is None:
        # With a token the host replaces the form's user, so nobody else can be played.
        foreign = s.run(s.workflow, "x", session_id=session, user_id=f"stranger-{s.mark}")
        await refused(checks, foreign, 404, "a run in another user's session", "Session not found")
    return session, first, second


def deltas_of(events):
    """The agents' text as it was streamed, by the agent's run."""
    texts = {}
    for event in events:
        if event.event == "RunContent" and event.content:
            texts[event.run_id] = texts.get(event.run_id, "") + event.content
    return list(texts.values())


async def check_stream(checks, s):
    session = s.new_session("stream")
    events = await s.stream(s.workflow, "streamed words", session_id=session)
    names = [event.event for event in events]
    checks.equal(names[0], "WorkflowStarted", "a stream begins with WorkflowStarted")
    checks.equal(names[-1], "WorkflowCompleted", "a stream ends with WorkflowCompleted")
    started, ended = events[0], events[-1]
    checks.that(is_uuid(started.run_id), "a stream tells the run's UUID", started.run_id)
    checks.equal(ended.run_id, started.run_id, "a stream keeps one run id")
    checks.equal(ended.session_id, session, "a stream is in the session that was asked for")
    checks.equal(started.workflow_id, s.workflow, "a stream names its workflow")
    begun = [event.step_name for event in events if event.event == "StepStarted"]
    finished = [event.step_name for event in events if event.event == "StepCompleted"]
    checks.that(len(begun) >= 1, "a stream starts a step", names)
    checks.equal(finished, begun, "each started step completes, in order")
    whole = await s.run(s.workflow, "streamed words")
    checks.equal(begun, step_names(whole), "the streamed steps are those of the whole answer")
    checks.equal(ended.content, whole.content, "the streamed answer is the whole answer")
    steps = [event.content for event in events if event.event == "StepCompleted"]
    checks.equal(ended.content, steps[-1], "the answer is the last step's")
    agents = [event.content for event in events if event.event == "RunCompleted"]
    checks.equal(deltas_of(events), agents, "each agent's pieces make up its answer")
    stored = await s.client.get_session_run(session, started.run_id, headers=s.headers)
    checks.equal(stored.content, ended.content, "a streamed run is stored")
    checks.that(len(stored.events or []) >= 2, "a streamed run keeps its events", stored.events)


async def check_quiet_stream(checks, s):
    events = await s.stream(s.workflow, "few events", stream_events=False)
    names = {event.event for event in events}
    checks.that("StepStarted" not in names, "a stream without events starts no step", sorted(names))
    checks.equal(events[0].event, "WorkflowStarted", "a stream without events still begins")
    checks.equal(events[-1].event, "WorkflowCompleted", "a stream without events still ends")
    checks.that("few events" in events[-1].content, "a stream without events still answers", events[-1].content)


async def check_prototype(checks, s):
    session = s.new_session("prototype")
    run = await s.run("prototype", "a plain workflow", session_id=session)
    check_run_object(checks, s, run, "prototype", "a plain workflow", "a run of a workflow that is no factory")
    detail = await s.client.aget_workflow("prototype", headers=s.headers)
    checks.equal(step_names(run), [step["name"] for step in detail.steps], "it runs the steps of its detail")
    events = await s.stream("prototype", "a plain workflow")
    checks.equal(events[-1].content, run.content, "streamed, it answers the same")


async def check_factory_input(checks, s):
    plain = await s.run("pipeline", "m")
    given = await s.run("pipeline", "m", factory_input={"include_research": True})
    denied = await s.run("pipeline", "m", factory_input={"include_research": False})
    lenient = await s.run("pipeline", "m", factory_input={"include_research": "yes", "unknown": 1})
    checks.equal(step_names(plain), ["draft", "edit"], "without input the factory takes the default")
    checks.equal(step_names(given), ["research", "draft", "edit"], "the input reaches the factory")
    checks.equal(step_names(denied), ["draft", "edit"], "the input can say no")
    checks.equal(step_names(lenient), ["research", "draft", "edit"], "a word for true is taken, an unknown key ignored")
    events = await s.stream("pipeline", "m", factory_input={"include_research": True})
    begun = [event.step_name for event in events if event.event == "StepStarted"]
    checks.equal(begun, ["research", "draft", "edit"], "the input reaches the factory of a stream")


async def check_bad_factory_input(checks, s):
    wrong = {"include_research": "maybe"}
    text = "factory_input validation failed: 1 validation error for"
    await refused(checks, s.run("pipeline", "m", factory_input=wrong), 400, "input of the wrong type", text)
    await refused(checks, s.stream("pipeline", "m", factory_input=wrong), 400, "a stream with input of the wrong type")
    text = (
        "factory_input must be valid JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
    )
    await refused(checks, s.run("pipeline", "m", factory_input="{bad"), 400, "malformed input", text)
    text = "factory_input must be a JSON object, got list"
    await refused(checks, s.run("pipeline", "m", factory_input="[1]"), 400, "input that is a list", text)
    text = "factory_input must be a JSON object, got int"
    await refused(checks, s.run("content-pipeline", "m", factory_input="7"), 400, "input that is a number", text)
    kept = await s.run("prototype", "m", factory_input="{bad")
    checks.equal(status_of(kept), "COMPLETED", "a workflow that is no factory ignores the input")


async def check_guarded(checks, s):
    if "workflows:run" in s.scopes:
        run = await s.run("guarded-pipeline", "let me in")
        checks.equal(status_of(run), "COMPLETED", "the scope opens guarded-pipeline")
        return
    text = "Missing 'workflows:run' scope"
    await refused(checks, s.run("guarded-pipeline", "let me in"), 403, "guarded-pipeline without its scope", text)
    await refused(checks, s.stream("guarded-pipeline", "let me in"), 403, "a stream of it without its scope")


async def check_echo(checks, s):
    for message in ("plain", ODD_TEXT, "  blanks around  "):
        run = await s.run("echo", message)
        checks.equal(run.content, message, f"echo returns {message!r}")
        events = await s.stream("echo", message)
        checks.equal(events[-1].content, message, f"echo streams {message!r}")


async def check_media(checks, s):
    address = "https://images.invalid/one.png"
    run = await s.run("prototype", "look", images=[Image(url=address, id="image-1")])
    shown = [image if isinstance(image, dict) else image.to_dict() for image in run.images or []]
    checks.equal([(one["id"], one["url"]) for one in shown], [("image-1", address)], "a run shows its images")
    bad = s.run("prototype", "look", input_files="{}")
    text = "Invalid input_files: expected a JSON array of objects"
    await refused(checks, bad, 422, "files that are no list", text)
