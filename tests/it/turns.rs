//! Runs of one session at the same moment: each leaves in its state what it changed itself.

use reqwest::Method;
use serde_json::{Value, json};
use stepmill_fake_provider::FakeProvider;

use crate::house::{House, Reply, hostile};
use crate::session_walls::ended;

/// A workflow whose agent waits for the gate, and whose function then sets the whole state to
/// what the message says.
async fn house(provider: &FakeProvider, settings: &str) -> House {
    let house =
        House::serve().models_at(&provider.url("gate")).settings(settings).generous().open().await;
    assert_eq!(house.push("hostile", hostile()).await.status, 201);
    let body =
        json!({ "session_id": "s", "session_state": { "n": 1, "gone": 1, "in": { "a": 1 } } });
    assert_eq!(house.send(Method::POST, "/sessions", &body).await.status, 201);
    house
}

/// A run that makes this of the state.
async fn makes(house: &House, state: Value) -> Reply {
    let fields = [("message", &*format!("state {state}")), ("session_id", "s")];
    Reply::of(house.run_request("hostile", &fields)).await
}

async fn state(house: &House) -> Value {
    house.get("/sessions/s").await.good()["session_state"].clone()
}

#[tokio::test]
async fn each_leaves_what_it_changed() {
    let provider = FakeProvider::open().await.unwrap();
    let house = house(&provider, "").await;
    let meanwhile = async {
        // All three have found the state as it was.
        provider.arrived(3).await;
        let change =
            json!({ "session_state": { "n": 1, "gone": 1, "in": { "a": 1 }, "by": "patch" } });
        house.send(Method::PATCH, "/sessions/s", &change).await.good();
        provider.release_answers(3);
    };

    let (one, two, three, ()) = futures::future::join4(
        makes(&house, json!({ "n": 2, "gone": 1, "in": { "a": 1 } })),
        makes(&house, json!({ "n": 1, "in": { "a": 1, "b": { "c": 1 } } })),
        makes(&house, json!({ "n": 1, "gone": 1, "in": { "a": 1 } })),
        meanwhile,
    )
    .await;

    for run in [one, two, three] {
        assert_eq!(run.good()["status"], "COMPLETED");
    }
    let expected = json!({ "n": 2, "in": { "a": 1, "b": { "c": 1 } }, "by": "patch" });
    assert_eq!(state(&house).await, expected);
}

#[tokio::test]
async fn a_run_that_was_killed_leaves_no_more_than_it_changed() {
    let provider = FakeProvider::open().await.unwrap();
    let mut house = house(&provider, "").await;
    let message = format!("state {}", json!({ "n": 2, "in": { "a": 1 } }));
    let fields = [("message", message.as_str()), ("session_id", "s")];
    let mut events = house.stream("hostile", &fields).await;
    let started = events.until("WorkflowStarted").await;
    provider.arrived(1).await;
    house.kill().await;
    // A client writes before the run goes on, which waits for the gate.
    house.start().await;
    let change = json!({ "session_state": { "gone": 1, "in": { "a": 2 }, "by": "patch" } });
    house.send(Method::PATCH, "/sessions/s", &change).await.good();
    provider.release_answers(10);

    let path = format!("/sessions/s/runs/{}", started.data["run_id"].as_str().unwrap());
    assert_eq!(ended(&house, &path).await["status"], "COMPLETED");

    assert_eq!(state(&house).await, json!({ "n": 2, "in": { "a": 2 }, "by": "patch" }));
}

#[tokio::test]
async fn a_run_whose_change_has_no_place_any_more_fails_and_says_so() {
    let provider = FakeProvider::open().await.unwrap();
    let house = house(&provider, "[runs]\nstate_bytes = 1000").await;
    let large = "x".repeat(600);
    let meanwhile = async {
        provider.arrived(2).await;
        provider.release_answers(2);
    };

    let (one, two, ()) = futures::future::join3(
        makes(&house, json!({ "one": large })),
        makes(&house, json!({ "two": large })),
        meanwhile,
    )
    .await;

    let (lost, kept, name) = if one.status == 200 { (two, one, "one") } else { (one, two, "two") };
    assert_eq!(kept.good()["status"], "COMPLETED");
    let told = lost.json();
    assert_eq!(
        (lost.status, &told["error_id"], &told["status"], &told["detail"]),
        (
            500,
            &json!("plugin_over_limit"),
            &json!("ERROR"),
            &json!("the plugin went over a limit of the host")
        )
    );
    // It is kept as it was told, with what its steps did.
    let path = format!("/sessions/s/runs/{}", told["run_id"].as_str().unwrap());
    let run = house.get(&path).await.good();
    assert_eq!(
        (&run["status"], run["step_results"].as_array().unwrap().len()),
        (&json!("ERROR"), 2)
    );
    assert_eq!(state(&house).await, json!({ name: large }));
}

#[tokio::test]
async fn what_clients_send_at_the_same_moment_stays() {
    let house = House::serve().demo_models().open().await;
    house.push_example("memory").await;
    let names: Vec<_> = (0..20).map(|it| format!("client {it}")).collect();
    let running = names.iter().map(async |name| {
        let said = json!({ name: true }).to_string();
        let fields = [("message", "x"), ("session_id", "s"), ("session_state", said.as_str())];
        house.run("memory", &fields).await.good()
    });

    futures::future::join_all(running).await;

    let state = state(&house).await;
    for name in &names {
        assert_eq!(state[name], true, "{name}: {state}");
    }
}
