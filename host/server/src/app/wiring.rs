//! The one place that knows all rooms: builds the application, and takes it down.

use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use stepmill_core::agent::ModelName;
use stepmill_core::event::JournalEntry;
use stepmill_core::event::ModelIdentity;
use stepmill_core::graph::GraphLimits;
use stepmill_core::role::Roles;
use stepmill_databases::Databases;
use stepmill_models::Models;
use stepmill_sandbox::{Sandbox, WorkerProgram};
use stepmill_store::{SessionEntry, Store, StoreError, Touch};
use tokio::sync::{Mutex, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::audit::Denials;
use super::budgets::Budgets;
use super::catalog::Catalog;
use super::declared::{self, DeclaredFault};
use super::driver::Driver;
use super::error::AppError;
use super::large_lists::LargeLists;
use super::outbound::Outbound;
use super::policies::PolicyBook;
use super::rates::Rates;
use super::seats::RunSeats;
use super::secrets::{SecretBook, Vault};
use super::stored::Kept;
use super::upload_turns::UploadTurns;
use crate::settings::{AuditSettings, RunSettings, Settings};

/// The application. A handle: clones share everything.
#[derive(Clone)]
pub struct App(Arc<Rooms>);

/// What use cases reach through [`App`].
pub struct Rooms {
    pub(crate) store: Store,
    pub(crate) sandbox: Sandbox,
    pub(crate) models: Models,
    pub(crate) catalog: Catalog,
    pub(crate) outbound: Outbound,
    pub(crate) databases: Databases,
    pub(crate) policies: PolicyBook,
    pub(crate) denials: Denials,
    pub(crate) audit_settings: AuditSettings,
    pub(crate) roles: Roles,
    pub(crate) budgets: Arc<Budgets>,
    pub(crate) secrets: SecretBook,
    pub(crate) graph_limits: GraphLimits,
    pub(crate) run_settings: RunSettings,
    pub(crate) seats: RunSeats,
    pub(crate) kept: Arc<Kept>,
    pub(crate) lines: Arc<Rates>,
    pub(crate) requests: Rates,
    pub(crate) large_lists: LargeLists,
    pub(crate) upload_turns: UploadTurns,
    pub(crate) uploads: Mutex<()>,
    pub(crate) tasks: TaskTracker,
    /// Cancelled when the host is told to stop.
    stopping: CancellationToken,
    /// Cancelled when runs under way have had their time.
    stop: CancellationToken,
}

impl Deref for App {
    type Target = Rooms;

    fn deref(&self) -> &Rooms {
        &self.0
    }
}

/// Why the host does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data folder.
    #[error("the data folder {folder} cannot be used")]
    DataFolder {
        /// Which.
        folder: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The database.
    #[error("the database cannot be used")]
    Store(#[from] StoreError),
    /// The sandbox.
    #[error("the sandbox cannot be set up")]
    Sandbox(#[from] stepmill_sandbox::OpenError),
    /// The models.
    #[error("the models cannot be used")]
    Models(#[from] stepmill_models::SettingsFault),
    /// The client for plugins' requests.
    #[error("the client for outbound requests cannot be set up")]
    Outbound(#[from] reqwest::Error),
    /// A database of the operator's applications.
    #[error(transparent)]
    Databases(#[from] stepmill_databases::OpenError),
    /// A file that declares no workflow.
    #[error("a declared workflow cannot be used")]
    Declared(#[from] DeclaredFault),
    /// What operators said over the API.
    #[error("the stored policies cannot be read")]
    Policies(#[source] AppError),
    /// The stored secrets. What they hold is none of the start's business.
    #[error("the stored secrets cannot be read")]
    Secrets(#[source] AppError),
    /// The catalog.
    #[error("the stored plugins cannot be read")]
    Catalog(#[source] AppError),
}

impl App {
    /// Opens every room. Used by the binary and by tests alike. Plugins are compiled by `worker`.
    ///
    /// # Errors
    /// The first room that cannot be used.
    pub async fn open(settings: &Settings, worker: WorkerProgram) -> Result<Self, OpenError> {
        let folder = &settings.data_dir;
        std::fs::create_dir_all(folder).map_err(|source| OpenError::DataFolder {
            folder: folder.display().to_string(),
            source,
        })?;
        let mut declared = declared::read_folder(&folder.join("workflows"), &settings.graph)?;
        for built_in in &settings.declared {
            declared.entry(built_in.id.clone()).or_insert_with(|| built_in.clone());
        }
        let sandbox = Sandbox::open(settings.sandbox.clone(), worker)?;
        let upload_wait = Duration::from_millis(settings.sandbox.load.compile_queue_ms);
        let models = Models::open(settings.models.clone())?;
        let outbound = Outbound::open(settings.outbound.clone())?;
        let databases = Databases::open(settings.databases.clone()).await?;
        let store =
            Store::open(settings.database_url.expose_secret(), settings.store.clone()).await?;
        let policies = PolicyBook::open(settings.policies.clone(), &store).await;
        let policies = policies.map_err(OpenError::Policies)?;
        let wait = settings.runs.budget_wait_ms;
        let budgets = Budgets::open(&store, settings.prices.clone(), wait).await?;
        let vault = Vault::new(settings.secrets.key.clone(), settings.secrets.old_keys.clone());
        let secrets = SecretBook::open(vault, &store).await.map_err(OpenError::Secrets)?;
        let catalog = Catalog::open(store.clone(), sandbox.clone(), settings.graph, declared).await;
        Ok(Self(Arc::new(Rooms {
            catalog: catalog.map_err(OpenError::Catalog)?,
            store,
            sandbox,
            models,
            outbound,
            databases,
            policies,
            denials: Denials::default(),
            audit_settings: settings.audit,
            roles: settings.auth.roles.clone(),
            budgets,
            secrets,
            graph_limits: settings.graph,
            run_settings: settings.runs.clone(),
            seats: RunSeats::new(&settings.runs),
            kept: Arc::default(),
            lines: Arc::new(Rates::new()),
            requests: Rates::new(),
            large_lists: LargeLists::new(settings.http.large_lists),
            upload_turns: UploadTurns::new(settings.http.uploads, upload_wait),
            uploads: Mutex::new(()),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            stop: CancellationToken::new(),
        })))
    }

    /// Which kind of database it is, for a banner.
    pub fn database(&self) -> &'static str {
        self.store.kind()
    }

    /// How many workflows of each kind there are, for a banner.
    pub fn counts(&self) -> String {
        self.catalog.counts()
    }

    /// Which providers answer, for a banner.
    pub fn providers(&self) -> String {
        let lines: Vec<_> =
            self.models.providers().map(|it| format!("{} ({})", it.name, it.api)).collect();
        if lines.is_empty() { "none".into() } else { lines.join(", ") }
    }

    /// Who answers for a model's name; none if nobody does.
    pub(crate) fn model_identity(&self, name: &ModelName) -> Option<ModelIdentity> {
        Some(self.models.resolve(name)?.identity().clone())
    }

    /// Whether the database answers.
    pub async fn is_well(&self) -> bool {
        self.store.ping().await.is_ok()
    }

    /// Stores a run and drives it, both or neither, in a task of its own: whoever asked for it may
    /// go away meanwhile. `stored` hears what was noted first, or why nothing was; where that
    /// leaves in doubt whether the run is there, the task finds out.
    pub(crate) fn spawn_new(
        &self,
        mut driver: Driver,
        entry: SessionEntry,
        touch: Touch,
        stored: oneshot::Sender<Result<Vec<JournalEntry>, StoreError>>,
    ) {
        let stop = self.stop.clone();
        let tenant = driver.tenant().clone();
        self.tasks.spawn(self.sandbox.in_turn(tenant.as_str(), async move {
            let first = driver.open(entry, touch).await;
            let is_stored = first.is_ok();
            let in_doubt = first.as_ref().is_err_and(StoreError::leaves_doubt);
            let _ = stored.send(first);
            if is_stored || in_doubt && driver.was_stored(&stop).await {
                driver.drive(stop).await;
            }
        }));
    }

    /// Drives a run in a task of its own. Shutdown waits for it; a run that was stored just
    /// before is left to the next start at once.
    pub(crate) fn spawn(&self, driver: Driver) {
        let tenant = driver.tenant().clone();
        let driven = driver.drive(self.stop.clone());
        self.tasks.spawn(self.sandbox.in_turn(tenant.as_str(), driven));
    }

    /// Does work that has to be done to its end, also when who asked for it goes away meanwhile.
    /// Shutdown waits for it.
    pub(crate) async fn see_through<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, AppError>> + Send + 'static,
    ) -> Result<T, AppError> {
        // The only failure left is a panic, which is in the log.
        self.tasks.spawn(work).await.unwrap_or(Err(AppError::Broken))
    }

    /// What the host does by itself as long as it runs. Ends when it stops.
    pub(crate) fn keep_house(&self) {
        self.tasks.spawn(self.clone().sweep_audit_log());
    }

    /// Until the host was told to stop.
    pub(crate) async fn stopping(&self) {
        self.stopping.cancelled().await;
    }

    /// Lets runs under way finish for a while and leaves the rest to the next start. No new run
    /// begins any more. Answers whether all finished.
    pub async fn drain(&self, patience: Duration) -> bool {
        self.tasks.close();
        self.stopping.cancel();
        let drained = tokio::time::timeout(patience, self.tasks.wait()).await.is_ok();
        self.stop.cancel();
        self.tasks.wait().await;
        drained
    }

    /// Waits for guests that nobody waits for any more, and closes the store and the databases.
    /// Nothing works after this.
    pub async fn close(&self) {
        self.sandbox.drain().await;
        self.databases.close().await;
        self.store.close().await;
    }
}
