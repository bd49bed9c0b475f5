//! Plugins as their owners see them. Absent fields are left out.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::list::iso;
use crate::app::PluginView;

/// One plugin.
#[derive(Serialize, ToSchema)]
pub(crate) struct PluginBody<'a> {
    /// What it is called in the API; also the id of its workflow.
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    /// SHA-256 of the component.
    digest: String,
    /// The component's size.
    bytes: u64,
    /// Whether it is the operator's.
    shared: bool,
    /// What it asks for.
    capabilities: Vec<String>,
    /// What it was given of that.
    granted: Vec<String>,
    /// JSON Schema of `factory_input`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    input_schema: Option<&'a Map<String, Value>>,
    created_at: String,
    uploaded_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uploaded_by: Option<&'a str>,
    /// What an upload did: `new`, `replaced` or `unchanged`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload: Option<&'static str>,
}

impl<'a> PluginBody<'a> {
    /// A plugin that was not just uploaded.
    pub(crate) fn of(plugin: &'a PluginView) -> Self {
        let row = &plugin.row;
        let about = &row.description;
        Self {
            id: row.id.as_str(),
            name: about.name.as_deref(),
            description: about.description.as_deref(),
            digest: format!("sha256:{}", row.digest),
            bytes: row.bytes,
            shared: plugin.shared,
            capabilities: about.capabilities.iter().map(ToString::to_string).collect(),
            granted: plugin.grants.iter().map(ToString::to_string).collect(),
            input_schema: about.input_schema.as_ref(),
            created_at: iso(row.created_at),
            uploaded_at: iso(row.uploaded_at),
            uploaded_by: row.uploaded_by.as_ref().map(|it| it.as_str()),
            upload: None,
        }
    }
}
