-- What guests could reach through this role that row-level security does not keep apart.
-- Each row: a name by which the operator may say that it is common to all tenants (null: nobody may
-- say so), whether it only matters between tenants, and what is wrong.
with
who as (
    -- This role, and all it belongs to or could become: a statement may set its role.
    select r.* from pg_catalog.pg_roles r
    where pg_catalog.pg_has_role(current_user, r.oid, 'member')
    and (r.rolname = current_user or not (select rolsuper from pg_catalog.pg_roles where rolname = current_user))
),
place as (
    select n.oid, n.nspname from pg_catalog.pg_namespace n
    where n.nspname !~ '^pg_(toast|temp)'
    and exists (
        select from who where pg_catalog.has_schema_privilege(who.oid, n.oid, 'usage, create')
    )
),
seen as (
    select c.*, format('%s.%s', place.nspname, c.relname) as name
    from pg_catalog.pg_class c join place on place.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f')
    and place.nspname not in ('pg_catalog', 'information_schema')
    and exists (
        select from who
        where pg_catalog.has_table_privilege(who.oid, c.oid, 'select, insert, update, delete, truncate')
        or pg_catalog.has_any_column_privilege(who.oid, c.oid, 'select, insert, update')
    )
),
fault (name, between_tenants, text) as (
    select null, false, format('%s is a superuser, to whom no rule applies', rolname)
    from who where rolsuper
    union all
    select null, false, format('%s has BYPASSRLS: it sees the rows of all tenants', rolname)
    from who where rolbypassrls and not rolsuper
    union all
    select null, false, format('%s has CREATEROLE or REPLICATION: it could become others, or read everything', rolname)
    from who where (rolcreaterole or rolreplication) and not rolsuper
    union all
    select null, false, format('the role belongs to %s, which reaches out of the database or into other sessions', rolname)
    from who where rolname in (
        'pg_create_subscription', 'pg_execute_server_program', 'pg_monitor', 'pg_read_all_stats',
        'pg_read_server_files', 'pg_signal_backend', 'pg_stat_scan_tables', 'pg_write_server_files'
    )
    union all
    select null, false, format('the role may create in %s: what it makes there has no row-level security', place.nspname)
    from place where exists (
        select from who where pg_catalog.has_schema_privilege(who.oid, place.oid, 'create')
    )
    union all
    select null, false, format('the role may create schemas in %s', current_database())
    where exists (
        select from who where pg_catalog.has_database_privilege(who.oid, current_database(), 'create')
    )
    union all
    select name, true, 'has no row-level security: `alter table … enable row level security`'
    from seen where relkind in ('r', 'p') and not relrowsecurity
    union all
    select name, true, 'belongs to the role, to whom its row-level security does not apply: `alter table … force row level security`'
    from seen where relkind in ('r', 'p') and relrowsecurity and not relforcerowsecurity
    and relowner in (select oid from who)
    union all
    select name, true, 'is a view that reads with its owner''s rights: `alter view … set (security_invoker = true)`'
    from seen where relkind = 'v'
    and not coalesce(reloptions && array['security_invoker=true', 'security_invoker=on', 'security_invoker=1'], false)
    union all
    select name, true, 'is a materialized view or foreign table, which cannot have row-level security'
    from seen where relkind in ('m', 'f')
    union all
    select seen.name, true, format('has the policy %s, which does not ask stepmill.tenant()', p.polname)
    from seen join pg_catalog.pg_policy p on p.polrelid = seen.oid
    where p.polpermissive
    and (p.polroles = '{0}' or p.polroles && array(select oid from who))
    and exists (
        select from (values (p.polqual), (p.polwithcheck)) as it (expression)
        where expression is not null
        and pg_catalog.pg_get_expr(expression, p.polrelid) not like '%stepmill.tenant()%'
    )
    union all
    select format('%s.%s', place.nspname, f.proname), true, 'is a function with its owner''s rights'
    from pg_catalog.pg_proc f join place on place.oid = f.pronamespace
    where f.prosecdef and not (place.nspname = 'stepmill' and f.proname = 'tenant')
    and exists (select from who where pg_catalog.has_function_privilege(who.oid, f.oid, 'execute'))
    union all
    select format('%s.%s', place.nspname, f.proname),
        f.proname in ('lo_creat', 'lo_create', 'lo_from_bytea', 'pg_cancel_backend', 'pg_terminate_backend'),
        case
            when f.proname ~ 'backend' then 'ends the statements of others: revoke it from public'
            when f.proname ~ '^dblink' then 'reaches other databases'
            when f.proname in ('lo_creat', 'lo_create', 'lo_from_bytea')
                then 'makes large objects, which cannot have row-level security: revoke it from public'
            else 'reaches files of the server'
        end
    from pg_catalog.pg_proc f join place on place.oid = f.pronamespace
    where (
        f.proname in (
            'lo_creat', 'lo_create', 'lo_export', 'lo_from_bytea', 'lo_import', 'pg_cancel_backend',
            'pg_file_write', 'pg_ls_dir', 'pg_read_binary_file', 'pg_read_file', 'pg_stat_file',
            'pg_terminate_backend'
        )
        or f.proname ~ '^dblink(_connect|_connect_u|_exec|_open|_send_query)?$'
    )
    and exists (select from who where pg_catalog.has_function_privilege(who.oid, f.oid, 'execute'))
    union all
    select 'pg_stat_activity', true, 'shows the statements of other tenants: `alter role … set track_activities = off`'
    where current_setting('track_activities')::boolean
)
-- To a superuser everything is open: that is enough to say.
select distinct name, between_tenants::text, text from fault
where text like '%superuser%' or not exists (select from who where rolsuper)
order by name nulls first, text
