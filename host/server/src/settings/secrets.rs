//! `[secrets]`: the keys that seal them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::environment::Environment;
use super::fault::{SettingsFault, secret, value};
use crate::app::{KeySource, MasterKey};

/// Where the keys are that seal secrets.
#[derive(Clone)]
pub struct SecretsSettings {
    /// The key that seals.
    pub key: KeySource,
    /// Keys that sealed before: what they sealed is sealed anew at the start.
    pub old_keys: Vec<Arc<MasterKey>>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SecretsFile {
    key_file: Option<PathBuf>,
    key_env: Option<String>,
    old_keys: Vec<KeyFile>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct KeyFile {
    key_file: Option<PathBuf>,
    key_env: Option<String>,
}

impl SecretsFile {
    pub(super) fn settings(
        self,
        data_dir: &Path,
        environment: &Environment,
    ) -> Result<SecretsSettings, SettingsFault> {
        let (place, old) = ("secrets", "secrets.old_keys");
        let given = KeyFile { key_file: self.key_file, key_env: self.key_env };
        let key = match given.key(place, environment)? {
            Some(key) => KeySource::Given(key),
            None => KeySource::File(data_dir.join("secrets.key")),
        };
        let missing = || value(old, "`key_file` or `key_env` is required");
        let old_key = |it: KeyFile| it.key(old, environment)?.ok_or_else(missing);
        let old_keys = self.old_keys.into_iter().map(old_key).collect::<Result<_, _>>()?;
        Ok(SecretsSettings { key, old_keys })
    }
}

impl KeyFile {
    fn key(
        self,
        place: &str,
        environment: &Environment,
    ) -> Result<Option<Arc<MasterKey>>, SettingsFault> {
        let Some(text) = secret(place, self.key_file, self.key_env, environment)? else {
            return Ok(None);
        };
        let key = MasterKey::read(&text);
        let rule = "a key is 32 bytes in base64 or hex; make it with `openssl rand -hex 32`";
        key.map(|it| Some(Arc::new(it))).ok_or_else(|| value(place, rule))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<SecretsSettings, String> {
        let file: SecretsFile = toml::from_str(text).unwrap();
        let vars = [("KEY", "ab".repeat(32)), ("OLD", "hunter2".to_owned())];
        let vars = vars.map(|(name, value)| (name.to_owned(), value));
        file.settings(Path::new("data"), &Environment::of(vars)).map_err(|it| it.to_string())
    }

    #[test]
    fn without_a_key_it_is_made_in_the_data_folder() {
        let KeySource::File(file) = read("").unwrap().key else { panic!("no key is given") };
        assert_eq!(file, Path::new("data/secrets.key"));
        let settings = read("key_env = \"KEY\"\nold_keys = [{ key_env = \"KEY\" }]").unwrap();
        assert!(matches!(settings.key, KeySource::Given(_)));
        assert_eq!(settings.old_keys.len(), 1);
    }

    #[test]
    fn what_is_no_key_is_not_repeated() {
        let rule = "a key is 32 bytes in base64 or hex; make it with `openssl rand -hex 32`";
        assert_eq!(read("key_env = \"OLD\"").err().unwrap(), format!("secrets: {rule}"));
        let old = "key_env = \"KEY\"\nold_keys = [{ key_env = \"OLD\" }]";
        assert_eq!(read(old).err().unwrap(), format!("secrets.old_keys: {rule}"));
        let none = "old_keys = [{}]";
        assert!(read(none).err().unwrap().ends_with("`key_file` or `key_env` is required"));
    }
}
