//! `/sessions/{session_id}`: look at, rename, change and delete a session.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::response::Response;
use serde_json::Value;
use stepmill_core::principal::Principal;
use stepmill_store::SessionChange;
use utoipa::ToSchema;

use super::common::{Common, Kind, SessionKind, gone, metadata};
use crate::app::AppError;
use crate::http::auth::Caller;
use crate::http::door::Door;
use crate::http::error::{ApiError, FieldFault};
use crate::http::json_body::Sent;
use crate::http::query::Query;
use crate::http::view::{Fault, FieldFaults, Nulls, SessionBody, detail};

/// One session.
#[utoipa::path(
    get, path = "/sessions/{session_id}", operation_id = "get_session_by_id", tag = "Sessions",
    params(
        ("session_id" = String, Path, description = "The session", min_length = 1),
        ("type" = Option<SessionKind>, Query, description = "`workflow`; of other kinds there are none"),
        ("user_id" = Option<String>, Query, description = "Its user has to be this one"),
        ("db_id" = Option<String>, Query, description = "The host's database"),
    ),
    responses(
        (status = 200, description = "The session", body = SessionBody),
        (status = 404, description = "There is no such session", body = Fault),
        (status = 422, description = "A parameter is malformed", body = FieldFaults),
    ),
)]
pub(super) async fn session_fetch(
    State(door): State<Door>,
    Caller(who): Caller,
    Path(id): Path<String>,
    parts: Parts,
) -> Result<Json<Value>, ApiError> {
    let common = Common::only(&door, &mut Query::of(&parts.uri))?;
    if let Kind::Other(_) = common.kind {
        return Err(common.missing(&id));
    }
    let found = door.app.session_fetch(&who, &id, common.user.clone()).await;
    let found = found.map_err(|it| common.fault(&id, it))?;
    Ok(Json(detail(&found, Nulls::Hidden)?))
}

/// What a session is called from now on.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the document's word for what `session_rename` takes")]
struct NameBody {
    /// May be empty.
    #[schema(pattern = "^[^\\x00]*$")]
    session_name: String,
}

/// Rename a session.
#[utoipa::path(
    post, path = "/sessions/{session_id}/rename", operation_id = "rename_session", tag = "Sessions",
    params(
        ("session_id" = String, Path, description = "The session", min_length = 1),
        ("user_id" = Option<String>, Query, description = "Its user has to be this one"),
        ("db_id" = Option<String>, Query, description = "The host's database"),
    ),
    request_body(content = NameBody, content_type = "application/json"),
    responses(
        (status = 200, description = "The session", body = SessionBody),
        (status = 400, description = "The name cannot be stored", body = Fault),
        (status = 404, description = "There is no such session", body = Fault),
        (status = 408, description = "The body did not arrive in time", body = Fault),
        (status = 413, description = "The body is too large", body = Fault),
        (status = 422, description = "The name is missing or malformed", body = FieldFaults),
    ),
)]
pub(super) async fn session_rename(
    State(door): State<Door>,
    Caller(who): Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let common = Common::only(&door, &mut Query::of(request.uri()))?;
    let name = match Sent::read(&door, request).await? {
        Sent::Object(mut body) => {
            let name = body.required_text("session_name");
            body.done()?;
            name
        }
        Sent::Nothing | Sent::Other(_) => {
            return Err(ApiError::Fields(vec![FieldFault::missing("body", "session_name")]));
        }
    };
    let change = SessionChange { name, ..SessionChange::default() };
    changed(&door, &who, &id, common, change).await
}

/// What is changed of a session; what is absent or null stays.
#[derive(ToSchema)]
#[schema(as = UpdateSessionRequest)]
#[expect(dead_code, reason = "the document's word for what `session_change` takes")]
struct ChangeBody {
    /// The name.
    #[schema(value_type = String, nullable, required = false, pattern = "^[^\\x00]*$")]
    session_name: Option<String>,
    /// The whole state.
    #[schema(value_type = Object, nullable, required = false)]
    session_state: Option<Value>,
    /// The whole metadata.
    #[schema(value_type = Object, nullable, required = false)]
    metadata: Option<Value>,
}

/// Change a session.
#[utoipa::path(
    patch, path = "/sessions/{session_id}", operation_id = "update_session", tag = "Sessions",
    params(
        ("session_id" = String, Path, description = "The session", min_length = 1),
        ("user_id" = Option<String>, Query, description = "Its user has to be this one"),
        ("db_id" = Option<String>, Query, description = "The host's database"),
    ),
    request_body(content = ChangeBody, content_type = "application/json"),
    responses(
        (status = 200, description = "The session", body = SessionBody),
        (status = 400, description = "The name cannot be stored", body = Fault),
        (status = 404, description = "There is no such session", body = Fault),
        (status = 408, description = "The body did not arrive in time", body = Fault),
        (status = 413, description = "The body is too large", body = Fault),
        (status = 422, description = "Fields are missing or malformed", body = FieldFaults),
    ),
)]
pub(super) async fn session_change(
    State(door): State<Door>,
    Caller(who): Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let common = Common::only(&door, &mut Query::of(request.uri()))?;
    let mut body = Sent::read(&door, request).await?.required()?;
    let change = SessionChange {
        name: body.text("session_name"),
        state: body.object("session_state"),
        metadata: metadata(&mut body),
    };
    body.done()?;
    changed(&door, &who, &id, common, change).await
}

async fn changed(
    door: &Door,
    who: &Principal,
    id: &str,
    common: Common,
    change: SessionChange,
) -> Result<Json<Value>, ApiError> {
    let changed = door.app.session_change(who, id, common.user, change).await;
    let changed = changed.map_err(|fault| match fault {
        AppError::UnknownSession => ApiError::missing(format!("Session with id '{id}' not found")),
        fault => fault.into(),
    })?;
    Ok(Json(detail(&changed, Nulls::Shown)?))
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
pub(super) async fn session_delete(
    State(door): State<Door>,
    Caller(who): Caller,
    Path(id): Path<String>,
    parts: Parts,
) -> Result<Response, ApiError> {
    let common = Common::untyped(&door, &mut Query::of(&parts.uri))?;
    door.app.session_delete(&who, &[id], common.user).await?;
    Ok(gone())
}
