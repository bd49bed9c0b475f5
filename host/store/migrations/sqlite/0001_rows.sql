-- The rows of the house. Times are microseconds since 1970; JSON is text as the store wrote it.
-- The PostgreSQL folder beside this one says the same: change both or neither.

-- Conversations of one tenant. Runs belong to them.
create table sessions (
    tenant_id text not null,
    id text not null,
    -- Null: it belongs to nobody and is open to everybody in the tenant.
    user_id text,
    created_at integer not null,
    updated_at integer not null,
    constraint sessions_key primary key (tenant_id, id),
    constraint sessions_tenant check (tenant_id <> '')
) strict, without rowid;

-- One row per accepted run: everything it needs to go on, pinned, and where it stands.
create table runs (
    id text not null,
    tenant_id text not null,
    workflow_id text not null,
    session_id text not null,
    user_id text,
    -- `running`, `completed` or `failed`.
    status text not null,
    -- `streamed` or `quiet`.
    telling text not null,
    -- `plugin` or `declared`; a plugin's run pins the digest of its code.
    origin text not null,
    plugin_digest text,
    input text not null,
    context text not null,
    graph text not null,
    created_at integer not null,
    updated_at integer not null,
    constraint runs_key primary key (id),
    constraint runs_tenant_key unique (tenant_id, id),
    constraint runs_session foreign key (tenant_id, session_id) references sessions (tenant_id, id),
    constraint runs_status check (status in ('running', 'completed', 'failed')),
    constraint runs_telling check (telling in ('streamed', 'quiet')),
    constraint runs_origin check ((origin = 'plugin') = (plugin_digest is not null))
) strict;

create index runs_of_session on runs (tenant_id, session_id, workflow_id, created_at, id);
create index runs_unfinished on runs (created_at, id) where status = 'running';

-- The journal: what happened in a run, one fact a row, never changed.
create table events (
    tenant_id text not null,
    run_id text not null,
    sequence integer not null,
    at integer not null,
    -- The same word as in the body; here to leave out kinds without reading them.
    kind text not null,
    body text not null,
    constraint events_key primary key (tenant_id, run_id, sequence),
    constraint events_run foreign key (tenant_id, run_id) references runs (tenant_id, id)
) strict;

-- Code of plugins by its SHA-256. An empty tenant holds what the operator shares with all.
create table components (
    tenant_id text not null,
    digest text not null,
    bytes blob not null,
    constraint components_key primary key (tenant_id, digest)
) strict;

-- Uploaded plugins, one row for each id. An empty tenant: shared with all.
create table plugins (
    tenant_id text not null,
    id text not null,
    digest text not null,
    byte_count integer not null,
    description text not null,
    uploaded_at integer not null,
    uploaded_by text,
    created_at integer not null,
    constraint plugins_key primary key (tenant_id, id),
    constraint plugins_component foreign key (tenant_id, digest) references components (tenant_id, digest)
) strict;

create index plugins_of_component on plugins (tenant_id, digest);

-- What plugins keep for a tenant.
create table kv (
    tenant_id text not null,
    plugin_id text not null,
    key text not null,
    value blob not null,
    constraint kv_key primary key (tenant_id, plugin_id, key),
    constraint kv_tenant check (tenant_id <> '')
) strict;
