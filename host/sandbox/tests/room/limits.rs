//! Each kind of misbehaviour ends in exactly its failure, and harms nobody after it.

use std::sync::Arc;

use stepmill_core::blame::Blame;
use stepmill_core::capability::Capability;
use stepmill_core::limits::Limits;
use stepmill_sandbox::{
    BuildFailure, CallFailure, CallLimits, FunctionFailure, Plugin, PoolSettings, Sandbox,
    SandboxSettings,
};
use tokio::task::JoinSet;

use crate::guests;
use crate::room::{
    Desk, build, context, failure, input, plugin, run, sandbox, settings, short, site, site_with,
    still_good,
};

/// Asks for `order`, and then for a hundred good graphs.
async fn ends_as(plugin: &Plugin, order: &str, expected: fn(&CallFailure) -> bool) {
    let failure = failure(plugin, order).await;
    assert!(expected(&failure), "`{order}` ended as {failure:?}");
    still_good(plugin).await;
}

#[tokio::test]
async fn an_endless_loop_uses_up_its_cpu_time() {
    let plugin = plugin(short()).await;
    ends_as(&plugin, "loop", |it| matches!(it, CallFailure::CpuExhausted)).await;
}

#[tokio::test]
async fn a_loop_with_much_cpu_time_ends_at_the_deadline() {
    let plugin = plugin(CallLimits { cpu_ms: 60_000, deadline_ms: 100, ..short() }).await;
    let failure = failure(&plugin, "loop").await;
    assert!(matches!(failure, CallFailure::DeadlinePassed), "{failure:?}");
}

#[tokio::test]
async fn hoarding_memory_ends() {
    let plugin = plugin(CallLimits { cpu_ms: 5_000, ..short() }).await;
    ends_as(&plugin, "memory", |it| matches!(it, CallFailure::MemoryExhausted)).await;
}

#[tokio::test]
async fn deep_recursion_ends_on_either_stack() {
    let plugin = plugin(short()).await;
    // Rust's own stack lies at the bottom of the guest's memory and runs out of it.
    ends_as(&plugin, "recurse", |it| {
        matches!(it, CallFailure::Trapped { code: "memory_out_of_bounds" })
    })
    .await;
    ends_as(&plugin, "dive", |it| matches!(it, CallFailure::StackOverflow)).await;
}

#[tokio::test]
async fn traps_say_which() {
    let plugin = plugin(short()).await;
    ends_as(&plugin, "panic secret", |it| {
        matches!(it, CallFailure::Trapped { code: "unreachable" })
    })
    .await;
    let panic = failure(&plugin, "panic secret").await;
    assert_eq!(panic.to_string(), "the plugin stopped before it answered (unreachable)");
    assert_eq!(panic.step_failure().blame(), Blame::Plugin);
}

#[tokio::test]
async fn a_guest_that_ends_its_process_ends_its_call() {
    let plugin = plugin(short()).await;
    ends_as(&plugin, "exit 3", |it| matches!(it, CallFailure::Exited)).await;
    ends_as(&plugin, "exit 0", |it| matches!(it, CallFailure::Exited)).await;
}

#[tokio::test]
async fn a_huge_text_is_not_taken() {
    let plugin = plugin(CallLimits { cpu_ms: 5_000, ..short() }).await;
    ends_as(&plugin, "text 5000000", |it| matches!(it, CallFailure::AnswerTooLarge)).await;
    assert_eq!(build(&plugin, "text 1000").await.unwrap().description.unwrap().len(), 1_000);
}

#[tokio::test]
async fn a_huge_list_of_nodes_is_not_taken() {
    let plugin = plugin(CallLimits { cpu_ms: 5_000, nodes: 1_000, ..short() }).await;
    // By its bytes, by its number, and not at all.
    ends_as(&plugin, "nodes 100000", |it| matches!(it, CallFailure::AnswerTooLarge)).await;
    ends_as(&plugin, "nodes 1001", |it| matches!(it, CallFailure::AnswerTooLarge)).await;
    assert_eq!(build(&plugin, "nodes 1000").await.unwrap().nodes.len(), 1_000);
}

#[tokio::test]
async fn what_a_function_tells_is_heard_and_bounded() {
    let limits = CallLimits { progress_messages: 3, progress_bytes: 1_000, ..short() };
    let plugin = plugin(limits).await;
    let tell = async |order: &str| {
        let (listener, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let (site, context) = (site().heard(listener), context("good"));
        let answer = plugin.run_function(site, &context, &input(order)).await;
        let answer = answer.unwrap().output.content;
        let mut told = 0;
        while heard.try_recv().is_ok() {
            told += 1;
        }
        (answer, told)
    };
    assert_eq!(tell("progress 2").await, ("2 told".to_owned(), 2));
    assert_eq!(tell("progress 9").await, ("3 told".to_owned(), 3));
    let too_much = "Err(ProgressError::TooMuch)".to_owned();
    assert_eq!(tell("progress-long 1001").await, (too_much, 0));
    let invalid = "Err(ProgressError::Invalid)".to_owned();
    assert_eq!(tell("progress-of [1]").await, (invalid, 0));
    assert_eq!(tell(r#"progress-of {"n":1}"#).await, ("Ok(())".to_owned(), 1));
    // While a workflow is drawn there is nobody to hear it, and it is bounded all the same.
    let drawn = build(&plugin, "progress 9").await.unwrap();
    assert_eq!(drawn.description.as_deref(), Some("3 told"));
    ends_as(&plugin, "progress 1000000", |it| matches!(it, CallFailure::HostCallsExhausted)).await;
}

#[tokio::test]
async fn a_huge_line_for_the_log_is_not_taken() {
    let plugin = plugin(CallLimits { cpu_ms: 5_000, ..short() }).await;
    ends_as(&plugin, "log-long 5000000", |it| matches!(it, CallFailure::AnswerTooLarge)).await;
    build(&plugin, "log-long 100000").await.unwrap();
}

#[tokio::test]
async fn a_flood_of_lines_is_dropped_and_a_flood_of_calls_ends() {
    let plugin = plugin(short()).await;
    build(&plugin, "log 9000").await.unwrap();
    ends_as(&plugin, "log 1000000", |it| matches!(it, CallFailure::HostCallsExhausted)).await;
    ends_as(&plugin, "kv-many 1000000", |it| matches!(it, CallFailure::HostCallsExhausted)).await;
}

#[tokio::test]
async fn a_guest_may_print_as_much_as_it_likes() {
    let plugin = plugin(CallLimits { cpu_ms: 5_000, ..short() }).await;
    let printed = build(&plugin, "print 10000").await.unwrap().description;
    assert_eq!(printed.as_deref(), Some("printed"));
}

#[tokio::test]
async fn a_guest_that_sleeps_ends_at_the_deadline() {
    let plugin = plugin(CallLimits { deadline_ms: 200, ..short() }).await;
    ends_as(&plugin, "sleep 60000", |it| matches!(it, CallFailure::DeadlinePassed)).await;
}

#[tokio::test]
async fn a_host_call_that_never_comes_back_ends_at_the_deadline() {
    let plugin = plugin(CallLimits { deadline_ms: 200, ..short() }).await;
    let site = site_with(&[Capability::KeyValue], Arc::new(Desk::default()));
    let answer = plugin.build(site, &context("kv-get never")).await;
    assert!(matches!(answer, Err(BuildFailure::Call(CallFailure::DeadlinePassed))));
    still_good(&plugin).await;
}

#[tokio::test]
async fn seats_come_back_from_calls_that_were_dropped() {
    let call = CallLimits { queue_ms: 20, ..short() };
    let pool = PoolSettings { concurrent_calls: 2, ..PoolSettings::default() };
    let sandbox =
        Sandbox::open(SandboxSettings { call, pool, ..settings() }, guests::worker()).unwrap();
    let plugin = sandbox.load(guests::hostile()).await.unwrap();
    let mut waiting = JoinSet::new();
    for _ in 0..2 {
        let site = site_with(&[Capability::KeyValue], Arc::new(Desk::default()));
        let plugin = plugin.clone();
        waiting.spawn(async move { plugin.build(site, &context("kv-get never")).await });
    }
    // Both are waiting for the storage as soon as this one finds no seat.
    let busy = loop {
        match build(&plugin, "good").await {
            Ok(_) => tokio::task::yield_now().await,
            Err(failure) => break failure,
        }
    };
    assert!(matches!(busy, BuildFailure::Call(CallFailure::Busy)), "{busy:?}");
    waiting.shutdown().await;
    still_good(&plugin).await;
}

#[tokio::test]
async fn function_steps_have_the_same_limits() {
    let plugin = plugin(short()).await;
    for (order, code) in [
        ("loop", "plugin_timed_out"),
        ("panic", "plugin_trapped"),
        ("exit 1", "plugin_trapped"),
        ("log 1000000", "plugin_over_limit"),
    ] {
        let failure = run(&plugin, order).await.unwrap_err();
        assert!(matches!(failure, FunctionFailure::Call(_)), "{order}: {failure:?}");
        assert_eq!(failure.step_failure().code(), code, "{order}");
    }
    still_good(&plugin).await;
}

/// What an operator says of a tenant or a plugin counts, where it is narrower.
#[tokio::test]
async fn a_call_has_the_limits_of_its_site() {
    let plugin = plugin(CallLimits { cpu_ms: 60_000, ..short() }).await;
    for (limits, order, expected) in [
        (Limits { cpu_ms: Some(50), ..Limits::default() }, "loop", "CpuExhausted"),
        (Limits { memory_bytes: Some(4 << 20), ..Limits::default() }, "memory", "MemoryExhausted"),
        (Limits { host_calls: Some(9), ..Limits::default() }, "log 10", "HostCallsExhausted"),
        (Limits { answer_bytes: Some(9_000), ..Limits::default() }, "text 9000", "AnswerTooLarge"),
    ] {
        let narrow = site().sharing("acme", limits);
        let failure = plugin.build(narrow, &context(order)).await.unwrap_err();
        assert_eq!(format!("{failure:?}"), format!("Call({expected})"));
        // Wider than the sandbox's own is not wider.
        let wide = site().sharing("acme", Limits { host_calls: Some(u64::MAX), ..limits });
        let failure = plugin.build(wide, &context("log 20000")).await.unwrap_err();
        assert!(format!("{failure:?}").contains("Exhausted"), "{failure:?}");
    }
}

/// Loads a plugin of core WebAssembly and says how its `build` fails.
async fn core_failure(fields: &str) -> CallFailure {
    let sandbox = sandbox(CallLimits { cpu_ms: 5_000, ..short() });
    let plugin = sandbox.load(guests::core(fields)).await.unwrap();
    let good = sandbox.load(guests::hostile()).await.unwrap();
    let failure = match plugin.build(site(), &context("good")).await {
        Err(BuildFailure::Call(failure)) => failure,
        other => panic!("the call does not fail as a call: {other:?}"),
    };
    still_good(&good).await;
    failure
}

#[tokio::test]
async fn growing_a_table_ends() {
    let failure = core_failure(
        "(func $build (param i32) (result i32)
           (loop $more
             (drop (table.grow $t (ref.null func) (i32.const 1000)))
             (br $more))
           (unreachable))",
    )
    .await;
    assert!(matches!(failure, CallFailure::TableExhausted), "{failure:?}");
}

/// A few hundred kilobytes of memory that say they are gigabytes of nodes.
#[tokio::test]
async fn lists_that_share_their_memory_count_each_time() {
    let failure = core_failure(
        "(func $build (param i32) (result i32)
           (local $at i32)
           ;; 4,000 nodes of 96 bytes from 1 MiB on, each a sequence of the same 100,000 places.
           (loop $more
             (i32.store8 offset=1048576 (local.get $at) (i32.const 1))
             (i32.store offset=1048580 (local.get $at) (i32.const 2097152))
             (i32.store offset=1048584 (local.get $at) (i32.const 100000))
             (local.set $at (i32.add (local.get $at) (i32.const 96)))
             (br_if $more (i32.lt_u (local.get $at) (i32.const 384000))))
           (i32.store (i32.const 1028) (i32.const 64))
           (i32.store (i32.const 1032) (i32.const 4))
           (i32.store (i32.const 1048) (i32.const 1048576))
           (i32.store (i32.const 1052) (i32.const 4000))
           (i32.const 1024))",
    )
    .await;
    assert!(matches!(failure, CallFailure::AnswerTooLarge), "{failure:?}");
}

#[tokio::test]
async fn an_answer_outside_the_guests_memory_is_no_answer() {
    let failure = core_failure(
        "(func $build (param i32) (result i32)
           (i32.store (i32.const 1048) (i32.const 64))
           (i32.store (i32.const 1052) (i32.const 0x7fffffff))
           (i32.const 1024))",
    )
    .await;
    assert!(matches!(failure, CallFailure::BadAnswer(_)), "{failure:?}");
    assert_eq!(failure.step_failure().code(), "plugin_trapped");
}

#[tokio::test]
async fn a_text_that_is_no_text_is_no_answer() {
    let failure = core_failure(
        r#"(data (i32.const 2000) "\ff\fe")
           (func $build (param i32) (result i32)
             (i32.store (i32.const 1028) (i32.const 2000))
             (i32.store (i32.const 1032) (i32.const 2))
             (i32.const 1024))"#,
    )
    .await;
    assert!(matches!(failure, CallFailure::BadAnswer(_)), "{failure:?}");
}
