//! Any value of a core type that a row may hold.

use proptest::collection::{btree_set, vec};
use proptest::option::of as maybe;
use proptest::prelude::*;
use serde_json::{Map, Value};
use stepmill_core::agent::{Agent, AnswerMark, ModelAnswer, ModelName, Usage};
use stepmill_core::capability::Access;
use stepmill_core::context::{RequestContext, RequestFacts};
use stepmill_core::database;
use stepmill_core::event::{ModelIdentity, Progress, RunEvent, StepFailure, StepIndex, StepOutput};
use stepmill_core::graph::{
    Executor, FunctionCall, GraphDraft, GraphLimits, NodeDraft, OnFailure, Parameter, Query, Step,
    StepGraph, StepOptions,
};
use stepmill_core::ids::{SessionId, TenantId, UserId};
use stepmill_core::principal::TrustedClaims;
use uuid::Uuid;

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        proptest::num::f64::NORMAL.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((any::<String>(), inner), 0..4).prop_map(Value::from_iter),
        ]
    })
}

pub(super) fn any_map() -> impl Strategy<Value = Map<String, Value>> {
    vec((any::<String>(), any_value()), 0..5).prop_map(Map::from_iter)
}

pub(super) fn any_context() -> impl Strategy<Value = RequestContext> {
    let texts = vec((any::<String>(), any::<String>()), 0..4);
    let trusted = (any_map(), btree_set(any::<String>(), 0..4));
    let ids = (maybe("[^\\x00-\\x1f\\x7f-\\x9f]{1,20}"), maybe("[a-zé ]{1,20}"), "[a-z.]{1,20}");
    (ids, maybe(any_map()), any::<(String, String)>(), texts, trusted).prop_map(
        |((user, session, tenant), input, (method, path), headers, (claims, scopes))| {
            RequestContext {
                user: user.map(|it| UserId::new(it).unwrap()),
                session: session.map(|it| SessionId::new(it).unwrap()),
                input,
                request: RequestFacts { method, path, headers },
                tenant: TenantId::new(tenant).unwrap(),
                trusted: TrustedClaims { claims, scopes },
            }
        },
    )
}

fn any_executor() -> impl Strategy<Value = Executor> {
    let agent = ("[^ ]{1,9}", "[^ ]{1,9}", maybe("[^ ]{1,9}"), any::<String>());
    let numbers = (maybe(0f32..=2f32), maybe(1u32..));
    let agent = (agent, numbers).prop_map(|((name, id, provider, instructions), numbers)| {
        Executor::Agent(Agent {
            name,
            model: ModelName { id, provider },
            instructions,
            temperature: numbers.0,
            max_output_tokens: numbers.1,
        })
    });
    let function = ("[^ ]{1,9}", maybe(any::<String>()))
        .prop_map(|(name, argument)| Executor::Function(FunctionCall { name, argument }));
    prop_oneof![agent, function, any_query()]
}

fn any_query() -> impl Strategy<Value = Executor> {
    let value = prop_oneof![
        Just(database::Value::Null),
        any::<bool>().prop_map(database::Value::Boolean),
        any::<i64>().prop_map(database::Value::Integer),
        any::<f64>().prop_filter("not itself", |it| !it.is_nan()).prop_map(database::Value::Real),
        any::<String>().prop_map(database::Value::Text),
        vec(any::<u8>(), 0..9).prop_map(database::Value::Bytes),
    ];
    let parameter = prop_oneof![
        Just(Parameter::Message),
        Just(Parameter::Previous),
        value.prop_map(Parameter::Value),
    ];
    let access = prop_oneof![Just(Access::Read), Just(Access::Write)];
    ("[a-z]{1,9}", "[^ ]{1,9}", vec(parameter, 0..9), access).prop_map(
        |(database, statement, parameters, access)| {
            Executor::Query(Query { database, statement, parameters, access })
        },
    )
}

pub(super) fn any_graph() -> impl Strategy<Value = StepGraph> {
    let options = (0u32..9, any::<bool>(), 0u32..9).prop_map(|(retries, may_fail, history)| {
        let on_failure = if may_fail { OnFailure::Skip } else { OnFailure::Fail };
        StepOptions { retries, on_failure, history }
    });
    let steps = vec((maybe("[^ ]{1,9}"), any_executor(), options), 0..5);
    ("[^\\s]{1,9}", maybe(any::<String>()), steps).prop_filter_map(
        "a fault",
        |(name, text, steps)| {
            let step = |(at, (description, executor, options))| Step {
                name: format!("step {at}"),
                description,
                executor,
                options,
            };
            let root = steps.len() as u32;
            let mut nodes: Vec<_> =
                steps.into_iter().enumerate().map(step).map(NodeDraft::Step).collect();
            nodes.push(NodeDraft::Sequence((0..root).collect()));
            let mut draft = GraphDraft::new(name, nodes, root);
            draft.description = text;
            draft.check(&GraphLimits::default()).ok()
        },
    )
}

fn any_mark() -> impl Strategy<Value = AnswerMark> {
    (maybe(any::<String>()), maybe(any::<String>())).prop_map(
        |(response_id, system_fingerprint)| AnswerMark { response_id, system_fingerprint },
    )
}

pub(super) fn any_event() -> impl Strategy<Value = RunEvent> {
    let step = any::<u32>().prop_map(StepIndex);
    let output = any::<(String, bool)>().prop_map(|(content, stop)| StepOutput { content, stop });
    let failure = proptest::sample::select(&StepFailure::ALL[..]);
    let answer = (any::<String>(), any::<[u64; 5]>(), any_mark(), maybe(any::<u64>())).prop_map(
        |(content, tokens, mark, first_token_micros)| ModelAnswer {
            content,
            usage: Usage {
                input_tokens: tokens[0],
                output_tokens: tokens[1],
                reasoning_tokens: tokens[2],
                cache_read_tokens: tokens[3],
                cache_write_tokens: tokens[4],
            },
            mark,
            first_token_micros,
            duration_micros: tokens[0],
        },
    );
    let model =
        any::<[String; 3]>().prop_map(|[model, vendor, api]| ModelIdentity { model, vendor, api });
    let progress = maybe(any::<String>()).prop_map(|content| Progress { content, data: None });
    prop_oneof![
        (step.clone(), progress)
            .prop_map(|(step, progress)| RunEvent::FunctionProgress { step, progress }),
        (step.clone(), failure.clone())
            .prop_map(|(step, failure)| RunEvent::TryFailed { step, failure }),
        (step.clone(), failure.clone(), output.clone()).prop_map(|(step, failure, output)| {
            RunEvent::StepSkipped { step, failure, output }
        }),
        (step.clone(), any::<u128>(), model).prop_map(|(step, call, model)| {
            RunEvent::ModelCalled { step, call: Uuid::from_u128(call), model }
        }),
        (step.clone(), any_mark()).prop_map(|(step, mark)| RunEvent::ModelBegan { step, mark }),
        (step.clone(), any::<String>())
            .prop_map(|(step, text)| RunEvent::ModelDelta { step, text }),
        (step.clone(), answer).prop_map(|(step, answer)| RunEvent::ModelAnswered { step, answer }),
        (step.clone(), output).prop_map(|(step, output)| RunEvent::StepCompleted { step, output }),
        (step, failure).prop_map(|(step, failure)| RunEvent::StepFailed { step, failure }),
    ]
}
