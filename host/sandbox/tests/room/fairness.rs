//! A guest that computes does not keep others waiting.

use std::time::Duration;

use stepmill_sandbox::{CallFailure, CallLimits};

use crate::room::{build, failure, plugin, short};

/// On one thread: while one guest loops, a hundred others are served.
#[tokio::test(flavor = "current_thread")]
async fn others_on_the_same_thread_go_on() {
    let plugin = plugin(CallLimits { cpu_ms: 60_000, deadline_ms: 60_000, ..short() }).await;
    let others = async {
        for _ in 0..100 {
            build(&plugin, "good").await.unwrap();
        }
    };
    tokio::select! {
        ended = failure(&plugin, "loop") => panic!("the loop ended first: {ended:?}"),
        () = others => {}
    }
}

/// What a guest waits for is not its CPU time, however often it waits.
#[tokio::test]
async fn waiting_is_not_computing() {
    let plugin = plugin(CallLimits { cpu_ms: 50, ..short() }).await;
    let slept = build(&plugin, "sleep 300").await.unwrap().description;
    assert_eq!(slept.as_deref(), Some("slept"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_threads_serve_good_and_bad_guests_at_once() {
    let plugin = plugin(CallLimits { cpu_ms: 50, ..short() }).await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8 {
        let plugin = plugin.clone();
        tasks.spawn(async move {
            for _ in 0..20 {
                if task == 0 {
                    let ended = failure(&plugin, "loop").await;
                    assert!(matches!(ended, CallFailure::CpuExhausted), "{ended:?}");
                } else {
                    assert_eq!(build(&plugin, "good").await.unwrap().nodes.len(), 3);
                }
            }
        });
    }
    tokio::time::timeout(Duration::from_secs(60), tasks.join_all()).await.unwrap();
}
