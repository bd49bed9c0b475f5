//! Lines for the operator's log, under the plugin's name.
//!
//! Bounded in length and number; what is over the bound is dropped. Prompts, claims and
//! secrets do not belong here.

use std::fmt::Display;

use super::border::log::write;
use crate::wit::stepmill::plugin::log::Level;

/// What one looks at when following every move.
pub fn trace(message: impl Display) {
    write(Level::Trace, &message.to_string());
}

/// What helps to find a fault.
pub fn debug(message: impl Display) {
    write(Level::Debug, &message.to_string());
}

/// What happens in the course of things.
pub fn info(message: impl Display) {
    write(Level::Info, &message.to_string());
}

/// What the operator should look at one day.
pub fn warn(message: impl Display) {
    write(Level::Warn, &message.to_string());
}

/// What the operator should look at now.
pub fn error(message: impl Display) {
    write(Level::Error, &message.to_string());
}
