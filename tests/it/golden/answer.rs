//! An answer as one JSON value: the recorded one and ours in the same form.
//!
//! `{ "status", "headers", "body" }`, or `"events"` instead of the body for a stream. The body is
//! what its JSON says, or its text.

use serde_json::{Map, Value, json};

/// Headers that say something to a client. What the connection is like (lengths, `date`,
/// `server`) is each server's own.
fn matters(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let named = ["allow", "content-type", "location", "retry-after", "vary", "www-authenticate"];
    named.contains(&name.as_str()) || name.starts_with("access-control-")
}

/// The headers that matter, by name.
fn headers(all: impl Iterator<Item = (String, String)>) -> Value {
    let mut chosen: Vec<_> = all.filter(|(name, _)| matters(name)).collect();
    chosen.sort();
    Value::Object(chosen.into_iter().map(|(name, value)| (name, value.into())).collect())
}

/// The response of a recording.
pub(super) fn recorded(response: &Value) -> Value {
    let all = response["headers"].as_object().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut answer = Map::new();
    answer.insert("status".to_owned(), response["status"].clone());
    let headers = headers(all.map(|(name, value)| (name.to_lowercase(), text(value))));
    answer.insert("headers".to_owned(), headers);
    match response.get("events") {
        Some(events) => answer.insert("events".to_owned(), events.clone()),
        None => answer.insert("body".to_owned(), response["body"].clone()),
    };
    Value::Object(answer)
}

/// What our server answered.
pub(super) async fn ours(response: reqwest::Response) -> Value {
    let status = response.status().as_u16();
    let all = response.headers().iter();
    let headers = headers(all.map(|(name, value)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    }));
    let text = match response.text().await {
        Ok(text) => text,
        Err(fault) => {
            return json!({ "status": status, "headers": headers, "body": fault.to_string() });
        }
    };
    let is_stream =
        headers["content-type"].as_str().is_some_and(|it| it.starts_with("text/event-stream"));
    if is_stream {
        return json!({ "status": status, "headers": headers, "events": events(&text) });
    }
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    json!({ "status": status, "headers": headers, "body": body })
}

/// The frames of a stream; comments are no events.
fn events(text: &str) -> Vec<Value> {
    let frames = text.split("\n\n").filter(|it| !it.is_empty() && !it.starts_with(':'));
    frames
        .map(|frame| {
            let mut event = Map::new();
            for line in frame.lines() {
                let (name, value) = line.split_once(": ").unwrap_or((line, ""));
                let value = match name {
                    "data" => serde_json::from_str(value).unwrap_or(value.into()),
                    _ => value.into(),
                };
                event.insert(name.to_owned(), value);
            }
            Value::Object(event)
        })
        .collect()
}
