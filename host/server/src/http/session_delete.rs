//! `DELETE /sessions`: one session, or several.

use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Caller;
use super::door::Door;
use super::error::{ApiError, FieldFault};
use super::json_body::Sent;
use super::query::Query;
use super::session_query::{Common, SessionKind};
use super::view::{Fault, FieldFaults};

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(session_delete)).routes(routes!(session_delete_many))
}

/// Delete a session with its runs. One that is not there is no fault.
#[utoipa::path(
    delete, path = "/sessions/{session_id}", operation_id = "delete_session", tag = "Sessions",
    params(
        ("session_id" = String, Path, description = "The session", min_length = 1),
        ("user_id" = Option<String>, Query, description = "Only if its user is this one"),
        ("db_id" = Option<String>, Query, description = "The host's database"),
    ),
    responses(
        (status = 204, description = "It is gone, or was not there"),
        (status = 404, description = "There is no such database", body = Fault),
        (status = 422, description = "A parameter is malformed", body = FieldFaults),
    ),
)]
async fn session_delete(
    State(door): State<Door>,
    Caller(who): Caller,
    Path(id): Path<String>,
    parts: Parts,
) -> Result<Response, ApiError> {
    let common = Common::only(&door, &mut Query::of(&parts))?;
    door.app.session_delete(&who, &[id], common.user).await?;
    Ok(gone())
}

/// Nothing is left to say, as JSON: so Agno says it.
fn gone() -> Response {
    (StatusCode::NO_CONTENT, [(header::CONTENT_TYPE, "application/json")]).into_response()
}

/// Which sessions are deleted.
#[derive(ToSchema)]
#[schema(as = DeleteSessionRequest)]
#[expect(dead_code, reason = "the document's word for what `session_delete_many` takes")]
struct DeleteBody {
    /// Their ids.
    #[schema(min_items = 1)]
    session_ids: Vec<String>,
    /// Their kinds, as many as ids.
    #[schema(min_items = 1)]
    session_types: Vec<SessionKind>,
}

/// Delete sessions with their runs. Those that are not there are no fault.
#[utoipa::path(
    delete, path = "/sessions", operation_id = "delete_sessions", tag = "Sessions",
    params(
        ("user_id" = Option<String>, Query, description = "Only those of this user"),
        ("db_id" = Option<String>, Query, description = "The host's database"),
    ),
    request_body(content = DeleteBody, content_type = "application/json"),
    responses(
        (status = 204, description = "They are gone, or were not there"),
        (status = 400, description = "Not as many kinds as ids", body = Fault),
        (status = 404, description = "There is no such database", body = Fault),
        (status = 408, description = "The body did not arrive in time", body = Fault),
        (status = 413, description = "The body is too large", body = Fault),
        (status = 422, description = "Fields are missing or malformed", body = FieldFaults),
    ),
)]
async fn session_delete_many(
    State(door): State<Door>,
    Caller(who): Caller,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let mut query = Query::of(&parts);
    let mut body = match Sent::read(&door, Request::from_parts(parts, body)).await? {
        Sent::Nothing => {
            let fault = FieldFault::new("missing", json!(["body"]), "Field required");
            return Err(ApiError::Fields(vec![fault]));
        }
        sent => sent.object()?,
    };
    let ids = body.texts("session_ids");
    let kinds = body.texts("session_types");
    for (place, kind) in kinds.iter().enumerate() {
        if !matches!(kind.as_str(), "agent" | "team" | "workflow") {
            let place = json!(["body", "session_types", place]);
            let expected = "'agent', 'team' or 'workflow'";
            body.fault(FieldFault::no_choice(place, expected, kind.as_str()));
        }
    }
    body.done()?;
    if ids.len() != kinds.len() {
        let text = "Session IDs and session types must have the same length";
        return Err(ApiError::bad_request(text));
    }
    let common = Common::only(&door, &mut query)?;
    door.app.session_delete(&who, &ids, common.user).await?;
    Ok(gone())
}
