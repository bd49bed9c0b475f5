//! Puts guests' statements to the operator's databases, tenant by tenant: SQLite and PostgreSQL.
//!
//! The statements are the guests' own. Whatever they say, they stay inside the tenant they are
//! asked for, inside what was granted, and inside the caps on rows, bytes and time. The host's own
//! rows are out of reach: this room has no connection to them.

mod databases;
mod gathering;
mod opening;
mod postgres;
mod settings;
mod sqlite;
mod wording;

pub use databases::Databases;
pub use opening::{OpenError, OpenFault};
pub use settings::{DatabaseSettings, STATEMENT_BYTES};
