//! `/sessions/{session_id}/runs` and previews: what a session's workflows did.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use stepmill_core::run::RunStatus;
use stepmill_core::time::Timestamp;
use stepmill_store::RunFilter;
use utoipa::{IntoParams, ToSchema};

use super::common::{Common, Kind, SessionKind};
use crate::app::AppError;
use crate::http::auth::Caller;
use crate::http::door::Door;
use crate::http::error::{ApiError, FieldFault};
use crate::http::held::json_list;
use crate::http::query::Query;
use crate::http::runs::{list, stored};
use crate::http::view::{Fault, FieldFaults, RunPreview, RunSummary, preview, summary};

/// Where a run stands. Runs here are completed, failed (`ERROR`) or running; letters count in either case.
#[derive(ToSchema)]
#[schema(as = RunStatus, rename_all = "UPPERCASE")]
#[expect(dead_code, reason = "the document's words for states")]
pub(in crate::http) enum RunState {
    Cancelled,
    Completed,
    Error,
    Paused,
    Pending,
    Regenerated,
    Running,
}

/// Agno's words for where a run stands, and ours where there is one.
const STATUSES: [(&str, Option<RunStatus>); 7] = [
    ("CANCELLED", None),
    ("COMPLETED", Some(RunStatus::Completed)),
    ("ERROR", Some(RunStatus::Failed)),
    ("PAUSED", None),
    ("PENDING", None),
    ("REGENERATED", None),
    ("RUNNING", Some(RunStatus::Running)),
];

/// Which of a session's runs a client asks for; `faults` are of what was read before.
fn filter(query: &mut Query, mut faults: Vec<FieldFault>) -> Result<RunFilter, ApiError> {
    let mut moment = |name, faults: &mut _| {
        let seconds = query.integer(name, None, faults)?;
        Some(seconds.saturating_mul(1_000_000))
    };
    let after = moment("created_after", &mut faults).map(Timestamp::from_micros);
    // Runs are shown by the second: all of the last one belong to it.
    let before = moment("created_before", &mut faults);
    let before = before.map(|it| Timestamp::from_micros(it.saturating_add(999_999)));
    if !faults.is_empty() {
        return Err(ApiError::Fields(faults));
    }
    let words: BTreeSet<_> =
        query.every("status").iter().map(|it| it.to_ascii_uppercase()).collect();
    let known = |word: &str| STATUSES.iter().find(|(it, _)| *it == word).map(|(_, status)| *status);
    let unknown: Vec<_> =
        words.iter().map(String::as_str).filter(|it| known(it).is_none()).collect();
    if !unknown.is_empty() {
        let list = |words: &[&str]| {
            format!("[{}]", words.iter().map(|it| format!("'{it}'")).collect::<Vec<_>>().join(", "))
        };
        let text = format!(
            "Invalid status value(s) {}; expected one of {}",
            list(&unknown),
            list(&STATUSES.map(|(word, _)| word))
        );
        return Err(ApiError::bad_request(text));
    }
    let statuses = words.iter().filter_map(|it| known(it).flatten()).collect();
    let statuses = (!words.is_empty()).then_some(statuses);
    Ok(RunFilter { workflow: None, statuses, created_after: after, created_before: before })
}

/// The parameters that [`wanted`] reads.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the document's word for which runs are wanted")]
struct Wanted {
    /// The kind of session; its runs are those of workflows, whatever it says
    #[param(rename = "type")]
    kind: Option<SessionKind>,
    /// The session's user has to be this one
    user_id: Option<String>,
    /// In one of these states
    status: Option<Vec<RunState>>,
    /// Accepted in this second of Unix time or later
    created_after: Option<i64>,
    /// Accepted in this second of Unix time or earlier
    created_before: Option<i64>,
    /// The host's database
    db_id: Option<String>,
}

/// Which runs, and of whose session.
fn wanted(door: &Door, parts: &Parts) -> Result<(RunFilter, Option<String>), ApiError> {
    let mut query = Query::of(&parts.uri);
    let mut faults = Vec::new();
    let common = Common::read(&mut query, &mut faults);
    let mut filter = filter(&mut query, faults)?;
    let common = common.settled(door, Vec::new())?;
    if let Kind::Other(_) = common.kind {
        filter.statuses = Some(Vec::new());
    }
    Ok((filter, common.user))
}

/// Agno's words for what is not there.
fn unknown(session: &str, run: Option<&str>, fault: AppError) -> ApiError {
    match (fault, run) {
        (AppError::UnknownSession, _) => {
            ApiError::missing(format!("Session with ID {session} not found"))
        }
        (AppError::NoRuns, _) => {
            ApiError::missing(format!("Session with ID {session} has no runs"))
        }
        (AppError::UnknownRun, Some(run)) => {
            ApiError::missing(format!("Run with ID {run} not found in session {session}"))
        }
        (fault, _) => fault.into(),
    }
}

/// The runs of a session, of all its workflows, oldest first. Absent fields are left out.
#[utoipa::path(
    get, path = "/sessions/{session_id}/runs", operation_id = "get_session_runs", tag = "Sessions",
    params(
        ("session_id" = String, Path, description = "The session", min_length = 1),
        Wanted,
    ),
    responses(
        (status = 200, description = "Runs", body = Vec<RunSummary>),
        (status = 400, description = "There is no such state, or the runs hold too much for one list", body = Fault),
        (status = 404, description = "There is no such session", body = Fault),
        (status = 422, description = "A parameter is malformed", body = FieldFaults),
    ),
)]
pub(super) async fn session_runs(
    State(door): State<Door>,
    Caller(who): Caller,
    Path(id): Path<String>,
    parts: Parts,
) -> Result<Response, ApiError> {
    let (filter, user) = wanted(&door, &parts)?;
    let found = door.app.session_runs(&who, &id, user, &filter).await;
    let found = found.map_err(|fault| unknown(&id, None, fault))?;
    list(found, |run, text| {
        let mut value = serde_json::to_value(summary(run))?;
        if let Some(fields) = value.as_object_mut() {
            fields.retain(|_, it| !it.is_null());
        }
        serde_json::to_writer(text, &value)
    })
}

/// The runs of a session in a few words, oldest first.
#[utoipa::path(
    get, path = "/sessions/{session_id}/run-previews", operation_id = "get_session_run_previews",
    tag = "Sessions",
    params(
        ("session_id" = String, Path, description = "The session", min_length = 1),
        Wanted,
    ),
    responses(
        (status = 200, description = "Runs", body = Vec<RunPreview>),
        (status = 400, description = "There is no such state, or the runs hold too much for one list", body = Fault),
        (status = 404, description = "There is no such session", body = Fault),
        (status = 422, description = "A parameter is malformed", body = FieldFaults),
    ),
)]
pub(super) async fn session_run_previews(
    State(door): State<Door>,
    Caller(who): Caller,
    Path(id): Path<String>,
    parts: Parts,
) -> Result<Response, ApiError> {
    let (filter, user) = wanted(&door, &parts)?;
    let runs = door.app.session_previews(&who, &id, user, &filter).await;
    let runs = runs.map_err(|fault| unknown(&id, None, fault))?;
    let text = serde_json::to_vec(&runs.list.iter().map(preview).collect::<Vec<_>>())?;
    Ok(json_list(text, runs.room))
}

/// One run of a session, of whichever workflow.
#[utoipa::path(
    get, path = "/sessions/{session_id}/runs/{run_id}", operation_id = "get_session_run",
    tag = "Sessions",
    params(
        ("session_id" = String, Path, description = "The session", min_length = 1),
        ("run_id" = String, Path, description = "The run", min_length = 1),
        ("type" = Option<SessionKind>, Query, description = "The kind of session; its runs are those of workflows, whatever it says"),
        ("user_id" = Option<String>, Query, description = "The session's user has to be this one"),
        ("db_id" = Option<String>, Query, description = "The host's database"),
    ),
    responses(
        (status = 200, description = "The run", body = RunSummary),
        (status = 404, description = "There is no such session or run", body = Fault),
        (status = 422, description = "A parameter is malformed", body = FieldFaults),
    ),
)]
pub(super) async fn session_run(
    State(door): State<Door>,
    Caller(who): Caller,
    Path((id, run)): Path<(String, String)>,
    parts: Parts,
) -> Result<Response, ApiError> {
    let common = Common::only(&door, &mut Query::of(&parts.uri))?;
    let found = door.app.session_run(&who, &id, common.user, &run).await;
    let found = found.map_err(|fault| unknown(&id, Some(&run), fault))?;
    Ok(Json(summary(&stored(found)?)).into_response())
}
