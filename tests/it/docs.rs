//! The document of the API, and the page that shows it. `tests/schemathesis` asks whether it is true.

use serde_json::{Value, json};

use crate::house::{House, Reply};

async fn nobody(house: &House, path: &str) -> Reply {
    Reply::of(reqwest::Client::new().get(format!("{}{path}", house.address()))).await
}

#[tokio::test]
async fn the_document_says_what_the_routes_take_and_give() {
    let house = House::serve().guarded().demo_models().open().await;

    let api = nobody(&house, "/openapi.json").await.good();

    assert_eq!(api["openapi"], "3.1.0");
    assert_eq!(api["info"], json!({ "title": "Stepmill", "version": env!("CARGO_PKG_VERSION") }));
    let run = &api["paths"]["/workflows/{workflow_id}/runs"]["post"];
    assert_eq!(run["operationId"], "create_workflow_run");
    for kind in ["multipart/form-data", "application/x-www-form-urlencoded"] {
        let form = &run["requestBody"]["content"][kind]["schema"]["$ref"];
        assert_eq!(form, "#/components/schemas/Body_create_workflow_run");
    }
    assert_eq!(
        api["components"]["schemas"]["Body_create_workflow_run"]["required"],
        json!(["message"])
    );
    let answers = run["responses"]["200"]["content"].as_object().unwrap();
    assert!(answers.contains_key("application/json") && answers.contains_key("text/event-stream"));
    assert_eq!(run["security"], json!([{ "HTTPBearer": [] }]));
    assert!(run["responses"]["401"].is_object());
    // What every route may say, and what only those that write.
    let list = &api["paths"]["/workflows"]["get"]["responses"];
    for answers in [&run["responses"], list] {
        assert!(answers["503"]["headers"]["Retry-After"].is_object(), "{answers}");
    }
    assert!(run["responses"]["507"].is_object() && list["507"].is_null());
    assert_eq!(api["paths"]["/health"]["get"]["security"], Value::Null);
}

#[tokio::test]
async fn a_host_without_tokens_asks_for_none() {
    let house = House::serve().settings("[os]\nname = \"<Mill>\"").demo_models().open().await;

    let api = house.get("/openapi.json").await.good();

    assert_eq!(api["info"]["title"], "<Mill>");
    assert_eq!(api["components"]["securitySchemes"], Value::Null);
    assert_eq!(api["paths"]["/workflows"]["get"]["security"], Value::Null);
    let page = house.get("/docs").await;
    assert!(page.text.contains("<title>&lt;Mill&gt; - API</title>"), "{}", page.text);
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let house = House::serve().guarded().demo_models().open().await;

    for path in ["/docs", "/redoc", "/docs/"] {
        let page = nobody(&house, path).await;
        assert_eq!(page.status, 200);
        assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
        for word in ["http:", "https:", " src=", "@import", "url("] {
            assert!(!page.text.contains(word), "{word}");
        }
        // What the policy lets run is what stands in this very answer.
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        let nonce = policy.split("script-src 'nonce-").nth(1).unwrap().split('\'').next().unwrap();
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        assert!(page.text.contains(&format!("<script nonce=\"{nonce}\">")));
        assert!(!nobody(&house, path).await.text.contains(nonce));
    }
}

#[tokio::test]
async fn both_can_be_switched_off() {
    let house = House::serve().settings("[http]\ndocs = false").demo_models().open().await;

    for path in ["/docs", "/redoc", "/openapi.json"] {
        assert_eq!(house.get(path).await.refusal(), (404, "Not Found".into()));
    }
    assert_eq!(house.get("/").await.good()["docs"], Value::Null);
}
