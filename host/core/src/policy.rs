//! Policies: what an operator allows, and how far a rule reaches.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::budget::{Bounds, Budget};
use crate::capability::Capability;
use crate::ids::{TenantId, WorkflowId};
use crate::limits::Limits;

/// What a policy is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PolicyScope {
    /// Everything on the host.
    Host,
    /// Everything of one tenant.
    Tenant(TenantId),
    /// One plugin: a tenant's own, or (without a tenant) one that the operator shares. The tenant
    /// is part of the name, so that nobody gets another's rule by choosing its id.
    Plugin(Option<TenantId>, WorkflowId),
}

impl PolicyScope {
    /// Every scope that covers a workflow's runs for a tenant, from the widest to the narrowest.
    /// `owner` is whose the workflow is; what the operator shares or declares is nobody's.
    pub fn covering(
        tenant: &TenantId,
        owner: Option<&TenantId>,
        workflow: &WorkflowId,
    ) -> [Self; 3] {
        [Self::Host, Self::Tenant(tenant.clone()), Self::Plugin(owner.cloned(), workflow.clone())]
    }
}

/// What an operator says of one scope. What it does not say, the next wider scope says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// What plugins may do if they ask.
    pub allow: Option<Vec<Capability>>,
    /// What `config.get` answers. Only said of plugins.
    pub config: Arc<BTreeMap<String, String>>,
    /// How much models may be asked for. A wider scope's bounds count beside these.
    pub models: Budget,
    /// How much there may be of what.
    pub limits: Limits,
}

/// All policies of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policies(BTreeMap<PolicyScope, Policy>);

impl Policies {
    /// Says something of a scope, in the place of what was said before.
    pub fn put(&mut self, scope: PolicyScope, policy: Policy) {
        self.0.insert(scope, policy);
    }

    /// What is said of exactly this scope.
    pub fn of(&self, scope: &PolicyScope) -> Option<&Policy> {
        self.0.get(scope)
    }

    /// Each scope of which something is said.
    pub fn iter(&self) -> impl Iterator<Item = (&PolicyScope, &Policy)> {
        self.0.iter()
    }

    /// The same, but where `over` says something of a scope, that counts.
    pub fn under(&self, over: &Self) -> Self {
        let mut all = self.clone();
        all.0.extend(over.0.clone());
        all
    }

    /// What a plugin may do if it asks: the narrowest scope that says so decides. A shared plugin
    /// is the operator's, whichever tenant uses it.
    pub fn allowed(&self, tenant: Option<&TenantId>, plugin: &WorkflowId) -> &[Capability] {
        let own = PolicyScope::Plugin(tenant.cloned(), plugin.clone());
        let wider = tenant.cloned().map(PolicyScope::Tenant);
        let scopes = [Some(own), wider, Some(PolicyScope::Host)].into_iter().flatten();
        scopes
            .filter_map(|it| self.0.get(&it))
            .find_map(|it| it.allow.as_deref())
            .unwrap_or_default()
    }

    /// How much a tenant may use: its own policy decides, and then the host's.
    pub fn tenant_limits(&self, tenant: &TenantId) -> Limits {
        let own = self.said(&PolicyScope::Tenant(tenant.clone()));
        own.or(self.said(&PolicyScope::Host)).or(Limits::SAFE)
    }

    /// How much one call of a plugin may use, and one graph; `runs` are those of this plugin. The
    /// plugin's own policy decides (of a shared one, the operator's for all tenants), then that of
    /// the tenant that uses it, then the host's.
    pub fn plugin_limits(
        &self,
        owner: Option<&TenantId>,
        tenant: &TenantId,
        plugin: &WorkflowId,
    ) -> Limits {
        let own = self.said(&PolicyScope::Plugin(owner.cloned(), plugin.clone()));
        Limits { runs: own.runs, ..own.or(self.tenant_limits(tenant)) }
    }

    fn said(&self, scope: &PolicyScope) -> Limits {
        self.0.get(scope).map(|it| it.limits).unwrap_or_default()
    }

    /// What a plugin's `config.get` answers.
    pub fn config(
        &self,
        tenant: Option<&TenantId>,
        plugin: &WorkflowId,
    ) -> Arc<BTreeMap<String, String>> {
        let own = PolicyScope::Plugin(tenant.cloned(), plugin.clone());
        self.0.get(&own).map(|it| it.config.clone()).unwrap_or_default()
    }

    /// How much models may be asked for by a workflow's runs for a tenant, by every scope that
    /// covers them: see [`PolicyScope::covering`]. The budget of what the operator shares or
    /// declares is for all tenants together.
    pub fn bounds(
        &self,
        tenant: &TenantId,
        owner: Option<&TenantId>,
        workflow: &WorkflowId,
    ) -> Bounds {
        let scopes = PolicyScope::covering(tenant, owner, workflow);
        let budget = |it: &PolicyScope| self.0.get(it).map(|it| it.models).unwrap_or_default();
        scopes.into_iter().map(|it| (it.clone(), budget(&it))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    fn id(name: &str) -> WorkflowId {
        WorkflowId::new(name).unwrap()
    }

    fn allow(words: &[&str]) -> Policy {
        let allow = words.iter().map(|it| Capability::parse(it).unwrap()).collect();
        Policy { allow: Some(allow), ..Policy::default() }
    }

    fn policies() -> Policies {
        let mut policies = Policies::default();
        policies.put(PolicyScope::Host, allow(&["config"]));
        policies.put(PolicyScope::Tenant(tenant("acme")), allow(&["kv"]));
        policies.put(PolicyScope::Plugin(Some(tenant("acme")), id("own")), allow(&["clock"]));
        policies.put(PolicyScope::Plugin(None, id("own")), allow(&["randomness"]));
        policies
    }

    #[test]
    fn the_narrowest_scope_decides() {
        let policies = policies();
        let of = |of: Option<&str>, plugin: &str| {
            policies.allowed(of.map(tenant).as_ref(), &id(plugin))[0].to_string()
        };
        assert_eq!(of(Some("acme"), "own"), "clock");
        assert_eq!(of(Some("acme"), "other"), "kv");
        assert_eq!(of(Some("else"), "own"), "config");
        assert_eq!(of(None, "own"), "randomness");
        assert_eq!(of(None, "other"), "config");
        assert!(Policies::default().allowed(None, &id("own")).is_empty());
    }

    #[test]
    fn every_scope_that_covers_a_run_bounds_it() {
        let mut policies = policies();
        let at_once = |most| Policy {
            models: Budget { concurrent: Some(most), ..Budget::default() },
            ..Policy::default()
        };
        policies.put(PolicyScope::Host, at_once(9));
        policies.put(PolicyScope::Plugin(None, id("own")), at_once(1));
        let bounds = |owner: Option<&str>| -> Vec<_> {
            let found = policies.bounds(&tenant("acme"), owner.map(tenant).as_ref(), &id("own"));
            found.iter().map(|(_, it)| it.concurrent).collect()
        };
        assert_eq!(bounds(None), [Some(9), None, Some(1)]);
        assert_eq!(bounds(Some("acme")), [Some(9), None, None]);
    }

    #[test]
    fn limits_are_decided_one_by_one() {
        let limits = |limits: Limits| Policy { limits, ..Policy::default() };
        let acme = tenant("acme");
        let mut policies = Policies::default();
        let host = Limits { cpu_ms: Some(900), runs: Some(50), ..Limits::default() };
        policies.put(PolicyScope::Host, limits(host));
        let own = Limits { cpu_ms: Some(500), plugins: Some(2), ..Limits::default() };
        policies.put(PolicyScope::Tenant(acme.clone()), limits(own));
        let plugin = Limits { cpu_ms: Some(5), runs: Some(1), ..Limits::default() };
        policies.put(PolicyScope::Plugin(None, id("shared")), limits(plugin));

        let counts = policies.tenant_limits(&acme);
        assert_eq!((counts.cpu_ms, counts.runs, counts.plugins), (Some(500), Some(50), Some(2)));
        assert_eq!(counts.kv_bytes, Limits::SAFE.kv_bytes);
        assert_eq!(policies.tenant_limits(&tenant("else")).cpu_ms, Some(900));
        let shared = policies.plugin_limits(None, &acme, &id("shared"));
        assert_eq!((shared.cpu_ms, shared.runs), (Some(5), Some(1)));
        let own = policies.plugin_limits(Some(&acme), &acme, &id("shared"));
        assert_eq!((own.cpu_ms, own.runs), (Some(500), None));
    }

    #[test]
    fn what_is_laid_over_counts_scope_by_scope() {
        let mut over = Policies::default();
        over.put(PolicyScope::Host, allow(&[]));
        let all = policies().under(&over);
        assert!(all.allowed(None, &id("other")).is_empty());
        assert_eq!(all.allowed(Some(&tenant("acme")), &id("other")).len(), 1);
    }
}
