//! Speaks to model providers inside budgets: time, bytes and tries.
//!
//! The room knows nothing of plugins, rows or HTTP serving. It takes a
//! [`stepmill_core::call::ModelRequest`] and gives a [`stepmill_core::agent::ModelAnswer`], whole
//! or in pieces; whatever goes wrong outside is one [`ModelFailure`].

mod chat;
mod demo;
mod failure;
mod models;
mod remote;
mod settings;

pub use chat::{ChatModel, Piece};
pub use failure::{FailureCause, ModelFailure, ProviderCode, TimeLimit};
pub use models::{Models, ProviderLine};
pub use settings::{CallLimits, ModelSettings, ProviderSettings, Route, SettingsFault, Wire};
