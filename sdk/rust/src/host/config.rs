//! What the operator configured for this plugin. Read only; asks for
//! [`Capability::Config`](crate::Capability::Config).

use serde::de::DeserializeOwned;

use super::border::config as host;
use crate::wit::stepmill::plugin::config as wire;

/// Why a configured value could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The plugin did not ask for the capability, or the operator did not grant it.
    #[error("the capability `config` was not granted")]
    NotGranted,
    /// The value is no JSON of the expected form.
    #[error("the configured `{0}` is not of the expected form")]
    Form(String, #[source] serde_json::Error),
}

/// The value under a key, if there is one.
///
/// # Errors
/// The capability was not granted.
pub fn get(key: &str) -> Result<Option<String>, ConfigError> {
    host::get(key).map_err(|it| match it {
        wire::ConfigError::NotGranted => ConfigError::NotGranted,
    })
}

/// The JSON under a key, if there is one.
///
/// # Errors
/// The capability was not granted, or the text does not fit `T`.
pub fn json<T: DeserializeOwned>(key: &str) -> Result<Option<T>, ConfigError> {
    let text = get(key)?;
    let value = text.as_deref().map(serde_json::from_str).transpose();
    value.map_err(|source| ConfigError::Form(key.to_owned(), source))
}
