"""What a host says of itself and of its workflows."""

from checks import refused
from setting import REQUIRED


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
