//! Workflows as listings and details show them. Absent fields are left out.

use serde::Serialize;
use serde_json::{Map, Value};
use stepmill_core::agent::Agent;
use stepmill_core::graph::{Executor, Step, StepGraph};

use crate::app::{Entry, Source};

/// The database's name in Agno's answers; clients send it back as `db_id`.
const DATABASE_ID: &str = "stepmill";

#[derive(Serialize)]
struct Summary<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    db_id: &'static str,
    is_factory: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    factory_input_schema: Option<&'a Map<String, Value>>,
    is_component: bool,
    sandboxed: bool,
}

#[derive(Serialize)]
struct Detail<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    db_id: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_schema: Option<&'a Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<Vec<StepView<'a>>>,
    workflow_agent: bool,
    is_factory: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    factory_input_schema: Option<&'a Map<String, Value>>,
    is_component: bool,
    sandboxed: bool,
}

#[derive(Serialize)]
struct StepView<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<AgentView<'a>>,
}

#[derive(Serialize)]
struct AgentView<'a> {
    name: &'a str,
    model: ModelView<'a>,
    system_message: SystemMessage<'a>,
    is_factory: bool,
    is_component: bool,
    sandboxed: bool,
}

#[derive(Serialize)]
struct ModelView<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
}

#[derive(Serialize)]
struct SystemMessage<'a> {
    instructions: &'a str,
}

/// One line of the listing.
pub(crate) fn workflow_summary(entry: &Entry) -> serde_json::Result<Value> {
    serde_json::to_value(Summary {
        id: entry.id.as_str(),
        name: entry.name.as_deref(),
        description: entry.description.as_deref(),
        db_id: DATABASE_ID,
        is_factory: entry.is_factory(),
        factory_input_schema: schema(entry).filter(|_| entry.is_factory()),
        is_component: false,
        sandboxed: false,
    })
}

/// One workflow. A factory is not called for it: it has steps only for a request.
pub(crate) fn workflow_detail(
    entry: &Entry,
    graph: Option<&StepGraph>,
) -> serde_json::Result<Value> {
    serde_json::to_value(Detail {
        id: entry.id.as_str(),
        name: entry.name.as_deref(),
        db_id: DATABASE_ID,
        description: entry.description.as_deref(),
        input_schema: schema(entry),
        steps: graph.map(steps),
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

fn steps(graph: &StepGraph) -> Vec<StepView<'_>> {
    graph.steps().iter().map(step).collect()
}

fn step(step: &Step) -> StepView<'_> {
    let agent = match &step.executor {
        Executor::Agent(it) => Some(agent(it)),
        Executor::Function(_) => None,
    };
    StepView { name: &step.name, description: step.description.as_deref(), r#type: "Step", agent }
}

fn agent(agent: &Agent) -> AgentView<'_> {
    AgentView {
        name: &agent.name,
        model: ModelView { model: &agent.model.id, provider: agent.model.provider.as_deref() },
        system_message: SystemMessage { instructions: &agent.instructions },
        is_factory: false,
        is_component: false,
        sandboxed: false,
    }
}
