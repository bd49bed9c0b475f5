//! The audit log: every upload, grant, key and delete, and who was not let do something.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{House, Reply, Token, example};

/// The lines somebody reads, the latest first, without what differs each time.
async fn lines(house: &House, who: &Token, query: &str) -> Vec<Value> {
    let mut lines = house.get_as(who, &format!("/audit{query}")).await.good();
    let lines = lines.as_array_mut().unwrap();
    for line in lines.iter_mut() {
        for key in ["sequence", "at", "detail"] {
            line.as_object_mut().unwrap().remove(key);
        }
    }
    std::mem::take(lines)
}

fn line(action: &str, target: &str, user: &str) -> Value {
    json!({ "action": action, "target": target, "user_id": user, "times": 1 })
}

#[tokio::test]
async fn what_was_changed_is_in_the_log_of_its_tenant() {
    let mut house = House::serve().guarded().demo_models().open().await;
    let (admin, root) = (Token::admin("acme"), Token::operator("ops"));
    house.push_example("echo").await;
    let run = house.run("echo", &[("message", "x"), ("session_id", "s")]).await;
    assert_eq!(run.status, 200);
    let deleted = Reply::of(house.ask(Method::DELETE, "/sessions/s")).await;
    assert_eq!(deleted.status, 204, "{}", deleted.text);
    let made =
        house.send(Method::POST, "/keys", &json!({ "name": "ci", "roles": ["author"] })).await;
    let (id, key) = (made.json()["id"].clone(), made.json()["key"].clone());
    let (id, key) = (id.as_str().unwrap(), key.as_str().unwrap_or_default());
    let secret = json!({ "value": "not-to-be-seen", "hosts": ["api.example.com"] });
    let kept = house.send(Method::PUT, "/secrets/crm-key", &secret).await;
    assert!(kept.status < 300, "{}", kept.text);
    let forgotten = Reply::of(house.ask(Method::DELETE, "/secrets/crm-key")).await;
    assert_eq!(forgotten.status, 204, "{}", forgotten.text);
    let put = house.ask_as(&root, Method::PUT, "/policy?tenant=acme").json(&json!({}));
    assert_eq!(Reply::of(put).await.status, 200);
    let put = house.ask_as(&root, Method::PUT, "/plugins/all?shared=true").body(example("echo"));
    assert_eq!(Reply::of(put).await.status, 201);
    assert_eq!(Reply::of(house.ask(Method::DELETE, "/plugins/echo")).await.status, 204);
    assert_eq!(Reply::of(house.ask(Method::DELETE, &format!("/keys/{id}"))).await.status, 204);
    // What is not there is not deleted.
    assert_eq!(Reply::of(house.ask(Method::DELETE, "/plugins/echo")).await.status, 404);
    assert_eq!(Reply::of(house.ask(Method::DELETE, "/sessions/s")).await.status, 204);

    house.kill().await;
    house.start().await;
    let own = [
        line("key.delete", id, "admin"),
        line("plugin.delete", "echo", "admin"),
        line("secret.delete", "crm-key", "admin"),
        line("secret.put", "crm-key", "admin"),
        line("key.create", id, "admin"),
        line("session.delete", "s", "admin"),
        line("plugin.upload", "echo", "admin"),
    ];
    assert_eq!(lines(&house, &admin, "").await, own);
    assert_eq!(lines(&house, &root, "?tenant=acme").await, own);
    assert_eq!(lines(&house, &admin, "?action=plugin.upload&limit=5").await, own[6..]);
    assert_eq!(
        lines(&house, &root, "?host=true").await,
        [line("plugin.upload", "all", "root"), line("policy.put", "tenants.acme", "root")]
    );
    let all = house.get_as(&admin, "/audit").await.text;
    assert!(
        !all.contains("smk_")
            && !all.contains("not-to-be-seen")
            && (key.is_empty() || !all.contains(key)),
        "{all}"
    );

    assert_eq!(lines(&house, &Token::admin("evil"), "").await, [json!(null); 0]);
    for query in ["?tenant=acme", "?host=true"] {
        let refused = house.get_as(&Token::admin("evil"), &format!("/audit{query}")).await;
        assert_eq!(refused.refusal(), (403, "Only the host's operator may do this".into()));
    }
    let refused = house.get_as(&Token::of("acme", "ada"), "/audit").await;
    assert_eq!(refused.status, 403);
    assert_eq!(house.get_as(&admin, "/audit?action=all").await.status, 400);
}

#[tokio::test]
async fn who_was_not_let_in_is_in_the_log() {
    let mut house = House::serve().guarded().demo_models().open().await;
    let ada = Token::of("acme", "ada");
    for it in 0..20 {
        assert_eq!(house.get_as(&ada, &format!("/plugins/secret-{it}")).await.status, 403);
    }
    let stranger = reqwest::Client::new().get(format!("{}/workflows", house.address()));
    assert_eq!(Reply::of(stranger.bearer_auth("eyJ.x.y")).await.status, 401);
    // Told to stop, the host writes what it counted.
    assert_eq!(house.stop().await, Some(0));
    house.start().await;

    let mut denied = line("access.denied", "GET /plugins/{id}", "ada");
    denied["times"] = json!(20);
    let found = lines(&house, &Token::admin("acme"), "").await;
    let times: u64 = found.iter().map(|it| it["times"].as_u64().unwrap()).sum();
    assert_eq!((times, &found[0]["target"]), (20, &denied["target"]), "{found:?}");
    let unknown = json!({ "action": "access.denied", "target": "GET /workflows", "times": 1 });
    assert_eq!(lines(&house, &Token::operator("ops"), "?host=true").await, [unknown]);
}

#[tokio::test]
async fn a_running_host_writes_what_it_counted_soon() {
    let house = House::serve().guarded().demo_models().open().await;
    assert_eq!(house.get_as(&Token::of("acme", "ada"), "/plugins").await.status, 403);
    let admin = Token::admin("acme");
    while lines(&house, &admin, "").await.is_empty() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
