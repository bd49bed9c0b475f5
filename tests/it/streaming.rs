//! Streams: true ones, in order, and not tied to their listener.

use stepmill_fake_provider::FakeProvider;

use crate::house::House;

fn runs(names: Vec<String>) -> Vec<(String, usize)> {
    let mut runs: Vec<(String, usize)> = Vec::new();
    for name in names {
        match runs.last_mut() {
            Some((last, count)) if *last == name => *count += 1,
            _ => runs.push((name, 1)),
        }
    }
    runs
}

#[tokio::test]
async fn events_come_in_agnos_order_with_agnos_fields() {
    let provider = FakeProvider::open().await.unwrap();
    let house = House::serve().models_at(&provider.url("ok")).open().await;
    house.push_example("content-pipeline").await;
    let fields = [("message", "sea"), ("user_id", "u"), ("session_state", r#"{"k":1}"#)];
    let events = house.stream("content-pipeline", &fields).await;
    assert_eq!(events.status, 200);
    assert_eq!(events.headers["content-type"], "text/event-stream; charset=utf-8");
    let events = events.rest().await;

    let step = [
        ("StepStarted", 1),
        ("RunStarted", 1),
        ("ModelRequestStarted", 1),
        ("RunContent", 0),
        ("ModelRequestCompleted", 1),
        ("RunContentCompleted", 1),
        ("RunCompleted", 1),
        ("StepCompleted", 1),
    ];
    let mut expected = vec!["WorkflowStarted"];
    expected.extend(step.iter().chain(&step).map(|it| it.0));
    expected.push("WorkflowCompleted");
    let told = runs(events.iter().map(|it| it.name.clone()).collect());
    assert_eq!(told.iter().map(|it| it.0.as_str()).collect::<Vec<_>>(), expected);
    assert!(told.iter().filter(|it| it.0 == "RunContent").all(|it| 4 <= it.1), "{told:?}");

    let first = |name: &str| events.iter().find(|it| it.name == name).unwrap();
    let keys = |name: &str| {
        first(name).data.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ")
    };
    let state = first("RunCompleted").data["session_state"].as_object().unwrap();
    let state: Vec<_> = state.keys().map(String::as_str).collect();
    assert_eq!(state, ["k", "current_user_id", "current_session_id", "current_run_id"]);
    assert_eq!(
        keys("StepStarted"),
        "created_at event workflow_id workflow_name session_id run_id step_id nested_depth step_name step_index"
    );
    assert_eq!(
        keys("RunStarted"),
        "created_at event agent_id agent_name run_id session_id workflow_id workflow_run_id step_id step_name \
         step_index nested_depth model model_provider"
    );
    // The first says what the provider calls the answer, the others have its words.
    assert!(keys("RunContent").ends_with(
        "nested_depth workflow_agent content_type reasoning_content model_provider_data"
    ));
    assert!(first("RunContent").data["model_provider_data"]["response_id"].is_string());
    assert!(
        keys("WorkflowCompleted")
            .ends_with("content content_type metadata metrics step_results step_executor_runs")
    );
    assert_eq!(first("RunStarted").data["model_provider"], "OpenAI");

    // The pieces are the whole.
    let pieces: String = events
        .iter()
        .take_while(|it| it.name != "StepCompleted")
        .filter(|it| it.name == "RunContent")
        .filter_map(|it| it.data["content"].as_str())
        .collect();
    assert_eq!(first("StepCompleted").data["content"], pieces.as_str());
    assert_eq!(first("StepCompleted").data["step_response"]["content"], pieces.as_str());
}

#[tokio::test]
async fn pieces_leave_as_the_model_sends_them() {
    let provider = FakeProvider::open().await.unwrap();
    let house = House::serve().models_at(&provider.url("gate-deltas")).open().await;
    house.push_example("content-pipeline").await;
    let mut events = house.stream("content-pipeline", &[("message", "sea")]).await;
    events.until("ModelRequestStarted").await;
    // The provider holds every piece back until this test lets it go: what arrives was not saved up.
    for place in 0..3 {
        provider.release_deltas(1);
        if place == 0 {
            // What the answer is called comes with its first words.
            let began = events.until("RunContent").await;
            assert!(began.data.get("content").is_none(), "{:?}", began.data);
        }
        let piece = events.until("RunContent").await;
        assert!(!piece.data["content"].as_str().unwrap().is_empty());
    }
    provider.release_deltas(1_000);
    events.until("WorkflowCompleted").await;
}

#[tokio::test]
async fn a_run_goes_on_when_nobody_listens() {
    let provider = FakeProvider::open().await.unwrap();
    let house = House::serve().models_at(&provider.url("gate")).open().await;
    house.push_example("content-pipeline").await;
    let mut events =
        house.stream("content-pipeline", &[("message", "sea"), ("session_id", "s")]).await;
    let started = events.until("WorkflowStarted").await;
    drop(events);

    provider.release_answers(2);
    provider.arrived(2).await;
    let path = format!(
        "/workflows/content-pipeline/runs/{}?session_id=s",
        started.data["run_id"].as_str().unwrap()
    );
    let mut run = house.get(&path).await.good();
    for _ in 0..200 {
        if run["status"] != "RUNNING" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        run = house.get(&path).await.good();
    }
    assert_eq!(run["status"], "COMPLETED");
    assert_eq!(run["step_results"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_model_that_fails_is_an_event_and_never_the_providers_words() {
    let provider = FakeProvider::open().await.unwrap();
    let house = House::serve().models_at(&provider.url("500")).open().await;
    house.push_example("content-pipeline").await;
    let names: Vec<_> = house
        .stream("content-pipeline", &[("message", "sea")])
        .await
        .rest()
        .await
        .into_iter()
        .map(|it| it.name)
        .collect();
    assert_eq!(
        names,
        [
            "WorkflowStarted",
            "StepStarted",
            "RunStarted",
            "ModelRequestStarted",
            "RunError",
            "StepError",
            "WorkflowError"
        ]
    );
    let reply = house.run("content-pipeline", &[("message", "sea"), ("session_id", "s")]).await;
    let body = reply.json();
    assert_eq!((reply.status, body["error_id"].as_str()), (500, Some("model_failed")));
    assert_eq!(body["detail"], "Step 'draft' failed: the model provider failed");
    // The failed run has its ids in the answer, and can be read back.
    let path = format!(
        "/workflows/content-pipeline/runs/{}?session_id=s",
        body["run_id"].as_str().unwrap()
    );
    let run = house.get(&path).await.good();
    assert_eq!(run["status"], "ERROR");
    assert_eq!(run["step_results"][0]["success"], false);
}

#[tokio::test]
async fn two_runs_at_once_do_not_mix() {
    let house = House::demo().open().await;
    let one = async |word: String| {
        let run = house.run("echo", &[("message", word.as_str())]).await.good();
        assert_eq!(run["content"], word.as_str());
    };
    futures::future::join_all((0..64).map(|it| one(format!("word {it}")))).await;
}
