-- Sets up a PostgreSQL database (14 or newer) whose rows are kept apart for Stepmill's tenants.
-- Run it once, as a superuser, with the role that the host logs in as and the key of
-- `[databases.NAME]`:
--
--   psql -v ON_ERROR_STOP=1 -v role=orders_guest -v key="$(openssl rand -hex 32)" -f row-level-security.sql
--
-- Then for each table: a column for the tenant, the policy, and the rights, as at the end.

begin;

-- The key, which only the function below reads.
create schema stepmill;
create table stepmill.key (key bytea not null);
insert into stepmill.key values (decode(:'key', 'hex'));
revoke all on stepmill.key from public;

-- The tenant that the statement under way is for; null if nothing proves it. The proof holds for
-- this transaction only, so a statement that sets these settings itself becomes nobody.
create function stepmill.tenant() returns text
language sql stable parallel restricted security definer set search_path = pg_catalog, pg_temp
as $$
    select current_setting('stepmill.tenant', true)
    from stepmill.key
    where current_setting('stepmill.proof', true) = encode(sha256(key || sha256(convert_to(concat_ws(' ',
        pg_backend_pid(), extract(epoch from transaction_timestamp()), current_setting('stepmill.tenant', true)
    ), 'UTF8'))), 'hex')
$$;
grant usage on schema stepmill to :"role";
grant execute on function stepmill.tenant() to :"role";

-- What row-level security does not keep apart. The first three are of PostgreSQL itself, for every
-- role of the database; where others need them, grant them to those.
revoke execute on function pg_cancel_backend(integer), pg_terminate_backend(integer, bigint) from public;
revoke execute on function lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea) from public;
revoke create on schema public from public;
alter role :"role" set track_activities = off;
-- What a sort of one statement may take on the server's disk.
alter role :"role" set temp_file_limit = '256MB';

commit;

-- For each table:
--
--   alter table orders add column tenant text not null default stepmill.tenant();
--   alter table orders enable row level security;
--   alter table orders force row level security;
--   create policy tenant on orders
--       using (tenant = (select stepmill.tenant())) with check (tenant = (select stepmill.tenant()));
--   grant select, insert, update, delete on orders to orders_guest;
