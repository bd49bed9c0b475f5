//! What the host is: `/`, `/info`, `/config`, and the lists of what it has none of.

use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;

use super::auth::Caller;
use super::door::Door;
use super::error::ApiError;
use super::view::{Config, Count, Home, Info};

pub(super) fn routes() -> Router<Door> {
    Router::new()
        .route("/", get(home))
        .route("/info", get(info))
        .route("/config", get(config))
        .route("/agents", get(none))
        .route("/teams", get(none))
}

/// What this is.
async fn home(State(door): State<Door>) -> Result<Json<Value>, ApiError> {
    Ok(Json(serde_json::to_value(Home::of(&door.identity))?))
}

/// Who this is, for anybody. A caller nobody knows is told of workflows that every tenant has.
async fn info(
    State(door): State<Door>,
    caller: Result<Caller, Response>,
) -> Result<Json<Value>, ApiError> {
    let (auth_mode, user_isolation) = (door.auth.name(), door.auth.isolates_users());
    let workflows = match caller {
        Ok(Caller(who)) => door.app.workflow_list(&who).len(),
        Err(_) => door.app.workflow_count(),
    };
    let count = Count { auth_mode, user_isolation, workflows };
    Ok(Json(serde_json::to_value(Info::of(&door.identity, &count))?))
}

/// What a screen needs to know before it draws itself.
async fn config(State(door): State<Door>, Caller(who): Caller) -> Result<Json<Value>, ApiError> {
    let workflows = door.app.workflow_list(&who);
    Ok(Json(serde_json::to_value(Config::of(&door.identity, &workflows))?))
}

/// Agents and teams of their own: this host has workflows only.
async fn none(Caller(_): Caller) -> Json<[Value; 0]> {
    Json([])
}
