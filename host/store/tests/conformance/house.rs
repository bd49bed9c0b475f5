//! The furniture: a fresh database for each story, and the words the stories are told in.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use serde_json::Map;
use stepmill_core::audit::{Action, Actor, AuditNote};
use stepmill_core::context::{RequestContext, RequestFacts};
use stepmill_core::event::{JournalEntry, RunEvent, StepIndex};
use stepmill_core::graph::{
    Executor, FunctionCall, GraphDraft, GraphLimits, NodeDraft, Step, StepGraph,
};
use stepmill_core::ids::{ComponentId, Digest, RunId, SessionId, TenantId, UserId, WorkflowId};
use stepmill_core::plugin::{Description, WorkflowKind};
use stepmill_core::principal::TrustedClaims;
use stepmill_core::run::{Origin, RunPin, Telling};
use stepmill_core::time::Timestamp;
use stepmill_store::{PluginRow, RunFilter, Store, StoreError, StoreSettings, TenantStore};

/// The connections of a store's pool.
pub(crate) const CONNECTIONS: u32 = 4;

/// A database nobody else uses.
pub(crate) struct House {
    pub(crate) url: String,
}

impl House {
    /// Waits for another holder to let go: PostgreSQL needs a moment to see that one is gone.
    pub(crate) async fn open(&self) -> Store {
        Store::open(&self.url, settings()).await.unwrap()
    }

    /// Without waiting.
    pub(crate) async fn try_open(&self) -> Result<Store, StoreError> {
        Store::open(&self.url, StoreSettings { takeover_wait_ms: 0, ..settings() }).await
    }
}

fn settings() -> StoreSettings {
    // A busy machine may be slow; a healthy one never waits this long.
    StoreSettings {
        connections: CONNECTIONS,
        takeover_wait_ms: 60_000,
        acquire_timeout_ms: 60_000,
        statement_timeout_ms: 60_000,
        ping_timeout_ms: 60_000,
        ..StoreSettings::default()
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

pub(crate) fn on_sqlite(story: impl AsyncFnOnce(House)) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/house.db?mode=rwc", folder.path().display());
    runtime().block_on(story(House { url }));
}

pub(crate) fn on_postgres(story: impl AsyncFnOnce(House)) {
    #[expect(
        clippy::disallowed_methods,
        reason = "where the test server is, only the caller knows"
    )]
    let server = std::env::var("STEPMILL_TEST_POSTGRES_URL").expect(
        "STEPMILL_TEST_POSTGRES_URL is not set: it names a PostgreSQL server whose user may create \
         databases; tests/run starts one and sets it",
    );
    let runtime = runtime();
    let name = format!("stepmill_{}", uuid::Uuid::new_v4().simple());
    let sql = format!("create database {name} template template0 encoding 'UTF8'");
    runtime.block_on(execute(&server, &sql));
    let url = with_database(&server, &name);
    let told = catch_unwind(AssertUnwindSafe(|| runtime.block_on(story(House { url }))));
    runtime.block_on(execute(&server, &format!("drop database {name} with (force)")));
    if let Err(panic) = told {
        resume_unwind(panic);
    }
}

/// The same server, another database.
fn with_database(server: &str, name: &str) -> String {
    let (address, query) = server.split_once('?').unwrap_or((server, ""));
    let slash = address.rfind('/').filter(|&at| !address[..at].ends_with('/'));
    format!("{}/{name}?{query}", &address[..slash.unwrap_or(address.len())])
}

/// Runs statements that the store has no function for, on either database.
pub(crate) async fn execute(url: &str, sql: &str) {
    use sqlx::{AssertSqlSafe, Connection};
    let sql = sqlx::raw_sql(AssertSqlSafe(sql));
    if url.starts_with("sqlite") {
        let mut connection = sqlx::SqliteConnection::connect(url).await.unwrap();
        sql.execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    } else {
        let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
        sql.execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}

pub(crate) fn tenant(store: &Store, name: &str) -> TenantStore {
    store.tenant(&TenantId::new(name).unwrap())
}

/// A line of the audit log.
pub(crate) fn note() -> AuditNote {
    let (actor, action) = (Actor::default(), Action::PluginUpload);
    AuditNote { at: at(1), actor, action, target: "t".to_owned(), detail: None }
}

pub(crate) fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

pub(crate) fn workflow(name: &str) -> WorkflowId {
    WorkflowId::new(name).unwrap()
}

pub(crate) fn component(name: &str) -> ComponentId {
    ComponentId::new(name).unwrap()
}

pub(crate) fn session(name: &str) -> SessionId {
    SessionId::new(name).unwrap()
}

pub(crate) fn run(number: u128) -> RunId {
    RunId::from_uuid(uuid::Uuid::from_u128(number))
}

pub(crate) fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

pub(crate) fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn graph() -> StepGraph {
    let function = FunctionCall { name: "f".into(), argument: Some("1".into()) };
    let step = Step {
        name: "step".into(),
        description: None,
        executor: Executor::Function(function),
        options: Default::default(),
    };
    let mut draft = GraphDraft::new("Workflow", vec![NodeDraft::Step(step)], 0);
    draft.description = Some("Steps.".into());
    draft.check(&GraphLimits::default()).unwrap()
}

/// Run `number` of workflow `w` in a session, accepted `number` microseconds after the epoch.
pub(crate) fn pin(number: u128, in_session: &str, by: Option<&str>) -> RunPin {
    let context = RequestContext {
        user: by.map(user),
        session: Some(session(in_session)),
        input: Some(Map::from_iter([("n".to_owned(), 1.into())])),
        request: RequestFacts { method: "POST".into(), path: "/".into(), headers: vec![] },
        tenant: TenantId::new("acme").unwrap(),
        trusted: TrustedClaims::default(),
    };
    RunPin {
        id: run(number),
        workflow: workflow("w"),
        session: session(in_session),
        user: by.map(user),
        input: "Hello".into(),
        extras: Arc::default(),
        session_state: Map::new(),
        history: std::sync::Arc::from([]),
        telling: Telling::Streamed,
        origin: Origin::Declared,
        context: Arc::new(context),
        graph: Arc::new(graph()),
        created_at: at(number as i64),
    }
}

/// Such a run, drawn and run by a component.
pub(crate) fn plugin_pin(number: u128, digest: Digest) -> RunPin {
    RunPin { origin: Origin::Plugin(digest), ..pin(number, "s", None) }
}

pub(crate) fn entry(sequence: u64, event: RunEvent) -> JournalEntry {
    JournalEntry { sequence, at: at(1_000 + sequence as i64), event }
}

pub(crate) fn step_started(sequence: u64) -> JournalEntry {
    entry(sequence, RunEvent::StepStarted { step: StepIndex(0) })
}

pub(crate) fn piece(sequence: u64, text: &str) -> JournalEntry {
    entry(sequence, RunEvent::ModelDelta { step: StepIndex(0), text: text.into() })
}

pub(crate) fn plugin(id: &str, digest: Digest) -> PluginRow {
    PluginRow {
        id: workflow(id),
        digest,
        bytes: 3,
        description: Description {
            id: workflow("its-own-name"),
            kind: WorkflowKind::Factory,
            name: Some("Plugin".into()),
            description: None,
            input_schema: None,
            capabilities: vec![],
        },
        uploaded_at: at(10),
        uploaded_by: Some(user("ada")),
        created_at: at(10),
    }
}

/// The runs of one workflow.
pub(crate) fn of(name: &str) -> RunFilter {
    RunFilter { workflow: Some(workflow(name)), ..RunFilter::default() }
}
