-- Keys that programs show instead of tokens.
-- The SQLite folder beside this one says the same: change both or neither.

create table api_keys (
    id text collate "C" not null,
    tenant_id text collate "C" not null,
    digest bytea not null,
    name text collate "C" not null,
    roles json not null,
    scopes json not null,
    user_id text collate "C",
    created_by text collate "C",
    created_at bigint not null,
    expires_at bigint,
    last_used_at bigint,
    constraint api_keys_key primary key (id),
    constraint api_keys_tenant check (tenant_id <> ''),
    constraint api_keys_digest check (length(digest) = 32)
);
comment on table api_keys is 'One row per key. Its text is `smk_`, the id, `_` and a secret that is kept nowhere.';
comment on column api_keys.digest is 'SHA-256 of the secret.';
comment on column api_keys.roles is 'A list of texts, as the scopes are.';
comment on column api_keys.user_id is 'Who its holder is; null: nobody in particular.';
comment on column api_keys.created_by is 'Null: the host knew no users when it was made.';
comment on column api_keys.expires_at is 'Null: never.';
comment on column api_keys.last_used_at is 'To the hour; null: not yet.';

create index api_keys_of_tenant on api_keys (tenant_id, created_at, id);
