//! A graph as somebody drew it. Nothing is known about it yet.

use crate::agent::Agent;
use crate::capability::Access;
use crate::database::Value;

/// What a guest is asked to run itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionCall {
    /// The guest's name for it.
    pub name: String,
    /// What `build` hands to it.
    pub argument: Option<String>,
}

/// What stands in a place of a query's statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Parameter {
    /// Always this.
    Value(Value),
    /// The message the run was started with.
    Message,
    /// What the step before produced; null in the first step.
    Previous,
}

/// A statement that the host puts to one of the operator's databases.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// By the name the operator gave it.
    pub database: String,
    /// In the words of that database, with places `$1`, `$2`, …
    pub statement: String,
    /// What stands in those places.
    pub parameters: Vec<Parameter>,
    /// Whether it may change anything.
    pub access: Access,
}

/// Who does the work of a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Executor {
    /// A model with a standing order.
    Agent(Agent),
    /// A function of the plugin.
    Function(FunctionCall),
    /// A database of the operator's.
    Query(Query),
}

/// One piece of work.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What its result is filed under; of two steps of one name the later one's counts.
    pub name: String,
    /// Shown in the workflow's detail.
    pub description: Option<String>,
    /// Who does it.
    pub executor: Executor,
    /// What holds for it besides.
    pub options: StepOptions,
}

/// What holds for a step besides its work. By default: it is tried once, fails its run, and is
/// told nothing of earlier runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepOptions {
    /// How often it is tried again, at once, after it failed.
    pub retries: u32,
    /// What becomes of the run when the last try failed.
    pub on_failure: OnFailure,
    /// Of how many completed runs of the workflow in the session it is told, latest last.
    pub history: u32,
}

/// What becomes of a run whose step failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// The run fails.
    #[default]
    Fail,
    /// The run goes on; what the step leaves says that it failed.
    Skip,
}

/// What those who read a workflow's runs are shown. By default: everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Showing {
    /// Whether streams tell what agents do on their way, and not only what they came to.
    pub agent_events: bool,
    /// Whether runs show the agents' own runs, with their prompts.
    pub agent_runs: bool,
    /// Events, by the names of the stream, that a run does not list when it is read back.
    pub unlisted_events: Vec<String>,
}

impl Default for Showing {
    fn default() -> Self {
        Self { agent_events: true, agent_runs: true, unlisted_events: Vec::new() }
    }
}

/// One node; children are named by their place in [`GraphDraft::nodes`].
#[derive(Debug, Clone, PartialEq)]
pub enum NodeDraft {
    /// A leaf.
    Step(Step),
    /// One after the other.
    Sequence(Vec<u32>),
}

/// A graph as drawn: a flat list, because the contract has no recursive types.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphDraft {
    /// Shown in results as the workflow's name.
    pub name: String,
    /// Shown in the workflow's detail.
    pub description: Option<String>,
    /// Every node, in any order.
    pub nodes: Vec<NodeDraft>,
    /// The place of the outermost node.
    pub root: u32,
    /// The state that a session begins with; should be a JSON object.
    pub session_state: Option<String>,
    /// What is shown of its runs.
    pub showing: Showing,
}

impl GraphDraft {
    /// A graph that says no more than it has to.
    pub fn new(name: impl Into<String>, nodes: Vec<NodeDraft>, root: u32) -> Self {
        Self {
            name: name.into(),
            description: None,
            nodes,
            root,
            session_state: None,
            showing: Showing::default(),
        }
    }
}
