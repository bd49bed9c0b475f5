//! `/workflows/{workflow_id}/runs`: start a run, read one, list a session's.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use stepmill_core::event::JournalEntry;
use stepmill_core::principal::Principal;
use stepmill_core::run::{RunPin, Telling};
use stepmill_engine::{Ending, RunRecord};
use stepmill_store::{RunList, StoredRun};
use utoipa::ToSchema;
use utoipa::openapi::{Object, ObjectBuilder, Type};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Caller;
use super::door::Door;
use super::error::{AWAY_CODE, ApiError, FieldFault};
use super::extras;
use super::form::Form;
use super::held::{json_list, json_text};
use super::query::{Query, facts};
use super::stream;
use super::view::{
    Detail, Fault, FieldFaults, Listed, Renderer, RunFault, RunSummary, RunView, failure, run,
    status_of, workflow_run_summary,
};
use crate::app::{AppError, InputFault, ListRead, ReadRuns, StartRun};

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(run_start, run_list)).routes(routes!(run_fetch))
}

/// What a run is started with.
#[derive(ToSchema)]
#[schema(as = Body_create_workflow_run)]
#[expect(dead_code, reason = "the document's word for what `run_start` takes from a form")]
struct RunForm {
    /// What the first step gets.
    #[schema(min_length = 1)]
    message: String,
    /// Whether the answer is the run's events as they happen, or the finished run.
    #[schema(value_type = bool, required = false, default = true)]
    stream: Option<bool>,
    /// Not supported by this host: `true` is refused.
    #[schema(required = false, schema_with = only_false)]
    background: Option<bool>,
    /// The conversation the run belongs to; a new one if absent.
    #[schema(value_type = String, required = false, max_length = 256, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
    session_id: Option<String>,
    /// Who asks, on a host without authentication.
    #[schema(value_type = String, required = false, max_length = 256, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
    user_id: Option<String>,
    /// Noted in the run's metadata; code has one version.
    #[schema(value_type = i64, required = false)]
    version: Option<i64>,
    /// Laid over the session's state: a JSON object as text.
    #[schema(value_type = String, required = false, format = "json-object")]
    session_state: Option<String>,
    /// For function steps: a JSON object as text.
    #[schema(value_type = String, required = false, format = "json-object")]
    dependencies: Option<String>,
    /// Shown with the run: a JSON object as text.
    #[schema(value_type = String, required = false, format = "json-object")]
    metadata: Option<String>,
    /// For function steps, as it is.
    #[schema(value_type = String, required = false)]
    additional_data: Option<String>,
    /// Whether agents are told of the session's state.
    #[schema(value_type = bool, required = false, default = false)]
    add_session_state_to_context: Option<bool>,
    /// Whether agents are told of the dependencies.
    #[schema(value_type = bool, required = false, default = false)]
    add_dependencies_to_context: Option<bool>,
    /// Pictures: a JSON list of objects with `url` or (base64) `content`, as text.
    #[schema(value_type = String, required = false, format = "json-media")]
    images: Option<String>,
    /// Sounds, as `images`.
    #[schema(value_type = String, required = false, format = "json-media")]
    audio: Option<String>,
    /// Films, as `images`.
    #[schema(value_type = String, required = false, format = "json-media")]
    videos: Option<String>,
    /// Files, as `images`.
    #[schema(value_type = String, required = false, format = "json-media")]
    input_files: Option<String>,
    /// Whether a stream tells more than its content.
    #[schema(value_type = bool, required = false, default = true)]
    stream_events: Option<bool>,
    /// What the factory builds from: a JSON object as text, valid against its schema.
    #[schema(value_type = String, required = false, format = "json-object")]
    factory_input: Option<String>,
}

fn only_false() -> Object {
    ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([false])).build()
}

/// What is wrong with the form: fields one by one, or what stands for media in one sentence.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the document's word for what `run_start` refuses a form with")]
#[serde(untagged)]
enum FormFaults {
    Fields(FieldFaults),
    Media(Fault),
}

/// One server-sent event.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the document's word for what a stream is made of")]
struct EventFrame {
    /// What happened.
    event: String,
    /// Its fields.
    #[schema(content_media_type = "application/json")]
    data: String,
}

/// Start a run.
///
/// The answer is the finished run, or its events as they happen. A stream's failures come as events.
#[utoipa::path(
    post, path = "/workflows/{workflow_id}/runs", operation_id = "create_workflow_run", tag = "Workflows",
    params(("workflow_id" = String, Path, description = "The workflow", min_length = 1)),
    request_body(content(
        (RunForm = "multipart/form-data"), (RunForm = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "The finished run, or its events", content(
            (RunView = "application/json"), (EventFrame = "text/event-stream"),
        )),
        (status = 400, description = "The input or the form cannot be used", body = Fault),
        (status = 404, description = "There is no such workflow or session", body = Fault),
        (status = 408, description = "The form did not arrive in time", body = Fault),
        (status = 413, description = "The form is too large", body = Fault),
        (status = 422, description = "Fields are missing or malformed", body = FormFaults),
        (status = 429, description = "The budget for models is used up, or in use; `Retry-After` says when to come back",
            body = Fault, headers(("Retry-After" = u64, description = "Seconds"))),
        (status = 500, description = "The run failed, or could not begin", body = RunFault),
        (status = 503, description = "The host is busy or stops, or its database is not available", body = RunFault),
    ),
)]
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
        faults.push(match form.is_upload("message") {
            true => FieldFault::no_text("body", "message"),
            false => FieldFault::missing("body", "message"),
        });
    }
    let streamed = form.take_bool("stream", true, &mut faults);
    let background = form.take_bool("background", false, &mut faults);
    let session = form.take_text("session_id", &mut faults);
    let user = form.take_text("user_id", &mut faults);
    let version = form.take_integer("version", &mut faults);
    let factory_input = form.take_text("factory_input", &mut faults);
    let Some(message) = message.filter(|_| faults.is_empty()) else {
        return Err(ApiError::Fields(faults));
    };
    if background {
        return Err(ApiError::Unsupported("Background runs are not supported by this host"));
    }
    let sent = extras::read(&mut form, version)?;
    let ask = StartRun {
        workflow,
        message,
        session,
        user,
        factory_input,
        extras: sent.extras,
        session_state: sent.session_state,
        telling: if streamed { Telling::Streamed } else { Telling::Quiet },
        request: facts,
    };
    let started = match door.app.run_start(&who, &ask).await {
        // There is no run: who asked for a stream hears of it there.
        Err(AppError::Input(InputFault::Message(text))) if streamed => {
            return Ok(stream::refused(&text));
        }
        started => started?,
    };
    if streamed {
        return Ok(stream::events(&door, started, sent.content_only));
    }
    let pin = started.pin.clone();
    match started.finished().await {
        Ok(record) => finished(&pin, &record),
        Err(AppError::Stopping) => {
            let text = "The host is shutting down; the run goes on at its next start";
            Ok(left(&pin, text, "stopping"))
        }
        Err(AppError::Store(fault)) if fault.is_passing() => {
            let fault = &fault as &dyn std::error::Error;
            tracing::error!(fault, "a journal cannot be read");
            Ok(left(&pin, "The database is not available; the run goes on", AWAY_CODE))
        }
        Err(fault) => Err(fault.into()),
    }
}

/// The finished run; a failed one keeps its ids, so that it can be read back.
fn finished(pin: &RunPin, record: &RunRecord) -> Result<Response, ApiError> {
    if let Some(Ending::Failed(_, cause)) = record.ending() {
        let body = fault(pin, failure(pin, record), cause.code(), "ERROR");
        return Ok((StatusCode::INTERNAL_SERVER_ERROR, axum::Json(body)).into_response());
    }
    Ok(json_text(run(pin, record, Detail::Fresh)?))
}

/// The run was accepted and goes on without this answer: starting it again would run it twice.
fn left(pin: &RunPin, text: &str, code: &'static str) -> Response {
    let body = fault(pin, Some(text.into()), code, "RUNNING");
    (StatusCode::SERVICE_UNAVAILABLE, axum::Json(body)).into_response()
}

fn fault(
    pin: &RunPin,
    detail: Option<String>,
    code: &'static str,
    status: &'static str,
) -> RunFault {
    RunFault {
        detail,
        error_id: Some(code),
        run_id: Some(pin.id.uuid()),
        session_id: Some(pin.session.as_str().to_owned()),
        status: Some(status),
    }
}

fn read(
    door: &Door,
    who: &Principal,
    workflow: String,
    parts: &Parts,
) -> Result<ReadRuns, ApiError> {
    door.app.run_may(who, &workflow)?;
    let mut query = Query::of(&parts.uri);
    Ok(ReadRuns {
        workflow,
        session: query.require("session_id")?,
        // An empty one is no JSON, where a form's is absent: so Agno reads it.
        factory_input: query.given("factory_input"),
        request: facts(parts, &door.settings.plugin_headers),
    })
}

/// A run read back. Events are kept only of runs that were streamed.
pub(super) fn stored(
    (found, journal): (StoredRun, Vec<JournalEntry>),
) -> serde_json::Result<Listed> {
    let pin = Arc::new(found.pin);
    let events = match pin.telling {
        Telling::Streamed => Renderer::all(&pin, &journal)?,
        Telling::Quiet => Vec::new(),
    };
    Ok(Listed { record: RunRecord::of(&journal), events, pin })
}

/// Bytes that a list's text has room for at first: those of a run or two.
const LIST_TEXT: usize = 4_096;

/// Runs as a JSON list, each written before the next is read.
pub(super) fn list(
    found: ListRead<RunList>,
    write: impl Fn(&Listed, &mut Vec<u8>) -> serde_json::Result<()>,
) -> Result<Response, ApiError> {
    let mut text = Vec::with_capacity(LIST_TEXT);
    text.push(b'[');
    for run in found.list {
        if 1 < text.len() {
            text.push(b',');
        }
        write(&stored(run.map_err(AppError::from)?)?, &mut text)?;
    }
    text.push(b']');
    Ok(json_list(text, found.room))
}

/// One run, as stored.
///
/// The factory is asked again: what it refuses cannot be read.
#[utoipa::path(
    get, path = "/workflows/{workflow_id}/runs/{run_id}", operation_id = "get_workflow_run", tag = "Workflows",
    params(
        ("workflow_id" = String, Path, description = "The workflow", min_length = 1),
        ("run_id" = String, Path, description = "The run", min_length = 1),
        ("session_id" = String, Query, description = "The run's session", min_length = 1),
        ("factory_input" = Option<String>, Query, nullable = false, format = "json-object",
            description = "What the factory builds from: a JSON object as text"),
    ),
    responses(
        (status = 200, description = "The run", body = RunView),
        (status = 400, description = "The input cannot be used", body = Fault),
        (status = 404, description = "There is no such workflow, session or run", body = Fault),
        (status = 422, description = "`session_id` is missing", body = FieldFaults),
    ),
)]
async fn run_fetch(
    State(door): State<Door>,
    Caller(who): Caller,
    Path((workflow, id)): Path<(String, String)>,
    parts: Parts,
) -> Result<Response, ApiError> {
    let mut ask = read(&door, &who, workflow, &parts)?;
    // Agno does not read it here.
    ask.factory_input = ask.factory_input.filter(|it| !it.is_empty());
    let Listed { pin, record, events } = stored(door.app.run_fetch(&who, ask, &id).await?)?;
    Ok(json_text(run(&pin, &record, Detail::Stored(events))?))
}

/// The runs of one session, oldest first.
///
/// The factory is asked again: what it refuses cannot be read.
#[utoipa::path(
    get, path = "/workflows/{workflow_id}/runs", operation_id = "list_workflow_runs", tag = "Workflows",
    params(
        ("workflow_id" = String, Path, description = "The workflow", min_length = 1),
        ("session_id" = String, Query, description = "The session", min_length = 1),
        ("status" = Option<String>, Query, nullable = false,
            description = "Only runs that stand so; any other word matches nothing"),
        ("factory_input" = Option<String>, Query, nullable = false, format = "json-object",
            description = "What the factory builds from: a JSON object as text"),
    ),
    responses(
        (status = 200, description = "The runs", body = [RunSummary]),
        (status = 400, description = "The input cannot be used, or the runs hold too much for one list", body = Fault),
        (status = 404, description = "There is no such workflow or session", body = Fault),
        (status = 422, description = "`session_id` is missing", body = FieldFaults),
    ),
)]
async fn run_list(
    State(door): State<Door>,
    Caller(who): Caller,
    Path(workflow): Path<String>,
    parts: Parts,
) -> Result<Response, ApiError> {
    let status = Query::of(&parts.uri).take("status");
    let ask = read(&door, &who, workflow, &parts)?;
    // Exact and case-sensitive, as Agno's: an unknown word matches nothing.
    let statuses = status.map(|word| status_of(&word).into_iter().collect());
    let found = door.app.run_list(&who, ask, statuses).await?;
    list(found, |run, text| serde_json::to_writer(text, &workflow_run_summary(run)))
}
