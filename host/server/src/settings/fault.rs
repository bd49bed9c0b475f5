//! What can be wrong with the settings, and what they name: files and variables that hold a text.

use std::path::PathBuf;

use secrecy::SecretString;

use super::environment::Environment;

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
