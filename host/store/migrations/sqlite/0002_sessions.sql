-- Sessions have a name, a state and metadata of their own, and count what their runs used.
-- The PostgreSQL folder beside this one says the same: change both or neither.

-- As a client named it; null shows the first message instead.
alter table sessions add column name text;
-- The workflow it was made for: that of its first run, or the one a client named.
alter table sessions add column workflow_id text;
-- JSON objects; null where nobody ever said anything.
alter table sessions add column state text;
alter table sessions add column metadata text;
create index sessions_by_birth on sessions (tenant_id, created_at, id);

-- What came with the message, and the session's state as the run found it; null: nothing did.
alter table runs add column extras text;
-- A session's runs in order, of all workflows or of one.
drop index runs_of_session;
create index runs_of_session on runs (tenant_id, session_id, created_at, id);

-- What the ended runs of a session used, by model.
create table session_usage (
    tenant_id text not null,
    session_id text not null,
    model text not null,
    api text not null,
    input_tokens integer not null,
    output_tokens integer not null,
    first_at integer not null,
    constraint session_usage_key primary key (tenant_id, session_id, model, api),
    constraint session_usage_session foreign key (tenant_id, session_id) references sessions (tenant_id, id)
) strict, without rowid;
