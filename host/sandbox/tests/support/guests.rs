//! Guests for tests and benchmarks, good and bad.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use stepmill_sandbox::WorkerProgram;

/// Built once for all tests of this binary; Cargo keeps it between binaries.
static HOSTILE: LazyLock<Vec<u8>> = LazyLock::new(|| build("stepmill-hostile-guests"));

/// The same for the guest that sends requests through `wasi:http`.
static FETCHER: LazyLock<Vec<u8>> = LazyLock::new(|| build("stepmill-fetching-guest"));

fn build(package: &str) -> Vec<u8> {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--locked", "--target", "wasm32-wasip2"])
        .args(["--package", package])
        .current_dir(guests)
        .env("CARGO_TARGET_DIR", &target)
        // Flags for the host's own build are none of the guest's business.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .expect("cargo runs, for it runs this");
    assert!(status.success(), "the guests in tests/guests must build");
    let file = format!("wasm32-wasip2/release/{}.wasm", package.replace('-', "_"));
    std::fs::read(target.join(file)).expect("cargo built it")
}

/// What compiles them.
pub(crate) const WORKER: &str = env!("CARGO_BIN_EXE_compile-worker");

pub(crate) fn worker() -> WorkerProgram {
    WorkerProgram { program: WORKER.into(), arguments: vec![], environment: vec![] }
}

/// The guest that does what it is told.
pub(crate) fn hostile() -> Vec<u8> {
    HOSTILE.clone()
}

/// The guest that sends requests through `wasi:http`.
pub(crate) fn fetcher() -> Vec<u8> {
    FETCHER.clone()
}

/// The guest that does what it is told, whose `describe` behaves as the mode says (see the guest's `MODE`).
pub(crate) fn hostile_describing(mode: u8) -> Vec<u8> {
    let mut component = hostile();
    let mark = b"DESCRIBE-MODE:0";
    let at = component.windows(mark.len()).position(|it| it == mark).expect("the mark is in it");
    component[at + mark.len() - 1] = mode;
    component
}

/// A plugin around the fields of a core module, which must define `$build`.
pub(crate) fn core(fields: &str) -> Vec<u8> {
    let text = include_str!("../guests/wat/factory.wat").replace("(; FIELDS ;)", fields);
    wat::parse_str(text).expect("the text is WebAssembly")
}
