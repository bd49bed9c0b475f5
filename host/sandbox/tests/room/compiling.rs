//! Components that cost too much to compile, and workers that do not do their work.

use std::error::Error;
use std::ffi::OsString;

use stepmill_sandbox::{
    LoadFailure, LoadLimits, LoadSite, Sandbox, SandboxSettings, WorkerFault, WorkerProgram,
};

use crate::bomb::compile_bomb;
use crate::guests;

/// A sandbox that keeps no code, so that everything is compiled.
fn sandbox(load: LoadLimits) -> Sandbox {
    let settings = SandboxSettings { load, ..SandboxSettings::default() };
    Sandbox::open(settings, guests::worker()).unwrap()
}

/// How loading a good plugin fails when this is what compiles it.
async fn failure(program: &str, arguments: &[&str]) -> LoadFailure {
    let arguments = arguments.iter().map(OsString::from).collect();
    let worker = WorkerProgram { program: program.into(), arguments, environment: vec![] };
    let sandbox = Sandbox::open(SandboxSettings::default(), worker).unwrap();
    sandbox.load(tiny()).await.err().expect("nothing was compiled")
}

/// A plugin that is compiled at once.
fn tiny() -> Vec<u8> {
    guests::core("(func $build (param i32) (result i32) (unreachable))")
}

#[tokio::test]
async fn a_bomb_ends_at_the_deadline_and_leaves_its_seat_at_once() {
    let load = LoadLimits {
        compile_timeout_ms: 3_000,
        compile_workers: 1,
        compile_queue_ms: 100,
        ..LoadLimits::default()
    };
    let sandbox = sandbox(load);
    let refused = sandbox.load(compile_bomb(20)).await.err();
    assert!(matches!(refused, Some(LoadFailure::CompileTimedOut)), "{refused:?}");
    assert!(sandbox.load(tiny()).await.is_ok());
}

#[tokio::test]
async fn a_bomb_that_is_sent_again_costs_its_sender_no_second_worker() {
    let sandbox = sandbox(LoadLimits { compile_timeout_ms: 2_000, ..LoadLimits::default() });
    let bomb: std::sync::Arc<[u8]> = compile_bomb(20).into();
    let refused = async |site: &LoadSite| {
        let since = std::time::Instant::now();
        let refused = sandbox.load_at(site, bomb.clone()).await.err();
        assert!(matches!(refused, Some(LoadFailure::CompileTimedOut)), "{refused:?}");
        std::time::Duration::from_millis(2_000) <= since.elapsed()
    };
    let (eve, ada) = (LoadSite::upload("eve"), LoadSite::upload("ada"));
    assert!(refused(&eve).await, "it is compiled");
    assert!(!refused(&eve).await, "it is known");
    // Neither another's upload nor what was taken in before is refused for it.
    assert!(refused(&ada).await);
    assert!(refused(&LoadSite::kept("eve")).await);
}

#[tokio::test]
async fn who_waits_to_be_read_waits_no_longer_than_it_may() {
    let load = LoadLimits { scans: 0, compile_queue_ms: 10, ..LoadLimits::default() };
    let refused = sandbox(load).load(tiny()).await.err();
    assert!(matches!(refused, Some(LoadFailure::Busy)), "{refused:?}");
}

#[tokio::test]
async fn a_load_that_nobody_waits_for_leaves_its_seat_at_once() {
    let load = LoadLimits { compile_workers: 1, compile_queue_ms: 100, ..LoadLimits::default() };
    let sandbox = sandbox(load);
    let given_up = tokio::time::timeout(
        std::time::Duration::from_millis(1_500),
        sandbox.load(compile_bomb(20)),
    );
    assert!(given_up.await.is_err());
    assert!(sandbox.load(tiny()).await.is_ok());
}

#[tokio::test]
async fn time_on_the_processor_is_limited_by_itself() {
    let sandbox = sandbox(LoadLimits { compile_cpu_ms: 1_000, ..LoadLimits::default() });
    let refused = sandbox.load(compile_bomb(10)).await.err();
    assert!(matches!(refused, Some(LoadFailure::CompileTimedOut)), "{refused:?}");
    assert!(sandbox.load(tiny()).await.is_ok());
}

#[tokio::test]
async fn memory_is_limited() {
    let load = LoadLimits { compile_memory_bytes: 400_000_000, ..LoadLimits::default() };
    let sandbox = sandbox(load);
    let refused = sandbox.load(compile_bomb(2)).await.err().unwrap();
    assert!(!refused.is_passing());
    assert_eq!(
        refused.to_string(),
        "the component needs more memory to compile than the 400000000 bytes that are allowed"
    );
    assert!(sandbox.load(tiny()).await.is_ok());
}

#[tokio::test]
async fn code_is_not_taken_over_at_any_size() {
    let sandbox = sandbox(LoadLimits { compiled_bytes: 1_000, ..LoadLimits::default() });
    let refused = sandbox.load(tiny()).await.err().unwrap().to_string();
    assert!(refused.contains("bytes of compiled code; at most 1000 are allowed"), "{refused}");
}

#[tokio::test]
async fn an_invalid_component_is_told_why() {
    let component = wat::parse_str("(component (core module (func (result i32))))").unwrap();
    let refused = sandbox(LoadLimits::default()).load(component).await.err().unwrap();
    assert!(matches!(refused, LoadFailure::Invalid(_)), "{refused:?}");
    let reason = refused.source().unwrap().to_string();
    assert!(reason.contains("type mismatch: expected i32"), "{reason}");
}

#[tokio::test]
async fn a_worker_that_does_not_do_its_work_is_no_fault_of_the_component() {
    type Expected = fn(&WorkerFault) -> bool;
    let ended: Expected = |it| matches!(it, WorkerFault::Ended(_));
    let cases: [(&str, &[&str], Expected); 5] = [
        ("/no/such/program", &[], |it| matches!(it, WorkerFault::Start(_))),
        // What a panic ends with, and what is no order.
        ("/bin/sh", &["-c", "exit 101"], ended),
        (guests::WORKER, &["not an order"], ended),
        ("/bin/sh", &["-c", "kill -KILL $$"], ended),
        // The same worker for an engine of another kind.
        ("/bin/sh", &["-c", OTHER_VERSION, guests::WORKER], |it| {
            matches!(it, WorkerFault::OtherVersion)
        }),
    ];
    for (program, arguments, expected) in cases {
        let failure = failure(program, arguments).await;
        assert!(failure.is_passing());
        let LoadFailure::Worker(fault) = &failure else { panic!("{arguments:?}: {failure:?}") };
        assert!(expected(fault), "{arguments:?}: {fault:?}");
    }
}

const OTHER_VERSION: &str =
    r#"exec "$0" "$(echo "$1" | sed 's/"fingerprint":[0-9]*/"fingerprint":1/')""#;
