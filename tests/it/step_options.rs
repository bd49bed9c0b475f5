//! What holds for steps besides their work: tries, failures that end nothing, what earlier runs came
//! to, what functions tell on their way, and what is not shown.

use reqwest::Method;
use serde_json::{Value, json};
use stepmill_fake_provider::FakeProvider;

use crate::house::{Builder, Event, Events, House, Token, component};

/// A house whose models with the provider `bad` behave so, and all others well.
fn house(provider: &FakeProvider, scenario: &str) -> Builder {
    let one = |name: &str, scenario: &str| {
        format!(
            "[models.providers.{name}]\nwire = \"openai-responses\"\nbase_url = \"{}/v1\"\n\
             key_env = \"TEST_KEY\"\nlimits = {{ retries = 0 }}\n",
            provider.url(scenario)
        )
    };
    let providers = one("ok", "ok") + &one("bad", scenario);
    House::serve()
        .settings(&format!("[models]\ndefault_provider = \"ok\"\n{providers}"))
        .var("TEST_KEY", "sk-test")
}

/// A workflow of agents: what is said of it, and of each of its steps.
fn agents(said: &str, steps: &[(&str, &str)]) -> String {
    let step = |(name, said): &(&str, &str)| {
        let provider = if *name == "bad" { "bad" } else { "ok" };
        format!(
            "[[steps]]\nname = \"{name}\"\n{said}\nagent = {{ name = \"{name}\", model = \"m\", \
             provider = \"{provider}\", instructions = \"do\" }}\n"
        )
    };
    format!("name = \"W\"\n{said}\n{}", steps.iter().map(step).collect::<String>())
}

fn names(events: &[Event]) -> Vec<&str> {
    let mut names: Vec<_> = events.iter().map(|it| it.name.as_str()).collect();
    names.dedup();
    names
}

fn listed(run: &Value) -> Vec<&str> {
    let events = run["events"].as_array().unwrap();
    let mut names: Vec<_> = events.iter().map(|it| it["event"].as_str().unwrap()).collect();
    names.dedup();
    names
}

#[tokio::test]
async fn a_step_is_tried_again_and_a_listener_hears_each_try() {
    let provider = FakeProvider::open().await.unwrap();
    let workflow = agents("", &[("bad", "retries = 1")]);
    let house = house(&provider, "cut-once").workflow("w", &workflow).open().await;
    let events = house.stream("w", &[("message", "sea"), ("session_id", "s")]).await.rest().await;
    let tried = ["RunStarted", "ModelRequestStarted", "RunContent"];
    let answered = ["ModelRequestCompleted", "RunContentCompleted", "RunCompleted"];
    let expected = [
        &["WorkflowStarted", "StepStarted"][..],
        &tried,
        &["RunError"],
        &tried,
        &answered,
        &["StepCompleted", "WorkflowCompleted"],
    ]
    .concat();
    assert_eq!(names(&events), expected);
    let calls: Vec<_> = events
        .iter()
        .filter(|it| it.name == "RunStarted")
        .map(|it| it.data["run_id"].as_str().unwrap())
        .collect();
    assert_ne!(calls[0], calls[1]);
    let run = events[0].data["run_id"].as_str().unwrap();
    let path = format!("/workflows/w/runs/{run}?session_id=s");
    let run = house.get(&path).await.good();
    assert_eq!(listed(&run), expected);
    assert_eq!(run["step_executor_runs"][0]["run_id"], calls[1]);
}

#[tokio::test]
async fn a_step_that_fails_too_often_fails_its_run() {
    let provider = FakeProvider::open().await.unwrap();
    let workflow = agents("", &[("bad", "retries = 2"), ("next", "")]);
    let house = house(&provider, "500").workflow("w", &workflow).open().await;
    let reply = house.run("w", &[("message", "sea")]).await;
    assert_eq!((reply.status, &reply.json()["error_id"]), (500, &json!("model_failed")));
    assert_eq!(provider.count(), 3);
}

#[tokio::test]
async fn a_run_goes_on_without_a_step_that_may_fail() {
    let provider = FakeProvider::open().await.unwrap();
    let workflow = agents("", &[("bad", "may_fail = true"), ("next", "")]);
    let house = house(&provider, "500").workflow("w", &workflow).open().await;
    let fields = [("message", "sea"), ("session_id", "s")];
    let run = house.run("w", &fields).await.good();
    assert_eq!(run["status"], "COMPLETED");
    let skipped = &run["step_results"][0];
    assert_eq!(skipped["content"], "Step bad failed but skipped");
    assert_eq!(skipped["error"], "Step 'bad' failed: the model provider failed");
    assert_eq!((&skipped["success"], &skipped["step_name"]), (&json!(false), &json!("bad")));
    assert_eq!(run["content"], "[m] instructions=do | input=Step bad failed but skipped");
    assert_eq!(run["step_executor_runs"].as_array().unwrap().len(), 1);

    let events = house.stream("w", &fields).await.rest().await;
    let of_bad = |it: &&Event| it.data["step_name"] == "bad";
    let heard: Vec<_> = events.iter().filter(of_bad).map(|it| it.name.as_str()).collect();
    assert_eq!(
        heard,
        ["StepStarted", "RunStarted", "ModelRequestStarted", "RunError", "StepOutput"]
    );
    assert_eq!(events.last().unwrap().name, "WorkflowCompleted");

    let alone = agents("", &[("bad", "may_fail = true")]);
    let provider = FakeProvider::open().await.unwrap();
    let house = super::step_options::house(&provider, "500").workflow("w", &alone).open().await;
    house.run("w", &fields).await.good();
    let previews = house.get("/sessions/s/run-previews?type=workflow").await.good();
    assert_eq!(previews[0]["content_preview"], "Step bad failed but skipped");
}

#[tokio::test]
async fn agents_are_told_what_the_workflow_came_to_for_the_same_user() {
    let provider = FakeProvider::open().await.unwrap();
    let house = house(&provider, "500")
        .guarded()
        .workflow("talk", &agents("history = 2", &[("a", "")]))
        .workflow("other", &agents("", &[("a", "")]))
        .workflow("failing", &agents("history = 2", &[("bad", "")]))
        .open()
        .await;
    let ada = Token::of("acme", "ada").scopes(&["workflows:run", "workflows:read"]);
    let say = async |who: &Token, workflow: &str, session: &str, message: &str| {
        let fields = [("message", message), ("session_id", session)];
        house.run_as(who, workflow, &fields).await
    };
    let heard = async |who: &Token, session: &str, message: &str| {
        let run = say(who, "talk", session, message).await.good();
        let content = run["content"].as_str().unwrap().to_owned();
        content.split_once("input=").unwrap().1.to_owned()
    };
    let answer = |input: &str| format!("[m] instructions=do | input={input}");
    let block = |runs: &[(&str, &str)], message: &str| {
        let run = |(number, (asked, came)): (usize, &(&str, &str))| {
            format!(
                "[Workflow Run-{}]\nUser input: {asked}\nWorkflow output: {came}\n\n",
                number + 1
            )
        };
        let runs: String = runs.iter().enumerate().map(run).collect();
        format!("<workflow_history_context>\n{runs}</workflow_history_context>\n{message}")
    };
    assert_eq!(heard(&ada, "s", "one").await, "one");
    let one = answer("one");
    let two = block(&[("one", &one)], "two");
    assert_eq!(heard(&ada, "s", "two").await, two);
    // Neither what another workflow came to, nor what failed, nor what another user asked.
    say(&ada, "other", "s", "elsewhere").await.good();
    assert_eq!(say(&ada, "failing", "s", "in vain").await.status, 500);
    let admin = Token::admin("acme");
    assert_eq!(heard(&admin, "s", "who is there?").await, "who is there?");
    let three = block(&[("one", &one), ("two", &answer(&two))], "three");
    assert_eq!(heard(&ada, "s", "three").await, three);
    // Two, and no more.
    let four = heard(&ada, "s", "four").await;
    assert!(four.starts_with("<workflow_history_context>\n[Workflow Run-1]\nUser input: two\n"));
    assert_eq!(heard(&ada, "another", "five").await, "five");
    // What was told is shown, and stays as it was.
    let runs = house.get_as(&ada, "/workflows/talk/runs?session_id=s").await.good();
    let shown = &runs[1]["step_executor_runs"][0]["messages"][1]["content"];
    assert_eq!(shown, &json!(two));
}

#[tokio::test]
async fn a_history_that_is_too_large_begins_later() {
    let provider = FakeProvider::open().await.unwrap();
    let workflow = agents("history = 5", &[("a", "")]);
    let house = house(&provider, "ok").workflow("talk", &workflow).open().await;
    let long = "x".repeat(100 * 1024);
    for message in [long.as_str(), "short"] {
        house.run("talk", &[("message", message), ("session_id", "s")]).await.good();
    }
    let run = house.run("talk", &[("message", "now"), ("session_id", "s")]).await.good();
    let told = run["content"].as_str().unwrap();
    // The second was told of the first, and is as large as it.
    assert_eq!(told.matches("[Workflow Run-").count(), 2, "{}", told.len());
    let run = house.run("talk", &[("message", "then"), ("session_id", "s")]).await.good();
    let told = run["content"].as_str().unwrap();
    assert!(told.len() < 256 * 1024, "{}", told.len());
}

#[tokio::test]
async fn what_is_not_to_be_shown_is_not() {
    let provider = FakeProvider::open().await.unwrap();
    let showing = "showing = { agent_events = false, agent_runs = false, unlisted_events = [\"StepStarted\"] }";
    let workflow = agents(showing, &[("a", "")]);
    let house = house(&provider, "ok").workflow("w", &workflow).open().await;
    let fields = [("message", "sea"), ("session_id", "s")];
    let events = house.stream("w", &fields).await.rest().await;
    assert_eq!(
        names(&events),
        ["WorkflowStarted", "StepStarted", "RunCompleted", "StepCompleted", "WorkflowCompleted"]
    );
    let id = events[0].data["run_id"].as_str().unwrap();
    assert!(events.last().unwrap().data.get("step_executor_runs").is_none());
    let run = house.get(&format!("/workflows/w/runs/{id}?session_id=s")).await.good();
    assert_eq!(
        listed(&run),
        ["WorkflowStarted", "RunCompleted", "StepCompleted", "WorkflowCompleted"]
    );
    let fresh = house.run("w", &fields).await.good();
    let whole = house.get("/sessions/s/runs?type=workflow").await.good();
    for run in [&run, &fresh, &whole[0]] {
        assert!(run.get("step_executor_runs").is_none_or(|it| *it == json!([])), "{run}");
        assert!(!run.to_string().contains("\"instructions\""), "{run}");
    }
}

#[tokio::test]
async fn functions_tell_how_far_they_are_in_every_language() {
    let provider = FakeProvider::open().await.unwrap();
    let house = House::serve().guarded().models_at(&provider.url("ok")).open().await;
    let ada = Token::of("acme", "ada").scopes(&["workflows:run", "workflows:read"]);
    for (id, step, content) in [
        ("python-pipeline", "cut", "cutting "),
        ("javascript-pipeline", "publish", "putting a head on it"),
    ] {
        assert_eq!(house.push(id, component(id)).await.status, 201);
        let input = if id == "python-pipeline" { r#"{"words": 1}"# } else { "{}" };
        let fields = [("message", "sea"), ("session_id", id), ("factory_input", input)];
        let asked =
            house.ask_as(&ada, Method::POST, &format!("/workflows/{id}/runs")).form(&fields);
        let events = Events::of(asked.send().await.unwrap()).rest().await;
        let of_step = |it: &&Event| it.data["step_name"] == step;
        let heard: Vec<_> = events.iter().filter(of_step).collect();
        let names: Vec<_> = heard.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["StepStarted", "StepProgress", "StepOutput", "StepCompleted"], "{id}");
        let told = &heard[1].data;
        assert!(told["content"].as_str().unwrap().starts_with(content), "{told}");
        assert_eq!(told["attempt"], 1);
        assert!(told["data"].as_object().is_some_and(|it| it.len() == 1), "{told}");

        // It is kept; a list, which could hold much of it, is without; who waits hears none.
        let input = input.replace('"', "%22").replace(' ', "%20");
        let place = format!("session_id={id}&factory_input={input}");
        let run = events[0].data["run_id"].as_str().unwrap();
        let whole = house.get_as(&ada, &format!("/workflows/{id}/runs/{run}?{place}")).await.good();
        assert!(listed(&whole).contains(&"StepProgress"));
        let list = house.get_as(&ada, &format!("/workflows/{id}/runs?{place}")).await.good();
        assert!(!listed(&list[0]).contains(&"StepProgress"));
        let quiet = house.run_as(&ada, id, &fields).await.good();
        assert_eq!(quiet["status"], "COMPLETED");
    }
}
