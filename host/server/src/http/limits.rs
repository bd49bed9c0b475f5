//! `/limits`: what a tenant may use, and what it uses now.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde_json::Value;
use stepmill_core::ids::TenantId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Caller;
use super::door::Door;
use super::error::ApiError;
use super::query::Query;
use super::view::{Fault, TenantUseBody};
use crate::app::AppError;

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(limits_fetch))
}

/// What the caller's tenant may use, and what it uses now.
///
/// The host's operator may name another tenant.
#[utoipa::path(
    get, path = "/limits", operation_id = "get_limits", tag = "Policies",
    params(
        ("tenant" = Option<String>, Query, description = "Whose; absent: the caller's",
            pattern = r"^[^\x00-\x1f\x7f-\x9f]{0,128}$"),
    ),
    responses(
        (status = 200, description = "Limits, and use", body = TenantUseBody),
        (status = 400, description = "No tenant can have this id", body = Fault),
    ),
)]
async fn limits_fetch(
    State(door): State<Door>,
    Caller(who): Caller,
    uri: Uri,
) -> Result<Json<Value>, ApiError> {
    let tenant = Query::of(&uri).take("tenant").map(TenantId::new).transpose();
    let tenant = tenant.map_err(|fault| AppError::BadId { field: "tenant", fault })?;
    let found = door.app.tenant_use(&who, tenant).await?;
    Ok(Json(serde_json::to_value(TenantUseBody::of(&found))?))
}
