//! What every question about sessions may say beside, and what several answers share.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::app::AppError;
use crate::http::door::Door;
use crate::http::error::{ApiError, FieldFault};
use crate::http::extras;
use crate::http::json_body::JsonBody;
use crate::http::query::Query;

/// The table of Agno's that sessions are in, by the name its clients know.
const TABLE: &str = "agno_sessions";

/// What every question about sessions may say beside.
pub(super) struct Common {
    /// Whose sessions.
    pub user: Option<String>,
    /// Which kind of session.
    pub kind: Kind,
    database: Option<String>,
    table: Option<String>,
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

impl Kind {
    /// The kind a word names; what names none goes into `faults` as of this place.
    pub(super) fn read(word: &str, place: Value, faults: &mut Vec<FieldFault>) -> Self {
        match word {
            "workflow" => Self::Workflow,
            "agent" => Self::Other("Agent"),
            "team" => Self::Other("Team"),
            _ => {
                faults.push(FieldFault::no_choice(place, "'agent', 'team' or 'workflow'", word));
                Self::Any
            }
        }
    }
}

impl Common {
    /// Reads what is common. What is malformed goes into `faults`.
    pub(super) fn read(query: &mut Query, faults: &mut Vec<FieldFault>) -> Self {
        let kind = query.given("type");
        let kind =
            kind.map_or(Kind::Any, |word| Kind::read(&word, json!(["query", "type"]), faults));
        Self {
            user: query.take("user_id"),
            kind,
            database: query.take("db_id"),
            table: query.take("table"),
        }
    }

    /// The same, once everything was read: what is malformed is told first.
    ///
    /// # Errors
    /// The faults; an unknown database or table.
    pub(super) fn settled(self, door: &Door, faults: Vec<FieldFault>) -> Result<Self, ApiError> {
        if !faults.is_empty() {
            return Err(ApiError::Fields(faults));
        }
        check_database(door, self.database.as_deref(), self.table.as_deref())?;
        Ok(self)
    }

    /// Reads what is common where there is nothing else to be malformed.
    pub(super) fn only(door: &Door, query: &mut Query) -> Result<Self, ApiError> {
        let mut faults = Vec::new();
        Self::read(query, &mut faults).settled(door, faults)
    }

    /// Reads what is common where Agno knows no kinds and ignores the word.
    pub(super) fn untyped(door: &Door, query: &mut Query) -> Result<Self, ApiError> {
        query.take("type");
        Self::only(door, query)
    }

    /// What Agno says of a session that is not there.
    pub(super) fn missing(&self, id: &str) -> ApiError {
        let kind = match self.kind {
            Kind::Any => "",
            Kind::Workflow => "Workflow ",
            Kind::Other("Agent") => "Agent ",
            Kind::Other(_) => "Team ",
        };
        ApiError::missing(format!("{kind}Session with id '{id}' not found"))
    }

    /// Words for a fault of the use case.
    pub(super) fn fault(&self, id: &str, fault: AppError) -> ApiError {
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

/// A kind of session.
#[derive(ToSchema)]
#[schema(as = SessionType, rename_all = "lowercase")]
#[expect(dead_code, reason = "the document's words for kinds")]
pub(super) enum SessionKind {
    Agent,
    Team,
    Workflow,
}

/// Metadata without what is the host's own.
pub(super) fn metadata(body: &mut JsonBody) -> Option<Map<String, Value>> {
    let mut metadata = body.object("metadata")?;
    extras::clients_own(&mut metadata);
    Some(metadata)
}

/// Nothing is left to say, as JSON: so Agno says it.
pub(super) fn gone() -> Response {
    (StatusCode::NO_CONTENT, [(header::CONTENT_TYPE, "application/json")]).into_response()
}
