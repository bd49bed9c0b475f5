//! All databases by their names, and the one way to ask them.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepmill_core::database::{Answer, DatabaseFailure, MAX_PARAMETERS, Statement};
use stepmill_core::ids::{DatabaseName, TenantId};
use tokio_util::task::TaskTracker;

use crate::gathering::size;
use crate::opening::{OpenError, OpenFault};
use crate::postgres::PostgresDatabase;
use crate::settings::{DatabaseSettings, STATEMENT_BYTES};
use crate::sqlite::SqliteDatabase;

/// The operator's databases. A handle: clones share everything.
#[derive(Clone)]
pub struct Databases {
    doors: Arc<BTreeMap<DatabaseName, Arc<Door>>>,
    tasks: TaskTracker,
}

struct Door {
    kind: Kind,
    bytes: usize,
}

enum Kind {
    Postgres(PostgresDatabase),
    Sqlite(SqliteDatabase),
}

impl Databases {
    /// Opens all of them. One that cannot be reached now is tried again when somebody asks it; one
    /// that can, and where guests could reach more than they may, is not opened.
    ///
    /// # Errors
    /// The first database that is not opened, and why.
    pub async fn open(
        settings: BTreeMap<DatabaseName, DatabaseSettings>,
    ) -> Result<Self, OpenError> {
        let mut doors = BTreeMap::new();
        for (name, settings) in settings {
            let door = Door::open(&name, &settings).await;
            let door = door.map_err(|fault| OpenError { name: name.clone(), fault })?;
            doors.insert(name, Arc::new(door));
        }
        Ok(Self { doors: Arc::new(doors), tasks: TaskTracker::new() })
    }

    /// Puts one statement to a database, for a tenant. Whether it was granted was asked before.
    ///
    /// The statement goes on to its end, or to its deadline, also when nobody waits any more: a
    /// write is never cut in the middle, and what still runs holds its place.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn ask(
        &self,
        tenant: &TenantId,
        statement: Statement,
    ) -> Result<Answer, DatabaseFailure> {
        let door = self.doors.get(&statement.database).ok_or(DatabaseFailure::Unknown)?.clone();
        let tenant = tenant.clone();
        let work = self.tasks.spawn(async move { door.ask(&tenant, statement).await });
        // What panicked is in the log.
        work.await.unwrap_or(Err(DatabaseFailure::Unavailable))
    }

    /// Waits for the statements under way. Each has its deadline.
    pub async fn close(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Door {
    async fn open(name: &DatabaseName, settings: &DatabaseSettings) -> Result<Self, OpenFault> {
        use secrecy::ExposeSecret;
        let url = settings.url.expose_secret();
        let kind = match url.split_once(':').map(|it| it.0) {
            Some("postgres" | "postgresql") => {
                Kind::Postgres(PostgresDatabase::open(name, url, settings).await?)
            }
            Some("sqlite") => Kind::Sqlite(SqliteDatabase::open(name, url, settings)?),
            _ => {
                return Err(OpenFault::setting("url", "begins with neither sqlite: nor postgres:"));
            }
        };
        Ok(Self { kind, bytes: settings.bytes })
    }

    async fn ask(
        &self,
        tenant: &TenantId,
        statement: Statement,
    ) -> Result<Answer, DatabaseFailure> {
        let parameters: usize = statement.parameters.iter().map(size).sum();
        if STATEMENT_BYTES < statement.text.len()
            || MAX_PARAMETERS < statement.parameters.len()
            || self.bytes < parameters
        {
            return Err(DatabaseFailure::TooLarge);
        }
        if statement.text.contains('\0') {
            return Err(DatabaseFailure::Invalid("the statement has a NUL character".to_owned()));
        }
        match &self.kind {
            Kind::Postgres(it) => it.ask(tenant, statement).await,
            Kind::Sqlite(it) => it.ask(tenant, statement).await,
        }
    }
}
