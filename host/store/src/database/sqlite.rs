//! SQLite: writes one at a time, reads beside them, one file that says who holds the database.
//!
//! Every write is one message to the connection's thread: the statements of a transaction travel
//! as one text. A connection is taken out while it is used and put back when it is known to be
//! clean, so that a caller who goes away in the middle costs a connection and nothing else.

use std::fs::File;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous,
};
use sqlx::{Arguments, AssertSqlSafe, ConnectOptions, Connection};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::statement::{Arg, Statement};
use super::{PREPARED_STATEMENTS, Promise, Row, lock_file};
use crate::error::StoreError;
use crate::settings::{SqliteSync, StoreSettings};

/// The write-ahead log is cut back to this size when it is empty again.
const JOURNAL_BYTES: &str = "67108864";

pub(super) struct SqliteDatabase {
    /// Writes that are on the disk when they are acknowledged (`synchronous = full`).
    synced: Lane,
    /// Writes that survive the host but perhaps not the power (`synchronous = normal`).
    lazy: Lane,
    readers: Lane,
    sync: SqliteSync,
    /// One writer at a time, in the order they came.
    writing: Semaphore,
    reading: Semaphore,
    readers_at_once: u32,
    acquire_timeout: Duration,
    held: Mutex<Option<File>>,
}

impl SqliteDatabase {
    pub(super) async fn open(url: &str, settings: &StoreSettings) -> Result<Self, StoreError> {
        let options = options(url, settings)?;
        let held = lock_file::take(options.get_filename(), settings.takeover_wait()).await?;
        let synced = Lane::new(options.clone().synchronous(SqliteSynchronous::Full));
        let mut first = synced.connection().await.map_err(StoreError::Open)?;
        timeout(settings.migration_timeout(), MIGRATIONS.run(&mut first))
            .await
            .map_err(|_| StoreError::TimedOut { doing: "bring the schema up to date" })?
            .map_err(StoreError::Migrate)?;
        synced.put_back(first);
        let readers_at_once = settings.connections.max(1);
        Ok(Self {
            synced,
            lazy: Lane::new(options.clone().synchronous(SqliteSynchronous::Normal)),
            readers: Lane::new(options.pragma("query_only", "on")),
            sync: settings.sqlite_sync,
            writing: Semaphore::new(1),
            reading: Semaphore::new(readers_at_once as usize),
            readers_at_once,
            acquire_timeout: settings.acquire_timeout(),
            held: Mutex::new(Some(held)),
        })
    }

    pub(super) async fn read(&self, statement: Statement<'_>) -> Result<Vec<Row>, sqlx::Error> {
        let _permit = self.permit(&self.reading).await?;
        let mut connection = self.readers.connection().await?;
        let query = sqlx::query_with(AssertSqlSafe(&*statement.sql), arguments(&statement.args)?);
        let rows = query.fetch_all(&mut connection).await?;
        self.readers.put_back(connection);
        Ok(rows.into_iter().map(Row::Sqlite).collect())
    }

    pub(super) async fn write(
        &self,
        promise: Promise,
        statements: Vec<Statement<'_>>,
    ) -> Result<u64, sqlx::Error> {
        let (sql, args) = joined(&statements)?;
        let lane = match (self.sync, promise) {
            (SqliteSync::Always, _) | (SqliteSync::Accepted, Promise::Given) => &self.synced,
            (SqliteSync::Never, _) | (SqliteSync::Accepted, Promise::Progress) => &self.lazy,
        };
        let _permit = self.permit(&self.writing).await?;
        let mut connection = lane.connection().await?;
        let query = sqlx::query_with(AssertSqlSafe(sql), args);
        let answer = query.execute(&mut connection).await;
        let clean = match &answer {
            Err(_) if 1 < statements.len() => {
                sqlx::raw_sql("rollback").execute(&mut connection).await.is_ok()
            }
            Err(source) => source.as_database_error().is_some(),
            Ok(_) => true,
        };
        if clean {
            lane.put_back(connection);
        }
        Ok(answer?.rows_affected())
    }

    pub(super) async fn close(&self) {
        // With every permit in hand nothing is under way. A second call finds them gone.
        let _none_writes = self.writing.acquire().await;
        let _none_reads = self.reading.acquire_many(self.readers_at_once).await;
        self.writing.close();
        self.reading.close();
        for lane in [&self.readers, &self.lazy, &self.synced] {
            for connection in lane.drain() {
                if let Err(error) = connection.close().await {
                    tracing::warn!(%error, "a SQLite connection did not close cleanly");
                }
            }
        }
        // Last: whoever comes next finds everything written.
        self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    async fn permit<'a>(&self, of: &'a Semaphore) -> Result<SemaphorePermit<'a>, sqlx::Error> {
        match timeout(self.acquire_timeout, of.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(sqlx::Error::PoolClosed),
            Err(_) => Err(sqlx::Error::PoolTimedOut),
        }
    }
}

/// Connections of one kind that nobody uses right now. Who may use one is said by a permit.
struct Lane {
    options: SqliteConnectOptions,
    idle: Mutex<Vec<SqliteConnection>>,
}

impl Lane {
    fn new(options: SqliteConnectOptions) -> Self {
        Self { options, idle: Mutex::new(Vec::new()) }
    }

    async fn connection(&self) -> Result<SqliteConnection, sqlx::Error> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(connection) => Ok(connection),
            None => self.options.connect().await,
        }
    }

    fn put_back(&self, connection: SqliteConnection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }

    fn drain(&self) -> Vec<SqliteConnection> {
        std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Several statements are one transaction that takes the write lock at once; a single one is a
/// transaction of its own.
fn joined(statements: &[Statement<'_>]) -> Result<(String, SqliteArguments), sqlx::Error> {
    let texts: Vec<&str> = statements.iter().map(|it| &*it.sql).collect();
    let sql = match &texts[..] {
        [one] => (*one).to_owned(),
        many => format!("begin immediate; {}; commit", many.join("; ")),
    };
    Ok((sql, arguments(statements.iter().flat_map(|it| &it.args))?))
}

fn arguments<'a>(
    args: impl IntoIterator<Item = &'a Arg<'a>>,
) -> Result<SqliteArguments, sqlx::Error> {
    let mut arguments = SqliteArguments::default();
    for arg in args {
        match arg {
            Arg::Text(text) => arguments.add(text.as_deref()),
            Arg::Number(number) => arguments.add(*number),
            Arg::Bytes(bytes) => arguments.add(*bytes),
            Arg::Json(text) => arguments.add(text.as_deref()),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

fn options(url: &str, settings: &StoreSettings) -> Result<SqliteConnectOptions, StoreError> {
    let rest = url.trim_start_matches("sqlite:").trim_start_matches("//");
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if path.is_empty() || path == ":memory:" || query.contains("mode=memory") {
        return Err(StoreError::Url("a SQLite database has to be a file"));
    }
    let options = SqliteConnectOptions::from_str(url)
        .map_err(|_| StoreError::Url("it is no URL of a SQLite database"))?;
    // Who does not say how to open it wants it made when it is missing.
    let options = if query.contains("mode=") { options } else { options.create_if_missing(true) };
    Ok(options
        .journal_mode(SqliteJournalMode::Wal)
        .foreign_keys(true)
        .busy_timeout(settings.statement_timeout())
        .statement_cache_capacity(PREPARED_STATEMENTS)
        .pragma("journal_size_limit", JOURNAL_BYTES)
        .thread_name(|id| format!("sqlite-{id}"))
        .disable_statement_logging())
}

const MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations/sqlite");
