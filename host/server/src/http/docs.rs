//! `/openapi.json`, and a page for people that reads it.

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use uuid::Uuid;

use super::door::Door;

/// The page: one file, with its own style and script.
const PAGE: &str = include_str!("docs.html");

/// The routes that are not in the document: those that show it.
pub(super) fn routes(door: &Door, document: Bytes) -> Router<Door> {
    let page = PAGE.replace("{{name}}", &escaped(&door.identity.name));
    let page = move || {
        let answer = show(&page);
        async { answer }
    };
    let kind = HeaderValue::from_static("application/json");
    let document = move || async { ([(header::CONTENT_TYPE, kind)], document) };
    Router::new()
        .route("/openapi.json", get(document))
        .route("/docs", get(page.clone()))
        .route("/redoc", get(page))
}

/// The page runs and loads nothing but what stands in it, and asks nobody but this host.
fn show(page: &str) -> Response {
    let nonce = Uuid::new_v4().simple().to_string();
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    (headers, Html(page.replace("{{nonce}}", &nonce))).into_response()
}

/// A text as HTML shows it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
