-- Secrets, sealed by a key that is in no database.
-- The PostgreSQL folder beside this one says the same: change both or neither.

create table secrets (
    -- Empty: of the operator, for shared plugins.
    tenant_id text not null,
    name text not null,
    -- Where it may go: one rule to a line.
    places text not null,
    -- Which key sealed it.
    key_id text not null,
    -- AES-256-GCM: nonce, text, tag. Tenant, name and places are sealed along with it.
    sealed blob not null,
    created_at integer not null,
    updated_at integer not null,
    updated_by text,
    constraint secrets_key primary key (tenant_id, name)
) strict, without rowid;
