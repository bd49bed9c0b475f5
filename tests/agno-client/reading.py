"""Runs as they are read back."""

import time
import uuid

from checks import refused
from setting import WORKFLOW, step_names


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
