//! Loads plugins and calls them inside limits and grants.
//!
//! [`Sandbox::open`] makes the one engine; [`Sandbox::load`] turns a component's bytes into a
//! [`Plugin`]; every call of a plugin gets a fresh instance that is dropped afterwards. What a
//! guest says is a guess until it was checked here: sizes, counts, names, text. Components are
//! compiled in processes of their own, which [`compile_worker`] is the inside of.

mod cache;
mod call;
mod capability;
mod compile;
mod cores;
mod describe;
mod engine;
mod failure;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod lane;
mod load;
mod meter;
mod plugin;
mod refusals;
mod sandbox;
mod scan;
mod seats;
mod services;
mod settings;
mod text;
mod ticker;
mod turns;
mod wit;
mod worker;

pub use call::CallSite;
pub use failure::{BuildFailure, CallFailure, Cause, FunctionFailure};
pub use load::{LoadFailure, LoadSite, OpenError};
pub use plugin::Plugin;
pub use sandbox::Sandbox;
pub use seats::{Seat, Seats};
pub use services::{
    Databases, KeyValueFault, KeyValues, Lines, Listener, Network, OutboundFailure,
    OutboundRequest, OutboundResponse, Placeholder, Secrets, SecretsDown,
};
pub use settings::{CallLimits, LoadLimits, PoolSettings, SandboxSettings};
pub use worker::{WorkerFault, WorkerProgram, compile_worker};
