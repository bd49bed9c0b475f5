-- What operators said over the API of the host, of a tenant, of a plugin.
-- The SQLite folder beside this one says the same: change both or neither.

create table policies (
    tenant_id text collate "C" not null,
    plugin_id text collate "C" not null,
    document json not null,
    updated_at bigint not null,
    updated_by text collate "C",
    constraint policies_key primary key (tenant_id, plugin_id)
);
comment on table policies is 'What operators said over the API. Neither tenant nor plugin: of the host.';
comment on column policies.tenant_id is 'Empty: of no tenant.';
comment on column policies.plugin_id is 'Empty: of no plugin.';
comment on column policies.document is 'A JSON object, as the operator wrote it.';
