//! The words of the house and their laws: ids, who asks and what it may, graphs, events, whose fault.
//!
//! Nothing here waits, reads a clock or knows a database, so nothing outside can make it fail.

pub mod agent;
pub mod audit;
pub mod blame;
pub mod budget;
pub mod call;
pub mod capability;
pub mod change;
pub mod context;
pub mod database;
pub mod event;
pub mod extras;
pub mod fair;
pub mod glob;
pub mod graph;
pub mod ids;
pub mod json;
pub mod key;
pub mod limits;
pub mod pace;
pub mod plugin;
pub mod policy;
pub mod principal;
pub mod role;
pub mod run;
pub mod scope;
pub mod time;
