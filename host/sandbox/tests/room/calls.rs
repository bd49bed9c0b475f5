//! What well-behaved guests get and give.

use stepmill_core::capability::Access;
use stepmill_core::database::Value;
use stepmill_core::graph::{Executor, GraphLimits, NodeDraft, Parameter};
use stepmill_sandbox::{BuildFailure, CallFailure, CallLimits, FunctionFailure};

use crate::room::{build, context, input, plugin, run, short, site};

#[tokio::test]
async fn a_graph_arrives_as_it_was_drawn() {
    let plugin = plugin(short()).await;
    let draft = build(&plugin, "good").await.unwrap();
    let NodeDraft::Step(write) = &draft.nodes[1] else { panic!("the second node is a step") };
    let Executor::Agent(agent) = &write.executor else { panic!("it is an agent's") };
    assert_eq!((agent.model.id.as_str(), agent.temperature), ("demo", Some(0.5)));
    let graph = draft.check(&GraphLimits::default()).unwrap();
    let names: Vec<_> = graph.steps().iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["write", "finish"]);
}

#[tokio::test]
async fn a_query_arrives_with_its_places() {
    let plugin = plugin(short()).await;
    let draft = build(&plugin, "draw-query").await.unwrap();
    let NodeDraft::Step(step) = &draft.nodes[0] else { panic!("the node is a step") };
    let Executor::Query(query) = &step.executor else { panic!("it is a query") };
    assert_eq!((query.database.as_str(), query.access), ("orders", Access::Write));
    let half = Parameter::Value(Value::Real(0.5));
    assert_eq!(query.parameters, [Parameter::Message, half, Parameter::Previous]);
}

#[tokio::test]
async fn a_bad_graph_arrives_as_it_was_drawn_too() {
    let plugin = plugin(short()).await;
    let draft = build(&plugin, "cycle").await.unwrap();
    assert_eq!(draft.nodes, [NodeDraft::Sequence(vec![0, 99])]);
}

#[tokio::test]
async fn the_factory_sees_the_whole_context() {
    let plugin = plugin(short()).await;
    let seen = build(&plugin, "context").await.unwrap().description.unwrap();
    for part in [
        r#"user-id: Some("ada")"#,
        r#"session-id: Some("context")"#,
        r#"input: Some("{\"topic\":\"tea\"}")"#,
        r#"method: "POST", path: "/workflows/hostile/runs""#,
        r#"headers: [Header { name: "x-kind", value: "test" }]"#,
        r#"tenant: "acme""#,
        r#"Claim { name: "sub", value: "\"ada\"" }"#,
        r#"Claim { name: "tier", value: "3" }"#,
        r#"scopes: ["workflows:run"]"#,
    ] {
        assert!(seen.contains(part), "{part} in {seen}");
    }
}

#[tokio::test]
async fn a_refusal_keeps_its_kind_and_its_text() {
    let plugin = plugin(short()).await;
    let refused = build(&plugin, "permission only for gold").await;
    assert!(matches!(refused, Err(BuildFailure::Permission(text)) if text == "only for gold"));
    let refused = build(&plugin, "validation no topic").await;
    assert!(matches!(refused, Err(BuildFailure::Validation(text)) if text == "no topic"));
    let refused = build(&plugin, "other database").await.unwrap_err();
    assert_eq!(refused.to_string(), "the factory reported an error");
    assert!(matches!(refused, BuildFailure::Other(text) if text == "database"));
}

#[tokio::test]
async fn a_long_refusal_is_cut() {
    let plugin = plugin(CallLimits { refusal_bytes: 7, ..short() }).await;
    let refused = build(&plugin, "long-refusal 100").await;
    assert!(matches!(refused, Err(BuildFailure::Other(text)) if text == "ééé"));
}

#[tokio::test]
async fn a_function_gets_its_input_and_gives_its_output() {
    let plugin = plugin(short()).await;
    let mut input = input("input");
    input.previous = Some("before".to_owned());
    let answer = plugin.run_function(site(), &context("good"), &input).await.unwrap();
    let output = answer.output;
    for part in [r#"name: "finish""#, r#"argument: Some("{}")"#, r#"previous: Some("before")"#] {
        assert!(output.content.contains(part), "{part} in {}", output.content);
    }
    assert!(!output.stop);
    assert_eq!(answer.session_state, None);
    assert!(output.content.contains(r#"session-state: "{\"n\":1}""#), "{}", output.content);
    assert!(run(&plugin, "stop here").await.unwrap().output.stop);
}

#[tokio::test]
async fn a_function_changes_the_sessions_state() {
    let plugin = plugin(short()).await;
    let answer = run(&plugin, r#"state {"n":2}"#).await.unwrap();
    assert_eq!(answer.session_state.unwrap()["n"], 2);
    let deep = format!("state {}1{}", "{\"a\":".repeat(65), "}".repeat(65));
    for order in ["state [1]", "state nonsense", &deep] {
        let failure = run(&plugin, order).await.unwrap_err();
        assert!(matches!(failure, FunctionFailure::Call(CallFailure::BadAnswer(_))), "{order}");
    }
}

#[tokio::test]
async fn a_functions_error_is_a_report() {
    let plugin = plugin(short()).await;
    let failure = run(&plugin, "report out of tea").await.unwrap_err();
    assert_eq!(failure.step_failure().code(), "function_failed");
    assert!(matches!(failure, FunctionFailure::Reported(text) if text == "out of tea"));
}

#[tokio::test]
async fn no_call_sees_what_another_left_behind() {
    let plugin = plugin(short()).await;
    let first = build(&plugin, "random").await.unwrap().description;
    let second = build(&plugin, "random").await.unwrap().description;
    assert_eq!(first, second, "each instance begins where every instance begins");
}

#[tokio::test]
async fn a_thousand_calls_come_back() {
    let plugin = plugin(short()).await;
    for _ in 0..1_000 {
        assert_eq!(build(&plugin, "good").await.unwrap().nodes.len(), 3);
    }
}
