//! Sessions and their neighbours: other users, other tenants, runs under way, and `kill -9`.

use reqwest::Method;
use serde_json::{Value, json};
use stepmill_fake_provider::FakeProvider;

use crate::house::{House, Reply, Token};

/// Every question about one session, where `ID` stands for it.
fn questions() -> Vec<(Method, String, Value)> {
    let named = json!({ "session_name": "mine" });
    let many = json!({ "session_ids": ["ID"], "session_types": ["workflow"] });
    let mut asked = vec![
        (Method::POST, "/sessions/ID/rename".to_owned(), named.clone()),
        (Method::PATCH, "/sessions/ID".to_owned(), named),
        (Method::DELETE, "/sessions/ID".to_owned(), Value::Null),
        (Method::DELETE, "/sessions".to_owned(), many),
    ];
    for path in ["", "/runs", "/run-previews", "/runs/RUN", "/runs?status=completed"] {
        asked.push((Method::GET, format!("/sessions/ID{path}"), Value::Null));
    }
    asked.push((Method::GET, "/sessions/ID?type=workflow&user_id=ada".to_owned(), Value::Null));
    asked.push((Method::GET, "/workflows/memory/runs?session_id=ID".to_owned(), Value::Null));
    asked.push((Method::GET, "/workflows/memory/runs/RUN?session_id=ID".to_owned(), Value::Null));
    asked
}

async fn answers(house: &House, who: &Token, id: &str, run: &str) -> Vec<(u16, String)> {
    let mut answers = Vec::new();
    for (method, path, body) in questions() {
        let path = path.replace("ID", id).replace("RUN", run);
        let mut request = house.ask_as(who, method, &path);
        if !body.is_null() {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string().replace("ID", id));
        }
        let reply = Reply::of(request).await;
        answers.push((reply.status, reply.text.replace(id, "ID")));
    }
    answers
}

#[tokio::test]
async fn a_foreign_session_answers_as_one_that_is_not_there() {
    let house = House::serve().guarded().demo_models().open().await;
    house.push_example("memory").await;
    let other = Token::admin("other");
    let push = house.ask_as(&other, Method::PUT, "/plugins/memory");
    assert_eq!(Reply::of(push.body(crate::house::example("memory"))).await.status, 201);
    let ada = Token::of("acme", "ada");
    let fields = [("message", "secret"), ("session_id", "hers"), ("metadata", r#"{"m": 1}"#)];
    let run = house.run_as(&ada, "memory", &fields).await.good();
    let run = run["run_id"].as_str().unwrap();
    let before = house.get_as(&ada, "/sessions/hers").await.good();

    let strangers = [Token::of("acme", "bob"), Token::of("other", "ada"), other.clone()];
    for who in &strangers {
        let foreign = answers(&house, who, "hers", run).await;
        let absent = answers(&house, who, "none", run).await;
        assert_eq!(foreign, absent);
        assert!(foreign.iter().all(|(status, _)| matches!(status, 404 | 204)), "{foreign:?}");
        let list = house.get_as(who, "/sessions?session_name=secret&user_id=ada").await.good();
        assert_eq!((&list["data"], &list["meta"]["total_count"]), (&json!([]), &json!(0)));
    }
    assert_eq!(house.get_as(&ada, "/sessions/hers").await.good(), before);

    // Within a tenant an id that is taken is taken; between tenants there is nothing to take.
    let make = async |who: &Token| {
        let body = json!({ "session_id": "hers", "user_id": "ada" });
        let request = house.ask_as(who, Method::POST, "/sessions?type=workflow").json(&body);
        Reply::of(request).await
    };
    let taken = make(&strangers[0]).await;
    assert_eq!(taken.status, 409);
    assert!(!taken.text.contains("secret") && !taken.text.contains("ada"), "{}", taken.text);
    let theirs = make(&Token::of("other", "eve")).await;
    assert_eq!((theirs.status, &theirs.json()["user_id"]), (201, &json!("eve")));
    assert_eq!(house.get_as(&ada, "/sessions/hers").await.good(), before);
}

#[tokio::test]
async fn a_token_says_whose_a_session_is() {
    let house = House::serve().guarded().demo_models().open().await;
    let (ada, admin) = (Token::of("acme", "ada"), Token::admin("acme"));
    let make = async |who: &Token, id: &str| {
        let body = json!({ "session_id": id, "user_id": "bob" });
        let request = house.ask_as(who, Method::POST, "/sessions").json(&body);
        Reply::of(request).await.json()["user_id"].clone()
    };
    assert_eq!(make(&ada, "a").await, "ada");
    assert_eq!(make(&Token::of("acme", "bob"), "b").await, "bob");
    assert_eq!(make(&admin, "c").await, "admin");
    // The admin sees all, each member its own.
    let count = async |who: &Token, query: &str| {
        let page = house.get_as(who, &format!("/sessions{query}")).await.good();
        page["meta"]["total_count"].as_u64().unwrap()
    };
    assert_eq!((count(&admin, "").await, count(&admin, "?user_id=bob").await), (3, 1));
    assert_eq!((count(&ada, "").await, count(&ada, "?user_id=bob").await), (1, 1));
}

#[tokio::test]
async fn what_is_in_a_session_does_not_show_in_a_refusal() {
    let house = House::serve().guarded().demo_models().open().await;
    let (ada, bob) = (Token::of("acme", "ada"), Token::of("acme", "bob"));
    house.push_example("echo").await;
    let large = "x".repeat(600_000);
    let body = json!({ "session_id": "hers", "session_state": { "plan": large } });
    let made = Reply::of(house.ask_as(&ada, Method::POST, "/sessions").json(&body)).await;
    assert_eq!(made.status, 201);

    // Together with hers it would be too large, under one name but not under the other.
    for name in ["plan", "other"] {
        let state = json!({ name: large }).to_string();
        let fields = [("message", "a"), ("session_id", "hers"), ("session_state", state.as_str())];
        let refused = house.run_as(&bob, "echo", &fields).await.refusal();
        assert_eq!(refused, (404, "Session not found".into()), "{name}");
    }
}

#[tokio::test]
async fn a_session_that_is_deleted_ends_its_run_quietly() {
    let provider = FakeProvider::open().await.unwrap();
    let house = House::serve().models_at(&provider.url("gate")).open().await;
    house.push_example("content-pipeline").await;
    let fields = [("message", "sea"), ("session_id", "s")];
    let mut events = house.stream("content-pipeline", &fields).await;
    events.until("WorkflowStarted").await;
    let waiting = Reply::of(house.run_request("content-pipeline", &fields));
    let deleting = async {
        provider.arrived(2).await;
        assert_eq!(house.ask(Method::DELETE, "/sessions/s").send().await.unwrap().status(), 204);
        provider.release_answers(2);
    };

    let (reply, ()) = futures::future::join(waiting, deleting).await;
    let told = events.rest().await;

    let text = "The run was deleted with its session";
    assert_eq!(reply.refusal(), (404, text.into()));
    let last = &told.last().unwrap().data;
    assert_eq!((&last["error"], &last["error_id"]), (&json!(text), &json!("deleted")));
    assert_eq!(house.get("/sessions/s").await.status, 404);
    assert!(!house.log().contains("ERROR"), "{}", house.log());
    // The seats are free and the host goes on; the deleted runs ask for nothing more.
    provider.release_answers(2);
    assert_eq!(house.run("content-pipeline", &fields).await.good()["status"], "COMPLETED");
    assert_eq!(provider.count(), 4);
}

#[tokio::test]
async fn a_run_goes_on_when_its_session_is_changed() {
    let provider = FakeProvider::open().await.unwrap();
    let house = House::serve().models_at(&provider.url("gate")).open().await;
    house.push_example("content-pipeline").await;
    let fields = [("message", "sea"), ("session_id", "s"), ("session_state", r#"{"from": "run"}"#)];
    let running = Reply::of(house.run_request("content-pipeline", &fields));
    let changing = async {
        provider.arrived(1).await;
        let change = json!({ "session_name": "Changed", "session_state": { "from": "patch" } });
        house.send(Method::PATCH, "/sessions/s", &change).await.good();
        provider.release_answers(2);
    };

    let (reply, ()) = futures::future::join(running, changing).await;

    assert_eq!(reply.good()["status"], "COMPLETED");
    let session = house.get("/sessions/s").await.good();
    // No step changed the state, so the run leaves it as it finds it.
    assert_eq!(
        (&session["session_name"], &session["session_state"]),
        (&json!("Changed"), &json!({ "from": "patch" }))
    );
}

#[tokio::test]
async fn what_a_session_used_is_counted_once_whenever_the_host_is_killed() {
    let provider = FakeProvider::open().await.unwrap();
    let mut house = House::serve().models_at(&provider.url("gate")).open().await;
    house.push_example("content-pipeline").await;
    let fields = [("message", "sea"), ("session_id", "s")];
    let mut events = house.stream("content-pipeline", &fields).await;
    let started = events.until("WorkflowStarted").await;
    // Killed when one of two steps has its answer: that one is not asked again.
    provider.release_answers(1);
    provider.arrived(2).await;
    house.kill().await;
    let used = async |house: &House| {
        let session = house.get("/sessions/s").await.good();
        session["session_data"]["session_metrics"]["total_tokens"].clone()
    };
    house.start().await;
    provider.release_answers(10);
    let path = format!("/sessions/s/runs/{}", started.data["run_id"].as_str().unwrap());
    let run = ended(&house, &path).await;
    let steps = run["metrics"]["steps"].as_object().unwrap();
    let total: u64 = steps.values().map(|it| it["metrics"]["total_tokens"].as_u64().unwrap()).sum();
    assert_eq!(used(&house).await, total);

    // Killed as soon as the end is told, which is after it was noted: nothing is noted twice.
    let mut events = house.stream("content-pipeline", &fields).await;
    events.until("WorkflowCompleted").await;
    let before = used(&house).await;
    house.kill().await;
    house.start().await;
    assert_eq!(used(&house).await, before);
    assert_eq!(before, 2 * total);
}

pub(crate) async fn ended(house: &House, path: &str) -> Value {
    for _ in 0..400 {
        let run = house.get(path).await.good();
        if run["status"] != "RUNNING" {
            return run;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("the run did not end:\n{}", house.log());
}

#[tokio::test]
async fn questions_without_end_are_answered_shortly() {
    let house = House::serve().demo_models().open().await;
    let body = json!({ "session_id": "s" });
    house.send(Method::POST, "/sessions", &body).await;
    let often = "status=RUNNING&".repeat(990);
    assert_eq!(house.get(&format!("/sessions/s/runs?{often}")).await.status, 200);
    let long = "_".repeat(60_000);
    assert_eq!(
        house.get(&format!("/sessions?session_name={long}")).await.good()["data"],
        json!([])
    );

    let ids = vec!["s"; 1_001];
    let body = json!({ "session_ids": ids, "session_types": vec![1; 1_001] });
    let refused = house.send(Method::DELETE, "/sessions", &body).await;
    assert_eq!(refused.status, 422);
    let kinds: Vec<_> = refused.json()["detail"].as_array().unwrap().clone();
    assert!(kinds.len() == 2 && kinds.iter().all(|it| it["type"] == "too_long"), "{kinds:?}");
    assert_eq!(house.get("/sessions/s").await.status, 200);
}
