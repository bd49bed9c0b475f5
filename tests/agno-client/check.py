#!/usr/bin/env python3
"""Drives a running host with Agno's own Python client and checks what comes back.

    check.py BASE [--token TOKEN] [--workflow ID] [--echo] [--media] [--isolated] [--no-continue]

Only `agno.client.AgentOSClient` and `agno.workflow.remote.RemoteWorkflow` (agno[os]==3.1.10) speak to the host: what
they cannot parse, a user of that client cannot use. The host must serve the workflows `content-pipeline` (a factory:
two agents), `pipeline` (a factory with the schema `include_research: bool`), `guarded-pipeline` (a factory that wants
the scope `workflows:run`) and `prototype` (no factory), and its model must repeat its input in its answer.

  --token      sent as a bearer token with every call that can carry one
  --workflow   the workflow for the general checks, `content-pipeline` by default
  --echo       the host also serves `echo`, whose single step returns the message as it is
  --media      the host takes images, which are sent to `prototype`
  --isolated   the host keeps users apart, so that it refuses a cancel without a session
  --no-continue  the host can neither continue nor cancel a run, as Stepmill cannot yet: those routes are not there

Ends at the first failed check, with status 1. The last line counts: `N passed, 0 failed`.
"""

import argparse
import asyncio
import base64
import json
import socket
import sys
import time
import uuid

import httpx
from agno.client import AgentOSClient
from agno.db.base import SessionType
from agno.exceptions import RemoteServerUnavailableError
from agno.media import Image
from agno.workflow.remote import RemoteWorkflow
from pydantic import ValidationError

WORKFLOW = SessionType.WORKFLOW
REQUIRED = {"content-pipeline": True, "pipeline": True, "guarded-pipeline": True, "prototype": False}
ODD_TEXT = 'Grüße, 世界 😀\nsecond line\twith a tab, "quotes" & a%20percent + a plus'


class Failed(Exception):
    """A check that did not hold: the run ends here."""


class Checks:
    """Counts the checks and says each in a line."""

    def __init__(self):
        self.passed = 0

    def that(self, holds, what, found=None):
        """Demands `holds`; `found` explains what was there instead."""
        if not holds:
            raise Failed(what if found is None else f"{what}: found {found!r}")
        self.passed += 1
        print(f"ok {self.passed:3} - {what}", flush=True)

    def equal(self, found, wanted, what):
        """Demands that two values are equal, and shows both if they are not."""
        if found != wanted:
            raise Failed(f"{what}: wanted {wanted!r}, found {found!r}")
        self.that(True, what)


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


async def refused(checks, call, status, what, detail=None):
    """Demands that `call` raises the client's HTTP error with that status, and its detail if one is wanted."""
    try:
        answer = await call
    except httpx.HTTPStatusError as error:
        checks.equal(error.response.status_code, status, f"{what} is refused with {status}")
        if detail is not None:
            found = error.response.json().get("detail")
            holds = found.startswith(detail) if isinstance(found, str) else False
            checks.that(holds, f"{what} says {detail!r}", found)
        return
    raise Failed(f"{what}: nothing was raised, the answer was {answer!r}")


async def raises(checks, call, kind, what):
    """Demands that `call` raises exactly this kind of exception."""
    try:
        answer = await call
    except kind as error:
        checks.that(type(error) is kind, f"{what} raises {kind.__name__}", type(error).__name__)
        return error
    raise Failed(f"{what}: nothing was raised, the answer was {answer!r}")


# ---------------------------------------------------------------------------------------------------------- discovery


async def check_config(checks, s):
    config = await s.client.aget_config(headers=s.headers)
    again = s.client.get_config(headers=s.headers)
    listed = await s.client.list_workflows(headers=s.headers)
    checks.that(bool(config.os_id), "the configuration names the host")
    checks.equal(again.os_id, config.os_id, "both ways of getting the configuration agree")
    checks.that(len(config.databases) >= 1, "the configuration lists a database", config.databases)
    checks.that(config.session is not None and len(config.session.dbs) >= 1, "the configuration tells where sessions are")
    checks.equal(
        [one.id for one in config.workflows],
        [one.id for one in listed],
        "the configuration and the list hold the same workflows in the same order",
    )


async def check_list(checks, s):
    listed = {one.id: one for one in await s.client.list_workflows(headers=s.headers)}
    for name, factory in REQUIRED.items():
        checks.that(name in listed, f"{name} is listed", sorted(listed))
        checks.equal(listed[name].is_factory, factory, f"{name} is {'a' if factory else 'no'} factory")
    checks.that(s.workflow in listed, f"{s.workflow} is listed", sorted(listed))
    databases = {one.db_id for one in listed.values()} - {None}
    config = await s.client.aget_config(headers=s.headers)
    checks.that(databases <= set(config.databases), "each workflow's database is in the configuration", databases)
    schema = listed["pipeline"].factory_input_schema or {}
    field = schema.get("properties", {}).get("include_research", {})
    checks.equal(field.get("type"), "boolean", "the list shows the schema of pipeline's input")
    checks.equal(listed["content-pipeline"].factory_input_schema, None, "a factory without a schema shows none")


async def check_details(checks, s):
    listed = {one.id: one for one in await s.client.list_workflows(headers=s.headers)}
    for name in dict.fromkeys([*REQUIRED, s.workflow]):
        detail = await s.client.aget_workflow(name, headers=s.headers)
        summary = listed[name]
        checks.equal(
            (detail.id, detail.name, detail.description, detail.db_id, detail.is_factory),
            (summary.id, summary.name, summary.description, summary.db_id, summary.is_factory),
            f"the detail of {name} agrees with the list",
        )
    detail = s.client.get_workflow("prototype", headers=s.headers)
    checks.that(len(detail.steps or []) >= 1, "the detail of prototype shows its steps", detail.steps)
    detail = s.client.get_workflow("pipeline", headers=s.headers)
    checks.equal(detail.steps, None, "the detail of a factory shows no steps")
    checks.equal(detail.factory_input_schema, listed["pipeline"].factory_input_schema, "the detail shows the schema")
    unknown = s.client.aget_workflow(f"unknown-{s.mark}", headers=s.headers)
    await refused(checks, unknown, 404, "an unknown workflow", "Workflow not found")


# --------------------------------------------------------------------------------------------------------------- runs


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


# -------------------------------------------------------------------------------------------------- reading runs back


async def check_run_list(checks, s, session, first, second):
    runs = await s.client.get_session_runs(session, headers=s.headers)
    checks.equal([run.run_id for run in runs], [first.run_id, second.run_id], "a session lists its runs, oldest first")
    typed = await s.client.get_session_runs(session, session_type=WORKFLOW, headers=s.headers)
    checks.equal([run.run_id for run in typed], [first.run_id, second.run_id], "the type does not change the list")
    stored = runs[0]
    checks.equal(
        (stored.run_input, stored.content, stored.status, stored.workflow_id, stored.user_id),
        (first.input, first.content, "COMPLETED", s.workflow, s.user),
        "a listed run holds what the answer held",
    )
    checks.equal([step["step_name"] for step in stored.step_results], step_names(first), "a listed run has its steps")
    checks.equal(int(stored.created_at.timestamp()), first.created_at, "a listed run tells when it was made")


async def check_run_filters(checks, s, session, first, second):
    def listed(**more):
        return s.client.get_session_runs(session, headers=s.headers, **more)

    both = [first.run_id, second.run_id]
    checks.equal([run.run_id for run in await listed(status=["completed"])], both, "status completed finds both")
    checks.equal([run.run_id for run in await listed(status=["ERROR", "COMPLETED"])], both, "of two, either counts")
    checks.equal(await listed(status=["error"]), [], "status error finds none")
    await refused(checks, listed(status=["nonsense"]), 400, "an unknown status", "Invalid status value(s) ['NONSENSE']")
    checks.equal(await listed(created_after=int(time.time()) + 3600), [], "no run is from the future")
    checks.equal(len(await listed(created_after=first.created_at)), 2, "the bound itself belongs to it")
    checks.equal(await listed(created_before=first.created_at - 1), [], "no run is older than the first")
    unknown = s.client.get_session_runs(s.new_session("none"), headers=s.headers)
    await refused(checks, unknown, 404, "the runs of an unknown session", "Session with ID ")


async def check_one_run(checks, s, session, first, other):
    run = await s.client.get_session_run(session, first.run_id, headers=s.headers)
    checks.equal((run.run_id, run.content), (first.run_id, first.content), "a run is read back by its id")
    again = await s.client.get_session_run(session, first.run_id, session_type=WORKFLOW, headers=s.headers)
    checks.equal(again.run_id, first.run_id, "and with the session's type")
    missing = str(uuid.uuid4())
    call = s.client.get_session_run(session, missing, headers=s.headers)
    await refused(checks, call, 404, "an unknown run", f"Run with ID {missing} not found in session {session}")
    call = s.client.get_session_run(other, first.run_id, headers=s.headers)
    await refused(checks, call, 404, "a run in the wrong session", f"Run with ID {first.run_id} not found")
    none = s.new_session("none")
    call = s.client.get_session_run(none, first.run_id, headers=s.headers)
    await refused(checks, call, 404, "a run in an unknown session", f"Session with ID {none} not found")


async def check_previews(checks, s, session, first, second):
    previews = await s.client.aget_session_run_previews(session, headers=s.headers)
    checks.equal([one.run_id for one in previews], [first.run_id, second.run_id], "the previews list both runs")
    checks.equal(previews[0].run_input, first.input[:280], "a preview shows the input")
    checks.equal(previews[0].content_preview, first.content[:280], "a preview shows the start of the answer")
    blocking = s.client.get_session_run_previews(session, headers=s.headers)
    checks.equal([one.run_id for one in blocking], [first.run_id, second.run_id], "the blocking call sees the same")
    none = await s.client.aget_session_run_previews(session, status=["error"], headers=s.headers)
    checks.equal(none, [], "previews can be filtered")


# ----------------------------------------------------------------------------------------------------------- sessions


async def check_session_create(checks, s):
    session = s.new_session("made")
    made = await s.client.create_session(
        WORKFLOW,
        session_id=session,
        user_id=s.user,
        session_name=f"Made by hand {s.mark}",
        session_state={"count": 1, "deep": {"a": 1}},
        metadata={"origin": "check"},
        workflow_id=s.workflow,
        headers=s.headers,
    )
    checks.equal(
        (made.session_id, made.session_name, made.user_id, made.workflow_id),
        (session, f"Made by hand {s.mark}", s.user, s.workflow),
        "a session is made as asked",
    )
    checks.equal(made.session_state, {"count": 1, "deep": {"a": 1}}, "a made session holds its state")
    checks.equal(made.metadata, {"origin": "check"}, "a made session holds its metadata")
    again = s.client.create_session(WORKFLOW, session_id=session, workflow_id=s.workflow, headers=s.headers)
    await refused(checks, again, 409, "a session id that is taken", f"Session with id '{session}' already exists.")
    own = await s.client.create_session(WORKFLOW, user_id=s.user, workflow_id=s.workflow, headers=s.headers)
    checks.that(is_uuid(own.session_id), "a session without an id gets a UUID", own.session_id)
    checks.equal(own.session_name, "", "a session without a name and runs is nameless")
    runs = await s.client.get_session_runs(session, headers=s.headers)
    checks.equal(runs, [], "a made session has no runs")
    return session, own.session_id


async def check_session_get(checks, s, session):
    by_type = await s.client.get_session(session, session_type=WORKFLOW, headers=s.headers)
    by_guess = await s.client.get_session(session, headers=s.headers)
    checks.equal(by_guess, by_type, "a session is found with its type and without")
    checks.equal(by_type.session_id, session, "the session is the one asked for")
    none = s.new_session("none")
    call = s.client.get_session(none, session_type=WORKFLOW, headers=s.headers)
    await refused(checks, call, 404, "an unknown session", f"Workflow Session with id '{none}' not found")
    call = s.client.get_session(none, headers=s.headers)
    await refused(checks, call, 404, "an unknown session of any type", f"Session with id '{none}' not found")
    call = s.client.get_session(session, db_id=f"none-{s.mark}", headers=s.headers)
    await refused(checks, call, 404, "an unknown database", f"No database found with id 'none-{s.mark}'")
    detail = await s.client.aget_workflow(s.workflow, headers=s.headers)
    known = await s.client.get_session(session, db_id=detail.db_id, headers=s.headers)
    checks.equal(known.session_id, session, "the workflow's database holds the session")


async def check_session_of_run(checks, s, session):
    """The session of a run that nobody made before."""
    found = await s.client.get_session(session, session_type=WORKFLOW, headers=s.headers)
    checks.equal(
        (found.workflow_id, found.user_id), (s.workflow, s.user), "a run makes a session of its workflow and user"
    )
    checks.equal(found.session_name, "a message about the sea", "a session is called after its first input")
    steps = [step["name"] for step in found.workflow_data["steps"]]
    run = (await s.client.get_session_runs(session, headers=s.headers))[0]
    checks.equal(steps, [step["step_name"] for step in run.step_results], "a session describes its workflow")


async def check_state(checks, s, session):
    """State and metadata: what a run is given, on top of what the session has."""
    run = await s.run(
        s.workflow, "with state", session_id=session, session_state={"deep": {"b": 2}}, metadata={"call": "one"}
    )
    checks.equal(run.metadata, {"origin": "check", "call": "one"}, "a run joins its session's metadata and its own")
    found = await s.client.get_session(session, session_type=WORKFLOW, headers=s.headers)
    checks.equal(
        found.session_state, {"count": 1, "deep": {"a": 1, "b": 2}}, "a run's state is laid over the session's"
    )
    checks.equal(found.metadata, {"origin": "check"}, "a run's metadata stays its own")
    checks.equal(found.session_name, f"Made by hand {s.mark}", "a run leaves the session's name alone")
    bad = s.run(s.workflow, "x", session_id=session, metadata="[1]")
    await refused(checks, bad, 400, "metadata that is a list", "Invalid metadata parameter: expected a JSON object")


async def check_session_list(checks, s, sessions):
    def page(**more):
        return s.client.get_sessions(session_type=WORKFLOW, headers=s.headers, **more)

    mine = await page(user_id=s.user, component_id=s.workflow, limit=100)
    ids = [one.session_id for one in mine.data]
    checks.that(set(sessions) <= set(ids), "the list holds the sessions of this check", ids)
    checks.that(all(one.user_id == s.user for one in mine.data), "the list holds this user's sessions only")
    checks.that(all(one.workflow_id == s.workflow for one in mine.data), "the list holds this workflow's only")
    one, two = await page(user_id=s.user, limit=1, page=1), await page(user_id=s.user, limit=1, page=2)
    checks.equal((len(one.data), len(two.data)), (1, 1), "a page is as long as asked")
    checks.that(one.data[0].session_id != two.data[0].session_id, "the second page is another")
    checks.equal((one.meta.page, one.meta.limit, two.meta.page), (1, 1, 2), "a page tells its number and length")
    checks.equal(one.meta.total_pages, one.meta.total_count, "with one a page there are as many pages as sessions")
    beyond = await page(user_id=s.user, limit=1, page=one.meta.total_pages + 1)
    checks.equal((beyond.data, beyond.meta.total_count), ([], one.meta.total_count), "behind the last page is nothing")
    named = await page(session_name=f"by hand {s.mark}")
    checks.equal([one.session_id for one in named.data], sessions[:1], "a part of its name finds a session")
    rising = await page(user_id=s.user, sort_order="asc", limit=100)
    times = [one.created_at for one in rising.data]
    checks.that(len(times) >= 2 and times == sorted(times), "the list can start with the oldest", times)
    none = await page(component_id=f"none-{s.mark}")
    checks.equal((none.data, none.meta.total_count), ([], 0), "an unknown workflow has no sessions")
    await refused(checks, page(sort_order="up"), 422, "an unknown order")
    await refused(checks, page(limit=0), 422, "a page without a length")


async def check_session_change(checks, s, session):
    renamed = await s.client.rename_session(session, f"Renamed {s.mark}", headers=s.headers)
    checks.equal(renamed.session_name, f"Renamed {s.mark}", "a session is renamed")
    found = await s.client.get_session(session, headers=s.headers)
    checks.equal(found.session_name, f"Renamed {s.mark}", "the new name is stored")
    none = s.new_session("none")
    call = s.client.rename_session(none, "x", session_type=WORKFLOW, headers=s.headers)
    await refused(checks, call, 404, "renaming an unknown session", f"Session with id '{none}' not found")

    changed = await s.client.update_session(
        session, session_type=WORKFLOW, session_state={"only": True}, metadata={"origin": "update"}, headers=s.headers
    )
    checks.equal(
        (changed.session_name, changed.session_state, changed.metadata),
        (f"Renamed {s.mark}", {"only": True}, {"origin": "update"}),
        "an update replaces what it names and leaves the rest",
    )
    changed = await s.client.update_session(session, session_name=f"Updated {s.mark}", headers=s.headers)
    checks.equal(
        (changed.session_name, changed.session_state),
        (f"Updated {s.mark}", {"only": True}),
        "an update can change the name alone",
    )
    found = await s.client.get_session(session, session_type=WORKFLOW, headers=s.headers)
    checks.equal(
        (found.session_name, found.session_state, found.metadata),
        (f"Updated {s.mark}", {"only": True}, {"origin": "update"}),
        "the update is stored",
    )
    call = s.client.update_session(none, session_type=WORKFLOW, session_name="x", headers=s.headers)
    await refused(checks, call, 404, "updating an unknown session", f"Session with id '{none}' not found")


async def check_session_delete(checks, s, made, others):
    await s.client.delete_session(made, headers=s.headers)
    call = s.client.get_session(made, session_type=WORKFLOW, headers=s.headers)
    await refused(checks, call, 404, "a deleted session", f"Workflow Session with id '{made}' not found")
    call = s.client.get_session_runs(made, headers=s.headers)
    await refused(checks, call, 404, "the runs of a deleted session")
    again = await s.client.delete_session(made, headers=s.headers)
    checks.equal(again, None, "deleting twice is no error")

    stays = s.client.delete_sessions(others, [WORKFLOW] * (len(others) + 1), headers=s.headers)
    text = "Session IDs and session types must have the same length"
    await refused(checks, stays, 400, "deleting with a type too many", text)
    await raises(checks, s.client.delete_sessions([], [], headers=s.headers), ValidationError, "deleting nothing")
    kept = await s.client.get_session(others[0], headers=s.headers)
    checks.equal(kept.session_id, others[0], "a refused deletion deletes nothing")
    await s.client.delete_sessions(others, [WORKFLOW] * len(others), headers=s.headers)
    for session in others:
        call = s.client.get_session(session, session_type=WORKFLOW, headers=s.headers)
        await refused(checks, call, 404, "each session deleted with others")
    left = await s.client.get_sessions(user_id=s.user, component_id=s.workflow, limit=100, headers=s.headers)
    ids = {one.session_id for one in left.data}
    checks.equal(ids & {made, *others}, set(), "the list holds no deleted session")


# ------------------------------------------------------------------------------------------------ continue and cancel


async def check_continue(checks, s, session, run):
    call = s.client.continue_workflow_run(s.workflow, run.run_id, [], session_id=session, headers=s.headers)
    if not s.continues:
        await refused(checks, call, 404, "continuing a run", "Not Found")
        return
    await refused(checks, call, 409, "continuing a run that is complete", "run is already completed")
    missing = str(uuid.uuid4())
    call = s.client.continue_workflow_run(s.workflow, missing, [], session_id=session, headers=s.headers)
    await refused(checks, call, 404, "continuing an unknown run", "Run not found")


async def check_cancel(checks, s, run):
    """The client cannot name the session, which a host that keeps users apart demands."""
    call = s.client.cancel_workflow_run(s.workflow, run.run_id, headers=s.headers)
    if not s.continues:
        await refused(checks, call, 404, "cancelling a run", "Not Found")
        return
    if s.isolated:
        await refused(checks, call, 400, "cancelling without a session", "session_id is required for this action")
    else:
        checks.equal(await call, None, "cancelling a run that is complete is no error")
    stored = await s.client.get_session_run(run.session_id, run.run_id, headers=s.headers)
    checks.equal(stored.status, "COMPLETED", "and changes nothing")
    call = s.client.cancel_workflow_run(f"unknown-{s.mark}", run.run_id, headers=s.headers)
    await refused(checks, call, 404, "cancelling in an unknown workflow", "Workflow not found")


# ----------------------------------------------------------------------------------------------------- RemoteWorkflow


async def check_remote_metadata(checks, s):
    """These calls carry no token, so a host that wants one must refuse them."""
    remote = RemoteWorkflow(s.base, s.workflow, timeout=60)
    checks.equal(remote.id, s.workflow, "a remote workflow knows its id")
    if s.token:
        await refused(checks, remote.get_workflow_config(), 401, "a remote workflow's description without a token")
        return
    detail = await s.client.aget_workflow(s.workflow)
    fresh, refreshed = await remote.get_workflow_config(), await remote.refresh_config()
    checks.equal((fresh, refreshed), (detail, detail), "a remote workflow describes itself")
    checks.equal((remote.name, remote.description), (detail.name, detail.description), "and tells name and description")
    checks.equal(remote.db.id, detail.db_id, "and its database")
    found = await remote.db.get_sessions(component_id=s.workflow, user_id=s.user)
    checks.that(found.meta.total_count >= 1, "whose sessions it lists", found.meta)


async def check_remote_runs(checks, s):
    remote = RemoteWorkflow(s.base, s.workflow, timeout=60)
    session = s.new_session("remote")
    run = await remote.arun("from afar", user_id=s.user, session_id=session, auth_token=s.token)
    check_run_object(checks, s, run, s.workflow, "from afar", "a remote run")
    stream = remote.arun("from afar", user_id=s.user, session_id=session, stream=True, auth_token=s.token)
    events = [event async for event in stream]
    checks.equal(events[-1].event, "WorkflowCompleted", "a remote stream completes")
    checks.equal(events[-1].content, run.content, "a remote stream answers the same")
    runs = await s.client.get_session_runs(session, headers=s.headers)
    checks.equal([one.run_id for one in runs], [run.run_id, events[-1].run_id], "both remote runs are stored")
    pipeline = RemoteWorkflow(s.base, "pipeline", timeout=60)
    given = await pipeline.arun("m", user_id=s.user, factory_input={"include_research": True}, auth_token=s.token)
    checks.equal(step_names(given), ["research", "draft", "edit"], "a remote run passes the factory's input")

    cancelled = await remote.acancel_run(run.run_id, auth_token=s.token)
    checks.equal(cancelled, s.continues and not s.isolated, "cancelling a remote run says whether it could")
    call = remote.acontinue_run(run, auth_token=s.token)
    if s.continues:
        await refused(checks, call, 409, "continuing a remote run that is complete", "run is already completed")
    else:
        await refused(checks, call, 404, "continuing a remote run", "Not Found")
    await raises(checks, remote.acontinue_run(auth_token=s.token), ValueError, "continuing no run")
    unknown = RemoteWorkflow(s.base, f"unknown-{s.mark}", timeout=60)
    await refused(checks, unknown.arun("x", auth_token=s.token), 404, "a remote run of an unknown workflow")
    return session


async def check_no_server(checks):
    """A port that was free a moment ago: nobody listens there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    client = AgentOSClient(f"http://127.0.0.1:{port}", timeout=5)
    await raises(checks, client.list_workflows(), RemoteServerUnavailableError, "a call to nobody")


async def check_token(checks, s):
    """Without the token nothing may be seen."""
    await refused(checks, s.client.list_workflows(), 401, "the list without a token")
    bad = {"Authorization": "Bearer not-a-token"}
    await refused(checks, s.client.list_workflows(headers=bad), 401, "the list with a bad token")
    await refused(checks, s.client.run_workflow(s.workflow, "x"), 401, "a run without a token")


async def check_all(checks, options):
    s = Setting(options)
    if s.token:
        await check_token(checks, s)
    await check_no_server(checks)
    await check_config(checks, s)
    await check_list(checks, s)
    await check_details(checks, s)
    session, first, second = await check_runs(checks, s)
    await check_stream(checks, s)
    await check_quiet_stream(checks, s)
    await check_prototype(checks, s)
    await check_factory_input(checks, s)
    await check_bad_factory_input(checks, s)
    await check_guarded(checks, s)
    if options.echo:
        await check_echo(checks, s)
    if options.media:
        await check_media(checks, s)
    made, own = await check_session_create(checks, s)
    await check_session_get(checks, s, made)
    await check_session_of_run(checks, s, session)
    await check_state(checks, s, made)
    await check_run_list(checks, s, session, first, second)
    await check_run_filters(checks, s, session, first, second)
    await check_one_run(checks, s, session, first, made)
    await check_previews(checks, s, session, first, second)
    await check_session_list(checks, s, [made, session])
    await check_session_change(checks, s, made)
    await check_continue(checks, s, session, first)
    await check_cancel(checks, s, first)
    await check_remote_metadata(checks, s)
    remote = await check_remote_runs(checks, s)
    await check_session_delete(checks, s, made, [own, session, remote])


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", metavar="BASE", help="where the host listens, such as http://127.0.0.1:7777")
    parser.add_argument("--token")
    parser.add_argument("--workflow", default="content-pipeline", metavar="ID")
    parser.add_argument("--echo", action="store_true")
    parser.add_argument("--media", action="store_true")
    parser.add_argument("--isolated", action="store_true")
    parser.add_argument("--no-continue", action="store_true")
    return parser.parse_args()


def main():
    options, checks = arguments(), Checks()
    try:
        asyncio.run(check_all(checks, options))
    except Failed as failure:
        print(f"FAILED - {failure}")
        print(f"{checks.passed} passed, 1 failed")
        return 1
    except Exception as error:  # The client could not read an answer, or the host went away: as bad as a wrong one.
        print(f"FAILED - the client raised {type(error).__name__}: {error}")
        print(f"{checks.passed} passed, 1 failed")
        return 1
    print(f"{checks.passed} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
