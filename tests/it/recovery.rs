//! `kill -9`, at several lines: no accepted run is lost, and nothing answered is asked again.

use std::time::Duration;

use serde_json::Value;
use stepmill_fake_provider::FakeProvider;

use crate::house::House;

async fn finished(house: &House, path: &str) -> Value {
    for _ in 0..400 {
        let run = house.get(path).await.good();
        if run["status"] != "RUNNING" {
            return run;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the run did not finish:\n{}", house.log());
}

/// Killed while the second step's model is asked: the first answer is kept, only the second
/// question is put again.
#[tokio::test]
async fn killed_between_steps() {
    let provider = FakeProvider::open().await.unwrap();
    let mut house = House::serve().models_at(&provider.url("gate")).open().await;
    house.push_example("content-pipeline").await;
    let fields = [("message", "Write about the sea"), ("session_id", "s")];
    let mut events = house.stream("content-pipeline", &fields).await;
    let started = events.until("WorkflowStarted").await;
    provider.release_answers(1);
    let first = events.until("StepCompleted").await;
    provider.arrived(2).await;
    house.kill().await;
    assert!(events.next().await.is_none_or(|it| it.name != "WorkflowCompleted"));

    provider.release_answers(10);
    house.start().await;
    let path = format!(
        "/workflows/content-pipeline/runs/{}?session_id=s",
        started.data["run_id"].as_str().unwrap()
    );
    let run = finished(&house, &path).await;

    assert_eq!(run["status"], "COMPLETED");
    assert_eq!(run["step_results"][0]["content"], first.data["content"]);
    assert_eq!(run["step_results"][0]["step_id"], first.data["step_id"]);
    let second = run["step_results"][1]["content"].as_str().unwrap();
    assert!(second.contains(first.data["content"].as_str().unwrap()), "{second}");
    // Draft, edit, and edit again: nothing that was answered is asked twice.
    let asked: Vec<_> =
        provider.requests().iter().map(|it| is_draft(&it.body.to_string())).collect();
    assert_eq!(asked, [true, false, false]);
    // What a listener would have heard: no piece of the broken call twice.
    let events = run["events"].as_array().unwrap();
    let heard: String = events
        .iter()
        .filter(|it| it["event"] == "RunContent" && it["step_index"] == 1)
        .filter_map(|it| it["content"].as_str())
        .collect();
    assert_eq!(heard, second);
}

fn is_draft(request: &str) -> bool {
    request.contains("You are a content drafter") && !request.contains("You are an editor")
}

#[tokio::test]
async fn killed_in_the_middle_of_an_answer() {
    let provider = FakeProvider::open().await.unwrap();
    let mut house = House::serve().models_at(&provider.url("gate-deltas")).open().await;
    house.push_example("content-pipeline").await;
    let mut events =
        house.stream("content-pipeline", &[("message", "sea"), ("session_id", "s")]).await;
    let started = events.until("WorkflowStarted").await;
    provider.release_deltas(2);
    events.until("RunContent").await;
    house.kill().await;

    provider.release_deltas(10_000);
    house.start().await;
    let path = format!(
        "/workflows/content-pipeline/runs/{}?session_id=s",
        started.data["run_id"].as_str().unwrap()
    );
    let run = finished(&house, &path).await;
    assert_eq!(run["status"], "COMPLETED");
    let pieces: String = run["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["event"] == "RunContent" && it["step_index"] == 0)
        .filter_map(|it| it["content"].as_str())
        .collect();
    assert_eq!(run["step_results"][0]["content"], pieces.as_str());
}

#[tokio::test]
async fn a_run_keeps_the_code_it_was_accepted_with() {
    let provider = FakeProvider::open().await.unwrap();
    let mut house = House::serve().models_at(&provider.url("gate")).generous().open().await;
    // Under one id: first a workflow with a model and a function, then quite another plugin.
    let reply = house.push("changing", crate::house::hostile()).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    let fields = [("message", "stop kept its code"), ("session_id", "s")];
    let mut events = house.stream("changing", &fields).await;
    let started = events.until("ModelRequestStarted").await;
    provider.arrived(1).await;
    assert_eq!(house.push("changing", crate::house::example("echo")).await.status, 200);
    house.kill().await;

    provider.release_answers(10);
    house.start().await;
    let id = started.data["workflow_run_id"].as_str().unwrap();
    let run = finished(&house, &format!("/workflows/changing/runs/{id}?session_id=s")).await;
    assert_eq!(run["content"], "kept its code");
    assert_eq!(house.run("changing", &[("message", "new")]).await.good()["workflow_name"], "Echo");
}

#[tokio::test]
async fn a_host_that_is_asked_to_stop_lets_runs_finish() {
    let provider = FakeProvider::open().await.unwrap();
    let mut house = House::serve().models_at(&provider.url("gate")).open().await;
    house.push_example("content-pipeline").await;
    let request = house.run_request("content-pipeline", &[("message", "sea")]);
    let stopping = async {
        provider.arrived(1).await;
        // The second answer is let go only after the host was asked to stop.
        provider.release_answers(1);
        provider.arrived(2).await;
        let stopped = house.stop();
        provider.release_answers(1);
        stopped.await
    };
    let (reply, code) = futures::future::join(crate::house::Reply::of(request), stopping).await;
    assert_eq!(code, Some(0));
    assert_eq!(reply.good()["status"], "COMPLETED");
}

#[tokio::test]
async fn a_host_that_stops_before_a_run_ends_leaves_it_to_the_next() {
    let provider = FakeProvider::open().await.unwrap();
    let settings = "[http]\ndrain_timeout_ms = 100";
    let mut house = House::serve().models_at(&provider.url("gate")).settings(settings).open().await;
    house.push_example("content-pipeline").await;
    let mut events =
        house.stream("content-pipeline", &[("message", "sea"), ("session_id", "s")]).await;
    let started = events.until("WorkflowStarted").await;
    provider.arrived(1).await;
    assert_eq!(house.stop().await, Some(0));
    let farewell = events.until("WorkflowError").await;
    assert_eq!(farewell.data["error_id"], "stopping");

    provider.release_answers(10);
    house.start().await;
    let path = format!(
        "/workflows/content-pipeline/runs/{}?session_id=s",
        started.data["run_id"].as_str().unwrap()
    );
    assert_eq!(finished(&house, &path).await["status"], "COMPLETED");
}

#[tokio::test]
async fn a_run_that_ends_as_it_begins_is_not_taken_up_again() {
    // No provider at all: the first step fails before anything outside is asked.
    let mut house = House::serve().settings("[models]").open().await;
    house.push_example("content-pipeline").await;
    let reply = house.run("content-pipeline", &[("message", "sea"), ("session_id", "s")]).await;
    let body = reply.json();
    assert_eq!((reply.status, body["error_id"].as_str()), (500, Some("model_unknown")));
    house.kill().await;
    house.start().await;
    let path = format!(
        "/workflows/content-pipeline/runs/{}?session_id=s",
        body["run_id"].as_str().unwrap()
    );
    assert_eq!(house.get(&path).await.good()["status"], "ERROR");
    assert!(!house.log().contains("taken up again"), "{}", house.log());
}
