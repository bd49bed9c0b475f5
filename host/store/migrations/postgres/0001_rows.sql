-- The rows of the house. Times are microseconds since 1970. JSON is `json`, not `jsonb`: it keeps
-- the text as the store wrote it, so that numbers and the character U+0000 read back as in SQLite.
-- Ids sort by their bytes (collation "C"), as in SQLite.
-- The SQLite folder beside this one says the same: change both or neither.

create table sessions (
    tenant_id text collate "C" not null,
    id text collate "C" not null,
    user_id text collate "C",
    created_at bigint not null,
    updated_at bigint not null,
    constraint sessions_key primary key (tenant_id, id),
    constraint sessions_tenant check (tenant_id <> '')
);
comment on table sessions is 'Conversations of one tenant. Runs belong to them.';
comment on column sessions.user_id is 'Null: it belongs to nobody and is open to everybody in the tenant.';

create table runs (
    id text collate "C" not null,
    tenant_id text collate "C" not null,
    workflow_id text collate "C" not null,
    session_id text collate "C" not null,
    user_id text collate "C",
    status text not null,
    telling text not null,
    origin text not null,
    plugin_digest text collate "C",
    input json not null,
    context json not null,
    graph json not null,
    created_at bigint not null,
    updated_at bigint not null,
    constraint runs_key primary key (id),
    constraint runs_tenant_key unique (tenant_id, id),
    constraint runs_session foreign key (tenant_id, session_id) references sessions (tenant_id, id),
    constraint runs_status check (status in ('running', 'completed', 'failed')),
    constraint runs_telling check (telling in ('streamed', 'quiet')),
    constraint runs_origin check ((origin = 'plugin') = (plugin_digest is not null))
);
comment on table runs is 'One row per accepted run: everything it needs to go on, pinned, and where it stands.';
comment on column runs.plugin_digest is 'The code that drew the graph; null for a declared workflow.';

create index runs_of_session on runs (tenant_id, session_id, workflow_id, created_at, id);
create index runs_unfinished on runs (created_at, id) where status = 'running';

create table events (
    tenant_id text collate "C" not null,
    run_id text collate "C" not null,
    sequence bigint not null,
    at bigint not null,
    kind text not null,
    body json not null,
    constraint events_key primary key (tenant_id, run_id, sequence),
    constraint events_run foreign key (tenant_id, run_id) references runs (tenant_id, id)
);
comment on table events is 'The journal: what happened in a run, one fact a row, never changed.';
comment on column events.kind is 'The same word as in the body; here to leave out kinds without reading them.';

create table components (
    tenant_id text collate "C" not null,
    digest text collate "C" not null,
    bytes bytea not null,
    constraint components_key primary key (tenant_id, digest)
);
-- Code hardly gets smaller; do not try.
alter table components alter column bytes set storage external;
comment on table components is 'Code of plugins by its SHA-256. An empty tenant holds what the operator shares with all.';

create table plugins (
    tenant_id text collate "C" not null,
    id text collate "C" not null,
    digest text collate "C" not null,
    byte_count bigint not null,
    description json not null,
    uploaded_at bigint not null,
    uploaded_by text collate "C",
    created_at bigint not null,
    constraint plugins_key primary key (tenant_id, id),
    constraint plugins_component foreign key (tenant_id, digest) references components (tenant_id, digest)
);
comment on table plugins is 'Uploaded plugins, one row for each id. An empty tenant: shared with all.';

create index plugins_of_component on plugins (tenant_id, digest);

create table kv (
    tenant_id text collate "C" not null,
    plugin_id text collate "C" not null,
    key text collate "C" not null,
    value bytea not null,
    constraint kv_key primary key (tenant_id, plugin_id, key),
    constraint kv_tenant check (tenant_id <> '')
);
comment on table kv is 'What plugins keep for a tenant.';

create table holder (
    one boolean not null default true,
    epoch bigint not null,
    constraint holder_key primary key (one),
    constraint holder_one check (one)
);
comment on table holder is 'One row: counts the hosts that held this database, so that one that lost it notices.';
insert into holder (epoch) values (0);
