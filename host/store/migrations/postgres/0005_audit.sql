-- The audit log: what was changed, by whom, and what was not let be done.
-- The SQLite folder beside this one says the same: change both or neither.

create table audit (
    sequence bigint generated always as identity,
    tenant_id text collate "C" not null,
    at bigint not null,
    user_id text collate "C",
    key_id text collate "C",
    action text collate "C" not null,
    target text collate "C" not null,
    detail text collate "C",
    times bigint not null,
    constraint audit_key primary key (sequence)
);
create index audit_of_tenant on audit (tenant_id, sequence);
create index audit_by_time on audit (at);
comment on table audit is 'What was changed, by whom, and what was not let be done.';
comment on column audit.tenant_id is 'Empty: of the host.';
comment on column audit.times is 'How often, where the same happened many times in a short while.';
