//! A guest that computes does not keep others waiting.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stepmill_core::capability::Capability;
use stepmill_core::limits::Limits;
use stepmill_sandbox::{
    BuildFailure, CallFailure, CallLimits, PoolSettings, Sandbox, SandboxSettings,
};
use tokio::runtime::Handle;
use tokio::task::{JoinSet, yield_now};

use crate::guests;
use crate::room::{
    Desk, build, context, failure, plugin, settings, short, site, site_with, still_good,
};

/// More loops than one share may have at once.
const LOOPS: usize = 60;

/// Longer than any test.
fn patient() -> CallLimits {
    CallLimits { cpu_ms: 600_000, deadline_ms: 600_000, ..short() }
}

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

/// Side by side on the host's own threads, each of the hundred would wait for a tick of every
/// loop: five seconds together.
#[tokio::test(flavor = "current_thread")]
async fn others_are_quick_however_many_loop() {
    let plugin = plugin(patient()).await;
    let mut loops = JoinSet::new();
    for _ in 0..LOOPS {
        let plugin = plugin.clone();
        let site = site().sharing("crowd", Limits::default());
        loops.spawn(async move { plugin.build(site, &context("loop")).await });
    }
    let began = Instant::now();
    for _ in 0..100 {
        // As who asks over a network waits for every call.
        yield_now().await;
        build(&plugin, "good").await.unwrap();
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(3), "a hundred good calls took {took:?}");
}

/// Who may have no more seats is told so, and does not keep others from theirs.
#[tokio::test]
async fn seats_are_shared() {
    let call = CallLimits { queue_ms: 20, ..patient() };
    let pool = PoolSettings { concurrent_calls: 3, share_calls: 2, ..PoolSettings::default() };
    let sandbox =
        Sandbox::open(SandboxSettings { call, pool, ..settings() }, guests::worker()).unwrap();
    let plugin = sandbox.load(guests::hostile()).await.unwrap();
    let never = |share: &str, calls| {
        let limits = Limits { calls, ..Limits::default() };
        let site = site_with(&[Capability::KeyValue], Arc::new(Desk::default()));
        let (plugin, site) = (plugin.clone(), site.sharing(share, limits));
        async move { plugin.build(site, &context("kv-get never")).await }
    };
    let mut waiting = JoinSet::new();
    for _ in 0..2 {
        waiting.spawn(never("crowd", None));
    }
    while sandbox.calls("crowd") < 2 {
        yield_now().await;
    }
    let busy = never("crowd", None).await.unwrap_err();
    assert!(matches!(busy, BuildFailure::Call(CallFailure::ShareBusy)), "{busy:?}");
    still_good(&plugin).await;

    waiting.spawn(never("modest", Some(1)));
    while sandbox.calls("modest") < 1 {
        yield_now().await;
    }
    let busy = never("modest", Some(1)).await.unwrap_err();
    assert!(matches!(busy, BuildFailure::Call(CallFailure::ShareBusy)), "{busy:?}");
    let busy = never("third", None).await.unwrap_err();
    assert!(matches!(busy, BuildFailure::Call(CallFailure::Busy)), "{busy:?}");
}

/// A loop that nobody waits for any more ends, wherever it is, and its seat comes back.
#[tokio::test]
async fn a_greedy_call_that_is_dropped_ends() {
    let pool = PoolSettings { concurrent_calls: 2, slow_threads: 1, ..PoolSettings::default() };
    let call = CallLimits { queue_ms: 20, ..patient() };
    let sandbox =
        Sandbox::open(SandboxSettings { call, pool, ..settings() }, guests::worker()).unwrap();
    let plugin = sandbox.load(guests::hostile()).await.unwrap();
    let mut loops = JoinSet::new();
    for _ in 0..2 {
        let plugin = plugin.clone();
        loops.spawn(async move { plugin.build(site(), &context("loop")).await });
    }
    while build(&plugin, "good").await.is_ok() {
        yield_now().await;
    }
    loops.shutdown().await;
    sandbox.drain().await;
    still_good(&plugin).await;
}

/// What a greedy guest asks of the host is done where the host's connections are.
#[tokio::test]
async fn the_hosts_part_of_a_greedy_call_is_done_at_home() {
    let plugin = plugin(patient()).await;
    let desk = Arc::new(Desk::default());
    let grants = [Capability::KeyValue, Capability::parse("http:api.example.com").unwrap()];
    for (order, found) in [
        ("after 100000000 kv-get never-set", "Ok(None)"),
        ("after 100000000 fetch https://api.example.com/", "status: 200"),
        ("after 100000000 sleep 1", "slept"),
    ] {
        let answer = plugin.build(site_with(&grants, desk.clone()), &context(order)).await;
        let said = answer.unwrap().description.unwrap();
        assert!(said.contains(found), "{said}");
    }
    assert_eq!(*desk.runtimes.lock().unwrap(), [Handle::current().id(); 2]);
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
