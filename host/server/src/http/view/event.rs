//! Server-sent events: what Agno's clients hear of a run while it goes on.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use stepmill_core::agent::{Agent, AnswerMark, ModelAnswer};
use stepmill_core::event::{JournalEntry, Progress, RunEvent, StepFailure, StepIndex, StepOutput};
use stepmill_core::run::RunPin;
use stepmill_core::time::Timestamp;
use stepmill_engine::{Ending, ModelCall, RunRecord, StepRecord, StepState};
use uuid::Uuid;

use super::agent_run::{AgentRun, AgentState, ProviderData, Stage, is_responses};
use super::metrics::{AgentMetrics, RunMetrics, Tokens, first_token};
use super::run::content;
use super::shapes::{Empty, agent, failure_text, step, step_id};
use super::step_result::StepResult;

/// One event as clients read it.
#[derive(Debug, Clone)]
pub(crate) struct EventView {
    /// The name, as in `data.event`.
    pub name: &'static str,
    /// The fields, as they are sent.
    pub data: Box<RawValue>,
}

impl EventView {
    /// Whether it tells of what is made, what failed, or how the run begins and ends.
    pub(crate) fn is_content(&self) -> bool {
        const NAMES: [&str; 7] = [
            "WorkflowStarted",
            "RunContent",
            "RunError",
            "StepOutput",
            "StepError",
            "WorkflowCompleted",
            "WorkflowError",
        ];
        NAMES.contains(&self.name)
    }
}

/// What an agent does before it comes to something.
const ON_THE_WAY: [&str; 6] = [
    "RunStarted",
    "ModelRequestStarted",
    "RunContent",
    "ModelRequestCompleted",
    "RunContentCompleted",
    "RunError",
];

/// What is told once more when a call is made once more.
const TOLD_AGAIN: [&str; 2] = ["RunContent", "StepProgress"];

/// Turns a journal, entry by entry, into what clients hear.
pub(crate) struct Renderer {
    pin: Arc<RunPin>,
    record: RunRecord,
    /// What the answer under way is called, if that was said.
    mark: Option<AnswerMark>,
    stage: Stage,
}

impl Renderer {
    /// At the beginning of a journal.
    pub(crate) fn new(pin: Arc<RunPin>) -> Self {
        Self { pin, record: RunRecord::default(), mark: None, stage: Stage::Told }
    }

    /// Everything a whole journal says, as Agno keeps it: without `StepOutput`, which
    /// `StepCompleted` repeats, and without the run's place in the session's state. Pieces of a
    /// call that another life of the host broke off are left out: the call was made again.
    pub(crate) fn all(
        pin: &Arc<RunPin>,
        journal: &[JournalEntry],
    ) -> serde_json::Result<Vec<EventView>> {
        let mut renderer = Self { stage: Stage::Noted, ..Self::new(pin.clone()) };
        let mut views: Vec<EventView> = Vec::new();
        let unlisted = &pin.graph.showing().unlisted_events;
        // Where the latest call begins: what was told before it is not told again.
        let mut call = 0;
        for entry in journal {
            match entry.event {
                RunEvent::ModelCalled { .. } | RunEvent::FunctionCalled { .. } => {
                    call = views.len();
                }
                RunEvent::RunResumed => {
                    while call < views.len()
                        && views.last().is_some_and(|it| TOLD_AGAIN.contains(&it.name))
                    {
                        views.pop();
                    }
                }
                _ => {}
            }
            let kept = |it: &EventView| {
                it.name != "StepOutput" && !unlisted.iter().any(|name| name == it.name)
            };
            views.extend(renderer.render(entry)?.into_iter().filter(kept));
        }
        Ok(views)
    }

    /// What clients hear of one entry: nothing, or one or more events.
    pub(crate) fn render(&mut self, entry: &JournalEntry) -> serde_json::Result<Vec<EventView>> {
        let mut said = self.say(entry)?;
        if !self.pin.graph.showing().agent_events {
            said.retain(|it| !ON_THE_WAY.contains(&it.name));
        }
        Ok(said)
    }

    fn say(&mut self, entry: &JournalEntry) -> Said {
        self.record.apply(entry);
        match &entry.event {
            RunEvent::ModelBegan { mark, .. } => self.mark = Some(mark.clone()),
            RunEvent::ModelCalled { .. } | RunEvent::RunResumed => self.mark = None,
            _ => {}
        }
        let say = Say { pin: &self.pin, record: &self.record, stage: self.stage, at: entry.at };
        match &entry.event {
            RunEvent::RunStarted => Ok(vec![say.workflow("WorkflowStarted", Empty {})?]),
            RunEvent::RunResumed | RunEvent::FunctionCalled { .. } => Ok(vec![]),
            RunEvent::FunctionProgress { step, progress } => say.progress(*step, progress),
            RunEvent::StepStarted { step } => Ok(vec![say.step("StepStarted", *step, Empty {})?]),
            RunEvent::ModelCalled { step, .. } => say.model_called(*step),
            RunEvent::ModelBegan { step, mark } => say.model_began(*step, mark),
            RunEvent::ModelDelta { step, text } => say.model_delta(*step, text, self.mark.as_ref()),
            RunEvent::ModelAnswered { step, .. } => say.model_answered(*step),
            RunEvent::FunctionAnswered { step, output, .. } => say.function_answered(*step, output),
            RunEvent::StepCompleted { step, output } => say.step_completed(*step, output),
            RunEvent::TryFailed { step, failure } => say.try_failed(*step, *failure),
            RunEvent::StepSkipped { step, .. } => say.step_skipped(*step),
            RunEvent::StepFailed { step, failure } => say.step_failed(*step, *failure),
            RunEvent::RunCompleted => Ok(vec![say.run_completed()?]),
            RunEvent::RunFailed { .. } => Ok(vec![say.run_failed()?]),
        }
    }
}

/// Why a failed run has no content: its failed step and the closed list's sentence.
pub(crate) fn failure(pin: &RunPin, record: &RunRecord) -> Option<String> {
    let Some(Ending::Failed(_, failure)) = record.ending() else { return None };
    let step = record.steps().iter().find(|it| matches!(it.state, StepState::Failed(..)));
    Some(step.map_or_else(|| failure.to_string(), |it| failure_text(pin, it.index, failure)))
}

#[derive(Serialize)]
struct WorkflowEvent<'a, T> {
    created_at: i64,
    event: &'static str,
    workflow_id: &'a str,
    workflow_name: &'a str,
    session_id: &'a str,
    run_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    step_id: Option<Uuid>,
    nested_depth: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    step_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step_index: Option<u32>,
    #[serde(flatten)]
    more: T,
}

#[derive(Serialize)]
struct AgentEvent<'a, T> {
    created_at: i64,
    event: &'static str,
    agent_id: String,
    agent_name: &'a str,
    run_id: Uuid,
    session_id: &'a str,
    workflow_id: &'a str,
    workflow_run_id: Uuid,
    step_id: Uuid,
    step_name: &'a str,
    step_index: u32,
    nested_depth: u32,
    #[serde(flatten)]
    more: T,
}

#[derive(Serialize)]
struct Model<'a> {
    model: &'a str,
    model_provider: &'a str,
}

#[derive(Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    workflow_agent: bool,
    content_type: &'static str,
    reasoning_content: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_provider_data: Option<ProviderData<'a>>,
}

impl<'a> Delta<'a> {
    fn new(content: Option<&'a str>, model_provider_data: Option<ProviderData<'a>>) -> Self {
        Self {
            content,
            workflow_agent: false,
            content_type: "str",
            reasoning_content: "",
            model_provider_data,
        }
    }
}

#[derive(Serialize)]
struct ModelDone<'a> {
    #[serde(flatten)]
    model: Model<'a>,
    #[serde(flatten)]
    tokens: Tokens,
    time_to_first_token: f64,
    reasoning_tokens: u64,
    cache_read_tokens: u64,
    cache_write_tokens: u64,
}

#[derive(Serialize)]
struct AgentDone<'a> {
    content: &'a str,
    content_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_provider_data: Option<ProviderData<'a>>,
    session_state: AgentState<'a>,
    metadata: &'a Map<String, Value>,
    metrics: AgentMetrics<'a>,
}

#[derive(Serialize)]
struct AgentFailed {
    content: String,
    error_type: &'static str,
}

#[derive(Serialize)]
struct StepDone<'a> {
    content: &'a str,
    content_type: &'static str,
    step_response: Option<StepResult<'a>>,
}

#[derive(Serialize)]
struct Output<'a> {
    step_output: Option<StepResult<'a>>,
}

#[derive(Serialize)]
struct Told<'a> {
    attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Map<String, Value>>,
}

#[derive(Serialize)]
struct Failure {
    error: String,
}

#[derive(Serialize)]
struct RunDone<'a> {
    content: Option<String>,
    content_type: &'static str,
    metadata: &'a Map<String, Value>,
    metrics: RunMetrics<'a>,
    step_results: Vec<StepResult<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    step_executor_runs: Vec<AgentRun<'a>>,
}

#[derive(Serialize)]
struct RunFailure {
    error: String,
    error_id: &'static str,
}

/// Says one entry of one run.
struct Say<'a> {
    pin: &'a RunPin,
    record: &'a RunRecord,
    stage: Stage,
    at: Timestamp,
}

type Said = serde_json::Result<Vec<EventView>>;

impl<'a> Say<'a> {
    fn workflow(&self, name: &'static str, more: impl Serialize) -> serde_json::Result<EventView> {
        self.about(name, None, true, more)
    }

    fn step(
        &self,
        name: &'static str,
        step: StepIndex,
        more: impl Serialize,
    ) -> serde_json::Result<EventView> {
        self.about(name, Some(step), true, more)
    }

    fn about(
        &self,
        name: &'static str,
        index: Option<StepIndex>,
        with_id: bool,
        more: impl Serialize,
    ) -> serde_json::Result<EventView> {
        let data = to_raw_value(&WorkflowEvent {
            created_at: self.at.seconds(),
            event: name,
            workflow_id: self.pin.workflow.as_str(),
            workflow_name: self.pin.graph.name(),
            session_id: self.pin.session.as_str(),
            run_id: self.pin.id.uuid(),
            step_id: index.filter(|_| with_id).map(|it| step_id(self.pin, it)),
            nested_depth: 0,
            step_name: index.and_then(|it| step(self.pin, it)).map(|it| it.name.as_str()),
            step_index: index.map(|it| it.0),
            more,
        })?;
        Ok(EventView { name, data })
    }

    fn agent(
        &self,
        name: &'static str,
        index: StepIndex,
        who: &Agent,
        call: &ModelCall,
        more: impl Serialize,
    ) -> serde_json::Result<EventView> {
        let data = to_raw_value(&AgentEvent {
            created_at: self.at.seconds(),
            event: name,
            agent_id: who.id(),
            agent_name: &who.name,
            run_id: call.id,
            session_id: self.pin.session.as_str(),
            workflow_id: self.pin.workflow.as_str(),
            workflow_run_id: self.pin.id.uuid(),
            step_id: step_id(self.pin, index),
            step_name: step(self.pin, index).map_or("", |it| it.name.as_str()),
            step_index: index.0,
            nested_depth: 0,
            more,
        })?;
        Ok(EventView { name, data })
    }

    fn record_of(&self, index: StepIndex) -> Option<&'a StepRecord> {
        self.record.steps().iter().rev().find(|it| it.index == index)
    }

    /// The agent of a step and the call that is, or was, under way.
    fn call(
        &self,
        index: StepIndex,
    ) -> Option<(&'a Agent, &'a ModelCall, Option<&'a ModelAnswer>)> {
        let who = agent(self.pin, index)?;
        match &self.record_of(index)?.state {
            StepState::AskingModel(call) | StepState::TryFailed(Some(call), _) => {
                Some((who, call, None))
            }
            StepState::ModelAnswered(call, answer)
            | StepState::CompletedByModel(call, answer, _) => Some((who, call, Some(answer))),
            _ => None,
        }
    }

    fn model_called(&self, index: StepIndex) -> Said {
        let Some((who, call, _)) = self.call(index) else { return Ok(vec![]) };
        let model = || Model { model: &call.model.model, model_provider: &call.model.vendor };
        Ok(vec![
            self.agent("RunStarted", index, who, call, model())?,
            self.agent("ModelRequestStarted", index, who, call, model())?,
        ])
    }

    /// OpenAI's chat protocol begins with an empty piece; the other begins without one.
    fn model_began(&self, index: StepIndex, mark: &AnswerMark) -> Said {
        let Some((who, call, _)) = self.call(index) else { return Ok(vec![]) };
        let content = (!is_responses(call)).then_some("");
        let delta = Delta::new(content, ProviderData::of(call, mark));
        Ok(vec![self.agent("RunContent", index, who, call, delta)?])
    }

    fn model_delta(&self, index: StepIndex, text: &str, mark: Option<&AnswerMark>) -> Said {
        let Some((who, call, _)) = self.call(index) else { return Ok(vec![]) };
        let mark = mark.filter(|_| !is_responses(call));
        let data = mark.and_then(|it| ProviderData::of(call, it));
        let delta = Delta::new(Some(text), data);
        Ok(vec![self.agent("RunContent", index, who, call, delta)?])
    }

    fn model_answered(&self, index: StepIndex) -> Said {
        let Some((who, call, Some(answer))) = self.call(index) else { return Ok(vec![]) };
        let request = ModelDone {
            model: Model { model: &call.model.model, model_provider: &call.model.vendor },
            tokens: Tokens::of(answer),
            time_to_first_token: first_token(answer),
            reasoning_tokens: answer.usage.reasoning_tokens,
            cache_read_tokens: answer.usage.cache_read_tokens,
            cache_write_tokens: answer.usage.cache_write_tokens,
        };
        let done = AgentDone {
            content: &answer.content,
            content_type: "str",
            model_provider_data: ProviderData::of(call, &answer.mark),
            session_state: AgentState::at(self.pin, self.stage),
            metadata: &self.pin.extras.metadata,
            metrics: AgentMetrics::of(call, answer),
        };
        Ok(vec![
            self.agent("ModelRequestCompleted", index, who, call, request)?,
            self.agent("RunContentCompleted", index, who, call, Empty {})?,
            self.agent("RunCompleted", index, who, call, done)?,
        ])
    }

    fn function_answered(&self, index: StepIndex, output: &StepOutput) -> Said {
        // Told as the step's result although the step is noted as done only next.
        let state = StepState::CompletedByFunction(output.clone());
        let done = StepRecord { index, started_at: self.at, session_state: None, tries: 1, state };
        let step_output = StepResult::of(self.pin, &done);
        Ok(vec![self.about("StepOutput", Some(index), false, Output { step_output })?])
    }

    fn progress(&self, index: StepIndex, progress: &Progress) -> Said {
        let told = Told {
            attempt: self.record_of(index).map_or(0, |it| it.tries),
            content: progress.content.as_deref(),
            data: progress.data.as_ref(),
        };
        Ok(vec![self.step("StepProgress", index, told)?])
    }

    fn step_skipped(&self, index: StepIndex) -> Said {
        let step_output = self.record_of(index).and_then(|it| StepResult::of(self.pin, it));
        Ok(vec![self.about("StepOutput", Some(index), false, Output { step_output })?])
    }

    fn step_completed(&self, index: StepIndex, output: &StepOutput) -> Said {
        let step_response = self.record_of(index).and_then(|it| StepResult::of(self.pin, it));
        let done = StepDone { content: &output.content, content_type: "str", step_response };
        Ok(vec![self.step("StepCompleted", index, done)?])
    }

    fn try_failed(&self, index: StepIndex, failure: StepFailure) -> Said {
        let Some((who, call, _)) = self.call(index) else { return Ok(vec![]) };
        let failed = AgentFailed { content: failure.to_string(), error_type: failure.code() };
        Ok(vec![self.agent("RunError", index, who, call, failed)?])
    }

    fn step_failed(&self, index: StepIndex, failure: StepFailure) -> Said {
        let error = failure_text(self.pin, index, failure);
        Ok(vec![self.step("StepError", index, Failure { error })?])
    }

    fn run_completed(&self) -> serde_json::Result<EventView> {
        let metrics = RunMetrics::of(self.pin, self.record);
        let is_empty = self.record.steps().is_empty() && self.stage == Stage::Told;
        let done = RunDone {
            content: content(self.pin, self.record),
            content_type: "str",
            metadata: &self.pin.extras.metadata,
            metrics: if is_empty { metrics.unmeasured() } else { metrics },
            step_results: StepResult::all(self.pin, self.record),
            step_executor_runs: AgentRun::all(self.pin, self.record, self.stage),
        };
        self.workflow("WorkflowCompleted", done)
    }

    fn run_failed(&self) -> serde_json::Result<EventView> {
        let code = match self.record.ending() {
            Some(Ending::Failed(_, failure)) => failure.code(),
            _ => StepFailure::HostFailed.code(),
        };
        let error = failure(self.pin, self.record).unwrap_or_default();
        self.workflow("WorkflowError", RunFailure { error, error_id: code })
    }
}

#[cfg(test)]
mod tests {
    use stepmill_core::context::{RequestContext, RequestFacts};
    use stepmill_core::graph::{
        Executor, FunctionCall, GraphDraft, GraphLimits, NodeDraft, Step, StepOptions,
    };
    use stepmill_core::ids::{RunId, SessionId, TenantId, WorkflowId};
    use stepmill_core::principal::TrustedClaims;
    use stepmill_core::run::{Origin, Telling};

    use super::*;

    /// A run of one function step.
    fn pin(unlisted: &[&str]) -> Arc<RunPin> {
        let step = NodeDraft::Step(Step {
            name: "s".into(),
            description: None,
            executor: Executor::Function(FunctionCall { name: "f".into(), argument: None }),
            options: StepOptions { retries: 1, ..StepOptions::default() },
        });
        let mut draft =
            GraphDraft::new("w", vec![NodeDraft::Sequence(vec![1, 2]), step.clone(), step], 0);
        draft.showing.unlisted_events = unlisted.iter().map(|it| (*it).to_owned()).collect();
        Arc::new(RunPin {
            id: RunId::from_uuid(Uuid::from_u128(1)),
            workflow: WorkflowId::new("w").unwrap(),
            session: SessionId::new("s").unwrap(),
            user: None,
            input: String::new(),
            extras: Arc::default(),
            session_state: Map::new(),
            history: Arc::from([]),
            telling: Telling::Streamed,
            origin: Origin::Declared,
            context: Arc::new(RequestContext {
                user: None,
                session: None,
                input: None,
                request: RequestFacts { method: "POST".into(), path: "/".into(), headers: vec![] },
                tenant: TenantId::new("t").unwrap(),
                trusted: TrustedClaims::default(),
            }),
            graph: Arc::new(draft.check(&GraphLimits::default()).unwrap()),
            created_at: Timestamp::from_micros(0),
        })
    }

    fn tells(step: StepIndex, text: &str) -> RunEvent {
        let progress = Progress { content: Some(text.to_owned()), data: None };
        RunEvent::FunctionProgress { step, progress }
    }

    /// What the progress that is read back says.
    fn read_back(unlisted: &[&str], events: Vec<RunEvent>) -> Vec<String> {
        let at = Timestamp::from_micros(0);
        let entry = |(sequence, event)| JournalEntry { sequence, at, event };
        let journal: Vec<_> = (0..).zip(events).map(entry).collect();
        let views = Renderer::all(&pin(unlisted), &journal).unwrap();
        let content = |it: &EventView| {
            let data: Value = serde_json::from_str(it.data.get()).unwrap();
            data["content"].as_str().unwrap().to_owned()
        };
        views.iter().filter(|it| it.name == "StepProgress").map(content).collect()
    }

    #[test]
    fn a_run_that_is_taken_up_forgets_what_its_last_call_told_and_no_more() {
        let (first, second) = (StepIndex(0), StepIndex(1));
        let output = StepOutput { content: String::new(), stop: false };
        let failure = StepFailure::FunctionFailed;
        let tried = vec![
            RunEvent::RunStarted,
            RunEvent::StepStarted { step: first },
            RunEvent::FunctionCalled { step: first },
            tells(first, "first try"),
            RunEvent::TryFailed { step: first, failure },
            RunEvent::FunctionCalled { step: first },
            tells(first, "lost"),
            RunEvent::RunResumed,
            tells(first, "second try"),
        ];
        assert_eq!(read_back(&[], tried.clone()), ["first try", "second try"]);

        // Nor where nothing is listed between two steps.
        let mut done = tried;
        done.extend([
            RunEvent::FunctionAnswered { step: first, output: output.clone(), session_state: None },
            RunEvent::StepCompleted { step: first, output },
            RunEvent::StepStarted { step: second },
            RunEvent::FunctionCalled { step: second },
            RunEvent::RunResumed,
        ]);
        let unlisted = ["StepStarted", "StepCompleted"];
        assert_eq!(read_back(&unlisted, done), ["first try", "second try"]);
    }
}
