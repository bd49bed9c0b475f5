//! Why a database is not opened: said to the operator, with what to do about it.

use stepmill_core::ids::DatabaseName;

/// A database that the host does not open, and why.
#[derive(Debug, thiserror::Error)]
#[error("the database `{name}` is not opened")]
pub struct OpenError {
    pub(crate) name: DatabaseName,
    /// Why.
    #[source]
    pub fault: OpenFault,
}

/// Why a database is not opened. No text repeats the URL.
#[derive(Debug, thiserror::Error)]
pub enum OpenFault {
    /// A setting that is wrong in itself.
    #[error("{place} {rule}")]
    Setting {
        /// Which.
        place: &'static str,
        /// What it has to be.
        rule: &'static str,
    },
    /// Guests could reach more than they may. Each line is one way, by its name.
    #[error("guests could reach more than they may\n{}", .0.join("\n"))]
    Unsafe(Vec<String>),
    /// The database has another key, or none.
    #[error(
        "the database does not believe this host which tenant it asks for: it has another `tenant_key`, or none; \
         host/databases/README.md says how to set it up"
    )]
    OtherKey,
    /// It cannot be reached, or broke off.
    #[error("it cannot be reached")]
    Unreachable(#[source] std::io::Error),
    /// It refuses the host.
    #[error("it refuses the host (SQLSTATE {0})")]
    Refused(String),
}

impl OpenFault {
    pub(crate) fn setting(place: &'static str, rule: &'static str) -> Self {
        Self::Setting { place, rule }
    }
}
