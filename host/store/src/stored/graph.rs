//! The stored form of a checked graph.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use stepmill_core::agent::{Agent, ModelName};
use stepmill_core::capability::Access;
use stepmill_core::database::Value;
use stepmill_core::graph::{
    Executor, FunctionCall, GraphDraft, GraphLimits, NodeDraft, OnFailure, Parameter, Query,
    Showing, Step, StepGraph, StepOptions,
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
    retries: u32::MAX,
    history: u32::MAX,
    unlisted_events: usize::MAX,
};

#[derive(Serialize, Deserialize)]
pub(super) struct GraphForm<'a> {
    v: V1,
    name: Cow<'a, str>,
    description: Option<Cow<'a, str>>,
    steps: Vec<StepForm<'a>>,
    /// Absent in rows from before there was one, and where it is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session_state: Option<Cow<'a, Map<String, Json>>>,
    /// Absent where everything is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    showing: Option<ShowingForm<'a>>,
}

#[derive(Serialize, Deserialize)]
struct ShowingForm<'a> {
    agent_events: bool,
    agent_runs: bool,
    unlisted_events: Cow<'a, [String]>,
}

#[derive(Serialize, Deserialize)]
struct StepForm<'a> {
    name: Cow<'a, str>,
    description: Option<Cow<'a, str>>,
    executor: ExecutorForm<'a>,
    /// Absent where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    options: Option<OptionsForm>,
}

#[derive(Serialize, Deserialize)]
struct OptionsForm {
    retries: u32,
    may_fail: bool,
    history: u32,
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
    Query {
        database: Cow<'a, str>,
        statement: Cow<'a, str>,
        parameters: Vec<ParameterForm<'a>>,
        write: bool,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ParameterForm<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    /// As text: JSON has no infinity, and no number that is none.
    Real(String),
    Text(Cow<'a, str>),
    Bytes(String),
    Message,
    Previous,
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
        showing: showing_form(graph.showing()),
    }
}

fn showing_form(showing: &Showing) -> Option<ShowingForm<'_>> {
    (*showing != Showing::default()).then(|| ShowingForm {
        agent_events: showing.agent_events,
        agent_runs: showing.agent_runs,
        unlisted_events: showing.unlisted_events.as_slice().into(),
    })
}

fn options_form(options: StepOptions) -> Option<OptionsForm> {
    (options != StepOptions::default()).then(|| OptionsForm {
        retries: options.retries,
        may_fail: options.on_failure == OnFailure::Skip,
        history: options.history,
    })
}

fn options(form: OptionsForm) -> StepOptions {
    StepOptions {
        retries: form.retries,
        on_failure: if form.may_fail { OnFailure::Skip } else { OnFailure::Fail },
        history: form.history,
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
            Executor::Query(query) => ExecutorForm::Query {
                database: query.database.as_str().into(),
                statement: query.statement.as_str().into(),
                parameters: query.parameters.iter().map(parameter_form).collect(),
                write: query.access == Access::Write,
            },
        },
        options: options_form(step.options),
    }
}

fn parameter_form(parameter: &Parameter) -> ParameterForm<'_> {
    match parameter {
        Parameter::Value(Value::Null) => ParameterForm::Null,
        Parameter::Value(Value::Boolean(it)) => ParameterForm::Boolean(*it),
        Parameter::Value(Value::Integer(it)) => ParameterForm::Integer(*it),
        Parameter::Value(Value::Real(it)) => ParameterForm::Real(it.to_string()),
        Parameter::Value(Value::Text(it)) => ParameterForm::Text(it.as_str().into()),
        Parameter::Value(Value::Bytes(it)) => ParameterForm::Bytes(STANDARD.encode(it)),
        Parameter::Message => ParameterForm::Message,
        Parameter::Previous => ParameterForm::Previous,
    }
}

/// The only way to a [`StepGraph`] is the check of a draft, so the steps become a draft again.
pub(crate) fn read(text: &str) -> Result<StepGraph, StoreError> {
    let form: GraphForm<'static> = parse(WHAT, text)?;
    let root = u32::try_from(form.steps.len())
        .map_err(|_| StoreError::unreadable(format!("{WHAT} of too many steps")))?;
    let steps = form.steps.into_iter().map(|it| step(it).map(NodeDraft::Step));
    let mut nodes: Vec<_> = steps.collect::<Result<_, _>>()?;
    nodes.push(NodeDraft::Sequence((0..root).collect()));
    let draft = GraphDraft {
        name: form.name.into_owned(),
        description: form.description.map(Cow::into_owned),
        nodes,
        root,
        session_state: form.session_state.map(|it| super::text(&it)),
        showing: form.showing.map_or_else(Showing::default, |it| Showing {
            agent_events: it.agent_events,
            agent_runs: it.agent_runs,
            unlisted_events: it.unlisted_events.into_owned(),
        }),
    };
    draft.check(&LIMITS).map_err(|_| StoreError::unreadable(format!("{WHAT} that cannot run")))
}

fn step(form: StepForm<'_>) -> Result<Step, StoreError> {
    Ok(Step {
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
            ExecutorForm::Query { database, statement, parameters, write } => {
                Executor::Query(Query {
                    database: database.into_owned(),
                    statement: statement.into_owned(),
                    parameters: parameters
                        .into_iter()
                        .map(parameter)
                        .collect::<Option<_>>()
                        .ok_or_else(|| StoreError::unreadable(format!("{WHAT}'s parameters")))?,
                    access: if write { Access::Write } else { Access::Read },
                })
            }
        },
        options: form.options.map_or_else(StepOptions::default, options),
    })
}

fn parameter(form: ParameterForm<'_>) -> Option<Parameter> {
    Some(Parameter::Value(match form {
        ParameterForm::Message => return Some(Parameter::Message),
        ParameterForm::Previous => return Some(Parameter::Previous),
        ParameterForm::Null => Value::Null,
        ParameterForm::Boolean(it) => Value::Boolean(it),
        ParameterForm::Integer(it) => Value::Integer(it),
        ParameterForm::Real(it) => Value::Real(it.parse().ok()?),
        ParameterForm::Text(it) => Value::Text(it.into_owned()),
        ParameterForm::Bytes(it) => Value::Bytes(STANDARD.decode(it).ok()?),
    }))
}
