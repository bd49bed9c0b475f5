//! What an operator can set: a file, the environment and flags, in rising order of weight.
//!
//! This is the only place that reads the environment.

mod auth;
mod budget;
mod databases;
mod environment;
mod fault;
mod file;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod identity;
mod limits;
mod models;
mod policy;
mod providers;
mod secrets;
mod sections;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretString;
use stepmill_core::budget::Prices;
use stepmill_core::graph::GraphLimits;
use stepmill_core::ids::DatabaseName;
use stepmill_core::policy::Policies;
use stepmill_databases::DatabaseSettings;
use stepmill_models::ModelSettings;
use stepmill_sandbox::SandboxSettings;
use stepmill_store::StoreSettings;

use crate::app::Declared;

pub(crate) use auth::is_pem;
pub use auth::{
    AuthMode, AuthSettings, IssuerSettings, JwksSettings, JwtAlgorithm, TokenSettings, TokenSource,
};
pub use budget::{BudgetForm, Money};
pub use environment::Environment;
pub use fault::SettingsFault;
pub use file::{Overrides, read};
pub use identity::Identity;
pub use limits::LimitsForm;
pub use models::{demo_models, models_of_environment};
pub use policy::{PolicyFault, PolicyForm, PolicyPatch};
pub use secrets::SecretsSettings;

/// Everything the host needs to know before it opens.
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// What the host calls itself.
    pub identity: Identity,
    /// Where the host keeps its files: the SQLite database, compiled plugins, declared workflows.
    pub data_dir: PathBuf,
    /// `sqlite:…` or `postgres://…`.
    pub database_url: SecretString,
    /// How the database is used.
    pub store: StoreSettings,
    /// Who may come in, and how far members go.
    pub auth: AuthSettings,
    /// Which providers there are, and what they answer for.
    pub models: ModelSettings,
    /// What models' tokens cost.
    pub prices: Prices,
    /// Databases of the operator's applications, which plugins may ask.
    pub databases: BTreeMap<DatabaseName, DatabaseSettings>,
    /// Bounds of plugins.
    pub sandbox: SandboxSettings,
    /// Bounds of graphs.
    pub graph: GraphLimits,
    /// What plugins may do, and their configuration. What is said over the API counts before.
    pub policies: Policies,
    /// The keys that seal secrets.
    pub secrets: SecretsSettings,
    /// Bounds and times of the HTTP door.
    pub http: HttpSettings,
    /// Bounds of requests that plugins make.
    pub outbound: OutboundSettings,
    /// Bounds of runs.
    pub runs: RunSettings,
    /// How long the audit log is kept.
    pub audit: AuditSettings,
    /// Workflows that come with the binary; a file of the same id takes their place.
    pub declared: Vec<Arc<Declared>>,
}

/// Bounds and times of the HTTP door.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// The largest body of a run's form. Agno allows 1 MiB a field; this allows a few such fields.
    pub form_bytes: usize,
    /// The largest single field of a form, as Agno's.
    pub field_bytes: usize,
    /// Components taken in at once, over all tenants; more wait, unread. Each is held in memory
    /// until it is stored, and is as large as `[limits] component_bytes` at most.
    pub uploads: usize,
    /// Lists over a megabyte that are held at once, from when they are read until clients have
    /// them; more wait. Each may be 32 MiB of rows, and is its text after that.
    pub large_lists: usize,
    /// How long a client may take to send its form or its component.
    pub body_timeout_ms: u64,
    /// Request headers that plugins may see, in lower case.
    pub plugin_headers: Vec<String>,
    /// Origins whose pages may use the host, besides its own.
    pub cors_origins: Vec<String>,
    /// Whether `/docs` and `/openapi.json` are there.
    pub docs: bool,
    /// Connections open at once. More wait until one closes.
    pub connections: usize,
    /// How long a client may leave an answer unread before its connection is closed.
    pub write_timeout_ms: u64,
    /// How long a stream stays silent before a comment is sent to keep it open.
    pub keep_alive_ms: u64,
    /// How long running work may take to finish after the host was told to stop.
    pub drain_timeout_ms: u64,
}

/// Where Agno's screens are served from, and where people try their own.
const AGNO_ORIGINS: [&str; 6] = [
    "http://localhost:3000",
    "https://agno.com",
    "https://www.agno.com",
    "https://app.agno.com",
    "https://os-stg.agno.com",
    "https://os.agno.com",
];

impl HttpSettings {
    /// Whether pages of this origin may use the host.
    pub fn allows_origin(&self, origin: &str) -> bool {
        self.cors_origins.iter().any(|it| it == origin)
    }
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            form_bytes: 8 * 1024 * 1024,
            field_bytes: 1024 * 1024,
            // Twice as many as wait for a worker and are compiled, by default: half of them may
            // still be on their way.
            uploads: 8,
            large_lists: 8,
            body_timeout_ms: 60_000,
            plugin_headers: ["accept-language", "user-agent", "x-request-id"]
                .map(String::from)
                .into(),
            cors_origins: AGNO_ORIGINS.map(String::from).into(),
            docs: true,
            connections: 4_096,
            write_timeout_ms: 60_000,
            keep_alive_ms: 15_000,
            drain_timeout_ms: 20_000,
        }
    }
}

/// Bounds of requests that plugins make.
#[derive(Debug, Clone)]
pub struct OutboundSettings {
    /// Whether `http://` is allowed beside `https://`.
    pub allow_http: bool,
    /// Whether loopback, private and link-local addresses are allowed.
    pub allow_private: bool,
    /// From the request to the end of the answer.
    pub timeout_ms: u64,
    /// The largest answer.
    pub body_bytes: usize,
    /// Requests of one tenant's plugins under way at once. More wait, within their time.
    pub concurrent: usize,
}

impl Default for OutboundSettings {
    fn default() -> Self {
        Self {
            allow_http: false,
            allow_private: false,
            timeout_ms: 5_000,
            body_bytes: 1024 * 1024,
            concurrent: 32,
        }
    }
}

/// How long the audit log is kept.
#[derive(Debug, Clone, Copy)]
pub struct AuditSettings {
    /// Older lines are removed when the host starts, and every day.
    pub keep_days: u32,
}

impl Default for AuditSettings {
    /// A year: what is asked after an incident is asked late.
    fn default() -> Self {
        Self { keep_days: 365 }
    }
}

/// Bounds of runs.
#[derive(Debug, Clone)]
pub struct RunSettings {
    /// Runs under way at once, over all tenants. More are refused with 503.
    pub concurrent: usize,
    /// Of those, of one tenant. More are refused with 429; the rest is for others.
    pub tenant_concurrent: usize,
    /// Runs in one answer of the list; the newest are given.
    pub list: u32,
    /// The largest state of a session, as JSON.
    pub state_bytes: usize,
    /// How long a step waits while other model calls hold what its budgets would give it.
    pub budget_wait_ms: u64,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            concurrent: 1_000,
            tenant_concurrent: 750,
            list: 1_000,
            state_bytes: 1024 * 1024,
            // A run holds a seat while it waits.
            budget_wait_ms: 60_000,
        }
    }
}
