//! What a plugin says about itself, checked.

use serde_json::{Map, Value};

use crate::capability::Capability;
use crate::ids::WorkflowId;

/// How often a plugin draws its workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkflowKind {
    /// For every request.
    Factory,
    /// Once: it is the same for everybody.
    Prototype,
}

/// The answer of a plugin's `describe`, after the host checked its form.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// What the plugin calls its workflow.
    pub id: WorkflowId,
    /// How often it draws it.
    pub kind: WorkflowKind,
    /// Shown in listings.
    pub name: Option<String>,
    /// Shown in listings.
    pub description: Option<String>,
    /// JSON Schema of `factory_input`, or of a prototype's message; a JSON object.
    pub input_schema: Option<Map<String, Value>>,
    /// What the plugin asks for.
    pub capabilities: Vec<Capability>,
}
