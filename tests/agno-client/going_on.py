"""Runs that are continued or cancelled."""

import uuid

from checks import refused


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
