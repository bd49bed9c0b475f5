//! `/workflows/{id}/runs`: start a run, read one, list a session's.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use stepmill_core::event::JournalEntry;
use stepmill_core::run::{RunPin, Telling};
use stepmill_engine::{Ending, RunRecord};

use super::auth::Caller;
use super::door::Door;
use super::error::{ApiError, FieldFault};
use super::form::Form;
use super::query::{Query, facts};
use super::stream;
use super::view::{Detail, EventView, Listed, Renderer, failure, run, summaries};
use crate::app::{AppError, ReadRuns, StartRun};

pub(super) fn routes() -> Router<Door> {
    Router::new()
        .route("/workflows/{id}/runs", post(run_start).get(run_list))
        .route("/workflows/{id}/runs/{run}", get(run_fetch))
}

/// Start a run; the answer is the finished run, or its events as they happen.
async fn run_start(
    State(door): State<Door>,
    Caller(who): Caller,
    Path(workflow): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let facts = facts(&parts, &door.settings.plugin_headers);
    let mut form = Form::read(&door, Request::from_parts(parts, body)).await?;
    let mut faults = Vec::new();
    let message = form.take("message");
    if message.is_none() {
        faults.push(FieldFault::missing("body", "message"));
    }
    let streamed = form.take_bool("stream", true, &mut faults);
    let background = form.take_bool("background", false, &mut faults);
    form.check_integer("version", &mut faults);
    let Some(message) = message.filter(|_| faults.is_empty()) else {
        return Err(ApiError::Fields(faults));
    };
    if background {
        return Err(ApiError::Unsupported("Background runs are not supported by this host"));
    }
    let ask = StartRun {
        workflow,
        message,
        session: form.take("session_id"),
        user: form.take("user_id"),
        factory_input: form.take("factory_input"),
        extras: Default::default(),
        session_state: None,
        telling: if streamed { Telling::Streamed } else { Telling::Quiet },
        request: facts,
    };
    let started = door.app.run_start(&who, &ask).await?;
    if streamed {
        return Ok(stream::events(&door, started));
    }
    let pin = started.pin.clone();
    match started.finished().await {
        Ok(record) => finished(&pin, &record),
        Err(AppError::Stopping) => Ok(left(&pin)),
        Err(fault) => Err(fault.into()),
    }
}

/// The finished run; a failed one keeps its ids, so that it can be read back.
fn finished(pin: &RunPin, record: &RunRecord) -> Result<Response, ApiError> {
    if let Some(Ending::Failed(_, cause)) = record.ending() {
        let body = json!({
            "detail": failure(pin, record),
            "error_id": cause.code(),
            "run_id": pin.id.to_string(),
            "session_id": pin.session.as_str(),
            "status": "ERROR",
        });
        return Ok((StatusCode::INTERNAL_SERVER_ERROR, axum::Json(body)).into_response());
    }
    Ok(json_text(run(pin, record, Detail::Fresh)?))
}

/// The run was accepted and goes on at the host's next start: starting it again would run it twice.
fn left(pin: &RunPin) -> Response {
    let body = json!({
        "detail": "The host is shutting down; the run goes on at its next start",
        "error_id": "stopping",
        "run_id": pin.id.to_string(),
        "session_id": pin.session.as_str(),
        "status": "RUNNING",
    });
    (StatusCode::SERVICE_UNAVAILABLE, axum::Json(body)).into_response()
}

fn json_text(text: Vec<u8>) -> Response {
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

fn read(door: &Door, workflow: String, parts: &Parts) -> Result<ReadRuns, ApiError> {
    let mut query = Query::of(parts);
    Ok(ReadRuns {
        workflow,
        session: query.require("session_id")?,
        factory_input: query.take("factory_input"),
        request: facts(parts, &door.settings.plugin_headers),
    })
}

/// A run's events, kept only of runs that were streamed.
fn stored_events(
    pin: &Arc<RunPin>,
    journal: &[JournalEntry],
) -> serde_json::Result<Vec<EventView>> {
    match pin.telling {
        Telling::Streamed => Renderer::all(pin, journal),
        Telling::Quiet => Ok(Vec::new()),
    }
}

/// One run, as stored.
async fn run_fetch(
    State(door): State<Door>,
    Caller(who): Caller,
    Path((workflow, id)): Path<(String, String)>,
    parts: Parts,
) -> Result<Response, ApiError> {
    let ask = read(&door, workflow, &parts)?;
    let (found, journal) = door.app.run_fetch(&who, ask, &id).await?;
    let pin = Arc::new(found.pin);
    let events = stored_events(&pin, &journal)?;
    Ok(json_text(run(&pin, &RunRecord::of(&journal), Detail::Stored(events))?))
}

/// The runs of one session, oldest first.
async fn run_list(
    State(door): State<Door>,
    Caller(who): Caller,
    Path(workflow): Path<String>,
    parts: Parts,
) -> Result<Response, ApiError> {
    let status = Query::of(&parts).take("status");
    let ask = read(&door, workflow, &parts)?;
    let mut listed = Vec::new();
    for (found, journal) in door.app.run_list(&who, ask).await? {
        let pin = Arc::new(found.pin);
        let events = stored_events(&pin, &journal)?;
        listed.push(Listed { pin, record: RunRecord::of(&journal), events });
    }
    // Exact and case-sensitive, as Agno's: an unknown word matches nothing.
    listed.retain(|it| status.as_deref().is_none_or(|word| word == it.status()));
    Ok(json_text(summaries(&listed)?))
}
