//! The two databases behind one face: statements go in, rows come out, every wait ends.

mod fault;
mod lock_file;
mod postgres;
mod row;
mod sqlite;
mod statement;

use std::time::Duration;

pub(crate) use row::Row;
pub(crate) use statement::{Statement, places};

use crate::error::StoreError;
use crate::settings::StoreSettings;
use postgres::PostgresDatabase;
use sqlite::SqliteDatabase;

/// What an answer may be late beyond its own deadlines: the database's own word on a timeout is
/// better than ours, so it is given the time to say it.
const GRACE: Duration = Duration::from_secs(1);

/// Statements each connection keeps prepared. Lists of up to 64 rows make up to 64 texts for one
/// statement; all of them fit.
const PREPARED_STATEMENTS: usize = 256;

/// What a write is, as far as [`crate::SqliteSync`] asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promise {
    /// Somebody is told that it is kept.
    Given,
    /// A run notes how far it has come.
    Progress,
}

/// A database of which this host is the only holder.
pub(crate) struct Database {
    engine: Engine,
    deadline: Duration,
    ping_timeout: Duration,
}

/// What waits for PostgreSQL takes kilobytes, which every future around it would hold and move: it
/// is boxed where it begins.
enum Engine {
    Sqlite(Box<SqliteDatabase>),
    Postgres(PostgresDatabase),
}

impl Database {
    pub(crate) async fn open(url: &str, settings: &StoreSettings) -> Result<Self, StoreError> {
        let engine = match url.split_once(':').map(|it| it.0) {
            Some("sqlite") => Engine::Sqlite(Box::new(SqliteDatabase::open(url, settings).await?)),
            Some("postgres" | "postgresql") => {
                Engine::Postgres(PostgresDatabase::open(url, settings).await?)
            }
            _ => return Err(StoreError::Url("it begins with neither sqlite: nor postgres:")),
        };
        let deadline = settings.acquire_timeout() + settings.statement_timeout() + GRACE;
        Ok(Self { engine, deadline, ping_timeout: settings.ping_timeout() })
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self.engine {
            Engine::Sqlite(_) => "sqlite",
            Engine::Postgres(_) => "postgres",
        }
    }

    /// All rows a statement gives.
    pub(crate) async fn read(
        &self,
        doing: &'static str,
        statement: Statement<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let [rows] = self.read_each(doing, [statement]).await?;
        Ok(rows)
    }

    /// All rows that each of several statements gives, asked for at once. On PostgreSQL others may
    /// write between two of them.
    pub(crate) async fn read_each<const N: usize>(
        &self,
        doing: &'static str,
        statements: [Statement<'_>; N],
    ) -> Result<[Vec<Row>; N], StoreError> {
        self.read_within(doing, usize::MAX, statements).await
    }

    /// As [`Self::read_each`], while the values of all rows hold `bytes` together at most. What is
    /// beyond is not read.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`].
    pub(crate) async fn read_within<const N: usize>(
        &self,
        doing: &'static str,
        bytes: usize,
        statements: [Statement<'_>; N],
    ) -> Result<[Vec<Row>; N], StoreError> {
        let answer = async {
            match &self.engine {
                Engine::Sqlite(it) => it.read(statements.into(), bytes).await,
                Engine::Postgres(it) => Box::pin(it.read(statements.into(), bytes)).await,
            }
        };
        let rows = self.within(self.deadline, doing, answer).await?.ok_or(StoreError::TooLarge)?;
        Ok(rows.try_into().unwrap_or_else(|_| unreachable!("as many answers as statements")))
    }

    /// Runs all statements or none. Gives how many rows the last one changed. On SQLite, where one
    /// thread writes, shares take turns: what is asked for under one is done in order.
    pub(crate) async fn write(
        &self,
        doing: &'static str,
        share: &str,
        promise: Promise,
        statements: Vec<Statement<'_>>,
    ) -> Result<u64, StoreError> {
        let answer = async {
            match &self.engine {
                Engine::Sqlite(it) => it.write(share, promise, statements).await,
                Engine::Postgres(it) => Box::pin(it.write(statements)).await,
            }
        };
        self.within(self.deadline, doing, answer).await
    }

    /// Like [`Self::write`], of statements none of which touches or sees a row that another one
    /// changes: PostgreSQL gets them as one, in one round trip.
    pub(crate) async fn write_together(
        &self,
        doing: &'static str,
        share: &str,
        promise: Promise,
        statements: Vec<Statement<'_>>,
    ) -> Result<u64, StoreError> {
        let statements = match self.engine {
            Engine::Sqlite(_) => statements,
            Engine::Postgres(_) => Statement::together(statements),
        };
        self.write(doing, share, promise, statements).await
    }

    /// Like [`Self::write`], while nobody else writes to these tables (PostgreSQL) or to any
    /// (SQLite, where that is always so).
    pub(crate) async fn write_alone(
        &self,
        doing: &'static str,
        share: &str,
        tables: &'static str,
        statements: Vec<Statement<'_>>,
    ) -> Result<u64, StoreError> {
        let lock = format!("lock table {tables} in share row exclusive mode");
        let lock = self.lock(Statement::new(lock));
        let statements = lock.into_iter().chain(statements).collect();
        self.write(doing, share, Promise::Given, statements).await
    }

    /// A statement that keeps other writers away until the transaction ends. None on SQLite,
    /// where there are none.
    pub(crate) fn lock<'a>(&self, statement: Statement<'a>) -> Option<Statement<'a>> {
        match self.engine {
            Engine::Sqlite(_) => None,
            Engine::Postgres(_) => Some(statement),
        }
    }

    /// Whether reading and writing work, or would if nobody else did.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        let answer = async {
            match &self.engine {
                Engine::Sqlite(it) => it.ping().await,
                Engine::Postgres(it) => {
                    let statement = vec![Statement::new("select 1")];
                    Box::pin(it.read(statement, usize::MAX)).await.map(|_| ())
                }
            }
        };
        self.within(self.ping_timeout, "answer a ping", answer).await
    }

    pub(crate) async fn close(&self) {
        let closing = async {
            match &self.engine {
                Engine::Sqlite(it) => it.close().await,
                Engine::Postgres(it) => it.close().await,
            }
        };
        if tokio::time::timeout(self.deadline, closing).await.is_err() {
            tracing::warn!("the database did not close in time and is left to itself");
        }
    }

    async fn within<T>(
        &self,
        deadline: Duration,
        doing: &'static str,
        answer: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, StoreError> {
        match tokio::time::timeout(deadline, answer).await {
            Ok(Ok(it)) => Ok(it),
            Ok(Err(source)) => Err(self.failure(doing, source)),
            Err(_) => Err(StoreError::TimedOut { doing }),
        }
    }

    fn failure(&self, doing: &'static str, source: sqlx::Error) -> StoreError {
        match (&self.engine, source) {
            (Engine::Postgres(it), _) if it.is_lost() => StoreError::Lost,
            // What a revision says is the store's own word.
            (_, sqlx::Error::Encode(said)) => match said.downcast() {
                Ok(said) => *said,
                Err(said) => StoreError::Database { doing, source: sqlx::Error::Encode(said) },
            },
            (_, source) => fault::told(doing, source),
        }
    }
}
