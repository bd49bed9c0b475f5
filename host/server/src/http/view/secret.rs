//! Secrets as their owner sees them: everything but the value. Absent fields are left out.

use serde::Serialize;
use utoipa::ToSchema;

use super::list::iso;
use crate::app::SecretView;

/// A secret, without its value.
#[derive(Serialize, ToSchema)]
pub(crate) struct SecretBody<'a> {
    /// What plugins call it.
    name: &'a str,
    /// Where it may go.
    hosts: Vec<String>,
    /// Whether the host has the key that sealed it.
    usable: bool,
    created_at: String,
    updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_by: Option<&'a str>,
}

impl<'a> SecretBody<'a> {
    pub(crate) fn of(view: &'a SecretView) -> Self {
        let row = &view.row;
        Self {
            name: row.name.as_str(),
            hosts: row.places.iter().map(ToString::to_string).collect(),
            usable: view.usable,
            created_at: iso(row.created_at),
            updated_at: iso(row.updated_at),
            updated_by: row.updated_by.as_ref().map(|it| it.as_str()),
        }
    }
}
