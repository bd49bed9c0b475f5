//! Graphs that nobody can run.

use crate::stepmill::plugin::types::{
    Executor, Node, OnFailure, Showing, Step, StepOptions, Workflow,
};
use crate::{orders, workflow};

/// The good graph with one thing wrong: a word, and for some how much.
pub(crate) fn odd(order: &str) -> Workflow {
    let (word, argument) = order.split_once(' ').unwrap_or((order, ""));
    let amount = orders::number(argument);
    let mut graph = workflow(None);
    match word {
        "ring" => graph.nodes = vec![Node::Sequence(vec![1]), Node::Sequence(vec![0])],
        "twice" => graph.nodes = vec![Node::Sequence(vec![1, 1]), step("a")],
        "deep" => {
            let below = |it: u32| {
                Node::Sequence(if (it as usize) < amount { vec![it + 1] } else { vec![] })
            };
            graph.nodes = (0..=amount as u32).map(below).collect();
        }
        "wide" => {
            graph.nodes = (0..amount).map(|it| step(&format!("step {it}"))).collect();
            graph.nodes.push(Node::Sequence((0..amount as u32).collect()));
            graph.root = amount as u32;
        }
        "orphan" => graph.nodes.push(step("nobody's")),
        "root" => graph.root = u32::MAX,
        "nameless" => graph.name = String::new(),
        "name" => graph.name = "n".repeat(amount),
        "description" => graph.description = Some("d".repeat(amount)),
        "state" => graph.session_state = Some("[]".to_owned()),
        "state-deep" => {
            graph.session_state =
                Some(format!("{{\"a\":{}{}}}", "[".repeat(amount), "]".repeat(amount)));
        }
        "retries" => options(&mut graph, |it| it.retries = amount as u32),
        "history" => options(&mut graph, |it| it.history = amount as u32),
        "unlisted" => {
            let unlisted_events = vec!["StepStarted".to_owned(); amount];
            graph.showing = Some(Showing { agent_events: true, agent_runs: true, unlisted_events });
        }
        "instructions" => agent(&mut graph, |it| it.instructions = "i".repeat(amount)),
        "model" => agent(&mut graph, |it| it.model.id = "m".repeat(amount)),
        "model-of" => agent(&mut graph, |it| it.model.id = argument.to_owned()),
        "provider" => agent(&mut graph, |it| it.model.provider = Some(argument.to_owned())),
        "warm" => agent(&mut graph, |it| it.temperature = Some(f32::NAN)),
        "hot" => agent(&mut graph, |it| it.temperature = Some(1e30)),
        "mute" => agent(&mut graph, |it| it.max_output_tokens = Some(0)),
        _ => {}
    }
    graph
}

fn step(name: &str) -> Node {
    let executor = Executor::Function(crate::stepmill::plugin::types::Function {
        name: "finish".to_owned(),
        argument: None,
    });
    Node::Step(Step { name: name.to_owned(), description: None, executor, options: None })
}

fn options(graph: &mut Workflow, change: impl Fn(&mut StepOptions)) {
    for node in &mut graph.nodes {
        if let Node::Step(step) = node {
            let none = StepOptions { retries: 0, on_failure: OnFailure::Fail, history: 0 };
            change(step.options.insert(none));
        }
    }
}

fn agent(graph: &mut Workflow, change: impl Fn(&mut crate::stepmill::plugin::types::Agent)) {
    for node in &mut graph.nodes {
        if let Node::Step(Step { executor: Executor::Agent(agent), .. }) = node {
            change(agent);
        }
    }
}
