//! The door: HTTP in, JSON or events out. Only here are status codes, headers and tokens known.

mod audit;
mod auth;
mod cors;
mod docs;
mod door;
mod error;
mod extras;
mod form;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod health;
mod held;
mod json_body;
mod keys;
mod leftover;
mod limits;
mod openapi;
mod os;
mod plugins;
mod policies;
mod query;
mod runs;
mod secrets;
mod serve;
mod sessions;
mod stream;
mod usage;
mod view;
mod workflows;

pub use auth::AuthFault;
pub use door::Door;
pub use serve::serve;
