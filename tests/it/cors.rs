//! Pages of other origins: who may ask, who may read, and what a host without tokens does.

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::json;

use crate::house::{House, Reply};

const OURS: &str = "https://os.agno.com";
const FOREIGN: &str = "https://evil.example";

async fn preflight(house: &House, origin: &str, headers: &[(&str, &str)]) -> Reply {
    let mut request = reqwest::Client::new()
        .request(Method::OPTIONS, format!("{}/workflows", house.address()))
        .header("origin", origin);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Reply::of(request).await
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|it| it.to_str().unwrap())
}

#[tokio::test]
async fn preflights_are_answered_as_recorded_without_a_token() {
    let house = House::serve().guarded().demo_models().open().await;
    let asked = [
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization"),
    ];

    let allowed = preflight(&house, OURS, &asked).await;
    assert_eq!((allowed.status, allowed.text.as_str()), (200, "OK"));
    for (name, value) in [
        (
            "vary",
            "Origin, Access-Control-Request-Method, Access-Control-Request-Headers, Access-Control-Request-Private-Network",
        ),
        ("access-control-allow-methods", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, QUERY"),
        ("access-control-max-age", "600"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-origin", OURS),
        ("access-control-allow-headers", "authorization"),
        ("content-type", "text/plain; charset=utf-8"),
    ] {
        assert_eq!(header(&allowed.headers, name), Some(value), "{name}");
    }
    let foreign = preflight(&house, FOREIGN, &asked).await;
    assert_eq!(header(&foreign.headers, "access-control-allow-headers"), Some("authorization"));
    assert_eq!((foreign.status, foreign.text.as_str()), (400, "Disallowed CORS origin"));
    assert_eq!(header(&foreign.headers, "access-control-allow-origin"), None);
    let odd = preflight(&house, OURS, &[("access-control-request-method", "BREW")]).await;
    assert_eq!((odd.status, odd.text.as_str()), (400, "Disallowed CORS method"));

    let plain = preflight(&house, OURS, &[]).await;
    assert_eq!(plain.refusal(), (405, "Method Not Allowed".into()));
    assert_eq!(header(&plain.headers, "allow"), Some("GET,HEAD"));
}

#[tokio::test]
async fn allowed_pages_may_read_answers_and_refusals() {
    let house = House::serve().guarded().demo_models().open().await;
    let nobody = |path: &str| reqwest::Client::new().get(format!("{}{path}", house.address()));

    for (path, status) in [("/health", 200), ("/workflows", 401)] {
        let reply = Reply::of(nobody(path).header("origin", OURS)).await;
        assert_eq!(reply.status, status);
        assert_eq!(header(&reply.headers, "access-control-allow-origin"), Some(OURS));
        assert_eq!(header(&reply.headers, "access-control-allow-credentials"), Some("true"));
        assert_eq!(header(&reply.headers, "access-control-expose-headers"), Some("*"));
        assert_eq!(header(&reply.headers, "vary"), Some("Origin"));

        let reply = Reply::of(nobody(path).header("origin", FOREIGN)).await;
        assert_eq!(reply.status, status);
        assert_eq!(header(&reply.headers, "access-control-allow-origin"), None);
        assert_eq!(header(&reply.headers, "vary"), Some("Origin"));
    }
    let reply = Reply::of(nobody("/health")).await;
    assert_eq!(header(&reply.headers, "vary"), Some("Origin"));
}

#[tokio::test]
async fn a_host_without_tokens_obeys_pages_of_its_list_only() {
    let run = async |house: &House, origin: &str| {
        let request = house.run_request("echo", &[("message", "hi")]).header("origin", origin);
        Reply::of(request).await.status
    };
    let house = House::demo().open().await;
    assert_eq!(run(&house, OURS).await, 200);
    assert_eq!(run(&house, "http://localhost:5173").await, 200);
    assert_eq!(run(&house, FOREIGN).await, 403);

    let strict = House::serve().demo_models().settings("[http]\ncors_origins = []").open().await;
    strict.push_example("echo").await;
    assert_eq!(run(&strict, OURS).await, 403);
    let asked = [("access-control-request-method", "POST")];
    assert_eq!(preflight(&strict, OURS, &asked).await.status, 400);

    let own = "[http]\ncors_origins = [\"https://ours.example\"]";
    let own = House::serve().demo_models().settings(own).open().await;
    let reply =
        Reply::of(own.ask(Method::GET, "/workflows").header("origin", "https://ours.example"));
    let reply = reply.await;
    assert_eq!(reply.good(), json!([]));
    assert!(reply.headers.contains_key("access-control-allow-origin"));
}
