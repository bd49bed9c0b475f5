//! Stored forms read back as what was written: golden files for the past, properties for the rest.

mod any;

use std::collections::BTreeSet;
use std::sync::Arc;

use any::{any_context, any_event, any_graph, any_map};
use proptest::option::of as maybe;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use stepmill_core::agent::{Agent, AnswerMark, ModelAnswer, ModelName, Usage};
use stepmill_core::capability::{Access, Capability};
use stepmill_core::context::{RequestContext, RequestFacts};
use stepmill_core::database;
use stepmill_core::event::{ModelIdentity, Progress, RunEvent, StepFailure, StepIndex, StepOutput};
use stepmill_core::extras::{Extras, Media, MediaKind};
use stepmill_core::graph::{
    Executor, FunctionCall, GraphDraft, GraphLimits, NodeDraft, OnFailure, Parameter, Step,
    StepGraph, StepOptions,
};
use stepmill_core::ids::{SessionId, TenantId, UserId, WorkflowId};
use stepmill_core::plugin::{Description, WorkflowKind};
use stepmill_core::principal::TrustedClaims;
use stepmill_core::run::PastRun;
use uuid::Uuid;

use super::{beginning, context, description, event, extras, graph};
use crate::error::StoreError;

fn golden(name: &str) -> String {
    let path = format!("{}/tests/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// What is written today, as a golden file has it.
fn pretty(form: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(form).unwrap() + "\n"
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn sample_context() -> RequestContext {
    RequestContext {
        user: Some(UserId::new("auth0|ada").unwrap()),
        session: Some(SessionId::new("s-1").unwrap()),
        input: Some(object(json!({ "zeta": 1.0, "alpha": ["ü", "\u{0}"], "big": 1e16 }))),
        request: RequestFacts {
            method: "POST".into(),
            path: "/workflows/w/runs".into(),
            headers: vec![("accept".into(), "text/event-stream".into())],
        },
        tenant: TenantId::new("acme").unwrap(),
        trusted: TrustedClaims {
            claims: object(json!({ "sub": "auth0|ada", "exp": 1_795_000_000 })),
            scopes: BTreeSet::from(["plugins:write".into(), "runs:write".into()]),
        },
    }
}

fn sample_graph() -> StepGraph {
    let agent = Agent {
        name: "Writer".into(),
        model: ModelName { id: "gpt-5.4".into(), provider: Some("main".into()) },
        instructions: "Write.\nBriefly.".into(),
        temperature: Some(0.7),
        max_output_tokens: Some(512),
    };
    let write = Step {
        name: "write".into(),
        description: Some("Writes.".into()),
        executor: Executor::Agent(agent),
        options: StepOptions::default(),
    };
    let function = FunctionCall { name: "publish".into(), argument: Some("{\"to\":1}".into()) };
    let publish = Step {
        name: "publish".into(),
        description: None,
        executor: Executor::Function(function),
        options: StepOptions::default(),
    };
    checked("content", Some("Content, written and published."), vec![write, publish])
}

fn checked(name: &str, description: Option<&str>, steps: Vec<Step>) -> StepGraph {
    let root = steps.len() as u32;
    let mut nodes: Vec<_> = steps.into_iter().map(NodeDraft::Step).collect();
    nodes.push(NodeDraft::Sequence((0..root).collect()));
    let description = description.map(str::to_owned);
    let mut draft = GraphDraft::new(name, nodes, root);
    draft.description = description;
    draft.check(&GraphLimits::default()).unwrap()
}

fn sample_description() -> Description {
    Description {
        id: WorkflowId::new("content").unwrap(),
        kind: WorkflowKind::Factory,
        name: Some("Content".into()),
        description: None,
        input_schema: Some(object(json!({ "type": "object", "additionalProperties": false }))),
        capabilities: vec![
            Capability::Clock,
            Capability::Randomness,
            Capability::Config,
            Capability::KeyValue,
            Capability::parse("http:*.example.com").unwrap(),
            Capability::parse("model:gpt-*").unwrap(),
            Capability::parse("http:GET,HEAD api.example.com/v1/*").unwrap(),
            Capability::parse("database:orders:write").unwrap(),
            Capability::parse("secret:crm-key").unwrap(),
        ],
    }
}

fn sample_extras() -> (Extras, Map<String, Value>) {
    let picture = Media {
        id: "m-1".into(),
        kind: MediaKind::Image,
        content: Some(vec![0, 255]),
        url: None,
        mime_type: Some("image/png".into()),
        format: Some("png".into()),
        filename: None,
    };
    let place = Media {
        id: "m-2".into(),
        kind: MediaKind::File,
        content: None,
        url: Some("https://example.com/a.pdf".into()),
        mime_type: None,
        format: None,
        filename: Some("a.pdf".into()),
    };
    let extras = Extras {
        dependencies: Some(json!([1, "two"])),
        tells_dependencies: true,
        tells_state: true,
        is_object: true,
        metadata: object(json!({ "m": { "deep": null } })),
        additional_data: Some("\u{0}text".into()),
        media: [picture, place].into(),
    };
    (extras, object(json!({ "n": 10 })))
}

fn sample_events() -> Vec<RunEvent> {
    let step = StepIndex(0);
    let output = StepOutput { content: "Done \u{0}\u{1F600}".into(), stop: true };
    let model = ModelIdentity {
        model: "gpt-5.4".into(),
        vendor: "OpenAI".into(),
        api: "OpenAI Responses".into(),
    };
    let usage = Usage {
        input_tokens: 10,
        output_tokens: 20,
        reasoning_tokens: 5,
        cache_read_tokens: 4,
        cache_write_tokens: u64::MAX,
    };
    let mark = AnswerMark {
        response_id: Some("chatcmpl-1".into()),
        system_fingerprint: Some("fp_1".into()),
    };
    let answer = ModelAnswer {
        content: "Hello".into(),
        usage,
        mark: AnswerMark { response_id: Some("resp_1".into()), system_fingerprint: None },
        first_token_micros: Some(120_000),
        duration_micros: 900_000,
    };
    vec![
        RunEvent::RunStarted,
        RunEvent::RunResumed,
        RunEvent::StepStarted { step },
        RunEvent::ModelCalled { step, call: Uuid::from_u128(7), model },
        RunEvent::ModelBegan { step, mark },
        RunEvent::ModelDelta { step, text: "Hel".into() },
        RunEvent::ModelAnswered { step, answer },
        RunEvent::FunctionCalled { step },
        RunEvent::FunctionAnswered { step, output: output.clone(), session_state: None },
        RunEvent::StepCompleted { step, output },
        RunEvent::StepFailed { step, failure: StepFailure::ModelBusy },
        RunEvent::RunCompleted,
        RunEvent::RunFailed { failure: StepFailure::HostFailed },
        RunEvent::RunFailed { failure: StepFailure::BudgetExhausted },
    ]
}

#[test]
fn a_context_of_the_past_is_read_and_still_written_so() {
    assert_eq!(context::read(&golden("context.v1")).unwrap(), sample_context());
    assert_eq!(pretty(&context::form(&sample_context())), golden("context.v1"));
}

#[test]
fn a_graph_of_the_past_is_read_and_still_written_so() {
    assert_eq!(graph::read(&golden("graph.v1")).unwrap(), sample_graph());
    assert_eq!(pretty(&graph::form(&sample_graph())), golden("graph.v1"));
}

#[test]
fn a_query_is_stored_in_these_words() {
    let words = r#"{"v":1,"name":"w","description":null,"steps":[{"name":"q","description":null,"executor":{"query":{"database":"orders","statement":"select $1","parameters":["null",{"boolean":true},{"integer":-1},{"real":"inf"},{"text":"é"},{"bytes":"AP8="},"message","previous"],"write":true}}}]}"#;
    let read = graph::read(words).unwrap();
    let Executor::Query(query) = &read.steps()[0].executor else { panic!("it is a query") };
    let infinite = Parameter::Value(database::Value::Real(f64::INFINITY));
    assert_eq!((query.access, &query.parameters[3]), (Access::Write, &infinite));
    assert_eq!(graph::write(&read), words);
}

#[test]
fn a_description_of_the_past_is_read_and_still_written_so() {
    assert_eq!(description::read(&golden("description.v1")).unwrap(), sample_description());
    assert_eq!(pretty(&description::form(&sample_description())), golden("description.v1"));
}

#[test]
fn extras_of_the_past_are_read_and_still_written_so() {
    let (sample, state) = sample_extras();
    let none: Arc<[PastRun]> = Arc::from([]);
    let past = (sample.clone(), state.clone(), none.clone());
    assert_eq!(extras::read(Some(&golden("extras.v1"))).unwrap(), past);
    assert_eq!(pretty(&extras::form(&sample, &state, &[])), golden("extras.v1"));
    assert_eq!(extras::write(&Extras::default(), &Map::new(), &[]).unwrap(), None);
    assert_eq!(extras::read(None).unwrap(), (Extras::default(), Map::new(), none));
}

#[test]
fn what_is_newer_than_the_first_rows_reads_back() {
    let mut about = sample_description();
    about.kind = WorkflowKind::Prototype;
    assert_eq!(description::read(&description::write(&about).unwrap()).unwrap(), about);
    let mut draft = GraphDraft::new("w", vec![NodeDraft::Sequence(vec![])], 0);
    draft.session_state = Some(r#"{"n":10}"#.into());
    draft.showing.agent_runs = false;
    draft.showing.unlisted_events = vec!["StepStarted".into()];
    let drawn = draft.check(&GraphLimits::default()).unwrap();
    assert_eq!(graph::read(&graph::write(&drawn)).unwrap(), drawn);
    let event = RunEvent::FunctionAnswered {
        step: StepIndex(0),
        output: StepOutput { content: String::new(), stop: false },
        session_state: Some(object(json!({ "n": 11 }))),
    };
    assert_eq!(event::read(&event::write(&event)).unwrap(), event);
    let history = [PastRun { input: "hi".into(), content: "ho".into() }];
    let text = extras::write(&Extras::default(), &Map::new(), &history).unwrap();
    assert_eq!(extras::read(text.as_deref()).unwrap().2[..], history);
}

#[test]
fn what_holds_for_a_step_is_stored_in_these_words() {
    let words = r#"{"v":1,"name":"w","description":null,"steps":[{"name":"f","description":null,"executor":{"function":{"name":"f","argument":null}},"options":{"retries":2,"may_fail":true,"history":3}}],"showing":{"agent_events":false,"agent_runs":true,"unlisted_events":["StepStarted"]}}"#;
    let read = graph::read(words).unwrap();
    let options = StepOptions { retries: 2, on_failure: OnFailure::Skip, history: 3 };
    assert_eq!(read.steps()[0].options, options);
    assert_eq!(graph::write(&read), words);
}

#[test]
fn what_steps_tell_and_how_they_fail_is_stored_in_these_words() {
    let step = StepIndex(1);
    let output = StepOutput { content: "c".into(), stop: false };
    let progress = Progress { content: Some("half".into()), data: Some(object(json!({ "n": 1 }))) };
    let failure = StepFailure::FunctionFailed;
    for (event, words) in [
        (
            RunEvent::FunctionProgress { step, progress },
            r#"{"v":1,"kind":"function_progress","step":1,"content":"half","data":{"n":1}}"#,
        ),
        (
            RunEvent::FunctionProgress { step, progress: Progress::default() },
            r#"{"v":1,"kind":"function_progress","step":1}"#,
        ),
        (
            RunEvent::TryFailed { step, failure },
            r#"{"v":1,"kind":"try_failed","step":1,"failure":"function_failed"}"#,
        ),
        (
            RunEvent::StepSkipped { step, failure, output },
            r#"{"v":1,"kind":"step_skipped","step":1,"failure":"function_failed","output":{"content":"c","stop":false}}"#,
        ),
    ] {
        assert_eq!(event::write(&event), words);
        assert_eq!(event::read(words).unwrap(), event);
        assert_eq!(json!(event::form(&event))["kind"], event::kind(&event));
    }
}

#[test]
fn events_of_the_past_are_read_and_still_written_so() {
    let past: Vec<Value> = serde_json::from_str(&golden("event.v1")).unwrap();
    let read: Vec<_> = past.iter().map(|it| event::read(&it.to_string()).unwrap()).collect();
    assert_eq!(read, sample_events());
    let today: Vec<_> = sample_events().iter().map(|it| json!(event::form(it))).collect();
    assert_eq!(pretty(&today), golden("event.v1"));
}

#[test]
fn an_event_is_read_in_whatever_order_its_fields_stand() {
    let other = r#" {"step":7,"kind":"step_started","v":1}"#;
    assert_eq!(event::read(other).unwrap(), RunEvent::StepStarted { step: StepIndex(7) });
}

#[test]
fn the_kind_is_the_word_of_the_form() {
    for it in sample_events() {
        assert_eq!(json!(event::form(&it))["kind"], event::kind(&it));
    }
}

#[test]
fn what_is_not_understood_is_said_without_its_text() {
    let told = |text: &str| match event::read(text) {
        Err(StoreError::Unreadable { what }) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(told(r#"{"v":2,"kind":"run_started"}"#), "an event of version 2");
    assert_eq!(told(r#"{"v":1,"kind":"secret"}"#), "an event of an unknown kind");
    assert_eq!(told(r#"{"v":1,"kind":"run_failed"}"#), "an event (line 1 column 27)");
    assert_eq!(
        told(r#"{"v":1,"kind":"run_failed","failure":"secret"}"#),
        "an event with an unknown failure"
    );
    assert_eq!(told(r#"{"v":1,"kind":"run_started"#), "an event (line 1 column 26)");
    assert_eq!(told("secret"), "an event (line 1 column 1)");
}

#[test]
fn a_graph_that_was_damaged_is_checked_again() {
    let damaged = golden("graph.v1").replace("\"publish\",\n      \"desc", "\" \",\n      \"desc");
    assert_ne!(damaged, golden("graph.v1"));
    assert!(matches!(graph::read(&damaged), Err(StoreError::Unreadable { .. })));
}

#[test]
fn what_is_nested_too_deep_to_be_read_back_is_not_written() {
    let nested = |depth| (0..depth).fold(json!(1), |it, _| json!([it]));
    let mut context = sample_context();
    context.input = Some(object(json!({ "deep": nested(99) })));
    assert_eq!(context::read(&context::write(&context).unwrap()).unwrap(), context);
    context.input = Some(object(json!({ "deep": nested(100) })));
    assert!(matches!(context::write(&context), Err(StoreError::Unstorable { .. })));
}

proptest! {
    #[test]
    fn a_context_reads_back(it in any_context()) {
        prop_assert_eq!(context::read(&context::write(&it).unwrap()).unwrap(), it);
    }

    #[test]
    fn a_graph_reads_back(it in any_graph()) {
        prop_assert_eq!(graph::read(&graph::write(&it)).unwrap(), it);
    }

    #[test]
    fn an_event_reads_back(it in any_event()) {
        prop_assert_eq!(event::read(&event::write(&it)).unwrap(), it);
    }

    #[test]
    fn a_description_reads_back(
        name in maybe(any::<String>()),
        text in maybe(any::<String>()),
        input_schema in maybe(any_map()),
    ) {
        let it = Description { name, description: text, input_schema, ..sample_description() };
        prop_assert_eq!(description::read(&description::write(&it).unwrap()).unwrap(), it);
    }
}

#[test]
fn a_text_that_was_cut_off_reads_as_its_beginning() {
    let text = "\0 \u{1f98a} \" \\ \u{10ffff}\r";
    let whole = super::text(&text);
    let mut read = BTreeSet::new();
    for (cut, _) in whole.char_indices().skip(1) {
        let found = beginning(&whole[..cut]).unwrap();
        assert!(text.starts_with(&found), "{found:?}");
        read.insert(found);
    }
    // Each character is there as soon as its text is.
    assert_eq!(read.len(), text.chars().count() + 1);
    assert_eq!(beginning(&format!("{whole},\"more\":1}}")).as_deref(), Some(text));
    assert_eq!(beginning("1"), None);
    assert_eq!(beginning(""), None);
}

#[test]
fn a_finished_step_begins_with_its_content() {
    let content = "{\"content\":\"not this\"} and more";
    let output = StepOutput { content: content.into(), stop: true };
    let text = event::write(&RunEvent::StepCompleted { step: StepIndex(7), output });
    assert_eq!(event::content_beginning(&text).unwrap(), content);
    assert!(content.starts_with(&event::content_beginning(&text[..100]).unwrap()));
    assert!(event::content_beginning("{\"v\":1,\"kind\":\"run_started\"}").is_err());
}
