//! `/usage`: what models were asked for, day by day, and what budgets leave.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde_json::Value;
use stepmill_core::ids::TenantId;
use stepmill_core::time::Day;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Caller;
use super::door::Door;
use super::error::ApiError;
use super::query::Query;
use super::view::{Fault, UsageBody};
use crate::app::{AppError, ReadUsage};

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(usage_read))
}

/// What models were asked for.
///
/// By day (UTC), workflow and model, at most a year and 10,000 rows at once; and every budget, with what
/// of it is left for today. Needs the scope `usage:read`; to name another tenant, to be the host's
/// operator, who also sees the budgets that tenants share.
#[utoipa::path(
    get, path = "/usage", operation_id = "get_usage", tag = "Usage",
    params(
        ("from" = Option<String>, Query, nullable = false, format = Date, description = "From this day on; absent: the day `to`"),
        ("to" = Option<String>, Query, nullable = false, format = Date, description = "To this day, included; absent: today"),
        ("tenant" = Option<String>, Query, nullable = false, max_length = 128,
            pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$", description = "Whose; absent: the caller's own"),
    ),
    responses(
        (status = 200, description = "What was used", body = UsageBody),
        (status = 400, description = "A day or the tenant cannot be one, or these are too many days", body = Fault),
    ),
)]
async fn usage_read(
    State(door): State<Door>,
    Caller(who): Caller,
    uri: Uri,
) -> Result<Json<Value>, ApiError> {
    let mut query = Query::of(&uri);
    let mut day = |name: &str| {
        let bad = || ApiError::bad_request(format!("{name} must be a day such as 2026-11-25"));
        query.given(name).map(|it| Day::parse(&it).ok_or_else(bad)).transpose()
    };
    let (from, to) = (day("from")?, day("to")?);
    let bad = |fault| AppError::BadId { field: "tenant", fault };
    let tenant = query.take("tenant").map(TenantId::new).transpose().map_err(bad)?;
    let found = door.app.usage_read(&who, ReadUsage { tenant, from, to }).await?;
    Ok(Json(serde_json::to_value(UsageBody::of(&found))?))
}
