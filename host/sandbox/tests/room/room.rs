//! The furniture: an open sandbox, somebody who asks, and services that answer as told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use stepmill_core::call::{FunctionAnswer, FunctionInput};
use stepmill_core::capability::{Capability, Grants};
use stepmill_core::context::{RequestContext, RequestFacts};
use stepmill_core::database::{Answer, DatabaseFailure, Statement};
use stepmill_core::graph::{FunctionCall, GraphDraft};
use stepmill_core::ids::{RunId, SecretName, SessionId, TenantId, UserId};
use stepmill_core::limits::Admit;
use stepmill_core::principal::TrustedClaims;
use stepmill_sandbox::{
    BuildFailure, CallFailure, CallLimits, CallSite, Databases, FunctionFailure, KeyValueFault,
    KeyValues, Lines, Network, OutboundFailure, OutboundRequest, OutboundResponse, Plugin, Sandbox,
    SandboxSettings, Secrets, SecretsDown,
};

use crate::guests;

pub(crate) fn sandbox(call: CallLimits) -> Sandbox {
    Sandbox::open(SandboxSettings { call, ..settings() }, guests::worker()).unwrap()
}

/// The defaults, and what was compiled for another test is not compiled again.
pub(crate) fn settings() -> SandboxSettings {
    let cache_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("code");
    SandboxSettings { cache_dir: Some(cache_dir), ..SandboxSettings::default() }
}

/// The guest that does what it is told, within these limits.
pub(crate) async fn plugin(call: CallLimits) -> Plugin {
    sandbox(call).load(guests::hostile()).await.unwrap()
}

/// Short enough to wait for, long enough for every honest order on a busy machine: there, the slow
/// lane gets little, and the CPU time of an order that goes on in it takes long to use up.
pub(crate) fn short() -> CallLimits {
    CallLimits { cpu_ms: 100, deadline_ms: 60_000, ..CallLimits::default() }
}

/// A caller's context whose order is `order`.
pub(crate) fn context(order: &str) -> RequestContext {
    let claims = serde_json::json!({ "sub": "ada", "tier": 3 });
    let input = serde_json::json!({ "topic": "tea" });
    RequestContext {
        user: Some(UserId::new("ada").unwrap()),
        session: Some(SessionId::new(order).unwrap()),
        input: input.as_object().cloned(),
        request: RequestFacts {
            method: "POST".to_owned(),
            path: "/workflows/hostile/runs".to_owned(),
            headers: vec![("x-kind".to_owned(), "test".to_owned())],
        },
        tenant: TenantId::new("acme").unwrap(),
        trusted: TrustedClaims {
            claims: claims.as_object().cloned().unwrap(),
            scopes: BTreeSet::from(["workflows:run".to_owned()]),
        },
    }
}

pub(crate) fn input(order: &str) -> FunctionInput {
    FunctionInput {
        function: FunctionCall { name: "finish".to_owned(), argument: Some("{}".to_owned()) },
        step: "finish".to_owned(),
        message: order.to_owned(),
        previous: None,
        outputs: vec![],
        run: RunId::from_uuid(uuid::Uuid::nil()),
        session: SessionId::new("s").unwrap(),
        user: None,
        session_state: serde_json::Map::from_iter([("n".to_owned(), 1.into())]),
        extras: Arc::default(),
        history: vec![],
    }
}

/// Nothing granted.
pub(crate) fn site() -> CallSite {
    site_with(&[], Arc::new(Desk::default()))
}

pub(crate) fn site_with(grants: &[Capability], services: Arc<Desk>) -> CallSite {
    let config = Arc::new(BTreeMap::from([("region".to_owned(), "eu".to_owned())]));
    CallSite::granted("acme/hostile", Grants::of(grants, grants), config, services)
}

pub(crate) async fn build(plugin: &Plugin, order: &str) -> Result<GraphDraft, BuildFailure> {
    plugin.build(site(), &context(order)).await
}

/// How `build` fails when it is given this order.
pub(crate) async fn failure(plugin: &Plugin, order: &str) -> CallFailure {
    match build(plugin, order).await {
        Err(BuildFailure::Call(failure)) => failure,
        other => panic!("the call of `{order}` does not fail as a call: {other:?}"),
    }
}

pub(crate) async fn run(plugin: &Plugin, order: &str) -> Result<FunctionAnswer, FunctionFailure> {
    plugin.run_function(site(), &context("good"), &input(order)).await
}

/// What the order found out, with these grants.
pub(crate) async fn found_out(plugin: &Plugin, grants: &[Capability], order: &str) -> String {
    let site = site_with(grants, Arc::new(Desk::default()));
    plugin.build(site, &context(order)).await.unwrap().description.unwrap()
}

/// Whatever happened before: a hundred calls come back whole.
pub(crate) async fn still_good(plugin: &Plugin) {
    for call in 0..100 {
        let draft = build(plugin, "good").await;
        assert_eq!(draft.map(|it| it.nodes.len()).ok(), Some(3), "call {call} afterwards");
    }
}

/// Services: a map, and a network that says what it was asked.
#[derive(Default)]
pub(crate) struct Desk {
    values: Mutex<BTreeMap<String, Vec<u8>>>,
    /// The runtimes that its work was done in.
    pub(crate) runtimes: Mutex<Vec<tokio::runtime::Id>>,
}

impl Desk {
    fn note_runtime(&self) {
        self.runtimes.lock().unwrap().push(tokio::runtime::Handle::current().id());
    }
}

#[async_trait]
impl KeyValues for Desk {
    async fn kv_get(&self, key: &str) -> Result<Option<Vec<u8>>, KeyValueFault> {
        self.note_runtime();
        match key {
            // A storage that never answers.
            "never" => std::future::pending().await,
            _ => Ok(self.values.lock().unwrap().get(key).cloned()),
        }
    }

    async fn kv_set(&self, key: &str, value: Vec<u8>) -> Result<(), KeyValueFault> {
        self.values.lock().unwrap().insert(key.to_owned(), value);
        Ok(())
    }

    async fn kv_delete(&self, key: &str) -> Result<(), KeyValueFault> {
        self.values.lock().unwrap().remove(key);
        Ok(())
    }
}

impl Lines for Desk {
    fn log_line(&self) -> Admit {
        Admit::Now
    }
}

#[async_trait]
impl Databases for Desk {
    async fn database_ask(&self, statement: Statement) -> Result<Answer, DatabaseFailure> {
        let columns = vec![statement.text];
        Ok(Answer { columns, rows: vec![statement.parameters], changed: 1 })
    }
}

#[async_trait]
impl Network for Desk {
    async fn http_fetch(
        &self,
        request: OutboundRequest,
    ) -> Result<OutboundResponse, OutboundFailure> {
        self.note_runtime();
        let body = format!("{} {}", request.method, request.url).into_bytes();
        Ok(OutboundResponse { status: 200, headers: vec![], body })
    }
}

#[async_trait]
impl Secrets for Desk {
    async fn secret_find(&self, name: &SecretName) -> Result<bool, SecretsDown> {
        Ok(name.as_str() == "key")
    }
}
