//! Use cases: what the host does when somebody asks. No HTTP, no SQL, no wasm in here; the
//! rooms that know those are called.

mod catalog;
mod clock;
mod declared;
mod driver;
mod entering;
mod error;
mod follow;
mod input;
pub(crate) mod json_fault;
mod lax;
mod limits;
mod outbound;
mod plugins;
mod policies;
mod rates;
mod recovery;
mod runs;
mod schema;
mod seats;
mod services;
mod sessions;
mod stored;
mod telling;
mod wiring;

pub use catalog::{Entry, Slot, Source};
pub(crate) use clock::now;
pub use declared::Declared;
pub use error::AppError;
pub use follow::{Follow, Started};
pub use input::InputFault;
pub use limits::TenantUse;
pub use plugins::{PluginView, Shelf, Upload};
pub use policies::PolicyView;
pub use recovery::Unfinished;
pub use runs::{ReadRuns, StartRun};
pub use schema::SchemaFault;
pub use sessions::{ListSessions, NewSession, SessionDetail};
pub use stored::Shelved;
pub use wiring::{App, OpenError};
