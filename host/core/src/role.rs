//! Roles: words that stand for scopes. A role means its scopes inside the tenant of whoever has it,
//! and nothing beyond.

use std::collections::{BTreeMap, BTreeSet};

use crate::scope::{ADMIN, OPERATOR};

/// To look at everything one may see.
const READS: &[&str] =
    &["config:read", "plugins:read", "sessions:read", "usage:read", "workflows:read"];

/// To run, and to keep one's sessions in order.
const RUNS: &[&str] = &["sessions:delete", "sessions:write", "workflows:run"];

/// To change what there is to run.
const WRITES: &[&str] = &["plugins:delete", "plugins:write", "secrets:read"];

/// The roles of every host.
const TABLE: [(&str, &[&[&str]]); 4] = [
    ("reader", &[READS]),
    ("runner", &[READS, RUNS]),
    ("author", &[READS, RUNS, WRITES]),
    // Of the tenant. The host's operator is not made by a role.
    ("operator", &[&[ADMIN]]),
];

/// Which role stands for which scopes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles {
    of: BTreeMap<String, BTreeSet<String>>,
    /// What issuers call the scope of the host's operator.
    operators: BTreeSet<String>,
}

/// Why a role cannot be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RoleFault {
    /// The name means something on every host.
    #[error("every host has a role of this name, with scopes of its own")]
    Taken,
    /// One of its scopes is the operator's.
    #[error("a role does not reach beyond its tenant: no scope of the host's operator is in it")]
    Operator,
}

impl Default for Roles {
    fn default() -> Self {
        Self::new([])
    }
}

impl Roles {
    /// The roles of every host, where issuers also call the operator's scope by these names.
    pub fn new(operators: impl IntoIterator<Item = String>) -> Self {
        let scopes = |sets: &[&[&str]]| sets.concat().into_iter().map(str::to_owned).collect();
        Self {
            of: TABLE.map(|(name, sets)| (name.to_owned(), scopes(sets))).into(),
            operators: operators.into_iter().chain([OPERATOR.to_owned()]).collect(),
        }
    }

    /// Adds a role.
    ///
    /// # Errors
    /// The name is taken, or it would reach beyond its tenant.
    pub fn add(&mut self, name: String, scopes: BTreeSet<String>) -> Result<(), RoleFault> {
        if self.knows(&name) {
            return Err(RoleFault::Taken);
        }
        if scopes.iter().any(|it| self.is_operators(it)) {
            return Err(RoleFault::Operator);
        }
        self.of.insert(name, scopes);
        Ok(())
    }

    /// Whether there is such a role.
    pub fn knows(&self, name: &str) -> bool {
        self.of.contains_key(name)
    }

    /// What these roles stand for, all together. One that nobody knows stands for nothing.
    pub fn scopes<'a>(&self, names: impl IntoIterator<Item = &'a String>) -> BTreeSet<String> {
        names.into_iter().filter_map(|it| self.of.get(it)).flatten().cloned().collect()
    }

    /// Whether some issuer calls the operator's scope so.
    pub fn is_operators(&self, scope: &str) -> bool {
        self.operators.contains(scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::Right;

    fn gives(roles: &Roles, role: &str) -> Vec<String> {
        roles.scopes(&[role.to_owned()]).into_iter().collect()
    }

    #[test]
    fn each_role_has_its_scopes_and_those_of_the_role_below() {
        let roles = Roles::default();
        let reads =
            ["config:read", "plugins:read", "sessions:read", "usage:read", "workflows:read"];
        let runs = ["sessions:delete", "sessions:write", "workflows:run"];
        let writes = ["plugins:delete", "plugins:write", "secrets:read"];
        let all = |sets: &[&[&'static str]]| {
            let mut all = sets.concat();
            all.sort_unstable();
            all
        };
        assert_eq!(gives(&roles, "reader"), all(&[&reads]));
        assert_eq!(gives(&roles, "runner"), all(&[&reads, &runs]));
        assert_eq!(gives(&roles, "author"), all(&[&reads, &runs, &writes]));
        assert_eq!(gives(&roles, "operator"), ["agent_os:admin"]);
        let held = roles.scopes(&["reader".to_owned()]);
        assert!(Right::new("workflows:read").on("echo").is_given_by(&held));
        assert!(!Right::new("workflows:run").is_given_by(&held));
    }

    #[test]
    fn what_is_no_role_gives_nothing() {
        let roles = Roles::default();
        for name in ["", "Reader", "reader ", "admin", "agent_os:admin", "stepmill:operator"] {
            assert!(gives(&roles, name).is_empty(), "{name:?}");
        }
        let several = ["nobody", "reader", "reader"].map(String::from);
        assert_eq!(roles.scopes(&several), roles.scopes(&["reader".to_owned()]));
    }

    #[test]
    fn added_roles_leave_those_of_every_host_alone_and_stay_in_their_tenant() {
        let mut roles = Roles::new(["root".to_owned()]);
        let mut add = |name: &str, scope: &str| roles.add(name.into(), [scope.to_owned()].into());
        assert_eq!(add("support", "sessions:read"), Ok(()));
        assert_eq!(add("reader", "workflows:run"), Err(RoleFault::Taken));
        assert_eq!(add("support", "workflows:run"), Err(RoleFault::Taken));
        assert_eq!(add("boss", "stepmill:operator"), Err(RoleFault::Operator));
        assert_eq!(add("boss", "root"), Err(RoleFault::Operator));
        assert_eq!(gives(&roles, "support"), ["sessions:read"]);
        assert!(gives(&roles, "boss").is_empty());
    }
}
