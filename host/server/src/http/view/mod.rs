//! What clients read: the JSON of Agno's API, made from core types in one place each.

mod agent_run;
mod audit;
mod event;
mod fault;
mod key;
mod limits;
mod list;
mod media;
mod metrics;
mod os;
mod plugin;
mod policy;
mod run;
mod secret;
mod session;
mod shapes;
mod step_result;
mod usage;
mod workflow;

pub(super) use audit::AuditBody;
pub(super) use event::{EventView, Renderer, failure};
pub(super) use fault::{Fault, FieldFault, FieldFaults, RunFault};
pub(super) use key::{KeyBody, NewKeyBody};
pub(super) use limits::TenantUseBody;
pub(super) use list::{
    Listed, RunPreview, RunSummary, iso_micros, preview, summary, workflow_run_summary,
};
pub(super) use os::{Config, Count, Home, Info};
pub(super) use plugin::PluginBody;
pub(super) use policy::PolicyBody;
pub(super) use run::{Detail, RunView, run, status_of};
pub(super) use secret::SecretBody;
pub(super) use session::{Nulls, SessionBody, SessionPageBody, detail, line, page};
pub(super) use usage::UsageBody;
pub(super) use workflow::{
    Host, WorkflowDetail, WorkflowSummary, workflow_detail, workflow_summary,
};
