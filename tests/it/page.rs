//! The page this host imitates, top to bottom, against the demo as it comes, and against a host
//! with tokens.

use serde_json::{Value, json};

use crate::house::{House, Token};

fn names(run: &Value) -> Vec<&str> {
    run["step_results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["step_name"].as_str().unwrap())
        .collect()
}

fn models(run: &Value) -> Vec<&str> {
    let runs = run["step_executor_runs"].as_array().unwrap();
    runs.iter().map(|it| it["model"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_curl_of_the_page_works_as_printed() {
    let house = House::demo().open().await;
    let form = reqwest::multipart::Form::new()
        .text("message", "Write a blog post about sustainable energy")
        .text("user_id", "tenant_42")
        .text("stream", "false");
    let request =
        house.ask(reqwest::Method::POST, "/workflows/content-pipeline/runs").multipart(form);
    let run = crate::house::Reply::of(request).await.good();

    let keys: Vec<_> = run.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "input",
            "content",
            "content_type",
            "workflow_id",
            "workflow_name",
            "run_id",
            "session_id",
            "user_id",
            "created_at",
            "status",
            "metadata",
            "images",
            "videos",
            "audio",
            "files",
            "step_results",
            "step_executor_runs",
            "metrics"
        ]
    );
    assert_eq!(run["status"], "COMPLETED");
    assert_eq!(run["workflow_name"], "Content Pipeline");
    assert_eq!(run["user_id"], "tenant_42");
    assert_eq!(names(&run), ["draft", "edit"]);
    assert_eq!(models(&run), ["gpt-5.4", "gpt-5.4"]);
    // The prompt has the caller in it, and the editor gets what the drafter wrote.
    let agents = &run["step_executor_runs"];
    assert!(agents[0]["messages"][0]["content"].as_str().unwrap().contains("for tenant tenant_42"));
    assert_eq!(agents[1]["input"]["input_content"], agents[0]["content"]);
    assert_eq!(run["content"], agents[1]["content"]);
    // The stand-in says what it is.
    assert!(
        run["content"].as_str().unwrap().to_lowercase().contains("demo model"),
        "{}",
        run["content"]
    );
    assert_eq!(
        run["step_results"][0]["metrics"]["details"]["model"][0]["provider"],
        "Stepmill Demo"
    );
}

#[tokio::test]
async fn the_demo_lists_the_pages_workflows_and_three_more() {
    let house = House::demo().open().await;
    let list = house.get("/workflows").await.good();
    let ids: Vec<_> =
        list.as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(
        ids,
        [
            "content-pipeline",
            "article-pipeline",
            "async-pipeline",
            "pipeline",
            "guarded-pipeline",
            "echo",
            "memory",
            "prototype"
        ]
    );
    let content = &list[0];
    assert_eq!(
        *content,
        json!({
            "id": "content-pipeline", "name": "Content Pipeline",
            "description": "Builds a draft-then-edit content workflow per tenant.",
            "db_id": "stepmill", "is_factory": true, "is_component": false, "sandboxed": false
        })
    );
    let pipeline = house.get("/workflows/pipeline").await.good();
    assert_eq!(
        pipeline["factory_input_schema"]["properties"]["include_research"]["type"],
        "boolean"
    );
    assert_eq!(pipeline["input_schema"], pipeline["factory_input_schema"]);
    let prototype = house.get("/workflows/prototype").await.good();
    assert_eq!(prototype["is_factory"], false);
    assert_eq!(prototype["steps"][0]["agent"]["system_message"]["instructions"], "Be first.");
    assert_eq!(house.get("/workflows/nobody").await.refusal(), (404, "Workflow not found".into()));
}

#[tokio::test]
async fn every_example_of_the_demo_runs() {
    let house = House::demo().open().await;
    for (workflow, steps) in [
        ("article-pipeline", vec!["draft", "edit"]),
        ("async-pipeline", vec!["outline", "write"]),
        ("pipeline", vec!["draft", "edit"]),
        ("echo", vec!["echo"]),
        ("memory", vec!["remember"]),
        ("prototype", vec!["first", "second"]),
    ] {
        let run = house.run(workflow, &[("message", "the sea")]).await.good();
        assert_eq!(names(&run), steps, "{workflow}");
    }
    let echo = house.run("echo", &[("message", "the sea")]).await.good();
    assert_eq!(echo["content"], "the sea");
}

#[tokio::test]
async fn the_tier_in_the_token_shapes_the_steps_and_nothing_else_does() {
    let house = House::serve().guarded().demo_models().open().await;
    house.push_example("article-pipeline").await;
    let ada = Token::of("acme", "ada");

    let free = house.run_as(&ada, "article-pipeline", &[("message", "sea")]).await.good();
    assert_eq!(names(&free), ["draft", "edit"]);
    assert_eq!(models(&free), ["gpt-4.1-mini"; 2]);

    let rich = ada.clone().claim("tier", "enterprise");
    let rich = house.run_as(&rich, "article-pipeline", &[("message", "sea")]).await.good();
    assert_eq!(names(&rich), ["research", "draft", "edit"]);
    assert_eq!(models(&rich), ["gpt-5.4-pro"; 3]);

    // Everything a client can write.
    let forged = [
        ("message", "sea"),
        ("tier", "enterprise"),
        ("factory_input", r#"{"tier":"enterprise","claims":{"tier":"enterprise"}}"#),
        ("claims", r#"{"tier":"enterprise"}"#),
        ("user_id", "somebody-else"),
        ("trusted", r#"{"claims":{"tier":"enterprise"}}"#),
    ];
    let forged = house.run_as(&ada, "article-pipeline", &forged).await.good();
    assert_eq!(names(&forged), ["draft", "edit"]);
    assert_eq!(forged["user_id"], "ada");
}

#[tokio::test]
async fn input_that_is_not_valid_is_refused_before_the_factory_runs() {
    let house = House::demo().open().await;
    let with = async |input: &str| {
        house.run("pipeline", &[("message", "sea"), ("factory_input", input)]).await
    };

    // Clients of Agno write `"yes"`, too.
    for research in [r#"{"include_research": true}"#, r#"{"include_research": "yes"}"#] {
        assert_eq!(names(&with(research).await.good()), ["research", "draft", "edit"]);
    }
    assert_eq!(names(&with("{}").await.good()), ["draft", "edit"]);
    let (status, detail) = with(r#"{"include_research": "maybe"}"#).await.refusal();
    assert_eq!(status, 400);
    let (first, place) = detail.split_once('\n').unwrap();
    assert!(
        first.starts_with("factory_input validation failed: 1 validation error for "),
        "{first}"
    );
    assert!(place.starts_with("/include_research: "), "{place}");
    assert!(!detail.contains("maybe"), "{detail}");
    assert_eq!(
        with("[1,2]").await.refusal(),
        (400, "factory_input must be a JSON object, got list".into())
    );
    assert!(with("{bad").await.refusal().1.starts_with("factory_input must be valid JSON: "));
}

#[tokio::test]
async fn a_factory_refuses_and_its_word_reaches_the_caller() {
    let house = House::serve().guarded().demo_models().open().await;
    house.push_example("guarded-pipeline").await;
    // Enough for the host, and not what the factory looks for.
    let ada = Token::of("acme", "ada").scope("workflows:guarded-pipeline:run");

    let refused = house.run_as(&ada, "guarded-pipeline", &[("message", "sea")]).await;
    assert_eq!(refused.refusal(), (403, "Missing 'workflows:run' scope".into()));
    // An admin's scope is another literal string, as on the page.
    let admin = house.run("guarded-pipeline", &[("message", "sea")]).await;
    assert_eq!(admin.status, 403);
    let runner = ada.scope("workflows:run");
    house.run_as(&runner, "guarded-pipeline", &[("message", "sea")]).await.good();
}

#[tokio::test]
async fn both_reads_ask_the_factory_again() {
    let house = House::serve().guarded().demo_models().open().await;
    house.push_example("guarded-pipeline").await;
    house.push_example("pipeline").await;
    let runner = Token::of("acme", "ada");
    let ada = runner.clone().scopes(&["workflows:read", "workflows:*:run"]);

    let run = house.run_as(&runner, "guarded-pipeline", &[("message", "sea")]).await.good();
    let session = run["session_id"].as_str().unwrap();
    let list = format!("/workflows/guarded-pipeline/runs?session_id={session}");
    let one = format!(
        "/workflows/guarded-pipeline/runs/{}?session_id={session}",
        run["run_id"].as_str().unwrap()
    );

    // Who may run may read; who was stripped of the scope may not read what was run before.
    assert_eq!(house.get_as(&runner, &one).await.good()["content"], run["content"]);
    assert_eq!(house.get_as(&runner, &list).await.good()[0]["run_id"], run["run_id"]);
    for path in [&one, &list] {
        assert_eq!(
            house.get_as(&ada, path).await.refusal(),
            (403, "Missing 'workflows:run' scope".into())
        );
    }

    // The query's `factory_input` drives the rebuild, and is held against the schema.
    let run = house.run_as(&ada, "pipeline", &[("message", "sea")]).await.good();
    let session = run["session_id"].as_str().unwrap();
    let one = format!(
        "/workflows/pipeline/runs/{}?session_id={session}",
        run["run_id"].as_str().unwrap()
    );
    house
        .get_as(&ada, &format!("{one}&factory_input=%7B%22include_research%22%3Atrue%7D"))
        .await
        .good();
    let bad = house
        .get_as(&ada, &format!("{one}&factory_input=%7B%22include_research%22%3A%22x%22%7D"))
        .await;
    assert_eq!(bad.status, 400);
}

#[tokio::test]
async fn a_read_back_run_is_the_run() {
    let house = House::demo().open().await;
    let fields = [("message", "Write about the sea"), ("session_id", "s-1"), ("user_id", "u-1")];
    let run = house.run("content-pipeline", &fields).await.good();
    let path = format!(
        "/workflows/content-pipeline/runs/{}?session_id=s-1",
        run["run_id"].as_str().unwrap()
    );
    let mut read = house.get(&path).await.good();

    assert_eq!(read["events"], json!([]));
    read.as_object_mut().unwrap().remove("events");
    let mut run = run;
    for media in ["images", "videos", "audio", "files"] {
        run.as_object_mut().unwrap().remove(media);
    }
    // Agno shows the runs of agents with their tools at first, with their events later.
    for (told, other) in [(&mut run, "tools"), (&mut read, "events")] {
        for agent in told["step_executor_runs"].as_array_mut().unwrap() {
            assert_eq!(agent.as_object_mut().unwrap().remove(other), Some(json!([])));
        }
    }
    // The clock is read once when a fact is told and once when it is written.
    run["metrics"]["duration"] = Value::Null;
    read["metrics"]["duration"] = Value::Null;
    assert_eq!(read, run);

    let list = house.get("/workflows/content-pipeline/runs?session_id=s-1").await.good();
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["run_input"], "Write about the sea");
    assert_eq!(list[0]["step_results"], read["step_results"]);
    assert!(list[0]["created_at"].as_str().unwrap().ends_with('Z'));
    let none =
        house.get("/workflows/content-pipeline/runs?session_id=s-1&status=ERROR").await.good();
    assert_eq!(none, json!([]));
}
