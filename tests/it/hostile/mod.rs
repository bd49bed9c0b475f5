//! Hostile plugins at the door: each gets its own error, and nobody else notices.

mod corpus;
mod exfiltration;
mod forgeries;
mod neighbours;
#[cfg(target_os = "linux")]
mod rebinding;
mod waiting;

use serde_json::Value;

use crate::house::{House, Reply, hostile, hostile_core};

/// What came back: the status, and the stable word or the sentence.
fn told(reply: &Reply) -> (u16, String) {
    let body: Value = serde_json::from_str(&reply.text).unwrap_or_default();
    let word = body["error_id"].as_str().or_else(|| body["detail"].as_str());
    (reply.status, word.unwrap_or_default().to_owned())
}

/// A hundred calls of a good plugin, all of them right.
async fn nobody_noticed(house: &House) {
    for it in 0..100 {
        let word = format!("still here {it}");
        assert_eq!(house.run("echo", &[("message", &word)]).await.good()["content"], word.as_str());
    }
}

async fn house() -> House {
    let house = House::serve()
        .demo_models()
        .settings("[limits]\ncpu_ms = 200\ndeadline_ms = 2000\nhost_calls = 100")
        .generous()
        .open()
        .await;
    house.push_example("echo").await;
    assert_eq!(house.push("hostile", hostile()).await.status, 201);
    house
}

fn refused(reply: &Reply) -> (u16, String) {
    let body = reply.json();
    (reply.status, body["error_id"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_build_that_misbehaves_is_named_and_stays_alone() {
    let house = house().await;
    for (order, code) in [
        ("loop", "plugin_cpu_exhausted"),
        ("memory", "plugin_memory_exhausted"),
        ("dive", "plugin_stack_overflow"),
        ("text 100000000", "plugin_memory_exhausted"),
        ("text 20000000", "plugin_answer_too_large"),
        ("kv-many 1000", "plugin_host_calls_exhausted"),
        ("panic secret words", "plugin_trapped"),
        ("exit 3", "plugin_exited"),
        ("sleep 60000", "plugin_deadline_passed"),
        ("nodes 5000", "graph_invalid"),
        ("cycle", "graph_invalid"),
    ] {
        let reply = house.run("hostile", &[("message", "x"), ("session_id", order)]).await;
        assert_eq!(refused(&reply), (500, code.to_owned()), "{order}: {}", reply.text);
        assert_eq!(reply.refusal().1, "Workflow factory error", "{order}");
        nobody_noticed(&house).await;
    }
    assert!(!house.log().contains("secret words"), "{}", house.log());
}

#[tokio::test]
async fn what_a_factory_says_of_a_failure_stays_inside() {
    let house = house().await;
    let said = async |order: &str| {
        house.run("hostile", &[("message", "x"), ("session_id", order)]).await.refusal()
    };
    assert_eq!(said("permission not you").await, (403, "not you".into()));
    assert_eq!(said("validation words must be even").await, (400, "words must be even".into()));
    assert_eq!(
        said("other postgres://ai:secret@db refused").await,
        (500, "Workflow factory error".into())
    );
    assert!(!house.log().contains("postgres://"), "{}", house.log());
}

#[tokio::test]
async fn a_function_that_misbehaves_fails_its_run_only() {
    let house = house().await;
    for (order, code) in [
        ("loop", "plugin_timed_out"),
        ("memory", "plugin_out_of_memory"),
        ("panic secret words", "plugin_trapped"),
        ("text 20000000", "plugin_over_limit"),
        ("report secret words", "function_failed"),
    ] {
        let reply = house.run("hostile", &[("message", order), ("session_id", code)]).await;
        assert_eq!(refused(&reply), (500, code.to_owned()), "{order}: {}", reply.text);
        assert!(!reply.text.contains("secret"), "{}", reply.text);
        nobody_noticed(&house).await;
    }
    assert!(!house.log().contains("secret words"), "{}", house.log());
}

#[tokio::test]
async fn a_table_that_grows_is_stopped() {
    let house = house().await;
    let component = hostile_core(
        "(func $build (param i32) (result i32)
            (loop $again
                (drop (table.grow $t (ref.null func) (i32.const 1000)))
                (br $again))
            (unreachable))",
    );
    let reply = house.push("tables", component).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    let reply = house.run("tables", &[("message", "x")]).await;
    assert_eq!(refused(&reply), (500, "plugin_table_exhausted".into()), "{}", reply.text);
    nobody_noticed(&house).await;
}

#[tokio::test]
async fn what_is_no_plugin_is_not_taken_in() {
    let house = house().await;
    let core = b"\0asm\x01\0\0\0".to_vec();
    let alien = wat::parse_str(
        r#"(component (import "evil:host/shell" (instance (export "run" (func)))))"#,
    )
    .unwrap();
    let empty = wat::parse_str("(component)").unwrap();
    let mut cut = crate::house::example("pipeline");
    cut.truncate(cut.len() / 2);
    for (component, code) in [
        (b"garbage".to_vec(), "not_a_component"),
        (vec![], "not_a_component"),
        (core, "not_a_component"),
        (alien, "unknown_import"),
        (empty, "missing_export"),
        (cut, "invalid_component"),
    ] {
        let reply = house.push("bad", component).await;
        assert_eq!(refused(&reply), (422, code.to_owned()), "{}", reply.text);
    }
    let reply = house
        .push(
            "bad",
            wat::parse_str(
                r#"(component (import "evil:host/shell" (instance (export "run" (func)))))"#,
            )
            .unwrap(),
        )
        .await;
    assert!(reply.refusal().1.contains("evil:host/shell"), "{}", reply.text);
    assert_eq!(house.get("/plugins/bad").await.status, 404);
    nobody_noticed(&house).await;
}
