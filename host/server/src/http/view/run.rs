//! The run object: one run, whole.

use serde::Serialize;
use serde_json::{Map, Value};
use stepmill_core::run::{RunPin, RunStatus};
use stepmill_engine::RunRecord;
use utoipa::ToSchema;
use uuid::Uuid;

use super::agent_run::{AgentRun, Stage};
use super::event::EventView;
use super::media::MediaLists;
use super::metrics::RunMetrics;
use super::step_result::StepResult;

/// Why the run is shown.
pub(crate) enum Detail {
    /// It was just run.
    Fresh,
    /// It was read back, with its stored events.
    Stored(Vec<EventView>),
}

/// One run, whole.
#[derive(Serialize, ToSchema)]
pub(crate) struct RunView<'a> {
    input: Input<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    content_type: &'static str,
    workflow_id: &'a str,
    workflow_name: &'a str,
    run_id: Uuid,
    session_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    created_at: i64,
    status: &'static str,
    #[schema(value_type = Object)]
    metadata: &'a Map<String, Value>,
    #[serde(flatten)]
    #[schema(value_type = MediaLists<'a>)]
    media: Option<MediaLists<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    step_results: Vec<StepResult<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    step_executor_runs: Vec<AgentRun<'a>>,
    metrics: RunMetrics<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<serde_json::Value>>)]
    events: Option<Vec<Box<serde_json::value::RawValue>>>,
}

/// What a run was started with.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Input<'a> {
    /// The message.
    Text(&'a str),
    /// The message, where its workflow has a schema for it.
    #[schema(value_type = Object)]
    Object(Map<String, Value>),
}

impl<'a> Input<'a> {
    /// A text that should be an object and is none is shown as it is: one run that was stored wrong
    /// must not keep the whole list from being read.
    fn of(text: &'a str, is_object: bool) -> Self {
        match is_object.then(|| serde_json::from_str(text)) {
            Some(Ok(object)) => Self::Object(object),
            Some(Err(_)) | None => Self::Text(text),
        }
    }
}

/// The run object as JSON text.
pub(crate) fn run(pin: &RunPin, record: &RunRecord, detail: Detail) -> serde_json::Result<Vec<u8>> {
    let lists = MediaLists::of(pin);
    let (media, events, stage) = match detail {
        Detail::Fresh => (Some(lists), None, Stage::Fresh),
        // A stored run is silent where there are none.
        Detail::Stored(events) => {
            let events = events.into_iter().map(|it| it.data).collect();
            (Some(lists).filter(|it| !it.is_empty()), Some(events), Stage::Stored)
        }
    };
    serde_json::to_vec(&RunView {
        input: Input::of(&pin.input, pin.extras.is_object),
        content: content(pin, record),
        content_type: "str",
        workflow_id: pin.workflow.as_str(),
        workflow_name: pin.graph.name(),
        run_id: pin.id.uuid(),
        session_id: pin.session.as_str(),
        user_id: pin.user.as_ref().map(|it| it.as_str()),
        created_at: pin.created_at.seconds(),
        status: status_word(record.status()),
        metadata: &pin.extras.metadata,
        media,
        step_results: StepResult::all(pin, record),
        step_executor_runs: AgentRun::all(pin, record, stage),
        metrics: RunMetrics::of(pin, record),
        events,
    })
}

/// The content of a run without steps.
pub(super) const NO_STEPS: &str = "No steps executed";

/// A run's content: of its last finished step, or why there is none.
pub(super) fn content(pin: &RunPin, record: &RunRecord) -> Option<String> {
    match record.status() {
        RunStatus::Running => record.content().map(str::to_owned),
        RunStatus::Completed => Some(record.content().unwrap_or(NO_STEPS).to_owned()),
        RunStatus::Failed => super::event::failure(pin, record),
    }
}

/// Agno's word for where a run stands.
pub(super) fn status_word(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Running => "RUNNING",
        RunStatus::Completed => "COMPLETED",
        RunStatus::Failed => "ERROR",
    }
}

/// What Agno's word means; no run here stands as its other words say.
pub(crate) fn status_of(word: &str) -> Option<RunStatus> {
    let all = [RunStatus::Running, RunStatus::Completed, RunStatus::Failed];
    all.into_iter().find(|it| status_word(*it) == word)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_input_that_is_no_object_is_shown_as_its_text() {
        let shown = |text, is_object| json!(Input::of(text, is_object));
        assert_eq!(shown(r#"{"a":1}"#, true), json!({ "a": 1 }));
        assert_eq!(shown("[1]", true), json!("[1]"));
        assert_eq!(shown(r#"{"a":1}"#, false), json!(r#"{"a":1}"#));
    }
}
