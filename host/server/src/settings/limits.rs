//! Limits as operators write them, in a policy.

use serde::{Deserialize, Serialize};
use stepmill_core::limits::Limits;

/// Declares what is written, and turns it into what it means and back.
macro_rules! limits_form {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// How much there may be of what.
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema,
        )]
        #[serde(default, deny_unknown_fields)]
        pub struct LimitsForm {
            $(
                $(#[$doc])*
                #[serde(skip_serializing_if = "Option::is_none")]

                pub $name: Option<u64>,
            )*
        }

        impl LimitsForm {
            /// What it means.
            pub fn limits(&self) -> Limits {
                Limits { $($name: self.$name,)* }
            }

            /// What would be written to say the same.
            pub fn of(limits: &Limits) -> Self {
                Self { $($name: limits.$name,)* }
            }
        }
    };
}

limits_form! {
    /// Of one call: time on the processor, in milliseconds.
    cpu_ms,
    /// Of one call: all its memory.
    memory_bytes,
    /// Of one call: calls of `log`, `config`, `kv` and `http`.
    host_calls,
    /// Of one call: lines in the operator's log; more are dropped.
    log_lines,
    /// Of one call: what it hands over in one answer.
    answer_bytes,
    /// Of one graph.
    nodes,
    /// Calls of a tenant's plugins at once.
    calls,
    /// Runs under way at once: of a tenant, or of one plugin in a tenant.
    runs,
    /// Plugins that a tenant has.
    plugins,
    /// The code of those, together.
    plugin_bytes,
    /// What a tenant's plugins keep with `kv`.
    kv_bytes,
    /// Lines of a tenant's plugins in the operator's log; more are dropped.
    log_lines_per_minute,
    /// Requests of a tenant.
    requests_per_minute,
}

impl LimitsForm {
    pub(super) fn says_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// The first limit in here that is none of a single plugin.
    pub(super) fn of_tenants(&self) -> Option<&'static str> {
        let said = [
            ("calls", self.calls),
            ("plugins", self.plugins),
            ("plugin_bytes", self.plugin_bytes),
            ("kv_bytes", self.kv_bytes),
            ("log_lines_per_minute", self.log_lines_per_minute),
            ("requests_per_minute", self.requests_per_minute),
        ];
        said.into_iter().find(|(_, limit)| limit.is_some()).map(|(name, _)| name)
    }
}
