//! Statements that mean well: values both ways, rows of the tenant only, caps.

use super::*;
use crate::settings::DatabaseSettings;

#[test]
fn a_tenant_sees_and_writes_its_own_rows_only() {
    on_postgres(async |house| {
        let orders = house.open().await;
        assert_eq!(orders.titles("acme").await, ["ink for acme"]);
        assert_eq!(orders.titles("bob").await, ["soap for bob"]);
        assert!(orders.titles("Acme' or true --").await.is_empty());
        let written = orders
            .write(
                "acme",
                "insert into orders (id, title) values (3, 'pens for acme') returning id",
            )
            .await
            .unwrap();
        assert_eq!((written.changed, written.rows), (1, vec![vec![Value::Integer(3)]]));
        let written = orders.write("acme", "update orders set title = title || '!'").await.unwrap();
        assert_eq!(written.changed, 2);
        assert_eq!(orders.titles("acme").await, ["ink for acme!", "pens for acme!"]);
        assert_eq!(orders.titles("bob").await, ["soap for bob"]);
        let foreign = "insert into orders values (4, 'x', 'bob')";
        let refused = orders.write("acme", foreign).await.unwrap_err();
        let text = "new row violates row-level security policy for table \"orders\"";
        assert_eq!(refused, DatabaseFailure::Invalid(text.into()));
    });
}

#[test]
fn a_parameter_is_what_its_place_asks_for() {
    on_postgres(async |house| {
        let orders = house.open().await;
        let parameters = [
            Value::Integer(7),
            Value::Text("2026-01-02".into()),
            Value::Text("00000000-0000-0000-0000-000000000007".into()),
            Value::Null,
            Value::Boolean(true),
            Value::Real(0.1),
            Value::Bytes(vec![0, 255]),
            Value::Text("it's; -- $1".into()),
        ];
        let answer = orders
            .say(
                "acme",
                Access::Read,
                "select $1::int4, $2::date + 1, $3::uuid, $4::int, $5::bool, $6::float8, $7::bytea, \
                 $8::text, 1.50::numeric, '{\"a\": 1}'::jsonb, array[1, 2], 'NaN'::float8 = 'NaN', \
                 id from orders where id = $9",
                &[parameters.as_slice(), &[Value::Integer(1)]].concat(),
            )
            .await
            .unwrap();
        let text = |it: &str| Value::Text(it.into());
        assert_eq!(
            answer.rows,
            [vec![
                Value::Integer(7),
                text("2026-01-03"),
                text("00000000-0000-0000-0000-000000000007"),
                Value::Null,
                Value::Boolean(true),
                Value::Real(0.1),
                Value::Bytes(vec![0, 255]),
                text("it's; -- $1"),
                text("1.50"),
                text("{\"a\": 1}"),
                text("{1,2}"),
                Value::Boolean(true),
                Value::Integer(1),
            ]]
        );
        assert_eq!(answer.columns.last().map(String::as_str), Some("id"));
    });
}

#[test]
fn the_guest_reads_what_is_wrong_with_its_statement_and_no_more() {
    on_postgres(async |house| {
        let orders = house.open().await;
        for (statement, told) in [
            ("select", None),
            (
                "selec 1",
                Some(
                    "a statement begins with one of delete, insert, merge, select, table, update, values, with",
                ),
            ),
            (
                "",
                Some(
                    "a statement begins with one of delete, insert, merge, select, table, update, values, with",
                ),
            ),
            ("select 1 from nothing", Some("relation \"nothing\" does not exist")),
            ("select 1 / 0", Some("division by zero")),
            (
                "select $1",
                Some("bind message supplies 0 parameters, but prepared statement \"\" requires 1"),
            ),
            ("select * from stepmill.key", Some("permission denied for table key")),
        ] {
            let answer = orders.read("acme", statement).await;
            let told = told.map(|it| DatabaseFailure::Invalid(it.to_owned()));
            assert!(
                answer.as_ref().err() == told.as_ref() || (told.is_none() && answer.is_ok()),
                "{statement}: {answer:?}"
            );
        }
        // Whose key it is would be a detail.
        let taken = orders.write("acme", "insert into orders (id, title) values (2, 'x')").await;
        let text = "duplicate key value violates unique constraint \"orders_pkey\"";
        assert_eq!(taken, Err(DatabaseFailure::Invalid(text.into())));
    });
}

#[test]
fn an_answer_ends_at_its_caps_and_the_session_goes_on() {
    on_postgres(async |house| {
        let settings = DatabaseSettings { rows: 10, bytes: 1_000, ..house.settings() };
        let orders = house.try_open(&settings).await.unwrap();
        let exactly = orders.read("acme", "select n from generate_series(1, 10) n").await.unwrap();
        assert_eq!(exactly.rows.len(), 10);
        for flood in [
            "select n from generate_series(1, 11) n",
            "select generate_series(1, 100000000000)",
            "select repeat('x', 1001)",
            "select repeat('x', 100000000)",
            "insert into orders (id, title) select n, 'x' from generate_series(10, 100) n returning id",
        ] {
            let answer = orders.write("acme", flood).await;
            assert_eq!(answer, Err(DatabaseFailure::TooLarge), "{flood}");
            assert_eq!(orders.titles("acme").await, ["ink for acme"], "{flood}");
        }
    });
}

#[test]
fn a_statement_without_end_is_ended() {
    on_postgres(async |house| {
        let settings = DatabaseSettings { statement_timeout_ms: 300, ..house.settings() };
        let orders = house.try_open(&settings).await.unwrap();
        for endless in [
            "select pg_sleep(60)",
            "select n from generate_series(1, 100000000000) n",
            "select set_config('statement_timeout', '0', false), pg_sleep(60)",
            "with recursive n as (select 1 as n union all select n + 1 from n) select sum(n) from n",
            "select count(*) from generate_series(1, 100000) a, generate_series(1, 100000) b",
        ] {
            let answer = orders.read("acme", endless).await;
            assert_eq!(answer, Err(DatabaseFailure::TimedOut), "{endless}");
            assert_eq!(orders.titles("acme").await, ["ink for acme"]);
        }
    });
}

#[test]
fn a_session_that_the_server_ended_is_replaced() {
    on_postgres(async |house| {
        let orders = house.open().await;
        house
            .operator(
                "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'ROLE'",
            )
            .await;
        assert_eq!(orders.titles("acme").await, ["ink for acme"]);
    });
}
