//! The worker's side: limits first, then the component, then one answer.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::process::ExitCode;
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, nice, setrlimit};
use wasmtime::OutOfMemory;

use super::{Order, Verdict};
use crate::cores;
use crate::engine::{compiling_engine, fingerprint};
use crate::failure::Cause;

/// A third of an equal share where processors are scarce: runs come first, and the largest
/// component is still compiled in time.
const NICE: i32 = 5;

/// Standard input, output and error. With no more than these nothing can be opened: no file, no
/// socket, no pipe.
const OPEN_DESCRIPTORS: RawFd = 3;

/// Where a process finds the numbers of its own descriptors.
#[cfg(target_os = "linux")]
const OPEN_DESCRIPTORS_DIR: &str = "/proc/self/fd";
#[cfg(not(target_os = "linux"))]
const OPEN_DESCRIPTORS_DIR: &str = "/dev/fd";

/// Does one order and returns what the process has to end with. For a process that was started
/// for this and has done nothing else yet.
#[expect(clippy::print_stderr, reason = "the host reads this")]
pub fn compile_worker(order: &str) -> ExitCode {
    match work(order) {
        Ok(verdict) => verdict.into(),
        Err(fault) => {
            eprintln!("{fault}");
            ExitCode::FAILURE
        }
    }
}

fn work(order: &str) -> Result<Verdict, Cause> {
    let order: Order = serde_json::from_str(order)?;
    limit(&order)?;
    // Before memory is scarce: a thread that cannot be started would be the worker's failure.
    rayon::ThreadPoolBuilder::new().num_threads(order.threads).build_global()?;
    let engine = compiling_engine(order.code)?;
    if fingerprint(&engine) != order.fingerprint {
        return Ok(Verdict::OtherVersion);
    }
    let mut component = vec![0; order.component_bytes];
    io::stdin().read_exact(&mut component)?;
    thread::Builder::new().spawn(end_with_the_host)?;
    match engine.precompile_component(&component) {
        Ok(code) => answer(&code).map(|()| Verdict::Compiled),
        Err(error) if error.is::<OutOfMemory>() => Ok(Verdict::OutOfMemory),
        Err(error) => answer(format!("{error:#}").as_bytes()).map(|()| Verdict::Invalid),
    }
}

/// What the worker may use, from here to its end: neither limit can be raised again. Processes are
/// not limited, because that limit counts all of the user's, the host and its threads among them.
fn limit(order: &Order) -> io::Result<()> {
    close_what_was_inherited()?;
    cores::leave_one();
    nice(NICE)?;
    at_most(Resource::Core, 0, 0)?;
    at_most(Resource::Fsize, 0, 0)?;
    at_most(Resource::Nofile, OPEN_DESCRIPTORS as u64, OPEN_DESCRIPTORS as u64)?;
    // The first limit ends the process with a signal of its own, which the host can tell apart.
    at_most(Resource::Cpu, order.cpu_seconds, order.cpu_seconds.saturating_add(1))?;
    at_most(Resource::As, order.memory_bytes, order.memory_bytes)
}

/// The host opens nothing that its children inherit; whoever started the host may have.
fn close_what_was_inherited() -> io::Result<()> {
    let mut open = Vec::new();
    for entry in fs::read_dir(OPEN_DESCRIPTORS_DIR)? {
        let number = entry?.file_name().to_str().and_then(|it| it.parse().ok());
        open.extend(number.filter(|it| OPEN_DESCRIPTORS <= *it));
    }
    // The list itself was open while it was read, and is not any more.
    open.retain(|it| fs::symlink_metadata(format!("{OPEN_DESCRIPTORS_DIR}/{it}")).is_ok());
    for number in open {
        #[expect(unsafe_code, reason = "there is no safe way to close what nobody here opened")]
        // SAFETY: it is open, and nothing in this process owns it: so far the process has opened
        // nothing, and it has one thread.
        let inherited = unsafe { OwnedFd::from_raw_fd(number) };
        drop(inherited);
    }
    Ok(())
}

/// A limit that is lower already stays.
fn at_most(resource: Resource, current: u64, maximum: u64) -> io::Result<()> {
    let there = getrlimit(resource);
    let maximum = there.maximum.map_or(maximum, |it| it.min(maximum));
    let limit = Rlimit { current: Some(current.min(maximum)), maximum: Some(maximum) };
    Ok(setrlimit(resource, limit)?)
}

/// The host keeps the other end of the standard input open for as long as it wants the answer,
/// and sends nothing after the component. A host that was killed sends no signal; this does.
fn end_with_the_host() {
    let _ = io::stdin().read(&mut [0]);
    std::process::exit(1);
}

/// Its length, so that the host knows what it takes before it takes it; then the answer itself.
fn answer(bytes: &[u8]) -> Result<(), Cause> {
    let mut out = io::stdout();
    out.write_all(&(bytes.len() as u64).to_be_bytes())?;
    out.write_all(bytes)?;
    Ok(out.flush()?)
}
