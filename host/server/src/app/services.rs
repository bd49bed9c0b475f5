//! What the host does for a plugin while it is being called: its key-value data, and requests.

use std::sync::Arc;

use async_trait::async_trait;
use stepmill_core::capability::Grants;
use stepmill_core::ids::{TenantId, WorkflowId};
use stepmill_core::limits::{Admit, Limits};
use stepmill_sandbox::{
    CallSite, KeyValueFault, KeyValues, Lines, Network, OutboundFailure, OutboundRequest,
    OutboundResponse,
};
use stepmill_store::{KV_ROW_BYTES, StoreError, TenantStore};

use super::catalog::Factory;
use super::outbound::Outbound;
use super::rates::Rates;
use super::stored::Kept;
use super::wiring::App;

/// One plugin's services, for one tenant.
struct PluginServices {
    store: TenantStore,
    tenant: TenantId,
    plugin: WorkflowId,
    outbound: Outbound,
    kept: Arc<Kept>,
    lines: Arc<Rates>,
    limits: Limits,
}

impl PluginServices {
    fn unavailable(&self, fault: &StoreError) -> KeyValueFault {
        let fault = fault as &dyn std::error::Error;
        tracing::error!(plugin = %self.plugin, fault, "key-value data of {} is unavailable", self.plugin);
        KeyValueFault::Down
    }

    async fn is_room(&self, key: &str, value: &[u8]) -> Result<bool, StoreError> {
        let Some(most) = self.limits.kv_bytes else { return Ok(true) };
        let bytes = (key.len() + value.len()) as u64 + KV_ROW_BYTES;
        self.kept.admit(&self.tenant, &self.store, bytes, most).await
    }
}

impl Lines for PluginServices {
    fn log_line(&self) -> Admit {
        let per_minute = self.limits.log_lines_per_minute;
        per_minute.map_or(Admit::Now, |it| self.lines.admit(&self.tenant, it))
    }
}

#[async_trait]
impl KeyValues for PluginServices {
    async fn kv_get(&self, key: &str) -> Result<Option<Vec<u8>>, KeyValueFault> {
        self.store.kv_get(&self.plugin, key).await.map_err(|it| self.unavailable(&it))
    }

    async fn kv_set(&self, key: &str, value: Vec<u8>) -> Result<(), KeyValueFault> {
        if !self.is_room(key, &value).await.map_err(|it| self.unavailable(&it))? {
            return Err(KeyValueFault::Full);
        }
        self.store.kv_set(&self.plugin, key, &value).await.map_err(|it| self.unavailable(&it))
    }

    async fn kv_delete(&self, key: &str) -> Result<(), KeyValueFault> {
        self.store.kv_delete(&self.plugin, key).await.map_err(|it| self.unavailable(&it))
    }
}

#[async_trait]
impl Network for PluginServices {
    async fn http_fetch(
        &self,
        request: OutboundRequest,
    ) -> Result<OutboundResponse, OutboundFailure> {
        self.outbound.fetch(request).await
    }
}

impl App {
    /// What a plugin may do now: asked ∩ allowed.
    pub(crate) fn grants(&self, id: &WorkflowId, factory: &Factory) -> Grants {
        let policies = self.policies.current();
        let asked = &factory.plugin.description().capabilities;
        Grants::of(asked, policies.allowed(factory.shelf.owner(), id))
    }

    /// Everything a call of a plugin may reach: of this tenant, and of this plugin.
    pub(crate) fn call_site(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        factory: &Factory,
    ) -> CallSite {
        let policies = self.policies.current();
        let limits = policies.plugin_limits(factory.shelf.owner(), tenant, id);
        let services = PluginServices {
            store: self.store.tenant(tenant),
            tenant: tenant.clone(),
            plugin: id.clone(),
            outbound: self.outbound.clone(),
            kept: self.kept.clone(),
            lines: self.lines.clone(),
            limits,
        };
        let config = policies.config(factory.shelf.owner(), id);
        let label = format!("{tenant}/{id}");
        let site = CallSite::granted(label, self.grants(id, factory), config, Arc::new(services));
        site.sharing(tenant.as_str(), limits)
    }
}
