//! Plugins come and go while the host runs: upload, list, look at, delete.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use stepmill_core::capability::Grants;
use stepmill_core::ids::{Digest, TenantId, WorkflowId};
use stepmill_core::principal::Principal;
use stepmill_core::scope::Right;
use stepmill_store::PluginRow;

use super::catalog::{Factory, Slot};
use super::clock::now;
use super::error::AppError;
use super::wiring::App;
use crate::settings::PluginKey;

/// Whose plugins.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Shelf {
    /// The operator's, for all tenants.
    Shared,
    /// One tenant's own.
    Tenant(TenantId),
}

impl Shelf {
    /// What the operator's rules call a plugin of this shelf.
    pub(crate) fn key(&self, id: &WorkflowId) -> PluginKey {
        match self {
            Self::Shared => (None, id.clone()),
            Self::Tenant(tenant) => (Some(tenant.clone()), id.clone()),
        }
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
    /// Takes in a component. It is validated, compiled and stored before anybody can ask for
    /// it, and answers from the next request on.
    ///
    /// # Errors
    /// The scope `plugins:write` is missing, the id is the operator's, or the component is no plugin.
    pub async fn plugin_put(
        &self,
        who: &Principal,
        id: WorkflowId,
        component: Arc<[u8]>,
    ) -> Result<(Upload, PluginView), AppError> {
        require(who, "plugins:write", Some(&id))?;
        if self.catalog.is_operators(&id) {
            return Err(AppError::IdTaken(id));
        }
        let shelf = Shelf::Tenant(who.tenant.clone());
        let turn = self.upload_turns.take(&who.tenant).await?;
        let factory = self.load(shelf.clone(), component.clone()).await?;
        drop(turn);
        let mut row = self.row(&shelf, id, &factory, &component);
        row.uploaded_by = who.user.clone();
        self.see_through(self.clone().shelve(shelf, row, factory, component)).await
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
        if self.catalog.is_declared(&id) {
            tracing::warn!(plugin = %id, "the declared workflow {id} is hidden by the shared plugin of the same id");
        }
        let digest = Digest::from_bytes(Sha256::digest(&component).into());
        if self.catalog.slot(&Shelf::Shared, &id).is_some_and(|it| it.row.digest == digest) {
            return Ok(Upload::Unchanged);
        }
        let factory = self.load(Shelf::Shared, component.clone()).await?;
        let row = self.row(&Shelf::Shared, id, &factory, &component);
        Ok(self.clone().shelve(Shelf::Shared, row, factory, component).await?.0)
    }

    async fn load(&self, shelf: Shelf, component: Arc<[u8]>) -> Result<Factory, AppError> {
        Factory::load(&self.sandbox, &self.graph_limits, shelf, component).await
    }

    fn row(&self, shelf: &Shelf, id: WorkflowId, factory: &Factory, component: &[u8]) -> PluginRow {
        let uploaded_at = now();
        let before = self.catalog.slot(shelf, &id);
        PluginRow {
            id,
            digest: factory.plugin.digest(),
            bytes: component.len() as u64,
            description: factory.plugin.description().clone(),
            uploaded_at,
            uploaded_by: None,
            created_at: before.map_or(uploaded_at, |it| it.row.created_at),
        }
    }

    async fn shelve(
        self,
        shelf: Shelf,
        row: PluginRow,
        factory: Factory,
        component: Arc<[u8]>,
    ) -> Result<(Upload, PluginView), AppError> {
        // One upload at a time: what answers from now on is what is stored.
        let _turn = self.uploads.lock().await;
        let before = self.catalog.slot(&shelf, &row.id);
        let upload = match &before {
            None => Upload::Created,
            Some(slot) if slot.row.digest == row.digest => Upload::Unchanged,
            Some(_) => Upload::Replaced,
        };
        match &shelf {
            Shelf::Shared => self.store.shared().plugin_put(&row, &component).await?,
            Shelf::Tenant(it) => self.store.tenant(it).plugin_put(&row, &component).await?,
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
        self.see_through(self.clone().unshelve(who.tenant.clone(), id.clone())).await
    }

    async fn unshelve(self, tenant: TenantId, id: WorkflowId) -> Result<(), AppError> {
        let _turn = self.uploads.lock().await;
        if !self.store.tenant(&tenant).plugin_delete(&id).await? {
            let taken = self.catalog.is_operators(&id);
            return Err(if taken { AppError::IdTaken(id) } else { AppError::UnknownPlugin });
        }
        self.catalog.remove(&Shelf::Tenant(tenant), &id);
        tracing::info!(plugin = %id, "plugin {id} is deleted");
        self.sweep().await;
        Ok(())
    }

    fn view(&self, slot: &Slot) -> PluginView {
        let allowed = self.policy.allowed(&slot.shelf.key(&slot.row.id));
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
