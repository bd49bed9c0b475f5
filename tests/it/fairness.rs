//! Tenants beside each other: what one has too much of is refused to it, and to nobody else.

use serde_json::Value;
use stepmill_fake_provider::FakeProvider;
use tokio::task::JoinSet;

use crate::house::{House, Reply, Token, example};

/// A house whose model waits to be released, with the two-step workflow for all tenants.
async fn house(provider: &FakeProvider, settings: &str) -> House {
    let builder = House::serve().guarded().models_at(&provider.url("gate")).settings(settings);
    let house = builder.open().await;
    let path = "/plugins/content-pipeline?shared=true";
    let request = house.ask_as(&Token::operator("ops"), reqwest::Method::PUT, path);
    let reply = Reply::of(request.body(example("content-pipeline"))).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    house
}

/// A run of a tenant, asked for and not waited for.
fn start(runs: &mut JoinSet<Reply>, house: &House, tenant: &str, session: &str) {
    let path = "/workflows/content-pipeline/runs";
    let request = house.ask_as(&Token::admin(tenant), reqwest::Method::POST, path);
    let fields = [("message", "Write"), ("stream", "false"), ("session_id", session)];
    runs.spawn(Reply::of(request.form(&fields)));
}

#[tokio::test]
async fn a_tenant_at_its_cap_is_refused_while_anothers_run_is_taken() {
    let provider = FakeProvider::open().await.unwrap();
    let house = house(&provider, "[runs]\nconcurrent = 3\ntenant_concurrent = 2").await;
    let mut runs = JoinSet::new();
    start(&mut runs, &house, "acme", "a");
    start(&mut runs, &house, "acme", "b");
    provider.arrived(2).await;

    let refused = house.run("content-pipeline", &[("message", "x")]).await;
    assert_eq!(refused.status, 429, "{}", refused.text);
    assert_eq!(refused.json()["error_id"], "tenant_busy");
    assert_eq!(refused.headers["retry-after"], "1");
    start(&mut runs, &house, "other", "c");
    provider.arrived(3).await;
    // Now nobody's run is taken, and that is not this tenant's doing.
    let busy = house.run_as(&Token::admin("third"), "content-pipeline", &[("message", "x")]).await;
    assert_eq!((busy.status, &busy.json()["error_id"]), (503, &Value::from("busy")));

    provider.release_answers(100);
    for run in runs.join_all().await {
        assert_eq!(run.good()["status"], "COMPLETED");
    }
    house.run("content-pipeline", &[("message", "x")]).await.good();
}

/// A host that comes back goes on with what it took on, as many at once as a tenant may have.
#[tokio::test]
async fn unfinished_runs_keep_to_the_cap_and_none_is_lost() {
    let provider = FakeProvider::open().await.unwrap();
    let mut house = house(&provider, "[runs]\ntenant_concurrent = 4").await;
    let sessions = ["a", "b", "c"];
    let mut runs = JoinSet::new();
    sessions.iter().for_each(|it| start(&mut runs, &house, "acme", it));
    start(&mut runs, &house, "other", "d");
    provider.arrived(4).await;
    house.kill().await;
    while let Some(run) = runs.join_next().await {
        assert!(run.is_err(), "the host was killed while it was asked");
    }

    house.change_settings("tenant_concurrent = 4", "tenant_concurrent = 1");
    house.start().await;
    // One run of each tenant is under way again.
    provider.arrived(6).await;
    let refused = house.run("content-pipeline", &[("message", "x")]).await;
    assert_eq!(refused.status, 429, "{}", refused.text);
    provider.release_answers(100);
    for session in sessions {
        let path = format!("/sessions/{session}/runs?type=workflow");
        loop {
            let runs = house.get(&path).await.good();
            if runs[0]["status"] == "COMPLETED" {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
    }
}
