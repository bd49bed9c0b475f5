//! What can go wrong when rows are kept.

use sqlx::error::ErrorKind;

/// Why the store did not do what it was asked. No variant's text holds a row's content.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL names no database this host can keep rows in.
    #[error("the database URL cannot be used: {0}")]
    Url(&'static str),
    /// Another host holds the database. Two hosts must never drive the same runs.
    #[error("another host holds the database")]
    InUse,
    /// This host lost its connections, and another one took the database over.
    #[error("another host has taken over the database")]
    Lost,
    /// The database could not be reached or opened.
    #[error("the database could not be opened")]
    Open(#[source] sqlx::Error),
    /// The file beside the database that says who holds it.
    #[error("the lock file beside the database could not be used")]
    LockFile(#[source] std::io::Error),
    /// The schema could not be brought up to date, or is newer than this host.
    #[error("the database's schema could not be brought to what this host knows")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// A PostgreSQL database that does not keep text as UTF-8.
    #[error("the database must have the encoding UTF8")]
    Encoding,
    /// [`crate::Store::close`] was called.
    #[error("the store is closed")]
    Closed,
    /// No answer before the deadline. Whether a write took place is not known.
    #[error("the database did not answer in time; was about to {doing}")]
    TimedOut {
        /// What was asked.
        doing: &'static str,
    },
    /// The database could not be asked, or did not do it for a reason that passes: it is locked,
    /// starts, or has no connection to spare. Nothing was written.
    #[error("the database is not available; was about to {doing}")]
    Unavailable {
        /// What was asked.
        doing: &'static str,
        /// What keeps it.
        #[source]
        source: sqlx::Error,
    },
    /// The database went away before it answered. Whether a write took place is not known.
    #[error("the database broke off; was about to {doing}")]
    BrokeOff {
        /// What was asked.
        doing: &'static str,
        /// How it went away.
        #[source]
        source: sqlx::Error,
    },
    /// The database has no room left. Nothing was written, and what was is still read.
    #[error("the database is full; was about to {doing}")]
    Full {
        /// What was asked.
        doing: &'static str,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// The database takes no writes. What is in it is still read.
    #[error("the database can only be read; was about to {doing}")]
    ReadOnly {
        /// What was asked.
        doing: &'static str,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// Anything else the database says.
    #[error("the database could not {doing}")]
    Database {
        /// What was asked.
        doing: &'static str,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// The session belongs to somebody else.
    #[error("the session belongs to another user")]
    SessionForeign,
    /// There is a session of this id already.
    #[error("a session of this id exists")]
    SessionExists,
    /// There is a run of this id already, in this tenant or in another.
    #[error("a run of this id exists")]
    RunExists,
    /// This tenant has no run of this id.
    #[error("there is no such run")]
    RunMissing,
    /// The journal has an entry at this place already.
    #[error("the journal has an entry with this sequence number")]
    SequenceTaken,
    /// The code a run would pin is not kept (any more).
    #[error("the code that the run needs is not kept")]
    ComponentMissing,
    /// The tenant has as many API keys as it may have.
    #[error("the tenant has no room for another key")]
    KeysFull,
    /// A value that one of the two databases could not give back as it was.
    #[error("cannot be stored: {what}")]
    Unstorable {
        /// Which value, and why.
        what: &'static str,
    },
    /// With what others changed meanwhile, a session's state would be larger than it may be.
    /// Nothing was written.
    #[error("the session's state would be larger than {limit} bytes")]
    StateTooLarge {
        /// The most it may have, as JSON.
        limit: usize,
    },
    /// The rows of a list hold more together than they may.
    #[error("the list holds more bytes than it may")]
    TooLarge,
    /// A row that this host does not understand: written by a newer one, or damaged.
    #[error("cannot be read: {what}")]
    Unreadable {
        /// Which form, and where in it.
        what: String,
    },
}

impl StoreError {
    /// Whether the same may be done later, when the database is well again.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::TimedOut { .. }
                | Self::Unavailable { .. }
                | Self::BrokeOff { .. }
                | Self::Full { .. }
                | Self::ReadOnly { .. }
        )
    }

    /// Whether a write that failed so may have taken place all the same.
    pub fn leaves_doubt(&self) -> bool {
        matches!(self, Self::TimedOut { .. } | Self::BrokeOff { .. })
    }

    /// Which rule of the schema a statement would have broken, if that is why it failed.
    pub(crate) fn violation(&self) -> Option<ErrorKind> {
        match self {
            Self::Database { source, .. } => source.as_database_error().map(|it| it.kind()),
            _ => None,
        }
    }

    pub(crate) fn unreadable(what: impl Into<String>) -> Self {
        Self::Unreadable { what: what.into() }
    }
}
