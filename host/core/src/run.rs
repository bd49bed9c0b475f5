//! A run: what is pinned when it is accepted, and where it stands.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::context::RequestContext;
use crate::extras::Extras;
use crate::graph::{Step, StepGraph};
use crate::ids::{Digest, RunId, SessionId, UserId, WorkflowId};
use crate::time::Timestamp;

/// Where the graph of a run came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A factory: exactly this component drew the graph and runs its function steps.
    Plugin(Digest),
    /// A workflow declared in a file; it has no code.
    Declared,
}

/// How much of a run is kept and told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// The run was started as a stream: the model is asked for pieces, and pieces are events.
    Streamed,
    /// Nobody listens: the model is asked for whole answers.
    Quiet,
}

/// An earlier run of the same workflow in the same session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRun {
    /// The message.
    pub input: String,
    /// What it came to.
    pub content: String,
}

/// Everything a run needs to go on, pinned at admission and never changed after.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPin {
    /// Made by the host.
    pub id: RunId,
    /// What was asked for.
    pub workflow: WorkflowId,
    /// The conversation it belongs to.
    pub session: SessionId,
    /// Who it belongs to.
    pub user: Option<UserId>,
    /// The message.
    pub input: String,
    /// What came with the message.
    pub extras: Arc<Extras>,
    /// The session's state as the run found it, and over it what the client sent.
    pub session_state: Map<String, Value>,
    /// Completed runs of the workflow that the session had, of the same user, latest last: as many
    /// as the graph's steps are told of.
    pub history: Arc<[PastRun]>,
    /// Whether pieces are told.
    pub telling: Telling,
    /// Which code drew the graph.
    pub origin: Origin,
    /// What the factory was told.
    pub context: Arc<RequestContext>,
    /// What it drew, checked.
    pub graph: Arc<StepGraph>,
    /// When it was accepted.
    pub created_at: Timestamp,
}

impl RunPin {
    /// The earlier runs that a step is told of, latest last.
    pub fn told(&self, step: &Step) -> &[PastRun] {
        let history = step.options.history as usize;
        &self.history[self.history.len().saturating_sub(history)..]
    }
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunStatus {
    /// Accepted, and not finished.
    Running,
    /// All steps are done, or one ended the workflow early.
    Completed,
    /// A step failed.
    Failed,
}
