//! Use cases: what the host does when somebody asks. No HTTP, no SQL, no wasm in here; the
//! rooms that know those are called.

mod audit;
mod budgets;
mod catalog;
mod clock;
mod declared;
mod driver;
mod entering;
mod error;
mod follow;
mod input;
pub(crate) mod json_fault;
mod keys;
mod lax;
mod outbound;
mod plugins;
mod policies;
mod recovery;
mod rows;
mod runs;
mod schema;
mod secrets;
mod services;
mod sessions;
mod telling;
mod upload_turns;
mod usage;
mod wiring;

pub use audit::ReadAudit;
pub use catalog::{Entry, Slot, Source};
pub(crate) use clock::now;
pub use declared::Declared;
pub use error::AppError;
pub use follow::{Follow, Started};
pub use input::InputFault;
pub(crate) use keys::is_key;
pub use keys::{KEYS_PER_TENANT, NewKey};
pub use plugins::{PluginView, Shelf, Upload};
pub use policies::PolicyView;
pub use recovery::Unfinished;
pub use runs::{ReadRuns, StartRun};
pub use schema::SchemaFault;
pub use secrets::{KeySource, MasterKey, SecretDraft, SecretFault, SecretView, VaultFault};
pub use sessions::{ListSessions, NewSession, SessionDetail};
pub use usage::{BudgetView, ReadUsage, UsageView};
pub use wiring::{App, OpenError};
