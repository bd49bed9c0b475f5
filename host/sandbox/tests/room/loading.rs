//! What is refused before it runs, and how compiled code is kept.

use std::path::{Path, PathBuf};

use stepmill_core::capability::Capability;
use stepmill_sandbox::{
    CallFailure, CallLimits, LoadFailure, LoadLimits, LoadSite, Plugin, Sandbox, SandboxSettings,
};

use tokio::task::yield_now;

use crate::guests;
use crate::room::{sandbox, short, still_good};

async fn load(component: Vec<u8>) -> Result<Plugin, LoadFailure> {
    sandbox(short()).load(component).await
}

async fn refusal(component: Vec<u8>) -> LoadFailure {
    load(component).await.err().expect("the component is refused")
}

async fn refusal_of(text: &str) -> LoadFailure {
    refusal(wat::parse_str(text).unwrap()).await
}

#[tokio::test]
async fn a_plugin_says_who_it_is() {
    let plugin = load(guests::hostile()).await.unwrap();
    let description = plugin.description();
    assert_eq!(description.id.as_str(), "hostile");
    assert_eq!(description.name.as_deref(), Some("Hostile"));
    assert_eq!(description.input_schema.as_ref().unwrap()["type"], "object");
    assert_eq!(description.capabilities[..2], [Capability::Clock, Capability::Randomness]);
    let other = load(guests::hostile_describing(b'x')).await.unwrap();
    assert_ne!(plugin.digest(), other.digest());
}

#[tokio::test]
async fn a_plugin_in_core_webassembly_is_a_plugin() {
    let fields = "(func $build (param i32) (result i32) (unreachable))";
    let plugin = load(guests::core(fields)).await.unwrap();
    assert_eq!(plugin.description().id.as_str(), "core");
}

#[tokio::test]
async fn a_plugin_of_a_later_minor_version_is_a_plugin() {
    let text = include_str!("../guests/wat/factory.wat")
        .replace("(; FIELDS ;)", "(func $build (param i32) (result i32) (unreachable))")
        .replace("@1.0.0", "@1.3.0");
    assert!(load(wat::parse_str(text).unwrap()).await.is_ok());
}

#[tokio::test]
async fn what_is_no_component_is_refused() {
    let module = wat::parse_str("(module)").unwrap();
    for bytes in [vec![], b"garbage".to_vec(), module] {
        assert!(matches!(refusal(bytes).await, LoadFailure::NotAComponent));
    }
    let mut truncated = guests::hostile();
    truncated.truncate(truncated.len() / 2);
    assert!(matches!(refusal(truncated).await, LoadFailure::Invalid(_)));
}

#[tokio::test]
async fn imports_that_are_not_offered_are_named() {
    let shell = r#"(component (import "evil:host/shell"
        (instance (export "run" (func (param "command" string))))))"#;
    let later = r#"(component (import "stepmill:plugin/kv@2.0.0"
        (instance (export "get" (func (param "key" string))))))"#;
    for (text, expected) in [(shell, "evil:host/shell"), (later, "stepmill:plugin/kv@2.0.0")] {
        let refused = refusal_of(text).await;
        assert!(matches!(&refused, LoadFailure::UnknownImport { name } if name == expected));
    }
}

#[tokio::test]
async fn exports_that_are_missing_are_named() {
    let refused = refusal_of("(component)").await;
    assert_eq!(
        refused.to_string(),
        "the component does not export `stepmill:plugin/workflow-factory@1.0.0`"
    );
}

#[tokio::test]
async fn wrong_types_are_refused() {
    let core = guests::core("(func $build (param i32) (result i32) (unreachable))");
    assert!(load(core).await.is_ok());
    let text = include_str!("../guests/wat/factory.wat")
        .replace("(; FIELDS ;)", "(func $build (param i32) (result i32) (unreachable))");
    let import = text.replace(
        "(component\n",
        "(component (import \"stepmill:plugin/config@1.0.0\" \
         (instance (export \"get\" (func (param \"key\" u32) (result string)))))\n",
    );
    let refused = refusal_of(&import).await;
    assert!(matches!(refused, LoadFailure::WrongImportType(_)), "{refused:?}");
    let export = text.replace("(field \"root\" u32)", "(field \"root\" u16)");
    let refused = refusal_of(&export).await;
    assert!(matches!(refused, LoadFailure::WrongExportType(_)), "{refused:?}");
}

#[tokio::test]
async fn more_memory_than_a_call_may_have_is_refused() {
    // One memory of 128 MiB, and five of 64 KiB.
    let large = "(component (core module $m (memory 2000)) (core instance (instantiate $m)))";
    assert!(matches!(refusal_of(large).await, LoadFailure::Invalid(_)));
    let many = format!(
        "(component (core module $m (memory 1)) {})",
        "(core instance (instantiate $m))".repeat(5)
    );
    let refused = refusal_of(&many).await.to_string();
    assert_eq!(refused, "the component has 5 memories; at most 4 are allowed");
}

#[tokio::test]
async fn a_describe_that_misbehaves_is_refused() {
    type Expected = fn(&CallFailure) -> bool;
    let cases: [(u8, Expected); 4] = [
        (b'1', |it| matches!(it, CallFailure::Trapped { code: "unreachable" })),
        (b'2', |it| matches!(it, CallFailure::CpuExhausted)),
        (b'3', |it| matches!(it, CallFailure::Exited)),
        (b'8', |it| matches!(it, CallFailure::AnswerTooLarge)),
    ];
    let sandbox = sandbox(CallLimits { cpu_ms: 200, ..short() });
    for (mode, expected) in cases {
        match sandbox.load(guests::hostile_describing(mode)).await.err() {
            Some(LoadFailure::Describe(failure)) if expected(&failure) => {}
            other => panic!("mode {} ended as {other:?}", mode as char),
        }
    }
    still_good(&sandbox.load(guests::hostile()).await.unwrap()).await;
}

/// Under a share of its own it would be somebody beside whom every busy tenant makes room.
#[tokio::test]
async fn a_describe_is_on_the_account_of_whoever_loads() {
    let sandbox = sandbox(CallLimits { cpu_ms: 60_000, ..short() });
    let site = LoadSite::upload("ada");
    let counted = async {
        while sandbox.calls("ada") == 0 {
            yield_now().await;
        }
    };
    tokio::select! {
        ended = sandbox.load_at(&site, guests::hostile_describing(b'2')) => {
            panic!("it was not counted: {:?}", ended.err())
        }
        () = counted => {}
    }
}

#[tokio::test]
async fn a_describe_with_a_bad_answer_is_refused() {
    for (mode, place) in
        [(b'4', "id"), (b'5', "input-schema"), (b'6', "input-schema"), (b'7', "capabilities")]
    {
        let refused = refusal(guests::hostile_describing(mode)).await;
        let LoadFailure::BadDescription { place: found, .. } = &refused else {
            panic!("mode {} ended as {refused:?}", mode as char)
        };
        assert_eq!(found, place);
    }
}

#[tokio::test]
async fn describe_is_asked_without_any_grant() {
    let plugin = load(guests::hostile_describing(b'9')).await.unwrap();
    let clock = plugin.description().name.as_deref();
    assert_eq!(clock, Some("978307200 stands still: true"));
}

#[tokio::test]
async fn compiling_has_its_deadline() {
    let load = LoadLimits { compile_timeout_ms: 1, ..LoadLimits::default() };
    let sandbox =
        Sandbox::open(SandboxSettings { load, ..SandboxSettings::default() }, guests::worker())
            .unwrap();
    let refused = sandbox.load(guests::hostile()).await.err();
    assert!(matches!(refused, Some(LoadFailure::CompileTimedOut)), "{refused:?}");
}

fn cached(dir: &Path) -> Sandbox {
    let cache_dir = Some(dir.to_owned());
    Sandbox::open(
        SandboxSettings { cache_dir, call: short(), ..SandboxSettings::default() },
        guests::worker(),
    )
    .unwrap()
}

fn kept(dir: &Path) -> PathBuf {
    let files = std::fs::read_dir(dir).unwrap().map(|it| it.unwrap().path());
    let mut code = files.filter(|it| it.extension().is_some_and(|it| it == "cwasm"));
    code.next().expect("the code was kept")
}

/// A host that may compile for a millisecond only loads what is compiled already.
fn cached_without_time(dir: &Path) -> Sandbox {
    let load = LoadLimits { compile_timeout_ms: 1, ..LoadLimits::default() };
    let cache_dir = Some(dir.to_owned());
    Sandbox::open(
        SandboxSettings { load, call: short(), cache_dir, ..Default::default() },
        guests::worker(),
    )
    .unwrap()
}

#[tokio::test]
async fn what_was_compiled_once_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let first = cached(dir.path()).load(guests::hostile()).await.unwrap();
    let again = cached_without_time(dir.path()).load(guests::hostile()).await.unwrap();
    assert_eq!(first.digest(), again.digest());
    still_good(&again).await;
}

#[tokio::test]
async fn a_damaged_file_is_compiled_again() {
    let dir = tempfile::tempdir().unwrap();
    cached(dir.path()).load(guests::hostile()).await.unwrap();
    let file = kept(dir.path());
    let mut code = std::fs::read(&file).unwrap();
    let middle = code.len() / 2;
    code[middle] ^= 1;
    std::fs::write(&file, &code).unwrap();
    still_good(&cached(dir.path()).load(guests::hostile()).await.unwrap()).await;
    assert_ne!(std::fs::read(kept(dir.path())).unwrap(), code);
}
