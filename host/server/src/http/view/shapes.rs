//! What several answers tell of a step: its id, its agent, and how it failed.

use serde::Serialize;
use stepmill_core::agent::Agent;
use stepmill_core::event::{StepFailure, StepIndex};
use stepmill_core::graph::{Executor, Step};
use stepmill_core::run::RunPin;
use utoipa::ToSchema;
use uuid::Uuid;

/// An empty JSON object.
#[derive(Serialize, ToSchema, Clone, Copy)]
pub(super) struct Empty {}

/// The id of a step: the same in every answer about a run.
pub(super) fn step_id(pin: &RunPin, step: StepIndex) -> Uuid {
    pin.id.part(&format!("step/{}", step.0))
}

/// One step as it is in the pinned graph.
pub(super) fn step(pin: &RunPin, index: StepIndex) -> Option<&Step> {
    pin.graph.steps().get(index.at())
}

/// The agent of a step that has one.
pub(super) fn agent(pin: &RunPin, index: StepIndex) -> Option<&Agent> {
    match &step(pin, index)?.executor {
        Executor::Agent(agent) => Some(agent),
        Executor::Function(_) | Executor::Query(_) => None,
    }
}

/// What is told of a failed step: its name, and the closed list's sentence.
pub(super) fn failure_text(pin: &RunPin, index: StepIndex, failure: StepFailure) -> String {
    step_failed(step(pin, index).map_or("?", |it| it.name.as_str()), failure)
}

/// The same, of a step by its name.
pub(super) fn step_failed(name: &str, failure: StepFailure) -> String {
    format!("Step '{name}' failed: {failure}")
}
