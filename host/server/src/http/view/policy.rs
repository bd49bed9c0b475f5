//! Policies as the operator sees them. Absent fields are left out.

use serde::Serialize;
use stepmill_core::policy::PolicyScope;
use utoipa::ToSchema;

use super::list::iso;
use crate::app::PolicyView;
use crate::settings::PolicyForm;

/// What is said of one scope.
#[derive(Serialize, ToSchema)]
pub(crate) struct PolicyBody<'a> {
    /// Whose; absent: of the host, or of a shared plugin.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    /// Of which plugin.
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin: Option<&'a str>,
    /// Where it is said: `file` or `api`.
    source: &'static str,
    /// What is said.
    policy: PolicyForm,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_by: Option<&'a str>,
}

impl<'a> PolicyBody<'a> {
    pub(crate) fn of(view: &'a PolicyView) -> Self {
        let (tenant, plugin) = match &view.scope {
            PolicyScope::Host => (None, None),
            PolicyScope::Tenant(tenant) => (Some(tenant.as_str()), None),
            PolicyScope::Plugin(tenant, plugin) => {
                (tenant.as_ref().map(|it| it.as_str()), Some(plugin.as_str()))
            }
        };
        let said = view.said.as_ref();
        Self {
            tenant,
            plugin,
            source: if said.is_some() { "api" } else { "file" },
            policy: PolicyForm::of(&view.policy),
            updated_at: said.map(|it| iso(it.updated_at)),
            updated_by: said.and_then(|it| it.updated_by.as_ref()).map(|it| it.as_str()),
        }
    }
}
