//! A tenant's limits and use as its people see them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::app::TenantUse;
use crate::settings::LimitsForm;

/// What a tenant may use, and what it uses now.
#[derive(Serialize, ToSchema)]
pub(crate) struct TenantUseBody<'a> {
    /// Whose.
    tenant: &'a str,
    /// What there may be at most; what is absent has no limit of its own.
    #[schema(inline)]
    limits: LimitsForm,
    /// What there is.
    used: Used,
}

/// What there is now.
#[derive(Serialize, ToSchema)]
struct Used {
    /// Runs under way.
    runs: usize,
    /// Calls of the tenant's plugins under way.
    calls: usize,
    /// Plugins of the tenant.
    plugins: u64,
    /// Their code, together.
    plugin_bytes: u64,
    /// What they keep with `kv`: keys, values, and a little for each.
    kv_bytes: u64,
}

impl<'a> TenantUseBody<'a> {
    pub(crate) fn of(found: &'a TenantUse) -> Self {
        Self {
            tenant: found.tenant.as_str(),
            limits: LimitsForm::of(&found.limits),
            used: Used {
                runs: found.runs,
                calls: found.calls,
                plugins: found.shelved.plugins,
                plugin_bytes: found.shelved.bytes,
                kv_bytes: found.kv_bytes,
            },
        }
    }
}
