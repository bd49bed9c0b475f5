//! The one door from a draft to a graph that may run.

use std::fmt;

use serde_json::{Map, Value};

use super::draft::{Executor, GraphDraft, NodeDraft, Parameter, Query, Showing, Step, StepOptions};
use crate::database::{self, MAX_PARAMETERS};
use crate::ids::DatabaseName;
use crate::json;

/// How large a graph may be. Lengths are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraphLimits {
    /// Steps and sequences together.
    pub nodes: usize,
    /// How deep sequences may stand in one another.
    pub depth: usize,
    /// Names of workflows, steps, agents, functions and models.
    pub name_bytes: usize,
    /// A description.
    pub description_bytes: usize,
    /// One agent's instructions, one function's argument, one query's statement or parameter, or
    /// the first session state.
    pub text_bytes: usize,
    /// How often one step may be tried again.
    pub retries: u32,
    /// Of how many earlier runs one step may be told.
    pub history: u32,
    /// Names of events that are not listed.
    pub unlisted_events: usize,
}

impl Default for GraphLimits {
    /// Ten times what the largest workflow we have met needs, and small enough that checking
    /// and storing the graph costs less than one model call.
    fn default() -> Self {
        Self {
            nodes: 1_000,
            depth: 32,
            name_bytes: 256,
            description_bytes: 4_096,
            text_bytes: 256 * 1024,
            retries: 10,
            history: 50,
            unlisted_events: 64,
        }
    }
}

/// As many faults as anybody reads at once; a graph with more is told of these first.
pub const MAX_FAULTS: usize = 100;

/// One thing that is wrong with a draft, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "a fact says in its sentence what its fields are")]
pub enum GraphFault {
    /// More nodes than [`GraphLimits::nodes`].
    #[error("the graph has {found} nodes; at most {limit} are allowed")]
    TooManyNodes { found: usize, limit: usize },
    /// A child or the root names a place that is not in the list.
    #[error("{place}: there is no node {index}")]
    UnknownNode { place: String, index: u32 },
    /// A node is the child of two nodes, or of itself by some way round.
    #[error("node {index} has more than one parent or is its own ancestor")]
    SharedNode { index: u32 },
    /// A node that no way from the root leads to.
    #[error("node {index} is not reachable from the root")]
    Orphan { index: u32 },
    /// More levels than [`GraphLimits::depth`].
    #[error("{place}: sequences are nested deeper than {limit}")]
    TooDeep { place: String, limit: usize },
    /// A name or text that must not be empty is.
    #[error("{place}: must not be empty")]
    Empty { place: String },
    /// A name or text is over its limit.
    #[error("{place}: is {found} bytes long; at most {limit} are allowed")]
    TooLong { place: String, found: usize, limit: usize },
    /// A number, or the length of a list, is over its limit.
    #[error("{place}: is {found}; at most {limit} are allowed")]
    TooMany { place: String, found: usize, limit: usize },
    /// A number is outside what the contract allows.
    #[error("{place}: must be {rule}")]
    OutOfRange { place: String, rule: &'static str },
    /// A text that has to be a JSON object is none.
    #[error("{place}: must be a JSON object")]
    NoObject { place: String },
}

/// A graph that passed [`GraphDraft::check`].
///
/// Invariant: every text is within its limit, and the steps stand in the order they run in. Names
/// of steps may repeat; a step is told from another by its place. The fields are private so that
/// `check` stays the only door.
#[derive(Debug, Clone, PartialEq)]
pub struct StepGraph {
    name: String,
    description: Option<String>,
    steps: Vec<Step>,
    session_state: Map<String, Value>,
    showing: Showing,
}

impl StepGraph {
    /// The workflow's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the workflow is for.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The steps in the order they run in.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The state that a session begins with.
    pub fn session_state(&self) -> &Map<String, Value> {
        &self.session_state
    }

    /// What is shown of its runs.
    pub fn showing(&self) -> &Showing {
        &self.showing
    }

    /// Of how many earlier runs the step that is told of most is told.
    pub fn history(&self) -> u32 {
        self.steps.iter().map(|it| it.options.history).max().unwrap_or_default()
    }
}

impl GraphDraft {
    /// Checks everything at once and reports all faults, each with its place.
    ///
    /// # Errors
    /// At least one fault, and no more than [`MAX_FAULTS`].
    pub fn check(self, limits: &GraphLimits) -> Result<StepGraph, Vec<GraphFault>> {
        if limits.nodes < self.nodes.len() {
            return Err(vec![GraphFault::TooManyNodes {
                found: self.nodes.len(),
                limit: limits.nodes,
            }]);
        }
        let mut walk = Walk::new(&self, limits);
        walk.name(Place::Graph("workflow name"), &self.name);
        walk.text(
            Place::Graph("workflow description"),
            self.description.as_deref().unwrap_or("-"),
            limits.description_bytes,
        );
        let session_state =
            walk.object(Place::Graph("session-state"), self.session_state.as_deref());
        walk.showing(&self.showing);
        walk.node(Place::Graph("root"), self.root, 0);
        walk.orphans();
        if !walk.faults.is_empty() {
            walk.faults.truncate(MAX_FAULTS);
            return Err(walk.faults);
        }
        let order = walk.order;
        let mut nodes: Vec<Option<NodeDraft>> = self.nodes.into_iter().map(Some).collect();
        let steps = order.into_iter().filter_map(|it| match nodes[it].take() {
            Some(NodeDraft::Step(step)) => Some(step),
            _ => None,
        });
        let steps = steps.collect();
        Ok(StepGraph {
            name: self.name,
            description: self.description,
            steps,
            session_state,
            showing: self.showing,
        })
    }
}

/// Where something stands in a draft. It becomes a text when there is a fault to tell.
#[derive(Clone, Copy)]
enum Place {
    /// A part of the graph as a whole.
    Graph(&'static str),
    Node(u32),
    /// A part of a node.
    In(u32, &'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Graph(part) => f.write_str(part),
            Self::Node(index) => write!(f, "node {index}"),
            Self::In(index, part) => write!(f, "node {index} {part}"),
        }
    }
}

/// One walk over a draft: what was seen, and what was wrong.
struct Walk<'a> {
    draft: &'a GraphDraft,
    limits: &'a GraphLimits,
    seen: Vec<bool>,
    order: Vec<usize>,
    faults: Vec<GraphFault>,
}

impl<'a> Walk<'a> {
    fn new(draft: &'a GraphDraft, limits: &'a GraphLimits) -> Self {
        let seen = vec![false; draft.nodes.len()];
        Self { draft, limits, seen, order: Vec::new(), faults: Vec::new() }
    }

    fn node(&mut self, place: Place, index: u32, depth: usize) {
        let at = index as usize;
        let Some(node) = self.draft.nodes.get(at) else {
            let place = place.to_string();
            return self.faults.push(GraphFault::UnknownNode { place, index });
        };
        if std::mem::replace(&mut self.seen[at], true) {
            return self.faults.push(GraphFault::SharedNode { index });
        }
        let place = Place::Node(index);
        match node {
            NodeDraft::Step(step) => {
                self.step(index, step);
                self.order.push(at);
            }
            NodeDraft::Sequence(_) if depth == self.limits.depth => {
                self.faults.push(GraphFault::TooDeep { place: place.to_string(), limit: depth });
            }
            NodeDraft::Sequence(children) => {
                for &child in children {
                    if MAX_FAULTS <= self.faults.len() {
                        break;
                    }
                    self.node(place, child, depth + 1);
                }
            }
        }
    }

    fn step(&mut self, index: u32, step: &'a Step) {
        let place = |part| Place::In(index, part);
        self.name(place("step name"), &step.name);
        let description = step.description.as_deref().unwrap_or("-");
        self.text(place("description"), description, self.limits.description_bytes);
        match &step.executor {
            Executor::Agent(agent) => {
                self.name(place("agent name"), &agent.name);
                self.name(place("model name"), &agent.model.id);
                let provider = agent.model.provider.as_deref().unwrap_or("-");
                self.name(place("provider name"), provider);
                self.text(place("instructions"), &agent.instructions, self.limits.text_bytes);
                self.numbers(index, agent.temperature, agent.max_output_tokens);
            }
            Executor::Function(function) => {
                self.name(place("function name"), &function.name);
                let argument = function.argument.as_deref().unwrap_or_default();
                self.text(place("argument"), argument, self.limits.text_bytes);
            }
            Executor::Query(query) => self.query(index, query),
        }
        self.options(index, step.options);
    }

    fn options(&mut self, index: u32, options: StepOptions) {
        let place = |part| Place::In(index, part);
        self.at_most(place("retries"), options.retries, self.limits.retries);
        self.at_most(place("history"), options.history, self.limits.history);
    }

    fn showing(&mut self, showing: &'a Showing) {
        let place = Place::Graph("unlisted-events");
        let (found, limit) = (showing.unlisted_events.len(), self.limits.unlisted_events);
        if limit < found {
            let place = place.to_string();
            return self.faults.push(GraphFault::TooMany { place, found, limit });
        }
        for name in &showing.unlisted_events {
            self.name(place, name);
        }
    }

    fn at_most(&mut self, place: Place, found: u32, limit: u32) {
        if limit < found {
            let (place, found, limit) = (place.to_string(), found as usize, limit as usize);
            self.faults.push(GraphFault::TooMany { place, found, limit });
        }
    }

    fn query(&mut self, index: u32, query: &Query) {
        let place = |part| Place::In(index, part);
        if DatabaseName::new(query.database.as_str()).is_err() {
            self.out_of_range(
                place("database"),
                "a name of lower case letters, digits, `-` and `_`",
            );
        }
        self.text(place("statement"), &query.statement, self.limits.text_bytes);
        if query.statement.trim().is_empty() {
            self.faults.push(GraphFault::Empty { place: place("statement").to_string() });
        }
        if MAX_PARAMETERS < query.parameters.len() {
            return self.out_of_range(place("parameters"), "at most 1000");
        }
        for (number, parameter) in (1..).zip(&query.parameters) {
            let found = match parameter {
                Parameter::Value(database::Value::Text(text)) => text.len(),
                Parameter::Value(database::Value::Bytes(bytes)) => bytes.len(),
                Parameter::Value(_) | Parameter::Message | Parameter::Previous => 0,
            };
            let limit = self.limits.text_bytes;
            if limit < found {
                let place = format!("{} {number}", place("parameter"));
                self.faults.push(GraphFault::TooLong { place, found, limit });
            }
        }
    }

    fn numbers(&mut self, index: u32, temperature: Option<f32>, max_output_tokens: Option<u32>) {
        if temperature.is_some_and(|it| !(0.0..=2.0).contains(&it)) {
            self.out_of_range(Place::In(index, "temperature"), "between 0 and 2");
        }
        if max_output_tokens == Some(0) {
            self.out_of_range(Place::In(index, "max-output-tokens"), "at least 1");
        }
    }

    fn out_of_range(&mut self, place: Place, rule: &'static str) {
        self.faults.push(GraphFault::OutOfRange { place: place.to_string(), rule });
    }

    fn object(&mut self, place: Place, text: Option<&str>) -> Map<String, Value> {
        let Some(text) = text else { return Map::new() };
        self.text(place, text, self.limits.text_bytes);
        json::object(text).unwrap_or_else(|_| {
            self.faults.push(GraphFault::NoObject { place: place.to_string() });
            Map::new()
        })
    }

    fn orphans(&mut self) {
        // Behind another fault a subtree was not walked; its nodes are no orphans.
        if !self.faults.is_empty() {
            return;
        }
        for (index, _) in self.seen.iter().enumerate().filter(|(_, seen)| !**seen) {
            self.faults.push(GraphFault::Orphan { index: index as u32 });
        }
    }

    fn name(&mut self, place: Place, text: &str) {
        if text.trim().is_empty() {
            self.faults.push(GraphFault::Empty { place: place.to_string() });
        }
        self.text(place, text, self.limits.name_bytes);
    }

    fn text(&mut self, place: Place, text: &str, limit: usize) {
        let found = text.len();
        if limit < found {
            self.faults.push(GraphFault::TooLong { place: place.to_string(), found, limit });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::draft::FunctionCall;
    use super::*;
    use crate::capability::Access;

    fn step(name: &str) -> NodeDraft {
        let executor = Executor::Function(FunctionCall { name: "f".into(), argument: None });
        NodeDraft::Step(Step {
            name: name.into(),
            description: None,
            executor,
            options: StepOptions::default(),
        })
    }

    fn graph(nodes: Vec<NodeDraft>, root: u32) -> GraphDraft {
        GraphDraft::new("w", nodes, root)
    }

    fn faults(draft: GraphDraft) -> Vec<String> {
        let faults = draft.check(&GraphLimits::default()).expect_err("the draft is bad");
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn sequences_in_sequences_run_in_reading_order() {
        let nodes = vec![
            step("c"),
            NodeDraft::Sequence(vec![3, 4]),
            NodeDraft::Sequence(vec![1, 0]),
            step("a"),
            step("b"),
        ];
        let graph = graph(nodes, 2).check(&GraphLimits::default()).unwrap();
        let names: Vec<_> = graph.steps().iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
    }

    #[test]
    fn an_empty_sequence_is_a_workflow_without_steps() {
        let graph = graph(vec![NodeDraft::Sequence(vec![])], 0).check(&GraphLimits::default());
        assert!(graph.unwrap().steps().is_empty());
    }

    #[test]
    fn a_cycle_is_found() {
        let nodes = vec![NodeDraft::Sequence(vec![1]), NodeDraft::Sequence(vec![0])];
        assert_eq!(
            faults(graph(nodes, 0)),
            ["node 0 has more than one parent or is its own ancestor"]
        );
    }

    #[test]
    fn a_node_with_two_parents_is_found() {
        let nodes = vec![NodeDraft::Sequence(vec![1, 1]), step("a")];
        assert_eq!(
            faults(graph(nodes, 0)),
            ["node 1 has more than one parent or is its own ancestor"]
        );
    }

    #[test]
    fn places_that_do_not_exist_are_found() {
        assert_eq!(faults(graph(vec![], 0)), ["root: there is no node 0"]);
        let nodes = vec![NodeDraft::Sequence(vec![99])];
        assert_eq!(faults(graph(nodes, 0)), ["node 0: there is no node 99"]);
    }

    #[test]
    fn an_orphan_is_found() {
        assert_eq!(
            faults(graph(vec![step("a"), step("b")], 0)),
            ["node 1 is not reachable from the root"]
        );
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let nodes = vec![NodeDraft::Sequence(vec![1, 2, 9]), step(""), step(" ")];
        assert_eq!(
            faults(graph(nodes, 0)),
            [
                "node 1 step name: must not be empty",
                "node 2 step name: must not be empty",
                "node 0: there is no node 9"
            ]
        );
    }

    #[test]
    fn options_are_bounded() {
        let options = StepOptions { retries: 11, history: 51, ..StepOptions::default() };
        let mut draft = graph(vec![step("a")], 0);
        let NodeDraft::Step(it) = &mut draft.nodes[0] else { unreachable!() };
        it.options = options;
        draft.showing.unlisted_events = vec![String::new()];
        assert_eq!(
            faults(draft.clone()),
            [
                "unlisted-events: must not be empty",
                "node 0 retries: is 11; at most 10 are allowed",
                "node 0 history: is 51; at most 50 are allowed"
            ]
        );
        draft.showing.unlisted_events = vec!["x".into(); 65];
        assert_eq!(faults(draft)[0], "unlisted-events: is 65; at most 64 are allowed");
    }

    #[test]
    fn steps_may_share_a_name() {
        let nodes = vec![NodeDraft::Sequence(vec![1, 2]), step("a"), step("a")];
        let graph = graph(nodes, 0).check(&GraphLimits::default()).unwrap();
        assert_eq!(graph.steps().len(), 2);
    }

    #[test]
    fn depth_is_bounded() {
        let mut nodes: Vec<_> = (1..=40).map(|it| NodeDraft::Sequence(vec![it])).collect();
        nodes.push(step("a"));
        assert_eq!(faults(graph(nodes, 0)), ["node 32: sequences are nested deeper than 32"]);
    }

    #[test]
    fn lengths_and_counts_are_bounded() {
        let nodes = vec![step(&"x".repeat(257))];
        assert_eq!(
            faults(graph(nodes, 0)),
            ["node 0 step name: is 257 bytes long; at most 256 are allowed"]
        );
        let nodes = vec![step("a"); 1_001];
        assert_eq!(faults(graph(nodes, 0)), ["the graph has 1001 nodes; at most 1000 are allowed"]);
    }

    #[test]
    fn a_query_is_checked() {
        let query = |database: &str, statement: &str, parameters: Vec<Parameter>| {
            let (database, statement) = (database.into(), statement.into());
            let query = Query { database, statement, parameters, access: Access::Read };
            let executor = Executor::Query(query);
            graph(
                vec![NodeDraft::Step(Step {
                    name: "q".into(),
                    description: None,
                    executor,
                    options: StepOptions::default(),
                })],
                0,
            )
        };
        let good = query("orders", "select $1", vec![Parameter::Message]);
        assert!(good.check(&GraphLimits::default()).is_ok());
        assert_eq!(
            faults(query("Orders", " ", vec![])),
            [
                "node 0 database: must be a name of lower case letters, digits, `-` and `_`",
                "node 0 statement: must not be empty"
            ]
        );
        assert_eq!(
            faults(query("orders", "select 1", vec![Parameter::Previous; 1_001])),
            ["node 0 parameters: must be at most 1000"]
        );
        let long = Parameter::Value(database::Value::Text("x".repeat(262_145)));
        assert_eq!(
            faults(query("orders", "select 1", vec![Parameter::Message, long])),
            ["node 0 parameter 2: is 262145 bytes long; at most 262144 are allowed"]
        );
    }

    #[test]
    fn a_flood_of_faults_is_cut() {
        let nodes = vec![NodeDraft::Sequence(vec![7; 10_000]); 1_000];
        assert_eq!(faults(graph(nodes, 0)).len(), MAX_FAULTS);
    }

    fn any_node() -> impl Strategy<Value = NodeDraft> {
        prop_oneof![
            "[a-c]{0,2}".prop_map(|it| step(&it)),
            proptest::collection::vec(0u32..12, 0..6).prop_map(NodeDraft::Sequence),
        ]
    }

    proptest! {
        /// Whatever a guest draws: the check ends, and what passes keeps the promises.
        #[test]
        fn what_passes_keeps_the_promises(nodes in proptest::collection::vec(any_node(), 0..12), root in 0u32..12) {
            let steps = nodes.iter().filter(|it| matches!(it, NodeDraft::Step(_))).count();
            if let Ok(graph) = graph(nodes, root).check(&GraphLimits::default()) {
                prop_assert_eq!(graph.steps().len(), steps);
                prop_assert!(graph.steps().iter().all(|it| !it.name.is_empty()));
            }
        }
    }
}
