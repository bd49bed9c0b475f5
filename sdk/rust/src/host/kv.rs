//! Small values that this plugin keeps for the tenant it is called for: another tenant or
//! another plugin has other values under the same keys. Asks for
//! [`Capability::Kv`](crate::Capability::Kv).

use serde::de::DeserializeOwned;

use super::border::kv as host;
use crate::wit::stepmill::plugin::kv as wire;

/// Why a value could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum KvError {
    /// The plugin did not ask for the capability, or the operator did not grant it.
    #[error("the capability `kv` was not granted")]
    NotGranted,
    /// A key or value is over the host's limit, which is given in bytes.
    #[error("a key or value is over the limit of {0} bytes")]
    TooLarge(u32),
    /// The host's storage did not answer.
    #[error("the host's storage did not answer")]
    Unavailable,
    /// The value is no JSON of the expected form.
    #[error("the value of `{0}` is not of the expected form")]
    Form(String, #[source] serde_json::Error),
}

/// The value under a key, if there is one.
///
/// # Errors
/// Not granted, too large a key, or no answer.
pub fn get(key: &str) -> Result<Option<Vec<u8>>, KvError> {
    host::get(key).map_err(KvError::from)
}

/// The JSON under a key, if there is one.
///
/// # Errors
/// As [`get`], and when the value does not fit `T`.
pub fn json<T: DeserializeOwned>(key: &str) -> Result<Option<T>, KvError> {
    let bytes = get(key)?;
    let value = bytes.as_deref().map(serde_json::from_slice).transpose();
    value.map_err(|source| KvError::Form(key.to_owned(), source))
}

/// Keeps a value under a key.
///
/// # Errors
/// Not granted, too large, or no answer.
pub fn set(key: &str, value: impl AsRef<[u8]>) -> Result<(), KvError> {
    host::set(key, value.as_ref()).map_err(KvError::from)
}

/// Forgets a key. Forgetting what is not there is no error.
///
/// # Errors
/// Not granted, too large a key, or no answer.
pub fn delete(key: &str) -> Result<(), KvError> {
    host::delete(key).map_err(KvError::from)
}

impl From<wire::KvError> for KvError {
    fn from(error: wire::KvError) -> Self {
        match error {
            wire::KvError::NotGranted => Self::NotGranted,
            wire::KvError::TooLarge(limit) => Self::TooLarge(limit),
            wire::KvError::Unavailable => Self::Unavailable,
        }
    }
}
