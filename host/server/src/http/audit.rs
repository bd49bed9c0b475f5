//! `/audit`: who changed what may be done here, and who was not let do something.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde_json::Value;
use stepmill_core::audit::Action;
use stepmill_core::ids::TenantId;
use stepmill_store::AuditFilter;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Caller;
use super::door::Door;
use super::error::ApiError;
use super::query::Query;
use super::view::{AuditBody, Fault, FieldFaults};
use crate::app::{AppError, ReadAudit};

/// Lines of one answer, unless the client says how many.
const LINES: u32 = 100;

/// The most lines of one answer.
const MOST_LINES: i64 = 1_000;

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(audit_list))
}

/// The audit log, the latest line first.
///
/// Of the caller's tenant, for its admins. The host's operator may read another's with `tenant`,
/// and with `host=true` the host's own: policies, shared plugins, and callers nobody knows.
#[utoipa::path(
    get, path = "/audit", operation_id = "get_audit", tag = "Audit",
    params(
        ("tenant" = Option<String>, Query, description = "Whose; absent: the caller's", pattern = r"^[^\x00-\x1f\x7f-\x9f]{0,128}$"),
        ("host" = Option<bool>, Query, description = "The host's own"),
        ("action" = Option<String>, Query, description = "Only this, such as `plugin.upload`", pattern = r"^((plugin\.upload|policy\.put|key\.create|secret\.put|access\.denied)|(plugin|policy|key|secret|session)\.delete)?$"),
        ("before" = Option<i64>, Query, description = "Only what stands before this `sequence`"),
        ("limit" = Option<i64>, Query, description = "How many; 100 if absent, 1,000 at most", minimum = 1),
    ),
    responses(
        (status = 200, description = "The lines", body = [AuditBody]),
        (status = 400, description = "No tenant can have this id, or there is no such action", body = Fault),
        (status = 422, description = "A parameter is malformed", body = FieldFaults),
    ),
)]
async fn audit_list(
    State(door): State<Door>,
    Caller(who): Caller,
    uri: Uri,
) -> Result<Json<Vec<Value>>, ApiError> {
    let mut query = Query::of(&uri);
    let mut faults = Vec::new();
    let before = query.integer("before", None, &mut faults);
    let limit = query.integer("limit", Some(1), &mut faults);
    let host = query.boolean("host")?;
    if !faults.is_empty() {
        return Err(ApiError::Fields(faults));
    }
    let tenant = query.take("tenant").map(TenantId::new).transpose();
    let tenant = tenant.map_err(|fault| AppError::BadId { field: "tenant", fault })?;
    let action = query.take("action").map(|it| Action::parse(&it).ok_or(it)).transpose();
    let action = action.map_err(|_| ApiError::bad_request("action: there is no such action"))?;
    let limit = limit.map_or(LINES, |it| it.min(MOST_LINES) as u32);
    let filter = AuditFilter { before, action, limit };
    let rows = door.app.audit_list(&who, &ReadAudit { tenant, host, filter }).await?;
    let views = rows.iter().map(|it| serde_json::to_value(AuditBody::of(it)));
    Ok(Json(views.collect::<Result<_, _>>()?))
}
