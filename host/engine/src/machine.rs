//! The machine of one run: what to note and what to do next.

use std::sync::Arc;

use serde_json::{Map, Value};
use stepmill_core::call::{FunctionInput, ModelRequest, StepContent};
use stepmill_core::database::{self, Statement};
use stepmill_core::event::{
    JournalEntry, ModelIdentity, RunEvent, StepFailure, StepIndex, StepOutput,
};
use stepmill_core::graph::{Executor, OnFailure, Parameter, Query, Step};
use stepmill_core::ids::DatabaseName;
use stepmill_core::run::RunPin;
use uuid::Uuid;

use crate::prompt::{FILLED_BYTES, Prompt};
use crate::record::{RunRecord, StepRecord, StepState};

/// What has to be done outside before the run goes on.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Ask the model; its answer, or the failure, is an event of this step.
    AskModel(StepIndex, ModelRequest),
    /// Call the plugin's function; its answer, or the failure, is an event of this step.
    CallFunction(StepIndex, FunctionInput),
    /// Put the statement to its database; its answer, or the failure, is an event of this step.
    /// If the host dies before the answer is noted, it is put again.
    AskDatabase(StepIndex, Statement),
}

/// What comes next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// A fact that follows from what is known.
    Note(RunEvent),
    /// Something outside has to happen. Everything noted must be in the journal before.
    Do(Action),
    /// Nothing: the run has ended.
    Finished,
}

/// One run's decisions.
///
/// The driver asks [`Machine::next`], and tells [`Machine::apply`] every entry of the journal,
/// those it replays and those it adds, in order.
#[derive(Debug)]
pub struct Machine {
    pin: Arc<RunPin>,
    models: Vec<Option<ModelIdentity>>,
    record: RunRecord,
}

impl Machine {
    /// A machine at the very beginning. `models` says for each step who answers its agent;
    /// `None` fails an agent step, and means nothing to others.
    pub fn new(pin: Arc<RunPin>, models: Vec<Option<ModelIdentity>>) -> Self {
        Self { pin, models, record: RunRecord::default() }
    }

    /// Takes one entry of the journal.
    pub fn apply(&mut self, entry: &JournalEntry) {
        self.record.apply(entry);
    }

    /// What the journal adds up to so far.
    pub fn record(&self) -> &RunRecord {
        &self.record
    }

    /// What comes next. The same journal gives the same answer.
    pub fn next(&self) -> Next {
        if self.record.ending().is_some() {
            return Next::Finished;
        }
        if self.record.started_at().is_none() {
            return Next::Note(RunEvent::RunStarted);
        }
        match self.record.steps().last() {
            None => Next::Note(self.step_or_end(StepIndex(0))),
            Some(last) => self.after(last),
        }
    }

    fn after(&self, record: &StepRecord) -> Next {
        let step = record.index;
        match &record.state {
            StepState::Started => Next::Note(self.call(step)),
            StepState::AskingModel(_) | StepState::CallingFunction => match self.action(step) {
                Some(action) => Next::Do(action),
                None => Next::Note(failed(step)),
            },
            StepState::ModelAnswered(_, answer) => {
                let output = StepOutput { content: answer.content.clone(), stop: false };
                Next::Note(RunEvent::StepCompleted { step, output })
            }
            StepState::FunctionAnswered(output) => {
                Next::Note(RunEvent::StepCompleted { step, output: output.clone() })
            }
            StepState::CompletedByModel(_, _, output) | StepState::CompletedByFunction(output) => {
                if output.stop {
                    return Next::Note(RunEvent::RunCompleted);
                }
                Next::Note(self.step_or_end(StepIndex(step.0 + 1)))
            }
            StepState::TryFailed(_, failure) => Next::Note(self.after_failure(record, *failure)),
            StepState::Skipped(..) => Next::Note(self.step_or_end(StepIndex(step.0 + 1))),
            StepState::Failed(_, failure) => Next::Note(RunEvent::RunFailed { failure: *failure }),
        }
    }

    /// Another try, if there may be one and it may come out otherwise; else the step's failure.
    fn after_failure(&self, record: &StepRecord, failure: StepFailure) -> RunEvent {
        let index = record.index;
        let Some(step) = self.step(index) else { return failed(index) };
        if failure.may_pass() && record.tries <= step.options.retries {
            return self.call(index);
        }
        match step.options.on_failure {
            OnFailure::Fail => RunEvent::StepFailed { step: index, failure },
            OnFailure::Skip => {
                // Agno's sentence.
                let content = format!("Step {} failed but skipped", step.name);
                let output = StepOutput { content, stop: false };
                RunEvent::StepSkipped { step: index, failure, output }
            }
        }
    }

    fn step_or_end(&self, step: StepIndex) -> RunEvent {
        match self.step(step) {
            Some(_) => RunEvent::StepStarted { step },
            None => RunEvent::RunCompleted,
        }
    }

    fn call(&self, step: StepIndex) -> RunEvent {
        match self.step(step).map(|it| &it.executor) {
            Some(Executor::Agent(_)) => match self.models.get(step.at()).cloned().flatten() {
                Some(model) => RunEvent::ModelCalled { step, call: self.next_call(step), model },
                None => RunEvent::TryFailed { step, failure: StepFailure::ModelUnknown },
            },
            Some(Executor::Function(_) | Executor::Query(_)) => RunEvent::FunctionCalled { step },
            None => failed(step),
        }
    }

    /// Each try's call has an id of its own.
    fn next_call(&self, step: StepIndex) -> Uuid {
        let tries = self.record.steps().last().map_or(0, |it| it.tries);
        self.pin.id.part(&match tries {
            0 => format!("step/{}/call", step.0),
            tries => format!("step/{}/call/{tries}", step.0),
        })
    }

    fn action(&self, step: StepIndex) -> Option<Action> {
        let previous = self.record.content();
        let history = self.pin.told(self.step(step)?);
        Some(match &self.step(step)?.executor {
            Executor::Agent(agent) => {
                let input = previous.unwrap_or(&self.pin.input);
                let mut room = FILLED_BYTES;
                let state = self.session_state();
                let asked = Prompt::of(&self.pin, agent, history, input, state, &mut room);
                let media = self.pin.extras.media.clone();
                let (instructions, message) = (asked.instructions, asked.message.into_owned());
                let request = ModelRequest::of(agent, instructions.into_owned(), message, media);
                Action::AskModel(step, request)
            }
            Executor::Function(function) => Action::CallFunction(
                step,
                FunctionInput {
                    function: function.clone(),
                    step: self.step(step)?.name.clone(),
                    message: self.pin.input.clone(),
                    previous: previous.map(str::to_owned),
                    outputs: self.outputs(),
                    run: self.pin.id,
                    session: self.pin.session.clone(),
                    user: self.pin.user.clone(),
                    session_state: self.session_state().clone(),
                    extras: self.pin.extras.clone(),
                    history: history.to_vec(),
                },
            ),
            Executor::Query(query) => Action::AskDatabase(step, self.statement(query)?),
        })
    }

    fn statement(&self, query: &Query) -> Option<Statement> {
        let value = |it: &Parameter| match it {
            Parameter::Value(value) => value.clone(),
            Parameter::Message => database::Value::Text(self.pin.input.clone()),
            Parameter::Previous => match self.record.content() {
                Some(content) => database::Value::Text(content.to_owned()),
                None => database::Value::Null,
            },
        };
        Some(Statement {
            database: DatabaseName::new(query.database.as_str()).ok()?,
            access: query.access,
            text: query.statement.clone(),
            parameters: query.parameters.iter().map(value).collect(),
        })
    }

    fn session_state(&self) -> &Map<String, Value> {
        self.record.session_state().unwrap_or(&self.pin.session_state)
    }

    /// One for each name: of two steps that share theirs, the later one's.
    fn outputs(&self) -> Vec<StepContent> {
        let mut outputs: Vec<StepContent> = Vec::new();
        for record in self.record.steps() {
            let (Some(step), Some(output)) = (self.step(record.index), record.output()) else {
                continue;
            };
            let content = output.content.clone();
            match outputs.iter_mut().find(|it| it.step == step.name) {
                Some(earlier) => earlier.content = content,
                None => outputs.push(StepContent { step: step.name.clone(), content }),
            }
        }
        outputs
    }

    fn step(&self, index: StepIndex) -> Option<&Step> {
        self.pin.graph.steps().get(index.at())
    }
}

/// The journal names a step that the pinned graph does not have: the stored run is damaged.
fn failed(step: StepIndex) -> RunEvent {
    RunEvent::StepFailed { step, failure: StepFailure::HostFailed }
}
