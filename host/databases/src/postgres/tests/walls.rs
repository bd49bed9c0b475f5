//! Databases in which tenants are not kept apart are not opened, and it is said why.

use super::*;

/// Why the database is not opened after the operator did this.
async fn told(house: &House, done: &str, common: &[&str]) -> String {
    house.operator(done).await;
    let mut settings = house.settings();
    settings.common = common.iter().map(|it| (*it).to_owned()).collect();
    match house.try_open(&settings).await {
        Ok(_) => "opened".to_owned(),
        Err(fault) => fault.to_string().replace(&house.name, "ROLE"),
    }
}

#[test]
fn every_way_around_the_walls_is_found_and_told() {
    let first = "guests could reach more than they may\n- ";
    for (done, undone, complaint) in [
        (
            "alter role ROLE superuser",
            "alter role ROLE nosuperuser",
            "ROLE is a superuser, to whom no rule applies",
        ),
        (
            "alter role ROLE bypassrls",
            "alter role ROLE nobypassrls",
            "ROLE has BYPASSRLS: it sees the rows of all tenants",
        ),
        (
            "create role ROLE_boss bypassrls; grant ROLE_boss to ROLE",
            "drop role ROLE_boss",
            "ROLE_boss has BYPASSRLS: it sees the rows of all tenants",
        ),
        (
            "alter role ROLE createrole",
            "alter role ROLE nocreaterole",
            "ROLE has CREATEROLE or REPLICATION: it could become others, or read everything",
        ),
        (
            "grant pg_read_server_files to ROLE",
            "revoke pg_read_server_files from ROLE",
            "the role belongs to pg_read_server_files, which reaches out of the database or into other sessions",
        ),
        (
            "grant pg_execute_server_program to ROLE",
            "revoke pg_execute_server_program from ROLE",
            "the role belongs to pg_execute_server_program, which reaches out of the database or into other sessions",
        ),
        (
            "grant create on schema public to ROLE",
            "revoke create on schema public from ROLE",
            "the role may create in public: what it makes there has no row-level security",
        ),
        (
            "grant create on database ROLE to ROLE",
            "revoke create on database ROLE from ROLE",
            "the role may create schemas in ROLE",
        ),
        (
            "alter table orders no force row level security; alter table orders owner to ROLE",
            "alter table orders force row level security; alter table orders owner to postgres",
            "public.orders belongs to the role, to whom its row-level security does not apply: `alter table … force row level security`",
        ),
        (
            "alter role ROLE set track_activities = on",
            "alter role ROLE set track_activities = off",
            "pg_stat_activity shows the statements of other tenants: `alter role … set track_activities = off`",
        ),
        (
            "grant execute on function pg_read_file(text) to ROLE",
            "revoke execute on function pg_read_file(text) from ROLE",
            "pg_catalog.pg_read_file reaches files of the server",
        ),
    ] {
        on_postgres(async |house| {
            assert_eq!(told(house, done, &[]).await, format!("{first}{complaint}"), "{done}");
            house.operator(undone).await;
        });
    }
}

#[test]
fn what_is_common_has_to_be_said() {
    for (done, name, complaint) in [
        (
            "create table prices (n int); grant select on prices to ROLE",
            "public.prices",
            "has no row-level security: `alter table … enable row level security`",
        ),
        (
            "create table prices (n int); grant select (n) on prices to ROLE",
            "public.prices",
            "has no row-level security: `alter table … enable row level security`",
        ),
        (
            "create view titles as select title from orders; grant select on titles to ROLE",
            "public.titles",
            "is a view that reads with its owner's rights: `alter view … set (security_invoker = true)`",
        ),
        (
            "create materialized view titles as select title from orders; grant select on titles to ROLE",
            "public.titles",
            "is a materialized view or foreign table, which cannot have row-level security",
        ),
        (
            "create policy lax on orders using (tenant = current_setting('stepmill.tenant'))",
            "public.orders",
            "has the policy lax, which does not ask stepmill.tenant()",
        ),
        (
            "create function titles() returns setof orders language sql security definer as 'select * from orders'",
            "public.titles",
            "is a function with its owner's rights",
        ),
        (
            "grant execute on function lo_create(oid) to public",
            "pg_catalog.lo_create",
            "makes large objects, which cannot have row-level security: revoke it from public",
        ),
        (
            "grant execute on function pg_cancel_backend(int) to public",
            "pg_catalog.pg_cancel_backend",
            "ends the statements of others: revoke it from public",
        ),
    ] {
        on_postgres(async |house| {
            let said = told(house, done, &[]).await;
            let complaint = format!("guests could reach more than they may\n- {name} {complaint}");
            assert_eq!(said, complaint, "{done}");
            assert_eq!(told(house, "select 1", &[name]).await, "opened", "{done}");
        });
    }
}

#[test]
fn a_view_with_the_guests_own_rights_and_a_restrictive_policy_are_no_ways_around() {
    on_postgres(async |house| {
        let done = "create view titles with (security_invoker = true) as select title from orders; \
                    grant select on titles to ROLE; \
                    create policy also on orders as restrictive using (id > 0)";
        assert_eq!(told(house, done, &[]).await, "opened");
        let titles = house.open().await.read("bob", "select * from titles").await.unwrap();
        assert_eq!(titles.rows, [[Value::Text("soap for bob".into())]]);
    });
}

#[test]
fn a_database_with_another_key_is_not_opened() {
    on_postgres(async |house| {
        let settings =
            DatabaseSettings { tenant_key: Some("f".repeat(64).into()), ..house.settings() };
        assert!(matches!(house.try_open(&settings).await, Err(OpenFault::OtherKey)));
        house.operator("create or replace function stepmill.tenant() returns text language sql as 'select current_setting(''stepmill.tenant'')'").await;
        assert!(matches!(house.try_open(&house.settings()).await, Err(OpenFault::OtherKey)));
        house.operator("drop function stepmill.tenant() cascade").await;
        assert!(matches!(house.try_open(&house.settings()).await, Err(OpenFault::OtherKey)));
    });
}

#[test]
fn a_shared_database_needs_no_walls_between_tenants_and_all_others() {
    on_postgres(async |house| {
        let settings = DatabaseSettings { tenant_key: None, shared: true, ..house.settings() };
        house.operator("create table prices (n int); grant select on prices to ROLE; insert into prices values (7)").await;
        let prices = house.try_open(&settings).await.unwrap();
        let seven = prices.read("acme", "select n from prices").await.unwrap();
        assert_eq!(seven.rows, [[Value::Integer(7)]]);
        house.operator("alter role ROLE superuser").await;
        assert!(matches!(house.try_open(&settings).await, Err(OpenFault::Unsafe(_))));
    });
}

#[test]
fn a_right_that_was_given_later_is_found_by_the_next_session() {
    on_postgres(async |house| {
        let orders = house.open().await;
        house.operator("alter role ROLE bypassrls").await;
        house
            .operator(
                "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'ROLE'",
            )
            .await;
        let answer = orders.read("acme", "select title from orders").await;
        assert_eq!(answer, Err(DatabaseFailure::Unavailable));
    });
}

#[tokio::test]
async fn a_database_that_is_away_does_not_keep_the_host_from_opening() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://a@{}/b", nobody.local_addr().unwrap());
    drop(nobody);
    let mut settings = DatabaseSettings::new("".into());
    settings.tenant_key = Some(KEY.into());
    let name = DatabaseName::new("orders").unwrap();
    let orders = PostgresDatabase::open(&name, &url, &settings).await.unwrap();
    assert_eq!(orders.read("acme", "select 1").await, Err(DatabaseFailure::Unavailable));
}
