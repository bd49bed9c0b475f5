//! Values a guest hands over, as answers and in calls of the host.
//!
//! What the host takes over keeps its limits and is stored and read back as it is; what arrives at
//! a service was granted, and is within the limits of a call.

#![no_main]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use stepmill_core::capability::{Access, Capability, Grants};
use stepmill_core::database::{Answer, DatabaseFailure, Statement};
use stepmill_core::graph::GraphLimits;
use stepmill_core::ids::SecretName;
use stepmill_core::json;
use stepmill_core::limits::Admit;
use stepmill_sandbox::fuzzing::{self, Host};
use stepmill_sandbox::{
    CallLimits, CallSite, Databases, KeyValueFault, KeyValues, Lines, LoadLimits, Network,
    OutboundFailure, OutboundRequest, OutboundResponse, Secrets, SecretsDown,
};
use stepmill_store::fuzzing::{description_read, description_write, graph_read, graph_write};

fuzz_target!(|bytes: &[u8]| {
    // Bytes that end too soon are no fault.
    let _ = lifted(&mut Unstructured::new(bytes));
});

fn lifted(from: &mut Unstructured<'_>) -> Result<()> {
    match from.int_in_range(0..=3)? {
        0 => describe(from),
        1 => build(from),
        2 => run(from),
        _ => calls(from),
    }
}

fn describe(from: &mut Unstructured<'_>) -> Result<()> {
    let limits = match from.arbitrary()? {
        true => LoadLimits::default(),
        false => LoadLimits {
            name_bytes: 4,
            description_bytes: 6,
            schema_bytes: 40,
            capabilities: 2,
            ..LoadLimits::default()
        },
    };
    let Ok(description) = fuzzing::describe(from, &limits)? else { return Ok(()) };
    let long = |it: &Option<String>| it.as_ref().map_or(0, String::len);
    assert!(long(&description.name) <= limits.name_bytes);
    assert!(long(&description.description) <= limits.description_bytes);
    assert!(description.capabilities.len() <= limits.capabilities);
    for capability in &description.capabilities {
        assert_eq!(Capability::parse(&capability.to_string()).as_ref(), Ok(capability));
    }
    // A schema that is nested too deeply is refused there.
    if let Ok(text) = description_write(&description) {
        assert_eq!(description_read(&text).expect("what was stored is read back"), description);
    }
    Ok(())
}

fn build(from: &mut Unstructured<'_>) -> Result<()> {
    let limits = CallLimits { refusal_bytes: 16, ..CallLimits::default() };
    let draft = match fuzzing::build(from, &limits)? {
        Ok(draft) => draft,
        Err(text) => {
            assert!(text.len() <= limits.refusal_bytes);
            return Ok(());
        }
    };
    let count = draft.nodes.len();
    if let Ok(graph) = draft.check(&GraphLimits::default()) {
        assert!(graph.steps().len() <= count);
        let text = graph_write(&graph);
        assert_eq!(graph_write(&graph_read(&text).expect("what was stored is read back")), text);
    }
    Ok(())
}

fn run(from: &mut Unstructured<'_>) -> Result<()> {
    let Ok(answer) = fuzzing::run(from)? else { return Ok(()) };
    if let Some(state) = answer.session_state {
        assert!(!json::is_deeper(&state.into(), json::MAX_DEPTH));
    }
    let line = fuzzing::line(&answer.output.content, &NARROW);
    assert!(line.len() <= NARROW.log_line_bytes && !line.chars().any(char::is_control));
    Ok(())
}

fn calls(from: &mut Unstructured<'_>) -> Result<()> {
    let all =
        [Capability::KeyValue, word("database:a"), word("database:b:write"), word("secret:s")];
    let mut granted = Vec::new();
    for capability in all {
        if from.arbitrary()? {
            granted.push(capability);
        }
    }
    let grants = Grants::of(&granted, &granted);
    let config = Arc::new(BTreeMap::new());
    let site = CallSite::granted("acme/test", grants.clone(), config, Arc::new(Services(grants)));
    let mut host = Host::new(site, &NARROW);
    while !from.is_empty() {
        host.call(from)?;
    }
    Ok(())
}

fn word(text: &str) -> Capability {
    Capability::parse(text).expect("it is one")
}

static NARROW: LazyLock<CallLimits> = LazyLock::new(|| CallLimits {
    log_line_bytes: 16,
    kv_key_bytes: 4,
    kv_value_bytes: 8,
    database_statements: 3,
    host_calls: 12,
    ..CallLimits::default()
});

/// Sees to it that nothing arrives that should not.
struct Services(Grants);

impl Services {
    fn key(&self, key: &str) {
        assert!(self.0.has(&Capability::KeyValue) && key.len() <= NARROW.kv_key_bytes);
    }
}

#[async_trait]
impl KeyValues for Services {
    async fn kv_get(&self, key: &str) -> std::result::Result<Option<Vec<u8>>, KeyValueFault> {
        self.key(key);
        Ok(None)
    }

    async fn kv_set(&self, key: &str, value: Vec<u8>) -> std::result::Result<(), KeyValueFault> {
        self.key(key);
        assert!(value.len() <= NARROW.kv_value_bytes);
        Ok(())
    }

    async fn kv_delete(&self, key: &str) -> std::result::Result<(), KeyValueFault> {
        self.key(key);
        Ok(())
    }
}

#[async_trait]
impl Databases for Services {
    async fn database_ask(
        &self,
        statement: Statement,
    ) -> std::result::Result<Answer, DatabaseFailure> {
        let name = statement.database.as_str();
        assert!(name == "b" || (name == "a" && statement.access == Access::Read), "{name}");
        assert!(self.0.database(&statement.database, statement.access));
        Ok(Answer::default())
    }
}

#[async_trait]
impl Secrets for Services {
    async fn secret_find(&self, name: &SecretName) -> std::result::Result<bool, SecretsDown> {
        assert!(name.as_str() == "s" && self.0.secret(name));
        Ok(true)
    }
}

#[async_trait]
impl Network for Services {
    async fn http_fetch(
        &self,
        _: OutboundRequest,
    ) -> std::result::Result<OutboundResponse, OutboundFailure> {
        unreachable!("nobody was granted any host")
    }
}

impl Lines for Services {
    fn log_line(&self) -> Admit {
        Admit::Now
    }
}
