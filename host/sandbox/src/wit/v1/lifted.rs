//! Values as a guest may hand them over, drawn from a fuzzer's bytes, and what becomes of them.

use arbitrary::{Result, Unstructured};
use stepmill_core::call::FunctionAnswer;
use stepmill_core::graph::GraphDraft;

use super::super::Refusal;
use super::bindings::stepmill::plugin::types as wit;
use crate::describe::Claimed;
use crate::failure::CallFailure;

/// How often a long text repeats itself: over every length in the default limits but the largest.
const REPEATS: usize = 5_000;

/// An answer of `describe`.
pub(crate) fn describe(from: &mut Unstructured<'_>) -> Result<Claimed> {
    Ok(super::claimed(wit::Description {
        id: text(from)?,
        kind: match from.arbitrary()? {
            true => wit::WorkflowKind::Factory,
            false => wit::WorkflowKind::Prototype,
        },
        name: option(from, text)?,
        description: option(from, text)?,
        input_schema: option(from, json)?,
        capabilities: list(from, capability)?,
    }))
}

/// An answer of `build`.
pub(crate) fn build(
    from: &mut Unstructured<'_>,
) -> Result<std::result::Result<GraphDraft, Refusal>> {
    Ok(match from.int_in_range(0..=9)? {
        0 => Err(super::refusal(wit::FactoryError::Permission(text(from)?))),
        1 => Err(super::refusal(wit::FactoryError::Validation(text(from)?))),
        2 => Err(super::refusal(wit::FactoryError::Other(text(from)?))),
        _ => Ok(super::graph_draft(wit::Workflow {
            name: text(from)?,
            description: option(from, text)?,
            nodes: list(from, node)?,
            root: from.int_in_range(0..=8)?,
            session_state: option(from, json)?,
            showing: option(from, showing)?,
        })),
    })
}

/// An answer of `run`.
pub(crate) fn run(
    from: &mut Unstructured<'_>,
) -> Result<std::result::Result<FunctionAnswer, CallFailure>> {
    Ok(super::function_answer(wit::StepOutput {
        content: text(from)?,
        stop: from.arbitrary()?,
        session_state: option(from, json)?,
    }))
}

/// A text: as it comes, or long.
pub(crate) fn text(from: &mut Unstructured<'_>) -> Result<String> {
    let text: &str = from.arbitrary()?;
    Ok(match from.ratio(1, 16)? {
        true => text.repeat(from.int_in_range(0..=REPEATS)?),
        false => text.to_owned(),
    })
}

/// JSON that is nested, or a text that may be none.
fn json(from: &mut Unstructured<'_>) -> Result<String> {
    let depth = from.int_in_range(0..=160)?;
    if depth == 0 {
        return text(from);
    }
    let (open, close) = match from.arbitrary()? {
        true => ("[", "]"),
        false => (r#"{"a":"#, "}"),
    };
    let inside: &str = from.arbitrary()?;
    Ok(format!(r#"{{"s":{}{inside}{}}}"#, open.repeat(depth), close.repeat(depth)))
}

fn capability(from: &mut Unstructured<'_>) -> Result<wit::Capability> {
    Ok(match from.int_in_range(0..=7)? {
        0 => wit::Capability::Clock,
        1 => wit::Capability::Randomness,
        2 => wit::Capability::Config,
        3 => wit::Capability::Kv,
        4 => wit::Capability::Model(text(from)?),
        5 => wit::Capability::Http(text(from)?),
        6 => wit::Capability::Database(text(from)?),
        _ => wit::Capability::Secret(text(from)?),
    })
}

fn node(from: &mut Unstructured<'_>) -> Result<wit::Node> {
    if from.arbitrary()? {
        return Ok(wit::Node::Sequence(list(from, |from| from.int_in_range(0..=8))?));
    }
    Ok(wit::Node::Step(wit::Step {
        name: text(from)?,
        description: option(from, text)?,
        executor: match from.int_in_range(0..=2)? {
            0 => wit::Executor::Agent(agent(from)?),
            1 => wit::Executor::Function(wit::Function {
                name: text(from)?,
                argument: option(from, text)?,
            }),
            _ => wit::Executor::Query(wit::Query {
                database: text(from)?,
                statement: text(from)?,
                parameters: list(from, parameter)?,
                access: match from.arbitrary()? {
                    true => wit::Access::Read,
                    false => wit::Access::Write,
                },
            }),
        },
        options: option(from, step_options)?,
    }))
}

fn step_options(from: &mut Unstructured<'_>) -> Result<wit::StepOptions> {
    Ok(wit::StepOptions {
        retries: from.int_in_range(0..=12)?,
        on_failure: match from.arbitrary()? {
            true => wit::OnFailure::Fail,
            false => wit::OnFailure::Skip,
        },
        history: from.int_in_range(0..=60)?,
    })
}

fn showing(from: &mut Unstructured<'_>) -> Result<wit::Showing> {
    Ok(wit::Showing {
        agent_events: from.arbitrary()?,
        agent_runs: from.arbitrary()?,
        unlisted_events: list(from, text)?,
    })
}

fn agent(from: &mut Unstructured<'_>) -> Result<wit::Agent> {
    Ok(wit::Agent {
        name: text(from)?,
        model: wit::Model { id: text(from)?, provider: option(from, text)? },
        instructions: text(from)?,
        temperature: from.arbitrary()?,
        max_output_tokens: from.arbitrary()?,
    })
}

fn parameter(from: &mut Unstructured<'_>) -> Result<wit::Parameter> {
    Ok(match from.int_in_range(0..=2)? {
        0 => wit::Parameter::Message,
        1 => wit::Parameter::Previous,
        _ => wit::Parameter::Value(value(from)?),
    })
}

/// A value for a database.
pub(crate) fn value(from: &mut Unstructured<'_>) -> Result<wit::Value> {
    Ok(match from.int_in_range(0..=5)? {
        0 => wit::Value::Null,
        1 => wit::Value::Boolean(from.arbitrary()?),
        2 => wit::Value::Integer(from.arbitrary()?),
        3 => wit::Value::Real(from.arbitrary()?),
        4 => wit::Value::Text(text(from)?),
        _ => wit::Value::Bytes(from.arbitrary()?),
    })
}

fn option<T>(
    from: &mut Unstructured<'_>,
    some: impl Fn(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Option<T>> {
    if from.arbitrary()? { some(from).map(Some) } else { Ok(None) }
}

/// A list, as long as the bytes say.
pub(crate) fn list<T>(
    from: &mut Unstructured<'_>,
    item: impl Fn(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut items = Vec::new();
    while !from.is_empty() && from.ratio(7, 8)? {
        items.push(item(from)?);
    }
    Ok(items)
}
