//! `/sessions`: make, list, look at, change and delete sessions.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use stepmill_store::{SessionChange, SessionKey, SessionPage};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Caller;
use super::door::Door;
use super::error::{ApiError, FieldFault};
use super::extras;
use super::json_body::{JsonBody, Sent};
use super::query::Query;
use super::view::{Fault, FieldFaults, Nulls, SessionBody, SessionList, detail, page};
use crate::app::{AppError, ListSessions, NewSession};

/// The most sessions of one page. A client that asks for more gets so many, and is told.
const MAX_LIMIT: i64 = 1_000;

/// The table of Agno's that sessions are in, by the name its clients know.
const TABLE: &str = "agno_sessions";

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new()
        .routes(routes!(session_list, session_create, session_delete_many))
        .routes(routes!(session_fetch, session_change, session_delete))
        .routes(routes!(session_rename))
}

/// What every question about sessions may say beside.
pub(super) struct Common {
    /// Whose sessions.
    pub user: Option<String>,
    /// Which kind of session.
    pub kind: Kind,
}

/// A kind of session. This host has those of workflows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Not said.
    Any,
    /// Of an agent or a team: there are none.
    Other(&'static str),
    /// Of a workflow.
    Workflow,
}

impl Common {
    /// Reads what is common, and checks it.
    ///
    /// # Errors
    /// An unknown database or table. What is malformed goes into `faults`.
    pub(super) fn read(
        door: &Door,
        query: &mut Query,
        faults: &mut Vec<FieldFault>,
    ) -> Result<Self, ApiError> {
        let kind = match query.given("type").as_deref() {
            None => Kind::Any,
            Some("workflow") => Kind::Workflow,
            Some("agent") => Kind::Other("Agent"),
            Some("team") => Kind::Other("Team"),
            Some(other) => {
                let expected = "'agent', 'team' or 'workflow'";
                faults.push(FieldFault::no_choice(json!(["query", "type"]), expected, other));
                Kind::Any
            }
        };
        let (database, table) = (query.take("db_id"), query.take("table"));
        if faults.is_empty() {
            check_database(door, database.as_deref(), table.as_deref())?;
        }
        Ok(Self { user: query.take("user_id"), kind })
    }

    /// Reads what is common where there is nothing else to be malformed.
    pub(super) fn only(door: &Door, query: &mut Query) -> Result<Self, ApiError> {
        let mut faults = Vec::new();
        let common = Self::read(door, query, &mut faults)?;
        if faults.is_empty() { Ok(common) } else { Err(ApiError::Fields(faults)) }
    }

    /// What Agno says of a session that is not there.
    fn missing(&self, id: &str) -> ApiError {
        let kind = match self.kind {
            Kind::Any => "",
            Kind::Workflow => "Workflow ",
            Kind::Other("Agent") => "Agent ",
            Kind::Other(_) => "Team ",
        };
        ApiError::missing(format!("{kind}Session with id '{id}' not found"))
    }

    /// Words for a fault of the use case.
    fn fault(&self, id: &str, fault: AppError) -> ApiError {
        match fault {
            AppError::UnknownSession => self.missing(id),
            fault => fault.into(),
        }
    }
}

fn check_database(door: &Door, id: Option<&str>, table: Option<&str>) -> Result<(), ApiError> {
    let own = door.identity.database.as_str();
    match (id, table) {
        (None, Some(_)) => {
            Err(ApiError::bad_request("The db_id query parameter is required when passing a table"))
        }
        (Some(id), _) if id != own => {
            Err(ApiError::missing(format!("No database found with id '{id}'")))
        }
        (Some(id), Some(table)) if table != TABLE => {
            Err(ApiError::missing(format!("No database with id '{id}' has table '{table}'")))
        }
        _ => Ok(()),
    }
}

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
        (status = 200, description = "A page of sessions", body = SessionList),
        (status = 400, description = "A table without its database", body = Fault),
        (status = 404, description = "There is no such database", body = Fault),
        (status = 422, description = "A parameter is malformed", body = FieldFaults),
    ),
)]
async fn session_list(
    State(door): State<Door>,
    Caller(who): Caller,
    parts: Parts,
) -> Result<Response, ApiError> {
    let mut query = Query::of(&parts);
    let mut faults = Vec::new();
    let common = Common::read(&door, &mut query, &mut faults)?;
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
    if !faults.is_empty() {
        return Err(ApiError::Fields(faults));
    }
    let (key, descending) = order(query.take("sort_by").as_deref(), descending);
    let offset = (number - 1).unsigned_abs().saturating_mul(limit.unsigned_abs());
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    let wanted = SessionPage { key, descending, offset, limit };
    let (found, total) = match common.kind {
        Kind::Other(_) => (Vec::new(), 0),
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
    Ok(Json(page(&found, wanted, total)).into_response())
}

/// From the smallest or the largest on.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "the document's words for orders")]
pub(super) enum SortOrder {
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
    /// Who it belongs to; believed of the operator and of admins.
    #[schema(value_type = String, nullable, required = false, max_length = 256, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
    user_id: Option<String>,
    /// The workflow it is made for.
    #[schema(value_type = String, nullable, required = false, max_length = 64, pattern = "^[a-z0-9_-]*$")]
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
async fn session_create(
    State(door): State<Door>,
    Caller(who): Caller,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let common = Common::only(&door, &mut Query::of(&parts))?;
    if let Kind::Other(_) = common.kind {
        return Err(ApiError::Unsupported("This host has sessions of workflows only"));
    }
    let mut body = Sent::read(&door, Request::from_parts(parts, body)).await?.object()?;
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

/// Metadata without what is the host's own.
fn metadata(body: &mut JsonBody) -> Option<Map<String, Value>> {
    let mut metadata = body.object("metadata")?;
    metadata.shift_remove(extras::VERSION);
    Some(metadata)
}

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
async fn session_fetch(
    State(door): State<Door>,
    Caller(who): Caller,
    Path(id): Path<String>,
    parts: Parts,
) -> Result<Json<Value>, ApiError> {
    let common = Common::only(&door, &mut Query::of(&parts))?;
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
async fn session_rename(
    State(door): State<Door>,
    Caller(who): Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let (parts, body) = request.into_parts();
    let common = Common::only(&door, &mut Query::of(&parts))?;
    let name = match Sent::read(&door, Request::from_parts(parts, body)).await? {
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
async fn session_change(
    State(door): State<Door>,
    Caller(who): Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let (parts, body) = request.into_parts();
    let common = Common::only(&door, &mut Query::of(&parts))?;
    let mut body = match Sent::read(&door, Request::from_parts(parts, body)).await? {
        Sent::Nothing => {
            let fault = FieldFault::new("missing", json!(["body"]), "Field required");
            return Err(ApiError::Fields(vec![fault]));
        }
        sent => sent.object()?,
    };
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
    who: &stepmill_core::principal::Principal,
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

/// A kind of session.
#[derive(ToSchema)]
#[schema(as = SessionType, rename_all = "lowercase")]
#[expect(dead_code, reason = "the document's words for kinds")]
pub(super) enum SessionKind {
    Agent,
    Team,
    Workflow,
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
