//! Policies as operators write them: `[policy]` of the settings file, and bodies of the API.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stepmill_core::capability::Capability;
use stepmill_core::ids::{IdFault, TenantId, WorkflowId};
use stepmill_core::json::merge_patch;
use stepmill_core::policy::{Policies, Policy, PolicyScope};

use super::budget::{BudgetForm, with_keys};
use super::limits::LimitsForm;

/// The most capabilities of one policy: more than anybody reads.
const ALLOW: usize = 256;

/// The most bytes of one plugin's configuration, keys and values together.
const CONFIG_BYTES: usize = 256 * 1024;

/// What a policy says that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {rule}")]
pub struct PolicyFault {
    /// The key.
    pub place: String,
    /// What it has to be.
    pub rule: String,
}

pub(super) fn fault(place: impl Into<String>, rule: impl ToString) -> PolicyFault {
    PolicyFault { place: place.into(), rule: rule.to_string() }
}

/// A capability: `clock`, `randomness`, `config`, `kv`, `model:PATTERN`, `http:HOST`.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = "capability")]
#[expect(dead_code, reason = "the document's word for a text of a certain form")]
struct CapabilityWord(String);

/// What is said of one scope, as it is written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyForm {
    /// What plugins may do if they ask: `clock`, `randomness`, `config`, `kv`, `model:PATTERN`,
    /// `http:HOST`, `secret:NAME`. Absent: what the next wider scope says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<CapabilityWord>>, max_items = 256)]
    pub allow: Option<Vec<String>>,
    /// What a plugin's `config.get` answers. Of a plugin only.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
    /// How much models may be asked for. Of a tenant: by all its runs; of a shared plugin or a
    /// declared workflow: by the runs of all tenants together. Wider scopes bound as well.
    #[serde(skip_serializing_if = "BudgetForm::is_empty", deserialize_with = "with_keys")]
    pub models: BudgetForm,
    /// How much there may be of what. Each that is absent is as the next wider scope says; none is
    /// above what the host allows anybody.
    #[serde(skip_serializing_if = "LimitsForm::says_nothing", deserialize_with = "with_keys")]
    #[schema(inline)]
    pub limits: LimitsForm,
}

impl PolicyForm {
    /// Checks what is said.
    ///
    /// # Errors
    /// The first thing that cannot be, with its key.
    pub fn policy(&self, scope: &PolicyScope) -> Result<Policy, PolicyFault> {
        let allow = self.allow.as_deref().map(capabilities).transpose()?;
        if !self.config.is_empty() && !matches!(scope, PolicyScope::Plugin(..)) {
            return Err(fault("config", "is only said of a plugin"));
        }
        let bytes: usize = self.config.iter().map(|(key, value)| key.len() + value.len()).sum();
        if CONFIG_BYTES < bytes {
            return Err(fault(
                "config",
                format_args!("must not have more than {CONFIG_BYTES} bytes"),
            ));
        }
        if let (PolicyScope::Plugin(..), Some(name)) = (scope, self.limits.of_tenants()) {
            return Err(fault(format!("limits.{name}"), "is only said of a tenant or the host"));
        }
        let models = self.models.budget()?;
        let limits = self.limits.limits();
        Ok(Policy { allow, config: Arc::new(self.config.clone()), models, limits })
    }

    /// What is said after a merge patch.
    ///
    /// # Errors
    /// A field is unknown or has another type.
    pub fn patched(&self, patch: Map<String, Value>) -> Result<Self, serde_json::Error> {
        // Merging forgets each `null`, and with it a name that is none.
        PolicyPatch::deserialize(&patch)?;
        let mut form = serde_json::to_value(self)?;
        if let Value::Object(fields) = &mut form {
            merge_patch(fields, patch);
        }
        serde_json::from_value(form)
    }

    /// What would be written to say the same.
    pub fn of(policy: &Policy) -> Self {
        let word = |it: &Vec<Capability>| it.iter().map(ToString::to_string).collect();
        Self {
            allow: policy.allow.as_ref().map(word),
            config: (*policy.config).clone(),
            models: BudgetForm::of(&policy.models),
            limits: LimitsForm::of(&policy.limits),
        }
    }
}

/// What is changed of a policy: what is absent stays, `null` takes back what was said.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "says which names a merge patch may have, and of which types")]
pub struct PolicyPatch {
    /// All that plugins may do if they ask: a list is replaced as a whole.
    #[schema(value_type = Option<Vec<CapabilityWord>>, max_items = 256)]
    allow: Option<Vec<String>>,
    /// Of what a plugin's `config.get` answers, key by key. Of a plugin only.
    config: Option<BTreeMap<String, Option<String>>>,
    /// Of how much models may be asked for, bound by bound.
    models: Option<BudgetForm>,
    /// Of how much there may be of what, limit by limit.
    #[schema(inline)]
    limits: Option<LimitsForm>,
}

fn capabilities(words: &[String]) -> Result<Vec<Capability>, PolicyFault> {
    if ALLOW < words.len() {
        return Err(fault("allow", format_args!("must not have more than {ALLOW} entries")));
    }
    let read = |it: &String| Capability::parse(it).map_err(|rule| fault("allow", rule));
    words.iter().map(read).collect()
}

/// `[policy]`
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PolicyFile {
    allow: Option<Vec<String>>,
    models: BudgetForm,
    limits: LimitsForm,
    tenants: BTreeMap<String, PolicyForm>,
    plugins: BTreeMap<String, PolicyForm>,
}

impl PolicyFile {
    pub(super) fn policies(self) -> Result<Policies, PolicyFault> {
        // A plugin's own configuration and data harm nobody, and a factory without models makes
        // little. Time, chance and the network are given.
        let harmless = || ["config", "kv", "model:*"].map(String::from).into();
        let host = PolicyForm {
            allow: Some(self.allow.unwrap_or_else(harmless)),
            models: self.models,
            limits: self.limits,
            ..Default::default()
        };
        let mut policies = Policies::default();
        let mut put = |place: String, scope: Result<PolicyScope, IdFault>, form: PolicyForm| {
            let scope = scope.map_err(|rule| fault(&place, rule))?;
            let policy = form.policy(&scope);
            let policy = policy.map_err(|it| fault(format!("{place}.{}", it.place), it.rule))?;
            policies.put(scope, policy);
            Ok(())
        };
        put("policy".to_owned(), Ok(PolicyScope::Host), host)?;
        for (tenant, form) in self.tenants {
            let scope = TenantId::new(&tenant).map(PolicyScope::Tenant);
            put(format!("policy.tenants.{tenant}"), scope, form)?;
        }
        for (plugin, form) in self.plugins {
            put(format!("policy.plugins.{plugin}"), plugin_scope(&plugin), form)?;
        }
        Ok(policies)
    }
}

/// `TENANT/ID`, or `ID` for a plugin that the operator shares. An id has no `/`.
fn plugin_scope(text: &str) -> Result<PolicyScope, IdFault> {
    let (tenant, id) = match text.rsplit_once('/') {
        Some((tenant, id)) => (Some(TenantId::new(tenant)?), id),
        None => (None, text),
    };
    Ok(PolicyScope::Plugin(tenant, WorkflowId::new(id)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Policies, String> {
        let file: PolicyFile = toml::from_str(text).map_err(|it| it.message().to_owned())?;
        file.policies().map_err(|it| it.to_string())
    }

    fn id(text: &str) -> WorkflowId {
        WorkflowId::new(text).unwrap()
    }

    #[test]
    fn a_tenant_may_have_a_slash_and_a_shared_plugin_has_no_tenant() {
        let text = "[plugins.\"eu/acme/p\"]\nallow = []\n[plugins.q]\nallow = [\"clock\"]";
        let policies = read(text).unwrap();
        let acme = TenantId::new("eu/acme").unwrap();
        assert!(policies.allowed(Some(&acme), &id("p")).is_empty());
        assert_eq!(policies.allowed(None, &id("q")), [Capability::Clock]);
        assert_eq!(policies.allowed(Some(&acme), &id("q")).len(), 3);
    }

    #[test]
    fn a_fault_names_its_place() {
        for (text, expected) in [
            ("allow = [\"all\"]", "policy.allow: each is one of clock, randomness"),
            ("[tenants.acme]\nconfig = { a = \"b\" }", "policy.tenants.acme.config: is only said"),
            ("[tenants.\"\"]\nallow = []", "policy.tenants.: must not be empty"),
            ("[plugins.\"a b\"]\nallow = []", "policy.plugins.a b: must not contain ' '"),
            ("[plugins.p]\nallow = [\"http:a:1\"]", "policy.plugins.p.allow: `a:1` is no place"),
            ("[plugins.p]\nmay = []", "unknown field `may`"),
            ("models = { tokens = 1 }", "unknown field `tokens`"),
            (
                "[tenants.acme.models]\nconcurrent = 0",
                "policy.tenants.acme.models.concurrent: must",
            ),
            ("[models]\ncost_per_day = \"1 €\"", "policy.models.cost_per_day: is a number such as"),
            ("[limits]\ncpu = 1", "unknown field `cpu`"),
            (
                "[plugins.p.limits]\nkv_bytes = 1",
                "policy.plugins.p.limits.kv_bytes: is only said of",
            ),
        ] {
            let said = read(text).expect_err("the policy is bad");
            assert!(said.starts_with(expected), "{said}");
        }
    }

    #[test]
    fn a_patch_takes_back_what_it_names_and_nothing_it_cannot_name() {
        let limits = LimitsForm { cpu_ms: Some(5), runs: Some(1), ..LimitsForm::default() };
        let form = PolicyForm { allow: Some(Vec::new()), limits, ..PolicyForm::default() };
        let patched = |patch: Value| form.patched(patch.as_object().unwrap().clone());
        let after = patched(serde_json::json!({"allow": null, "limits": {"runs": null}})).unwrap();
        assert_eq!((after.allow, after.limits.cpu_ms, after.limits.runs), (None, Some(5), None));
        for patch in [
            serde_json::json!({"alow": null}),
            serde_json::json!({"limits": {"run": null}}),
            serde_json::json!({"models": {"": null}}),
        ] {
            patched(patch).expect_err("nothing has this name");
        }
    }

    #[test]
    fn a_policy_is_written_as_it_is_read() {
        let form = PolicyForm {
            allow: Some(vec!["kv".into(), "http:GET a.test/v1/*".into()]),
            config: [("k".to_owned(), "v".to_owned())].into(),
            models: BudgetForm {
                tokens_per_day: Some(9),
                cost_per_day: Some("1.5".into()),
                ..BudgetForm::default()
            },
            limits: LimitsForm { cpu_ms: Some(5), runs: Some(1), ..LimitsForm::default() },
        };
        let scope = PolicyScope::Plugin(None, id("p"));
        assert_eq!(PolicyForm::of(&form.policy(&scope).unwrap()), form);
    }
}
