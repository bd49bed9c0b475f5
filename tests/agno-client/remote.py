"""`RemoteWorkflow`, Agno's other client."""

import socket

from agno.client import AgentOSClient
from agno.exceptions import RemoteServerUnavailableError
from agno.workflow.remote import RemoteWorkflow

from checks import raises, refused
from runs import check_run_object
from setting import step_names


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
