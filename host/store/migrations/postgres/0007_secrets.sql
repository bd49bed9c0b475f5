-- Secrets, sealed by a key that is in no database.
-- The SQLite folder beside this one says the same: change both or neither.

create table secrets (
    tenant_id text collate "C" not null,
    name text collate "C" not null,
    places text not null,
    key_id text collate "C" not null,
    sealed bytea not null,
    created_at bigint not null,
    updated_at bigint not null,
    updated_by text collate "C",
    constraint secrets_key primary key (tenant_id, name)
);
comment on table secrets is 'Secrets, sealed by a key that is in no database.';
comment on column secrets.tenant_id is 'Empty: of the operator, for shared plugins.';
comment on column secrets.places is 'Where it may go: one rule to a line.';
comment on column secrets.key_id is 'Which key sealed it.';
comment on column secrets.sealed is 'AES-256-GCM: nonce, text, tag. Tenant, name and places are sealed along with it.';
