//! The settings file: TOML, every key optional, unknown keys refused.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::Deserialize;
use stepmill_core::graph::GraphLimits;
use stepmill_models::{ModelSettings, ProviderSettings, Route, Wire};
use stepmill_sandbox::SandboxSettings;
use stepmill_store::{SqliteSync, StoreSettings};

use super::auth::AuthFile;
use super::budget::{PriceFile, prices};
use super::databases::DatabasesFile;
use super::environment::Environment;
use super::models::models_of_environment;
use super::policy::PolicyFile;
use super::secrets::SecretsFile;
use super::{AuditSettings, HttpSettings, Identity, OutboundSettings, RunSettings, Settings};

/// What is wrong with the settings. No text repeats a secret.
#[derive(Debug, thiserror::Error)]
pub enum SettingsFault {
    /// The file is not there or not readable.
    #[error("{} cannot be read", file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what this host understands.
    #[error("{}: {message}", file.display())]
    Malformed {
        /// Which.
        file: PathBuf,
        /// Line, column and rule.
        message: String,
    },
    /// A value that has the right type and is wrong all the same.
    #[error("{place}: {rule}")]
    Value {
        /// The key.
        place: String,
        /// What it has to be.
        rule: String,
    },
}

pub(super) fn value(place: impl Into<String>, rule: impl Into<String>) -> SettingsFault {
    SettingsFault::Value { place: place.into(), rule: rule.into() }
}

/// Declares a section whose keys, when present, replace fields of a settings struct.
macro_rules! overlay {
    ($(#[$doc:meta])* $name:ident over $target:ty { $($key:ident: $type:ty => $($field:ident).+),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Deserialize, Default)]
        #[serde(default, deny_unknown_fields)]
        struct $name { $($key: Option<$type>),* }

        impl $name {
            fn lay_over(self, target: &mut $target) {
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

overlay! {
    /// Bounds of one provider's calls.
    CallLimitsFile over ProviderSettings {
        connect_timeout_ms: u64 => limits.connect_timeout_ms,
        idle_timeout_ms: u64 => limits.idle_timeout_ms,
        total_timeout_ms: u64 => limits.total_timeout_ms,
        body_bytes: usize => limits.body_bytes,
        retries: u32 => limits.retries,
        default_output_tokens: u32 => limits.default_output_tokens,
    }
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct File {
    listen: Option<SocketAddr>,
    data_dir: Option<PathBuf>,
    database_url: Option<SecretString>,
    os: OsFile,
    database: DatabaseFile,
    auth: AuthFile,
    models: Option<ModelsFile>,
    databases: DatabasesFile,
    policy: PolicyFile,
    secrets: SecretsFile,
    limits: LimitsFile,
    graph: GraphFile,
    http: HttpFile,
    outbound: OutboundFile,
    runs: RunsFile,
    audit: AuditFile,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelsFile {
    default_provider: Option<String>,
    #[serde(default)]
    routes: Vec<RouteFile>,
    #[serde(default)]
    providers: BTreeMap<String, ProviderFile>,
    #[serde(default)]
    prices: BTreeMap<String, PriceFile>,
}

impl ModelsFile {
    /// Whether nothing is said but what models cost: the environment says who answers then.
    fn is_priced_only(&self) -> bool {
        let is_silent = self.default_provider.is_none() && self.routes.is_empty();
        is_silent && self.providers.is_empty() && !self.prices.is_empty()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteFile {
    pattern: String,
    provider: String,
    model: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderFile {
    wire: String,
    base_url: Option<String>,
    key_file: Option<PathBuf>,
    key_env: Option<String>,
    vendor: Option<String>,
    #[serde(default)]
    limits: CallLimitsFile,
}

/// What flags and environment variables say; it outweighs the file.
#[derive(Default)]
pub struct Overrides {
    /// `--listen`
    pub listen: Option<SocketAddr>,
    /// `--data-dir`
    pub data_dir: Option<PathBuf>,
    /// `--database-url`
    pub database_url: Option<SecretString>,
}

/// Reads a settings file and lays flags over it. Without a file, the defaults count.
///
/// # Errors
/// The file is unreadable, malformed, or says something that cannot be.
pub fn read(
    path: Option<&Path>,
    overrides: Overrides,
    environment: &Environment,
) -> Result<Settings, SettingsFault> {
    let file = match path {
        None => File::default(),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|source| SettingsFault::Unreadable { file: path.to_owned(), source })?;
            toml::from_str(&text).map_err(|fault| malformed(path, &text, &fault))?
        }
    };
    settings(file, overrides, environment)
}

/// Names line, column and rule. The line itself may hold a secret, so it is not repeated.
fn malformed(path: &Path, text: &str, fault: &toml::de::Error) -> SettingsFault {
    let before = fault.span().and_then(|it| text.get(..it.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|it| *it != '\n').count() + 1;
    let message = format!("line {line}, column {column}: {}", fault.message());
    SettingsFault::Malformed { file: path.to_owned(), message }
}

fn settings(
    mut file: File,
    over: Overrides,
    environment: &Environment,
) -> Result<Settings, SettingsFault> {
    let data_dir = over.data_dir.or(file.data_dir).unwrap_or_else(|| "stepmill-data".into());
    let default_url = || format!("sqlite://{}", data_dir.join("stepmill.sqlite").display()).into();
    let is_priced_only = file.models.as_ref().is_some_and(ModelsFile::is_priced_only);
    let table = file.models.as_mut().map(|it| std::mem::take(&mut it.prices)).unwrap_or_default();
    let mut settings = Settings {
        listen: over.listen.or(file.listen).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 7777))),
        identity: Identity::default(),
        database_url: over.database_url.or(file.database_url).unwrap_or_else(default_url),
        store: StoreSettings::default(),
        auth: file.auth.settings(environment)?,
        models: match file.models {
            Some(models) if !is_priced_only => self::models(models, environment)?,
            _ => models_of_environment(environment),
        },
        prices: prices(table)?,
        databases: file.databases.settings(environment)?,
        sandbox: SandboxSettings {
            cache_dir: Some(data_dir.join("compiled")),
            ..Default::default()
        },
        secrets: file.secrets.settings(&data_dir, environment)?,
        data_dir,
        graph: GraphLimits::default(),
        policies: file.policy.policies().map_err(|it| value(it.place, it.rule))?,
        http: HttpSettings::default(),
        outbound: OutboundSettings::default(),
        runs: RunSettings::default(),
        audit: AuditSettings::default(),
        declared: Vec::new(),
    };
    file.os.lay_over(&mut settings.identity);
    file.database.lay_over(&mut settings);
    if let Some(key) = settings.identity.empty_key() {
        return Err(value(key, "must not be empty"));
    }
    file.limits.lay_over(&mut settings.sandbox);
    file.graph.lay_over(&mut settings.graph);
    file.http.lay_over(&mut settings.http);
    file.outbound.lay_over(&mut settings.outbound);
    file.runs.lay_over(&mut settings.runs);
    file.audit.lay_over(&mut settings.audit);
    settings.http.plugin_headers.iter_mut().for_each(|it| it.make_ascii_lowercase());
    for secret in ["authorization", "cookie", "proxy-authorization"] {
        if settings.http.plugin_headers.iter().any(|it| it == secret) {
            return Err(value("http.plugin_headers", format!("`{secret}` is not for plugins")));
        }
    }
    if !settings.http.cors_origins.iter().all(|it| is_origin(it)) {
        return Err(value("http.cors_origins", "each is an origin such as `https://example.com`"));
    }
    Ok(settings)
}

/// As browsers write origins. `*` is none: pages of whoever it may be are not invited.
fn is_origin(text: &str) -> bool {
    let is_plain =
        |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || b".-:[]_".contains(&it);
    text.split_once("://").is_some_and(|(scheme, authority)| {
        !scheme.is_empty() && !authority.is_empty() && authority.bytes().all(is_plain)
    })
}

/// A file that the settings name.
pub(super) fn read_text(file: PathBuf) -> Result<String, SettingsFault> {
    std::fs::read_to_string(&file).map_err(|source| SettingsFault::Unreadable { file, source })
}

pub(super) fn secret(
    place: &str,
    key_file: Option<PathBuf>,
    key_env: Option<String>,
    environment: &Environment,
) -> Result<Option<SecretString>, SettingsFault> {
    match (key_file, key_env) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(value(place, "give `key_file` or `key_env`, not both")),
        (Some(path), None) => Ok(Some(read_text(path)?.trim().into())),
        (None, Some(name)) => match environment.get(&name) {
            Some(key) => Ok(Some(key.clone())),
            None => {
                Err(value(format!("{place}.key_env"), format!("the variable `{name}` is not set")))
            }
        },
    }
}

fn models(file: ModelsFile, environment: &Environment) -> Result<ModelSettings, SettingsFault> {
    let mut providers = BTreeMap::new();
    for (name, file) in file.providers {
        let place = format!("models.providers.{name}");
        let wire = match file.wire.as_str() {
            "openai-responses" => Wire::OpenAiResponses,
            "openai-chat" => Wire::OpenAiChat,
            "anthropic" => Wire::Anthropic,
            "gemini" => Wire::Gemini,
            "ollama" => Wire::Ollama,
            "demo" => Wire::Demo,
            _ => {
                let rule = "one of openai-responses, openai-chat, anthropic, gemini, ollama, demo";
                return Err(value(format!("{place}.wire"), rule));
            }
        };
        let mut provider = ProviderSettings::new(wire);
        provider.base_url = file.base_url;
        provider.key = secret(&place, file.key_file, file.key_env, environment)?;
        provider.vendor = file.vendor;
        file.limits.lay_over(&mut provider);
        providers.insert(name, provider);
    }
    let route =
        |it: RouteFile| Route { pattern: it.pattern, provider: it.provider, model: it.model };
    let routes = file.routes.into_iter().map(route).collect();
    Ok(ModelSettings { providers, routes, default_provider: file.default_provider })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn read_toml(text: &str, vars: &[(&str, &str)]) -> Result<Settings, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.toml");
        std::fs::write(&path, text).unwrap();
        let vars = vars.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        read(Some(&path), Overrides::default(), &Environment::of(vars))
            .map_err(|it| it.to_string().replace(&format!("{}/", folder.path().display()), ""))
    }

    fn fault(text: &str) -> String {
        read_toml(text, &[]).err().expect("the settings are bad")
    }

    #[test]
    fn without_a_file_the_host_is_local_and_keeps_its_database_in_its_folder() {
        let settings = read(None, Overrides::default(), &Environment::default()).unwrap();
        assert!(settings.listen.ip().is_loopback());
        assert_eq!(settings.database_url.expose_secret(), "sqlite://stepmill-data/stepmill.sqlite");
        assert!(settings.auth.mode.is_none());
    }

    #[test]
    fn the_example_in_the_guide_is_understood() {
        let example = include_str!("../../stepmill.example.toml");
        let key = "k".repeat(32);
        let vars = [
            ("JWT_VERIFICATION_KEY", key.as_str()),
            ("OPENAI_API_KEY", "k"),
            ("ORDERS_DATABASE_URL", "postgres://orders_guest@localhost/shop"),
            ("ORDERS_TENANT_KEY", &key),
        ];
        let settings = read_toml(example, &vars);
        assert!(settings.is_ok(), "{:?}", settings.err());
    }

    #[test]
    fn flags_outweigh_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.toml");
        std::fs::write(&path, "listen = \"127.0.0.1:1\"\n[limits]\ncpu_ms = 7").unwrap();
        let over =
            Overrides { listen: Some(SocketAddr::from(([127, 0, 0, 1], 2))), ..Default::default() };
        let settings = read(Some(&path), over, &Environment::default()).unwrap();
        assert_eq!(settings.listen.port(), 2);
        assert_eq!(settings.sandbox.call.cpu_ms, 7);
    }

    #[test]
    fn prices_alone_leave_the_providers_to_the_environment() {
        let vars = [("OPENAI_API_KEY", "k")];
        let prices = "[models.prices]\n\"*\" = { input = 1, output = 2 }";
        let providers = |text: &str| read_toml(text, &vars).unwrap().models.providers.len();
        assert_eq!(providers(prices), providers(""));
        assert_eq!(providers("[models]"), 0);
    }

    #[test]
    fn a_fault_names_its_place_and_no_secret() {
        assert_eq!(
            fault("listen = \"127.0.0.1:1\"\ndatabase_url = 5 # hunter2"),
            "s.toml: line 2, column 16: invalid type: integer `5`, expected a string"
        );
        assert!(fault("[limits]\ncpu = 1").contains("unknown field `cpu`"));
        assert_eq!(
            fault("[auth.jwt]\nalgorithm = \"none\""),
            "auth.jwt.algorithm: one of HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA"
        );
        assert_eq!(
            fault("[auth.jwt]\nalgorithm = \"HS256\""),
            "auth.jwt.key_env: the variable `JWT_VERIFICATION_KEY` is not set"
        );
        let short =
            read_toml("[auth.jwt]\nalgorithm = \"HS256\"", &[("JWT_VERIFICATION_KEY", "hunter2")]);
        assert_eq!(short.err().unwrap(), "auth.jwt: an HS256 key has at least 32 bytes");
        assert_eq!(
            fault("[databases.orders]\nurl_env = \"ORDERS\""),
            "databases.orders.url_env: the variable `ORDERS` is not set"
        );
        assert_eq!(
            fault("[databases.orders]\nshared = true"),
            "databases.orders: one of `url`, `url_env`, `url_file` is required"
        );
        assert_eq!(
            fault("[databases.Orders]\nurl = \"sqlite:a\""),
            "databases.Orders: the name must not contain 'O'"
        );
        assert!(
            fault("[databases.orders]\nurl = \"hunter2\"\nrow = 1").contains("unknown field `row`")
        );
        for bad in ["*", "https://a.example/", "https://A.example", "null"] {
            let text = fault(&format!("[http]\ncors_origins = [\"{bad}\"]"));
            assert!(text.starts_with("http.cors_origins: each is"), "{text}");
        }
        assert_eq!(fault("[database]\nid = \" \""), "database.id: must not be empty");
        assert!(fault("[policy]\nallow = [\"all\"]").starts_with("policy.allow: each is one of"));
        assert!(
            fault("[http]\nplugin_headers = [\"Cookie\"]").contains("`cookie` is not for plugins")
        );
    }
}
