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
import sys

from checks import Checks, Failed, refused
from discovery import check_config, check_details, check_list
from going_on import check_cancel, check_continue
from reading import check_one_run, check_previews, check_run_filters, check_run_list
from remote import check_no_server, check_remote_metadata, check_remote_runs
from runs import (
    check_bad_factory_input,
    check_echo,
    check_factory_input,
    check_guarded,
    check_media,
    check_prototype,
    check_quiet_stream,
    check_runs,
    check_stream,
)
from sessions import (
    check_session_change,
    check_session_create,
    check_session_delete,
    check_session_get,
    check_session_list,
    check_session_of_run,
    check_state,
)
from setting import Setting


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
