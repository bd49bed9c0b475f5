//! `/sessions`: make, list and delete sessions.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use stepmill_store::{SessionKey, SessionPage};
use utoipa::ToSchema;

use super::common::{Common, Kind, SessionKind, gone, metadata};
use crate::app::{AppError, ListRead, ListSessions, NewSession};
use crate::http::auth::Caller;
use crate::http::door::Door;
use crate::http::error::{ApiError, FieldFault};
use crate::http::held::json_list;
use crate::http::json_body::Sent;
use crate::http::query::Query;
use crate::http::view::{
    Fault, FieldFaults, Nulls, SessionBody, SessionPageBody, detail, line, page,
};

/// The most sessions of one page. A client that asks for more gets so many, and is told.
const MAX_LIMIT: i64 = 1_000;

/// The sessions the caller sees, page by page.
#[utoipa::path(
    get, path = "/sessions", operation_id = "get_sessions", tag = "Sessions",
    params(
        ("type" = Option<SessionKind>, Query, description = "`workflow`; of other kinds there are none"),
        ("component_id" = Option<String>, Query, description = "Made for this workflow"),
        ("user_id" = Option<String>, Query, description = "Of this user; heard from those who see more than their own"),
        ("session_name" = Option<String>, Query, description = "With this in the name"),
        ("limit" = Option<i64>, Query, description = "Sessions of a page; 20 if absent", minimum = 1),
        ("page" = Option<i64>, Query, description = "Counted from 1", minimum = 0),
        ("sort_by" = Option<String>, Query, description = "created_at, updated_at, session_id, user_id or workflow_id"),
        ("sort_order" = Option<SortOrder>, Query, description = "`desc` if absent"),
        ("db_id" = Option<String>, Query, description = "The host's database"),
        ("table" = Option<String>, Query, description = "With `db_id`"),
    ),
    responses(
        (status = 200, description = "A page of sessions", body = SessionPageBody),
        (status = 400, description = "A table without its database, or a page that holds too much", body = Fault),
        (status = 404, description = "There is no such database", body = Fault),
        (status = 422, description = "A parameter is malformed", body = FieldFaults),
    ),
)]
pub(super) async fn session_list(
    State(door): State<Door>,
    Caller(who): Caller,
    parts: Parts,
) -> Result<Response, ApiError> {
    let mut query = Query::of(&parts.uri);
    let mut faults = Vec::new();
    let common = Common::read(&mut query, &mut faults);
    let limit = query.integer("limit", Some(1), &mut faults).unwrap_or(20).min(MAX_LIMIT);
    let number = query.integer("page", Some(0), &mut faults).unwrap_or(1).max(1);
    let descending = match query.given("sort_order").as_deref() {
        None | Some("desc") => true,
        Some("asc") => false,
        Some(other) => {
            let place = json!(["query", "sort_order"]);
            faults.push(FieldFault::no_choice(place, "'asc' or 'desc'", other));
            true
        }
    };
    let common = common.settled(&door, faults)?;
    let (key, descending) = order(query.take("sort_by").as_deref(), descending);
    let offset = (number - 1).unsigned_abs().saturating_mul(limit.unsigned_abs());
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    let wanted = SessionPage { key, descending, offset, limit };
    let ListRead { list: (found, total), room } = match common.kind {
        Kind::Other(_) => ListRead::default(),
        Kind::Any | Kind::Workflow => {
            let ask = ListSessions {
                user: common.user,
                workflow: query.given("component_id"),
                name: query.take("session_name"),
                page: wanted,
            };
            door.app.session_list(&who, ask).await?
        }
    };
    let mut lines = Vec::new();
    for session in found {
        lines.push(line(&session.map_err(AppError::from)?)?);
    }
    Ok(json_list(serde_json::to_vec(&page(lines, wanted, total))?, room))
}

/// From the smallest or the largest on.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "the document's words for orders")]
pub(in crate::http) enum SortOrder {
    Asc,
    Desc,
}

/// What is not known to sort by leaves sessions in the order they came.
fn order(word: Option<&str>, descending: bool) -> (SessionKey, bool) {
    match word {
        None | Some("created_at") => (SessionKey::CreatedAt, descending),
        Some("updated_at") => (SessionKey::UpdatedAt, descending),
        Some("session_id") => (SessionKey::Id, descending),
        Some("user_id") => (SessionKey::User, descending),
        Some("workflow_id") => (SessionKey::Workflow, descending),
        Some(_) => (SessionKey::CreatedAt, false),
    }
}

/// What a session is made of.
#[derive(ToSchema)]
#[schema(as = CreateSessionRequest)]
#[expect(dead_code, reason = "the document's word for what `session_create` takes")]
struct NewSessionBody {
    /// Chosen by the host if absent.
    #[schema(value_type = String, nullable, required = false, max_length = 256, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
    session_id: Option<String>,
    /// Shown in listings.
    #[schema(value_type = String, nullable, required = false, pattern = "^[^\\x00]*$")]
    session_name: Option<String>,
    /// What runs find.
    #[schema(value_type = Object, nullable, required = false)]
    session_state: Option<Value>,
    /// Laid under the metadata of each run.
    #[schema(value_type = Object, nullable, required = false)]
    metadata: Option<Value>,
    /// Who it belongs to; believed on a host without tokens only.
    #[schema(value_type = String, nullable, required = false, max_length = 256, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
    user_id: Option<String>,
    /// The workflow it is made for, or whatever else.
    #[schema(value_type = String, nullable, required = false, max_length = 256, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
    workflow_id: Option<String>,
}

/// Make a session.
#[utoipa::path(
    post, path = "/sessions", operation_id = "create_session", tag = "Sessions",
    params(
        ("type" = Option<String>, Query, nullable = false, pattern = "^workflow$", description = "`workflow`"),
        ("db_id" = Option<String>, Query, description = "The host's database"),
    ),
    request_body(content = Option<NewSessionBody>, content_type = "application/json"),
    responses(
        (status = 201, description = "The session", body = SessionBody),
        (status = 400, description = "An id cannot be one, or the kind of session is not known here", body = Fault),
        (status = 404, description = "There is no such database", body = Fault),
        (status = 408, description = "The body did not arrive in time", body = Fault),
        (status = 409, description = "There is a session of this id", body = Fault),
        (status = 413, description = "The body is too large", body = Fault),
        (status = 422, description = "Fields are malformed", body = FieldFaults),
    ),
)]
pub(super) async fn session_create(
    State(door): State<Door>,
    Caller(who): Caller,
    request: Request,
) -> Result<Response, ApiError> {
    // Agno's makes sessions in the one table it has, whatever table is named.
    let mut query = Query::of(request.uri());
    query.take("table");
    let common = Common::only(&door, &mut query)?;
    if let Kind::Other(_) = common.kind {
        return Err(ApiError::Unsupported("This host has sessions of workflows only"));
    }
    let mut body = Sent::read(&door, request).await?.object()?;
    // In the order faults are told in.
    let ask = NewSession {
        id: body.text("session_id"),
        name: body.text("session_name"),
        state: body.object("session_state"),
        metadata: metadata(&mut body),
        user: body.text("user_id"),
        workflow: body.text("workflow_id"),
    };
    body.done()?;
    let made = door.app.session_create(&who, ask).await?;
    Ok((StatusCode::CREATED, Json(detail(&made, Nulls::Hidden)?)).into_response())
}

/// Which sessions are deleted.
#[derive(ToSchema)]
#[schema(as = DeleteSessionRequest)]
#[expect(dead_code, reason = "the document's word for what `session_delete_many` takes")]
struct DeleteBody {
    /// Their ids.
    #[schema(min_items = 1, max_items = 1_000)]
    session_ids: Vec<String>,
    /// Their kinds, as many as ids.
    #[schema(min_items = 1, max_items = 1_000)]
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
pub(super) async fn session_delete_many(
    State(door): State<Door>,
    Caller(who): Caller,
    request: Request,
) -> Result<Response, ApiError> {
    let mut query = Query::of(request.uri());
    let mut body = Sent::read(&door, request).await?.required()?;
    let ids = body.texts("session_ids");
    let kinds = body.texts("session_types");
    for (place, kind) in kinds.iter().enumerate() {
        Kind::read(kind, json!(["body", "session_types", place]), body.faults());
    }
    body.done()?;
    if ids.len() != kinds.len() {
        let text = "Session IDs and session types must have the same length";
        return Err(ApiError::bad_request(text));
    }
    let common = Common::untyped(&door, &mut query)?;
    door.app.session_delete(&who, &ids, common.user).await?;
    Ok(gone())
}
