//! One component that does whatever the request asks it to do, good or bad.
//!
//! `build` reads its order from the session id, `run` from the message: a word and, for some, an
//! argument. What an order finds out comes back as the workflow's description, or as the step's
//! content. `describe` has no request, so its behaviour is a byte in the file: see [`MODE`].

mod forgeries;
mod graphs;
mod orders;
mod sending;

wit_bindgen::generate!({ path: "../../../../wit/v1", world: "factory", generate_all });

use exports::stepmill::plugin::{functions, workflow_factory};
use stepmill::plugin::types::{
    Access, Agent, Capability, Description, Executor, FactoryError, Function, Model, Node,
    Parameter, Query, RequestContext, Step, StepInput, StepOutput, Value, Workflow, WorkflowKind,
};

/// The last byte says what `describe` does. Tests change it in the compiled file.
static MODE: [u8; 15] = *b"DESCRIBE-MODE:0";

fn mode() -> u8 {
    // SAFETY: reading a static. Volatile, so that the compiler does not know the value.
    unsafe { std::ptr::read_volatile(&MODE[14]) }
}

struct Guest;

impl workflow_factory::Guest for Guest {
    fn describe() -> Description {
        match mode() {
            b'1' => panic!("describe says no"),
            b'2' => orders::spin(),
            b'3' => std::process::exit(0),
            b'4' => Description { id: "not/a slug".to_owned(), ..description() },
            b'5' => Description { input_schema: Some("[1]".to_owned()), ..description() },
            b'6' => Description { input_schema: Some("x".repeat(65_537)), ..description() },
            b'7' => Description { capabilities: vec![Capability::Clock; 65], ..description() },
            b'8' => Description { name: Some("x".repeat(16 << 20)), ..description() },
            b'D' => Description {
                capabilities: vec![Capability::Database("orders:write".to_owned())],
                ..description()
            },
            b'9' => Description { name: Some(orders::clock()), ..description() },
            b's' => Description { capabilities: sending::capabilities(), ..description() },
            b'e' => {
                Description { capabilities: sending::capabilities_of_databases(), ..description() }
            }
            _ => description(),
        }
    }

    fn build(context: RequestContext) -> Result<Workflow, FactoryError> {
        let order = context.session_id.clone().unwrap_or_default();
        let (word, argument) = order.split_once(' ').unwrap_or((&order, ""));
        match word {
            "permission" => Err(FactoryError::Permission(argument.to_owned())),
            "validation" => Err(FactoryError::Validation(argument.to_owned())),
            "other" => Err(FactoryError::Other(argument.to_owned())),
            "long-refusal" => Err(FactoryError::Other("é".repeat(orders::number(argument)))),
            "leak" => Ok(leaking(&sending::leak())),
            "leak-permission" => Err(FactoryError::Permission(sending::leak())),
            "leak-validation" => Err(FactoryError::Validation(sending::leak())),
            "leak-other" => Err(FactoryError::Other(sending::leak())),
            "context" => Ok(workflow(Some(format!("{context:?}")))),
            "nodes" => Ok(Workflow {
                nodes: vec![Node::Sequence(vec![]); orders::number(argument)],
                ..workflow(None)
            }),
            "draw-query" => Ok(Workflow { nodes: vec![query()], ..workflow(None) }),
            "draw-sql" => Ok(then(argument)),
            "tell-sql" => {
                Err(FactoryError::Validation(orders::follow("sql", argument).unwrap_or_default()))
            }
            "cycle" => Ok(Workflow { nodes: vec![Node::Sequence(vec![0, 99])], ..workflow(None) }),
            "graph" => Ok(graphs::odd(argument)),
            "forge" => Ok(forgeries::drawn(argument)),
            _ => Ok(workflow(orders::follow(word, argument))),
        }
    }
}

impl functions::Guest for Guest {
    fn run(context: RequestContext, input: StepInput) -> Result<StepOutput, String> {
        let (word, argument) = input.message.split_once(' ').unwrap_or((&input.message, ""));
        match word {
            "report" => Err(argument.to_owned()),
            "stop" => Ok(StepOutput { stop: true, ..output(argument.to_owned()) }),
            "leak" => Ok(StepOutput {
                session_state: Some(state_of(&sending::leak())),
                ..output(sending::leak())
            }),
            "leak-report" => Err(sending::leak()),
            "input" => Ok(output(format!("{input:?}"))),
            "context" => Ok(output(format!("{context:?}"))),
            "forge" => forgeries::produced(argument),
            "state" => {
                Ok(StepOutput { session_state: Some(argument.to_owned()), ..output(String::new()) })
            }
            "state-of" => Ok(StepOutput {
                session_state: Some(format!(
                    "{{\"a\":\"{}\"}}",
                    "s".repeat(orders::number(argument))
                )),
                ..output(String::new())
            }),
            "state-deep" => {
                let deep = orders::number(argument);
                let state = format!("{{\"a\":{}{}}}", "[".repeat(deep), "]".repeat(deep));
                Ok(StepOutput { session_state: Some(state), ..output(String::new()) })
            }
            _ => Ok(output(orders::follow(word, argument).unwrap_or_default())),
        }
    }
}

fn output(content: String) -> StepOutput {
    StepOutput { content, stop: false, session_state: None }
}

export!(Guest);

fn description() -> Description {
    Description {
        id: "hostile".to_owned(),
        kind: WorkflowKind::Factory,
        name: Some("Hostile".to_owned()),
        description: None,
        input_schema: Some(r#"{"type":"object"}"#.to_owned()),
        capabilities: vec![
            Capability::Clock,
            Capability::Randomness,
            Capability::Config,
            Capability::Kv,
            Capability::Http("api.example.com".to_owned()),
            Capability::Model("*".to_owned()),
        ],
    }
}

/// A text in every place that a graph has for one.
fn leaking(text: &str) -> Workflow {
    let mut workflow = workflow(Some(text.to_owned()));
    workflow.name = text.to_owned();
    workflow.session_state = Some(state_of(text));
    for node in &mut workflow.nodes {
        let Node::Step(step) = node else { continue };
        step.description = Some(text.to_owned());
        match &mut step.executor {
            Executor::Agent(agent) => agent.instructions = text.to_owned(),
            Executor::Function(function) => function.argument = Some(text.to_owned()),
            Executor::Query(query) => query.statement = text.to_owned(),
        }
    }
    workflow
}

fn state_of(text: &str) -> String {
    format!("{{\"leaked\":\"{text}\"}}")
}

/// One agent, one function.
fn workflow(description: Option<String>) -> Workflow {
    let agent = Agent {
        name: "Writer".to_owned(),
        model: Model { id: "demo".to_owned(), provider: None },
        instructions: "Write.".to_owned(),
        temperature: Some(0.5),
        max_output_tokens: Some(100),
    };
    let function = Function { name: "finish".to_owned(), argument: Some("{}".to_owned()) };
    Workflow {
        name: "hostile".to_owned(),
        description,
        nodes: vec![
            Node::Sequence(vec![1, 2]),
            Node::Step(step("write", Executor::Agent(agent))),
            Node::Step(step("finish", Executor::Function(function))),
        ],
        root: 0,
        session_state: None,
        showing: None,
    }
}

/// The function, and then a query that is given what the function produced.
fn then(statement: &str) -> Workflow {
    let query = Query {
        database: "orders".to_owned(),
        statement: statement.to_owned(),
        parameters: vec![Parameter::Previous],
        access: Access::Read,
    };
    let function = Function { name: "finish".to_owned(), argument: None };
    Workflow {
        nodes: vec![
            Node::Sequence(vec![1, 2]),
            Node::Step(step("finish", Executor::Function(function))),
            Node::Step(step("find", Executor::Query(query))),
        ],
        ..workflow(None)
    }
}

fn query() -> Node {
    let query = Query {
        database: "orders".to_owned(),
        statement: "select $1, $2, $3".to_owned(),
        parameters: vec![
            Parameter::Message,
            Parameter::Value(Value::Real(0.5)),
            Parameter::Previous,
        ],
        access: Access::Write,
    };
    Node::Step(step("find", Executor::Query(query)))
}

fn step(name: &str, executor: Executor) -> Step {
    Step { name: name.to_owned(), description: None, executor, options: None }
}
