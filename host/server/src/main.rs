//! The `stepmill` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    stepmill::cli::main()
}
