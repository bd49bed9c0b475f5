//! What comes with a message: state, metadata, dependencies, media, and how much a stream tells.

use serde_json::{Value, json};

use crate::house::{House, Token};

async fn house() -> House {
    let house = House::serve().demo_models().open().await;
    house.push_example("memory").await;
    house
}

/// Runs `memory` in the session `s`; what its step saw.
async fn seen(house: &House, fields: &[(&str, &str)]) -> Value {
    let fields: Vec<_> =
        fields.iter().copied().chain([("message", "hello"), ("session_id", "s")]).collect();
    let run = house.run("memory", &fields).await.good();
    serde_json::from_str(run["content"].as_str().unwrap()).unwrap()
}

async fn state(house: &House) -> Value {
    house.get("/sessions/s").await.good()["session_state"].clone()
}

#[tokio::test]
async fn the_forms_state_lies_over_the_stored_which_began_as_the_workflows() {
    let house = house().await;

    assert_eq!(seen(&house, &[]).await["state"], json!({ "visits": 0 }));
    // What the step changed is stored, and the next run finds it.
    assert_eq!(state(&house).await, json!({ "visits": 1 }));
    let form = r#"{"deep": {"a": 1}, "kept": null}"#;
    let expected = json!({ "visits": 1, "deep": { "a": 1 }, "kept": null });
    assert_eq!(seen(&house, &[("session_state", form)]).await["state"], expected);
    let form = r#"{"visits": 40, "deep": {"b": 2}}"#;
    let expected = json!({ "visits": 40, "deep": { "a": 1, "b": 2 }, "kept": null });
    assert_eq!(seen(&house, &[("session_state", form)]).await["state"], expected);
    assert_eq!(state(&house).await["visits"], 41);
    // Nothing is not something.
    assert_eq!(seen(&house, &[("session_state", "null")]).await["state"]["visits"], 41);
    assert_eq!(seen(&house, &[("session_state", "{bad")]).await["state"]["visits"], 42);
    let fields = [("message", "x"), ("session_state", "[1]")];
    let refused = house.run("memory", &fields).await.refusal();
    let text = "Invalid session_state parameter: expected a JSON object";
    assert_eq!(refused, (400, text.into()));
}

#[tokio::test]
async fn a_streamed_run_leaves_its_state_too() {
    let house = house().await;
    let fields = [("message", "x"), ("session_id", "s"), ("session_state", r#"{"k": "v"}"#)];
    house.stream("memory", &fields).await.rest().await;
    assert_eq!(state(&house).await, json!({ "visits": 1, "k": "v" }));
}

#[tokio::test]
async fn what_comes_for_one_run_does_not_stay() {
    let house = house().await;
    let body = json!({ "session_id": "s", "metadata": { "team": "north", "who": "session" } });
    let made = house.send(reqwest::Method::POST, "/sessions", &body).await;
    assert_eq!(made.status, 201, "{}", made.text);

    let fields = [
        ("metadata", r#"{"who": "form"}"#),
        ("dependencies", r#"{"d": 2}"#),
        ("additional_data", "as it is"),
    ];
    let first = seen(&house, &fields).await;
    let second = seen(&house, &[]).await;

    assert_eq!(first["metadata"], json!({ "team": "north", "who": "form" }));
    assert_eq!(
        (&first["dependencies"], &first["additional_data"]),
        (&json!({ "d": 2 }), &json!("as it is"))
    );
    assert_eq!(second["metadata"], json!({ "team": "north", "who": "session" }));
    assert_eq!((&second["dependencies"], &second["additional_data"]), (&Value::Null, &Value::Null));
    let session = house.get("/sessions/s").await.good();
    assert_eq!(session["metadata"], json!({ "team": "north", "who": "session" }));
}

#[tokio::test]
async fn a_tokens_word_replaces_the_forms() {
    let house = House::serve()
        .guarded()
        .settings("dependencies_claims = [\"plan\"]\nsession_state_claims = [\"n\"]")
        .demo_models()
        .open()
        .await;
    house.push_example("memory").await;
    let ada = Token::of("acme", "ada").claim("plan", "gold").claim("n", 7);
    let fields = [
        ("message", "x"),
        ("session_id", "s"),
        ("dependencies", r#"{"plan": "free", "more": 1}"#),
        ("session_state", r#"{"n": 1, "more": 1}"#),
        ("user_id", "somebody else"),
    ];
    let run = house.run_as(&ada, "memory", &fields).await.good();
    let seen: Value = serde_json::from_str(run["content"].as_str().unwrap()).unwrap();
    assert_eq!(seen["dependencies"], json!({ "plan": "gold" }));
    assert_eq!(seen["state"], json!({ "visits": 0, "n": 7 }));
    assert_eq!(run["user_id"], "ada");
}

#[tokio::test]
async fn media_reach_the_step_and_are_shown_with_the_run() {
    let house = house().await;
    let fields = [
        ("message", "look"),
        ("session_id", "s"),
        ("images", r#"[{"url": "https://images.invalid/a.png", "id": "i"}, {"content": "AP8="}]"#),
        ("input_files", r#"[{"content": "plain words", "mime_type": "text/plain"}]"#),
    ];
    let run = house.run("memory", &fields).await.good();

    let seen: Value = serde_json::from_str(run["content"].as_str().unwrap()).unwrap();
    let url = "https://images.invalid/a.png";
    assert_eq!(
        seen["media"],
        json!([
            { "kind": "image", "bytes": null, "url": url, "mime_type": null },
            { "kind": "image", "bytes": 2, "url": null, "mime_type": null },
            { "kind": "file", "bytes": 11, "url": null, "mime_type": "text/plain" },
        ])
    );
    let stored = format!("/sessions/s/runs/{}", run["run_id"].as_str().unwrap());
    let stored = house.get(&stored).await.good();
    for run in [&run, &stored] {
        assert_eq!(run["images"][0], json!({ "id": "i", "url": url }));
        assert_eq!(run["images"][1]["content"], "AP8=");
        assert_eq!(run["files"][0]["content"], "plain words");
        assert_eq!((&run["audio"], &run["videos"]), (&json!([]), &json!([])));
    }
}

#[tokio::test]
async fn media_that_cannot_be_are_refused_and_nothing_runs() {
    let house = house().await;
    let broken = "could not reconstruct every media item";
    let no_list = "expected a JSON array of objects";
    for (field, text, why) in [
        ("images", "{}", no_list),
        ("images", "[1]", no_list),
        ("audio", "", no_list),
        ("images", r#"[{"id": "only"}]"#, broken),
        ("images", r#"[{"content": "no base64!"}]"#, broken),
        ("videos", r#"[{"filepath": "/etc/passwd"}]"#, broken),
        ("input_files", r#"[{"filepath": "/etc/passwd", "id": "x"}]"#, broken),
        ("input_files", r#"[{"url": "https://a", "mime_type": "application/evil"}]"#, broken),
    ] {
        let fields = [("message", "x"), ("session_id", "s"), (field, text)];
        let refused = house.run("memory", &fields).await.refusal();
        assert_eq!(refused, (422, format!("Invalid {field}: {why}")), "{text}");
    }
    let schema = [("message", "x"), ("session_id", "s"), ("output_schema", "{}")];
    assert_eq!(house.run("memory", &schema).await.status, 400);
    assert_eq!(house.get("/sessions/s").await.status, 404);
}

#[tokio::test]
async fn a_stream_may_leave_out_all_but_its_content() {
    let house = House::demo().open().await;
    let names = async |words: &str| {
        let fields = [("message", "the sea"), ("stream_events", words)];
        let events = house.stream("content-pipeline", &fields).await.rest().await;
        let mut names: Vec<_> = events.into_iter().map(|it| it.name).collect();
        names.dedup();
        names
    };
    let quiet = names("False").await;
    assert_eq!(
        (quiet[0].as_str(), quiet.last().unwrap().as_str()),
        ("WorkflowStarted", "WorkflowCompleted")
    );
    assert!(quiet.iter().any(|it| it == "RunContent"), "{quiet:?}");
    assert!(!quiet.iter().any(|it| it.starts_with("Step")), "{quiet:?}");
    // Agno knows the word for no; everything else is yes.
    assert!(names("0").await.iter().any(|it| it == "StepStarted"));
}
