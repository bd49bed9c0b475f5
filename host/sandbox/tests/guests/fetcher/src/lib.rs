//! A guest that sends requests as a language's own library does: through `wasi:http`.
//!
//! `build` reads its order from the session id, `run` from the message: a method, a URL, and where
//! the secret `key` stands: `header`, `body`, or nowhere. What came back is the workflow's
//! description, or the step's content.

wit_bindgen::generate!({ path: "../../../../../wit/v1", world: "factory", generate_all });

use exports::stepmill::plugin::{functions, workflow_factory};
use stepmill::plugin::secrets;
use stepmill::plugin::types::{
    Capability, Description, Executor, FactoryError, Function, Node, RequestContext, Step,
    StepInput, StepOutput, Workflow, WorkflowKind,
};
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Headers, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
    Scheme,
};

struct Guest;

impl workflow_factory::Guest for Guest {
    fn describe() -> Description {
        Description {
            id: "fetcher".to_owned(),
            kind: WorkflowKind::Factory,
            name: None,
            description: None,
            input_schema: None,
            capabilities: vec![
                Capability::Http("127.0.0.1".to_owned()),
                Capability::Secret("key".to_owned()),
            ],
        }
    }

    fn build(context: RequestContext) -> Result<Workflow, FactoryError> {
        let order = context.session_id.unwrap_or_default();
        let function = Function { name: "fetch".to_owned(), argument: None };
        let step = Step {
            name: "fetch".to_owned(),
            description: None,
            executor: Executor::Function(function),
            options: None,
        };
        Ok(Workflow {
            name: "fetcher".to_owned(),
            description: order.contains(' ').then(|| follow(&order)),
            nodes: vec![Node::Step(step)],
            root: 0,
            session_state: None,
            showing: None,
        })
    }
}

impl functions::Guest for Guest {
    fn run(_context: RequestContext, input: StepInput) -> Result<StepOutput, String> {
        Ok(StepOutput { content: follow(&input.message), stop: false, session_state: None })
    }
}

export!(Guest);

fn follow(order: &str) -> String {
    let mut words = order.splitn(3, ' ');
    let mut word = || words.next().unwrap_or_default();
    let (method, url, place) = (word(), word(), word());
    if method == "hoard" {
        return hoard(url);
    }
    match fetch(method, url, place) {
        Ok(said) => said,
        Err(code) => format!("{code:?}"),
    }
}

fn fetch(method: &str, url: &str, place: &str) -> Result<String, ErrorCode> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let headers = Headers::new();
    if place == "header" {
        let value = format!("Bearer {}", key());
        headers.append("authorization", value.as_bytes()).expect("it is a header");
    }
    let body = match place {
        "body" => format!("{{\"key\":\"{}\"}}", key()),
        _ if place.starts_with("large ") => "x".repeat(place[6..].parse().unwrap_or(0)),
        _ => String::new(),
    };
    if !body.is_empty() {
        let length = body.len().to_string();
        headers.append("content-length", length.as_bytes()).expect("it is a header");
    }
    let request = OutgoingRequest::new(headers);
    request.set_method(&Method::Other(method.to_owned())).expect("it is a method");
    request.set_authority(Some(authority)).expect("it is an authority");
    request.set_path_with_query(Some(path)).expect("it is a path");
    let scheme = if scheme == "http" { Scheme::Http } else { Scheme::Https };
    request.set_scheme(Some(&scheme)).expect("it is a scheme");

    let sending = request.body().expect("it is the first time");
    let answer = handle(request, None)?;
    let stream = sending.write().expect("it is the first time");
    for piece in body.as_bytes().chunks(4_096) {
        // What nobody reads any more is not written.
        if stream.blocking_write_and_flush(piece).is_err() {
            break;
        }
    }
    drop(stream);
    // Whoever refused the request says so below.
    let _ = OutgoingBody::finish(sending, None);
    answer.subscribe().block();
    read(answer.get().expect("it is there").expect("it is the first time")?)
}

fn read(answer: IncomingResponse) -> Result<String, ErrorCode> {
    let mut said = format!("{}\n", answer.status());
    for (name, value) in answer.headers().entries() {
        said.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(&value)));
    }
    let body = answer.consume().expect("it is the first time");
    let stream = body.stream().expect("it is the first time");
    while let Ok(piece) = stream.blocking_read(65_536) {
        said.push_str(&String::from_utf8_lossy(&piece));
    }
    drop(stream);
    drop(IncomingBody::finish(body));
    Ok(said)
}

/// Begins as many requests as there are handles, and says as much as it can of each.
fn hoard(what: &str) -> String {
    let long = "x".repeat(1 << 20);
    let mut held = Vec::new();
    for _ in 0..100 {
        let request = OutgoingRequest::new(Headers::new());
        let is_taken = match what {
            "method" => request.set_method(&Method::Other(long.clone())),
            "authority" => request.set_authority(Some(&long)),
            _ => request.set_path_with_query(Some(&format!("/{}", &long[..60_000]))),
        };
        if is_taken.is_ok() {
            held.push(request);
        }
    }
    format!("{} held", held.len())
}

fn key() -> String {
    secrets::get("key").expect("there is a secret")
}
