//! Whether the host is up.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::door::Door;
use super::error::postponed;
use super::view::iso_micros;

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(health))
}

#[derive(Serialize, ToSchema)]
#[schema(as = HealthResponse)]
struct Health {
    /// `ok`, or `unavailable`.
    status: &'static str,
    /// When the host started.
    #[serde(skip_serializing_if = "Option::is_none")]
    instantiated_at: Option<String>,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
}

/// Up, and the database can be read and written.
#[utoipa::path(
    get, path = "/health", operation_id = "health_check", tag = "Health",
    responses(
        (status = 200, description = "It does", body = Health),
        (status = 503, description = "It does not", body = Health),
    ),
)]
async fn health(State(door): State<Door>) -> Response {
    if !door.app.is_well().await {
        let detail = Some("the database does not answer");
        let body = Health { status: "unavailable", instantiated_at: None, detail };
        return postponed((StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response());
    }
    let instantiated_at = Some(iso_micros(door.since));
    Json(Health { status: "ok", instantiated_at, detail: None }).into_response()
}
