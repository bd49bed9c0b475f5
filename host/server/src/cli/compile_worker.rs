//! `stepmill compile-worker`: this binary again, compiling one component for a host.

use std::path::PathBuf;

use stepmill_sandbox::WorkerProgram;

use super::Failure;

/// Hidden: only a host can say what comes after it.
pub(super) const NAME: &str = "compile-worker";

/// KiB of addresses that the allocator takes at once. By itself it takes a GiB, all of which counts
/// for the worker's limit of memory.
const ALLOCATOR: (&str, &str) = ("MIMALLOC_ARENA_RESERVE", "32768");

/// How the host starts it.
pub(super) fn program() -> Result<WorkerProgram, Failure> {
    let (name, value) = ALLOCATOR;
    Ok(WorkerProgram {
        program: this_program()?,
        arguments: vec![NAME.into()],
        environment: vec![(name.into(), value.into())],
    })
}

/// Opened by the child between its birth and its new life, when it still is the host: the very
/// binary that is running, also after an upgrade has put another in its place.
#[cfg(target_os = "linux")]
fn this_program() -> Result<PathBuf, Failure> {
    Ok("/proc/self/exe".into())
}

/// By name. After an upgrade this is another binary, which a worker notices by itself.
#[cfg(not(target_os = "linux"))]
fn this_program() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(Failure::work)
}
