//! The corpus: every kind of hostile plugin we know, each with the answer it has to get; those that need
//! a house or a world of their own are beside it.
//!
//! `just hostile` runs it and ends with a line that says how many kinds there are, and what memory
//! the host held before and after.

use std::fmt::Write as _;

use super::{nobody_noticed, told};
use crate::bomb::compile_bomb;
use crate::house::{House, example, hostile, hostile_core, hostile_describing};

/// The memory that may stay with the host after everything: a few caches, and what the allocator
/// keeps for itself.
const KEPT_BYTES: u64 = 48 * 1024 * 1024;

/// How often a good component is damaged at one place.
const MUTATIONS: usize = 150;

async fn house() -> House {
    let settings = r#"
        [limits]
        cpu_ms = 200
        deadline_ms = 6000
        host_calls = 100
        http_requests = 4
        component_bytes = 4194304
        compile_timeout_ms = 5000

        [runs]
        state_bytes = 65536

        [policy]
        allow = ["clock", "randomness", "config", "kv", "model:*", "http:api.example.com"]
    "#;
    let house = House::serve().demo_models().settings(settings).open().await;
    house.push_example("echo").await;
    assert_eq!(house.push("hostile", hostile()).await.status, 201);
    house
}

/// Components that are not taken in.
fn uploads() -> Vec<(&'static str, Vec<u8>, u16, &'static str)> {
    let wat = |text: &str| wat::parse_str(text).expect("the text is WebAssembly");
    let mut half = example("pipeline");
    half.truncate(half.len() / 2);
    let describe = |mode: u8| hostile_describing(mode);
    let spare = "(func $build (param i32) (result i32) (unreachable))";
    let around = |more: &str| hostile_core(&format!("{spare} {more}"));
    vec![
        ("no WebAssembly", b"garbage".to_vec(), 422, "not_a_component"),
        ("nothing at all", vec![], 422, "not_a_component"),
        ("a core module", b"\0asm\x01\0\0\0".to_vec(), 422, "not_a_component"),
        ("a truncated component", half, 422, "invalid_component"),
        ("a file over the limit", vec![0; 4 * 1024 * 1024 + 1], 413, ""),
        ("no exports", wat("(component)"), 422, "missing_export"),
        (
            "an import nobody offers",
            wat(r#"(component (import "evil:host/shell" (instance (export "run" (func)))))"#),
            422,
            "unknown_import",
        ),
        (
            "sockets of a later WASI",
            wat(r#"(component (import "wasi:sockets/types@0.3.0" (instance)))"#),
            422,
            "unknown_import",
        ),
        (
            "a memory over the limit",
            wat("(component (core module $m (memory 2000)) (core instance (instantiate $m)))"),
            422,
            "invalid_component",
        ),
        (
            "many memories",
            wat(&format!(
                "(component (core module $m (memory 1)) {})",
                "(core instance (instantiate $m))".repeat(5)
            )),
            422,
            "too_complex",
        ),
        ("a table over the limit", around("(table 200000 funcref)"), 422, "invalid_component"),
        ("more functions than compile", around(&"(func)".repeat(50_001)), 422, "too_complex"),
        (
            "one function over the limit",
            around(&format!("(func {})", "(drop (i32.const 1))".repeat(400_000))),
            422,
            "too_complex",
        ),
        (
            "local variables over the limit",
            around(&format!("(func (local {}))", "i64 ".repeat(2_001))),
            422,
            "too_complex",
        ),
        ("modules over the limit", many("(core module)", 101), 422, "too_complex"),
        ("components in components", many("(component)", 17), 422, "too_complex"),
        ("instances that double and double", doubling(), 422, "too_complex"),
        ("a compile bomb", compile_bomb(20), 422, "compile_timed_out"),
        ("a describe that panics", describe(b'1'), 422, "plugin_trapped"),
        ("a describe without end", describe(b'2'), 422, "plugin_cpu_exhausted"),
        ("a describe that exits", describe(b'3'), 422, "plugin_exited"),
        ("an id that is none", describe(b'4'), 422, "bad_description"),
        ("a schema that is no object", describe(b'5'), 422, "bad_description"),
        ("a schema over the limit", describe(b'6'), 422, "bad_description"),
        ("more capabilities than anybody reads", describe(b'7'), 422, "bad_description"),
        ("a name of many megabytes", describe(b'8'), 422, "plugin_answer_too_large"),
    ]
}

fn many(what: &str, times: usize) -> Vec<u8> {
    wat::parse_str(format!("(component {})", what.repeat(times))).expect("the text is WebAssembly")
}

/// Few bytes that are 2^15 instances.
fn doubling() -> Vec<u8> {
    let mut text = String::from(
        "(component (component $c0 (core module $m) (core instance (instantiate $m)))",
    );
    for it in 1..=15 {
        let below = it - 1;
        write!(
            text,
            "(component $c{it} (alias outer 1 $c{below} (component $d)) \
             (instance (instantiate $d)) (instance (instantiate $d)))"
        )
        .expect("a text takes text");
    }
    text.push(')');
    wat::parse_str(text).expect("the text is WebAssembly")
}

/// What `build` does in the middle of a request, as its session id tells it. The caller learns a
/// word, and nothing the plugin said.
const BUILDS: [(&str, &str, u16, &str); 41] = [
    ("a loop without end", "loop", 500, "plugin_cpu_exhausted"),
    ("memory without end", "memory", 500, "plugin_memory_exhausted"),
    ("recursion on its own stack", "recurse", 500, "plugin_trapped"),
    ("recursion on the engine's stack", "dive", 500, "plugin_stack_overflow"),
    ("a panic with words in it", "panic hunter2", 500, "plugin_trapped"),
    ("an exit", "exit 3", 500, "plugin_exited"),
    ("an exit that claims success", "exit 0", 500, "plugin_exited"),
    ("a division by zero", "divide", 500, "plugin_trapped"),
    ("a sleep over the deadline", "sleep 60000", 500, "plugin_deadline_passed"),
    ("a text over its memory", "text 100000000", 500, "plugin_memory_exhausted"),
    ("a text over the host's limit", "text 20000000", 500, "plugin_answer_too_large"),
    ("a million calls of the host", "kv-many 1000000", 500, "plugin_host_calls_exhausted"),
    ("a flood of lines", "log 1000000", 500, "plugin_host_calls_exhausted"),
    ("a line of many megabytes", "log-long 20000000", 500, "plugin_answer_too_large"),
    ("progress without end", "progress 1000000", 500, "plugin_host_calls_exhausted"),
    ("a flood on standard output", "print 20000", 200, ""),
    ("a list of many nodes", "nodes 9000", 500, "graph_invalid"),
    ("a list over the host's limit", "nodes 100000", 500, "plugin_answer_too_large"),
    ("a graph that contains itself", "cycle", 500, "graph_invalid"),
    ("a ring of two", "graph ring", 500, "graph_invalid"),
    ("a child of two parents", "graph twice", 500, "graph_invalid"),
    ("sequences in sequences", "graph deep 900", 500, "graph_invalid"),
    ("more steps than a graph may have", "graph wide 1001", 500, "graph_invalid"),
    ("a node nobody reaches", "graph orphan", 500, "graph_invalid"),
    ("a root that is not there", "graph root", 500, "graph_invalid"),
    ("no name", "graph nameless", 500, "graph_invalid"),
    ("a name over the limit", "graph name 100000", 500, "graph_invalid"),
    ("a description over the limit", "graph description 100000", 500, "graph_invalid"),
    ("instructions over the limit", "graph instructions 300000", 500, "graph_invalid"),
    ("a model's name over the limit", "graph model 1000", 500, "graph_invalid"),
    ("a temperature that is no number", "graph warm", 500, "graph_invalid"),
    ("a temperature out of range", "graph hot", 500, "graph_invalid"),
    ("an answer of no tokens", "graph mute", 500, "graph_invalid"),
    ("tries without end", "graph retries 4294967295", 500, "graph_invalid"),
    ("a history without end", "graph history 4294967295", 500, "graph_invalid"),
    ("events nobody lists", "graph unlisted 10000", 500, "graph_invalid"),
    ("a state that is no object", "graph state", 500, "graph_invalid"),
    ("a state nested without end", "graph state-deep 100000", 500, "graph_invalid"),
    (
        "an error with a password in it",
        "other postgres://ai:hunter2@db",
        500,
        "Workflow factory error",
    ),
    ("a refusal of many megabytes", "long-refusal 1000000", 500, "Workflow factory error"),
    ("a refusal that poses as the host", "permission Insufficient", 403, "Insufficient"),
];

/// What a function step does, as the message tells it. The run fails, and says why in a word.
const STEPS: [(&str, &str, u16, &str); 14] = [
    ("a step without end", "loop", 500, "plugin_timed_out"),
    ("a step that hoards", "memory", 500, "plugin_out_of_memory"),
    ("a step that panics", "panic hunter2", 500, "plugin_trapped"),
    ("a step that exits", "exit 1", 500, "plugin_trapped"),
    ("a step that sleeps", "sleep 60000", 500, "plugin_timed_out"),
    ("a content over the limit", "text 20000000", 500, "plugin_over_limit"),
    ("a step that floods the host", "kv-many 1000000", 500, "plugin_over_limit"),
    ("a step that tells without end", "progress 1000000", 500, "plugin_over_limit"),
    ("progress of many megabytes", "progress-long 20000000", 500, "plugin_over_limit"),
    ("a report with a password in it", "report hunter2", 500, "function_failed"),
    ("a state that is no JSON", "state {", 500, "plugin_trapped"),
    ("a state that is no object", "state []", 500, "plugin_trapped"),
    ("a state over the limit", "state-of 100000", 500, "plugin_over_limit"),
    ("a state nested without end", "state-deep 5000", 500, "plugin_trapped"),
];

/// Core WebAssembly that answers `build` with what no compiler writes.
const CORES: [(&str, &str, &str); 4] = [
    (
        "a table without end",
        "(func $build (param i32) (result i32)
           (loop $more (drop (table.grow $t (ref.null func) (i32.const 1000))) (br $more))
           (unreachable))",
        "plugin_table_exhausted",
    ),
    (
        "lists that share their memory",
        "(func $build (param i32) (result i32)
           (local $at i32)
           (loop $more
             (i32.store8 offset=1048576 (local.get $at) (i32.const 1))
             (i32.store offset=1048580 (local.get $at) (i32.const 2097152))
             (i32.store offset=1048584 (local.get $at) (i32.const 100000))
             (local.set $at (i32.add (local.get $at) (i32.const 96)))
             (br_if $more (i32.lt_u (local.get $at) (i32.const 384000))))
           (i32.store (i32.const 1028) (i32.const 64))
           (i32.store (i32.const 1032) (i32.const 4))
           (i32.store (i32.const 1048) (i32.const 1048576))
           (i32.store (i32.const 1052) (i32.const 4000))
           (i32.const 1024))",
        "plugin_answer_too_large",
    ),
    (
        "an answer outside its memory",
        "(func $build (param i32) (result i32)
           (i32.store (i32.const 1048) (i32.const 64))
           (i32.store (i32.const 1052) (i32.const 0x7fffffff))
           (i32.const 1024))",
        "plugin_bad_answer",
    ),
    (
        "a text that is no text",
        r#"(data (i32.const 2000) "\ff\fe")
           (func $build (param i32) (result i32)
             (i32.store (i32.const 1028) (i32.const 2000))
             (i32.store (i32.const 1032) (i32.const 2))
             (i32.const 1024))"#,
        "plugin_bad_answer",
    ),
];

/// Where a plugin that may ask `api.example.com` tries to go instead, and what it hears.
const URLS: [(&str, &str, &str); 14] = [
    ("another host", "https://evil.test/", "NotGranted"),
    ("a name that only begins right", "https://api.example.com.evil.test/", "NotGranted"),
    ("a name that only ends right", "https://evilapi.example.com/", "NotGranted"),
    ("the host of a user", "https://api.example.com@evil.test/", "Invalid"),
    ("a backslash", "https://api.example.com\\@evil.test/", "Invalid"),
    ("an address of this machine", "https://127.0.0.1/", "NotGranted"),
    ("the same as a number", "https://2130706433/", "Invalid"),
    ("the same in octal", "https://0177.0.0.1/", "Invalid"),
    ("the same in IPv6", "https://[::ffff:127.0.0.1]/", "Invalid"),
    ("the metadata of a cloud", "http://169.254.169.254/latest/meta-data/", "NotGranted"),
    ("a file", "file:///etc/passwd", "Invalid"),
    ("a line of its own", "https://api.example.com/\r\nhost:evil.test", "Invalid"),
    ("letters that look alike", "https://аpi.example.com/", "Invalid"),
    ("a port that is none", "https://api.example.com:0/", "Invalid"),
];

/// One damaged component after the other: whatever becomes of it, the host says so.
async fn mutations(house: &House) -> usize {
    let good = hostile_core("(func $build (param i32) (result i32) (unreachable))");
    // A fixed seed: what fails once fails again.
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for it in 0..MUTATIONS {
        let mut bad = good.clone();
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = (seed >> 33) as usize % bad.len();
        bad[at] ^= 1 << (it % 8);
        let reply = house.push("mutant", bad).await;
        let good = matches!(reply.status, 200 | 201 | 403 | 422);
        assert!(good, "a mutation at {at} ends as {}: {}", reply.status, reply.text);
    }
    MUTATIONS
}

#[tokio::test]
async fn each_kind_gets_its_answer_and_the_memory_comes_back() {
    let house = house().await;
    nobody_noticed(&house).await;
    let before = house.resident_bytes();
    let mut kinds = 0;
    for (kind, component, status, word) in uploads() {
        let reply = house.push("bad", component).await;
        let (found, said) = told(&reply);
        assert_eq!(found, status, "{kind}: {}", reply.text);
        assert!(word.is_empty() || said == word, "{kind}: {}", reply.text);
        kinds += 1;
    }
    assert_eq!(house.get("/plugins/bad").await.status, 404);
    for (kind, order, status, word) in BUILDS {
        let reply = house.run("hostile", &[("message", "stop"), ("session_id", order)]).await;
        let (found, said) = told(&reply);
        assert_eq!(found, status, "{kind}: {}", reply.text);
        assert!(word.is_empty() || said == word, "{kind}: {}", reply.text);
        assert!(!reply.text.contains("hunter2"), "{kind}: {}", reply.text);
        kinds += 1;
    }
    for (at, (kind, order, status, word)) in STEPS.into_iter().enumerate() {
        let session = format!("step {at}");
        let reply = house.run("hostile", &[("message", order), ("session_id", &session)]).await;
        assert_eq!(told(&reply), (status, word.to_owned()), "{kind}: {}", reply.text);
        assert!(!reply.text.contains("hunter2"), "{kind}: {}", reply.text);
        kinds += 1;
    }
    for (kind, fields, word) in CORES {
        assert!(house.push("core", hostile_core(fields)).await.status < 300, "{kind}");
        let reply = house.run("core", &[("message", "x")]).await;
        assert_eq!(told(&reply), (500, word.to_owned()), "{kind}: {}", reply.text);
        kinds += 1;
    }
    for (kind, url, heard) in URLS {
        let run = house.run("hostile", &[("message", &format!("fetch {url}"))]).await.good();
        let said = run["content"].as_str().unwrap();
        assert!(said.contains(&format!("HttpError::{heard}")), "{kind}: {said}");
        kinds += 1;
    }
    let mutations = mutations(&house).await;
    assert!(!house.log().contains("hunter2"), "{}", house.log());
    nobody_noticed(&house).await;
    let after = house.resident_bytes();
    let mebibytes = |it: u64| it / (1024 * 1024);
    assert!(
        after < before + KEPT_BYTES,
        "the host held {} MiB before and {} MiB after",
        mebibytes(before),
        mebibytes(after)
    );
    println!(
        "hostile: {kinds} kinds and {mutations} mutations answered as they should; \
         the host held {} MiB before and {} MiB after",
        mebibytes(before),
        mebibytes(after)
    );
}
