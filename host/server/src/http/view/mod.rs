//! What clients read: the JSON of Agno's API, made from core types in one place each.

mod event;
mod list;
mod os;
mod run;
mod shapes;
mod workflow;

pub(super) use event::{EventView, Renderer, failure};
pub(super) use list::{Listed, iso, summaries};
pub(super) use os::{Config, Count, Home, Info};
pub(super) use run::{Detail, run};
pub(super) use workflow::{Host, workflow_detail, workflow_summary};
