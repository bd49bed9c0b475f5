//! Sections of the settings file that lay over what counts without them, key by key.

use serde::Deserialize;
use stepmill_core::graph::GraphLimits;
use stepmill_sandbox::SandboxSettings;
use stepmill_store::SqliteSync;

use super::{AuditSettings, HttpSettings, Identity, OutboundSettings, RunSettings, Settings};

/// Declares a section whose keys, when present, replace fields of a settings struct.
macro_rules! overlay {
    ($(#[$doc:meta])* $name:ident over $target:ty { $($key:ident: $type:ty => $($field:ident).+),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Deserialize, Default)]
        #[serde(default, deny_unknown_fields)]
        pub(super) struct $name { $($key: Option<$type>),* }

        impl $name {
            pub(super) fn lay_over(self, target: &mut $target) {
                $(if let Some(it) = self.$key { target.$($field).+ = it.into(); })*
            }
        }
    };
}
pub(super) use overlay;

overlay! {
    /// `[limits]`: bounds of plugins.
    LimitsFile over SandboxSettings {
        component_bytes: usize => load.component_bytes,
        compile_timeout_ms: u64 => load.compile_timeout_ms,
        compile_cpu_ms: u64 => load.compile_cpu_ms,
        compile_memory_bytes: u64 => load.compile_memory_bytes,
        compile_workers: usize => load.compile_workers,
        compile_queue_ms: u64 => load.compile_queue_ms,
        scans: usize => load.scans,
        compiled_bytes: usize => load.compiled_bytes,
        cache_bytes: u64 => load.cache_bytes,
        cpu_ms: u64 => call.cpu_ms,
        quick_ms: u64 => call.quick_ms,
        deadline_ms: u64 => call.deadline_ms,
        queue_ms: u64 => call.queue_ms,
        memory_bytes: usize => call.memory_bytes,
        table_elements: usize => call.table_elements,
        stack_bytes: usize => call.stack_bytes,
        answer_bytes: usize => call.answer_bytes,
        nodes: usize => call.nodes,
        host_calls: u64 => call.host_calls,
        log_lines: u64 => call.log_lines,
        log_line_bytes: usize => call.log_line_bytes,
        progress_messages: u64 => call.progress_messages,
        progress_bytes: usize => call.progress_bytes,
        kv_key_bytes: usize => call.kv_key_bytes,
        kv_value_bytes: usize => call.kv_value_bytes,
        http_requests: u64 => call.http_requests,
        http_body_bytes: usize => call.http_body_bytes,
        database_statements: u64 => call.database_statements,
        concurrent_calls: u32 => pool.concurrent_calls,
        tenant_calls: u32 => pool.share_calls,
        slow_threads: usize => pool.slow_threads,
        kept_memory_bytes: usize => pool.kept_memory_bytes,
    }
}

overlay! {
    /// `[os]`: what the host calls itself.
    OsFile over Identity {
        id: String => id,
        name: String => name,
        description: String => description,
        version: String => version,
        available_models: Vec<String> => available_models,
    }
}

overlay! {
    /// `[database]`: what it is called, and how it is used.
    DatabaseFile over Settings {
        id: String => identity.database,
        connections: u32 => store.connections,
        acquire_timeout_ms: u64 => store.acquire_timeout_ms,
        statement_timeout_ms: u64 => store.statement_timeout_ms,
        ping_timeout_ms: u64 => store.ping_timeout_ms,
        takeover_wait_ms: u64 => store.takeover_wait_ms,
        sqlite_sync: Sync => store.sqlite_sync,
    }
}

/// [`SqliteSync`] as the file writes it.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Sync(SqliteSync);

impl TryFrom<String> for Sync {
    type Error = &'static str;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        match word.as_str() {
            "never" => Ok(Self(SqliteSync::Never)),
            "accepted" => Ok(Self(SqliteSync::Accepted)),
            "always" => Ok(Self(SqliteSync::Always)),
            _ => Err("one of never, accepted, always"),
        }
    }
}

impl From<Sync> for SqliteSync {
    fn from(sync: Sync) -> Self {
        sync.0
    }
}

overlay! {
    /// `[graph]`: bounds of graphs.
    GraphFile over GraphLimits {
        nodes: usize => nodes,
        depth: usize => depth,
        name_bytes: usize => name_bytes,
        description_bytes: usize => description_bytes,
        text_bytes: usize => text_bytes,
    }
}

overlay! {
    /// `[http]`: the door.
    HttpFile over HttpSettings {
        form_bytes: usize => form_bytes,
        field_bytes: usize => field_bytes,
        uploads: usize => uploads,
        large_lists: usize => large_lists,
        body_timeout_ms: u64 => body_timeout_ms,
        plugin_headers: Vec<String> => plugin_headers,
        cors_origins: Vec<String> => cors_origins,
        docs: bool => docs,
        connections: usize => connections,
        write_timeout_ms: u64 => write_timeout_ms,
        keep_alive_ms: u64 => keep_alive_ms,
        drain_timeout_ms: u64 => drain_timeout_ms,
    }
}

overlay! {
    /// `[outbound]`: requests of plugins.
    OutboundFile over OutboundSettings {
        allow_http: bool => allow_http,
        allow_private: bool => allow_private,
        timeout_ms: u64 => timeout_ms,
        body_bytes: usize => body_bytes,
        concurrent: usize => concurrent,
    }
}

overlay! {
    /// `[audit]`.
    AuditFile over AuditSettings {
        keep_days: u32 => keep_days,
    }
}

overlay! {
    /// `[runs]`.
    RunsFile over RunSettings {
        concurrent: usize => concurrent,
        tenant_concurrent: usize => tenant_concurrent,
        list: u32 => list,
        state_bytes: usize => state_bytes,
        budget_wait_ms: u64 => budget_wait_ms,
    }
}
