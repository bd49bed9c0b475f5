//! The runs of agents inside steps, as Agno shows them at different times.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value};
use stepmill_core::agent::{Agent, AnswerMark, ModelAnswer};
use stepmill_core::run::{RunPin, Telling};
use stepmill_engine::{ModelCall, Prompt, RunRecord, StepRecord, StepState, placed};
use utoipa::ToSchema;
use uuid::Uuid;

use super::metrics::{AgentMetrics, Tokens, first_token};
use super::shapes::{self, Empty, agent, step_id};

/// Room for all that is filled into the prompts of one run, as they are shown: a page of runs holds
/// a hundred times as much. Prompts that do not fit are shown as they were written.
const FILLED_BYTES: usize = 256 * 1024;

#[derive(Serialize, ToSchema)]
struct Message<'a> {
    id: Uuid,
    content: Cow<'a, str>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    system_fingerprint: Option<&'a str>,
}

impl<'a> ProviderData<'a> {
    /// Under the name that the provider's protocol has for it.
    pub(super) fn of(call: &ModelCall, mark: &'a AnswerMark) -> Option<Self> {
        let id = Some(mark.response_id.as_deref()?);
        let system_fingerprint = mark.system_fingerprint.as_deref();
        Some(match is_responses(call) {
            true => Self { response_id: id, id: None, system_fingerprint },
            false => Self { response_id: None, id, system_fingerprint },
        })
    }
}

/// Whether the call was made in the protocol in which only the first frame says what the answer
/// is called. In the other of OpenAI's each frame does.
pub(super) fn is_responses(call: &ModelCall) -> bool {
    call.model.api == "OpenAI Responses"
}

#[derive(Serialize, ToSchema)]
struct AgentInput<'a> {
    input_content: Cow<'a, str>,
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
    /// The same, and where it was, as streams tell it.
    Placed(Map<String, Value>),
}

impl<'a> AgentState<'a> {
    pub(super) fn at(pin: &'a RunPin, stage: Stage) -> Self {
        match stage {
            Stage::Told => Self::Placed(placed(pin, &pin.session_state)),
            Stage::Fresh | Stage::Noted | Stage::Stored => Self::Kept(&pin.session_state),
        }
    }
}

impl<'a> AgentRun<'a> {
    /// Every agent's run that ended with an answer, if the workflow shows them.
    pub(super) fn all(pin: &'a RunPin, record: &'a RunRecord, stage: Stage) -> Vec<Self> {
        if !pin.graph.showing().agent_runs {
            return Vec::new();
        }
        let mut input = pin.input.as_str();
        let mut runs = Vec::new();
        let mut room = FILLED_BYTES;
        for step in record.steps() {
            if let StepState::CompletedByModel(call, answer, _) = &step.state
                && let Some(agent) = agent(pin, step.index)
            {
                let run = Self::of(pin, step, agent, input, (call, answer), &mut room);
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
        (call, answer): (&'a ModelCall, &'a ModelAnswer),
        room: &mut usize,
    ) -> Self {
        let created_at = step.started_at.seconds();
        let asked = Prompt::of(
            pin,
            agent,
            shapes::step(pin, step.index).map_or(&[], |it| pin.told(it)),
            input,
            step.session_state.as_deref().unwrap_or(&pin.session_state),
            room,
        );
        let message = |role: &'static str, content: Cow<'a, str>| Message {
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
        if !asked.instructions.is_empty() {
            messages.push(message("system", asked.instructions));
        }
        messages.push(message("user", asked.message));
        messages.push(Message {
            provider_data: ProviderData::of(call, &answer.mark),
            metrics: Some(MessageMetrics {
                tokens: Tokens::of(answer),
                duration: (pin.telling == Telling::Quiet)
                    .then(|| answer.duration_micros as f64 / 1e6),
                time_to_first_token: first_token(answer),
            }),
            ..message("assistant", answer.content.as_str().into())
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
            model_provider_data: ProviderData::of(call, &answer.mark),
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
            input: AgentInput { input_content: asked.input },
        }
    }

    /// As Agno shows it at this time.
    fn at(mut self, pin: &'a RunPin, stage: Stage) -> Self {
        match stage {
            // A streamed run has none to show.
            Stage::Fresh => self.tools = (pin.telling == Telling::Quiet).then_some([]),
            Stage::Stored => self.events = Some([]),
            Stage::Told | Stage::Noted => self.session_state = AgentState::at(pin, stage),
        }
        self
    }
}
