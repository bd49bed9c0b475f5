//! `wit/v1` and the core's words, converted both ways.

use std::sync::Arc;

use stepmill_core::agent::{Agent, ModelName};
use stepmill_core::call::{FunctionAnswer, FunctionInput};
use stepmill_core::capability::Access;
use stepmill_core::context::RequestContext;
use stepmill_core::database::Value;
use stepmill_core::event::StepOutput;
use stepmill_core::extras::{Media, MediaKind};
use stepmill_core::graph::{
    Executor, FunctionCall, GraphDraft, NodeDraft, OnFailure, Parameter, Query, Showing, Step,
    StepOptions,
};
use stepmill_core::json;
use stepmill_core::plugin::WorkflowKind;
use wasmtime::component::{Component, Linker};

use self::bindings::stepmill::plugin::types as wit;
use self::bindings::{Factory, FactoryPre};
use super::Refusal;
use crate::call::{Call, CallState};
use crate::describe::{Asked, Claimed};
use crate::failure::CallFailure;
use crate::lane::Work;
use crate::load::LoadFailure;

#[cfg(feature = "fuzzing")]
pub(crate) mod lifted;

/// What the engine's macro makes of the contract.
pub(crate) mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/v1",
        world: "factory",
        imports: {
            "stepmill:plugin/kv": async | trappable,
            "stepmill:plugin/http": async | trappable,
            "stepmill:plugin/database": async | trappable,
            "stepmill:plugin/secrets": async | trappable,
            default: trappable,
        },
        exports: { default: async },
    });
}

/// What a component of this version must export.
pub(super) const EXPORTS: [&str; 2] =
    ["stepmill:plugin/workflow-factory@1.0.0", "stepmill:plugin/functions@1.0.0"];

/// What it may import, besides WASI.
pub(super) const IMPORTS: [&str; 8] = [
    "stepmill:plugin/config",
    "stepmill:plugin/database",
    "stepmill:plugin/http",
    "stepmill:plugin/kv",
    "stepmill:plugin/log",
    "stepmill:plugin/progress",
    "stepmill:plugin/secrets",
    "stepmill:plugin/types",
];

/// A component that was found to fit.
pub(crate) struct Linked(Arc<FactoryPre<CallState>>);

impl Linked {
    pub(super) fn new(
        component: &Component,
        linker: &Linker<CallState>,
    ) -> Result<Self, LoadFailure> {
        let pre = linker
            .instantiate_pre(component)
            .map_err(|it| LoadFailure::WrongImportType(it.into_boxed_dyn_error()))?;
        FactoryPre::new(pre)
            .map(|it| Self(Arc::new(it)))
            .map_err(|it| LoadFailure::WrongExportType(it.into_boxed_dyn_error()))
    }

    /// The first call of a component. The types of its exports are compared when an instance is
    /// there, so this is where a wrong one shows.
    pub(super) fn describe(&self, mut call: Call) -> Work<Result<Claimed, LoadFailure>> {
        let linked = self.0.clone();
        Box::pin(async move {
            let store = &mut call.store;
            let pre = linked.instance_pre();
            let instance =
                pre.instantiate_async(&mut *store).await.map_err(CallFailure::at_start)?;
            let guest = match Factory::new(&mut *store, &instance) {
                Ok(guest) => guest,
                Err(it) => return Ok(Err(LoadFailure::WrongExportType(it.into_boxed_dyn_error()))),
            };
            let factory = guest.stepmill_plugin_workflow_factory();
            let answer = factory.call_describe(store).await.map_err(CallFailure::at_call)?;
            Ok(Ok(claimed(answer)))
        })
    }

    pub(super) fn build(
        &self,
        mut call: Call,
        context: &RequestContext,
    ) -> Work<Result<GraphDraft, Refusal>> {
        let (linked, context) = (self.0.clone(), request_context(context));
        Box::pin(async move {
            let store = &mut call.store;
            let guest =
                linked.instantiate_async(&mut *store).await.map_err(CallFailure::at_start)?;
            let factory = guest.stepmill_plugin_workflow_factory();
            let answer = factory.call_build(store, &context).await.map_err(CallFailure::at_call)?;
            Ok(answer.map(graph_draft).map_err(refusal))
        })
    }

    pub(super) fn run(
        &self,
        mut call: Call,
        context: &RequestContext,
        input: &FunctionInput,
    ) -> Work<Result<FunctionAnswer, String>> {
        let linked = self.0.clone();
        let (context, input) = (request_context(context), step_input(input));
        Box::pin(async move {
            let store = &mut call.store;
            let guest =
                linked.instantiate_async(&mut *store).await.map_err(CallFailure::at_start)?;
            let functions = guest.stepmill_plugin_functions();
            let answer =
                functions.call_run(store, &context, &input).await.map_err(CallFailure::at_call)?;
            match answer {
                Ok(answer) => function_answer(answer).map(Ok),
                Err(text) => Ok(Err(text)),
            }
        })
    }
}

fn request_context(context: &RequestContext) -> wit::RequestContext {
    let headers = context.request.headers.iter();
    let claims = context.trusted.claims.iter();
    wit::RequestContext {
        user_id: context.user.as_ref().map(ToString::to_string),
        session_id: context.session.as_ref().map(ToString::to_string),
        input: context.input.as_ref().map(object_text),
        request: wit::Request {
            method: context.request.method.clone(),
            path: context.request.path.clone(),
            headers: headers
                .map(|(name, value)| wit::Header { name: name.clone(), value: value.clone() })
                .collect(),
        },
        trusted: wit::TrustedContext {
            tenant: context.tenant.to_string(),
            claims: claims
                .map(|(name, value)| wit::Claim { name: name.clone(), value: value.to_string() })
                .collect(),
            scopes: context.trusted.scopes.iter().cloned().collect(),
        },
    }
}

fn object_text(object: &serde_json::Map<String, serde_json::Value>) -> String {
    serde_json::to_string(object).expect("an object with text keys is always JSON")
}

fn step_input(input: &FunctionInput) -> wit::StepInput {
    let outputs = input.outputs.iter();
    let history = input.history.iter();
    wit::StepInput {
        function: wit::Function {
            name: input.function.name.clone(),
            argument: input.function.argument.clone(),
        },
        step: input.step.clone(),
        message: input.message.clone(),
        previous: input.previous.clone(),
        outputs: outputs
            .map(|it| wit::StepContent { step: it.step.clone(), content: it.content.clone() })
            .collect(),
        run: run_context(input),
        history: history
            .map(|it| wit::PastRun { message: it.input.clone(), content: it.content.clone() })
            .collect(),
    }
}

fn run_context(input: &FunctionInput) -> wit::RunContext {
    wit::RunContext {
        run_id: input.run.to_string(),
        session_id: input.session.to_string(),
        user_id: input.user.as_ref().map(ToString::to_string),
        session_state: object_text(&input.session_state),
        dependencies: input.extras.dependencies.as_ref().map(ToString::to_string),
        metadata: object_text(&input.extras.metadata),
        additional_data: input.extras.additional_data.clone(),
        media: input.extras.media.iter().map(media).collect(),
    }
}

fn media(media: &Media) -> wit::Media {
    wit::Media {
        kind: match media.kind {
            MediaKind::Image => wit::MediaKind::Image,
            MediaKind::Audio => wit::MediaKind::Audio,
            MediaKind::Video => wit::MediaKind::Video,
            MediaKind::File => wit::MediaKind::File,
        },
        content: media.content.clone(),
        url: media.url.clone(),
        mime_type: media.mime_type.clone(),
        filename: media.filename.clone(),
    }
}

fn function_answer(answer: wit::StepOutput) -> Result<FunctionAnswer, CallFailure> {
    let session_state = answer.session_state.as_deref().map(json::object).transpose();
    Ok(FunctionAnswer {
        output: StepOutput { content: answer.content, stop: answer.stop },
        session_state: session_state.map_err(|it| CallFailure::BadAnswer(it.into()))?,
    })
}

fn claimed(description: wit::Description) -> Claimed {
    let capabilities = description.capabilities.into_iter();
    Claimed {
        id: description.id,
        kind: match description.kind {
            wit::WorkflowKind::Factory => WorkflowKind::Factory,
            wit::WorkflowKind::Prototype => WorkflowKind::Prototype,
        },
        name: description.name,
        description: description.description,
        input_schema: description.input_schema,
        capabilities: capabilities
            .map(|it| match it {
                wit::Capability::Clock => Asked::Clock,
                wit::Capability::Randomness => Asked::Randomness,
                wit::Capability::Config => Asked::Config,
                wit::Capability::Kv => Asked::KeyValue,
                wit::Capability::Model(name) => Asked::Model(name),
                wit::Capability::Http(rule) => Asked::Http(rule),
                wit::Capability::Database(rule) => Asked::Database(rule),
                wit::Capability::Secret(name) => Asked::Secret(name),
            })
            .collect(),
    }
}

fn refusal(error: wit::FactoryError) -> Refusal {
    match error {
        wit::FactoryError::Permission(text) => Refusal::Permission(text),
        wit::FactoryError::Validation(text) => Refusal::Validation(text),
        wit::FactoryError::Other(text) => Refusal::Other(text),
    }
}

fn graph_draft(workflow: wit::Workflow) -> GraphDraft {
    GraphDraft {
        name: workflow.name,
        description: workflow.description,
        nodes: workflow.nodes.into_iter().map(node).collect(),
        root: workflow.root,
        session_state: workflow.session_state,
        showing: workflow.showing.map_or_else(Showing::default, |it| Showing {
            agent_events: it.agent_events,
            agent_runs: it.agent_runs,
            unlisted_events: it.unlisted_events,
        }),
    }
}

fn step_options(options: wit::StepOptions) -> StepOptions {
    StepOptions {
        retries: options.retries,
        on_failure: match options.on_failure {
            wit::OnFailure::Fail => OnFailure::Fail,
            wit::OnFailure::Skip => OnFailure::Skip,
        },
        history: options.history,
    }
}

fn node(node: wit::Node) -> NodeDraft {
    match node {
        wit::Node::Sequence(children) => NodeDraft::Sequence(children),
        wit::Node::Step(step) => NodeDraft::Step(Step {
            name: step.name,
            description: step.description,
            executor: match step.executor {
                wit::Executor::Agent(agent) => Executor::Agent(self::agent(agent)),
                wit::Executor::Function(function) => Executor::Function(FunctionCall {
                    name: function.name,
                    argument: function.argument,
                }),
                wit::Executor::Query(query) => Executor::Query(self::query(query)),
            },
            options: step.options.map_or_else(StepOptions::default, step_options),
        }),
    }
}

fn query(query: wit::Query) -> Query {
    let parameter = |it| match it {
        wit::Parameter::Value(value) => Parameter::Value(value.into()),
        wit::Parameter::Message => Parameter::Message,
        wit::Parameter::Previous => Parameter::Previous,
    };
    Query {
        database: query.database,
        statement: query.statement,
        parameters: query.parameters.into_iter().map(parameter).collect(),
        access: match query.access {
            wit::Access::Read => Access::Read,
            wit::Access::Write => Access::Write,
        },
    }
}

fn agent(agent: wit::Agent) -> Agent {
    Agent {
        name: agent.name,
        model: ModelName { id: agent.model.id, provider: agent.model.provider },
        instructions: agent.instructions,
        temperature: agent.temperature,
        max_output_tokens: agent.max_output_tokens,
    }
}

impl From<wit::Value> for Value {
    fn from(value: wit::Value) -> Self {
        match value {
            wit::Value::Null => Self::Null,
            wit::Value::Boolean(it) => Self::Boolean(it),
            wit::Value::Integer(it) => Self::Integer(it),
            wit::Value::Real(it) => Self::Real(it),
            wit::Value::Text(it) => Self::Text(it),
            wit::Value::Bytes(it) => Self::Bytes(it),
        }
    }
}

impl From<Value> for wit::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Boolean(it) => Self::Boolean(it),
            Value::Integer(it) => Self::Integer(it),
            Value::Real(it) => Self::Real(it),
            Value::Text(it) => Self::Text(it),
            Value::Bytes(it) => Self::Bytes(it),
        }
    }
}
