//! Keeps rows, tenant by tenant: the only crate that contains SQL.
//!
//! SQLite and PostgreSQL are equals: the same functions, the same answers, one conformance suite.
//! A tenant's rows are reached only through [`TenantStore`], so forgetting the tenant does not
//! compile.

mod database;
mod error;
mod journal;
mod kv;
mod plugin;
mod policy;
mod preview;
mod run;
mod session;
mod settings;
mod store;
mod stored;
mod usage;

pub use error::StoreError;
pub use kv::{KV_KEY_BYTES, KV_ROW_BYTES};
pub use plugin::{PluginRow, SharedStore};
pub use policy::PolicyRow;
pub use preview::{PREVIEW_CHARACTERS, PreviewedOutcome, StoredPreview};
pub use run::{LIST_BYTES, RunFilter, RunList, SessionEntry, StoredRun, Touch};
pub use session::{
    SessionBefore, SessionChange, SessionFilter, SessionKey, SessionList, SessionOverview,
    SessionPage, StoredSession,
};
pub use settings::{SqliteSync, StoreSettings};
pub use store::{Store, TenantStore};
pub use usage::{Closing, ModelUsage, StateChange};
