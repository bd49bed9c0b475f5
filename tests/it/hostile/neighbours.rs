//! A plugin that names what is another tenant's: keys, secrets, databases, sessions and runs.

use reqwest::Method;
use serde_json::json;

use crate::house::{House, Reply, Token, hostile, hostile_describing};

/// Stands in everything that is acme's.
const CANARY: &str = "canary-of-acme";

/// What `build` of eve's plugin tries, and what it hears. Both tenants have a plugin of each name.
const ORDERS: [(&str, &str, &str, &str); 20] = [
    ("the same key", "hostile", "kv-get key", "Ok(None)"),
    ("a key with the tenant in front", "hostile", "kv-get acme/hostile/key", "Ok(None)"),
    ("a key with a way up", "hostile", "kv-get ../../acme/hostile/key", "Ok(None)"),
    ("a key with a column's end", "hostile", "kv-get acme\u{1f}hostile\u{1f}key", "Ok(None)"),
    ("a key that is any key", "hostile", "kv-get %", "Ok(None)"),
    ("a key that is a statement", "hostile", "kv-get ' or '1'='1", "Ok(None)"),
    ("the same key of a shared plugin", "shared", "kv-get key", "Ok(None)"),
    ("a setting", "hostile", "config word", "Ok(None)"),
    ("a setting with the tenant in front", "hostile", "config acme/word", "Ok(None)"),
    ("the same secret", "sender", "secret key", "Err(SecretError::Unknown)"),
    ("a secret with the tenant in front", "sender", "secret acme/key", "SecretError::NotGranted"),
    ("a secret with a way up", "sender", "secret ../acme/key", "SecretError::NotGranted"),
    ("a secret of another name", "sender", "secret other", "SecretError::NotGranted"),
    ("a secret that is a statement", "sender", "secret ' or '1'='1", "SecretError::NotGranted"),
    ("a database with a way up", "sender", "query ../acme", "DatabaseError::NotGranted"),
    ("a database with the tenant in front", "sender", "query acme/orders", "NotGranted"),
    ("another tenant's file", "sender", "sql attach '{acme}' as a", "DatabaseError::Invalid"),
    (
        "another tenant's file as a table",
        "sender",
        "sql select readfile('{acme}')",
        "DatabaseError::",
    ),
    ("the table that acme has", "sender", "sql select title from orders", "DatabaseError::"),
    ("where the file lies", "sender", "sql select file from pragma_database_list", "DatabaseError"),
];

async fn house(folder: &std::path::Path) -> House {
    let house = House::serve()
        .guarded()
        .demo_models()
        .settings(&format!(
            "[databases.orders]\nurl = \"sqlite:{}/{{tenant}}.sqlite\"",
            folder.display()
        ))
        .settings(
            "[policy]\nallow = [\"clock\", \"randomness\", \"config\", \"kv\", \"model:*\", \
             \"http:127.0.0.1\", \"http:api.example.com\", \"secret:key\", \"database:orders:write\"]\n\
             [policy.plugins.\"acme/hostile\"]\nallow = [\"clock\", \"randomness\", \
             \"config\", \"kv\", \"model:*\", \"http:127.0.0.1\", \"http:api.example.com\"]\n\
             config = { word = \"canary-of-acme\" }",
        )
        .open()
        .await;
    for tenant in ["acme", "eve"] {
        let admin = Token::admin(tenant);
        // The second may send secrets and ask databases besides.
        for (id, component) in [("hostile", hostile()), ("sender", hostile_describing(b'e'))] {
            let pushed = house.push_as(&admin, id, component).await;
            assert_eq!(pushed.status, 201, "{}", pushed.text);
        }
    }
    let shared = house.ask_as(&Token::operator("ops"), Method::PUT, "/plugins/shared?shared=true");
    assert_eq!(Reply::of(shared.body(hostile())).await.status, 201);
    house
}

async fn run(house: &House, tenant: &str, workflow: &str, session: &str, message: &str) -> Reply {
    let fields = [("session_id", session), ("message", message)];
    house.run_as(&Token::admin(tenant), workflow, &fields).await
}

/// Acme has something of each kind, by the same names.
async fn furnish(house: &House) -> String {
    for (workflow, message) in [
        ("hostile", "kv-set 5"),
        ("shared", "kv-set 5"),
        ("sender", "sql-write create table orders (title text)"),
        ("sender", "sql-write insert into orders values ('canary-of-acme')"),
    ] {
        run(house, "acme", workflow, "furnish", message).await.good();
    }
    let secret = json!({ "value": CANARY, "hosts": ["127.0.0.1"] });
    house.send(Method::PUT, "/secrets/key", &secret).await.good();
    let state = json!({ "word": CANARY });
    let run = run(house, "acme", "hostile", "of-acme", &format!("state {state}")).await.good();
    assert_eq!(house.get("/sessions/of-acme").await.good()["session_state"], state);
    run["run_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_is_anothers_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(folder.path()).await;
    let run_id = furnish(&house).await;
    let acme = folder.path().join("acme.sqlite").display().to_string();
    assert!(std::fs::exists(&acme).unwrap(), "acme has a file");

    for (kind, workflow, order, heard) in ORDERS {
        // As a function: a session's id would have to be a good one.
        let order = order.replace("{acme}", &acme);
        let reply = run(&house, "eve", workflow, "mine", &order).await;
        let said = reply.good()["content"].to_string();
        assert!(said.contains(heard), "{kind}: {said}");
        assert!(!reply.text.contains(CANARY) && !said.contains("acme.sqlite\""), "{kind}: {said}");
    }

    // A session of acme's name is eve's own, and begins empty.
    let said = run(&house, "eve", "hostile", "of-acme", "input").await;
    assert!(said.good()["content"].as_str().unwrap().contains("session-state: \"{}\""));
    run(&house, "eve", "hostile", "of-acme", "state {\"word\":\"eve\"}").await.good();
    let state = house.get("/sessions/of-acme").await.good()["session_state"].clone();
    assert_eq!(state, json!({ "word": CANARY }));
    for path in [
        format!("/workflows/hostile/runs/{run_id}?session_id=of-acme"),
        format!("/sessions/of-acme/runs/{run_id}?type=workflow"),
    ] {
        assert_eq!(house.get_as(&Token::admin("eve"), &path).await.status, 404, "{path}");
    }
    // Nothing of it was changed.
    let own = run(&house, "acme", "hostile", "mine", "kv-get key").await.good();
    assert_eq!(own["content"], "Ok(Some([7, 7, 7, 7, 7]))");
    let own = run(&house, "acme", "sender", "mine", "sql select title from orders").await.good();
    assert_eq!(own["content"], CANARY);
    println!(
        "hostile: {} names of another tenant's, and nothing of it was there",
        ORDERS.len() + 3
    );
}
