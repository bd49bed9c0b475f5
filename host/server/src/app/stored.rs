//! What a tenant has stored, and whether more may come: plugins, and what they keep with `kv`.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stepmill_core::ids::{TenantId, WorkflowId};
use stepmill_store::{StoreError, TenantStore};

use super::error::AppError;
use super::plugins::Shelf;
use super::wiring::App;

/// How soon what a tenant keeps is counted anew when it seems to be too much. Counting reads a row
/// for each key, and a tenant that is full could ask for it with every value.
const COUNT_GAP: Duration = Duration::from_secs(1);

/// Tenants whose values are counted; of more, all are forgotten and counted again.
const TENANTS: usize = 10_000;

/// What plugins keep, tenant by tenant. No more than this is kept, and a little less if values were
/// replaced or removed; off by what is being written at this moment.
#[derive(Default)]
pub(crate) struct Kept(Mutex<HashMap<TenantId, Counted>>);

struct Counted {
    bytes: u64,
    at: Instant,
}

impl Kept {
    /// Whether so many bytes more may be kept. If so they are counted.
    pub(crate) async fn admit(
        &self,
        tenant: &TenantId,
        store: &TenantStore,
        bytes: u64,
        most: u64,
    ) -> Result<bool, StoreError> {
        if let Some(counted) = self.tenants().get_mut(tenant) {
            if counted.bytes.saturating_add(bytes) <= most {
                counted.bytes += bytes;
                return Ok(true);
            }
            if counted.at.elapsed() < COUNT_GAP {
                return Ok(false);
            }
        }
        let stored = store.kv_bytes().await?;
        let is_room = stored.saturating_add(bytes) <= most;
        self.keep(tenant, stored + if is_room { bytes } else { 0 });
        Ok(is_room)
    }

    /// What a tenant keeps, as it was a moment ago.
    pub(crate) async fn bytes(
        &self,
        tenant: &TenantId,
        store: &TenantStore,
    ) -> Result<u64, StoreError> {
        if let Some(counted) = self.tenants().get(tenant)
            && counted.at.elapsed() < COUNT_GAP
        {
            return Ok(counted.bytes);
        }
        let bytes = store.kv_bytes().await?;
        self.keep(tenant, bytes);
        Ok(bytes)
    }

    fn keep(&self, tenant: &TenantId, bytes: u64) {
        let mut tenants = self.tenants();
        if TENANTS <= tenants.len() {
            tenants.clear();
        }
        tenants.insert(tenant.clone(), Counted { bytes, at: Instant::now() });
    }

    fn tenants(&self) -> MutexGuard<'_, HashMap<TenantId, Counted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Plugins of a tenant, and how large their code is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shelved {
    /// How many.
    pub plugins: u64,
    /// All of them together.
    pub bytes: u64,
}

impl App {
    /// What stands on a tenant's shelf, without one plugin.
    pub(super) fn shelved(&self, tenant: &TenantId, without: Option<&WorkflowId>) -> Shelved {
        let slots = self.catalog.slots(&Shelf::Tenant(tenant.clone()));
        let rows = slots.iter().map(|it| &it.row).filter(|it| Some(&it.id) != without);
        rows.fold(Shelved::default(), |sum, it| Shelved {
            plugins: sum.plugins + 1,
            bytes: sum.bytes + it.bytes,
        })
    }

    /// Whether a plugin may take its place on a shelf. The operator's has no limit.
    pub(super) fn check_shelf(
        &self,
        shelf: &Shelf,
        id: &WorkflowId,
        bytes: usize,
    ) -> Result<(), AppError> {
        let Shelf::Tenant(tenant) = shelf else { return Ok(()) };
        let limits = self.policies.current().tenant_limits(tenant);
        let others = self.shelved(tenant, Some(id));
        if let Some(most) = limits.plugins.filter(|it| *it <= others.plugins) {
            return Err(AppError::TooManyPlugins(most));
        }
        let bytes = others.bytes.saturating_add(bytes as u64);
        match limits.plugin_bytes.filter(|it| *it < bytes) {
            Some(most) => Err(AppError::PluginsTooLarge(most)),
            None => Ok(()),
        }
    }
}
