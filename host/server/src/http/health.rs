//! Whether the host is up.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use super::door::Door;
use super::view::iso;

pub(super) fn routes() -> Router<Door> {
    Router::new().route("/health", get(health))
}

/// Up, and the database answers.
async fn health(State(door): State<Door>) -> Response {
    if !door.app.is_well().await {
        let body = json!({ "status": "unavailable", "detail": "the database does not answer" });
        return (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response();
    }
    Json(json!({ "status": "ok", "instantiated_at": iso(door.since) })).into_response()
}
