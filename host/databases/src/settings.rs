//! Settings of one database: where it is, who may see what, and how much one statement may take.

use std::collections::BTreeSet;
use std::time::Duration;

use secrecy::SecretString;

/// The most bytes of a statement: a query longer than this is made by a machine in a loop.
pub const STATEMENT_BYTES: usize = 64 * 1024;

/// One of the operator's databases.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// `postgres://…`, `sqlite:FOLDER/{tenant}.sqlite` (a file for each tenant) or
    /// `sqlite:FILE` (one for all, which is only read).
    pub url: SecretString,
    /// PostgreSQL: the key that proves to the database which tenant a statement is for, as 64
    /// hexadecimal digits. The database has the same.
    pub tenant_key: Option<SecretString>,
    /// PostgreSQL: guests of all tenants may see and do the same in this database.
    pub shared: bool,
    /// PostgreSQL: what guests of all tenants may share, by the names in which opening complains
    /// of it.
    pub common: BTreeSet<String>,
    /// Statements at once.
    pub connections: u32,
    /// The longest wait for one of them to end, and for a connection to be made.
    pub acquire_timeout_ms: u64,
    /// The longest one statement may take.
    pub statement_timeout_ms: u64,
    /// The most rows of an answer.
    pub rows: usize,
    /// The most bytes of an answer, and of all its parameters.
    pub bytes: usize,
    /// SQLite: the largest file of one tenant.
    pub file_bytes: u64,
}

impl DatabaseSettings {
    /// Connections: a plugin's statement is short, and the database is not only ours. Waits: a
    /// statement with both is over before the plugin call that asks it (ten seconds). Rows and
    /// bytes: what a model can read, several times over, and a quarter of what a plugin may be
    /// handed. A file: more than a tenant writes by hand, and a thousand of them fit on a disk.
    pub fn new(url: SecretString) -> Self {
        Self {
            url,
            tenant_key: None,
            shared: false,
            common: BTreeSet::new(),
            connections: 5,
            acquire_timeout_ms: 2_000,
            statement_timeout_ms: 5_000,
            rows: 1_000,
            bytes: 1024 * 1024,
            file_bytes: 256 * 1024 * 1024,
        }
    }

    pub(crate) fn caps(&self) -> Caps {
        Caps {
            rows: self.rows,
            bytes: self.bytes,
            acquire: Duration::from_millis(self.acquire_timeout_ms),
            statement: Duration::from_millis(self.statement_timeout_ms.max(1)),
        }
    }
}

/// What one statement may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caps {
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
    pub(crate) acquire: Duration,
    pub(crate) statement: Duration,
}
