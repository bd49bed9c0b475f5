//! A worker without a host around it: what it is told is its only argument.

use std::process::ExitCode;

fn main() -> ExitCode {
    stepmill_sandbox::compile_worker(&std::env::args().nth(1).unwrap_or_default())
}
