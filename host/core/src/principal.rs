//! Who asks: what the host verified of a caller.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::ids::{TenantId, UserId};

/// What a verified token says. Empty if the host runs without authentication.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrustedClaims {
    /// Every claim of the token.
    pub claims: Map<String, Value>,
    /// The literal scopes of the token.
    pub scopes: BTreeSet<String>,
}

/// Whether the host knows who it is talking to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The host runs without authentication: everybody is the operator.
    Open,
    /// A verified token without the admin scope.
    Member,
    /// A verified token with the admin scope.
    Admin,
}

/// Who asks, as far as the host verified it. Only the door makes one.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The tenant whose rows and plugins this caller may reach.
    pub tenant: TenantId,
    /// The token's subject.
    pub user: Option<UserId>,
    /// What the token says.
    pub trusted: TrustedClaims,
    /// How far the host knows the caller.
    pub standing: Standing,
}

impl Principal {
    /// Whether the caller may do what `scope` names. The operator of an open host may do all,
    /// and so may an admin.
    pub fn may(&self, scope: &str) -> bool {
        match self.standing {
            Standing::Open | Standing::Admin => true,
            Standing::Member => self.trusted.scopes.contains(scope),
        }
    }

    /// Whose runs the caller may see: its own, or everybody's in the tenant.
    pub fn sees(&self) -> Sees<'_> {
        match (self.standing, &self.user) {
            (Standing::Open | Standing::Admin, _) => Sees::Everyone,
            (Standing::Member, Some(user)) => Sees::Only(user),
            (Standing::Member, None) => Sees::Nobody,
        }
    }
}

/// Whose rows a question may reach, inside one tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sees<'a> {
    /// All rows of the tenant.
    Everyone,
    /// Rows of this user, and rows that belong to no user.
    Only(&'a UserId),
    /// Only rows that belong to no user.
    Nobody,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(standing: Standing, user: Option<&str>, scopes: &[&str]) -> Principal {
        Principal {
            tenant: TenantId::new("acme").unwrap(),
            user: user.map(|it| UserId::new(it).unwrap()),
            trusted: TrustedClaims {
                claims: Map::new(),
                scopes: scopes.iter().map(|it| it.to_string()).collect(),
            },
            standing,
        }
    }

    #[test]
    fn a_member_may_what_its_scopes_say() {
        let member = principal(Standing::Member, Some("ada"), &["plugins:write"]);
        assert!(member.may("plugins:write"));
        assert!(!member.may("plugins:delete"));
        assert!(principal(Standing::Admin, None, &[]).may("plugins:delete"));
    }

    #[test]
    fn a_member_sees_its_own_rows_and_an_admin_all() {
        let ada = UserId::new("ada").unwrap();
        assert_eq!(principal(Standing::Member, Some("ada"), &[]).sees(), Sees::Only(&ada));
        assert_eq!(principal(Standing::Member, None, &[]).sees(), Sees::Nobody);
        assert_eq!(principal(Standing::Admin, Some("ada"), &[]).sees(), Sees::Everyone);
        assert_eq!(principal(Standing::Open, None, &[]).sees(), Sees::Everyone);
    }
}
