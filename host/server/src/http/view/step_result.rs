//! What steps came to.

use serde::Serialize;
use stepmill_core::graph::Executor;
use stepmill_core::run::RunPin;
use stepmill_engine::{RunRecord, StepRecord, StepState};
use utoipa::ToSchema;
use uuid::Uuid;

use super::metrics::AgentMetrics;
use super::shapes::{Empty, failure_text, step, step_id};

/// What one step came to.
#[derive(Serialize, ToSchema)]
pub(super) struct StepResult<'a> {
    content: &'a str,
    step_name: &'a str,
    step_id: Uuid,
    step_type: &'static str,
    executor_type: &'static str,
    executor_name: &'a str,
    step_run_id: Option<Uuid>,
    images: Option<Empty>,
    videos: Option<Empty>,
    audio: Option<Empty>,
    files: Option<Empty>,
    metrics: Option<AgentMetrics<'a>>,
    success: bool,
    error: Option<String>,
    stop: bool,
    is_paused: bool,
}

impl<'a> StepResult<'a> {
    /// The result of a step that ended; `None` while it is under way.
    pub(super) fn of(pin: &'a RunPin, record: &'a StepRecord) -> Option<Self> {
        let step = step(pin, record.index)?;
        let (content, call, stop, failure) = match &record.state {
            StepState::CompletedByModel(call, answer, output) => {
                (output.content.as_str(), Some((call, Some(answer))), output.stop, None)
            }
            StepState::CompletedByFunction(output) => {
                (output.content.as_str(), None, output.stop, None)
            }
            StepState::Skipped(call, failure, output) => {
                let call = call.as_ref().map(|it| (it, None));
                (output.content.as_str(), call, false, Some(*failure))
            }
            StepState::Failed(call, failure) => {
                ("", call.as_ref().map(|it| (it, None)), false, Some(*failure))
            }
            _ => return None,
        };
        let (executor_type, executor_name) = match &step.executor {
            Executor::Agent(agent) => ("agent", agent.name.as_str()),
            Executor::Function(function) => ("function", function.name.as_str()),
            // As a function: clients of Agno know no other step without an agent.
            Executor::Query(query) => ("function", query.database.as_str()),
        };
        Some(Self {
            content,
            step_name: &step.name,
            step_id: step_id(pin, record.index),
            step_type: "Step",
            executor_type,
            executor_name,
            step_run_id: call.map(|(call, _)| call.id),
            images: None,
            videos: None,
            audio: None,
            files: None,
            metrics: call.and_then(|(call, answer)| Some(AgentMetrics::of(call, answer?))),
            success: failure.is_none(),
            error: failure.map(|it| failure_text(pin, record.index, it)),
            stop,
            is_paused: false,
        })
    }

    /// The results of all steps that ended.
    pub(super) fn all(pin: &'a RunPin, record: &'a RunRecord) -> Vec<Self> {
        record.steps().iter().filter_map(|it| Self::of(pin, it)).collect()
    }
}
