//! API keys as their tenant's admins see them: never a secret, nor what is kept of it.

use serde::Serialize;
use stepmill_core::key::ApiKey;
use stepmill_core::time::Timestamp;
use utoipa::ToSchema;

use super::list::iso;

/// One key.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyBody<'a> {
    /// Which key; it stands in the key itself, too.
    id: String,
    name: &'a str,
    roles: Vec<&'a str>,
    scopes: Vec<&'a str>,
    /// Who its holder is.
    #[schema(required)]
    user_id: Option<&'a str>,
    /// Who made it.
    #[schema(required)]
    created_by: Option<&'a str>,
    created_at: String,
    /// When it ends; never, if null.
    #[schema(required)]
    expires_at: Option<String>,
    /// When it was last shown, to the hour.
    #[schema(required)]
    last_used_at: Option<String>,
}

/// A key that was just made.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewKeyBody<'a> {
    /// The key itself. It is told here and never again.
    pub key: &'a str,
    #[serde(flatten)]
    pub about: KeyBody<'a>,
}

impl<'a> KeyBody<'a> {
    /// What is told of a key.
    pub(crate) fn of(key: &'a ApiKey) -> Self {
        let time = |it: Option<Timestamp>| it.map(iso);
        Self {
            id: key.id.to_string(),
            name: &key.name,
            roles: key.roles.iter().map(String::as_str).collect(),
            scopes: key.scopes.iter().map(String::as_str).collect(),
            user_id: key.user.as_ref().map(|it| it.as_str()),
            created_by: key.created_by.as_ref().map(|it| it.as_str()),
            created_at: iso(key.created_at),
            expires_at: time(key.expires_at),
            last_used_at: time(key.last_used_at),
        }
    }
}
