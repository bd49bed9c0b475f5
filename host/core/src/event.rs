//! Events: what the journal of a run holds, one fact each.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::agent::{AnswerMark, ModelAnswer};
use crate::blame::Blame;
use crate::json;
use crate::time::Timestamp;

/// The place of a step in [`crate::graph::StepGraph::steps`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepIndex(pub u32);

impl StepIndex {
    /// As an index into a list.
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

/// What a step failed of. A closed list: nothing a guest or a provider wrote is in here, so it
/// can be told to anybody who may see the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum StepFailure {
    /// No provider is configured for the model.
    #[error("the model is not available on this host")]
    ModelUnknown,
    /// The provider refused the request, or the operator's key.
    #[error("the model provider refused the request")]
    ModelRefused,
    /// The provider asked to come back later, more often than the host was willing to.
    #[error("the model provider is over its rate limit")]
    ModelBusy,
    /// The provider failed, or broke off.
    #[error("the model provider failed")]
    ModelFailed,
    /// The provider did not answer in time.
    #[error("the model provider did not answer in time")]
    ModelTimedOut,
    /// The answer is larger than the host accepts.
    #[error("the model's answer is larger than the host accepts")]
    AnswerTooLarge,
    /// The operator does not give the plugin this model, or took it back.
    #[error("the model is not granted")]
    ModelNotGranted,
    /// What a day costs is bounded, and the price table does not know the model.
    #[error("the model has no price, and what a day may cost is bounded")]
    ModelNotPriced,
    /// The day's tokens or money are spent.
    #[error("the day's budget for models is used up")]
    BudgetExhausted,
    /// More than the run, or a whole day, may use.
    #[error("the budget for models is too small for the call")]
    BudgetTooSmall,
    /// Other calls held what was needed for longer than the host waits.
    #[error("too many model calls were under way")]
    BudgetBusy,
    /// The plugin's function gave its error.
    #[error("the function reported an error")]
    FunctionFailed,
    /// The plugin trapped.
    #[error("the plugin stopped before it answered (trap)")]
    PluginTrapped,
    /// The plugin used up its CPU time or its deadline.
    #[error("the plugin ran out of time")]
    PluginTimedOut,
    /// The plugin used up its memory, or a table.
    #[error("the plugin ran out of memory")]
    PluginOutOfMemory,
    /// The plugin's answer is larger than the host accepts, or it called the host too often.
    #[error("the plugin went over a limit of the host")]
    PluginOverLimit,
    /// The database is not granted (any more).
    #[error("the database was not granted to the plugin")]
    DatabaseNotGranted,
    /// The operator has no database of this name.
    #[error("the database is not available on this host")]
    DatabaseUnknown,
    /// The database refused the statement.
    #[error("the database refused the statement")]
    DatabaseRefused,
    /// The statement, or its answer, is larger than the host accepts.
    #[error("the statement or its answer is larger than the host accepts")]
    DatabaseOverLimit,
    /// The database did not answer in time.
    #[error("the database did not answer in time")]
    DatabaseTimedOut,
    /// The database could not be reached, or broke off.
    #[error("the database could not be reached or broke off")]
    DatabaseFailed,
    /// The plugin's code is no longer there, or does not load.
    #[error("the plugin's code is not available")]
    PluginMissing,
    /// Something in the host.
    #[error("the host failed")]
    HostFailed,
}

impl StepFailure {
    /// Every failure, for those who must have a word for each.
    pub const ALL: [StepFailure; 24] = [
        Self::ModelUnknown,
        Self::ModelRefused,
        Self::ModelBusy,
        Self::ModelFailed,
        Self::ModelTimedOut,
        Self::AnswerTooLarge,
        Self::ModelNotGranted,
        Self::ModelNotPriced,
        Self::BudgetExhausted,
        Self::BudgetTooSmall,
        Self::BudgetBusy,
        Self::FunctionFailed,
        Self::PluginTrapped,
        Self::PluginTimedOut,
        Self::PluginOutOfMemory,
        Self::PluginOverLimit,
        Self::DatabaseNotGranted,
        Self::DatabaseUnknown,
        Self::DatabaseRefused,
        Self::DatabaseOverLimit,
        Self::DatabaseTimedOut,
        Self::DatabaseFailed,
        Self::PluginMissing,
        Self::HostFailed,
    ];

    /// A stable word for programs to match on.
    pub fn code(self) -> &'static str {
        match self {
            Self::ModelUnknown => "model_unknown",
            Self::ModelRefused => "model_refused",
            Self::ModelBusy => "model_busy",
            Self::ModelFailed => "model_failed",
            Self::ModelTimedOut => "model_timed_out",
            Self::AnswerTooLarge => "answer_too_large",
            Self::ModelNotGranted => "model_not_granted",
            Self::ModelNotPriced => "model_not_priced",
            Self::BudgetExhausted => "budget_exhausted",
            Self::BudgetTooSmall => "budget_too_small",
            Self::BudgetBusy => "budget_busy",
            Self::FunctionFailed => "function_failed",
            Self::PluginTrapped => "plugin_trapped",
            Self::PluginTimedOut => "plugin_timed_out",
            Self::PluginOutOfMemory => "plugin_out_of_memory",
            Self::PluginOverLimit => "plugin_over_limit",
            Self::DatabaseNotGranted => "database_not_granted",
            Self::DatabaseUnknown => "database_unknown",
            Self::DatabaseRefused => "database_refused",
            Self::DatabaseOverLimit => "database_over_limit",
            Self::DatabaseTimedOut => "database_timed_out",
            Self::DatabaseFailed => "database_failed",
            Self::PluginMissing => "plugin_missing",
            Self::HostFailed => "host_failed",
        }
    }

    /// The failure of a code.
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.code() == code)
    }

    /// Whether another try may come out otherwise. What is not granted, not there or used up is so
    /// at the next try, too.
    pub fn may_pass(self) -> bool {
        match self {
            Self::ModelRefused
            | Self::ModelBusy
            | Self::ModelFailed
            | Self::ModelTimedOut
            | Self::AnswerTooLarge
            | Self::BudgetBusy
            | Self::FunctionFailed
            | Self::PluginTrapped
            | Self::PluginTimedOut
            | Self::PluginOutOfMemory
            | Self::PluginOverLimit
            | Self::DatabaseRefused
            | Self::DatabaseTimedOut
            | Self::DatabaseFailed => true,
            Self::ModelUnknown
            | Self::ModelNotGranted
            | Self::ModelNotPriced
            | Self::BudgetExhausted
            | Self::BudgetTooSmall
            | Self::DatabaseNotGranted
            | Self::DatabaseUnknown
            | Self::DatabaseOverLimit
            | Self::PluginMissing
            | Self::HostFailed => false,
        }
    }

    /// Whose doing it is.
    pub fn blame(self) -> Blame {
        match self {
            Self::ModelUnknown
            | Self::ModelNotGranted
            | Self::FunctionFailed
            | Self::PluginTrapped
            | Self::PluginTimedOut
            | Self::PluginOutOfMemory
            | Self::PluginOverLimit
            | Self::DatabaseNotGranted
            | Self::DatabaseUnknown
            | Self::DatabaseRefused
            | Self::DatabaseOverLimit => Blame::Plugin,
            Self::ModelRefused
            | Self::ModelBusy
            | Self::ModelFailed
            | Self::ModelTimedOut
            | Self::AnswerTooLarge
            | Self::DatabaseTimedOut
            | Self::DatabaseFailed => Blame::Upstream,
            // Nobody's mistake: what the operator gives is used up, and more is the operator's to give.
            Self::ModelNotPriced
            | Self::BudgetExhausted
            | Self::BudgetTooSmall
            | Self::BudgetBusy => Blame::Host,
            Self::PluginMissing | Self::HostFailed => Blame::Host,
        }
    }
}

/// Who answers a model call, as the host's configuration resolved it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelIdentity {
    /// The model's id as the graph names it.
    pub model: String,
    /// Whose model it is: `OpenAI`.
    pub vendor: String,
    /// How it is spoken to: `OpenAI Responses`.
    pub api: String,
}

/// What a step produced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepOutput {
    /// What the next step gets.
    pub content: String,
    /// Whether the workflow ends here, successfully.
    pub stop: bool,
}

/// What a function tells while it works.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// For people.
    pub content: Option<String>,
    /// For programs.
    pub data: Option<Map<String, Value>>,
}

impl Progress {
    /// What it takes up where it is kept and shown: what it says, and as much as is around it.
    pub fn bytes(&self) -> usize {
        const AROUND: usize = 256;
        let content = self.content.as_ref().map_or(0, String::len);
        let data = self.data.as_ref().map_or(0, json::bytes);
        AROUND.saturating_add(content).saturating_add(data)
    }
}

/// One fact about a run. Facts are never changed, only added to.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "a fact says in its sentence what its fields are")]
pub enum RunEvent {
    /// The run began.
    RunStarted,
    /// A host took up the run again after another one, or an earlier life of this one, left it.
    /// Pieces of the call that was under way are void.
    RunResumed,
    /// A step began.
    StepStarted { step: StepIndex },
    /// The step's model is being asked. `call` names the call; the same step gives the same name.
    ModelCalled { step: StepIndex, call: Uuid, model: ModelIdentity },
    /// The answer begins, and the provider said so much of it as such. Only in runs that are told
    /// as streams, and before the first piece.
    ModelBegan { step: StepIndex, mark: AnswerMark },
    /// A piece of the answer. Only in runs that are told as streams.
    ModelDelta { step: StepIndex, text: String },
    /// The model's whole answer. Never asked for again.
    ModelAnswered { step: StepIndex, answer: ModelAnswer },
    /// The plugin's function is being called, or the step's query put to its database.
    FunctionCalled { step: StepIndex },
    /// The function tells how far it is. Only in runs that are told as streams.
    FunctionProgress { step: StepIndex, progress: Progress },
    /// What the function, or the query, gave. With `session_state` the session's state from here on.
    FunctionAnswered {
        step: StepIndex,
        output: StepOutput,
        session_state: Option<Map<String, Value>>,
    },
    /// A step is done.
    StepCompleted { step: StepIndex, output: StepOutput },
    /// One try of a step failed. What follows is another try, or the step's failure.
    TryFailed { step: StepIndex, failure: StepFailure },
    /// A step failed, and the run goes on without it: `output` says so to the next one.
    StepSkipped { step: StepIndex, failure: StepFailure, output: StepOutput },
    /// A step failed, and with it the run.
    StepFailed { step: StepIndex, failure: StepFailure },
    /// All is done. The content is that of the last finished step.
    RunCompleted,
    /// The run ended without a result.
    RunFailed { failure: StepFailure },
}

impl RunEvent {
    /// Whether nothing follows this event.
    pub fn is_last(&self) -> bool {
        matches!(self, Self::RunCompleted | Self::RunFailed { .. })
    }
}

/// An event in its place in the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalEntry {
    /// Counts from 0 in each run, without gaps.
    pub sequence: u64,
    /// When it was noted.
    pub at: Timestamp,
    /// The fact.
    pub event: RunEvent,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_is_found_by_its_code() {
        for failure in StepFailure::ALL {
            assert_eq!(StepFailure::of_code(failure.code()), Some(failure));
        }
        assert_eq!(StepFailure::of_code("else"), None);
    }
}
