//! What the host does for a plugin while it is being called: its key-value data, requests and the
//! secrets in them, and statements to databases.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use stepmill_core::agent::ModelName;
use stepmill_core::capability::{Capability, Grants, ModelPattern};
use stepmill_core::database::{Answer, DatabaseFailure, Statement};
use stepmill_core::ids::{SecretName, TenantId, WorkflowId};
use stepmill_core::limits::{Admit, Limits};
use stepmill_databases::Databases;
use stepmill_sandbox::{
    CallSite, KeyValueFault, KeyValues, Lines, Network, OutboundFailure, OutboundRequest,
    OutboundResponse, Secrets, SecretsDown,
};
use stepmill_store::{KV_ROW_BYTES, StoreError, TenantStore};

use super::catalog::Factory;
use super::rates::Rates;
use super::secrets::{OpenSecret, Sending, secrets_of};
use super::stored::Kept;
use super::wiring::App;

/// One plugin's services, for one tenant.
struct PluginServices {
    tenant: TenantId,
    app: App,
    store: TenantStore,
    plugin: WorkflowId,
    databases: Databases,
    /// Whose secrets it uses; none: the operator's.
    owner: Option<TenantId>,
    /// Those that this call has asked for.
    found: Mutex<BTreeMap<SecretName, Arc<OpenSecret>>>,
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
        let sending = {
            let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            Sending::new(
                request
                    .placeholders
                    .iter()
                    .filter_map(|it| Some((it.text.clone(), found.get(&it.secret)?.clone()))),
            )
        };
        self.app.outbound.fetch(self.store.tenant(), request, &sending).await
    }
}

#[async_trait]
impl Secrets for PluginServices {
    async fn secret_find(&self, name: &SecretName) -> Result<bool, SecretsDown> {
        let unavailable = |fault: &(dyn std::error::Error + 'static)| {
            let plugin = &self.plugin;
            tracing::error!(%plugin, fault, "the secret {name} is unavailable to {plugin}");
            SecretsDown
        };
        let owner = self.owner.as_ref();
        let row = secrets_of(&self.app.store, owner).secret_fetch(name).await;
        let Some(row) = row.map_err(|it| unavailable(&it))? else { return Ok(false) };
        let secret = self.app.secrets.open_for(owner, row).map_err(|it| unavailable(&it))?;
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.insert(name.clone(), secret);
        Ok(true)
    }
}

#[async_trait]
impl stepmill_sandbox::Databases for PluginServices {
    async fn database_ask(&self, statement: Statement) -> Result<Answer, DatabaseFailure> {
        self.databases.ask(&self.tenant, statement).await
    }
}

impl App {
    /// What a plugin may do now: asked ∩ allowed.
    pub(crate) fn grants(&self, id: &WorkflowId, factory: &Factory) -> Grants {
        let policies = self.policies.current();
        let asked = &factory.plugin.description().capabilities;
        Grants::of(asked, policies.allowed(factory.shelf.owner(), id))
    }

    /// Whether a plugin would be given a model if it asked for every one.
    pub(crate) fn allows(
        &self,
        owner: Option<&TenantId>,
        id: &WorkflowId,
        model: &ModelName,
    ) -> bool {
        let policies = self.policies.current();
        let any = [Capability::Model(ModelPattern::any())];
        Grants::of(&any, policies.allowed(owner, id)).model(model)
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
            tenant: tenant.clone(),
            app: self.clone(),
            store: self.store.tenant(tenant),
            plugin: id.clone(),
            databases: self.databases.clone(),
            owner: factory.shelf.owner().cloned(),
            found: Mutex::default(),
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
