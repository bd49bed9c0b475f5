//! Compiling in a process of its own, so that a component made to cost too much costs that
//! process and nothing else.
//!
//! The host starts its own binary again, tells it an [`Order`] on the command line, and sends the
//! component through its standard input. The worker limits itself, compiles, writes one answer to
//! its standard output and says by its exit code which [`Verdict`] the answer belongs to. Each
//! component has a worker of its own.
//!
//! What comes back is machine code, and the host runs it. No check can tell good code from bad,
//! so a compiler that a component has taken over has taken over the host with the next call of
//! that plugin: a worker keeps resources safe, and the memory of the host from what compiling
//! breaks. It is still given as little as possible: nothing of the host's environment, an empty
//! folder, three pipes and no way to open anything else.

mod inside;
mod process;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use crate::engine::CodeSettings;

pub use inside::compile_worker;
pub use process::WorkerFault;
pub(crate) use process::run;

/// How a worker is started: a program that gives its last argument to [`compile_worker`].
#[derive(Debug, Clone)]
pub struct WorkerProgram {
    /// The program, from the root: the worker is in another folder than the host.
    pub program: PathBuf,
    /// What stands before the order.
    pub arguments: Vec<OsString>,
    /// All of its environment: it inherits nothing.
    pub environment: Vec<(OsString, OsString)>,
}

/// What a worker is told before it reads anything.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Order {
    /// How much follows on the standard input.
    pub(crate) component_bytes: usize,
    /// Address space, all of it.
    pub(crate) memory_bytes: u64,
    /// Time on the processor, over all threads. The kernel counts whole seconds.
    pub(crate) cpu_seconds: u64,
    /// How many threads compile.
    pub(crate) threads: usize,
    /// What the code is to be like.
    pub(crate) code: CodeSettings,
    /// What the host's engine says of itself; code of another kind is of no use to it.
    pub(crate) fingerprint: u64,
}

/// What became of an order. What is not here is a failure of the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The answer is the code.
    Compiled,
    /// The answer says what is wrong with the component.
    Invalid,
    /// There was not enough memory. Mostly the allocator ends the process before it can say so.
    OutOfMemory,
    /// This worker's code is not for this host.
    OtherVersion,
}

impl Verdict {
    const ALL: [Self; 4] = [Self::Compiled, Self::Invalid, Self::OutOfMemory, Self::OtherVersion];

    /// Neither what a panic ends with (101), nor what a command used wrongly does (2), nor any
    /// other failure (1).
    fn code(self) -> u8 {
        match self {
            Self::Compiled => 0,
            Self::Invalid => 10,
            Self::OutOfMemory => 11,
            Self::OtherVersion => 12,
        }
    }

    fn of_code(code: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|it| i32::from(it.code()) == code)
    }
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        verdict.code().into()
    }
}
