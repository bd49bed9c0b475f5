//! Builds the example plugins, so that the server can carry them inside (feature `demo`).
//!
//! A nested cargo compiles them to wasm beside this build, in `<target>/plugins-build`. The
//! components are then in `OUT_DIR` under the ids of their factories, as `echo.wasm`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folders below `plugins/` that are Rust; each holds a package of the same name.
const PLUGINS: [&str; 7] = [
    "article-pipeline",
    "async-pipeline",
    "content-pipeline",
    "echo",
    "guarded-pipeline",
    "memory",
    "pipeline",
];

const TARGET: &str = "wasm32-wasip2";

/// Enough for the deepest JSON that serde_json reads (128 levels), and an eighth of what the
/// linker would take: the host clears a plugin's memory after every call.
const STACK_BYTES: usize = 128 * 1024;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_DEMO").is_none() {
        return;
    }
    let repository = folder("CARGO_MANIFEST_DIR").join("../..");
    for plugin in PLUGINS {
        watch(&repository.join("plugins").join(plugin));
    }
    for part in ["sdk/rust/Cargo.toml", "sdk/rust/src", "sdk/rust/wit", "Cargo.toml", "Cargo.lock"]
    {
        watch(&repository.join(part));
    }
    let out = folder("OUT_DIR");
    let target = target_dir(&out).join("plugins-build");
    check_toolchain();
    build(&repository, &target);
    for plugin in PLUGINS {
        let library = format!("{}.wasm", plugin.replace('-', "_"));
        let built = target.join(TARGET).join("plugin").join(library);
        if let Err(error) = fs::copy(&built, out.join(format!("{plugin}.wasm"))) {
            refuse(&format!("the component {} cannot be copied: {error}", built.display()));
        }
    }
}

/// Tells cargo to come back when this path changes.
fn watch(path: &Path) {
    if !path.exists() {
        refuse(&format!(
            "the feature `demo` compiles the example plugins, but there is no {}; \
             outside the repository, build with --no-default-features",
            path.display()
        ));
    }
    println!("cargo::rerun-if-changed={}", path.display());
}

/// The target directory this build writes to: `OUT_DIR` is `<target>/[<triple>/]<profile>/build/…`.
fn target_dir(out: &Path) -> PathBuf {
    let build = out.ancestors().find(|it| it.file_name().is_some_and(|name| name == "build"));
    let profile = build.and_then(Path::parent).and_then(Path::parent);
    match profile {
        Some(it) if it.file_name() == env::var_os("TARGET").as_deref() => {
            it.parent().unwrap_or(it).to_owned()
        }
        Some(it) => it.to_owned(),
        None => out.to_owned(),
    }
}

fn check_toolchain() {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let answer =
        Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output();
    let installed = answer.is_ok_and(|it| {
        it.status.success() && Path::new(String::from_utf8_lossy(&it.stdout).trim()).is_dir()
    });
    if !installed {
        refuse(&format!(
            "the example plugins need the target {TARGET}: `rustup toolchain install` in the \
             repository installs all it needs, `rustup target add {TARGET}` only the target; \
             or build with --no-default-features"
        ));
    }
}

fn build(repository: &Path, target: &Path) {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What cargo says to this build script would otherwise bend the build of the plugins.
    for (name, _) in env::vars_os().filter(|(it, _)| is_of_this_build(&it.to_string_lossy())) {
        cargo.env_remove(name);
    }
    cargo
        .current_dir(repository)
        .env("RUSTFLAGS", format!("-C link-arg=-zstack-size={STACK_BYTES}"))
        .args(["build", "--locked", "--profile", "plugin", "--target", TARGET, "--target-dir"])
        .arg(target)
        .args(PLUGINS.iter().flat_map(|it| ["-p", it]));
    match cargo.output() {
        Ok(answer) if answer.status.success() => {}
        Ok(answer) => {
            eprintln!("{}", String::from_utf8_lossy(&answer.stderr));
            refuse("the example plugins do not compile; cargo's words are above")
        }
        Err(error) => refuse(&format!("cargo cannot be started: {error}")),
    }
}

/// Whether cargo set a variable for this build script or this build, rather than a person for
/// every build.
fn is_of_this_build(name: &str) -> bool {
    const NAMES: [&str; 14] = [
        "CARGO_BUILD_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_MAKEFLAGS",
        "CARGO_TARGET_DIR",
        "CLIPPY_ARGS",
        "MAKEFLAGS",
        "MFLAGS",
        "OUT_DIR",
        "PROFILE",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTFLAGS",
        "TARGET",
    ];
    const FAMILIES: [&str; 7] = [
        "CARGO_CFG_",
        "CARGO_FEATURE_",
        "CARGO_LLVM_COV",
        "CARGO_MANIFEST_",
        "CARGO_PKG_",
        "CARGO_PROFILE_",
        "CARGO_TARGET_WASM32",
    ];
    NAMES.contains(&name) || FAMILIES.iter().any(|it| name.starts_with(it))
}

fn folder(variable: &str) -> PathBuf {
    env::var_os(variable).map(PathBuf::from).expect("cargo sets it for every build script")
}

/// Ends the build with one sentence.
fn refuse(sentence: &str) -> ! {
    println!("cargo::error={sentence}");
    std::process::exit(1)
}
