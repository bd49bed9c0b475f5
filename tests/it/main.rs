//! The whole house from outside: the built binary, real HTTP, real databases, real components in
//! several languages. `tests/run` builds and starts what these tests need; one that misses
//! something fails and says what.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod audit;
mod auth;
#[cfg(target_os = "linux")]
#[path = "../../host/sandbox/tests/support/bomb.rs"]
mod bomb;
mod budgets;
mod cli;
#[cfg(target_os = "linux")]
mod clock;
#[cfg(target_os = "linux")]
mod compiling;
mod cors;
mod databases;
mod docs;
mod door;
mod extras;
mod fairness;
mod golden;
mod hostile;
mod house;
mod keys;
mod languages;
mod limits;
mod lists;
mod os;
mod outage;
mod page;
mod plugins;
mod policies;
mod provider_faults;
mod real_model;
mod recovery;
mod scopes;
mod secrets;
mod session_walls;
mod sessions;
mod step_options;
mod streaming;
mod tenants;
mod tidy;
mod token_attacks;
mod turns;
