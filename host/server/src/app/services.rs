//! What the host does for a plugin while it is being called: its key-value data, and requests.

use std::sync::Arc;

use async_trait::async_trait;
use stepmill_core::capability::Grants;
use stepmill_core::ids::{TenantId, WorkflowId};
use stepmill_sandbox::{
    CallSite, KeyValueDown, OutboundFailure, OutboundRequest, OutboundResponse, Services,
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
impl Services for PluginServices {
    async fn kv_get(&self, key: &str) -> Result<Option<Vec<u8>>, KeyValueDown> {
        self.store.kv_get(&self.plugin, key).await.map_err(|it| self.unavailable(&it))
    }

    async fn kv_set(&self, key: &str, value: Vec<u8>) -> Result<(), KeyValueDown> {
        self.store.kv_set(&self.plugin, key, &value).await.map_err(|it| self.unavailable(&it))
    }

    async fn kv_delete(&self, key: &str) -> Result<(), KeyValueDown> {
        self.store.kv_delete(&self.plugin, key).await.map_err(|it| self.unavailable(&it))
    }

    async fn http_fetch(
        &self,
        request: OutboundRequest,
    ) -> Result<OutboundResponse, OutboundFailure> {
        self.outbound.fetch(request).await
    }
}

/// What a plugin reaches while nobody has asked for anything yet: nothing.
struct NoServices;

#[async_trait]
impl Services for NoServices {
    async fn kv_get(&self, _: &str) -> Result<Option<Vec<u8>>, KeyValueDown> {
        Err(KeyValueDown)
    }

    async fn kv_set(&self, _: &str, _: Vec<u8>) -> Result<(), KeyValueDown> {
        Err(KeyValueDown)
    }

    async fn kv_delete(&self, _: &str) -> Result<(), KeyValueDown> {
        Err(KeyValueDown)
    }

    async fn http_fetch(&self, _: OutboundRequest) -> Result<OutboundResponse, OutboundFailure> {
        Err(OutboundFailure::Failed)
    }
}

/// A call without any grant.
pub(crate) fn bare_site(label: &str) -> CallSite {
    CallSite {
        grants: Grants::none(),
        config: Arc::default(),
        services: Arc::new(NoServices),
        label: label.into(),
    }
}

impl App {
    /// Everything a call of a plugin may reach: of this tenant, and of this plugin.
    pub(crate) fn call_site(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        factory: &Factory,
    ) -> CallSite {
        let key = factory.shelf.key(id);
        CallSite {
            grants: Grants::of(
                &factory.plugin.description().capabilities,
                self.policy.allowed(&key),
            ),
            config: self.policy.config(&key),
            services: Arc::new(PluginServices {
                store: self.store.tenant(tenant),
                plugin: id.clone(),
                outbound: self.outbound.clone(),
            }),
            label: format!("{tenant}/{id}").into(),
        }
    }
}
