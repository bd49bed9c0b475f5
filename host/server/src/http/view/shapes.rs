//! Pieces that several answers share: metrics, step results, the runs of agents.

use serde::Serialize;
use serde_json::{Map, Value};
use stepmill_core::agent::{Agent, ModelAnswer};
use stepmill_core::event::{StepFailure, StepIndex};
use stepmill_core::graph::{Executor, Step};
use stepmill_core::run::{RunPin, Telling};
use stepmill_engine::{ModelCall, RunRecord, StepRecord, StepState};
use utoipa::ToSchema;
use uuid::Uuid;

/// An empty JSON object.
#[derive(Serialize, ToSchema, Clone, Copy)]
pub(super) struct Empty {}

/// What one model used.
#[derive(Serialize, ToSchema, Clone, Copy)]
pub(super) struct Tokens {
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: u64,
}

impl Tokens {
    pub(super) fn of(answer: &ModelAnswer) -> Self {
        let usage = answer.usage;
        Self {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            total_tokens: usage.input_tokens.saturating_add(usage.output_tokens),
        }
    }
}

#[derive(Serialize, ToSchema)]
struct ModelMetrics<'a> {
    #[serde(flatten)]
    tokens: Tokens,
    id: &'a str,
    provider: &'a str,
}

#[derive(Serialize, ToSchema)]
struct ModelList<'a> {
    model: [ModelMetrics<'a>; 1],
}

/// What an agent used; times in seconds.
#[derive(Serialize, ToSchema)]
pub(super) struct AgentMetrics<'a> {
    #[serde(flatten)]
    tokens: Tokens,
    time_to_first_token: f64,
    duration: f64,
    details: ModelList<'a>,
}

impl<'a> AgentMetrics<'a> {
    pub(super) fn of(call: &'a ModelCall, answer: &ModelAnswer) -> Self {
        let tokens = Tokens::of(answer);
        let model = ModelMetrics { tokens, id: &call.model.model, provider: &call.model.api };
        Self {
            tokens,
            time_to_first_token: first_token(answer),
            duration: answer.duration_micros as f64 / 1e6,
            details: ModelList { model: [model] },
        }
    }
}

/// Seconds to the first piece of an answer; one that came whole came all at its end.
pub(super) fn first_token(answer: &ModelAnswer) -> f64 {
    answer.first_token_micros.unwrap_or(answer.duration_micros) as f64 / 1e6
}

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

#[derive(Serialize, ToSchema)]
struct Message<'a> {
    id: Uuid,
    content: &'a str,
    from_history: bool,
    stop_after_tool_call: bool,
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_data: Option<ProviderData<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<MessageMetrics>,
    created_at: i64,
}

#[derive(Serialize, ToSchema)]
struct MessageMetrics {
    #[serde(flatten)]
    tokens: Tokens,
    /// Of a streamed answer only the time to its first piece is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<f64>,
    time_to_first_token: f64,
}

/// What the provider calls its answer.
#[derive(Serialize, ToSchema)]
pub(super) struct ProviderData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    response_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
}

impl<'a> ProviderData<'a> {
    /// Under the name that the provider's protocol has for it.
    pub(super) fn of(call: &ModelCall, answer: &'a ModelAnswer) -> Option<Self> {
        let id = answer.response_id.as_deref()?;
        Some(match call.model.api.as_str() {
            "OpenAI Responses" => Self { response_id: Some(id), id: None },
            _ => Self { response_id: None, id: Some(id) },
        })
    }
}

#[derive(Serialize, ToSchema)]
struct AgentInput<'a> {
    input_content: &'a str,
}

/// The run of one agent inside a step.
#[derive(Serialize, ToSchema)]
pub(super) struct AgentRun<'a> {
    run_id: Uuid,
    agent_id: String,
    agent_name: &'a str,
    session_id: &'a str,
    parent_run_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    content: &'a str,
    content_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_provider_data: Option<ProviderData<'a>>,
    model: &'a str,
    model_provider: &'a str,
    #[schema(value_type = Object)]
    session_state: AgentState<'a>,
    created_at: i64,
    status: &'static str,
    workflow_step_id: Uuid,
    metrics: AgentMetrics<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<[Empty; 0]>,
    messages: Vec<Message<'a>>,
    #[schema(value_type = Object)]
    metadata: &'a Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<[Empty; 0]>,
    input: AgentInput<'a>,
}

/// When an agent's run is shown: Agno shows it in three ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// In the answer to who waited for the run.
    Fresh,
    /// In the events of a stream.
    Told,
    /// In the same events, read back.
    Noted,
    /// Read back.
    Stored,
}

/// What an agent saw of its session.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum AgentState<'a> {
    /// The session's state.
    Kept(&'a Map<String, Value>),
    /// Where it was, as streams tell it.
    Place(SessionState<'a>),
}

impl<'a> AgentState<'a> {
    pub(super) fn at(pin: &'a RunPin, stage: Stage) -> Self {
        match stage {
            Stage::Told => Self::Place(SessionState::of(pin)),
            Stage::Fresh | Stage::Noted | Stage::Stored => Self::Kept(&pin.session_state),
        }
    }
}

/// Where an agent ran.
#[derive(Serialize)]
pub(super) struct SessionState<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    current_user_id: Option<&'a str>,
    current_session_id: &'a str,
    current_run_id: Uuid,
}

impl<'a> SessionState<'a> {
    fn of(pin: &'a RunPin) -> Self {
        Self {
            current_user_id: pin.user.as_ref().map(|it| it.as_str()),
            current_session_id: pin.session.as_str(),
            current_run_id: pin.id.uuid(),
        }
    }
}

impl<'a> AgentRun<'a> {
    /// Every agent's run that ended with an answer.
    pub(super) fn all(pin: &'a RunPin, record: &'a RunRecord, stage: Stage) -> Vec<Self> {
        let mut input = pin.input.as_str();
        let mut runs = Vec::new();
        for step in record.steps() {
            if let StepState::CompletedByModel(call, answer, _) = &step.state
                && let Some(agent) = agent(pin, step.index)
            {
                let run = Self::of(pin, step, agent, input, call, answer);
                runs.push(run.at(pin, stage));
            }
            input = step.output().map_or(input, |it| &it.content);
        }
        runs
    }

    fn of(
        pin: &'a RunPin,
        step: &'a StepRecord,
        agent: &'a Agent,
        input: &'a str,
        call: &'a ModelCall,
        answer: &'a ModelAnswer,
    ) -> Self {
        let created_at = step.started_at.seconds();
        let message = |role: &'static str, content: &'a str| Message {
            id: pin.id.part(&format!("step/{}/message/{role}", step.index.0)),
            content,
            from_history: false,
            stop_after_tool_call: false,
            role,
            provider_data: None,
            metrics: None,
            created_at,
        };
        let mut messages = Vec::with_capacity(3);
        if !agent.instructions.is_empty() {
            messages.push(message("system", &agent.instructions));
        }
        messages.push(message("user", input));
        messages.push(Message {
            provider_data: ProviderData::of(call, answer),
            metrics: Some(MessageMetrics {
                tokens: Tokens::of(answer),
                duration: (pin.telling == Telling::Quiet)
                    .then(|| answer.duration_micros as f64 / 1e6),
                time_to_first_token: first_token(answer),
            }),
            ..message("assistant", &answer.content)
        });
        Self {
            run_id: call.id,
            agent_id: agent.id(),
            agent_name: &agent.name,
            session_id: pin.session.as_str(),
            parent_run_id: pin.id.uuid(),
            user_id: pin.user.as_ref().map(|it| it.as_str()),
            content: &answer.content,
            content_type: "str",
            model_provider_data: ProviderData::of(call, answer),
            model: &call.model.model,
            model_provider: &call.model.vendor,
            session_state: AgentState::Kept(&pin.session_state),
            created_at,
            status: "COMPLETED",
            workflow_step_id: step_id(pin, step.index),
            metrics: AgentMetrics::of(call, answer),
            events: None,
            messages,
            metadata: &pin.extras.metadata,
            tools: None,
            input: AgentInput { input_content: input },
        }
    }

    /// As Agno shows it at this time.
    fn at(mut self, pin: &'a RunPin, stage: Stage) -> Self {
        match stage {
            Stage::Fresh => self.tools = Some([]),
            Stage::Stored => self.events = Some([]),
            Stage::Told | Stage::Noted => self.session_state = AgentState::at(pin, stage),
        }
        self
    }
}

#[derive(Serialize, ToSchema)]
struct StepMetrics<'a> {
    step_name: &'a str,
    executor_type: &'static str,
    executor_name: &'a str,
    metrics: AgentMetrics<'a>,
}

/// What a run used, by step; seconds.
#[derive(Serialize, ToSchema)]
pub(super) struct RunMetrics<'a> {
    #[serde(serialize_with = "as_map")]
    #[schema(value_type = std::collections::HashMap<String, StepMetrics>)]
    steps: Vec<(&'a str, StepMetrics<'a>)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<f64>,
}

fn as_map<S: serde::Serializer>(
    steps: &[(&str, StepMetrics<'_>)],
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_map(steps.iter().map(|(name, metrics)| (name, metrics)))
}

impl<'a> RunMetrics<'a> {
    pub(super) fn of(pin: &'a RunPin, record: &'a RunRecord) -> Self {
        let steps = record.steps().iter().filter_map(|it| {
            let StepState::CompletedByModel(call, answer, _) = &it.state else { return None };
            let step_name = step(pin, it.index)?.name.as_str();
            let metrics = StepMetrics {
                step_name,
                executor_type: "agent",
                executor_name: &agent(pin, it.index)?.name,
                metrics: AgentMetrics::of(call, answer),
            };
            Some((step_name, metrics))
        });
        let ended_at = record.ending().map(|it| match it {
            stepmill_engine::Ending::Completed(at) | stepmill_engine::Ending::Failed(at, _) => at,
        });
        let duration =
            ended_at.zip(record.started_at()).map(|(end, start)| end.seconds_since(start));
        Self { steps: steps.collect(), duration }
    }
}
