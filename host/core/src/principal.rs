//! Who asks: what the host verified of a caller.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::audit::Actor;
use crate::ids::{KeyId, SessionId, TenantId, UserId};
use crate::scope::{Right, is_of_the_host};

/// What a verified token says. Empty if the host runs without authentication.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrustedClaims {
    /// Every claim of the token.
    pub claims: Map<String, Value>,
    /// The literal scopes of the token.
    pub scopes: BTreeSet<String>,
}

/// Whether the host knows who it is talking to, and how far it trusts whom it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The host knows no users: everybody who comes in is the operator.
    Open,
    /// A verified token without the admin scope.
    Member,
    /// A verified token with the admin scope: everything inside its tenant.
    Admin,
    /// A verified token with the operator's scope: as an admin, and what is the host's as a whole.
    Operator,
}

/// How far the operator lets members go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Whether workflows and sessions ask for scopes. If not, a token only says who asks.
    pub authorization: bool,
    /// Whether a member sees its own runs only.
    pub user_isolation: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { authorization: true, user_isolation: true }
    }
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
    /// What it may do: the token's scopes, and those that its roles stand for.
    pub held: BTreeSet<String>,
    /// How far the host knows the caller.
    pub standing: Standing,
    /// The API key the caller showed instead of a token.
    pub key: Option<KeyId>,
    /// How far the operator lets members go.
    pub rules: Rules,
    /// The conversation the token is for; takes the place of whatever the client asks for.
    pub session: Option<SessionId>,
    /// A run's dependencies, if the token decides them; they replace the client's as a whole.
    pub dependencies: Option<Map<String, Value>>,
    /// A run's first session state, if the token decides it; it replaces the client's as a whole.
    pub session_state: Option<Map<String, Value>>,
}

impl Principal {
    /// Who the audit log says it was.
    pub fn actor(&self) -> Actor {
        Actor { user: self.user.clone(), key: self.key }
    }

    /// Whether the caller may do what concerns the host as a whole, beyond its tenant.
    pub fn is_operator(&self) -> bool {
        match self.standing {
            Standing::Open | Standing::Operator => true,
            Standing::Member | Standing::Admin => false,
        }
    }

    /// Whether the caller may do everything inside its tenant.
    pub fn is_admin(&self) -> bool {
        match self.standing {
            Standing::Open | Standing::Admin | Standing::Operator => true,
            Standing::Member => false,
        }
    }

    /// Whether the caller's token covers this. An admin may do all, and so may the operator.
    pub fn holds(&self, right: Right<'_>) -> bool {
        self.is_admin() || right.is_given_by(&self.held)
    }

    /// Whether the caller may give this scope to an API key. Nobody gives what it has not: an
    /// admin has every scope of the host's in its tenant, but of those that mean something to
    /// factories only what its issuer gave it.
    pub fn may_give(&self, scope: &str) -> bool {
        match self.standing {
            Standing::Open | Standing::Operator => true,
            Standing::Admin => is_of_the_host(scope) || self.held.contains(scope),
            Standing::Member => self.held.contains(scope),
        }
    }

    /// Whether the caller may do this with a workflow or session: its token covers it, or the
    /// operator asks for no scopes.
    pub fn may(&self, right: Right<'_>) -> bool {
        !self.rules.authorization || self.holds(right)
    }

    /// Whether there is anything at all the caller may do this with.
    pub fn may_somewhere(&self, right: Right<'_>) -> bool {
        self.may(right) || right.is_given_somewhere_by(&self.held)
    }

    /// Whose runs the caller may see: its own, or everybody's in the tenant.
    pub fn sees(&self) -> Sees<'_> {
        match &self.user {
            _ if self.is_admin() || !self.rules.user_isolation => Sees::Everyone,
            Some(user) => Sees::Only(user),
            None => Sees::Nobody,
        }
    }
}

/// Whose rows a question may reach, inside one tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sees<'a> {
    /// All rows of the tenant.
    Everyone,
    /// Rows of this user. What belongs to no user is not its either.
    Only(&'a UserId),
    /// None at all.
    Nobody,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(standing: Standing, user: Option<&str>, scopes: &[&str]) -> Principal {
        Principal {
            tenant: TenantId::new("acme").unwrap(),
            user: user.map(|it| UserId::new(it).unwrap()),
            trusted: TrustedClaims::default(),
            held: scopes.iter().map(|it| it.to_string()).collect(),
            standing,
            key: None,
            rules: Rules::default(),
            session: None,
            dependencies: None,
            session_state: None,
        }
    }

    #[test]
    fn a_member_may_what_its_scopes_say() {
        let (put, delete) = (Right::new("plugins:write"), Right::new("plugins:delete"));
        let member = principal(Standing::Member, Some("ada"), &["plugins:write"]);
        assert!(member.may(put) && member.holds(put));
        assert!(!member.may(delete));
        assert!(principal(Standing::Admin, None, &[]).holds(delete));
        assert!(principal(Standing::Open, None, &[]).holds(delete));
        assert!(principal(Standing::Operator, None, &[]).holds(delete));
    }

    #[test]
    fn an_admin_is_no_operator_and_an_operator_is_an_admin() {
        let [member, admin, operator, open] =
            [Standing::Member, Standing::Admin, Standing::Operator, Standing::Open]
                .map(|it| principal(it, Some("ada"), &[]));
        assert!(!member.is_admin() && !member.is_operator());
        assert!(admin.is_admin() && !admin.is_operator());
        assert!(operator.is_admin() && operator.is_operator());
        assert!(open.is_admin() && open.is_operator());
        // Rules are for members: switched off, they make nobody more than it was.
        let mut free = admin;
        free.rules = Rules { authorization: false, user_isolation: false };
        assert!(!free.is_operator());
    }

    #[test]
    fn nobody_gives_what_it_has_not() {
        let held = ["workflows:run", "premium:use"];
        let [member, admin, operator, open] =
            [Standing::Member, Standing::Admin, Standing::Operator, Standing::Open]
                .map(|it| principal(it, Some("ada"), &held));
        assert!(member.may_give("workflows:run") && member.may_give("premium:use"));
        assert!(!member.may_give("workflows:read") && !member.may_give("agent_os:admin"));
        // Narrower is less, but nobody has to prove it: it is not what was given.
        assert!(!member.may_give("workflows:echo:run"));
        assert!(admin.may_give("plugins:write") && admin.may_give("agent_os:admin"));
        assert!(admin.may_give("premium:use") && !admin.may_give("premium:sell"));
        for host in [operator, open] {
            assert!(host.may_give("premium:sell") && host.may_give("agent_os:admin"));
        }
    }

    #[test]
    fn without_authorization_a_member_may_all_and_still_holds_nothing() {
        let run = Right::new("workflows:run").on("echo");
        let mut member = principal(Standing::Member, Some("ada"), &[]);
        assert!(!member.may(run) && !member.may_somewhere(run));
        member.rules.authorization = false;
        assert!(member.may(run) && member.may_somewhere(run));
        assert!(!member.holds(run));
    }

    #[test]
    fn a_member_sees_its_own_rows_and_an_admin_all() {
        let ada = UserId::new("ada").unwrap();
        assert_eq!(principal(Standing::Member, Some("ada"), &[]).sees(), Sees::Only(&ada));
        assert_eq!(principal(Standing::Member, None, &[]).sees(), Sees::Nobody);
        assert_eq!(principal(Standing::Admin, Some("ada"), &[]).sees(), Sees::Everyone);
        assert_eq!(principal(Standing::Open, None, &[]).sees(), Sees::Everyone);
        assert_eq!(principal(Standing::Operator, Some("ada"), &[]).sees(), Sees::Everyone);
        let mut member = principal(Standing::Member, Some("ada"), &[]);
        member.rules.user_isolation = false;
        assert_eq!(member.sees(), Sees::Everyone);
    }
}
