//! Workflows as listings and details show them. Absent fields are left out.

use serde::Serialize;
use serde_json::{Map, Value};
use stepmill_core::agent::{Agent, ModelName};
use stepmill_core::event::ModelIdentity;
use stepmill_core::graph::{Executor, Step, StepGraph};
use utoipa::ToSchema;

use crate::app::{Entry, Source};

/// What a workflow is shown with and does not know itself.
pub(crate) struct Host<'a> {
    /// The name of the database; clients send it back as `db_id`.
    pub database: &'a str,
    /// Who answers for a model's name.
    pub identity: &'a dyn Fn(&ModelName) -> Option<ModelIdentity>,
}

/// One line of the listing.
#[derive(Serialize, ToSchema)]
#[schema(as = WorkflowSummaryResponse)]
pub(crate) struct WorkflowSummary<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    db_id: &'a str,
    is_factory: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    factory_input_schema: Option<&'a Map<String, Value>>,
    is_component: bool,
    sandboxed: bool,
}

/// One workflow.
#[derive(Serialize, ToSchema)]
#[schema(as = WorkflowResponse)]
pub(crate) struct WorkflowDetail<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    db_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    input_schema: Option<&'a Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<Vec<StepView<'a>>>,
    workflow_agent: bool,
    is_factory: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    factory_input_schema: Option<&'a Map<String, Value>>,
    is_component: bool,
    sandboxed: bool,
}

#[derive(Serialize, ToSchema)]
struct StepView<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<AgentView<'a>>,
}

#[derive(Serialize, ToSchema)]
struct AgentView<'a> {
    name: &'a str,
    filesystem: bool,
    is_factory: bool,
    model: ModelView<'a>,
    reasoning: ReasoningView,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_message: Option<SystemMessage<'a>>,
    is_component: bool,
    sandboxed: bool,
}

#[derive(Serialize, ToSchema)]
struct ModelView<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct ReasoningView {
    reasoning: bool,
}

#[derive(Serialize, ToSchema)]
struct SystemMessage<'a> {
    instructions: &'a str,
}

/// One line of the listing.
pub(crate) fn workflow_summary<'a>(entry: &'a Entry, database: &'a str) -> WorkflowSummary<'a> {
    WorkflowSummary {
        id: entry.id.as_str(),
        name: entry.name.as_deref(),
        description: entry.description.as_deref(),
        db_id: database,
        is_factory: entry.is_factory(),
        factory_input_schema: schema(entry).filter(|_| entry.is_factory()),
        is_component: false,
        sandboxed: false,
    }
}

/// One workflow, with its graph if it has the same one for everybody. A factory is not called
/// for it: it has steps only for a request.
pub(crate) fn workflow_detail(
    host: &Host<'_>,
    entry: &Entry,
    graph: Option<&StepGraph>,
) -> serde_json::Result<Value> {
    serde_json::to_value(WorkflowDetail {
        id: entry.id.as_str(),
        name: entry.name.as_deref(),
        db_id: host.database,
        description: entry.description.as_deref(),
        input_schema: schema(entry),
        steps: graph.map(|it| it.steps().iter().map(|it| step(host, it)).collect()),
        workflow_agent: false,
        is_factory: entry.is_factory(),
        factory_input_schema: schema(entry).filter(|_| entry.is_factory()),
        is_component: false,
        sandboxed: false,
    })
}

fn schema(entry: &Entry) -> Option<&Map<String, Value>> {
    match &entry.source {
        Source::Factory(slot) => slot.row.description.input_schema.as_ref(),
        Source::Declared(_) => None,
    }
}

fn step<'a>(host: &Host<'_>, step: &'a Step) -> StepView<'a> {
    let agent = match &step.executor {
        Executor::Agent(it) => Some(agent(host, it)),
        Executor::Function(_) | Executor::Query(_) => None,
    };
    StepView { name: &step.name, description: step.description.as_deref(), r#type: "Step", agent }
}

fn agent<'a>(host: &Host<'_>, agent: &'a Agent) -> AgentView<'a> {
    let instructions = Some(agent.instructions.as_str()).filter(|it| !it.is_empty());
    AgentView {
        name: &agent.name,
        filesystem: false,
        is_factory: false,
        model: model(host, &agent.model),
        reasoning: ReasoningView { reasoning: false },
        system_message: instructions.map(|instructions| SystemMessage { instructions }),
        is_component: false,
        sandboxed: false,
    }
}

/// A model nobody answers for is shown as the graph names it.
fn model<'a>(host: &Host<'_>, name: &'a ModelName) -> ModelView<'a> {
    let identity = (host.identity)(name);
    ModelView {
        name: identity.as_ref().and_then(|it| class(&it.api)),
        model: &name.id,
        provider: identity.map(|it| it.vendor).or_else(|| name.provider.clone()),
    }
}

/// What Agno calls the client that speaks this way.
fn class(api: &str) -> Option<&'static str> {
    match api {
        "OpenAI Responses" => Some("OpenAIResponses"),
        "OpenAI Chat" => Some("OpenAIChat"),
        "Anthropic" => Some("Claude"),
        "Google Gemini" => Some("Gemini"),
        "Ollama" => Some("Ollama"),
        _ => None,
    }
}
