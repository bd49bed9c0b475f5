//! Sends a recorded request, with our ids and today's tokens in it.

use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::answer;
use super::ids::Ids;
use super::setup::Setup;
use super::tokens::Clock;

/// What our server answers.
pub(super) async fn play(setup: &Setup, request: &Value, ids: &Ids, clock: &Clock) -> Value {
    let text = |value: &Value| ids.translate(value.as_str().unwrap());
    let method: Method = request["method"].as_str().unwrap().parse().unwrap();
    let mut ask = setup.client.request(method, format!("{}{}", setup.url, text(&request["path"])));
    if let Some(query) = request.get("query") {
        let mut query = pairs(query, ids);
        let times = query.iter_mut().filter(|it| it.0.starts_with("created_"));
        times.for_each(|it| it.1 = clock.moved(&it.1));
        ask = ask.query(&query);
    }
    for (name, value) in request["headers"].as_object().into_iter().flatten() {
        ask = ask.header(name, clock.renew(&text(value)));
    }
    answer::ours(body(ask, request, ids).send().await.unwrap()).await
}

fn body(ask: RequestBuilder, request: &Value, ids: &Ids) -> RequestBuilder {
    if let Some(encoding) = request.get("form_encoding") {
        let mut fields = pairs(request.get("form").unwrap_or(&Value::Null), ids);
        fields.extend(pairs(request.get("form_pairs").unwrap_or(&Value::Null), ids));
        for (name, repeat) in request["form_repeat"].as_object().into_iter().flatten() {
            let times = usize::try_from(repeat[1].as_u64().unwrap()).unwrap();
            fields.push((name.clone(), repeat[0].as_str().unwrap().repeat(times)));
        }
        return match encoding.as_str().unwrap() {
            "multipart/form-data" => ask.multipart(multipart(fields, &request["files"])),
            _ => ask.form(&fields),
        };
    }
    // The recorder's client sends no body for nothing.
    if let Some(json) = request.get("json").filter(|it| !it.is_null()) {
        return ask.json(&translated(json, ids));
    }
    match request.get("raw_body") {
        Some(raw) => ask.body(ids.translate(raw.as_str().unwrap())),
        None => ask,
    }
}

fn multipart(fields: Vec<(String, String)>, files: &Value) -> Form {
    let mut form = Form::new();
    for (name, value) in fields {
        form = form.text(name, value);
    }
    for (name, file) in files.as_object().into_iter().flatten() {
        let word = |key: &str| file[key].as_str().unwrap().to_owned();
        let part = Part::text(word("content")).file_name(word("filename"));
        form = form.part(name.clone(), part.mime_str(&word("content_type")).unwrap());
    }
    form
}

/// An object's fields, or a list of pairs. A list as a value is that many fields.
fn pairs(value: &Value, ids: &Ids) -> Vec<(String, String)> {
    let word = |it: &Value| match it {
        Value::String(it) => ids.translate(it),
        it => it.to_string(),
    };
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| match value {
                Value::Array(values) => values.iter().map(|it| (name.clone(), word(it))).collect(),
                value => vec![(name.clone(), word(value))],
            })
            .collect(),
        Value::Array(pairs) => pairs.iter().map(|it| (word(&it[0]), word(&it[1]))).collect(),
        _ => Vec::new(),
    }
}

fn translated(value: &Value, ids: &Ids) -> Value {
    match value {
        Value::String(it) => ids.translate(it).into(),
        Value::Array(items) => items.iter().map(|it| translated(it, ids)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, it)| (name.clone(), translated(it, ids))).collect()
        }
        other => other.clone(),
    }
}
