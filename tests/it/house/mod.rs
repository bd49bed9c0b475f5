//! The furniture: a host in a process of its own, and a client at its door.

mod echo;
mod files;
mod fragile;
mod needs;
mod process;
mod reply;
mod token;
#[cfg(target_os = "linux")]
mod world;

pub(crate) use echo::Echo;
pub(crate) use files::files;
pub(crate) use fragile::Fragile;
pub(crate) use needs::{
    Application, component, example, example_file, fetcher, hostile, hostile_core,
    hostile_describing, hostile_of_databases, is_postgres, model_script, postgres_database,
    repository, sender, target,
};
pub(crate) use process::{Builder, House, command, stepmill};
pub(crate) use reply::{Event, Events, Reply};
pub(crate) use token::{KEY, Token};
#[cfg(target_os = "linux")]
pub(crate) use world::World;
