//! Lists: however much there is, the host holds a bounded part of it, and says so.

use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{House, Reply, Token, hostile};

fn refused(reply: &Reply) -> (u16, String) {
    let body = reply.json();
    assert!(reply.text.contains("hold more than 32 MiB"), "{}", reply.text);
    (reply.status, body["error_id"].as_str().unwrap().to_owned())
}

fn too_large() -> (u16, String) {
    (400, "list_too_large".to_owned())
}

#[tokio::test]
async fn runs_that_hold_too_much_for_one_list_are_refused_and_previewed() {
    let house = House::serve().demo_models().open().await;
    house.push_example("echo").await;
    // Each is kept three times: as the message, as the function's answer, and as the step's.
    let long = format!("\u{1f98a}\"{}", "x".repeat(1_000_000));
    let mut ids = Vec::new();
    for _ in 0..12 {
        let run = house.run("echo", &[("message", &long), ("session_id", "s")]).await.good();
        ids.push(run["run_id"].clone());
    }

    for path in ["/sessions/s/runs", "/workflows/echo/runs?session_id=s"] {
        let reply = house.get(path).await;
        assert_eq!(refused(&reply), too_large(), "{path}");
        assert!(reply.text.contains("/run-previews"), "{}", reply.text);
    }

    let previews = house.get("/sessions/s/run-previews").await;
    assert!(previews.text.len() < 20_000, "{}", previews.text.len());
    let begins: String = long.chars().take(280).collect();
    for (preview, id) in previews.good().as_array().unwrap().iter().zip(&ids) {
        assert_eq!(&preview["run_id"], id);
        assert_eq!(preview["run_input"], begins);
        assert_eq!(
            (&preview["content_preview"], &preview["status"]),
            (&json!(begins), &json!("COMPLETED"))
        );
        let id = id.as_str().unwrap();
        for path in
            [format!("/sessions/s/runs/{id}"), format!("/workflows/echo/runs/{id}?session_id=s")]
        {
            assert_eq!(house.get(&path).await.good()["content"], long, "{path}");
        }
    }
    // What is asked for is what counts.
    assert_eq!(house.get("/sessions/s/runs?status=error").await.good(), json!([]));
    assert_eq!(house.get("/workflows/echo/runs?session_id=s&status=ERROR").await.good(), json!([]));
    // The session's name is its first message; it counts in its page, and by itself is shown.
    assert_eq!(house.get("/sessions").await.good()["data"][0]["session_name"], long);
    assert_eq!(house.get("/sessions/s").await.good()["session_name"], long);
}

#[tokio::test]
async fn sessions_that_hold_too_much_for_one_page_are_refused() {
    let house = House::serve().demo_models().open().await;
    let plan = "x".repeat(1_000_000);
    for number in 0..34 {
        let body =
            json!({ "session_id": format!("{number:02}"), "session_state": { "plan": plan } });
        assert_eq!(house.send(Method::POST, "/sessions", &body).await.status, 201);
    }

    let reply = house.get("/sessions?limit=100").await;
    assert_eq!(refused(&reply), too_large());
    assert!(reply.text.contains("with `limit`"), "{}", reply.text);

    // A page of the usual length is never too large for its states.
    let page = house.get("/sessions?sort_by=session_id&sort_order=asc").await.good();
    assert_eq!(
        (page["data"].as_array().unwrap().len(), &page["meta"]["total_count"]),
        (20, &json!(34))
    );
    assert_eq!(page["data"][19]["session_state"]["plan"], plan);
}

#[tokio::test]
async fn a_large_list_that_nobody_reads_keeps_others_waiting_and_small_ones_not() {
    let house = House::serve().demo_models().settings("[http]\nlarge_lists = 1").open().await;
    let plan = "x".repeat(1_000_000);
    for number in 0..20 {
        let body =
            json!({ "session_id": format!("{number:02}"), "session_state": { "plan": plan } });
        assert_eq!(house.send(Method::POST, "/sessions", &body).await.status, 201);
    }
    let unread = house.ask(Method::GET, "/sessions?limit=20").send().await.unwrap();

    let refused = house.get("/sessions?limit=20").await;
    assert_eq!(refused.refusal(), (503, "The host is busy".into()));
    assert_eq!(refused.headers["retry-after"], "1");
    let small = house.get("/sessions?limit=20&session_name=none").await.good();
    assert_eq!(small["data"], json!([]));

    // What waits gets its turn as soon as the other is read, or given up.
    let (read, waited) =
        futures::future::join(unread.bytes(), house.get("/sessions?limit=20")).await;
    assert!(20_000_000 < read.unwrap().len());
    assert_eq!(waited.good()["data"].as_array().unwrap().len(), 20);
    drop(house.ask(Method::GET, "/sessions?limit=20").send().await.unwrap());
    assert_eq!(house.get("/sessions?limit=20").await.status, 200);
}

#[tokio::test]
async fn a_workflows_runs_are_filtered_before_they_are_counted() {
    let house = House::serve().demo_models().generous().settings("[runs]\nlist = 2").open().await;
    assert_eq!(house.push("hostile", hostile()).await.status, 201);
    for order in ["report no", "text 1", "text 2", "text 3"] {
        house.run("hostile", &[("message", order), ("session_id", "s")]).await;
    }
    let list = async |query: &str| {
        let runs = house.get(&format!("/workflows/hostile/runs?session_id=s{query}")).await.good();
        let inputs: Vec<Value> =
            runs.as_array().unwrap().iter().map(|it| it["run_input"].clone()).collect();
        inputs
    };

    assert_eq!(list("").await, ["text 2", "text 3"]);
    assert_eq!(list("&status=COMPLETED").await, ["text 2", "text 3"]);
    assert_eq!(list("&status=ERROR").await, ["report no"]);
    // Words count to the letter.
    assert!(list("&status=completed").await.is_empty() && list("&status=odd").await.is_empty());
    let unknown = house.get("/workflows/hostile/runs?session_id=none&status=odd").await;
    assert_eq!(unknown.status, 404);
    let failed = &house.get("/sessions/s/run-previews?status=error").await.good()[0];
    let full = &house.get("/sessions/s/runs?status=error").await.good()[0];
    assert_eq!(
        (&failed["content_preview"], &failed["status"]),
        (&full["content"], &json!("ERROR"))
    );
}

#[tokio::test]
async fn an_admins_message_is_no_name_of_anothers_session() {
    let house = House::serve().guarded().demo_models().open().await;
    house.push_example("echo").await;
    let (ada, admin) = (Token::of("acme", "ada"), Token::admin("acme"));
    let made = house.ask_as(&ada, Method::POST, "/sessions").json(&json!({ "session_id": "hers" }));
    assert_eq!(Reply::of(made).await.status, 201);
    let fields = [("message", "Between admins"), ("session_id", "hers")];
    house.run_as(&admin, "echo", &fields).await.good();
    let names = async |who: &Token| {
        let line = house.get_as(who, "/sessions").await.good()["data"][0]["session_name"].clone();
        let one = house.get_as(who, "/sessions/hers").await.good()["session_name"].clone();
        assert_eq!(line, one);
        one
    };

    assert_eq!((names(&ada).await, names(&admin).await), (json!(""), json!("Between admins")));
    let fields = [("message", "Her own"), ("session_id", "hers")];
    house.run_as(&ada, "echo", &fields).await.good();
    assert_eq!(
        (names(&ada).await, names(&admin).await),
        (json!("Her own"), json!("Between admins"))
    );
}
