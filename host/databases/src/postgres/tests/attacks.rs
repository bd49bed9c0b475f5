//! Statements that mean harm: to become another tenant, to write under a grant to read, to leave
//! something behind for whoever comes next.

use super::*;

/// What a statement that got nowhere was told; `None` if it had an answer, which then is harmless.
async fn outcome(
    orders: &PostgresDatabase,
    access: Access,
    attack: &str,
) -> Option<DatabaseFailure> {
    let answer = orders.say("acme", access, attack, &[]).await;
    if let Ok(answer) = &answer {
        let seen = format!("{answer:?}");
        assert!(!seen.contains("soap for bob"), "{attack} saw {seen}");
    }
    answer.err()
}

/// Whoever comes next finds everything as it should be.
async fn all_is_well(orders: &PostgresDatabase, role: &str, attack: &str) {
    assert_eq!(orders.titles("acme").await, ["ink for acme"], "after {attack}");
    assert_eq!(orders.titles("bob").await, ["soap for bob"], "after {attack}");
    let state = "select current_user::text, session_user::text, current_setting('row_security'), \
                 current_setting('search_path'), current_setting('statement_timeout'), \
                 (select count(*) from pg_prepared_statements), \
                 (select count(*) from pg_locks where locktype = 'advisory'), \
                 (select count(*) from pg_class where relpersistence = 't')";
    let state = orders.read("bob", state).await.unwrap().rows.remove(0);
    let state: Vec<_> = state.iter().map(text).collect();
    let zero = "Integer(0)";
    let expected = [role, role, "on", "\"$user\", public", "1min", zero, zero, zero];
    assert_eq!(state, expected, "after {attack}");
}

#[test]
fn no_statement_becomes_another_tenant_or_leaves_anything_behind() {
    on_postgres(async |house| {
        // A function of the operator's that says whatever it is told, with the guest's own rights.
        house
            .operator(
                "create function run(words text) returns void language plpgsql as \
                 'begin execute words; end'",
            )
            .await;
        let orders = house.open().await;
        for attack in [
            // Another tenant.
            "select set_config('stepmill.tenant', 'bob', true), (select string_agg(title, '') from orders)",
            "with it as materialized (select set_config('stepmill.tenant', 'bob', false)) select title from it, orders",
            "select set_config('stepmill.tenant', 'bob', false) union all select title from orders",
            "select query_to_xml('select set_config(''stepmill.tenant'', ''bob'', false)', true, true, ''), \
             query_to_xml('select * from orders', true, true, '')",
            "select set_config('stepmill.proof', encode(sha256(convert_to(n::text, 'UTF8')), 'hex'), true), \
             set_config('stepmill.tenant', 'bob', true), stepmill.tenant() from generate_series(1, 50) n",
            "select set_config('row_security', 'off', false), title from orders",
            "select set_config('search_path', 'pg_temp', false), title from orders",
            "select run('set stepmill.tenant = ''bob'''), title from orders",
            // Another role.
            "select set_config('role', 'postgres', false)",
            "select set_config('session_authorization', 'postgres', false)",
            "set role postgres",
            "reset role",
            "set session authorization postgres",
            "select run('set session authorization postgres')",
            // More than one statement.
            "select 1; select 2",
            "select 1; set role postgres",
            "select 1; commit; drop table orders",
            "select 1 /* */ ; -- \n select 2",
            // Sessions, transactions, files.
            "begin",
            "commit",
            "rollback",
            "savepoint a",
            "prepare a as select 1",
            "select run('prepare a as select 1')",
            "execute a",
            "deallocate all",
            "declare a cursor with hold for select 1",
            "select run('declare a cursor with hold for select 1')",
            "listen a",
            "select run('listen a')",
            "do $$ begin perform 1; end $$",
            "copy orders to stdout",
            "copy orders from stdin",
            "copy (select 1) to program 'true'",
            "select pg_read_file('/etc/hostname')",
            "select * from pg_ls_dir('.')",
            "select lo_from_bytea(0, 'x')",
            "select lo_import('/etc/hostname')",
            "load 'auto_explain'",
            "explain analyze delete from orders",
            "call a()",
            "lock table orders",
            "vacuum",
            "create table a ()",
            "create temp table orders (title text)",
            "select 'soap' as title into temp orders",
            "select run('create temp table orders (title text)')",
            "select run('create function public.f() returns int language sql as ''select 1''')",
            "select pg_advisory_lock(1), pg_advisory_lock_shared(2)",
            "select pg_terminate_backend(pid) from pg_stat_activity",
            "select pg_cancel_backend(pid) from pg_stat_activity",
            "select set_config('statement_timeout', '0', false), set_config('lock_timeout', '0', false)",
            "select set_config('client_encoding', 'LATIN1', false), 'é'",
            "select set_config('stepmill.tenant', null, false), set_config('stepmill.proof', null, false)",
            "select rolpassword from pg_authid",
            "select key from stepmill.key",
            "select query from pg_stat_activity where query ~ 'set_config'",
            "\0select 1",
        ] {
            for access in [Access::Read, Access::Write] {
                outcome(&orders, access, attack).await;
                all_is_well(&orders, &house.name, attack).await;
            }
        }
    });
}

#[test]
fn a_statement_that_was_asked_for_as_one_that_reads_writes_nothing() {
    on_postgres(async |house| {
        house
            .operator(
                "create function wipe() returns bigint language sql as \
                 'with d as (delete from orders returning 1) select count(*) from d'; \
                 create sequence counter; grant usage on sequence counter to ROLE",
            )
            .await;
        let orders = house.open().await;
        for attack in [
            "delete from orders",
            "insert into orders (id, title) values (9, 'x')",
            "with d as (delete from orders returning 1) select count(*) from d",
            "select wipe()",
            "select set_config('transaction_read_only', 'off', true), wipe()",
            "select set_config('transaction_read_only', 'off', false)",
            "select set_config('default_transaction_read_only', 'off', false), wipe()",
            "select nextval('counter')",
            "select title from orders for update",
            "merge into orders using (values (1)) as v (id) on orders.id = v.id when matched then delete",
            "select query_to_xml('delete from orders', true, true, '')",
        ] {
            let told = outcome(&orders, Access::Read, attack).await;
            assert!(matches!(told, Some(DatabaseFailure::Invalid(_))), "{attack}: {told:?}");
            all_is_well(&orders, &house.name, attack).await;
        }
        let wiped = orders.write("acme", "select wipe()").await.unwrap();
        assert_eq!(wiped.rows, [[Value::Integer(1)]]);
        assert_eq!(orders.titles("bob").await, ["soap for bob"]);
    });
}

#[test]
fn a_proof_is_worth_nothing_in_another_transaction() {
    on_postgres(async |house| {
        let orders = house.open().await;
        let mine = "select current_setting('stepmill.proof'), stepmill.tenant()";
        let stolen = orders.read("bob", mine).await.unwrap().rows.remove(0);
        assert_eq!(text(&stolen[1]), "bob");
        let parameters = [Value::Text("bob".into()), stolen[0].clone()];
        let replay = "with it as materialized (select set_config('stepmill.tenant', $1, true), \
                      set_config('stepmill.proof', $2, true)) select stepmill.tenant() from it";
        let became = orders.say("acme", Access::Read, replay, &parameters).await.unwrap();
        assert_eq!(became.rows, [[Value::Null]]);
    });
}
