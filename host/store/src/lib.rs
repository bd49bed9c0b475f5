//! Keeps rows, tenant by tenant: the only crate that contains SQL.
//!
//! SQLite and PostgreSQL are equals: the same functions, the same answers, one conformance suite.
//! A tenant's rows are reached only through [`TenantStore`], so forgetting the tenant does not
//! compile.

mod audit;
mod database;
mod error;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod history;
mod journal;
mod keys;
mod kv;
mod plugin;
mod policy;
mod preview;
mod run;
mod secret;
mod session;
mod settings;
mod spending;
mod store;
mod stored;
mod usage;

pub use audit::{AuditFilter, AuditRow};
pub use error::StoreError;
pub use keys::{FoundKey, KeyDigest};
pub use kv::{KV_KEY_BYTES, KV_ROW_BYTES};
pub use plugin::{PluginRow, SharedStore};
pub use policy::PolicyRow;
pub use preview::{PREVIEW_CHARACTERS, PreviewedOutcome, StoredPreview};
pub use run::{LIST_BYTES, RunFilter, RunList, SessionEntry, StoredRun, Touch};
pub use secret::{SecretRow, SecretStore};
pub use session::{
    SessionBefore, SessionChange, SessionFilter, SessionKey, SessionList, SessionOverview,
    SessionPage, StoredSession,
};
pub use settings::{SqliteSync, StoreSettings};
pub use spending::{DaySpending, Spending};
pub use store::{Store, TenantStore};
pub use usage::{Closing, ModelUsage, StateChange};
