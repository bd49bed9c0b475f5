//! What a tenant may use, and what it uses now.

use stepmill_core::ids::TenantId;
use stepmill_core::limits::Limits;
use stepmill_core::principal::Principal;

use super::error::AppError;
use super::stored::Shelved;
use super::wiring::App;

/// One tenant's limits, and where it stands.
pub struct TenantUse {
    /// Whose.
    pub tenant: TenantId,
    /// What counts for it: policies, within what the host allows anybody.
    pub limits: Limits,
    /// Runs under way.
    pub runs: usize,
    /// Calls of its plugins under way.
    pub calls: usize,
    /// Its plugins.
    pub shelved: Shelved,
    /// What its plugins keep.
    pub kv_bytes: u64,
}

impl App {
    /// What the caller's tenant may use and uses; the host's operator may name another tenant.
    ///
    /// # Errors
    /// Another tenant is named by somebody else, or the store fails.
    pub async fn tenant_use(
        &self,
        who: &Principal,
        tenant: Option<TenantId>,
    ) -> Result<TenantUse, AppError> {
        let tenant = match tenant {
            Some(it) if it != who.tenant && !who.is_operator() => {
                return Err(AppError::NotOperator);
            }
            Some(it) => it,
            None => who.tenant.clone(),
        };
        let kv_bytes = self.kept.bytes(&tenant, &self.store.tenant(&tenant)).await?;
        let said = self.policies.current().tenant_limits(&tenant);
        let host = Limits {
            nodes: Some(self.graph_limits.nodes as u64),
            runs: Some(self.seats.most(&said) as u64),
            ..self.sandbox.limits()
        };
        Ok(TenantUse {
            limits: said.at_most(host),
            runs: self.seats.held(&tenant),
            calls: self.sandbox.calls(tenant.as_str()),
            shelved: self.shelved(&tenant, None),
            tenant,
            kv_bytes,
        })
    }
}
