-- Sessions have a name, a state and metadata of their own, and count what their runs used.
-- The SQLite folder beside this one says the same: change both or neither.

alter table sessions add column name text collate "C";
alter table sessions add column workflow_id text collate "C";
alter table sessions add column state json;
alter table sessions add column metadata json;
comment on column sessions.name is 'As a client named it; null shows the first message instead.';
comment on column sessions.workflow_id is 'The workflow it was made for: that of its first run, or the one a client named.';
create index sessions_by_birth on sessions (tenant_id, created_at, id);

alter table runs add column extras json;
comment on column runs.extras is 'What came with the message, and the session''s state as the run found it; null: nothing did.';
drop index runs_of_session;
create index runs_of_session on runs (tenant_id, session_id, created_at, id);

create table session_usage (
    tenant_id text collate "C" not null,
    session_id text collate "C" not null,
    model text collate "C" not null,
    api text collate "C" not null,
    input_tokens bigint not null,
    output_tokens bigint not null,
    first_at bigint not null,
    constraint session_usage_key primary key (tenant_id, session_id, model, api),
    constraint session_usage_session foreign key (tenant_id, session_id) references sessions (tenant_id, id)
);
comment on table session_usage is 'What the ended runs of a session used, by model.';
