//! Use cases: what the host does when somebody asks. No HTTP, no SQL, no wasm in here; the
//! rooms that know those are called.

mod catalog;
mod clock;
mod declared;
mod driver;
mod error;
mod input;
mod json_fault;
mod lax;
mod outbound;
mod plugins;
mod recovery;
mod runs;
mod schema;
mod services;
mod telling;
mod wiring;

pub use catalog::{Entry, Slot, Source};
pub(crate) use clock::now;
pub use declared::Declared;
pub use error::AppError;
pub use input::InputFault;
pub use plugins::{PluginView, Shelf, Upload};
pub use recovery::Unfinished;
pub use runs::{Follow, ReadRuns, StartRun, Started};
pub use schema::SchemaFault;
pub use wiring::{App, OpenError};
