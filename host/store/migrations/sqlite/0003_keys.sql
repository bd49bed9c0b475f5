-- Keys that programs show instead of tokens.
-- The PostgreSQL folder beside this one says the same: change both or neither.

-- One row per key. Its text is `smk_`, the id, `_` and a secret that is kept nowhere.
create table api_keys (
    id text not null,
    tenant_id text not null,
    -- SHA-256 of the secret.
    digest blob not null,
    name text not null,
    -- JSON lists of texts.
    roles text not null,
    scopes text not null,
    -- Who its holder is; null: nobody in particular.
    user_id text,
    -- Null: the host knew no users when it was made.
    created_by text,
    created_at integer not null,
    -- Null: never.
    expires_at integer,
    -- To the hour; null: not yet.
    last_used_at integer,
    constraint api_keys_key primary key (id),
    constraint api_keys_tenant check (tenant_id <> ''),
    constraint api_keys_digest check (length(digest) = 32)
) strict, without rowid;

create index api_keys_of_tenant on api_keys (tenant_id, created_at, id);
