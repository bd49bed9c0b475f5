//! Limits by policy: what a tenant and its plugins may use, in words the caller can act on.

use reqwest::Method;
use serde_json::{Value, json};
use stepmill_fake_provider::FakeProvider;
use tokio::task::JoinSet;

use crate::house::{House, Reply, Token, example, hostile};

/// The operator says how much there may be.
async fn limit(house: &House, query: &str, limits: Value) {
    let request = house.ask_as(&Token::operator("ops"), Method::PUT, &format!("/policy{query}"));
    let allow = json!(["config", "kv", "model:*", "clock", "randomness", "http:api.example.com"]);
    Reply::of(request.json(&json!({ "allow": allow, "limits": limits }))).await.good();
}

async fn push_as(house: &House, tenant: &str, id: &str, component: Vec<u8>) -> Reply {
    let request = house.ask_as(&Token::admin(tenant), Method::PUT, &format!("/plugins/{id}"));
    Reply::of(request.body(component)).await
}

fn refused(reply: &Reply) -> (u16, String) {
    (reply.status, reply.json()["error_id"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_tenant_stores_as_many_plugins_as_it_may() {
    let house = House::serve().guarded().demo_models().open().await;
    limit(&house, "?tenant=acme", json!({ "plugins": 1 })).await;
    house.push_example("echo").await;
    let second = house.push("memory", example("memory")).await;
    assert_eq!(refused(&second), (409, "too_many_plugins".into()));
    assert!(second.refusal().1.contains("has 1 plugins"), "{}", second.text);
    // In the place of the one it has, another may come; and others are not concerned.
    assert_eq!(house.push("echo", example("memory")).await.status, 200);
    assert_eq!(push_as(&house, "other", "echo", example("echo")).await.status, 201);
    assert_eq!(push_as(&house, "other", "memory", example("memory")).await.status, 201);

    limit(&house, "?tenant=acme", json!({ "plugin_bytes": 1_000 })).await;
    let large = house.push("echo", example("echo")).await;
    assert_eq!(refused(&large), (413, "plugins_too_large".into()));
    assert_eq!(house.get("/plugins/echo").await.good()["upload"], Value::Null);
}

#[tokio::test]
async fn a_tenant_asks_as_often_as_it_may() {
    let house = House::serve().guarded().demo_models().open().await;
    limit(&house, "?tenant=acme", json!({ "requests_per_minute": 3 })).await;
    for _ in 0..3 {
        house.get("/workflows").await.good();
    }
    let refusal = house.get("/workflows").await;
    assert_eq!(refused(&refusal), (429, "too_many_requests".into()));
    let wait: u64 = refusal.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    // A refusal does not wait for the body; a small one is sent before it arrives.
    let upload = house.push("echo", vec![0; 1 << 10]).await;
    assert_eq!(refused(&upload), (429, "too_many_requests".into()));
    house.get("/health").await.good();
    house.get_as(&Token::of("other", "bob"), "/workflows").await.good();
}

#[tokio::test]
async fn a_plugin_has_the_limits_of_its_policy_and_of_its_tenants() {
    let host = House::serve().guarded().demo_models().generous();
    let house = host.settings("[limits]\nhost_calls = 50").open().await;
    for (tenant, limits) in [
        ("acme", json!({ "host_calls": 5, "nodes": 10, "log_lines_per_minute": 3 })),
        ("other", json!({ "host_calls": 100 })),
    ] {
        limit(&house, &format!("?tenant={tenant}"), limits).await;
        assert_eq!(push_as(&house, tenant, "hostile", hostile()).await.status, 201);
    }
    let run = async |tenant: &str, order: &str| {
        let fields = [("message", "x"), ("session_id", order)];
        house.run_as(&Token::admin(tenant), "hostile", &fields).await
    };
    assert_eq!(
        refused(&run("acme", "kv-many 6").await),
        (500, "plugin_host_calls_exhausted".into())
    );
    run("other", "kv-many 6").await.good();
    assert_eq!(
        refused(&run("other", "kv-many 51").await),
        (500, "plugin_host_calls_exhausted".into())
    );
    assert_eq!(refused(&run("acme", "nodes 11").await), (500, "graph_invalid".into()));
    run("acme", "log 5").await.good();
    let said = house.log().matches("plugin acme/hostile says: line").count();
    assert_eq!(said, 3, "{}", house.log());
    assert_eq!(house.log().matches("acme/hostile says too much").count(), 1, "{}", house.log());
    // A plugin's own policy is narrower than its tenant's.
    limit(&house, "?tenant=other&plugin=hostile", json!({ "host_calls": 2 })).await;
    assert_eq!(
        refused(&run("other", "kv-many 6").await),
        (500, "plugin_host_calls_exhausted".into())
    );
}

#[tokio::test]
async fn a_plugin_has_as_many_runs_at_once_as_it_may_in_each_tenant() {
    let provider = FakeProvider::open().await.unwrap();
    let house = House::serve().guarded().models_at(&provider.url("gate")).open().await;
    let root = Token::operator("ops");
    let shared = house.ask_as(&root, Method::PUT, "/plugins/content-pipeline?shared=true");
    assert_eq!(Reply::of(shared.body(example("content-pipeline"))).await.status, 201);
    limit(&house, "?plugin=content-pipeline", json!({ "runs": 1 })).await;
    let start = |tenant: &str| {
        let path = "/workflows/content-pipeline/runs";
        let request = house.ask_as(&Token::admin(tenant), Method::POST, path);
        Reply::of(request.form(&[("message", "x"), ("stream", "false")]))
    };
    let mut runs = JoinSet::new();
    runs.spawn(start("acme"));
    provider.arrived(1).await;
    assert_eq!(refused(&start("acme").await), (429, "workflow_busy".into()));
    runs.spawn(start("other"));
    provider.arrived(2).await;
    provider.release_answers(100);
    for run in runs.join_all().await {
        assert_eq!(run.good()["status"], "COMPLETED");
    }
}

#[tokio::test]
async fn a_tenant_keeps_as_much_as_it_may_and_reads_what_it_uses() {
    let house = House::serve().guarded().demo_models().generous().open().await;
    limit(&house, "?tenant=acme", json!({ "kv_bytes": 50_000, "runs": 5, "nodes": 99_999 })).await;
    for tenant in ["acme", "other"] {
        assert_eq!(push_as(&house, tenant, "hostile", hostile()).await.status, 201);
    }
    let keep = async |tenant: &str, order: &str| {
        let run =
            house.run_as(&Token::admin(tenant), "hostile", &[("message", order)]).await.good();
        run["content"].as_str().unwrap().to_owned()
    };
    assert_eq!(keep("acme", "kv-set 60000").await, "Err(KvError::TooLarge(0))");
    assert_eq!(keep("acme", "kv-set 40000").await, "Ok(())");
    assert_eq!(keep("other", "kv-set 60000").await, "Ok(())");

    let found = house.get_as(&Token::of("acme", "ada"), "/limits").await.good();
    assert_eq!(found["tenant"], "acme");
    let (limits, used) = (&found["limits"], &found["used"]);
    assert_eq!((&limits["kv_bytes"], &limits["runs"]), (&json!(50_000), &json!(5)));
    // What the host allows anybody.
    assert_eq!((&limits["nodes"], &limits["cpu_ms"]), (&json!(1_000), &json!(1_000)));
    assert_eq!(limits["requests_per_minute"], Value::Null);
    let bytes = hostile().len();
    assert_eq!(
        *used,
        json!({ "runs": 0, "calls": 0, "plugins": 1, "plugin_bytes": bytes, "kv_bytes": 40_103 })
    );

    let nosy = house.get("/limits?tenant=other").await;
    assert_eq!(nosy.refusal(), (403, "Only the host's operator may do this".into()));
    let root = Token::operator("ops");
    let other = house.get_as(&root, "/limits?tenant=other").await.good();
    assert_eq!((&other["tenant"], &other["used"]["kv_bytes"]), (&json!("other"), &json!(60_103)));
}
