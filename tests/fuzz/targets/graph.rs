//! Graphs as plugins draw them, through the checker.
//!
//! What is let through keeps every limit, runs in reading order, and is the same when it was
//! stored and read back. What is refused is told in a bounded list.

#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use stepmill_core::agent::{Agent, ModelName};
use stepmill_core::capability::Access;
use stepmill_core::database::{MAX_PARAMETERS, Value};
use stepmill_core::graph::{
    Executor, FunctionCall, GraphDraft, GraphLimits, MAX_FAULTS, NodeDraft, OnFailure, Parameter,
    Query, Showing, Step, StepGraph, StepOptions,
};
use stepmill_core::ids::DatabaseName;
use stepmill_core::json;
use stepmill_store::fuzzing::{graph_read, graph_write};

fuzz_target!(|bytes: &[u8]| {
    let mut from = Unstructured::new(bytes);
    let Ok((draft, limits)) = drawn(&mut from) else { return };
    match draft.clone().check(&limits) {
        Ok(graph) => {
            keeps(&graph, &draft, &limits);
            let text = graph_write(&graph);
            let read = graph_read(&text).expect("what was stored is read back");
            // Written, because a number that is none is not equal to itself.
            assert_eq!(graph_write(&read), text);
            assert_eq!(read.steps().len(), graph.steps().len());
            assert_eq!(read.showing(), graph.showing());
        }
        Err(faults) => {
            assert!((1..=MAX_FAULTS).contains(&faults.len()));
            for fault in faults {
                assert!(fault.to_string().len() < 256, "a fault repeats what the guest wrote");
            }
        }
    }
});

fn keeps(graph: &StepGraph, draft: &GraphDraft, limits: &GraphLimits) {
    let name = |it: &str| assert!(!it.trim().is_empty() && it.len() <= limits.name_bytes);
    let long = |it: &Option<String>| it.as_ref().map_or(0, String::len);
    assert!(draft.nodes.len() <= limits.nodes);
    assert!(long(&draft.description) <= limits.description_bytes);
    assert!(long(&draft.session_state) <= limits.text_bytes);
    assert!(!json::is_deeper(&graph.session_state().clone().into(), json::MAX_DEPTH));
    name(graph.name());
    assert!(graph.showing().unlisted_events.len() <= limits.unlisted_events);
    graph.showing().unlisted_events.iter().for_each(|it| name(it));
    for step in graph.steps() {
        name(&step.name);
        assert!(long(&step.description) <= limits.description_bytes);
        assert!(step.options.retries <= limits.retries);
        assert!(step.options.history <= limits.history);
        match &step.executor {
            Executor::Agent(agent) => {
                name(&agent.name);
                name(&agent.model.id);
                agent.model.provider.as_deref().into_iter().for_each(name);
                assert!(agent.instructions.len() <= limits.text_bytes);
                assert!(agent.temperature.is_none_or(|it| (0.0..=2.0).contains(&it)));
                assert_ne!(agent.max_output_tokens, Some(0));
            }
            Executor::Function(function) => {
                name(&function.name);
                assert!(long(&function.argument) <= limits.text_bytes);
            }
            Executor::Query(query) => {
                assert!(DatabaseName::new(query.database.as_str()).is_ok());
                assert!(!query.statement.trim().is_empty());
                assert!(query.statement.len() <= limits.text_bytes);
                assert!(query.parameters.len() <= MAX_PARAMETERS);
                for parameter in &query.parameters {
                    let bytes = match parameter {
                        Parameter::Value(Value::Text(text)) => text.len(),
                        Parameter::Value(Value::Bytes(bytes)) => bytes.len(),
                        _ => 0,
                    };
                    assert!(bytes <= limits.text_bytes);
                }
            }
        }
    }
    let drawn = in_order(draft, limits.depth);
    let checked: Vec<_> = graph.steps().iter().map(|it| it.name.as_str()).collect();
    assert_eq!(checked, drawn, "another order than the drawn one, or other steps");
}

/// Names of steps in reading order, walked without recursion; each node once and all of them.
fn in_order(draft: &GraphDraft, depth: usize) -> Vec<&str> {
    let (mut names, mut seen) = (Vec::new(), HashSet::new());
    let mut open = vec![(draft.root, 0)];
    while let Some((index, level)) = open.pop() {
        assert!(seen.insert(index), "node {index} has two parents");
        match &draft.nodes[index as usize] {
            NodeDraft::Step(step) => names.push(step.name.as_str()),
            NodeDraft::Sequence(children) => {
                assert!(level < depth, "nested too deeply");
                open.extend(children.iter().rev().map(|it| (*it, level + 1)));
            }
        }
    }
    assert_eq!(seen.len(), draft.nodes.len(), "some node is nobody's child");
    names
}

fn drawn(from: &mut Unstructured<'_>) -> Result<(GraphDraft, GraphLimits)> {
    // Most drafts meet narrow limits: wide ones are rarely reached by few bytes.
    let limits = match from.ratio(1, 4)? {
        true => GraphLimits::default(),
        false => GraphLimits {
            nodes: from.int_in_range(0..=24)?,
            depth: from.int_in_range(0..=4)?,
            name_bytes: from.int_in_range(0..=12)?,
            description_bytes: from.int_in_range(0..=16)?,
            text_bytes: from.int_in_range(0..=32)?,
            retries: 3,
            history: 5,
            unlisted_events: 2,
        },
    };
    let name = text(from)?;
    let description = option(from, text)?;
    let session_state = option(from, object)?;
    // A tree, which the shape of the bytes then breaks here and there.
    let mut nodes: Vec<NodeDraft> = Vec::new();
    let mut orphans: Vec<u32> = Vec::new();
    while !from.is_empty() && nodes.len() < 2_000 {
        let index = nodes.len() as u32;
        match from.int_in_range(0..=7)? {
            0 => {
                let count = from.int_in_range(0..=orphans.len())?;
                let children = orphans.split_off(orphans.len() - count);
                nodes.push(NodeDraft::Sequence(children));
            }
            1 => nodes.push(NodeDraft::Sequence(list(from, |from| from.int_in_range(0..=9))?)),
            2 => {
                // Many, as alike as can be.
                for _ in 0..from.int_in_range(0..=200u32)? {
                    orphans.push(nodes.len() as u32);
                    let step = Step {
                        name: format!("s{}", nodes.len()),
                        description: None,
                        executor: function(),
                        options: StepOptions::default(),
                    };
                    nodes.push(NodeDraft::Step(step));
                }
                continue;
            }
            _ => nodes.push(NodeDraft::Step(step(from, index)?)),
        }
        orphans.push(index);
    }
    let root = match orphans[..] {
        [only] => only,
        _ => {
            nodes.push(NodeDraft::Sequence(orphans));
            nodes.len() as u32 - 1
        }
    };
    let showing = showing(from)?;
    Ok((GraphDraft { name, description, nodes, root, session_state, showing }, limits))
}

fn showing(from: &mut Unstructured<'_>) -> Result<Showing> {
    Ok(Showing {
        agent_events: from.arbitrary()?,
        agent_runs: from.arbitrary()?,
        unlisted_events: list(from, text)?,
    })
}

fn options(from: &mut Unstructured<'_>) -> Result<StepOptions> {
    Ok(StepOptions {
        retries: from.int_in_range(0..=12)?,
        on_failure: if from.arbitrary()? { OnFailure::Fail } else { OnFailure::Skip },
        history: from.int_in_range(0..=60)?,
    })
}

fn function() -> Executor {
    Executor::Function(FunctionCall { name: "f".into(), argument: None })
}

fn step(from: &mut Unstructured<'_>, index: u32) -> Result<Step> {
    Ok(Step {
        name: match from.ratio(3, 4)? {
            true => format!("n{index}"),
            false => text(from)?,
        },
        description: option(from, text)?,
        executor: match from.int_in_range(0..=3)? {
            0 => function(),
            1 => Executor::Function(FunctionCall {
                name: text(from)?,
                argument: option(from, text)?,
            }),
            2 => Executor::Agent(Agent {
                name: text(from)?,
                model: ModelName { id: text(from)?, provider: option(from, text)? },
                instructions: text(from)?,
                temperature: from.arbitrary()?,
                max_output_tokens: from.arbitrary()?,
            }),
            _ => Executor::Query(query(from)?),
        },
        options: option(from, options)?.unwrap_or_default(),
    })
}

fn query(from: &mut Unstructured<'_>) -> Result<Query> {
    Ok(Query {
        database: match from.arbitrary()? {
            true => "orders".into(),
            false => text(from)?,
        },
        statement: text(from)?,
        parameters: match from.ratio(1, 32)? {
            true => vec![Parameter::Message; from.int_in_range(990..=1_010)?],
            false => list(from, parameter)?,
        },
        access: if from.arbitrary()? { Access::Read } else { Access::Write },
    })
}

fn parameter(from: &mut Unstructured<'_>) -> Result<Parameter> {
    Ok(match from.int_in_range(0..=7)? {
        0 => Parameter::Message,
        1 => Parameter::Previous,
        2 => Parameter::Value(Value::Null),
        3 => Parameter::Value(Value::Boolean(from.arbitrary()?)),
        4 => Parameter::Value(Value::Integer(from.arbitrary()?)),
        5 => Parameter::Value(Value::Real(from.arbitrary()?)),
        6 => Parameter::Value(Value::Text(text(from)?)),
        _ => Parameter::Value(Value::Bytes(from.arbitrary()?)),
    })
}

/// A text: as it comes, or long.
fn text(from: &mut Unstructured<'_>) -> Result<String> {
    let text: &str = from.arbitrary()?;
    Ok(match from.ratio(1, 16)? {
        true => text.repeat(from.int_in_range(0..=300)?),
        false => text.to_owned(),
    })
}

/// A session's first state, or nearly one.
fn object(from: &mut Unstructured<'_>) -> Result<String> {
    let depth = from.int_in_range(0..=140)?;
    let inside: &str = from.arbitrary()?;
    Ok(format!(r#"{{"a":{}{inside}{}}}"#, "[".repeat(depth), "]".repeat(depth)))
}

fn option<T>(
    from: &mut Unstructured<'_>,
    some: impl Fn(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Option<T>> {
    if from.arbitrary()? { some(from).map(Some) } else { Ok(None) }
}

fn list<T>(
    from: &mut Unstructured<'_>,
    item: impl Fn(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut items = Vec::new();
    while !from.is_empty() && from.ratio(7, 8)? {
        items.push(item(from)?);
    }
    Ok(items)
}
