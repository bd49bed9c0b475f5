//! Settings of the store: how many connections, and how long to wait, what to survive.

use std::time::Duration;

/// When SQLite waits until the disk says that a write is on it.
///
/// Whatever is chosen, nothing that was acknowledged is lost when the host dies, by `kill -9` too:
/// this is about the power of the machine. PostgreSQL has settings of its own for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqliteSync {
    /// Never: after a loss of power the last moments may be missing.
    Never,
    /// For what somebody was promised: accepted runs, uploads, plugins' data. Of a journal the
    /// last moments may be missing; the run goes on from there and asks its model again.
    Accepted,
    /// For every single write.
    Always,
}

/// How the store uses its database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSettings {
    /// The most connections that are open at once; on SQLite, that read at once. One or two more
    /// are always open: who holds the database, and on SQLite who writes.
    pub connections: u32,
    /// The longest wait for a free connection, or for a new one to be made.
    pub acquire_timeout_ms: u64,
    /// The longest a function of the store may take once it has a connection.
    pub statement_timeout_ms: u64,
    /// The longest that the database may take to say that it is well.
    pub ping_timeout_ms: u64,
    /// How long opening waits for another host to let go of the database. After a crash
    /// PostgreSQL needs a moment to notice that the host is gone.
    pub takeover_wait_ms: u64,
    /// The longest that bringing the schema up to date may take.
    pub migration_timeout_ms: u64,
    /// What survives a loss of power on SQLite.
    pub sqlite_sync: SqliteSync,
}

impl Default for StoreSettings {
    /// Connections: statements are short, so that ten serve hundreds of runs. Waits: longer than
    /// any healthy database needs, shorter than a client's patience; a ping waits behind the writes
    /// of a busy host, which is well as long as they get done. Migrations rewrite tables.
    /// Sync: one wait for the disk costs a run more than all its other writes together (0.3 to 3
    /// milliseconds, in which nobody else writes), so each run has one, when it is accepted.
    fn default() -> Self {
        Self {
            connections: 10,
            acquire_timeout_ms: 5_000,
            statement_timeout_ms: 10_000,
            ping_timeout_ms: 5_000,
            takeover_wait_ms: 5_000,
            migration_timeout_ms: 600_000,
            sqlite_sync: SqliteSync::Accepted,
        }
    }
}

impl StoreSettings {
    pub(crate) fn acquire_timeout(&self) -> Duration {
        Duration::from_millis(self.acquire_timeout_ms)
    }

    pub(crate) fn statement_timeout(&self) -> Duration {
        Duration::from_millis(self.statement_timeout_ms)
    }

    pub(crate) fn ping_timeout(&self) -> Duration {
        Duration::from_millis(self.ping_timeout_ms)
    }

    pub(crate) fn takeover_wait(&self) -> Duration {
        Duration::from_millis(self.takeover_wait_ms)
    }

    pub(crate) fn migration_timeout(&self) -> Duration {
        Duration::from_millis(self.migration_timeout_ms)
    }
}
