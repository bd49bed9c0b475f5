"""Who asks, with which client, under names that nobody else has; and how its answers are read."""

import base64
import json
import uuid

from agno.client import AgentOSClient
from agno.db.base import SessionType

REQUIRED = {"content-pipeline": True, "pipeline": True, "guarded-pipeline": True, "prototype": False}
ODD_TEXT = 'Grüße, 世界 😀\nsecond line\twith a tab, "quotes" & a%20percent + a plus'
WORKFLOW = SessionType.WORKFLOW


class Setting:
    """What every group of checks needs: the client, who is asking, and unique names."""

    def __init__(self, options):
        self.base = options.base.rstrip("/")
        self.token = options.token
        self.workflow = options.workflow
        self.isolated = options.isolated
        self.continues = not options.no_continue
        self.client = AgentOSClient(self.base, timeout=60)
        self.headers = {"Authorization": f"Bearer {options.token}"} if options.token else None
        claims = claims_of(options.token)
        self.subject = claims.get("sub")
        self.scopes = scopes_of(claims)
        # Ids of an earlier run of this script must not be met again, so they carry a mark.
        self.mark = uuid.uuid4().hex[:12]
        self.user = self.subject or f"user-{self.mark}"

    def new_session(self, name):
        return f"check-{name}-{self.mark}"

    def run(self, workflow, message, **more):
        """A run whose answer comes as a whole."""
        more.setdefault("user_id", self.user)
        return self.client.run_workflow(workflow, message, headers=self.headers, **more)

    async def stream(self, workflow, message, **more):
        """A streamed run: the list of its events."""
        more.setdefault("user_id", self.user)
        events = self.client.run_workflow_stream(workflow, message, headers=self.headers, **more)
        return [event async for event in events]


def claims_of(token):
    """The token's claims, unverified: they only tell what to expect. A token that is no JWT has none."""
    parts = (token or "").split(".")
    if len(parts) != 3:
        return {}
    payload = parts[1] + "=" * (-len(parts[1]) % 4)
    return json.loads(base64.urlsafe_b64decode(payload))


def scopes_of(claims):
    """A single string counts as one scope, as the host reads it."""
    scopes = claims.get("scopes", [])
    return [scopes] if isinstance(scopes, str) else scopes


def status_of(run):
    """The client hands out an enum or a text, depending on the path."""
    return getattr(run.status, "value", run.status)


def step_names(run):
    """The names of a run's steps. The client may leave a step as a dictionary."""
    return [step["step_name"] if isinstance(step, dict) else step.step_name for step in run.step_results]


def is_uuid(text):
    try:
        return str(uuid.UUID(text)) == text
    except (ValueError, AttributeError, TypeError):
        return False
