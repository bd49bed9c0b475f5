"""Sessions: made, read, listed, changed and deleted."""

from pydantic import ValidationError

from checks import raises, refused
from setting import WORKFLOW, is_uuid


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
