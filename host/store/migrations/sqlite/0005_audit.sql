-- The audit log: what was changed, by whom, and what was not let be done.
-- The PostgreSQL folder beside this one says the same: change both or neither.

create table audit (
    sequence integer primary key autoincrement,
    -- Empty: of the host.
    tenant_id text not null,
    at integer not null,
    user_id text,
    key_id text,
    action text not null,
    target text not null,
    detail text,
    -- How often, where the same happened many times in a short while.
    times integer not null
) strict;
create index audit_of_tenant on audit (tenant_id, sequence);
create index audit_by_time on audit (at);
