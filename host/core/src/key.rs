//! API keys: what a program shows where a person shows a token.

use std::collections::BTreeSet;

use crate::ids::{KeyId, UserId};
use crate::time::Timestamp;

/// One key, without its secret. It opens the tenant it was made in, and no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Which key; no secret.
    pub id: KeyId,
    /// For people who look through a list of keys.
    pub name: String,
    /// The roles it has.
    pub roles: BTreeSet<String>,
    /// The scopes it has beside those of its roles.
    pub scopes: BTreeSet<String>,
    /// Who its holder is; nobody in particular if absent.
    pub user: Option<UserId>,
    /// Who made it, where the host knew.
    pub created_by: Option<UserId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends. A key may have no end, other than a token.
    pub expires_at: Option<Timestamp>,
    /// When it was last shown, to the hour.
    pub last_used_at: Option<Timestamp>,
}

impl ApiKey {
    /// Whether its time is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|it| it <= now)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_key_is_over_when_its_time_has_come() {
        let mut key = ApiKey {
            id: KeyId::from_uuid(Uuid::from_u128(1)),
            name: "ci".into(),
            roles: BTreeSet::new(),
            scopes: BTreeSet::new(),
            user: None,
            created_by: None,
            created_at: Timestamp::from_micros(0),
            expires_at: Some(Timestamp::from_micros(10)),
            last_used_at: None,
        };
        assert!(!key.is_over(Timestamp::from_micros(9)));
        assert!(key.is_over(Timestamp::from_micros(10)));
        key.expires_at = None;
        assert!(!key.is_over(Timestamp::from_micros(i64::MAX)));
    }
}
