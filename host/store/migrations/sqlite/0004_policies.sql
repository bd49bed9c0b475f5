-- What operators said over the API of the host, of a tenant, of a plugin.
-- The PostgreSQL folder beside this one says the same: change both or neither.

create table policies (
    -- Empty: of no tenant.
    tenant_id text not null,
    -- Empty: of no plugin. Neither tenant nor plugin: of the host.
    plugin_id text not null,
    -- A JSON object, as the operator wrote it.
    document text not null,
    updated_at integer not null,
    updated_by text,
    constraint policies_key primary key (tenant_id, plugin_id)
) strict, without rowid;
