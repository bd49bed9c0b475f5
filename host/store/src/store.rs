//! The store: opened once, handed out tenant by tenant, with the host's own few questions.

use std::sync::Arc;

use stepmill_core::ids::{RunId, TenantId};

use crate::audit::HOST;
use crate::database::{Database, Promise, Statement};
use crate::error::StoreError;
use crate::plugin::{PluginRow, SharedStore};
use crate::settings::StoreSettings;

/// One database with all rows of the house, held by this host alone. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) database: Arc<Database>,
}

/// All that may be asked of one tenant's rows. Ids of other tenants are unknown here.
#[derive(Clone)]
pub struct TenantStore {
    pub(crate) database: Arc<Database>,
    pub(crate) tenant: TenantId,
}

impl Store {
    /// Opens a database, becomes its holder and brings its schema up to date.
    ///
    /// `sqlite:path`, `sqlite://path` (made if it is missing, unless the URL has a `mode`) or
    /// `postgres://…` (a connection of its own to the server, or through a pooler that keeps
    /// sessions: the hold is a session's lock). The hold ends with [`Self::close`] or with the
    /// process, however it ends.
    ///
    /// # Errors
    /// [`StoreError::InUse`] if another host holds the database; anything that keeps it from
    /// being reached or understood.
    pub async fn open(url: &str, settings: StoreSettings) -> Result<Self, StoreError> {
        let database = Database::open(url, &settings).await?;
        tracing::info!(database = database.kind(), "the database is open");
        Ok(Self { database: Arc::new(database) })
    }

    /// `sqlite` or `postgres`.
    pub fn kind(&self) -> &'static str {
        self.database.kind()
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// The rows of one tenant. There is no other way to them.
    pub fn tenant(&self, tenant: &TenantId) -> TenantStore {
        TenantStore { database: Arc::clone(&self.database), tenant: tenant.clone() }
    }

    /// What the operator shares with all tenants.
    pub fn shared(&self) -> SharedStore {
        SharedStore { database: Arc::clone(&self.database) }
    }

    /// The runs of all tenants that were accepted and are not finished, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn run_unfinished(&self) -> Result<Vec<(TenantId, RunId)>, StoreError> {
        let statement = Statement::new(
            "select tenant_id, id from runs where status = 'running' order by created_at, id",
        );
        let rows = self.database.read("list unfinished runs", statement).await?;
        rows.iter().map(|row| Ok((tenant(row.text(0)?)?, run(row.text(1)?)?))).collect()
    }

    /// The plugins of all tenants, without the shared ones.
    ///
    /// # Errors
    /// The database's.
    pub async fn plugin_all(&self) -> Result<Vec<(TenantId, PluginRow)>, StoreError> {
        let rows = crate::plugin::plugin_rows(&self.database, None).await?;
        rows.into_iter().map(|(owner, row)| Ok((tenant(&owner)?, row))).collect()
    }

    /// Removes the code that no plugin has and no unfinished run pins, in all tenants and of the
    /// shared plugins. Gives how many components are gone.
    ///
    /// A run of any tenant may pin a shared component.
    ///
    /// # Errors
    /// The database's.
    pub async fn component_sweep(&self) -> Result<u64, StoreError> {
        let statement = Statement::new(
            "delete from components where not exists (
                select 1 from plugins
                where plugins.tenant_id = components.tenant_id and plugins.digest = components.digest
            ) and not exists (
                select 1 from runs
                where runs.status = 'running' and runs.plugin_digest = components.digest
                and (components.tenant_id = '' or runs.tenant_id = components.tenant_id)
            )",
        );
        // In the order in which an upload takes them.
        let tables = "components, plugins, runs";
        self.database.write_alone("sweep components", HOST, tables, vec![statement]).await
    }

    /// Whether the database can be read and written. Costs it nothing: on SQLite the writer begins
    /// and ends a transaction without anything in it, in its turn, so that every write asked for
    /// before is decided when this answers. Room for a write is not asked for: a host on a full
    /// disk still answers those who read, and a new start would not help it.
    ///
    /// # Errors
    /// It cannot, or not within [`StoreSettings::ping_timeout_ms`].
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.database.ping().await
    }

    /// Waits for what is under way, closes every connection and lets go of the database. All
    /// clones of this store, and the handles it gave out, are closed with it.
    pub async fn close(&self) {
        self.database.close().await;
    }
}

impl TenantStore {
    /// Whose rows these are.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// A write that somebody is told is kept.
    pub(crate) async fn write(
        &self,
        doing: &'static str,
        statements: Vec<Statement<'_>>,
    ) -> Result<u64, StoreError> {
        self.database.write(doing, self.tenant.as_str(), Promise::Given, statements).await
    }
}

fn tenant(text: &str) -> Result<TenantId, StoreError> {
    TenantId::new(text).map_err(|_| StoreError::unreadable("a tenant's id"))
}

fn run(text: &str) -> Result<RunId, StoreError> {
    RunId::parse(text).map_err(|_| StoreError::unreadable("a run's id"))
}
