//! SQLite: one thread writes, a few read beside it, one file says who holds the database.
//!
//! Whoever asks sends a message to a thread and waits for its answer: statements block, and a
//! transaction is one message. Who goes away while waiting leaves nothing half done. Only brief
//! reads are done at once.

mod brief;
mod connection;
mod fault;
mod lines;
mod readers;
mod writer;

use std::path::PathBuf;
use std::str::FromStr;
use std::thread::JoinHandle;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions, Connection};
use tokio::time::timeout;

pub(crate) use connection::Line;

use super::statement::Statement;
use super::{Promise, Row, lock_file};
use crate::error::StoreError;
use crate::settings::{SqliteSync, StoreSettings};
use brief::Brief;
use readers::Readers;
use writer::Writer;

pub(super) struct SqliteDatabase {
    writer: Writer,
    brief: Brief,
    readers: Readers,
    sync: SqliteSync,
}

/// How a connection is opened.
#[derive(Clone)]
struct Place {
    file: PathBuf,
    busy_timeout: Duration,
}

impl SqliteDatabase {
    pub(super) async fn open(url: &str, settings: &StoreSettings) -> Result<Self, StoreError> {
        let options = options(url)?;
        let file = options.get_filename().to_owned();
        let held = lock_file::take(&file, settings.takeover_wait()).await?;
        timeout(settings.migration_timeout(), migrate(&options))
            .await
            .map_err(|_| StoreError::TimedOut { doing: "bring the schema up to date" })??;
        let place = Place { file, busy_timeout: settings.statement_timeout() };
        Ok(Self {
            writer: Writer::start(place.clone(), held).map_err(StoreError::Open)?,
            brief: Brief::open(&place).map_err(|it| StoreError::Open(fault::told(it)))?,
            readers: Readers::new(place, settings),
            sync: settings.sqlite_sync,
        })
    }

    pub(super) async fn read(
        &self,
        statements: Vec<Statement<'_>>,
        bytes: usize,
    ) -> Result<Option<Vec<Vec<Row>>>, sqlx::Error> {
        // A reader of page after page lets others go on in between.
        tokio::task::consume_budget().await;
        match self.brief.read(&statements, bytes) {
            Some(rows) => Ok(Some(rows)),
            None => self.readers.read(statements, bytes).await,
        }
    }

    pub(super) async fn write(
        &self,
        share: &str,
        promise: Promise,
        statements: Vec<Statement<'_>>,
    ) -> Result<u64, sqlx::Error> {
        let synced = match self.sync {
            SqliteSync::Always => true,
            SqliteSync::Accepted => promise == Promise::Given,
            SqliteSync::Never => false,
        };
        self.writer.write(share, synced, statements).await
    }

    /// Asks the writer first: where the disk hangs, each reader that is asked is one more thread
    /// that hangs.
    pub(super) async fn ping(&self) -> Result<(), sqlx::Error> {
        self.writer.ping().await?;
        // Something of the file: `select 1` would be answered without it.
        let statement = Statement::new("select 1 from sqlite_schema limit 1");
        self.readers.read(vec![statement], usize::MAX).await.map(|_| ())
    }

    pub(super) async fn close(&self) {
        self.brief.close();
        ended(self.readers.close().await).await;
        // Last: its thread lets go of the database, and whoever comes next finds everything.
        ended(self.writer.close()).await;
    }
}

/// Waits for threads that have nothing more to do.
async fn ended(threads: Vec<JoinHandle<()>>) {
    let waiting = tokio::task::spawn_blocking(|| {
        for thread in threads {
            // A thread that panicked has ended too; the panic is in the log.
            let _ = thread.join();
        }
    });
    let _ = waiting.await;
}

async fn migrate(options: &SqliteConnectOptions) -> Result<(), StoreError> {
    let mut connection = options.connect().await.map_err(StoreError::Open)?;
    MIGRATIONS.run(&mut connection).await.map_err(StoreError::Migrate)?;
    connection.close().await.map_err(StoreError::Open)
}

fn options(url: &str) -> Result<SqliteConnectOptions, StoreError> {
    let rest = url.trim_start_matches("sqlite:").trim_start_matches("//");
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if path.is_empty() || path == ":memory:" || query.contains("mode=memory") {
        return Err(StoreError::Url("a SQLite database has to be a file"));
    }
    let options = SqliteConnectOptions::from_str(url)
        .map_err(|_| StoreError::Url("it is no URL of a SQLite database"))?;
    let options = match query {
        // Who does not say how to open it wants it made when it is missing.
        "" => options.create_if_missing(true),
        "mode=rwc" | "mode=rw" => options,
        _ => return Err(StoreError::Url("of SQLite's parameters only mode=rwc and mode=rw work")),
    };
    Ok(options.journal_mode(SqliteJournalMode::Wal).foreign_keys(true).disable_statement_logging())
}

const MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations/sqlite");
