//! The run summary: one run in a list. Here nulls are shown.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::value::RawValue;
use stepmill_core::run::{RunPin, RunStatus};
use stepmill_core::time::Timestamp;
use stepmill_engine::RunRecord;
use stepmill_store::{PREVIEW_CHARACTERS, PreviewedOutcome, StoredPreview};
use utoipa::ToSchema;
use uuid::Uuid;

use super::agent_run::{AgentRun, Stage};
use super::event::EventView;
use super::media::MediaLists;
use super::metrics::RunMetrics;
use super::run::{NO_STEPS, content, status_word};
use super::shapes::{Empty, step_failed};
use super::step_result::StepResult;

/// One run of a list.
#[derive(Serialize, ToSchema)]
#[schema(as = WorkflowRunSchema)]
pub(crate) struct RunSummary<'a> {
    run_id: Uuid,
    run_input: &'a str,
    #[schema(value_type = Vec<serde_json::Value>)]
    events: Vec<&'a RawValue>,
    workflow_id: &'a str,
    user_id: &'a str,
    content: Option<String>,
    content_type: &'static str,
    status: &'static str,
    cancellation_stage: Option<Empty>,
    step_results: Vec<StepResult<'a>>,
    step_executor_runs: Vec<AgentRun<'a>>,
    step_requirements: Option<Empty>,
    pause_kind: Option<Empty>,
    paused_step_name: Option<Empty>,
    paused_step_index: Option<Empty>,
    metrics: RunMetrics<'a>,
    created_at: String,
    reasoning_content: &'static str,
    reasoning_steps: [Empty; 0],
    references: [Empty; 0],
    citations: Option<Empty>,
    reasoning_messages: [Empty; 0],
    #[serde(flatten)]
    media: MediaLists<'a>,
    response_audio: Option<Empty>,
}

/// A run of a list, added up, with its stored events.
pub(crate) struct Listed {
    /// What was pinned.
    pub pin: Arc<RunPin>,
    /// What the journal adds up to.
    pub record: RunRecord,
    /// Only of runs that were streamed.
    pub events: Vec<EventView>,
}

/// One run of a workflow's list.
pub(crate) fn workflow_run_summary(run: &Listed) -> RunSummary<'_> {
    shown(run, Stage::Stored)
}

/// One run of a session's list. Here Agno shows the runs of agents as it does when they end.
pub(crate) fn summary(run: &Listed) -> RunSummary<'_> {
    shown(run, Stage::Fresh)
}

fn shown(run: &Listed, stage: Stage) -> RunSummary<'_> {
    let Listed { pin, record, events } = run;
    RunSummary {
        run_id: pin.id.uuid(),
        run_input: &pin.input,
        events: events.iter().map(|it| &*it.data).collect(),
        workflow_id: pin.workflow.as_str(),
        user_id: pin.user.as_ref().map_or("", |it| it.as_str()),
        content: content(pin, record),
        content_type: "str",
        status: status_word(record.status()),
        cancellation_stage: None,
        step_results: StepResult::all(pin, record),
        step_executor_runs: AgentRun::all(pin, record, stage),
        step_requirements: None,
        pause_kind: None,
        paused_step_name: None,
        paused_step_index: None,
        metrics: RunMetrics::of(pin, record),
        created_at: iso(pin.created_at),
        reasoning_content: "",
        reasoning_steps: [],
        references: [],
        citations: None,
        reasoning_messages: [],
        media: MediaLists::of(pin),
        response_audio: None,
    }
}

/// One run in a few words.
#[derive(Serialize, ToSchema)]
pub(crate) struct RunPreview<'a> {
    run_id: Uuid,
    workflow_id: &'a str,
    user_id: &'a str,
    status: &'static str,
    run_input: String,
    content_preview: String,
    created_at: String,
}

/// One run in a few words.
pub(crate) fn preview(run: &StoredPreview) -> RunPreview<'_> {
    let cut = |text: &str| text.chars().take(PREVIEW_CHARACTERS).collect();
    let (status, content) = match &run.outcome {
        PreviewedOutcome::Running(content) => {
            (RunStatus::Running, cut(content.as_deref().unwrap_or_default()))
        }
        PreviewedOutcome::Completed(content) => {
            (RunStatus::Completed, cut(content.as_deref().unwrap_or(NO_STEPS)))
        }
        PreviewedOutcome::Failed(Some(step), failure) => {
            (RunStatus::Failed, cut(&step_failed(step, *failure)))
        }
        PreviewedOutcome::Failed(None, failure) => (RunStatus::Failed, cut(&failure.to_string())),
    };
    RunPreview {
        run_id: run.id.uuid(),
        workflow_id: run.workflow.as_str(),
        user_id: run.user.as_ref().map_or("", |it| it.as_str()),
        status: status_word(status),
        run_input: cut(&run.input),
        content_preview: content,
        created_at: iso(run.created_at),
    }
}

/// `2026-11-23T04:07:17Z`.
pub(in crate::http) fn iso(at: Timestamp) -> String {
    humantime::format_rfc3339_seconds(moment(at)).to_string()
}

/// `2026-11-23T04:07:17.959193Z`.
pub(in crate::http) fn iso_micros(at: Timestamp) -> String {
    humantime::format_rfc3339_micros(moment(at)).to_string()
}

fn moment(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(at.micros().max(0).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_iso_form() {
        let told = |seconds: i64| iso(Timestamp::from_micros(seconds * 1_000_000));
        assert_eq!(told(0), "1970-01-01T00:00:00Z");
        assert_eq!(told(1_795_406_837), "2026-11-23T04:07:17Z");
        let exactly = iso_micros(Timestamp::from_micros(1_795_406_837_000_193));
        assert_eq!(exactly, "2026-11-23T04:07:17.000193Z");
    }
}
