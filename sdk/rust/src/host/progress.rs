//! What a function step tells while it works: those who follow the run as a stream hear it at once.
//!
//! Bounded in number and length. It is no part of what the step produces, and where nobody follows
//! nobody hears it: a function need not care whether it was heard.

use std::fmt::Display;

use super::border::progress as host;
use crate::JsonObject;
use crate::wit::stepmill::plugin::progress as wire;

/// Why a message was not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProgressError {
    /// The message is none the host can tell.
    #[error("a message has a text or a JSON object")]
    Invalid,
    /// The call has told as much as it may.
    #[error("the call has told as much as it may")]
    TooMuch,
}

/// Tells people how far the work is.
///
/// # Errors
/// The call has told as much as it may.
pub fn tell(content: impl Display) -> Result<(), ProgressError> {
    send(Some(&content.to_string()), None)
}

/// Tells people and programs how far the work is.
///
/// # Errors
/// The call has told as much as it may.
pub fn tell_with(content: impl Display, data: JsonObject) -> Result<(), ProgressError> {
    send(Some(&content.to_string()), Some(data))
}

/// Tells programs how far the work is.
///
/// # Errors
/// The call has told as much as it may.
pub fn tell_data(data: JsonObject) -> Result<(), ProgressError> {
    send(None, Some(data))
}

fn send(content: Option<&str>, data: Option<JsonObject>) -> Result<(), ProgressError> {
    let data = data.map(|it| serde_json::Value::Object(it).to_string());
    host::tell(content, data.as_deref()).map_err(|it| match it {
        wire::ProgressError::Invalid => ProgressError::Invalid,
        wire::ProgressError::TooMuch => ProgressError::TooMuch,
    })
}
