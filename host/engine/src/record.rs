//! What a journal adds up to: each step, and how the run ended.

use std::sync::Arc;

use serde_json::{Map, Value};
use stepmill_core::agent::ModelAnswer;
use stepmill_core::event::{
    JournalEntry, ModelIdentity, Progress, RunEvent, StepFailure, StepIndex, StepOutput,
};
use stepmill_core::run::RunStatus;
use stepmill_core::time::Timestamp;
use uuid::Uuid;

/// What all functions of a run tell on their way holds no more, with what is around it; whoever reads
/// the run reads all of it.
const PROGRESS_BYTES: usize = 1024 * 1024;

/// A question put to a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelCall {
    /// Names the call in events and results.
    pub id: Uuid,
    /// Who was asked.
    pub model: ModelIdentity,
    /// When.
    pub asked_at: Timestamp,
}

/// How far a step is.
#[derive(Debug, Clone, PartialEq)]
pub enum StepState {
    /// Begun, and nothing asked yet.
    Started,
    /// The model was asked and has not answered.
    AskingModel(ModelCall),
    /// The model answered.
    ModelAnswered(ModelCall, ModelAnswer),
    /// The function was called and has not answered.
    CallingFunction,
    /// The function answered.
    FunctionAnswered(StepOutput),
    /// Done by a model.
    CompletedByModel(ModelCall, ModelAnswer, StepOutput),
    /// Done by a function.
    CompletedByFunction(StepOutput),
    /// One try failed; the call it failed in, if there was one.
    TryFailed(Option<ModelCall>, StepFailure),
    /// Failed, and left this to the next one; the last call, if there was one.
    Skipped(Option<ModelCall>, StepFailure, StepOutput),
    /// Failed, and with it the run; the last call, if there was one.
    Failed(Option<ModelCall>, StepFailure),
}

impl StepState {
    /// The call that was under way, or failed.
    fn into_call(self) -> Option<ModelCall> {
        match self {
            Self::AskingModel(call) => Some(call),
            Self::TryFailed(call, _) => call,
            _ => None,
        }
    }
}

/// One step that began.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRecord {
    /// Which.
    pub index: StepIndex,
    /// When it began.
    pub started_at: Timestamp,
    /// The session's state as it was then, if an earlier step had changed it.
    pub session_state: Option<Arc<Map<String, Value>>>,
    /// How often its work was begun.
    pub tries: u32,
    /// How far it is.
    pub state: StepState,
}

impl StepRecord {
    /// What it produced, or left, if it is done.
    pub fn output(&self) -> Option<&StepOutput> {
        match &self.state {
            StepState::CompletedByModel(_, _, output)
            | StepState::CompletedByFunction(output)
            | StepState::Skipped(_, _, output) => Some(output),
            _ => None,
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With a result.
    Completed(Timestamp),
    /// Without one.
    Failed(Timestamp, StepFailure),
}

/// What a journal adds up to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunRecord {
    started_at: Option<Timestamp>,
    steps: Vec<StepRecord>,
    ending: Option<Ending>,
    session_state: Option<Arc<Map<String, Value>>>,
    progress_bytes: usize,
}

impl RunRecord {
    /// Adds up a whole journal.
    pub fn of<'a>(journal: impl IntoIterator<Item = &'a JournalEntry>) -> Self {
        let mut record = Self::default();
        journal.into_iter().for_each(|entry| record.apply(entry));
        record
    }

    /// Adds one fact. A fact that does not fit is not believed: the record stays as it is.
    pub fn apply(&mut self, entry: &JournalEntry) {
        let at = entry.at;
        match &entry.event {
            RunEvent::RunStarted => self.started_at = Some(at),
            RunEvent::RunResumed | RunEvent::ModelBegan { .. } | RunEvent::ModelDelta { .. } => {}
            RunEvent::FunctionProgress { progress, .. } => {
                self.progress_bytes = self.progress_bytes.saturating_add(progress.bytes());
            }
            RunEvent::StepStarted { step } => {
                self.steps.push(StepRecord {
                    index: *step,
                    started_at: at,
                    session_state: self.session_state.clone(),
                    tries: 0,
                    state: StepState::Started,
                });
            }
            RunEvent::ModelCalled { step, call, model } => {
                let call = ModelCall { id: *call, model: model.clone(), asked_at: at };
                self.begin(*step, StepState::AskingModel(call));
            }
            RunEvent::ModelAnswered { step, answer } => self.change(*step, |state| match state {
                StepState::AskingModel(call) => StepState::ModelAnswered(call, answer.clone()),
                other => other,
            }),
            RunEvent::FunctionCalled { step } => self.begin(*step, StepState::CallingFunction),
            RunEvent::FunctionAnswered { step, output, session_state } => {
                if let Some(state) = session_state {
                    self.session_state = Some(Arc::new(state.clone()));
                }
                self.change(*step, |_| StepState::FunctionAnswered(output.clone()));
            }
            RunEvent::StepCompleted { step, output } => self.change(*step, |state| match state {
                StepState::ModelAnswered(call, answer) => {
                    StepState::CompletedByModel(call, answer, output.clone())
                }
                _ => StepState::CompletedByFunction(output.clone()),
            }),
            RunEvent::TryFailed { step, failure } => {
                self.change(*step, |state| StepState::TryFailed(state.into_call(), *failure));
            }
            RunEvent::StepSkipped { step, failure, output } => self.change(*step, |state| {
                StepState::Skipped(state.into_call(), *failure, output.clone())
            }),
            RunEvent::StepFailed { step, failure } => {
                self.change(*step, |state| StepState::Failed(state.into_call(), *failure));
            }
            RunEvent::RunCompleted => self.ending = Some(Ending::Completed(at)),
            RunEvent::RunFailed { failure } => self.ending = Some(Ending::Failed(at, *failure)),
        }
    }

    /// A step's work begins, for the first time or once more.
    fn begin(&mut self, step: StepIndex, state: StepState) {
        if let Some(record) = self.steps.iter_mut().rev().find(|it| it.index == step) {
            record.tries = record.tries.saturating_add(1);
            record.state = state;
        }
    }

    fn change(&mut self, step: StepIndex, next: impl FnOnce(StepState) -> StepState) {
        if let Some(record) = self.steps.iter_mut().rev().find(|it| it.index == step) {
            let state = std::mem::replace(&mut record.state, StepState::Started);
            record.state = next(state);
        }
    }

    /// When the run began to run.
    pub fn started_at(&self) -> Option<Timestamp> {
        self.started_at
    }

    /// Every step that began, in order.
    pub fn steps(&self) -> &[StepRecord] {
        &self.steps
    }

    /// Every answer of a model, in order.
    pub fn answers(&self) -> impl Iterator<Item = (&ModelCall, &ModelAnswer)> {
        self.steps.iter().filter_map(|it| match &it.state {
            StepState::ModelAnswered(call, answer)
            | StepState::CompletedByModel(call, answer, _) => Some((call, answer)),
            _ => None,
        })
    }

    /// How it ended, if it did.
    pub fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// The session's state as the latest step that changed it left it; `None` if none did.
    pub fn session_state(&self) -> Option<&Map<String, Value>> {
        self.session_state.as_deref()
    }

    /// Whether there is room for more that a function tells.
    pub fn has_room_for(&self, progress: &Progress) -> bool {
        self.progress_bytes.saturating_add(progress.bytes()) <= PROGRESS_BYTES
    }

    /// Where it stands.
    pub fn status(&self) -> RunStatus {
        match self.ending {
            None => RunStatus::Running,
            Some(Ending::Completed(_)) => RunStatus::Completed,
            Some(Ending::Failed(..)) => RunStatus::Failed,
        }
    }

    /// What the last finished step produced, or left.
    pub fn content(&self) -> Option<&str> {
        self.steps.iter().rev().find_map(StepRecord::output).map(|it| it.content.as_str())
    }
}
