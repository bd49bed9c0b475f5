//! The furniture: a host in a process of its own, and a client at its door.

mod needs;
mod process;
mod reply;
mod token;

pub(crate) use needs::{
    component, example, example_file, fetcher, hostile, hostile_core, is_postgres, model_script,
    postgres_database, repository, sender, target,
};
pub(crate) use process::{House, command, stepmill};
pub(crate) use reply::Reply;
pub(crate) use token::Token;
