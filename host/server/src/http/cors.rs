//! Which pages of other origins may use this host (CORS), answered as AgentOS answers.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::door::Door;

/// What AgentOS says it allows. That a route takes a method is for the route to say.
const METHODS: &str = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, QUERY";

/// How long a browser may remember a permission, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// What an answer to a preflight depends on.
const PREFLIGHT_VARY: HeaderValue = HeaderValue::from_static(
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers, \
     Access-Control-Request-Private-Network",
);

const YES: HeaderValue = HeaderValue::from_static("true");

/// Answers preflights, and tells browsers which pages may read an answer. Refusals of the guard
/// pass here too: a page has to be able to read that its token is bad.
pub(super) async fn cross_origin(
    State(door): State<Door>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let Some(origin) = headers.get(header::ORIGIN).cloned() else {
        return varied(next.run(request).await);
    };
    let is_allowed = origin.to_str().is_ok_and(|it| door.settings.allows_origin(it));
    if request.method() == Method::OPTIONS
        && let Some(method) = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)
    {
        return preflight(&origin, is_allowed, method, headers);
    }
    let mut response = varied(next.run(request).await);
    let status = response.status();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, YES);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
    // Without this one the others mean nothing.
    if is_allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    // To these Agno adds what only a preflight needs, and clients may look at it.
    if is_allowed && status == StatusCode::UNAUTHORIZED {
        let all = HeaderValue::from_static("*");
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, all.clone());
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, all);
    }
    response
}

/// Who asks decides what an answer says, so caches keep answers apart.
fn varied(mut response: Response) -> Response {
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Origin"));
    response
}

/// The answer to a browser that asks before it sends. No token comes with the question.
fn preflight(
    origin: &HeaderValue,
    is_allowed: bool,
    method: &HeaderValue,
    asked: &HeaderMap,
) -> Response {
    let mut refused = Vec::new();
    if !is_allowed {
        refused.push("origin");
    }
    if !METHODS.split(", ").any(|it| method == it) {
        refused.push("method");
    }
    let (status, text) = match refused.is_empty() {
        true => (StatusCode::OK, "OK".to_owned()),
        false => (StatusCode::BAD_REQUEST, format!("Disallowed CORS {}", refused.join(", "))),
    };
    let mut response = (status, text).into_response();
    let headers = response.headers_mut();
    headers.insert(header::VARY, PREFLIGHT_VARY);
    let methods = HeaderValue::from_static(METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, YES);
    // Without the origin it means nothing; Agno says it all the same.
    if let Some(names) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    if !is_allowed {
        return response;
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    if asked.contains_key("access-control-request-private-network") {
        headers.insert("access-control-allow-private-network", YES);
    }
    response
}
