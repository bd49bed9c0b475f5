//! Sessions: made, listed, looked at, renamed, changed, deleted; and what their runs did.

use reqwest::Method;
use serde_json::{Value, json};

use crate::house::House;

async fn house() -> House {
    let house = House::serve().demo_models().open().await;
    house.push_example("memory").await;
    house.push_example("content-pipeline").await;
    house
}

async fn make(house: &House, body: Value) -> Value {
    let reply = house.send(Method::POST, "/sessions?type=workflow", &body).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    reply.json()
}

/// The ids on a page, in order.
fn ids(page: &Value) -> Vec<&str> {
    let data = page["data"].as_array().unwrap();
    data.iter().map(|it| it["session_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_session_is_made_and_looked_at() {
    let house = house().await;
    let body = json!({
        "session_id": "s", "session_name": "Trip", "user_id": "ada", "workflow_id": "memory",
        "session_state": { "visits": 3 }, "metadata": { "team": "north" },
    });

    let made = make(&house, body.clone()).await;

    assert_eq!(house.get("/sessions/s").await.good(), made);
    assert_eq!(
        (&made["session_name"], &made["user_id"], &made["session_state"], &made["metadata"]),
        (&json!("Trip"), &json!("ada"), &json!({ "visits": 3 }), &json!({ "team": "north" }))
    );
    let again = house.send(Method::POST, "/sessions?type=workflow", &body).await;
    assert_eq!(again.status, 409, "{}", again.text);
    // One that says nothing is called something and belongs to nobody.
    let own = make(&house, json!({})).await;
    assert!(36 <= own["session_id"].as_str().unwrap().len());
    assert_eq!((own.get("user_id"), &own["session_name"]), (None, &json!("")));
}

#[tokio::test]
async fn what_cannot_be_a_session_is_refused() {
    let house = house().await;
    let status =
        async |body: Value| house.send(Method::POST, "/sessions?type=workflow", &body).await.status;
    assert_eq!(status(json!({ "session_id": "a\nb" })).await, 400);
    assert_eq!(status(json!({ "workflow_id": "a\nb" })).await, 400);
    assert_eq!(status(json!({ "session_name": "a\0b" })).await, 400);
    assert_eq!(status(json!({ "session_state": [1] })).await, 422);
    assert_eq!(status(json!([1])).await, 422);
    let agents = house.send(Method::POST, "/sessions?type=agent", &json!({})).await;
    assert_eq!(agents.status, 400, "{}", agents.text);
    assert_eq!(house.get("/sessions").await.good()["meta"]["total_count"], 0);
}

#[tokio::test]
async fn sessions_are_listed_filtered_and_paged() {
    let house = house().await;
    for (id, name, user, workflow) in [
        ("a", "Ocean 100%", "ada", "memory"),
        ("b", "ocean_floor", "bob", "memory"),
        ("c", "Die Übung", "ada", "content-pipeline"),
    ] {
        let body = json!({
            "session_id": id, "session_name": name, "user_id": user, "workflow_id": workflow,
        });
        make(&house, body).await;
    }
    let found = async |query: &str| {
        let path = format!("/sessions?sort_by=session_id&sort_order=asc&{query}");
        let page = house.get(&path).await.good();
        let ids: Vec<String> = ids(&page).into_iter().map(str::to_owned).collect();
        ids.join("")
    };

    assert_eq!(found("").await, "abc");
    assert_eq!(found("user_id=ada").await, "ac");
    assert_eq!(found("component_id=memory&user_id=ada").await, "a");
    assert_eq!(found("session_name=OCEAN").await, "ab");
    assert_eq!(found("session_name=%C3%9Cbung").await, "c");
    // Wildcards are letters like others.
    assert_eq!(found("session_name=0%25").await, "a");
    assert_eq!(found("session_name=n_f").await, "b");
    assert_eq!(found("session_name=%00").await, "");
    assert_eq!(found("type=agent").await, "");
    assert_eq!(found("type=workflow&limit=2").await, "ab");
    assert_eq!(found("limit=2&page=2").await, "c");
    assert_eq!(found("limit=2&page=9").await, "");

    let page = house.get("/sessions?limit=2&page=0").await.good();
    let meta = &page["meta"];
    assert_eq!(
        (&meta["page"], &meta["limit"], &meta["total_pages"], &meta["total_count"]),
        (&json!(1), &json!(2), &json!(2), &json!(3))
    );
    assert_eq!(house.get("/sessions?limit=1000000").await.good()["meta"]["limit"], 1000);
    for bad in ["limit=0", "page=-1", "sort_order=up", "type=zebra"] {
        assert_eq!(house.get(&format!("/sessions?{bad}")).await.status, 422, "{bad}");
    }
    assert_eq!(house.get("/sessions?db_id=nope").await.status, 404);
}

#[tokio::test]
async fn a_change_replaces_what_it_names() {
    let house = house().await;
    let body = json!({ "session_id": "s", "session_state": { "a": 1 }, "metadata": { "m": 1 } });
    make(&house, body).await;

    let renamed =
        house.send(Method::POST, "/sessions/s/rename", &json!({ "session_name": "New" })).await;
    assert_eq!(renamed.good()["session_name"], "New");
    let body = json!({ "session_state": { "b": 2 }, "metadata": null });
    let changed = house.send(Method::PATCH, "/sessions/s", &body).await.good();
    assert_eq!(
        (&changed["session_name"], &changed["session_state"], &changed["metadata"]),
        (&json!("New"), &json!({ "b": 2 }), &json!({ "m": 1 }))
    );
    // What was given to the run comes over what the session has; the name stays.
    house.run("memory", &[("message", "hello"), ("session_id", "s")]).await.good();
    let found = house.get("/sessions/s").await.good();
    assert_eq!(
        (&found["session_name"], &found["session_state"]),
        (&json!("New"), &json!({ "b": 2, "visits": 1 }))
    );
    let refused = house.send(Method::PATCH, "/sessions/none", &json!({})).await;
    assert_eq!(refused.refusal(), (404, "Session with id 'none' not found".into()));
}

#[tokio::test]
async fn what_is_deleted_is_gone_with_its_runs() {
    let house = house().await;
    let mut runs = Vec::new();
    for session in ["a", "b", "c"] {
        let fields = [("message", "hello"), ("session_id", session)];
        runs.push(house.run("memory", &fields).await.good()["run_id"].clone());
    }

    let delete = |path: &str| house.ask(Method::DELETE, path).send();
    assert_eq!(delete("/sessions/a").await.unwrap().status(), 204);
    assert_eq!(delete("/sessions/a?type=no-kind").await.unwrap().status(), 204);
    // What is malformed is told before what is not there.
    assert_eq!(house.get("/sessions?limit=0&db_id=none").await.status, 422);
    assert_eq!(house.get("/sessions/b/runs?status=bad&type=bad").await.status, 422);
    assert_eq!(house.get("/sessions?db_id=none").await.status, 404);
    let uneven = json!({ "session_ids": ["b", "c"], "session_types": ["workflow"] });
    assert_eq!(house.send(Method::DELETE, "/sessions", &uneven).await.status, 400);
    let others = json!({ "session_ids": ["b", "none"], "session_types": ["workflow", "workflow"] });
    assert_eq!(house.send(Method::DELETE, "/sessions?user_id=ada", &others).await.status, 204);
    assert_eq!(house.get("/sessions/b").await.status, 200, "it is nobody's, so it is not ada's");
    assert_eq!(house.send(Method::DELETE, "/sessions", &others).await.status, 204);

    assert_eq!(ids(&house.get("/sessions").await.good()), ["c"]);
    for (session, run) in ["a", "b"].iter().zip(&runs) {
        let id = run.as_str().unwrap();
        let run = format!("/workflows/memory/runs/{id}?session_id={session}");
        assert_eq!(house.get(&run).await.status, 404);
        assert_eq!(house.get(&format!("/sessions/{session}/runs")).await.status, 404);
    }
    // The id is free again, and nothing of before is there.
    house.run("memory", &[("message", "again"), ("session_id", "a")]).await.good();
    let found = house.get("/sessions/a").await.good();
    assert_eq!(
        (&found["session_name"], &found["session_state"]["visits"]),
        (&json!("again"), &json!(1))
    );
}

#[tokio::test]
async fn a_session_shows_what_its_workflows_did() {
    let house = house().await;
    let long = "word ".repeat(100);
    let first = house.run("memory", &[("message", &long), ("session_id", "s")]).await.good();
    let fields = [("message", "the sea"), ("session_id", "s")];
    let second = house.run("content-pipeline", &fields).await.good();

    let runs = house.get("/sessions/s/runs").await.good();
    let shown: Vec<_> = runs.as_array().unwrap().iter().map(|it| &it["run_id"]).collect();
    assert_eq!(shown, [&first["run_id"], &second["run_id"]]);
    let previews = house.get("/sessions/s/run-previews").await.good();
    assert_eq!(previews[0]["run_input"].as_str().unwrap(), &long[..280]);
    assert_eq!(previews[1]["content_preview"].as_str().unwrap().chars().count(), {
        let content = second["content"].as_str().unwrap();
        content.chars().count().min(280)
    });
    let one = format!("/sessions/s/runs/{}", second["run_id"].as_str().unwrap());
    assert_eq!(house.get(&one).await.good()["content"], second["content"]);

    let count = async |query: &str| {
        let runs = house.get(&format!("/sessions/s/runs?{query}")).await.good();
        runs.as_array().unwrap().len()
    };
    assert_eq!(count("status=completed").await, 2);
    assert_eq!(count("status=ERROR&status=PAUSED").await, 0);
    let at = first["created_at"].as_i64().unwrap();
    assert_eq!(count(&format!("created_after={at}")).await, 2);
    assert_eq!(count(&format!("created_before={}", at - 1)).await, 0);
    assert_eq!(house.get("/sessions/s/runs?status=odd").await.status, 400);

    // What the session used is what its runs used, and its workflow is the first that ran in it.
    let session = house.get("/sessions/s").await.good();
    let used = &session["session_data"]["session_metrics"];
    let steps = second["metrics"]["steps"].as_object().unwrap();
    let total: u64 = steps.values().map(|it| it["metrics"]["total_tokens"].as_u64().unwrap()).sum();
    assert_eq!(used["total_tokens"], total);
    assert_eq!(session["workflow_data"]["workflow_id"], "memory");
    assert_eq!(house.get("/sessions").await.good()["data"][0]["total_tokens"], total);
}

#[tokio::test]
async fn what_is_not_in_a_session_is_said_in_agnos_words() {
    let house = house().await;
    make(&house, json!({ "session_id": "empty" })).await;
    house.run("memory", &[("message", "hello"), ("session_id", "s")]).await.good();
    let said = async |path: &str| house.get(path).await.refusal().1;

    assert_eq!(said("/sessions/none").await, "Session with id 'none' not found");
    assert_eq!(
        said("/sessions/none?type=workflow").await,
        "Workflow Session with id 'none' not found"
    );
    assert_eq!(said("/sessions/none/runs").await, "Session with ID none not found");
    assert_eq!(said("/sessions/empty/runs/x").await, "Session with ID empty has no runs");
    assert_eq!(said("/sessions/s/runs/x").await, "Run with ID x not found in session s");
    assert_eq!(house.get("/sessions/empty/runs").await.good(), json!([]));
}
