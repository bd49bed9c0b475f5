//! What the host is: `/`, `/info`, `/config`, and the lists of what it has none of.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Caller;
use super::door::Door;
use super::error::ApiError;
use super::view::{Config, Count, Home, Info};

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new()
        .routes(routes!(home))
        .routes(routes!(info))
        .routes(routes!(config))
        .routes(routes!(agents))
        .routes(routes!(teams))
}

/// What this is.
#[utoipa::path(
    get, path = "/", operation_id = "get_home", tag = "Core",
    responses((status = 200, description = "Where to go from here", body = Home)),
)]
async fn home(State(door): State<Door>) -> Result<Json<Value>, ApiError> {
    Ok(Json(serde_json::to_value(Home::of(&door.identity, door.settings.docs))?))
}

/// Who this is, for anybody.
///
/// A caller nobody knows is told of workflows that every tenant has.
#[utoipa::path(
    get, path = "/info", operation_id = "get_info", tag = "Core",
    responses((status = 200, description = "Names, versions and numbers", body = Info)),
)]
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
#[utoipa::path(
    get, path = "/config", operation_id = "get_config", tag = "Core",
    responses((status = 200, description = "What there is, and where it is kept", body = Config)),
)]
async fn config(State(door): State<Door>, Caller(who): Caller) -> Result<Json<Value>, ApiError> {
    let workflows = door.app.workflow_list(&who);
    Ok(Json(serde_json::to_value(Config::of(&door.identity, &workflows))?))
}

/// Agents of their own: there are none, this host has workflows only.
#[utoipa::path(
    get, path = "/agents", operation_id = "get_agents", tag = "Agents",
    responses((status = 200, description = "None", body = [Value])),
)]
async fn agents(Caller(_): Caller) -> Json<[Value; 0]> {
    Json([])
}

/// Teams of their own: there are none, this host has workflows only.
#[utoipa::path(
    get, path = "/teams", operation_id = "get_teams", tag = "Teams",
    responses((status = 200, description = "None", body = [Value])),
)]
async fn teams(Caller(_): Caller) -> Json<[Value; 0]> {
    Json([])
}
