//! Bytes of an upload, up to where they would be compiled.
//!
//! What is let through keeps the limits by a count of its own, and what is refused as broken is
//! broken by the word of the parser that the engine compiles with.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stepmill_sandbox::fuzzing::scan;
use stepmill_sandbox::{LoadFailure, LoadLimits};
use wasmparser::{Encoding, Parser, Payload, Validator, WasmFeatures};

fuzz_target!(|bytes: &[u8]| {
    let wide = LoadLimits::default();
    let answer = scan(bytes, &wide);
    match &answer {
        Ok(()) => assert!(keeps(bytes, &wide), "let through over a limit"),
        Err(LoadFailure::Invalid(_) | LoadFailure::NotAComponent) => {
            let valid = Validator::new_with_features(WasmFeatures::all()).validate_all(bytes);
            assert!(valid.is_err() || !Parser::is_component(bytes), "refused, and valid");
        }
        Err(LoadFailure::TooLarge { found, limit }) => assert!(limit < found),
        Err(LoadFailure::TooComplex { found, limit, .. }) => assert!(limit < found),
        Err(other) => panic!("not a word of a scan: {other}"),
    }
    let narrow = LoadLimits {
        component_bytes: 2_048,
        functions: 3,
        function_body_bytes: 32,
        locals: 5,
        body_times_locals: 64,
        total_body_times_locals: 96,
        code_bytes: 64,
        nested_components: 2,
        core_modules: 2,
        instances: 4,
        ..wide
    };
    if scan(bytes, &narrow).is_ok() {
        assert!(answer.is_ok(), "a narrow limit lets through what a wide one does not");
        assert!(keeps(bytes, &narrow), "let through over a narrow limit");
    }
});

/// Counts anew, section by section, whatever the scan counted.
fn keeps(bytes: &[u8], limits: &LoadLimits) -> bool {
    let (mut functions, mut code, mut product, mut modules, mut components) = (0, 0, 0, 0, 0);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.expect("what is let through can be read") {
            Payload::Version { encoding: Encoding::Module, .. } => modules += 1,
            Payload::Version { encoding: Encoding::Component, .. } => components += 1,
            Payload::CodeSectionStart { range, .. } => code += range.len(),
            Payload::CodeSectionEntry(body) => {
                functions += 1;
                let size = body.range().len();
                let locals = body.get_locals_reader().expect("they can be read").into_iter();
                let locals: u64 = locals.map(|it| u64::from(it.expect("likewise").0)).sum();
                product += size as u64 * locals;
                if limits.function_body_bytes < size || (limits.locals as u64) < locals {
                    return false;
                }
            }
            _ => {}
        }
    }
    bytes.len() <= limits.component_bytes
        && functions <= limits.functions
        && code <= limits.code_bytes
        && product <= limits.total_body_times_locals
        && modules <= limits.core_modules
        // The outermost is not nested.
        && components <= limits.nested_components + 1
}
