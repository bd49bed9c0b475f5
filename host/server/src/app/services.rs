//! What the host does for a plugin while it is being called: its key-value data, and requests.

use std::sync::Arc;

use async_trait::async_trait;
use stepmill_core::capability::Grants;
use stepmill_core::ids::{TenantId, WorkflowId};
use stepmill_sandbox::{
    CallSite, KeyValueDown, KeyValues, Network, OutboundFailure, OutboundRequest, OutboundResponse,
};
use stepmill_store::{StoreError, TenantStore};

use super::catalog::Factory;
use super::outbound::Outbound;
use super::wiring::App;

/// One plugin's services, for one tenant.
struct PluginServices {
    store: TenantStore,
    plugin: WorkflowId,
    outbound: Outbound,
}

impl PluginServices {
    fn unavailable(&self, fault: &StoreError) -> KeyValueDown {
        let fault = fault as &dyn std::error::Error;
        tracing::error!(plugin = %self.plugin, fault, "key-value data of {} is unavailable", self.plugin);
        KeyValueDown
    }
}

#[async_trait]
impl KeyValues for PluginServices {
    async fn kv_get(&self, key: &str) -> Result<Option<Vec<u8>>, KeyValueDown> {
        self.store.kv_get(&self.plugin, key).await.map_err(|it| self.unavailable(&it))
    }

    async fn kv_set(&self, key: &str, value: Vec<u8>) -> Result<(), KeyValueDown> {
        self.store.kv_set(&self.plugin, key, &value).await.map_err(|it| self.unavailable(&it))
    }

    async fn kv_delete(&self, key: &str) -> Result<(), KeyValueDown> {
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
        let services = PluginServices {
            store: self.store.tenant(tenant),
            plugin: id.clone(),
            outbound: self.outbound.clone(),
        };
        let config = self.policies.current().config(factory.shelf.owner(), id);
        let label = format!("{tenant}/{id}");
        let site = CallSite::granted(label, self.grants(id, factory), config, Arc::new(services));
        site.sharing(tenant.as_str(), usize::MAX)
    }
}
