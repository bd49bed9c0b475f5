//! The stored form of a checked graph.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stepmill_core::agent::{Agent, ModelName};
use stepmill_core::graph::{
    Executor, FunctionCall, GraphDraft, GraphLimits, NodeDraft, Step, StepGraph,
};

use super::{V1, parse, text};
use crate::error::StoreError;

const WHAT: &str = "a graph";

/// The limits of sizes are the operator's and were kept when the run was accepted; an operator who
/// lowers them stops no accepted run. Reading back checks everything else again.
const LIMITS: GraphLimits = GraphLimits {
    nodes: usize::MAX,
    depth: usize::MAX,
    name_bytes: usize::MAX,
    description_bytes: usize::MAX,
    text_bytes: usize::MAX,
};

#[derive(Serialize, Deserialize)]
pub(super) struct GraphForm<'a> {
    v: V1,
    name: Cow<'a, str>,
    description: Option<Cow<'a, str>>,
    steps: Vec<StepForm<'a>>,
    /// Absent in rows from before there was one, and where it is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session_state: Option<Cow<'a, Map<String, Value>>>,
}

#[derive(Serialize, Deserialize)]
struct StepForm<'a> {
    name: Cow<'a, str>,
    description: Option<Cow<'a, str>>,
    executor: ExecutorForm<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ExecutorForm<'a> {
    Agent {
        name: Cow<'a, str>,
        model: Cow<'a, str>,
        provider: Option<Cow<'a, str>>,
        instructions: Cow<'a, str>,
        temperature: Option<f32>,
        max_output_tokens: Option<u32>,
    },
    Function {
        name: Cow<'a, str>,
        argument: Option<Cow<'a, str>>,
    },
}

pub(crate) fn write(graph: &StepGraph) -> String {
    text(&form(graph))
}

pub(super) fn form(graph: &StepGraph) -> GraphForm<'_> {
    let step = |it| step_form(it);
    GraphForm {
        v: V1,
        name: graph.name().into(),
        description: graph.description().map(Cow::from),
        steps: graph.steps().iter().map(step).collect(),
        session_state: Some(graph.session_state()).filter(|it| !it.is_empty()).map(Cow::Borrowed),
    }
}

fn step_form(step: &Step) -> StepForm<'_> {
    StepForm {
        name: step.name.as_str().into(),
        description: step.description.as_deref().map(Cow::from),
        executor: match &step.executor {
            Executor::Agent(agent) => ExecutorForm::Agent {
                name: agent.name.as_str().into(),
                model: agent.model.id.as_str().into(),
                provider: agent.model.provider.as_deref().map(Cow::from),
                instructions: agent.instructions.as_str().into(),
                temperature: agent.temperature,
                max_output_tokens: agent.max_output_tokens,
            },
            Executor::Function(function) => ExecutorForm::Function {
                name: function.name.as_str().into(),
                argument: function.argument.as_deref().map(Cow::from),
            },
        },
    }
}

/// The only way to a [`StepGraph`] is the check of a draft, so the steps become a draft again.
pub(crate) fn read(text: &str) -> Result<StepGraph, StoreError> {
    let form: GraphForm<'static> = parse(WHAT, text)?;
    let root = u32::try_from(form.steps.len())
        .map_err(|_| StoreError::unreadable(format!("{WHAT} of too many steps")))?;
    let mut nodes: Vec<_> = form.steps.into_iter().map(|it| NodeDraft::Step(step(it))).collect();
    nodes.push(NodeDraft::Sequence((0..root).collect()));
    let draft = GraphDraft {
        name: form.name.into_owned(),
        description: form.description.map(Cow::into_owned),
        nodes,
        root,
        session_state: form.session_state.map(|it| super::text(&it)),
    };
    draft.check(&LIMITS).map_err(|_| StoreError::unreadable(format!("{WHAT} that cannot run")))
}

fn step(form: StepForm<'_>) -> Step {
    Step {
        name: form.name.into_owned(),
        description: form.description.map(Cow::into_owned),
        executor: match form.executor {
            ExecutorForm::Agent {
                name,
                model,
                provider,
                instructions,
                temperature,
                max_output_tokens,
            } => Executor::Agent(Agent {
                name: name.into_owned(),
                model: ModelName {
                    id: model.into_owned(),
                    provider: provider.map(Cow::into_owned),
                },
                instructions: instructions.into_owned(),
                temperature,
                max_output_tokens,
            }),
            ExecutorForm::Function { name, argument } => Executor::Function(FunctionCall {
                name: name.into_owned(),
                argument: argument.map(Cow::into_owned),
            }),
        },
    }
}
