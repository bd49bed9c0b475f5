//! PostgreSQL: a pool of connections, each of which proves that this host holds the database.
//!
//! Every connection of a holder keeps a shared advisory lock. To become the holder, a host needs
//! the same lock exclusively for a moment, and counts `holder.epoch` up: so nobody takes over
//! while one connection of the old holder lives, and an old holder that comes back finds another
//! epoch and is refused. Statements themselves carry no check.

use std::str::FromStr;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use futures::TryStreamExt;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{
    PgArgumentBuffer, PgArguments, PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgRow,
    PgTypeInfo,
};
use sqlx::{
    Arguments, AssertSqlSafe, ConnectOptions, Connection, Encode, Postgres, Row as _, Type,
};
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout};

use super::lock_file::LOOK_EVERY;
use super::statement::{Arg, Statement};
use super::{PREPARED_STATEMENTS, Row, fault};
use crate::error::StoreError;
use crate::settings::StoreSettings;

/// The advisory lock of a Stepmill database: the letters `Stepmill`.
const HOLDER_LOCK: i64 = 0x5374_6570_6d69_6c6c;

/// A connection that rested this long is asked whether it still lives before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(5);

pub(super) struct PostgresDatabase {
    pool: PgPool,
    /// Holds the database while the pool is empty.
    keeper: Mutex<Option<PgConnection>>,
    /// Becomes true when another host has taken over, and stays so.
    lost: Arc<watch::Sender<bool>>,
    broken: Arc<Broken>,
}

/// When a connection was last found broken. Mostly the server ended, and all others with it: those
/// that have rested since before are asked first, so that not each of them is found by a caller.
#[derive(Default)]
struct Broken(StdMutex<Option<Instant>>);

impl Broken {
    fn note(&self, now: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// Whether a connection that has rested so long may be broken as well.
    fn concerns(&self, idle_for: Duration, now: Instant) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|it| now.duration_since(it) <= idle_for)
    }
}

impl PostgresDatabase {
    pub(super) async fn open(url: &str, settings: &StoreSettings) -> Result<Self, StoreError> {
        let options = options(url)?;
        let mut keeper = timeout(settings.acquire_timeout(), options.connect())
            .await
            .map_err(|_| StoreError::TimedOut { doing: "connect" })?
            .map_err(StoreError::Open)?;
        let epoch = timeout(settings.migration_timeout(), take(&mut keeper, settings))
            .await
            .map_err(|_| StoreError::TimedOut { doing: "bring the schema up to date" })??;
        let lost = Arc::new(watch::Sender::new(false));
        let broken = Arc::<Broken>::default();
        let pool = pool(options, epoch, Arc::clone(&lost), Arc::clone(&broken), settings);
        Ok(Self { pool, keeper: Mutex::new(Some(keeper)), lost, broken })
    }

    pub(super) fn is_lost(&self) -> bool {
        *self.lost.borrow()
    }

    /// The pool would go on trying to connect until its deadline; a host that lost the database
    /// has nothing to wait for.
    async fn unless_lost<T>(
        &self,
        answer: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        let mut lost = self.lost.subscribe();
        tokio::select! {
            biased;
            _ = lost.wait_for(|it| *it) => Err(sqlx::Error::PoolClosed),
            answer = answer => answer,
        }
    }

    /// Gives the rows of each statement; None if they hold more than `bytes`. What a broken
    /// connection did not give is asked for once more: to read twice changes nothing.
    pub(super) async fn read(
        &self,
        statements: Vec<Statement<'_>>,
        bytes: usize,
    ) -> Result<Option<Vec<Vec<Row>>>, sqlx::Error> {
        let answer = async {
            match self.read_once(&statements, bytes).await {
                Err(fault) if self.is_break(&fault) => self.read_once(&statements, bytes).await,
                answer => answer,
            }
        };
        self.unless_lost(answer).await
    }

    async fn read_once(
        &self,
        statements: &[Statement<'_>],
        bytes: usize,
    ) -> Result<Option<Vec<Vec<Row>>>, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        let mut answers = Vec::with_capacity(statements.len());
        let mut room = bytes;
        for statement in statements {
            let args = arguments(&mut connection, &statement.args).await?;
            let query = sqlx::query_with(AssertSqlSafe(statement.numbered()), args);
            let mut found = query.fetch(&mut *connection);
            let mut rows = Vec::new();
            while let Some(row) = found.try_next().await? {
                let Some(left) = room.checked_sub(held(&row)) else {
                    drop(found);
                    // Its next user would have to read what the server goes on to send.
                    connection.close_on_drop();
                    return Ok(None);
                };
                room = left;
                rows.push(Row::Postgres(row));
            }
            answers.push(rows);
        }
        Ok(Some(answers))
    }

    /// Whether a connection broke, which is noted.
    fn is_break(&self, fault: &sqlx::Error) -> bool {
        let is_break = fault::is_break(fault);
        if is_break {
            self.broken.note(Instant::now());
        }
        is_break
    }

    pub(super) async fn write(&self, statements: Vec<Statement<'_>>) -> Result<u64, sqlx::Error> {
        let answer = async {
            let written = self.write_once(&statements).await;
            // Whether it was written is not known: it is not for this room to write it again.
            written.inspect_err(|fault| {
                let _ = self.is_break(fault);
            })
        };
        self.unless_lost(answer).await
    }

    async fn write_once(&self, statements: &[Statement<'_>]) -> Result<u64, sqlx::Error> {
        if let [statement] = statements
            && !statement.revises()
        {
            let mut connection = self.pool.acquire().await?;
            return execute(&mut connection, statement).await;
        }
        let mut tx = match self.pool.begin().await {
            // Nothing was asked yet.
            Err(fault) if self.is_break(&fault) => self.pool.begin().await?,
            begun => begun?,
        };
        let mut changed = 0;
        for statement in statements {
            changed = execute(&mut tx, statement).await?;
        }
        tx.commit().await?;
        Ok(changed)
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
        if let Some(keeper) = self.keeper.lock().await.take()
            && let Err(error) = keeper.close().await
        {
            tracing::warn!(%error, "a PostgreSQL connection did not close cleanly");
        }
    }
}

/// The bytes of a row's values.
fn held(row: &PgRow) -> usize {
    let value = |column| row.try_get_raw(column).ok().and_then(|it| it.as_bytes().ok());
    (0..row.len()).filter_map(value).map(<[u8]>::len).sum()
}

/// Becomes the holder, brings the schema up to date, and gives the holder's epoch.
async fn take(keeper: &mut PgConnection, settings: &StoreSettings) -> Result<i64, StoreError> {
    let encoding: String = ask(keeper, "select current_setting('server_encoding')").await?;
    if encoding != "UTF8" {
        return Err(StoreError::Encoding);
    }
    let until = Instant::now() + settings.takeover_wait();
    while !lock(keeper, "select pg_try_advisory_lock($1)").await.map_err(StoreError::Open)? {
        if until <= Instant::now() {
            return Err(StoreError::InUse);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    MIGRATIONS.run(&mut *keeper).await.map_err(StoreError::Migrate)?;
    let epoch = ask(keeper, "update holder set epoch = epoch + 1 returning epoch").await?;
    for step in ["select pg_try_advisory_lock_shared($1)", "select pg_advisory_unlock($1)"] {
        if !lock(keeper, step).await.map_err(StoreError::Open)? {
            return Err(StoreError::InUse);
        }
    }
    Ok(epoch)
}

async fn ask<T>(keeper: &mut PgConnection, sql: &'static str) -> Result<T, StoreError>
where
    T: for<'r> sqlx::Decode<'r, Postgres> + Type<Postgres> + Send + Unpin,
{
    sqlx::query_scalar(sql).fetch_one(keeper).await.map_err(StoreError::Open)
}

async fn lock(connection: &mut PgConnection, sql: &'static str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(sql).bind(HOLDER_LOCK).fetch_one(connection).await
}

fn pool(
    options: PgConnectOptions,
    epoch: i64,
    lost: Arc<watch::Sender<bool>>,
    broken: Arc<Broken>,
    settings: &StoreSettings,
) -> PgPool {
    let limit = format!("{}ms", settings.statement_timeout_ms);
    let options = options.options([
        ("statement_timeout", limit.as_str()),
        ("idle_in_transaction_session_timeout", limit.as_str()),
    ]);
    PgPoolOptions::new()
        .max_connections(settings.connections.max(1))
        .acquire_timeout(settings.acquire_timeout())
        .test_before_acquire(false)
        .before_acquire(move |connection, meta| {
            let may_be_broken = broken.concerns(meta.idle_for, Instant::now());
            let is_trusted = meta.idle_for <= TRUSTED_IDLE && !may_be_broken;
            Box::pin(async move {
                if !is_trusted {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_connect(move |connection, _| {
            let lost = Arc::clone(&lost);
            Box::pin(async move { prove(connection, epoch, &lost).await })
        })
        .connect_lazy_with(options)
}

/// Whether this host still holds the database. First the lock, then the look: with the lock in
/// hand nobody can become the holder any more.
async fn prove(
    connection: &mut PgConnection,
    epoch: i64,
    lost: &watch::Sender<bool>,
) -> Result<(), sqlx::Error> {
    let locked = lock(connection, "select pg_try_advisory_lock_shared($1)").await?;
    let found: i64 =
        sqlx::query_scalar("select epoch from holder").fetch_one(&mut *connection).await?;
    if found != epoch {
        lost.send_replace(true);
        return Err(sqlx::Error::Protocol("another host has taken over the database".into()));
    }
    if !locked {
        return Err(sqlx::Error::Protocol("another host is taking over the database".into()));
    }
    Ok(())
}

fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| StoreError::Url("it is no URL of a PostgreSQL database"))?;
    Ok(options
        .application_name("stepmill")
        .statement_cache_capacity(PREPARED_STATEMENTS)
        // A host whose machine is gone is noticed within half a minute, and its locks are freed.
        .options([
            ("tcp_keepalives_idle", "10"),
            ("tcp_keepalives_interval", "5"),
            ("tcp_keepalives_count", "3"),
        ])
        .disable_statement_logging())
}

/// How many rows it changed.
async fn execute(
    connection: &mut PgConnection,
    statement: &Statement<'_>,
) -> Result<u64, sqlx::Error> {
    let args = arguments(connection, &statement.args).await?;
    let query = sqlx::query_with(AssertSqlSafe(statement.numbered()), args);
    Ok(query.execute(connection).await?.rows_affected())
}

/// All rows it gives, held until the transaction ends.
async fn locked(
    connection: &mut PgConnection,
    statement: &Statement<'_>,
) -> Result<Vec<Row>, sqlx::Error> {
    let args = arguments(connection, &statement.args).await?;
    let text = statement.numbered() + " for no key update";
    let query = sqlx::query_with(AssertSqlSafe(text), args);
    Ok(query.fetch_all(connection).await?.into_iter().map(Row::Postgres).collect())
}

async fn arguments(
    connection: &mut PgConnection,
    args: &[Arg<'_>],
) -> Result<PgArguments, sqlx::Error> {
    let mut arguments = PgArguments::default();
    for arg in args {
        match arg {
            Arg::Text(text) => arguments.add(text.as_deref()),
            Arg::Number(number) => arguments.add(*number),
            Arg::Bytes(bytes) => arguments.add(&**bytes),
            Arg::Json(text) => arguments.add(JsonText(text.as_deref())),
            Arg::Revised(it) => {
                // The lock that the update takes anyhow, taken before the look.
                let found = Box::pin(locked(connection, &it.found)).await?;
                let text = it.of(&found).map_err(|it| sqlx::Error::Encode(it.into()))?;
                arguments.add(JsonText(Some(&text)))
            }
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// JSON text for a `json` column. sqlx's own wrapper says `jsonb`, which would be rewritten.
struct JsonText<'a>(Option<&'a str>);

impl Type<Postgres> for JsonText<'_> {
    fn type_info() -> PgTypeInfo {
        /// `json` in every PostgreSQL.
        const JSON: Oid = Oid(114);
        PgTypeInfo::with_oid(JSON)
    }
}

impl Encode<'_, Postgres> for JsonText<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let Some(text) = self.0 else { return Ok(IsNull::Yes) };
        buffer.extend_from_slice(text.as_bytes());
        Ok(IsNull::No)
    }
}

const MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations/postgres");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_rested_since_before_a_break_is_asked_and_nobody_else() {
        let (broken, second) = (Broken::default(), Duration::from_secs(1));
        let then = Instant::now();
        let now = then + second;
        assert!(!broken.concerns(Duration::MAX, now));
        broken.note(then);
        assert!(broken.concerns(second, now) && broken.concerns(2 * second, now));
        assert!(!broken.concerns(second / 2, now));
    }
}
