//! Workflows, steps and agents: what a factory draws for one request.

use crate::JsonObject;
use crate::database::Value;
use crate::wit::stepmill::plugin::types as wire;

/// One journey for one request: steps that run one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Workflow {
    /// Shown in results.
    pub name: String,
    /// Shown in the workflow's detail.
    pub description: Option<String>,
    /// In the order they run in. Each gets the content of the one before.
    pub steps: Vec<Step>,
    /// The state that a session begins with.
    pub session_state: Option<JsonObject>,
    /// Of how many earlier runs those steps are told that do not say it themselves.
    pub history: u32,
    /// What those who read its runs are shown.
    pub showing: Showing,
}

/// What those who read a workflow's runs are shown. By default: everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Showing {
    /// Whether streams tell what agents do on their way, and not only what they came to.
    pub agent_events: bool,
    /// Whether runs show the agents' own runs, with their prompts (`step_executor_runs`).
    pub agent_runs: bool,
    /// Events, such as `StepStarted`, that a run does not list when it is read back.
    pub unlisted_events: Vec<String>,
}

impl Default for Showing {
    fn default() -> Self {
        Self { agent_events: true, agent_runs: true, unlisted_events: Vec::new() }
    }
}

impl Workflow {
    /// A workflow without steps.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            description: None,
            steps: Vec::new(),
            session_state: None,
            history: 0,
            showing: Showing::default(),
        }
    }

    /// Tells every step that does not say it itself of so many completed runs of this workflow in
    /// the session: an agent before its message, a function in [`StepInput::history`](crate::StepInput::history).
    pub fn history(mut self, runs: u32) -> Self {
        self.history = runs;
        self
    }

    /// What those who read its runs are shown.
    pub fn showing(mut self, showing: Showing) -> Self {
        self.showing = showing;
        self
    }

    /// The state that a session begins with.
    pub fn session_state(mut self, state: JsonObject) -> Self {
        self.session_state = Some(state);
        self
    }

    /// What the workflow is for.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// Adds a step after those there are.
    pub fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Adds steps after those there are. An `Option<Step>` is a step that may be left out.
    pub fn steps(mut self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.steps.extend(steps);
        self
    }
}

/// One piece of work.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What its result is filed under. Of two steps of one name the later one's counts.
    pub name: String,
    /// Shown in the workflow's detail.
    pub description: Option<String>,
    /// Who does it.
    pub executor: Executor,
    /// How often it is tried again, at once, after it failed.
    pub retries: u32,
    /// Whether the run goes on if the step fails; the next one then gets a sentence that says so.
    pub may_fail: bool,
    /// Of how many earlier runs it is told; `None` as its workflow says.
    pub history: Option<u32>,
}

/// Who does the work of a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Executor {
    /// A model with a standing order, run by the host.
    Agent(Agent),
    /// A function of this plugin.
    Function(Function),
    /// A database, asked by the host.
    Query(Query),
}

impl Step {
    /// A step that an agent does.
    pub fn agent(name: impl Into<String>, agent: Agent) -> Self {
        Self::new(name, Executor::Agent(agent))
    }

    /// A step that a function of this plugin does: one that was given to
    /// [`WorkflowFactory::function`](crate::WorkflowFactory::function) under this name.
    pub fn function(name: impl Into<String>, function: impl Into<Function>) -> Self {
        Self::new(name, Executor::Function(function.into()))
    }

    /// A step that a database does. Its content is JSON, `{"columns": […], "rows": [[…], …]}`.
    pub fn query(name: impl Into<String>, query: Query) -> Self {
        Self::new(name, Executor::Query(query))
    }

    fn new(name: impl Into<String>, executor: Executor) -> Self {
        Self {
            name: name.into(),
            description: None,
            executor,
            retries: 0,
            may_fail: false,
            history: None,
        }
    }

    /// What the step is for.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// How often it is tried again, at once, after it failed. A try may have had effects.
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// The run goes on if the step fails.
    pub fn may_fail(mut self) -> Self {
        self.may_fail = true;
        self
    }

    /// Of how many earlier runs it is told, whatever its workflow says.
    pub fn history(mut self, runs: u32) -> Self {
        self.history = Some(runs);
        self
    }
}

/// One model with a standing order. The host runs it; the plugin only describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    /// Shown in events and results.
    pub name: String,
    /// What answers.
    pub model: Model,
    /// The system prompt.
    pub instructions: String,
    /// Between 0 and 2; `None` leaves it to the provider.
    pub temperature: Option<f32>,
    /// The most tokens one answer may have; `None` leaves it to the host.
    pub max_output_tokens: Option<u32>,
}

impl Agent {
    /// An agent without instructions.
    pub fn new(name: impl Into<String>, model: impl Into<Model>) -> Self {
        Self {
            name: name.into(),
            model: model.into(),
            instructions: String::new(),
            temperature: None,
            max_output_tokens: None,
        }
    }

    /// The system prompt.
    pub fn instructions(mut self, text: impl Into<String>) -> Self {
        self.instructions = text.into();
        self
    }

    /// How freely the model picks its words: between 0 and 2.
    pub fn temperature(mut self, temperature: f32) -> Self {
        self.temperature = Some(temperature);
        self
    }

    /// The most tokens one answer may have; at least 1.
    pub fn max_output_tokens(mut self, tokens: u32) -> Self {
        self.max_output_tokens = Some(tokens);
        self
    }
}

/// A model by name; the host's configuration says what stands behind it. A plain text is a
/// model whose provider the host chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Such as `gpt-5.4`.
    pub id: String,
    /// A provider by the name the operator gave it; `None` leaves the choice to the host.
    pub provider: Option<String>,
}

impl Model {
    /// A model whose provider the host chooses.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), provider: None }
    }

    /// Names the provider.
    pub fn provider(mut self, name: impl Into<String>) -> Self {
        self.provider = Some(name.into());
        self
    }
}

impl<T: Into<String>> From<T> for Model {
    fn from(id: T) -> Self {
        Self::new(id)
    }
}

/// A function of this plugin, and what `build` hands to its later call. A plain text is a
/// function without an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// The name it has in the factory.
    pub name: String,
    /// JSON by convention; the host does not read it.
    pub argument: Option<String>,
}

impl Function {
    /// A function without an argument.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), argument: None }
    }

    /// What the function finds in [`StepInput::function`](crate::StepInput) when it runs.
    pub fn argument(mut self, text: impl Into<String>) -> Self {
        self.argument = Some(text.into());
        self
    }
}

impl<T: Into<String>> From<T> for Function {
    fn from(name: T) -> Self {
        Self::new(name)
    }
}

/// A statement that the host puts to a database when the step's turn comes. The plugin asks for
/// [`Capability::Database`](crate::Capability::Database) with the name.
///
/// If the host dies before it has noted the answer, it puts the statement again: let one that
/// writes be one that may be repeated.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// By the name the operator gave it.
    pub database: String,
    /// In the words of the database, with places `$1`, `$2`, …
    pub statement: String,
    /// What stands in those places.
    pub parameters: Vec<Parameter>,
    /// Whether it changes rows.
    pub writes: bool,
}

/// What stands in a place of a [`Query`].
#[derive(Debug, Clone, PartialEq)]
pub enum Parameter {
    /// Always this.
    Value(Value),
    /// The message the run was started with.
    Message,
    /// What the step before produced; null in the first step.
    Previous,
}

impl Query {
    /// A statement that reads.
    pub fn new(database: impl Into<String>, statement: impl Into<String>) -> Self {
        let (database, statement) = (database.into(), statement.into());
        Self { database, statement, parameters: Vec::new(), writes: false }
    }

    /// The statement changes rows.
    pub fn writes(mut self) -> Self {
        self.writes = true;
        self
    }

    /// What stands in the next place: a value, [`Parameter::Message`] or [`Parameter::Previous`].
    pub fn parameter(mut self, parameter: impl Into<Parameter>) -> Self {
        self.parameters.push(parameter.into());
        self
    }
}

impl<T: Into<Value>> From<T> for Parameter {
    fn from(value: T) -> Self {
        Self::Value(value.into())
    }
}

impl From<Workflow> for wire::Workflow {
    /// The root comes first, the steps behind it: step `n` is node `n + 1`.
    fn from(workflow: Workflow) -> Self {
        let children = (1..).take(workflow.steps.len()).collect();
        let steps = workflow.steps.into_iter();
        let steps = steps.map(|it| wire::Node::Step(it.wired(workflow.history)));
        let showing = Some(workflow.showing).filter(|it| *it != Showing::default());
        Self {
            name: workflow.name,
            description: workflow.description,
            nodes: std::iter::once(wire::Node::Sequence(children)).chain(steps).collect(),
            root: 0,
            session_state: workflow
                .session_state
                .map(|it| serde_json::Value::Object(it).to_string()),
            showing: showing.map(|it| wire::Showing {
                agent_events: it.agent_events,
                agent_runs: it.agent_runs,
                unlisted_events: it.unlisted_events,
            }),
        }
    }
}

impl Step {
    fn wired(self, history: u32) -> wire::Step {
        let executor = match self.executor {
            Executor::Agent(agent) => wire::Executor::Agent(agent.into()),
            Executor::Function(function) => wire::Executor::Function(function.into()),
            Executor::Query(query) => wire::Executor::Query(query.into()),
        };
        let options = wire::StepOptions {
            retries: self.retries,
            on_failure: if self.may_fail { wire::OnFailure::Skip } else { wire::OnFailure::Fail },
            history: self.history.unwrap_or(history),
        };
        wire::Step {
            name: self.name,
            description: self.description,
            executor,
            options: Some(options),
        }
    }
}

impl From<Agent> for wire::Agent {
    fn from(agent: Agent) -> Self {
        Self {
            name: agent.name,
            model: wire::Model { id: agent.model.id, provider: agent.model.provider },
            instructions: agent.instructions,
            temperature: agent.temperature,
            max_output_tokens: agent.max_output_tokens,
        }
    }
}

impl From<Query> for wire::Query {
    fn from(query: Query) -> Self {
        let parameter = |it| match it {
            Parameter::Value(value) => wire::Parameter::Value(value),
            Parameter::Message => wire::Parameter::Message,
            Parameter::Previous => wire::Parameter::Previous,
        };
        Self {
            database: query.database,
            statement: query.statement,
            parameters: query.parameters.into_iter().map(parameter).collect(),
            access: if query.writes { wire::Access::Write } else { wire::Access::Read },
        }
    }
}

impl From<Function> for wire::Function {
    fn from(function: Function) -> Self {
        Self { name: function.name, argument: function.argument }
    }
}

impl From<wire::Function> for Function {
    fn from(function: wire::Function) -> Self {
        Self { name: function.name, argument: function.argument }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_become_children_of_a_sequence() {
        let agent = Agent::new("A", Model::new("m").provider("p")).temperature(0.5);
        let workflow = Workflow::new("W")
            .step(Step::agent("a", agent.max_output_tokens(7)))
            .steps(None)
            .steps(Some(Step::function("f", Function::new("g").argument("1")).description("d")));
        let wire::Workflow { nodes, root: 0, .. } = workflow.into() else {
            panic!("the root is the first node")
        };
        let [wire::Node::Sequence(children), wire::Node::Step(a), wire::Node::Step(f)] = &nodes[..]
        else {
            panic!("a sequence and its two steps: {nodes:?}")
        };
        assert_eq!(children, &[1, 2]);
        assert!(matches!(&a.executor, wire::Executor::Agent(it)
            if it.model.provider.as_deref() == Some("p")
            && it.temperature == Some(0.5)
            && it.max_output_tokens == Some(7)));
        assert!(matches!(&f.executor, wire::Executor::Function(it)
            if it.name == "g" && it.argument.as_deref() == Some("1")));
        assert_eq!(f.description.as_deref(), Some("d"));
    }

    #[test]
    fn steps_say_their_options_or_have_their_workflows() {
        let workflow = Workflow::new("W")
            .step(Step::function("a", "f").retries(2).may_fail())
            .step(Step::function("b", "f").history(0))
            .history(3);
        let workflow = wire::Workflow::from(workflow);
        let options = workflow.nodes.iter().filter_map(|it| match it {
            wire::Node::Step(step) => step.options,
            wire::Node::Sequence(_) => None,
        });
        let options: Vec<_> = options.map(|it| (it.retries, it.on_failure, it.history)).collect();
        assert_eq!(options, [(2, wire::OnFailure::Skip, 3), (0, wire::OnFailure::Fail, 0)]);
        assert_eq!(workflow.showing, None);
        let showing = Showing { agent_runs: false, ..Showing::default() };
        let workflow = wire::Workflow::from(Workflow::new("W").showing(showing));
        assert!(workflow.showing.is_some_and(|it| it.agent_events && !it.agent_runs));
    }

    #[test]
    fn a_query_keeps_its_places_in_order() {
        let query = Query::new("orders", "update orders set title = $1 where id = $2 and n = $3");
        let query = query.writes().parameter(Parameter::Previous).parameter(7).parameter("x");
        let query = wire::Query::from(query);
        assert_eq!(query.access, wire::Access::Write);
        let seven = wire::Parameter::Value(Value::Integer(7));
        let x = wire::Parameter::Value(Value::Text("x".into()));
        assert_eq!(query.parameters, [wire::Parameter::Previous, seven, x]);
    }
}
