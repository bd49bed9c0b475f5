//! Doors for the fuzzers in `tests/fuzz`: stored forms, without a database.

use stepmill_core::graph::StepGraph;
use stepmill_core::plugin::Description;

use crate::error::StoreError;
use crate::stored::{description, graph};

/// A graph as it is stored.
pub fn graph_write(graph: &StepGraph) -> String {
    graph::write(graph)
}

/// A stored graph.
///
/// # Errors
/// The text is none.
pub fn graph_read(text: &str) -> Result<StepGraph, StoreError> {
    graph::read(text)
}

/// A description as it is stored.
///
/// # Errors
/// Its schema is nested too deeply to be read back.
pub fn description_write(description: &Description) -> Result<String, StoreError> {
    description::write(description)
}

/// A stored description.
///
/// # Errors
/// The text is none.
pub fn description_read(text: &str) -> Result<Description, StoreError> {
    description::read(text)
}
