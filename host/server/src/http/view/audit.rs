//! Lines of the audit log. Absent fields are left out.

use serde::Serialize;
use stepmill_store::AuditRow;
use utoipa::ToSchema;

use super::list::iso;

/// One line.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditBody<'a> {
    /// Its place in the log: later lines have greater ones.
    sequence: i64,
    at: String,
    /// Such as `plugin.upload`, or `access.denied`.
    action: &'static str,
    /// To what it was done: an id, or the method and route of a denied request.
    target: &'a str,
    /// What else is worth knowing, such as a plugin's digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    /// The API key that was shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    /// How often the same happened in a short while.
    times: u64,
}

impl<'a> AuditBody<'a> {
    pub(crate) fn of(row: &'a AuditRow) -> Self {
        let note = &row.note;
        Self {
            sequence: row.sequence,
            at: iso(note.at),
            action: note.action.word(),
            target: &note.target,
            detail: note.detail.as_deref(),
            user_id: note.actor.user.as_ref().map(|it| it.as_str()),
            key_id: note.actor.key.map(|it| it.to_string()),
            times: row.times,
        }
    }
}
