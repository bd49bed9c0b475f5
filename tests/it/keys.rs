//! API keys: what programs show instead of tokens.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection, Executor};

use crate::house::{House, KEY, Reply, Token, command};

async fn house() -> House {
    let house = House::serve().guarded().demo_models().open().await;
    house.push_example("echo").await;
    house
}

/// Makes a key: its text, and its id.
async fn made(house: &House, body: Value) -> (String, String) {
    let reply = house.send(Method::POST, "/keys", &body).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    assert_eq!(reply.headers["cache-control"], "no-store");
    let body = reply.json();
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    (text("key"), text("id"))
}

async fn shown(house: &House, key: &str, method: Method, path: &str) -> Reply {
    let url = format!("{}{path}", house.address());
    Reply::of(reqwest::Client::new().request(method, url).bearer_auth(key)).await
}

async fn get(house: &House, key: &str, path: &str) -> Reply {
    shown(house, key, Method::GET, path).await
}

async fn run(house: &House, key: &str, fields: &[(&str, &str)]) -> Reply {
    let url = format!("{}/workflows/echo/runs", house.address());
    let fields: Vec<_> = fields.iter().chain(&[("message", "x"), ("stream", "false")]).collect();
    Reply::of(reqwest::Client::new().post(url).bearer_auth(key).form(&fields)).await
}

fn refused() -> (u16, String) {
    (401, "Invalid API key".into())
}

#[tokio::test]
async fn a_key_opens_as_its_user_until_it_is_deleted() {
    let mut house = house().await;
    let body = json!({
        "name": "CI", "roles": ["reader"], "scopes": ["workflows:echo:run"], "user_id": "robot",
        "expires_in_days": 30,
    });
    let (key, id) = made(&house, body).await;
    let secret = key.strip_prefix(&format!("smk_{id}_")).expect("its id stands in a key");
    assert_eq!(secret.len(), 43);

    let answer = run(&house, &key, &[("session_id", "s"), ("user_id", "ada")]).await.good();
    assert_eq!(answer["user_id"], "robot");
    get(&house, &key, "/workflows").await.good();
    // It sees what its user sees, and may what its scopes say.
    let list = "/workflows/echo/runs?session_id=s";
    get(&house, &key, list).await.good();
    house.get(list).await.good();
    let ada = Token::of("acme", "ada");
    house.run_as(&ada, "echo", &[("message", "x"), ("session_id", "a")]).await.good();
    assert_eq!(get(&house, &key, "/workflows/echo/runs?session_id=a").await.status, 404);
    let push = shown(&house, &key, Method::PUT, "/plugins/mine").await;
    assert_eq!(push.refusal(), lacking("plugins:write"));
    assert_eq!(get(&house, &key, "/keys").await.refusal(), lacking("agent_os:admin"));

    let listed = house.get("/keys").await.good();
    assert_eq!(listed[0]["id"], id.as_str());
    assert_eq!(listed[0]["roles"], json!(["reader"]));
    assert_eq!(listed[0]["created_by"], "admin");
    assert!(listed[0]["expires_at"].is_string());
    assert!(!listed.to_string().contains(secret));
    house.kill().await;
    house.start().await;
    get(&house, &key, "/workflows").await.good();

    let path = format!("/keys/{id}");
    let elsewhere = house.ask_as(&Token::admin("evil"), Method::DELETE, &path);
    assert_eq!(Reply::of(elsewhere).await.refusal(), (404, "Key not found".into()));
    assert_eq!(house.get_as(&Token::admin("evil"), "/keys").await.good(), json!([]));
    get(&house, &key, "/workflows").await.good();
    assert_eq!(Reply::of(house.ask(Method::DELETE, &path)).await.status, 204);
    let gone = get(&house, &key, "/workflows").await;
    assert_eq!(gone.refusal(), refused());
    assert_eq!(gone.headers["www-authenticate"], "Bearer");
    assert_eq!(Reply::of(house.ask(Method::DELETE, &path)).await.status, 404);
    assert!(!house.log().contains(secret), "{}", house.log());
}

fn lacking(scope: &str) -> (u16, String) {
    (403, format!("Insufficient permissions. Required scope(s): {scope}"))
}

#[tokio::test]
async fn what_is_no_key_opens_nothing() {
    let house = house().await;
    let (key, id) = made(&house, json!({ "name": "CI", "roles": ["operator"] })).await;
    get(&house, &key, "/plugins").await.good();
    let secret = key.rsplit_once(&format!("{id}_")).unwrap().1;
    let other = made(&house, json!({ "name": "other", "roles": ["reader"] })).await.0;
    let turned: String = secret.chars().rev().collect();
    for bad in [
        "smk_".to_owned(),
        format!("smk_{id}"),
        format!("smk_{id}_"),
        format!("smk_{id}_{turned}"),
        format!("smk_{id}_{}", &secret[1..]),
        format!("smk_{id}_{secret}x"),
        format!("smk_{id}_{}", other.rsplit_once('_').unwrap().1),
        format!("smk_{}_{secret}", id.to_uppercase()),
        format!("smk_{}_{secret}", "0".repeat(32)),
        format!("smk_{}_{secret}", "' or 1=1 --"),
        format!("smk_{}", "x".repeat(8_000)),
    ] {
        assert_eq!(get(&house, &bad, "/workflows").await.refusal(), refused(), "{bad}");
    }
    // Not where a browser would send it by itself, and not by another name.
    let bare = reqwest::Client::new();
    let url = format!("{}/workflows", house.address());
    let cookie = bare.get(&url).header("cookie", format!("access_token={key}"));
    assert_eq!(Reply::of(cookie).await.status, 401);
    assert_eq!(get(&house, &key.to_uppercase(), "/workflows").await.status, 401);
    let twice = bare.get(&url).bearer_auth(&key).bearer_auth(&key);
    assert_eq!(Reply::of(twice).await.status, 401);
}

#[tokio::test]
async fn a_key_does_no_more_than_whoever_made_it() {
    let house = house().await;
    let ask = async |token: &Token, body: &Value| {
        Reply::of(house.ask_as(token, Method::POST, "/keys").json(body)).await.refusal()
    };
    let admin = Token::admin("acme").scopes(&["agent_os:admin", "premium:use"]);
    let good = json!({ "name": "k", "roles": ["author"] });
    assert_eq!(ask(&Token::of("acme", "ada"), &good).await, lacking("agent_os:admin"));
    let author = Token::of("acme", "ada").claim("roles", "author");
    assert_eq!(ask(&author, &good).await, lacking("agent_os:admin"));
    assert_eq!(ask(&admin, &good).await.0, 201);
    assert_eq!(ask(&admin, &json!({ "name": "k", "scopes": ["premium:use"] })).await.0, 201);

    let too_much = (403, "A key may do no more than whoever makes it".to_owned());
    for scope in ["stepmill:operator", "premium:sell", "anything"] {
        let body = json!({ "name": "k", "scopes": ["workflows:run", scope] });
        assert_eq!(ask(&admin, &body).await, too_much, "{scope}");
    }
    let operator = Token::operator("acme");
    let beyond = json!({ "name": "k", "scopes": ["stepmill:operator"] });
    assert_eq!(ask(&operator, &beyond).await, too_much);
    assert_eq!(ask(&operator, &json!({ "name": "k", "scopes": ["premium:sell"] })).await.0, 201);
    let no_role = json!({ "name": "k", "roles": ["reader", "owner"] });
    assert_eq!(ask(&admin, &no_role).await, (400, "There is no such role".into()));

    // A key that is an admin's looks after keys, but makes none: it would outlive itself.
    let (key, id) = made(&house, json!({ "name": "k", "roles": ["operator"] })).await;
    assert_eq!(get(&house, &key, "/keys").await.good().as_array().unwrap().len(), 4);
    let url = format!("{}/keys", house.address());
    let more = reqwest::Client::new().post(url).bearer_auth(&key).json(&good);
    assert_eq!(Reply::of(more).await.refusal(), (403, "A key makes no keys".into()));
    let shared = shown(&house, &key, Method::DELETE, "/plugins/echo?shared=true").await;
    assert_eq!(shared.status, 403);
    assert_eq!(shown(&house, &key, Method::DELETE, &format!("/keys/{id}")).await.status, 204);
}

#[tokio::test]
async fn keys_are_for_admins_also_where_workflows_ask_for_no_scope() {
    let house = House::serve()
        .guarded()
        .settings("[auth]\nauthorization = false")
        .demo_models()
        .open()
        .await;
    let ada = Token::of("acme", "ada");
    assert_eq!(house.get_as(&ada, "/keys").await.refusal(), lacking("agent_os:admin"));
    let body = json!({ "name": "k", "roles": ["reader"] });
    let made = Reply::of(house.ask_as(&ada, Method::POST, "/keys").json(&body)).await;
    assert_eq!(made.refusal(), lacking("agent_os:admin"));
}

#[tokio::test]
async fn fields_of_a_new_key_are_read_strictly() {
    let house = house().await;
    for (body, field) in [
        (json!({ "roles": ["reader"] }), json!(["body", "name"])),
        (json!({ "name": "", "roles": ["reader"] }), json!(["body", "name"])),
        (json!({ "name": "a\u{0}b", "roles": ["reader"] }), json!(["body", "name"])),
        (json!({ "name": "ü".repeat(129), "roles": ["reader"] }), json!(["body", "name"])),
        (json!({ "name": "k", "roles": "reader" }), json!(["body", "roles"])),
        (json!({ "name": "k", "roles": vec!["reader"; 17] }), json!(["body", "roles"])),
        (json!({ "name": "k", "roles": ["reader", 7] }), json!(["body", "roles", 1])),
        (json!({ "name": "k", "scopes": ["a b"] }), json!(["body", "scopes", 0])),
        (json!({ "name": "k", "scopes": ["x".repeat(129)] }), json!(["body", "scopes", 0])),
        (json!({ "name": "k", "scopes": vec!["a:b"; 65] }), json!(["body", "scopes"])),
        (json!({ "name": "k", "roles": ["reader"], "user_id": 7 }), json!(["body", "user_id"])),
        (json!({ "name": "k", "expires_in_days": 0 }), json!(["body", "expires_in_days"])),
        (json!({ "name": "k", "expires_in_days": 3_651 }), json!(["body", "expires_in_days"])),
        (json!({ "name": "k", "expires_in_days": 1.5 }), json!(["body", "expires_in_days"])),
        (json!({ "name": "k", "expires_in_days": "1" }), json!(["body", "expires_in_days"])),
    ] {
        let reply = house.send(Method::POST, "/keys", &body).await;
        assert_eq!((reply.status, &reply.json()["detail"][0]["loc"]), (422, &field), "{body}");
    }
    for body in [
        json!({ "name": "k" }),
        json!({ "name": "k", "roles": [], "scopes": null }),
        json!({ "name": "k", "roles": ["reader"], "user_id": "sa:robot" }),
        json!({ "name": "k", "roles": ["reader"], "user_id": "" }),
    ] {
        assert_eq!(house.send(Method::POST, "/keys", &body).await.status, 400, "{body}");
    }
    assert_eq!(house.get("/keys").await.good(), json!([]));
}

/// Changes rows of a host that is not running.
async fn rewrite(house: &House, sql: &'static str) {
    match house.database_url() {
        Some(url) => {
            let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
            connection.execute(sql).await.unwrap();
        }
        None => {
            let url = format!("sqlite://{}", house.data().join("stepmill.sqlite").display());
            let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
            connection.execute(sql).await.unwrap();
            connection.close().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_key_ends_when_its_time_is_over() {
    let mut house = house().await;
    let body = json!({ "name": "k", "roles": ["reader"], "expires_in_days": 1 });
    let (key, id) = made(&house, body).await;
    get(&house, &key, "/workflows").await.good();

    house.stop().await;
    rewrite(&house, "update api_keys set expires_at = created_at + 1").await;
    house.start().await;

    assert_eq!(get(&house, &key, "/workflows").await.refusal(), refused());
    // It is still there to be seen, with when it was shown, and to be deleted.
    let listed = house.get("/keys").await.good();
    assert_eq!(listed[0]["id"], id.as_str());
    assert!(listed[0]["last_used_at"].is_string());
}

#[tokio::test]
async fn a_host_with_a_key_of_its_own_takes_keys_of_tenants_too() {
    let house = House::serve()
        .settings("[auth.key]\nkey_env = \"HOST_KEY\"")
        .var("HOST_KEY", KEY)
        .demo_models()
        .open()
        .await;
    let body = json!({ "name": "k", "roles": ["runner"], "user_id": "robot" });
    let url = format!("{}/keys", house.address());
    let made = Reply::of(reqwest::Client::new().post(url).bearer_auth(KEY).json(&body)).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let key = made.json()["key"].as_str().unwrap().to_owned();

    get(&house, &key, "/workflows").await.good();
    assert_eq!(get(&house, &key, "/sessions").await.good()["meta"]["total_count"], 0);
    assert_eq!(get(&house, &key, "/keys").await.refusal(), lacking("agent_os:admin"));
    let push = shown(&house, &key, Method::PUT, "/plugins/mine").await;
    assert_eq!(push.refusal(), lacking("plugins:write"));
    assert_eq!(get(&house, "smk_x", "/workflows").await.refusal(), refused());
    let wrong = get(&house, "nope", "/workflows").await;
    assert_eq!(wrong.refusal(), (401, "Invalid authentication token".into()));
}

#[tokio::test]
async fn a_host_without_authentication_asks_for_no_key() {
    let house = House::serve().demo_models().open().await;
    get(&house, "smk_x", "/workflows").await.good();
}

#[tokio::test]
async fn push_takes_a_key() {
    let house = house().await;
    let (key, _) = made(&house, json!({ "name": "CI", "roles": ["author"] })).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.wasm");
    std::fs::write(&file, crate::house::example("echo")).unwrap();
    let args = ["push", file.to_str().unwrap(), "--url", house.address()];
    let (code, said) = command(&args, &[("STEPMILL_TOKEN", &key)]).await;
    assert_eq!(code, Some(0), "{said}");
}
