//! What the host offers: each part asks for the capability of its name, but the log and the progress.
//!
//! Where the host has to wait for an answer it suspends the plugin and serves others
//! meanwhile, so a plain call is all there is.

pub mod config;
pub mod database;
pub mod http;
pub mod kv;
pub mod log;
pub mod progress;
pub mod secrets;

/// The border: the true host, or in a plugin's own tests what they made up.
#[cfg(not(target_family = "wasm"))]
use crate::testing::border;
#[cfg(target_family = "wasm")]
use crate::wit::stepmill::plugin as border;
