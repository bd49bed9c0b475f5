//! The published contracts: which one a component speaks, and the way to speak it.

mod v1;

use stepmill_core::call::{FunctionAnswer, FunctionInput};
use stepmill_core::context::RequestContext;
use stepmill_core::graph::GraphDraft;
use wasmtime::component::{Component, Linker};

use crate::call::{Call, CallState};
use crate::describe::Claimed;
use crate::lane::Work;
use crate::load::LoadFailure;
use crate::text::cut;

pub(crate) use v1::bindings as newest;
#[cfg(feature = "fuzzing")]
pub(crate) use v1::lifted;

/// Why `build` refuses, in the guest's words.
pub(crate) enum Refusal {
    Permission(String),
    Validation(String),
    Other(String),
}

/// A linked component, by the version of the contract it was compiled against.
pub(crate) enum Contract {
    V1(v1::Linked),
}

impl Contract {
    /// Reads the version off the exports and links the component.
    pub(crate) fn of(
        component: &Component,
        linker: &Linker<CallState>,
    ) -> Result<Self, LoadFailure> {
        if let Some(name) = unknown_import(component) {
            return Err(LoadFailure::UnknownImport { name });
        }
        // A component of `1.1.0` is found under this name too: minor versions only add.
        if let Some(name) = v1::EXPORTS.iter().find(|it| !exports(component, it)) {
            return Err(LoadFailure::MissingExport { name: (*name).to_owned() });
        }
        v1::Linked::new(component, linker).map(Self::V1)
    }

    pub(crate) fn describe(&self, call: Call) -> Work<Result<Claimed, LoadFailure>> {
        match self {
            Self::V1(guest) => guest.describe(call),
        }
    }

    pub(crate) fn build(
        &self,
        call: Call,
        context: &RequestContext,
    ) -> Work<Result<GraphDraft, Refusal>> {
        match self {
            Self::V1(guest) => guest.build(call, context),
        }
    }

    pub(crate) fn run(
        &self,
        call: Call,
        context: &RequestContext,
        input: &FunctionInput,
    ) -> Work<Result<FunctionAnswer, String>> {
        match self {
            Self::V1(guest) => guest.run(call, context, input),
        }
    }
}

fn exports(component: &Component, name: &str) -> bool {
    component.get_export_index(None, name).is_some()
}

/// The first import that no plugin gets. What is left may still have the wrong type.
fn unknown_import(component: &Component) -> Option<String> {
    let imports = component.component_type();
    let unknown = imports.imports(component.engine()).find(|(name, _)| !is_offered(name));
    unknown.map(|(name, _)| cut(name, 200).to_owned())
}

fn is_offered(name: &str) -> bool {
    let (interface, version) = name.split_once('@').unwrap_or((name, ""));
    match interface.split_once(':') {
        Some(("wasi", rest)) => version.starts_with("0.2.") && WASI.contains(&rest),
        _ => v1::IMPORTS.contains(&interface) && version.starts_with("1."),
    }
}

/// What the start-up code of ordinary guests asks for, and what their `fetch` does. All of it is
/// there; behind files and sockets there is nothing, and behind HTTP what was granted.
const WASI: [&str; 29] = [
    "cli/environment",
    "cli/exit",
    "cli/stderr",
    "cli/stdin",
    "cli/stdout",
    "cli/terminal-input",
    "cli/terminal-output",
    "cli/terminal-stderr",
    "cli/terminal-stdin",
    "cli/terminal-stdout",
    "clocks/monotonic-clock",
    "clocks/wall-clock",
    "filesystem/preopens",
    "filesystem/types",
    "http/outgoing-handler",
    "http/types",
    "io/error",
    "io/poll",
    "io/streams",
    "random/insecure",
    "random/insecure-seed",
    "random/random",
    "sockets/instance-network",
    "sockets/ip-name-lookup",
    "sockets/network",
    "sockets/tcp",
    "sockets/tcp-create-socket",
    "sockets/udp",
    "sockets/udp-create-socket",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered_is_told_by_interface_and_compatible_version() {
        assert!(is_offered("stepmill:plugin/kv@1.0.0"));
        assert!(is_offered("stepmill:plugin/kv@1.3.0"));
        assert!(!is_offered("stepmill:plugin/kv@2.0.0"));
        assert!(!is_offered("stepmill:plugin/shell@1.0.0"));
        assert!(is_offered("wasi:cli/environment@0.2.3"));
        assert!(!is_offered("wasi:cli/environment@0.3.0"));
        assert!(is_offered("wasi:http/outgoing-handler@0.2.3"));
        assert!(!is_offered("wasi:http/incoming-handler@0.2.3"));
        assert!(!is_offered("run"));
    }
}
