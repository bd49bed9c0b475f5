//! Which workflows a tenant can ask for: its own plugins, those the operator shares, and
//! workflows declared in files.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use stepmill_core::context::{RequestContext, RequestFacts};
use stepmill_core::graph::{GraphLimits, StepGraph};
use stepmill_core::ids::{Digest, TenantId, WorkflowId};
use stepmill_core::limits::Limits;
use stepmill_core::plugin::WorkflowKind;
use stepmill_core::principal::TrustedClaims;
use stepmill_sandbox::{CallSite, LoadFailure, LoadSite, Plugin, Sandbox};
use stepmill_store::{PluginRow, Store};
use tokio::sync::OnceCell;

use super::declared::Declared;
use super::error::AppError;
use super::plugins::Shelf;
use super::schema::InputSchema;

/// The tenant a prototype is drawn for: none that a token may name means anything here.
const NOBODY: &str = "prototype";

/// A plugin ready to be called.
pub(crate) struct Factory {
    /// Whose it is.
    pub shelf: Shelf,
    /// The code.
    pub plugin: Plugin,
    /// What its input has to look like; of a prototype, its message.
    pub schema: Option<InputSchema>,
    /// The graph of a prototype, drawn once for everybody.
    pub fixed: Option<Arc<StepGraph>>,
}

impl Factory {
    /// Loads a component, compiles its schema, and has a prototype drawn.
    pub(crate) async fn load(
        sandbox: &Sandbox,
        limits: &GraphLimits,
        shelf: Shelf,
        site: &LoadSite,
        component: Arc<[u8]>,
    ) -> Result<Self, AppError> {
        let loaded = sandbox.load_at(site, component).await;
        let plugin = loaded.map_err(AppError::NotAPlugin)?;
        let schema =
            plugin.description().input_schema.as_ref().map(InputSchema::compile).transpose()?;
        let fixed = match plugin.description().kind {
            WorkflowKind::Factory => None,
            WorkflowKind::Prototype => Some(Arc::new(draw_once(&plugin, &shelf, limits).await?)),
        };
        Ok(Self { shelf, plugin, schema, fixed })
    }
}

/// Whether another try may do. It compiled when it was uploaded; a machine under load, or a tenant,
/// may have no seat for it now.
fn is_passing(fault: &AppError) -> bool {
    match fault {
        AppError::NotAPlugin(fault) => {
            fault.is_passing() || matches!(fault, LoadFailure::CompileTimedOut)
        }
        AppError::PluginStopped(fault) => fault.is_passing(),
        _ => false,
    }
}

/// Asks a prototype for its graph, with a context in which there is nothing.
async fn draw_once(
    plugin: &Plugin,
    shelf: &Shelf,
    limits: &GraphLimits,
) -> Result<StepGraph, AppError> {
    let context = RequestContext {
        user: None,
        session: None,
        input: None,
        request: RequestFacts { method: String::new(), path: String::new(), headers: Vec::new() },
        tenant: TenantId::new(NOBODY).expect("the constant is a tenant id"),
        trusted: TrustedClaims::default(),
    };
    let site = CallSite::bare(NOBODY).sharing(shelf.share(), Limits::default());
    let draft = plugin.build(site, &context).await.map_err(AppError::from)?;
    draft.check(limits).map_err(AppError::BadGraph)
}

/// A plugin in its place; its code is loaded when somebody asks for it first.
pub struct Slot {
    /// What is stored about it.
    pub row: PluginRow,
    /// Whose it is.
    pub shelf: Shelf,
    loaded: OnceCell<Arc<Factory>>,
}

impl Slot {
    /// A plugin that is in the store.
    pub(crate) fn stored(shelf: Shelf, row: PluginRow) -> Self {
        Self { row, shelf, loaded: OnceCell::new() }
    }

    /// A plugin that was just loaded.
    pub(crate) fn loaded(shelf: Shelf, row: PluginRow, factory: Factory) -> Self {
        Self { row, shelf, loaded: OnceCell::new_with(Some(Arc::new(factory))) }
    }
}

/// Where a workflow comes from.
#[derive(Clone)]
pub enum Source {
    /// A plugin draws it, for each request or once.
    Factory(Arc<Slot>),
    /// A file declares it.
    Declared(Arc<Declared>),
}

/// One workflow of a tenant's list.
#[derive(Clone)]
pub struct Entry {
    /// What it is called in the API.
    pub id: WorkflowId,
    /// Shown.
    pub name: Option<String>,
    /// Shown.
    pub description: Option<String>,
    /// Where it comes from.
    pub source: Source,
}

impl Entry {
    /// Whether its steps are drawn for each request.
    pub fn is_factory(&self) -> bool {
        match &self.source {
            Source::Factory(slot) => slot.row.description.kind == WorkflowKind::Factory,
            Source::Declared(_) => false,
        }
    }

    fn factory(slot: &Arc<Slot>) -> Self {
        let about = &slot.row.description;
        Self {
            id: slot.row.id.clone(),
            name: about.name.clone(),
            description: about.description.clone(),
            source: Source::Factory(slot.clone()),
        }
    }

    fn declared(declared: &Arc<Declared>) -> Self {
        Self {
            id: declared.id.clone(),
            name: Some(declared.graph.name().to_owned()),
            description: declared.graph.description().map(str::to_owned),
            source: Source::Declared(declared.clone()),
        }
    }
}

type Shelves = HashMap<Shelf, BTreeMap<WorkflowId, Arc<Slot>>>;

/// All workflows of all tenants; a tenant reaches its own and the shared ones.
pub(crate) struct Catalog {
    store: Store,
    sandbox: Sandbox,
    graph_limits: GraphLimits,
    declared: BTreeMap<WorkflowId, Arc<Declared>>,
    shelves: RwLock<Shelves>,
}

impl Catalog {
    /// Reads which plugins there are. Their code stays where it is until somebody asks.
    pub(crate) async fn open(
        store: Store,
        sandbox: Sandbox,
        graph_limits: GraphLimits,
        declared: BTreeMap<WorkflowId, Arc<Declared>>,
    ) -> Result<Self, AppError> {
        let mut shelves = Shelves::new();
        let shared =
            store.shared().plugin_list().await?.into_iter().map(|row| (Shelf::Shared, row));
        let own =
            store.plugin_all().await?.into_iter().map(|(tenant, row)| (Shelf::Tenant(tenant), row));
        for (shelf, row) in shared.chain(own) {
            let slot = Arc::new(Slot::stored(shelf.clone(), row));
            shelves.entry(shelf).or_default().insert(slot.row.id.clone(), slot);
        }
        Ok(Self { store, sandbox, graph_limits, declared, shelves: RwLock::new(shelves) })
    }

    /// A workflow as this tenant sees it.
    pub(crate) fn find(&self, tenant: &TenantId, id: &WorkflowId) -> Option<Entry> {
        let own = self.slot(&Shelf::Tenant(tenant.clone()), id);
        if let Some(slot) = own.or_else(|| self.slot(&Shelf::Shared, id)) {
            return Some(Entry::factory(&slot));
        }
        self.declared.get(id).map(Entry::declared)
    }

    /// All workflows this tenant sees: plugins as they came, then declared ones by file name.
    pub(crate) fn list(&self, tenant: &TenantId) -> Vec<Entry> {
        self.listed(&[Shelf::Tenant(tenant.clone()), Shelf::Shared])
    }

    /// How many workflows every tenant sees.
    pub(crate) fn public_count(&self) -> usize {
        self.listed(&[Shelf::Shared]).len()
    }

    /// What stands on some shelves, and what is declared. An id means what `find` finds.
    fn listed(&self, reach: &[Shelf]) -> Vec<Entry> {
        let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
        let mut slots: BTreeMap<&WorkflowId, &Arc<Slot>> = BTreeMap::new();
        for shelf in reach.iter().rev() {
            slots.extend(shelves.get(shelf).into_iter().flatten());
        }
        let is_free = |it: &&Arc<Declared>| !slots.contains_key(&it.id);
        let mut declared: Vec<_> = self.declared.values().filter(is_free).collect();
        declared.sort_by(|a, b| a.file.cmp(&b.file));
        let mut slots: Vec<_> = slots.into_values().collect();
        slots.sort_by(|a, b| (a.row.created_at, &a.row.id).cmp(&(b.row.created_at, &b.row.id)));
        let plugins = slots.into_iter().map(Entry::factory);
        plugins.chain(declared.into_iter().map(Entry::declared)).collect()
    }

    /// How many there are of each kind, in words.
    pub(crate) fn counts(&self) -> String {
        let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
        let shared = shelves.get(&Shelf::Shared).map_or(0, BTreeMap::len);
        let all: usize = shelves.values().map(BTreeMap::len).sum();
        let declared = self.declared.len();
        format!("{shared} shared plugins, {} of tenants, {declared} declared", all - shared)
    }

    /// One plugin of one shelf.
    pub(crate) fn slot(&self, shelf: &Shelf, id: &WorkflowId) -> Option<Arc<Slot>> {
        let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
        shelves.get(shelf)?.get(id).cloned()
    }

    /// All plugins of one shelf.
    pub(crate) fn slots(&self, shelf: &Shelf) -> Vec<Arc<Slot>> {
        let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
        shelves.get(shelf).into_iter().flat_map(|it| it.values().cloned()).collect()
    }

    /// Whether a file declares this id.
    pub(crate) fn is_declared(&self, id: &WorkflowId) -> bool {
        self.declared.contains_key(id)
    }

    /// Whether the operator uses this id.
    pub(crate) fn is_operators(&self, id: &WorkflowId) -> bool {
        self.is_declared(id) || self.slot(&Shelf::Shared, id).is_some()
    }

    /// From the next request on, this plugin answers for its id.
    pub(crate) fn put(&self, slot: Slot) {
        let mut shelves = self.shelves.write().unwrap_or_else(PoisonError::into_inner);
        shelves.entry(slot.shelf.clone()).or_default().insert(slot.row.id.clone(), Arc::new(slot));
    }

    /// From the next request on, nobody answers for this id.
    pub(crate) fn remove(&self, shelf: &Shelf, id: &WorkflowId) {
        let mut shelves = self.shelves.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(slots) = shelves.get_mut(shelf) {
            slots.remove(id);
        }
    }

    /// The code of a plugin, loaded once and kept.
    pub(crate) async fn factory(&self, slot: &Slot) -> Result<Arc<Factory>, AppError> {
        let row = &slot.row;
        let load = || async {
            let loaded = self.load(&slot.shelf, &row.id, row.digest).await?;
            loaded.ok_or_else(|| AppError::PluginMissing(row.id.clone()))
        };
        slot.loaded.get_or_try_init(load).await.cloned()
    }

    /// The code a run was pinned to, wherever it is kept by now.
    pub(crate) async fn pinned(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        digest: Digest,
    ) -> Result<Arc<Factory>, AppError> {
        for shelf in [Shelf::Tenant(tenant.clone()), Shelf::Shared] {
            let slot = self.slot(&shelf, id).filter(|it| it.row.digest == digest);
            let loaded = match slot {
                Some(slot) => Some(self.factory(&slot).await?),
                None => self.load(&shelf, id, digest).await?,
            };
            if let Some(factory) = loaded {
                return Ok(factory);
            }
        }
        Err(AppError::PluginMissing(id.clone()))
    }

    /// Loads what is kept; `None` if nothing is kept under this digest.
    async fn load(
        &self,
        shelf: &Shelf,
        id: &WorkflowId,
        digest: Digest,
    ) -> Result<Option<Arc<Factory>>, AppError> {
        let component = match shelf {
            Shelf::Shared => self.store.shared().component_fetch(digest).await?,
            Shelf::Tenant(tenant) => self.store.tenant(tenant).component_fetch(digest).await?,
        };
        let Some(component) = component else { return Ok(None) };
        let (sandbox, limits, site) =
            (&self.sandbox, &self.graph_limits, LoadSite::kept(shelf.share()));
        let loaded = Factory::load(sandbox, limits, shelf.clone(), &site, component.into());
        match loaded.await {
            Ok(factory) => Ok(Some(Arc::new(factory))),
            Err(fault) if is_passing(&fault) => {
                let cause = &fault as &dyn std::error::Error;
                tracing::warn!(plugin = %id, cause, "plugin {id} could not be loaded now");
                Err(AppError::Busy)
            }
            Err(fault) => {
                tracing::error!(plugin = %id, %fault, "plugin {id} does not load any more");
                tracing::debug!(plugin = %id, ?fault, "why plugin {id} does not load");
                Err(AppError::PluginMissing(id.clone()))
            }
        }
    }
}
