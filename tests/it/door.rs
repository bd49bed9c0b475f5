//! The door's manners: forms, statuses, sessions.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::house::{House, Reply};

fn missing(part: &str, field: &str) -> Value {
    json!({ "detail": [{ "type": "missing", "loc": [part, field], "msg": "Field required", "input": null }] })
}

async fn post(house: &House, kind: &str, body: impl Into<reqwest::Body>) -> Reply {
    let request = house.ask(reqwest::Method::POST, "/workflows/echo/runs");
    Reply::of(request.header("content-type", kind).body(body)).await
}

#[tokio::test]
async fn forms_are_read_as_clients_send_them() {
    let house = House::demo().open().await;
    let form = "application/x-www-form-urlencoded";

    for body in ["stream=false", "message=&stream=false"] {
        let reply = post(&house, form, body).await;
        assert_eq!((reply.status, reply.json()), (422, missing("body", "message")));
    }
    let reply = post(&house, "application/json", r#"{"message":"hi","stream":false}"#).await;
    assert_eq!((reply.status, reply.json()), (422, missing("body", "message")));
    let reply = post(&house, form, "message=hi&stream=perhaps&version=abc").await;
    let fields: Vec<_> =
        reply.json()["detail"].as_array().unwrap().iter().map(|it| it["loc"][1].clone()).collect();
    assert_eq!((reply.status, fields), (422, vec![json!("stream"), json!("version")]));
    let reply = post(&house, "multipart/form-data; boundary=x", "nonsense").await;
    assert_eq!(reply.refusal(), (400, "Invalid multipart data.".into()));
    let reply = post(&house, form, "message=a&message=b&stream=FALSE&whatever=x").await;
    assert_eq!(reply.good()["content"], "b");
    let reply = post(&house, form, "message=a&stream=no&background=true").await;
    assert_eq!(reply.json()["error_id"], "unsupported");
    let reply = post(&house, form, "message=a&stream=no&session_id=a%0Ab").await;
    assert_eq!(reply.refusal(), (400, "session_id must not contain '\\n'".into()));
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_hurts_nobody() {
    let house = House::demo().open().await;
    let form = "application/x-www-form-urlencoded";
    let reply =
        post(&house, form, format!("stream=false&message={}", "x".repeat(1024 * 1024 + 1))).await;
    assert_eq!(reply.refusal(), (400, "Field exceeded maximum size of 1024KB.".into()));
    let part = reqwest::multipart::Form::new().text("message", "x".repeat(1024 * 1024 + 1));
    let request = house.ask(reqwest::Method::POST, "/workflows/echo/runs").multipart(part);
    assert_eq!(
        Reply::of(request).await.refusal(),
        (400, "Part exceeded maximum size of 1024KB.".into())
    );
    for part in
        [reqwest::multipart::Form::new(), reqwest::multipart::Form::new().text("stream", "false")]
    {
        let large = ["a", "b", "c"]
            .into_iter()
            .fold(part, |it, name| it.text(name, "x".repeat(1024 * 1024)));
        let request = house
            .ask(reqwest::Method::POST, "/workflows/echo/runs")
            .multipart(large.text("message", "hi"));
        assert_eq!(Reply::of(request).await.status, 200);
    }
    for size in [9, 60] {
        let reply = post(&house, form, "x".repeat(size * 1024 * 1024)).await;
        assert_eq!(reply.refusal(), (413, "The body is too large.".into()));
    }
    let reply =
        post(&house, form, (0..1_001).map(|it| format!("f{it}=1&")).collect::<String>()).await;
    assert_eq!(reply.status, 400);
    // A field counts as it is sent: with its name.
    let large = "y".repeat(1024 * 1024 - "message".len());
    assert_eq!(
        post(&house, form, format!("stream=false&message={large}")).await.good()["content"],
        large.as_str()
    );
}

#[tokio::test]
async fn paths_and_methods_answer_as_agnos() {
    let house = House::demo().open().await;
    assert_eq!(house.get("/health").await.good()["status"], "ok");
    assert_eq!(house.get("/workflows/").await.good(), house.get("/workflows").await.good());
    assert_eq!(house.get("/nope").await.refusal(), (404, "Not Found".into()));
    let put = Reply::of(house.ask(reqwest::Method::PUT, "/workflows")).await;
    assert_eq!(put.refusal(), (405, "Method Not Allowed".into()));
    assert!(put.headers.contains_key("allow"));
    let reply = house.get("/workflows/echo/runs").await;
    assert_eq!((reply.status, reply.json()), (422, missing("query", "session_id")));
}

#[tokio::test]
async fn sessions_belong_to_a_user_and_a_workflow() {
    let house = House::demo().open().await;
    let ada = [("message", "one"), ("session_id", "s"), ("user_id", "ada")];
    let first = house.run("echo", &ada).await.good();
    house
        .run("echo", &[("message", "zwei 🌍"), ("session_id", "s"), ("user_id", "ada")])
        .await
        .good();

    // What one database finds hard to keep comes back from both.
    let odd = "a\0b \u{feff}\u{10ffff} \r\n\t\"\\";
    let run = house.run("echo", &[("message", odd), ("session_id", "odd")]).await.good();
    let path = format!("/workflows/echo/runs/{}?session_id=odd", run["run_id"].as_str().unwrap());
    assert_eq!(house.get(&path).await.good()["content"], odd);

    // Somebody else's session looks absent; so does one without a user's name.
    for user in ["bob", ""] {
        let fields = [("message", "x"), ("session_id", "s"), ("user_id", user)];
        assert_eq!(house.run("echo", &fields).await.refusal(), (404, "Session not found".into()));
    }
    let list = house.get("/workflows/echo/runs?session_id=s").await.good();
    let contents: Vec<_> =
        list.as_array().unwrap().iter().map(|it| it["content"].as_str().unwrap()).collect();
    assert_eq!(contents, ["one", "zwei 🌍"]);

    let id = first["run_id"].as_str().unwrap();
    for path in [
        format!("/workflows/echo/runs/{id}?session_id=other"),
        format!("/workflows/prototype/runs/{id}?session_id=s"),
        "/workflows/echo/runs/nope?session_id=s".to_owned(),
        "/workflows/echo/runs/00000000-0000-0000-0000-000000000000?session_id=s".to_owned(),
    ] {
        assert_eq!(house.get(&path).await.refusal(), (404, "Run not found".into()), "{path}");
    }
    let unknown = house.get("/workflows/echo/runs?session_id=unknown").await;
    assert_eq!(unknown.refusal(), (404, "Session not found".into()));

    let streamed =
        house.stream("echo", &[("message", "drei"), ("session_id", "s"), ("user_id", "ada")]).await;
    let last = streamed.rest().await.pop().unwrap();
    let path =
        format!("/workflows/echo/runs/{}?session_id=s", last.data["run_id"].as_str().unwrap());
    let events = house.get(&path).await.good()["events"].clone();
    assert_eq!(*events.as_array().unwrap().last().unwrap(), last.data);
}

/// Sends a head, waits until whoever refuses it has done so, and sends the body.
async fn late_body(house: &House, head: &str, body: &[u8]) -> (TcpStream, String) {
    let mut stream =
        TcpStream::connect(house.address().trim_start_matches("http://")).await.unwrap();
    let head = format!("POST /none/such HTTP/1.1\r\nhost: localhost\r\n{head}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    stream.write_all(body).await.unwrap();
    let answer = answer(&mut stream).await;
    (stream, answer)
}

async fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = vec![0; 4096];
    let read = stream.read(&mut bytes).await.unwrap();
    String::from_utf8(bytes[..read].to_vec()).unwrap()
}

#[tokio::test]
async fn after_a_refusal_the_connection_is_good_or_the_client_is_told() {
    let house = House::serve().demo_models().open().await;
    let (mut stream, refusal) = late_body(&house, "content-length: 5", b"12345").await;
    assert!(refusal.starts_with("HTTP/1.1 404"), "{refusal}");
    assert!(!refusal.contains("connection: close"), "{refusal}");
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let next = answer(&mut stream).await;
    assert!(next.starts_with("HTTP/1.1 200"), "{next}");
    for (head, body) in [
        ("content-length: 100000000", &b""[..]),
        ("content-length: 5", b"123"),
        ("content-length: 5\r\nexpect: 100-continue", b""),
    ] {
        let (_, refusal) = late_body(&house, head, body).await;
        assert!(refusal.starts_with("HTTP/1.1 404"), "{refusal}");
        assert!(refusal.contains("connection: close"), "{refusal}");
    }
}
