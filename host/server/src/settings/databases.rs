//! `[databases]`: the databases of the operator's applications that plugins may ask.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;
use stepmill_core::ids::DatabaseName;
use stepmill_databases::DatabaseSettings;

use super::environment::Environment;
use super::fault::{SettingsFault, read_text, value};
use super::sections::overlay;

overlay! {
    /// One `[databases.NAME]`.
    OneFile over One {
        url: SecretString => url.said,
        url_env: String => url.env,
        url_file: PathBuf => url.file,
        tenant_key_env: String => tenant_key.env,
        tenant_key_file: PathBuf => tenant_key.file,
        shared: bool => settings.shared,
        common: BTreeSet<String> => settings.common,
        connections: u32 => settings.connections,
        acquire_timeout_ms: u64 => settings.acquire_timeout_ms,
        statement_timeout_ms: u64 => settings.statement_timeout_ms,
        rows: usize => settings.rows,
        bytes: usize => settings.bytes,
        file_bytes: u64 => settings.file_bytes,
    }
}

pub(super) struct One {
    url: Place,
    tenant_key: Place,
    settings: DatabaseSettings,
}

/// Where a secret is said.
#[derive(Default)]
struct Place {
    said: Option<SecretString>,
    env: Option<String>,
    file: Option<PathBuf>,
}

/// All of them, by their names.
#[derive(Deserialize, Default)]
pub(super) struct DatabasesFile(BTreeMap<String, OneFile>);

impl DatabasesFile {
    pub(super) fn settings(
        self,
        environment: &Environment,
    ) -> Result<BTreeMap<DatabaseName, DatabaseSettings>, SettingsFault> {
        self.0.into_iter().map(|(name, file)| one(name, file, environment)).collect()
    }
}

fn one(
    name: String,
    file: OneFile,
    environment: &Environment,
) -> Result<(DatabaseName, DatabaseSettings), SettingsFault> {
    let place = format!("databases.{name}");
    let name = DatabaseName::new(name).map_err(|it| value(&place, format!("the name {it}")))?;
    let settings = DatabaseSettings::new(SecretString::default());
    let mut one = One { url: Place::default(), tenant_key: Place::default(), settings };
    file.lay_over(&mut one);
    let mut settings = one.settings;
    settings.tenant_key = one.tenant_key.secret(&place, "tenant_key", environment)?;
    settings.url = one
        .url
        .secret(&place, "url", environment)?
        .ok_or_else(|| value(&place, "one of `url`, `url_env`, `url_file` is required"))?;
    Ok((name, settings))
}

impl Place {
    fn secret(
        self,
        place: &str,
        key: &str,
        environment: &Environment,
    ) -> Result<Option<SecretString>, SettingsFault> {
        match (self.said, self.env, self.file) {
            (said, None, None) => Ok(said),
            (None, None, Some(file)) => Ok(Some(read_text(file)?.trim().into())),
            (None, Some(name), None) => match environment.get(&name) {
                Some(secret) => Ok(Some(secret.clone())),
                None => {
                    let rule = format!("the variable `{name}` is not set");
                    Err(value(format!("{place}.{key}_env"), rule))
                }
            },
            _ => Err(value(place, format!("says its {key} in more than one way"))),
        }
    }
}
