//! What the host tells of itself.

use serde::Serialize;
use utoipa::ToSchema;

use super::shapes::Empty;
use super::workflow::{WorkflowSummary, workflow_summary};
use crate::app::Entry;
use crate::settings::Identity;

/// The version of AgentOS whose API this is.
const AGNO_VERSION: &str = "3.1.10";

/// Where to go from here.
#[derive(Serialize, ToSchema)]
pub(crate) struct Home<'a> {
    name: &'a str,
    health: &'static str,
    info: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    docs: Option<&'static str>,
}

impl<'a> Home<'a> {
    pub(crate) fn of(identity: &'a Identity, docs: bool) -> Self {
        let docs = docs.then_some("/docs");
        Self { name: &identity.name, health: "/health", info: "/info", docs }
    }
}

/// Who this is, for anybody.
#[derive(Serialize, ToSchema)]
#[schema(as = InfoResponse)]
pub(crate) struct Info<'a> {
    os_id: &'a str,
    name: &'a str,
    os_version: &'a str,
    agno_version: &'static str,
    agent_count: usize,
    team_count: usize,
    workflow_count: usize,
    mcp: Mcp,
    auth_mode: &'static str,
    user_isolation: bool,
    stepmill_version: &'static str,
}

#[derive(Serialize, ToSchema)]
struct Mcp {
    enabled: bool,
    path: Option<&'static str>,
    oauth: Option<Empty>,
    tool_run_endpoint: bool,
}

/// What [`Info`] says beside names.
pub(crate) struct Count {
    /// `none`, `security_key` or `jwt`.
    pub auth_mode: &'static str,
    /// Whether users see their own runs only.
    pub user_isolation: bool,
    /// Workflows the caller may know of.
    pub workflows: usize,
}

impl<'a> Info<'a> {
    pub(crate) fn of(identity: &'a Identity, count: &Count) -> Self {
        Self {
            os_id: &identity.id,
            name: &identity.name,
            os_version: &identity.version,
            agno_version: AGNO_VERSION,
            agent_count: 0,
            team_count: 0,
            workflow_count: count.workflows,
            mcp: Mcp { enabled: false, path: None, oauth: None, tool_run_endpoint: false },
            auth_mode: count.auth_mode,
            user_isolation: count.user_isolation,
            stepmill_version: env!("CARGO_PKG_VERSION"),
        }
    }
}

/// What a screen needs to know before it draws itself.
#[derive(Serialize, ToSchema)]
#[schema(as = ConfigResponse)]
pub(crate) struct Config<'a> {
    os_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    available_models: &'a [String],
    databases: [&'a str; 1],
    session: Domain<'a>,
    metrics: Domain<'a>,
    memory: Domain<'a>,
    learning: Domain<'a>,
    filesystem: Filesystem,
    knowledge: Knowledge,
    evals: Domain<'a>,
    traces: Domain<'a>,
    queue: Queue,
    agents: [Empty; 0],
    teams: [Empty; 0],
    workflows: Vec<WorkflowSummary<'a>>,
    interfaces: [Empty; 0],
    company: Option<Empty>,
}

/// Where one kind of data is kept.
#[derive(Serialize, ToSchema)]
struct Domain<'a> {
    dbs: [Database<'a>; 1],
}

#[derive(Serialize, ToSchema)]
struct Database<'a> {
    db_id: &'a str,
    domain_config: DomainConfig<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tables: Option<[&'static str; 1]>,
}

#[derive(Serialize, ToSchema)]
struct DomainConfig<'a> {
    display_name: &'a str,
}

#[derive(Serialize, ToSchema)]
struct Filesystem {
    namespaces: [Empty; 0],
}

#[derive(Serialize, ToSchema)]
struct Knowledge {
    dbs: [Empty; 0],
    knowledge_instances: [Empty; 0],
}

#[derive(Serialize, ToSchema)]
struct Queue {
    durable: bool,
    queue_per_session: bool,
}

impl<'a> Domain<'a> {
    /// The one database; its tables go by Agno's names, which screens send back.
    fn of(identity: &'a Identity, table: Option<&'static str>) -> Self {
        let name = identity.database.as_str();
        let domain_config = DomainConfig { display_name: name };
        Self { dbs: [Database { db_id: name, domain_config, tables: table.map(|it| [it]) }] }
    }
}

impl<'a> Config<'a> {
    pub(crate) fn of(identity: &'a Identity, workflows: &'a [Entry]) -> Self {
        let domain = |table| Domain::of(identity, Some(table));
        let summary = |it| workflow_summary(it, &identity.database);
        Self {
            os_id: &identity.id,
            description: identity.description.as_deref(),
            available_models: &identity.available_models,
            databases: [&identity.database],
            session: domain("agno_sessions"),
            metrics: domain("agno_metrics"),
            memory: domain("agno_memories"),
            learning: domain("agno_learnings"),
            filesystem: Filesystem { namespaces: [] },
            knowledge: Knowledge { dbs: [], knowledge_instances: [] },
            evals: domain("agno_eval_runs"),
            traces: Domain::of(identity, None),
            queue: Queue { durable: false, queue_per_session: false },
            agents: [],
            teams: [],
            workflows: workflows.iter().map(summary).collect(),
            interfaces: [],
            company: None,
        }
    }
}
