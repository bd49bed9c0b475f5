//! The settings file: TOML, every key optional, unknown keys refused.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::Deserialize;
use stepmill_core::graph::GraphLimits;
use stepmill_sandbox::SandboxSettings;
use stepmill_store::StoreSettings;

use super::auth::AuthFile;
use super::budget::prices;
use super::databases::DatabasesFile;
use super::environment::Environment;
use super::fault::{SettingsFault, value};
use super::models::models_of_environment;
use super::policy::PolicyFile;
use super::providers::{ModelsFile, models};
use super::secrets::SecretsFile;
use super::sections::{
    AuditFile, DatabaseFile, GraphFile, HttpFile, LimitsFile, OsFile, OutboundFile, RunsFile,
};
use super::{AuditSettings, HttpSettings, Identity, OutboundSettings, RunSettings, Settings};

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
