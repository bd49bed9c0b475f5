//! Secrets: sent where they may go, and nowhere to be read.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection, Row};

use crate::house::{Echo, House, Reply, Token, fetcher, files, sender};

const VALUE: &str = "sk-Every/Thing+Else=\"is\\public\"";

async fn house() -> House {
    let house = House::serve()
        .guarded()
        .demo_models()
        .settings("[outbound]\nallow_http = true\nallow_private = true")
        .settings("[policy]\nallow = [\"kv\", \"model:*\", \"http:127.0.0.1\", \"secret:key\"]")
        .var("STEPMILL_LOG", "debug,hyper_util=trace,reqwest=trace")
        .open()
        .await;
    assert_eq!(house.push("sender", sender()).await.status, 201);
    house
}

async fn put(house: &House, token: &Token, name: &str, secret: Value) -> Reply {
    let path = format!("/secrets/{name}");
    Reply::of(house.ask_as(token, Method::PUT, &path).json(&secret)).await
}

/// Everything that the database holds, as text.
async fn rows(house: &House) -> String {
    let Some(url) = house.database_url() else { return String::new() };
    let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
    let tables = "select tablename from pg_tables where schemaname = 'public'";
    let mut text = String::new();
    for table in sqlx::query(tables).fetch_all(&mut connection).await.unwrap() {
        let sql = format!("select it::text from {} as it", table.get::<String, _>(0));
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
        rows.iter().for_each(|it| text.push_str(it.get(0)));
    }
    text
}

#[tokio::test]
async fn a_secret_is_sent_and_is_nowhere_to_be_read() {
    let (house, echo) = (house().await, Echo::open().await);
    let admin = Token::admin("acme");
    let secret = json!({ "value": VALUE, "hosts": ["GET,POST 127.0.0.1/right/*"] });
    let mut said = vec![put(&house, &admin, "key", secret).await.text];

    let orders = |it: &str, path: &str| format!("{it} {}", echo.url(path));
    for order in [
        "leak".to_owned(),
        orders("send header GET", "/wrong/a"),
        orders("send body POST", "/wrong/a"),
        orders("send header DELETE", "/right/a"),
        orders("send header GET", "/right/../wrong/a"),
        orders("send url GET", "/right/"),
        orders("send url GET", "/right/?key="),
        orders("send name GET", "/right/a"),
        orders("send method GET", "/right/a"),
        orders("send binary POST", "/right/a"),
        "send header GET http://localhost/right/a".to_owned(),
    ] {
        let fields = [("message", order.as_str()), ("session_id", "leak")];
        let run = house.run("sender", &fields).await;
        assert_eq!(run.status, 200, "{order}: {}", run.text);
        let content = run.json()["content"].to_string();
        let is_refused = content.contains("NotGranted") || content.contains("Invalid");
        assert_eq!(is_refused, order.starts_with("send"), "{order}: {content}");
        said.push(run.text);
    }
    assert!(echo.heard().is_empty(), "nothing was sent where it may not go");

    for (order, sent) in [
        (orders("send header GET", "/right/a"), format!("authorization: Bearer {VALUE}")),
        (orders("send body POST", "/right/a"), format!("{{\"key\":\"{VALUE}\"}}")),
    ] {
        let run = house.run("sender", &[("message", &order), ("session_id", "right")]).await;
        let content = run.good()["content"].to_string();
        assert!(content.contains("stepmill-secret-"), "{content}");
        let heard = echo.heard();
        assert!(heard.len() == 1 && heard[0].contains(&sent), "{heard:?}");
        said.push(run.text);
    }

    for refusal in ["leak-permission", "leak-validation", "leak-other"] {
        said.push(house.run("sender", &[("message", ""), ("session_id", refusal)]).await.text);
    }
    let report = [("message", "leak-report"), ("session_id", "leak")];
    said.push(house.run("sender", &report).await.text);
    let events = house.stream("sender", &[("message", "leak"), ("session_id", "leak")]).await;
    said.extend(events.rest().await.iter().map(|it| it.data.to_string()));
    for path in [
        "/secrets",
        "/plugins/sender",
        "/workflows/sender",
        "/workflows/sender/runs?session_id=leak",
        "/sessions?type=workflow",
        "/sessions/leak?type=workflow",
        "/sessions/leak/runs?type=workflow",
        "/sessions/right/runs?type=workflow",
    ] {
        let reply = house.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
        said.push(reply.text);
    }

    let mut found = vec![said.join("\n").into_bytes(), house.log().into_bytes()];
    assert!(found.iter().all(|it| has(it, "stepmill-secret-")), "what is looked for is there");
    found.push(rows(&house).await.into_bytes());
    files(&house.data(), &mut found);
    let json = Value::from(VALUE).to_string();
    let hex: String = VALUE.bytes().map(|it| format!("{it:02x}")).collect();
    for text in found {
        for disguise in ["sk-Every", json.trim_matches('"'), &hex, &STANDARD.encode(VALUE)] {
            assert!(!has(&text, disguise), "{disguise} in {}", String::from_utf8_lossy(&text));
        }
    }
}

#[tokio::test]
async fn a_languages_own_fetch_goes_through_the_same_door() {
    let (house, echo) = (house().await, Echo::open().await);
    assert_eq!(house.push("fetcher", fetcher()).await.status, 201);
    let secret = json!({ "value": VALUE, "hosts": ["GET,POST 127.0.0.1/right/*"] });
    put(&house, &Token::admin("acme"), "key", secret).await.good();
    let fetch = async |method: &str, path: &str, place: &str| {
        let order = format!("{method} {} {place}", echo.url(path));
        let run = house.run("fetcher", &[("message", &order), ("session_id", "s")]).await.good();
        run["content"].as_str().unwrap().to_owned()
    };
    for (place, sent) in [
        ("header", format!("authorization: Bearer {VALUE}")),
        ("body", format!("{{\"key\":\"{VALUE}\"}}")),
    ] {
        let said = fetch("POST", "/right/a", place).await;
        assert!(said.starts_with("200\n") && said.contains("stepmill-secret-"), "{said}");
        assert!(!said.contains("sk-Every"), "{said}");
        let heard = echo.heard();
        assert!(heard.len() == 1 && heard[0].contains(&sent), "{heard:?}");
        assert!(heard[0].contains(&format!("host: 127.0.0.1:{}", echo.port)), "{heard:?}");
    }
    let refused = "ErrorCode::HttpRequestDenied";
    assert_eq!(fetch("GET", "/wrong/a", "header").await, refused);
    assert_eq!(fetch("DELETE", "/right/a", "header").await, refused);
    let elsewhere = format!("GET http://localhost:{}/right/a", echo.port);
    let run = house.run("fetcher", &[("message", &elsewhere), ("session_id", "s")]).await.good();
    assert_eq!(run["content"], refused);
    assert!(echo.heard().is_empty());
}

fn has(text: &[u8], word: &str) -> bool {
    text.windows(word.len()).any(|it| it == word.as_bytes())
}

#[tokio::test]
async fn a_shared_plugin_uses_the_operators_secrets_and_a_tenants_its_own() {
    let (house, echo) = (house().await, Echo::open().await);
    let (acme, root) = (Token::admin("acme"), Token::operator("ops"));
    let path = "/plugins/shared?shared=true";
    let shared = house.ask_as(&root, Method::PUT, path).body(sender());
    assert_eq!(Reply::of(shared).await.status, 201);
    let ask = async |workflow: &str| {
        let order = format!("send header GET {}", echo.url("/"));
        house.run(workflow, &[("message", "secret key"), ("session_id", "s")]).await.good();
        house.run(workflow, &[("message", &order), ("session_id", "s")]).await.json()
    };
    let secret = |value: &str| json!({ "value": value, "hosts": ["127.0.0.1"] });
    assert_eq!(put(&house, &acme, "key", secret("of-the-tenant")).await.status, 200);
    let answer = ask("sender").await;
    assert!(answer["content"].to_string().contains("stepmill-secret-"), "{answer}");
    assert!(echo.heard()[0].contains("Bearer of-the-tenant"));
    // There is a secret of this name, and it is not the operator's.
    let unknown = house.run("shared", &[("message", "secret key"), ("session_id", "s")]).await;
    assert_eq!(unknown.good()["content"], "Err(SecretError::Unknown)");

    assert_eq!(put(&house, &root, "key?shared=true", secret("of-the-operator")).await.status, 200);
    ask("shared").await;
    ask("sender").await;
    let heard = echo.heard();
    assert!(heard[0].contains("Bearer of-the-operator"), "{heard:?}");
    assert!(heard[1].contains("Bearer of-the-tenant"), "{heard:?}");
}

#[tokio::test]
async fn secrets_belong_to_who_may() {
    let house = house().await;
    let (acme, root) = (Token::admin("acme"), Token::operator("ops"));
    let secret =
        json!({ "value": "hunter2hunter2", "hosts": ["API.example.com", "POST b.test/x/*"] });
    let kept = put(&house, &acme, "key", secret.clone()).await.good();
    assert_eq!(kept["hosts"], json!(["api.example.com", "POST b.test/x/*"]));
    assert_eq!((&kept["usable"], &kept["updated_by"]), (&json!(true), &json!("admin")));
    let again = put(&house, &acme, "key", secret.clone()).await.good();
    assert_eq!(again["created_at"], kept["created_at"]);
    let listed = house.get_as(&acme, "/secrets").await.good();
    assert_eq!(listed, json!([again]));
    assert_eq!(house.get_as(&Token::admin("other"), "/secrets").await.good(), json!([]));
    assert_eq!(house.get_as(&root, "/secrets?shared=true").await.good(), json!([]));

    let ada = Token::of("acme", "ada");
    for (token, scope) in [
        (ada.clone(), "secrets:write"),
        (ada.clone().scopes(&["secrets:read", "secrets:delete"]), "secrets:write"),
    ] {
        let refused = put(&house, &token, "key", secret.clone()).await;
        let text = format!("Insufficient permissions. Required scope(s): {scope}");
        assert_eq!(refused.refusal(), (403, text));
    }
    let writer = ada.scope("secrets:write");
    assert_eq!(put(&house, &writer, "other", secret.clone()).await.status, 200);
    assert_eq!(house.get_as(&writer, "/secrets").await.status, 403);
    let only = "Only the host's operator may do this".to_owned();
    let shared = put(&house, &acme, "key?shared=true", secret.clone()).await;
    assert_eq!(shared.refusal(), (403, only.clone()));
    assert_eq!(house.get_as(&acme, "/secrets?shared=true").await.refusal(), (403, only));

    let delete = async |token: &Token, path: &str| {
        Reply::of(house.ask_as(token, Method::DELETE, path)).await.status
    };
    assert_eq!(delete(&writer, "/secrets/key").await, 403);
    assert_eq!(delete(&Token::admin("other"), "/secrets/key").await, 404);
    assert_eq!(delete(&acme, "/secrets/key").await, 204);
    assert_eq!(delete(&acme, "/secrets/key").await, 404);
}

#[tokio::test]
async fn what_is_no_secret_is_refused_without_a_word_of_it() {
    let house = house().await;
    let acme = Token::admin("acme");
    let there = json!(["a.test"]);
    for (body, rule) in [
        (json!({ "value": "hunter2", "hosts": there }), "value: must have 8 to 4096 bytes"),
        (json!({ "value": "hunter2\nhunter2", "hosts": there }), "value: must be visible ASCII"),
        (json!({ "value": "hunter2hunter2", "hosts": [] }), "hosts: must be 1 to 16"),
        (json!({ "value": "hunter2hunter2", "hosts": ["hunter2:1"] }), "hosts.0: must be a place"),
        (json!({ "value": "hunter2hunter2" }), "must be an object"),
        (json!({ "value": ["hunter2hunter2"], "hosts": there }), "must be an object"),
        (json!({ "hunter2": "", "value": "x", "hosts": there }), "must be an object"),
        (json!("hunter2hunter2"), "must be an object"),
        (json!(null), "must be an object"),
    ] {
        let refused = put(&house, &acme, "key", body).await;
        assert_eq!(refused.status, 422, "{}", refused.text);
        assert!(refused.refusal().1.contains(rule), "{}", refused.text);
        assert!(!refused.text.contains("hunter2"), "{}", refused.text);
    }
    let broken = house.ask_as(&acme, Method::PUT, "/secrets/key").body("{\"value\":\"hunter2");
    let broken = Reply::of(broken).await;
    assert_eq!((broken.status, broken.text.contains("hunter2")), (422, false), "{}", broken.text);
    let secret = json!({ "value": "hunter2hunter2", "hosts": there });
    assert_eq!(put(&house, &acme, "KEY", secret.clone()).await.status, 400);
    for it in 0..100 {
        assert_eq!(put(&house, &acme, &format!("key-{it}"), secret.clone()).await.status, 200);
    }
    assert_eq!(put(&house, &acme, "key", secret.clone()).await.status, 409);
    assert_eq!(put(&house, &acme, "key-7", secret).await.status, 200);
    assert!(!house.log().contains("hunter2"));
}

#[tokio::test]
async fn a_lost_key_is_said_and_harms_nobody_else() {
    let mut house = house().await;
    let acme = Token::admin("acme");
    let secret = json!({ "value": "hunter2hunter2", "hosts": ["127.0.0.1"] });
    put(&house, &acme, "key", secret.clone()).await.good();
    let key = house.data().join("secrets.key");
    let ask = async |house: &House| {
        let run = house.run("sender", &[("message", "secret key"), ("session_id", "s")]).await;
        run.good()["content"].as_str().unwrap().to_owned()
    };
    assert!(ask(&house).await.contains("stepmill-secret-"));
    house.stop().await;
    std::fs::rename(&key, house.data().join("moved.key")).unwrap();
    house.start().await;
    assert!(house.log().contains("1 secrets cannot be used"), "{}", house.log());
    assert_eq!(ask(&house).await, "Err(SecretError::Unavailable)");
    assert_eq!(house.get_as(&acme, "/secrets").await.good()[0]["usable"], false);
    // Said anew, it is sealed with a new key.
    assert_eq!(put(&house, &acme, "key", secret).await.good()["usable"], true);
    assert!(ask(&house).await.contains("stepmill-secret-"));
}

#[tokio::test]
async fn a_new_key_seals_what_the_old_one_sealed() {
    let mut house = house().await;
    let acme = Token::admin("acme");
    let secret = json!({ "value": "hunter2hunter2", "hosts": ["127.0.0.1"] });
    put(&house, &acme, "key", secret).await.good();
    let ask = async |house: &House| {
        let run = house.run("sender", &[("message", "secret key"), ("session_id", "s")]).await;
        run.good()["content"].as_str().unwrap().to_owned()
    };
    let old = std::fs::read_to_string(house.data().join("secrets.key")).unwrap();
    house.stop().await;
    house.change(|it| {
        it.settings("[secrets]\nkey_env = \"NEW_KEY\"\nold_keys = [{ key_env = \"OLD_KEY\" }]")
            .var("NEW_KEY", "ab".repeat(32))
            .var("OLD_KEY", old)
    });
    house.start().await;
    assert!(house.log().contains("sealed 1 secrets"), "{}", house.log());
    house.stop().await;
    // The old key is needed no more.
    house.change(|it| it.var("OLD_KEY", "cd".repeat(32)));
    house.start().await;
    assert!(ask(&house).await.contains("stepmill-secret-"));
    assert_eq!(house.get_as(&acme, "/secrets").await.good()[0]["usable"], true);
}
