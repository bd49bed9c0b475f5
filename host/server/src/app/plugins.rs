//! Plugins come and go while the host runs: upload, list, look at, delete.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use stepmill_core::audit::{Action, Actor, AuditNote};
use stepmill_core::capability::Grants;
use stepmill_core::ids::{Digest, TenantId, WorkflowId};
use stepmill_core::principal::Principal;
use stepmill_core::scope::Right;
use stepmill_sandbox::LoadSite;
use stepmill_store::PluginRow;

use super::audit::note;
use super::catalog::{Factory, Slot};
use super::clock::now;
use super::error::AppError;
use super::upload_turns::UploadTurn;
use super::wiring::App;

/// Whose plugins.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Shelf {
    /// The operator's, for all tenants.
    Shared,
    /// One tenant's own.
    Tenant(TenantId),
}

impl Shelf {
    /// Whose policies count; none for the operator's.
    pub(crate) fn owner(&self) -> Option<&TenantId> {
        match self {
            Self::Shared => None,
            Self::Tenant(tenant) => Some(tenant),
        }
    }

    /// Under which share of the sandbox its plugins are loaded. No tenant has the operator's name.
    pub(crate) fn share(&self) -> &str {
        self.owner().map_or("", TenantId::as_str)
    }
}

/// A plugin as its owner sees it.
pub struct PluginView {
    /// What is stored about it.
    pub row: PluginRow,
    /// Whether it is the operator's.
    pub shared: bool,
    /// What it may do: asked and allowed.
    pub grants: Grants,
}

/// Whether an upload made something new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upload {
    /// There was no plugin of this id.
    Created,
    /// It took the place of another version.
    Replaced,
    /// It is the version that was there.
    Unchanged,
}

impl App {
    /// Lets somebody upload a component to its tenant, when it is its turn. Nothing of the
    /// component has to be read before.
    ///
    /// # Errors
    /// The scope `plugins:write` is missing, the id is the operator's (and no older plugin of the
    /// tenant has it), or others upload for too long.
    pub async fn plugin_put(
        &self,
        who: &Principal,
        id: WorkflowId,
    ) -> Result<UploadTurn, AppError> {
        require(who, "plugins:write", Some(&id))?;
        let shelf = Shelf::Tenant(who.tenant.clone());
        // Who had the id before the operator took it keeps it.
        if self.catalog.is_operators(&id) && self.catalog.slot(&shelf, &id).is_none() {
            return Err(AppError::IdTaken(id));
        }
        self.upload_turn(shelf, id, who.actor()).await
    }

    /// Lets somebody upload a component for all tenants, as [`Self::plugin_put`] does for one. A
    /// tenant that has a plugin of this id already goes on with its own.
    ///
    /// # Errors
    /// The caller is not the host's operator, or others upload for too long.
    pub async fn plugin_publish(
        &self,
        who: &Principal,
        id: WorkflowId,
    ) -> Result<UploadTurn, AppError> {
        require_operator(who)?;
        self.note_hidden(&id);
        self.upload_turn(Shelf::Shared, id, who.actor()).await
    }

    async fn upload_turn(
        &self,
        shelf: Shelf,
        id: WorkflowId,
        actor: Actor,
    ) -> Result<UploadTurn, AppError> {
        let seat = self.upload_turns.take(&shelf).await?;
        Ok(UploadTurn { shelf, id, actor, _seat: seat })
    }

    /// Puts a component on the operator's shelf, where every tenant finds it. Does nothing if
    /// this very component is there already.
    ///
    /// # Errors
    /// The component is no plugin, or the store fails.
    pub async fn plugin_share(
        &self,
        id: WorkflowId,
        component: Arc<[u8]>,
    ) -> Result<Upload, AppError> {
        self.note_hidden(&id);
        let digest = Digest::from_bytes(Sha256::digest(&component).into());
        if self.catalog.slot(&Shelf::Shared, &id).is_some_and(|it| it.row.digest == digest) {
            return Ok(Upload::Unchanged);
        }
        let turn = self.upload_turn(Shelf::Shared, id, Actor::default()).await?;
        Ok(self.plugin_take_in(turn, component).await?.0)
    }

    fn note_hidden(&self, id: &WorkflowId) {
        if self.catalog.is_declared(id) {
            tracing::warn!(plugin = %id, "the declared workflow {id} is hidden by the shared plugin of the same id");
        }
    }

    /// Takes in a component. It is validated, compiled and stored before anybody can ask for
    /// it, and answers from the next request on.
    ///
    /// # Errors
    /// The tenant has as much as it may, or the component is no plugin.
    pub async fn plugin_take_in(
        &self,
        turn: UploadTurn,
        component: Arc<[u8]>,
    ) -> Result<(Upload, PluginView), AppError> {
        let (shelf, id) = (&turn.shelf, &turn.id);
        // Before it is compiled; and again when it takes its place.
        self.check_shelf(shelf, id, component.len())?;
        let site = LoadSite::upload(shelf.share());
        let (sandbox, limits) = (&self.sandbox, &self.graph_limits);
        let factory =
            Factory::load(sandbox, limits, shelf.clone(), &site, component.clone()).await?;
        self.check_grants(shelf, id, &factory)?;
        let uploaded_at = now();
        let before = self.catalog.slot(shelf, id);
        let row = PluginRow {
            id: id.clone(),
            digest: factory.plugin.digest(),
            bytes: component.len() as u64,
            description: factory.plugin.description().clone(),
            uploaded_at,
            uploaded_by: turn.actor.user.clone(),
            created_at: before.map_or(uploaded_at, |it| it.row.created_at),
        };
        let mut note = note(turn.actor.clone(), Action::PluginUpload, &row.id);
        note.detail = Some(format!("sha256:{}", row.digest));
        self.see_through(self.clone().shelve(turn, row, factory, component, note)).await
    }

    /// A plugin that asks for what it would not get would fail later, where its author sees
    /// nothing of it.
    fn check_grants(
        &self,
        shelf: &Shelf,
        id: &WorkflowId,
        factory: &Factory,
    ) -> Result<(), AppError> {
        let policies = self.policies.current();
        let allowed = policies.allowed(shelf.owner(), id);
        let missing = Grants::missing(&factory.plugin.description().capabilities, allowed);
        if missing.is_empty() {
            return Ok(());
        }
        let missing = missing.into_iter().cloned().collect();
        Err(AppError::NotGranted { missing, allowed: allowed.to_vec() })
    }

    /// The turn ends when nothing of the component is held any more.
    async fn shelve(
        self,
        turn: UploadTurn,
        row: PluginRow,
        factory: Factory,
        component: Arc<[u8]>,
        note: AuditNote,
    ) -> Result<(Upload, PluginView), AppError> {
        let shelf = turn.shelf.clone();
        // One upload at a time: what answers from now on is what is stored.
        let _turn = self.uploads.lock().await;
        self.check_shelf(&shelf, &row.id, component.len())?;
        let before = self.catalog.slot(&shelf, &row.id);
        let upload = match &before {
            None => Upload::Created,
            Some(slot) if slot.row.digest == row.digest => Upload::Unchanged,
            Some(_) => Upload::Replaced,
        };
        match &shelf {
            Shelf::Shared => self.store.shared().plugin_put(&row, &component, &note).await?,
            Shelf::Tenant(it) => self.store.tenant(it).plugin_put(&row, &component, &note).await?,
        }
        tracing::info!(plugin = %row.id, digest = %row.digest, ?upload, "plugin {} is in effect", row.id);
        let slot = Slot::loaded(shelf, row, factory);
        let view = self.view(&slot);
        self.catalog.put(slot);
        if upload == Upload::Replaced {
            self.sweep().await;
        }
        Ok((upload, view))
    }

    /// The plugins this caller's tenant has, and those the operator shares.
    ///
    /// # Errors
    /// The scope `plugins:read` is missing.
    pub fn plugin_list(&self, who: &Principal) -> Result<Vec<PluginView>, AppError> {
        require(who, "plugins:read", None)?;
        let mut slots = self.catalog.slots(&Shelf::Tenant(who.tenant.clone()));
        slots.extend(self.catalog.slots(&Shelf::Shared));
        slots.sort_by(|a, b| a.row.id.cmp(&b.row.id));
        slots.dedup_by(|later, first| later.row.id == first.row.id);
        Ok(slots.iter().map(|it| self.view(it)).collect())
    }

    /// One plugin.
    ///
    /// # Errors
    /// The scope `plugins:read` is missing, or there is no such plugin.
    pub fn plugin_fetch(&self, who: &Principal, id: &WorkflowId) -> Result<PluginView, AppError> {
        require(who, "plugins:read", Some(id))?;
        let own = self.catalog.slot(&Shelf::Tenant(who.tenant.clone()), id);
        let slot: Option<Arc<Slot>> = own.or_else(|| self.catalog.slot(&Shelf::Shared, id));
        slot.map(|it| self.view(&it)).ok_or(AppError::UnknownPlugin)
    }

    /// Takes a plugin of the caller's tenant away. Runs under way go on with it.
    ///
    /// # Errors
    /// The scope `plugins:delete` is missing, there is no such plugin, or it is the operator's.
    pub async fn plugin_delete(&self, who: &Principal, id: &WorkflowId) -> Result<(), AppError> {
        require(who, "plugins:delete", Some(id))?;
        let shelf = Shelf::Tenant(who.tenant.clone());
        self.see_through(self.clone().unshelve(shelf, id.clone(), who.actor())).await
    }

    /// Takes a shared plugin away from all tenants. Runs under way go on with it, and a workflow
    /// that is declared under its id is there again.
    ///
    /// # Errors
    /// The caller is not the host's operator, or there is no such plugin.
    pub async fn plugin_withdraw(&self, who: &Principal, id: &WorkflowId) -> Result<(), AppError> {
        require_operator(who)?;
        self.see_through(self.clone().unshelve(Shelf::Shared, id.clone(), who.actor())).await
    }

    async fn unshelve(self, shelf: Shelf, id: WorkflowId, actor: Actor) -> Result<(), AppError> {
        let note = note(actor, Action::PluginDelete, &id);
        let _turn = self.uploads.lock().await;
        let is_gone = match &shelf {
            Shelf::Shared => self.store.shared().plugin_delete(&id, &note).await?,
            Shelf::Tenant(it) => self.store.tenant(it).plugin_delete(&id, &note).await?,
        };
        if !is_gone {
            let is_taken = shelf != Shelf::Shared && self.catalog.is_operators(&id);
            return Err(if is_taken { AppError::IdTaken(id) } else { AppError::UnknownPlugin });
        }
        self.catalog.remove(&shelf, &id);
        tracing::info!(plugin = %id, "plugin {id} is deleted");
        self.sweep().await;
        Ok(())
    }

    fn view(&self, slot: &Slot) -> PluginView {
        let policies = self.policies.current();
        let allowed = policies.allowed(slot.shelf.owner(), &slot.row.id);
        PluginView {
            row: slot.row.clone(),
            shared: slot.shelf == Shelf::Shared,
            grants: Grants::of(&slot.row.description.capabilities, allowed),
        }
    }

    /// Removes code nobody needs. Not doing it now loses nothing: the next sweep does.
    async fn sweep(&self) {
        if let Err(fault) = self.store.component_sweep().await {
            tracing::warn!(%fault, "components nobody needs were not removed");
        }
    }
}

/// Plugins are code: their scopes are asked for also where workflows ask for none.
fn require(who: &Principal, scope: &'static str, id: Option<&WorkflowId>) -> Result<(), AppError> {
    let right = Right { id: id.map(WorkflowId::as_str), ..Right::new(scope) };
    if who.holds(right) { Ok(()) } else { Err(AppError::ScopeMissing(scope)) }
}

/// What all tenants see is the operator's, and no tenant's admin's.
fn require_operator(who: &Principal) -> Result<(), AppError> {
    if who.is_operator() { Ok(()) } else { Err(AppError::NotOperator) }
}
