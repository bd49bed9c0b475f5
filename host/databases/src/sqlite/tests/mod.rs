//! Real files: a tenant in each, statements that mean well and such that mean harm.

use stepmill_core::database::Value;
use tempfile::TempDir;

use super::*;

const TITLES: &str = "select title from orders order by id";

fn opened(
    folder: &TempDir,
    file: &str,
    change: impl FnOnce(&mut DatabaseSettings),
) -> SqliteDatabase {
    let name = DatabaseName::new("orders").unwrap();
    let url = format!("sqlite:{}/{file}", folder.path().display());
    let mut settings = DatabaseSettings::new("".into());
    change(&mut settings);
    SqliteDatabase::open(&name, &url, &settings).unwrap()
}

/// A file for each tenant, with an order of two of them.
async fn orders(folder: &TempDir, change: impl FnOnce(&mut DatabaseSettings)) -> SqliteDatabase {
    let orders = opened(folder, "orders/{tenant}.sqlite", change);
    for (tenant, title) in [("acme", "ink for acme"), ("bob", "soap for bob")] {
        let table = "create table orders (id integer primary key, title text not null)";
        orders.say(tenant, Access::Write, table, &[]).await.unwrap();
        let insert = "insert into orders (title) values ($1)";
        orders.say(tenant, Access::Write, insert, &[Value::Text(title.into())]).await.unwrap();
    }
    orders
}

impl SqliteDatabase {
    async fn say(
        &self,
        tenant: &str,
        access: Access,
        text: &str,
        parameters: &[Value],
    ) -> Result<Answer, DatabaseFailure> {
        let database = DatabaseName::new("orders").unwrap();
        let (text, parameters) = (text.to_owned(), parameters.to_vec());
        let statement = Statement { database, access, text, parameters };
        self.ask(&TenantId::new(tenant).unwrap(), statement).await
    }

    async fn titles(&self, tenant: &str) -> Vec<Vec<Value>> {
        self.say(tenant, Access::Read, TITLES, &[]).await.unwrap().rows
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn invalid(text: &str) -> DatabaseFailure {
    DatabaseFailure::Invalid(text.to_owned())
}

#[tokio::test]
async fn each_tenant_has_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let orders = orders(&folder, |_| {}).await;
    assert_eq!(orders.titles("acme").await, [[text("ink for acme")]]);
    assert_eq!(orders.titles("bob").await, [[text("soap for bob")]]);
    let nobody = orders.say("eve", Access::Read, TITLES, &[]).await;
    assert_eq!(nobody, Err(invalid("no such table: orders")));
    let files = std::fs::read_dir(folder.path().join("orders")).unwrap().count();
    assert_eq!(files, 2, "who only reads makes no file");
}

#[tokio::test]
async fn values_are_bound_to_the_places_of_their_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let orders = orders(&folder, |_| {}).await;
    let parameters = [
        text("it's; --"),
        Value::Integer(7),
        Value::Real(0.5),
        Value::Null,
        Value::Bytes(vec![0, 255]),
        Value::Boolean(true),
    ];
    let answer =
        orders.say("acme", Access::Read, "select $2, $1, $3, $4 as d, $5, $6, $1", &parameters);
    let answer = answer.await.unwrap();
    let [a, b, c, d, e, _] = parameters.clone();
    assert_eq!(answer.rows, [[b, a.clone(), c, d, e, Value::Integer(1), a]]);
    assert_eq!(answer.columns[3], "d");
    for (statement, given) in [
        ("select $1", 0),
        ("select $1", 2),
        ("select ?", 1),
        ("select ?1", 1),
        ("select :a", 1),
        ("select $a", 1),
        ("select $0", 1),
    ] {
        let answer = orders.say("acme", Access::Read, statement, &parameters[..given]).await;
        assert!(matches!(answer, Err(DatabaseFailure::Invalid(_))), "{statement}: {answer:?}");
    }
}

#[tokio::test]
async fn a_write_says_what_it_changed_and_gives_rows() {
    let folder = tempfile::tempdir().unwrap();
    let orders = orders(&folder, |_| {}).await;
    let insert = "insert into orders (title) values ('pens'), ('caps') returning id";
    let answer = orders.say("acme", Access::Write, insert, &[]).await.unwrap();
    assert_eq!((answer.changed, answer.rows.len()), (2, 2));
    let update = orders.say("acme", Access::Write, "update orders set title = 'x'", &[]).await;
    assert_eq!(update.unwrap().changed, 3);
    let select = orders.say("acme", Access::Write, TITLES, &[]).await.unwrap();
    assert_eq!((select.changed, select.rows.len()), (0, 3));
}

#[tokio::test]
async fn no_statement_leaves_its_file_or_writes_when_it_only_reads() {
    let folder = tempfile::tempdir().unwrap();
    let orders = orders(&folder, |_| {}).await;
    let bob = folder.path().join("orders/bob.sqlite").display().to_string();
    let outside = folder.path().join("outside.sqlite").display().to_string();
    for attack in [
        format!("attach '{bob}' as bob"),
        format!("attach database '{bob}' as bob"),
        format!("select 1; attach '{bob}' as bob"),
        format!("/* */ -- \n attach '{bob}' as bob"),
        format!("vacuum into '{outside}'"),
        "vacuum".into(),
        "pragma writable_schema = on".into(),
        "pragma query_only = off".into(),
        "pragma max_page_count = 1000000".into(),
        "select * from pragma_table_info('orders')".into(),
        "select * from pragma_database_list".into(),
        "select load_extension('x')".into(),
        "select readfile('/etc/hostname')".into(),
        "select writefile('x', 'y')".into(),
        "select fts3_tokenizer('simple')".into(),
        "create virtual table x using fts5(a)".into(),
        "create virtual table temp.x using csv(filename = '/etc/hostname')".into(),
        "create temp table x (a)".into(),
        "create trigger x after insert on orders begin select 1; end".into(),
        "begin".into(),
        "begin exclusive".into(),
        "commit".into(),
        "rollback".into(),
        "savepoint a".into(),
        "explain select 1".into(),
        "reindex".into(),
        "analyze".into(),
        "update sqlite_schema set sql = ''".into(),
        "delete from sqlite_master".into(),
        "insert into sqlite_schema values ('table', 'x', 'x', 0, '')".into(),
        "select 1; select 2".into(),
        "select 1; delete from orders".into(),
        "select 1;;".repeat(2),
        "\0select 1".into(),
        String::new(),
        ";".into(),
    ] {
        for access in [Access::Read, Access::Write] {
            let answer = orders.say("acme", access, &attack, &[]).await;
            assert!(matches!(answer, Err(DatabaseFailure::Invalid(_))), "{attack}: {answer:?}");
        }
    }
    for attack in [
        "delete from orders",
        "insert into orders (title) values ('x')",
        "with x as (select 1) delete from orders",
        "with x as (select 1) insert into orders select 1, 'x' from x",
        "replace into orders values (1, 'x')",
        "create table x (a)",
        "drop table orders",
        "alter table orders add column x",
    ] {
        let answer = orders.say("acme", Access::Read, attack, &[]).await;
        assert!(matches!(answer, Err(DatabaseFailure::Invalid(_))), "{attack}: {answer:?}");
    }
    assert_eq!(orders.titles("acme").await, [[text("ink for acme")]]);
    assert_eq!(orders.titles("bob").await, [[text("soap for bob")]]);
    assert!(!std::path::Path::new(&outside).exists());
}

#[tokio::test]
async fn an_answer_ends_at_its_caps_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let orders = orders(&folder, |it| (it.rows, it.bytes) = (10, 1_000)).await;
    let numbers = |most| {
        format!(
            "with recursive n(n) as (select 1 union all select n + 1 from n limit {most}) select n from n"
        )
    };
    let exactly = orders.say("acme", Access::Read, &numbers("10"), &[]).await.unwrap();
    assert_eq!(exactly.rows.len(), 10);
    for flood in [
        numbers("11"),
        numbers("-1"),
        "select zeroblob(1001)".into(),
        "select zeroblob(1000000000)".into(),
        "select group_concat(title || zeroblob(100)) from (select title from orders, json_each('[1,2,3,4,5,6,7,8,9,0,1,2]'))".into(),
        "insert into orders (title) select title from orders, json_each('[1,2,3,4,5,6,7,8,9,0,1,2]') returning id".into(),
    ] {
        let answer = orders.say("acme", Access::Write, &flood, &[]).await;
        assert_eq!(answer, Err(DatabaseFailure::TooLarge), "{flood}");
        assert_eq!(orders.titles("acme").await, [[text("ink for acme")]], "{flood}");
    }
}

#[tokio::test]
async fn a_statement_without_end_is_ended_and_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let orders = orders(&folder, |it| it.statement_timeout_ms = 300).await;
    let endless = "with recursive n(n) as (select 1 union all select n + 1 from n)";
    for endless in [
        format!("{endless} select sum(n) from n"),
        format!("{endless} select n from n order by n desc"),
        format!("{endless} insert into orders (title) select n from n where n < 0"),
    ] {
        let answer = orders.say("acme", Access::Write, &endless, &[]).await;
        assert_eq!(answer, Err(DatabaseFailure::TimedOut), "{endless}");
        assert_eq!(orders.titles("acme").await, [[text("ink for acme")]]);
    }
}

#[tokio::test]
async fn a_file_grows_to_its_cap() {
    let folder = tempfile::tempdir().unwrap();
    let orders = orders(&folder, |it| it.file_bytes = 64 * 1024).await;
    let insert = "insert into orders (title) values (printf('%.*c', 10000, 'x'))";
    let mut written = 0;
    let full = loop {
        match orders.say("acme", Access::Write, insert, &[]).await {
            Ok(_) => written += 1,
            Err(failure) => break failure,
        }
        assert!(written < 100, "the file has no cap");
    };
    assert_eq!(full, invalid("database or disk is full"));
    let file = folder.path().join("orders/acme.sqlite");
    assert!(std::fs::metadata(file).unwrap().len() <= 64 * 1024);
}

#[tokio::test]
async fn a_shared_file_is_only_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = rusqlite::Connection::open(folder.path().join("prices.sqlite")).unwrap();
    file.execute_batch("create table prices (n int); insert into prices values (7)").unwrap();
    let prices = opened(&folder, "prices.sqlite", |_| {});
    for tenant in ["acme", "bob"] {
        let answer = prices.say(tenant, Access::Read, "select n from prices", &[]).await.unwrap();
        assert_eq!(answer.rows, [[Value::Integer(7)]]);
    }
    let refused = prices.say("acme", Access::Write, "delete from prices", &[]).await;
    assert_eq!(refused, Err(invalid("this database is only read: it is one file for all tenants")));
}

#[tokio::test]
async fn what_is_no_database_is_not_available_and_its_path_is_not_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("prices.sqlite"), "x".repeat(10_000)).unwrap();
    let prices = opened(&folder, "prices.sqlite", |_| {});
    let answer = prices.say("acme", Access::Read, "select 1 from prices", &[]).await;
    assert_eq!(answer, Err(DatabaseFailure::Unavailable));
}
