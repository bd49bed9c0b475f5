//! Databases of the operator's: asked by factories, functions and steps, by each tenant for itself.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Executor;

use crate::house::{Application, House, Reply, Token, command, hostile_of_databases};

/// A house whose plugins may read and write `orders`, on PostgreSQL with row-level security.
async fn house(application: &Application, more: &str) -> House {
    let house = House::serve()
        .guarded()
        .demo_models()
        .settings(
            "[databases.orders]\nurl_env = \"ORDERS_URL\"\ntenant_key_env = \"ORDERS_KEY\"\n\
             statement_timeout_ms = 60000",
        )
        .settings("[policy]\nallow = [\"database:orders:write\"]")
        .settings(more)
        .var("ORDERS_URL", &application.url)
        .var("ORDERS_KEY", &application.key)
        .open()
        .await;
    let root = house.ask_as(&Token::operator("ops"), Method::PUT, "/plugins/orders?shared=true");
    let pushed = Reply::of(root.body(hostile_of_databases())).await;
    assert_eq!(pushed.status, 201, "{}", pushed.text);
    house
}

async fn run(house: &House, tenant: &str, order: &str, message: &str) -> Reply {
    let fields = [("session_id", order), ("message", message)];
    house.run_as(&Token::admin(tenant), "orders", &fields).await
}

#[tokio::test]
async fn two_tenants_of_one_database_see_their_own_rows_only() {
    let application = Application::open().await;
    let house = house(&application, "").await;
    let titles = "select title from orders order by id";
    for (tenant, own, new) in
        [("acme", "ink for acme", "pens"), ("bob", "soap for bob", "caps"), ("eve", "", "none")]
    {
        // In `build`.
        let told = run(&house, tenant, &format!("tell-sql {titles}"), "x").await;
        assert_eq!(told.refusal(), (400, own.to_owned()), "{}", told.text);
        let forged =
            "tell-sql select set_config('stepmill.tenant', 'bob', true) || title from orders";
        let told = run(&house, tenant, forged, "x").await;
        assert_eq!(told.refusal().1.contains("soap"), tenant == "bob", "{}", told.text);
        // In a function step, and then in a query step.
        let write =
            format!("sql-write insert into orders (title) values ('{new}') returning title");
        let order = "draw-sql select title, $1 as new, tenant from orders order by id";
        let run = run(&house, tenant, order, &write).await.good();
        let step = |at: usize| &run["step_results"][at];
        assert_eq!(
            (&step(0)["content"], &step(0)["executor_type"]),
            (&json!(new), &json!("function"))
        );
        assert_eq!(step(1)["executor_name"], "orders");
        let content: Value = serde_json::from_str(run["content"].as_str().unwrap()).unwrap();
        assert_eq!(content["columns"], json!(["title", "new", "tenant"]));
        let rows = content["rows"].as_array().unwrap();
        assert!(rows.iter().all(|it| it[1] == new && it[2] == tenant), "{content}");
        assert_eq!(rows.len(), if own.is_empty() { 1 } else { 2 });
    }
}

#[tokio::test]
async fn what_is_not_granted_is_not_asked() {
    let application = Application::open().await;
    let house = house(&application, "").await;
    let say = async |allow: Value| {
        let request = house.ask_as(&Token::operator("ops"), Method::PUT, "/policy");
        assert_eq!(Reply::of(request.json(&json!({ "allow": allow }))).await.status, 200);
    };
    say(json!(["database:orders"])).await;
    let read = run(&house, "acme", "tell-sql select title from orders", "x").await;
    assert_eq!(
        read.refusal().1,
        "DatabaseError::NotGranted",
        "the plugin asked for more: {}",
        read.text
    );
    say(json!([])).await;
    let refused = run(&house, "acme", "draw-sql select $1", "x").await;
    assert_eq!(refused.json()["error_id"], "database_not_granted", "{}", refused.text);
    let text = "the step `find` asks a database that is not granted".to_owned();
    assert_eq!(refused.refusal(), (403, text));
    let pushed = house.push("other", hostile_of_databases()).await;
    assert_eq!(pushed.json()["error_id"], "capability_not_granted", "{}", pushed.text);
}

#[tokio::test]
async fn a_query_that_fails_fails_its_run_and_tells_no_values() {
    let application = Application::open().await;
    let house = house(&application, "").await;
    for (statement, code) in [
        ("selec $1", "database_refused"),
        ("select 'secret words'::int, $1", "database_refused"),
        ("select repeat($1 || 'x', 2000000)", "database_over_limit"),
    ] {
        let reply = run(&house, "acme", &format!("draw-sql {statement}"), "good").await;
        assert_eq!(reply.json()["error_id"], code, "{}", reply.text);
        assert!(!reply.text.contains("secret words\\\""), "{}", reply.text);
    }
    assert!(!house.log().contains("secret words"), "{}", house.log());
}

#[tokio::test]
async fn a_tenant_has_a_sqlite_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("url = \"sqlite:{}/{{tenant}}.sqlite\"", folder.path().display());
    let house = House::serve()
        .guarded()
        .demo_models()
        .settings(&format!("[databases.orders]\n{url}"))
        .settings("[policy]\nallow = [\"database:orders:write\"]")
        .open()
        .await;
    let root = house.ask_as(&Token::operator("ops"), Method::PUT, "/plugins/orders?shared=true");
    assert_eq!(Reply::of(root.body(hostile_of_databases())).await.status, 201);
    for tenant in ["acme", "bob"] {
        let make = "sql-write create table orders (title text)";
        run(&house, tenant, "draw-sql select $1", make).await.good();
        let write =
            format!("sql-write insert into orders values ('ink for {tenant}') returning title");
        let order = "draw-sql select title, $1 from orders";
        let content = run(&house, tenant, order, &write).await.good()["content"].clone();
        let ink = format!("ink for {tenant}");
        let rows = json!({ "columns": ["title", "$1"], "rows": [[ink, ink]] });
        assert_eq!(content, rows.to_string());
    }
    let attach = format!("tell-sql attach '{}/bob.sqlite' as bob", folder.path().display());
    let told = run(&house, "acme", &attach, "x").await;
    assert!(told.refusal().1.starts_with("DatabaseError::Invalid"), "{}", told.text);
}

/// Killed while the second query waits: what the first one wrote is written once.
#[tokio::test]
async fn killed_between_queries() {
    let mut application = Application::open().await;
    let mut house = house(&application, "").await;
    std::fs::create_dir_all(house.data().join("workflows")).unwrap();
    let declared = r#"
        name = "Orders"
        [[steps]]
        name = "note"
        [steps.query]
        database = "orders"
        statement = "insert into orders (title) values ($1) returning title"
        parameters = [{ from = "message" }]
        write = true
        [[steps]]
        name = "wait"
        [steps.query]
        database = "orders"
        statement = "select count(*), $1::json -> 'changed' from orders, pg_advisory_xact_lock_shared($2)"
        parameters = [{ from = "previous" }, 7]
    "#;
    std::fs::write(house.data().join("workflows/noting.toml"), declared).unwrap();
    house.stop().await;
    house.start().await;
    application.operator.execute("select pg_advisory_lock(7)").await.unwrap();
    let fields = [("message", "pens"), ("session_id", "s")];
    let mut events = house.stream("noting", &fields).await;
    let started = events.until("WorkflowStarted").await;
    let first = events.until("StepCompleted").await;
    let noted = r#"{"columns":["title"],"rows":[["pens"]],"changed":1}"#;
    assert_eq!(first.data["content"], noted);
    house.kill().await;
    application.operator.execute("select pg_advisory_unlock(7)").await.unwrap();
    house.start().await;
    let run = started.data["run_id"].as_str().unwrap();
    let path = format!("/workflows/noting/runs/{run}?session_id=s");
    let run = loop {
        let run = house.get(&path).await.good();
        if run["status"] != "RUNNING" {
            break run;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    };
    assert_eq!(run["status"], "COMPLETED", "{run}");
    let content: Value = serde_json::from_str(run["content"].as_str().unwrap()).unwrap();
    // The order that was there, and one more.
    assert_eq!(content["rows"], json!([[2, "1"]]), "{run}");
}

#[tokio::test]
async fn a_host_does_not_open_where_tenants_are_not_kept_apart() {
    let mut application = Application::open().await;
    let open = "create table prices (n int); grant select on prices to public";
    application.operator.execute(open).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.toml");
    let settings = format!(
        "data_dir = \"{}\"\nlisten = \"127.0.0.1:0\"\n[databases.orders]\n\
         url_env = \"ORDERS_URL\"\ntenant_key_env = \"ORDERS_KEY\"",
        folder.path().display()
    );
    std::fs::write(&file, settings).unwrap();
    let vars = [("ORDERS_URL", application.url.as_str()), ("ORDERS_KEY", &application.key)];
    let (code, said) = command(&["serve", "--config", file.to_str().unwrap()], &vars).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the database `orders` is not opened"), "{said}");
    assert!(said.contains("public.prices has no row-level security"), "{said}");
    assert!(!said.contains("guest@"), "{said}");
}
