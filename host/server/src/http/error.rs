//! The one place that turns failures into statuses and bodies.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use stepmill_core::budget::Refusal;
use stepmill_core::capability::Capability;
use stepmill_core::ids::{RunId, SessionId};
use stepmill_core::time::Day;
use stepmill_sandbox::{CallFailure, LoadFailure};
use stepmill_store::StoreError;

pub(super) use super::view::FieldFault;
use super::view::{Fault, FieldFaults, RunFault};
use crate::app::{AppError, KEYS_PER_TENANT, now};

/// A failure as a client reads it.
#[derive(Debug)]
pub(super) enum ApiError {
    /// A use case failed.
    App(AppError),
    /// Fields of a request are missing or malformed; all of them at once.
    Fields(Vec<FieldFault>),
    /// The body cannot be used, whatever is in it.
    Body(StatusCode, String),
    /// Something this host does not do.
    Unsupported(&'static str),
    /// An answer could not be written as JSON.
    Render(serde_json::Error),
}

impl ApiError {
    /// 400 with one sentence.
    pub(super) fn bad_request(text: impl Into<String>) -> Self {
        Self::Body(StatusCode::BAD_REQUEST, text.into())
    }

    /// 404 with one sentence.
    pub(super) fn missing(text: impl Into<String>) -> Self {
        Self::Body(StatusCode::NOT_FOUND, text.into())
    }

    /// 422 with one sentence.
    pub(super) fn unusable(text: impl Into<String>) -> Self {
        Self::Body(StatusCode::UNPROCESSABLE_ENTITY, text.into())
    }
}

impl From<AppError> for ApiError {
    fn from(fault: AppError) -> Self {
        Self::App(fault)
    }
}

impl From<serde_json::Error> for ApiError {
    fn from(fault: serde_json::Error) -> Self {
        Self::Render(fault)
    }
}

/// `{"detail": …}` and nothing else.
pub(super) fn detail(status: StatusCode, text: impl Into<String>) -> Response {
    let body = Fault { detail: text.into(), error_id: None };
    (status, Json(body)).into_response()
}

/// The caller's scopes do not cover what it asks for.
pub(super) fn scope_missing(scope: &str) -> Response {
    let text = format!("Insufficient permissions. Required scope(s): {scope}");
    detail(StatusCode::FORBIDDEN, text)
}

/// The same, with a stable word for programs.
fn coded(status: StatusCode, text: impl Into<String>, code: &'static str) -> Response {
    let body = Fault { detail: text.into(), error_id: Some(code) };
    (status, Json(body)).into_response()
}

/// As [`coded`], and to come back soon.
pub(super) fn later(status: StatusCode, text: &str, code: &'static str) -> Response {
    later_by(1, status, text, code)
}

/// Says that the same may be asked again soon.
pub(super) fn postponed(response: Response) -> Response {
    after(1, response)
}

/// As [`coded`], and when to come back.
fn later_by(seconds: u64, status: StatusCode, text: &str, code: &'static str) -> Response {
    after(seconds, coded(status, text, code))
}

/// A wait in whole seconds, and never too short.
fn whole_seconds(wait: Duration) -> u64 {
    let seconds = wait.as_millis().div_ceil(1_000).max(1);
    u64::try_from(seconds).unwrap_or(u64::MAX)
}

/// Says when the same may be asked again.
fn after(seconds: u64, mut response: Response) -> Response {
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match self {
            Self::App(fault) => app(fault),
            Self::Fields(faults) => fields(faults),
            Self::Body(status, text) => detail(status, text),
            Self::Unsupported(text) => coded(StatusCode::BAD_REQUEST, text, "unsupported"),
            Self::Render(fault) => {
                tracing::error!(%fault, "an answer could not be written");
                detail(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error")
            }
        }
    }
}

fn fields(faults: Vec<FieldFault>) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, Json(FieldFaults { detail: faults })).into_response()
}

fn app(fault: AppError) -> Response {
    match fault {
        AppError::UnknownWorkflow => detail(StatusCode::NOT_FOUND, "Workflow not found"),
        AppError::UnknownSession => detail(StatusCode::NOT_FOUND, "Session not found"),
        AppError::UnknownRun => detail(StatusCode::NOT_FOUND, "Run not found"),
        AppError::RunDeleted => {
            coded(StatusCode::NOT_FOUND, "The run was deleted with its session", "deleted")
        }
        AppError::NoRuns => detail(StatusCode::NOT_FOUND, "The session has no runs"),
        AppError::SessionExists(id) => {
            let text = format!(
                "Session with id '{id}' already exists. Use PATCH /sessions/{id} to update it."
            );
            detail(StatusCode::CONFLICT, text)
        }
        AppError::SessionTaken => detail(
            StatusCode::CONFLICT,
            "Could not create a session with the supplied session_id. Omit session_id to have one \
             generated, or choose a different one.",
        ),
        AppError::UnknownPlugin => detail(StatusCode::NOT_FOUND, "Plugin not found"),
        AppError::ScopeMissing(scope) => scope_missing(scope),
        AppError::UnknownKey => detail(StatusCode::NOT_FOUND, "Key not found"),
        AppError::UnknownRole => detail(StatusCode::BAD_REQUEST, "There is no such role"),
        AppError::ReservedUser => {
            detail(StatusCode::BAD_REQUEST, "user_id is one of the host's own names")
        }
        AppError::KeyBeyondMaker => {
            detail(StatusCode::FORBIDDEN, "A key may do no more than whoever makes it")
        }
        AppError::KeyMakesKeys => detail(StatusCode::FORBIDDEN, "A key makes no keys"),
        AppError::KeysFull => {
            detail(StatusCode::CONFLICT, format!("A tenant has at most {KEYS_PER_TENANT} keys"))
        }
        AppError::NotOperator => {
            detail(StatusCode::FORBIDDEN, "Only the host's operator may do this")
        }
        AppError::WorkflowDenied(action) => {
            detail(StatusCode::FORBIDDEN, format!("Access denied to {action} this workflow"))
        }
        AppError::BadId { .. }
        | AppError::StateTooLarge(_)
        | AppError::Input(_)
        | AppError::BadDays { .. }
        | AppError::TooMuchUsage { .. } => detail(StatusCode::BAD_REQUEST, fault.to_string()),
        AppError::RunsTooLarge | AppError::SessionsTooLarge => {
            coded(StatusCode::BAD_REQUEST, fault.to_string(), "list_too_large")
        }
        AppError::FactoryRefused(text) => detail(StatusCode::FORBIDDEN, text),
        AppError::FactoryInvalid(text) => detail(StatusCode::BAD_REQUEST, text),
        AppError::FactoryFailed(_)
        | AppError::PluginStopped(_)
        | AppError::BadGraph(_)
        | AppError::PluginMissing(_) => factory(fault),
        AppError::NotAPlugin(failure) => component(&failure),
        AppError::BadSchema(fault) => {
            coded(StatusCode::UNPROCESSABLE_ENTITY, format!("input schema: {fault}"), "bad_schema")
        }
        AppError::IdTaken(_) => coded(StatusCode::CONFLICT, fault.to_string(), "id_taken"),
        AppError::UnknownPolicy => detail(StatusCode::NOT_FOUND, "Policy not found"),
        AppError::BadPolicy(fault) => {
            coded(StatusCode::UNPROCESSABLE_ENTITY, format!("policy: {fault}"), "bad_policy")
        }
        AppError::BadPatch(fault) => {
            detail(StatusCode::UNPROCESSABLE_ENTITY, format!("policy: {fault}"))
        }
        AppError::TooManyPolicies(_) => coded(StatusCode::CONFLICT, fault.to_string(), "too_many"),
        AppError::UnknownSecret => detail(StatusCode::NOT_FOUND, "Secret not found"),
        AppError::BadSecret(fault) => {
            coded(StatusCode::UNPROCESSABLE_ENTITY, format!("secret: {fault}"), "bad_secret")
        }
        AppError::TooManySecrets(_) => coded(StatusCode::CONFLICT, fault.to_string(), "too_many"),
        AppError::SecretsUnavailable(cause) => {
            tracing::error!(%cause, "a secret cannot be kept: {cause}");
            let text = "The host has no key for secrets";
            coded(StatusCode::SERVICE_UNAVAILABLE, text, "secrets_unavailable")
        }
        AppError::NotGranted { missing, allowed } => not_granted(&missing, &allowed),
        AppError::ModelNotGranted { .. } => {
            coded(StatusCode::FORBIDDEN, fault.to_string(), "model_not_granted")
        }
        AppError::Budget(refusal) => budget(&refusal),
        AppError::DatabaseNotGranted { .. } => {
            coded(StatusCode::FORBIDDEN, fault.to_string(), "database_not_granted")
        }
        AppError::Busy => later(StatusCode::SERVICE_UNAVAILABLE, "The host is busy", "busy"),
        AppError::TenantBusy => {
            let text = "As many runs of the tenant are under way as it may have at once";
            later(StatusCode::TOO_MANY_REQUESTS, text, TENANT_BUSY)
        }
        AppError::UploadsWait(most) => {
            let text = format!("{most} uploads of the tenant wait, which are as many as may");
            later(StatusCode::TOO_MANY_REQUESTS, &text, TENANT_BUSY)
        }
        AppError::WorkflowBusy => {
            let text = "As many runs of this workflow are under way as the tenant may have at once";
            later(StatusCode::TOO_MANY_REQUESTS, text, "workflow_busy")
        }
        AppError::TooManyRequests { per_minute, wait } => {
            let text = format!("The tenant may ask {per_minute} times in a minute, and has");
            let refused = coded(StatusCode::TOO_MANY_REQUESTS, text, "too_many_requests");
            after(whole_seconds(wait), refused)
        }
        AppError::TooManyPlugins(_) => {
            coded(StatusCode::CONFLICT, fault.to_string(), "too_many_plugins")
        }
        AppError::PluginsTooLarge(_) => {
            coded(StatusCode::PAYLOAD_TOO_LARGE, fault.to_string(), "plugins_too_large")
        }
        AppError::Stopping => {
            later(StatusCode::SERVICE_UNAVAILABLE, "The host is shutting down", "stopping")
        }
        AppError::Broken => detail(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error"),
        AppError::PolicyUnreadable => {
            tracing::error!(%fault, "the policies cannot be read");
            detail(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error")
        }
        AppError::InDoubt { run, session, fault } => in_doubt(run, &session, &fault),
        AppError::Store(StoreError::Unstorable { what }) => coded(
            StatusCode::BAD_REQUEST,
            format!("The request cannot be stored: {what}"),
            "unstorable",
        ),
        AppError::Store(fault) => database(&fault),
    }
}

/// What the database did not do. Its own words go to the log.
fn database(fault: &StoreError) -> Response {
    unwell(fault);
    match fault {
        StoreError::TimedOut { .. }
        | StoreError::Unavailable { .. }
        | StoreError::BrokeOff { .. }
        | StoreError::Lost
        | StoreError::Closed => later(StatusCode::SERVICE_UNAVAILABLE, AWAY, AWAY_CODE),
        // Not 503: waiting a second does not help, and what may be read is still read. Who gets a
        // 507 must not ask again by itself (RFC 4918, 11.5).
        StoreError::Full { .. } => {
            coded(StatusCode::INSUFFICIENT_STORAGE, "The database is full", "database_full")
        }
        StoreError::ReadOnly { .. } => coded(
            StatusCode::INSUFFICIENT_STORAGE,
            "The database can only be read",
            "database_read_only",
        ),
        StoreError::Url(_)
        | StoreError::InUse
        | StoreError::Open(_)
        | StoreError::LockFile(_)
        | StoreError::Migrate(_)
        | StoreError::Encoding
        | StoreError::Database { .. }
        | StoreError::SessionForeign
        | StoreError::SessionExists
        | StoreError::RunExists
        | StoreError::RunMissing
        | StoreError::SequenceTaken
        | StoreError::StateTooLarge { .. }
        | StoreError::TooLarge
        | StoreError::KeysFull
        | StoreError::ComponentMissing
        | StoreError::Unstorable { .. }
        | StoreError::Unreadable { .. } => {
            detail(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error")
        }
    }
}

/// The tenant has as much under way as it may; what others have does not matter.
const TENANT_BUSY: &str = "tenant_busy";

const AWAY: &str = "The database is not available";
pub(super) const AWAY_CODE: &str = "database_unavailable";

fn unwell(fault: &StoreError) {
    let fault = fault as &dyn std::error::Error;
    tracing::error!(fault, "the database did not do its work");
}

/// Who asks again may run it twice; who wants to know can look for the run it names.
fn in_doubt(run: RunId, session: &SessionId, fault: &StoreError) -> Response {
    unwell(fault);
    let body = RunFault {
        detail: Some(format!("{AWAY}; it did not say whether it took the run")),
        error_id: Some("in_doubt"),
        run_id: Some(run.uuid()),
        session_id: Some(session.as_str().to_owned()),
        status: None,
    };
    postponed((StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response())
}

/// A run whose first model cannot be asked: never, not today, or not at the moment. How much
/// others have used is not told.
fn budget(refusal: &Refusal) -> Response {
    let failure = refusal.step_failure();
    let (text, code) = (failure.to_string(), failure.code());
    match refusal {
        Refusal::NoPrice | Refusal::TooSmall => coded(StatusCode::FORBIDDEN, text, code),
        Refusal::Exhausted => {
            let seconds = Day::of(now()).seconds_left(now());
            later_by(seconds, StatusCode::TOO_MANY_REQUESTS, &text, code)
        }
        Refusal::Held(_) => later(StatusCode::TOO_MANY_REQUESTS, &text, code),
    }
}

/// A factory's failure: what it said goes to the log, what kind it is to the caller.
fn factory(fault: AppError) -> Response {
    const TEXT: &str = "Workflow factory error";
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    match fault {
        AppError::FactoryFailed(text) => {
            tracing::warn!("a factory reported an error");
            tracing::debug!(text, "what the factory reported");
            detail(status, TEXT)
        }
        AppError::PluginStopped(CallFailure::Busy) => {
            later(StatusCode::SERVICE_UNAVAILABLE, "The host is busy", "busy")
        }
        AppError::PluginStopped(CallFailure::ShareBusy) => {
            let text = "As many plugin calls of the tenant are under way as it may have at once";
            later(StatusCode::TOO_MANY_REQUESTS, text, TENANT_BUSY)
        }
        AppError::PluginStopped(failure) => {
            tracing::warn!(%failure, "a factory stopped before it answered");
            coded(status, TEXT, call_code(&failure))
        }
        AppError::BadGraph(faults) => {
            let faults: Vec<_> = faults.iter().take(20).map(ToString::to_string).collect();
            tracing::warn!(?faults, "a factory drew a graph that cannot run");
            coded(status, TEXT, "graph_invalid")
        }
        fault => {
            tracing::error!(%fault, "a plugin is not available");
            coded(status, TEXT, "plugin_missing")
        }
    }
}

/// A plugin that asks for more than it would get: its author reads what to leave out, or to ask
/// the operator for.
fn not_granted(missing: &[Capability], allowed: &[Capability]) -> Response {
    let words = |all: &[Capability]| {
        let words: Vec<_> = all.iter().map(|it| format!("`{it}`")).collect();
        if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
    };
    let text = format!(
        "The plugin asks for {}, which is not granted here. It would be granted: {}. Ask for less, \
         or have the host's operator allow it.",
        words(missing),
        words(allowed)
    );
    coded(StatusCode::FORBIDDEN, text, "capability_not_granted")
}

/// A component that is no plugin: its author reads why.
fn component(failure: &LoadFailure) -> Response {
    let mut text = failure.to_string();
    if failure.is_passing() {
        // Its causes are the host's own.
        let fault = failure as &dyn std::error::Error;
        tracing::warn!(fault, "a component could not be loaded now");
        return later(StatusCode::SERVICE_UNAVAILABLE, &text, "busy");
    }
    let mut cause = std::error::Error::source(failure);
    while let Some(it) = cause {
        text.push_str(": ");
        text.push_str(&it.to_string());
        cause = it.source();
    }
    let (status, code) = match failure {
        LoadFailure::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
        LoadFailure::NotAComponent => (StatusCode::UNPROCESSABLE_ENTITY, "not_a_component"),
        LoadFailure::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_component"),
        LoadFailure::TooComplex { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "too_complex"),
        LoadFailure::UnknownImport { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "unknown_import"),
        LoadFailure::MissingExport { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "missing_export"),
        LoadFailure::WrongImportType(_) => (StatusCode::UNPROCESSABLE_ENTITY, "wrong_import_type"),
        LoadFailure::WrongExportType(_) => (StatusCode::UNPROCESSABLE_ENTITY, "wrong_export_type"),
        LoadFailure::CompileTimedOut => (StatusCode::UNPROCESSABLE_ENTITY, "compile_timed_out"),
        LoadFailure::TooLargeToCompile { .. } => {
            (StatusCode::UNPROCESSABLE_ENTITY, "too_large_to_compile")
        }
        LoadFailure::Describe(failure) => (StatusCode::UNPROCESSABLE_ENTITY, call_code(failure)),
        LoadFailure::BadDescription { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "bad_description"),
        LoadFailure::Busy | LoadFailure::Aborted | LoadFailure::Worker(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "busy")
        }
    };
    coded(status, text, code)
}

/// A stable word for how a call of a plugin ended.
fn call_code(failure: &CallFailure) -> &'static str {
    match failure {
        CallFailure::Trapped { .. } => "plugin_trapped",
        CallFailure::CpuExhausted => "plugin_cpu_exhausted",
        CallFailure::DeadlinePassed => "plugin_deadline_passed",
        CallFailure::MemoryExhausted => "plugin_memory_exhausted",
        CallFailure::TableExhausted => "plugin_table_exhausted",
        CallFailure::StackOverflow => "plugin_stack_overflow",
        CallFailure::AnswerTooLarge => "plugin_answer_too_large",
        CallFailure::HostCallsExhausted => "plugin_host_calls_exhausted",
        CallFailure::Exited => "plugin_exited",
        CallFailure::BadAnswer(_) => "plugin_bad_answer",
        CallFailure::Busy => "busy",
        CallFailure::ShareBusy => TENANT_BUSY,
        CallFailure::Host(_) => "host_failed",
    }
}
