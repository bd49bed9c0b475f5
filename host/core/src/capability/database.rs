//! Which databases may be asked, and whether they may be changed.

use std::fmt;

use crate::ids::DatabaseName;

/// How far a grant, or a statement, reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Rows are read, and nothing is changed.
    Read,
    /// Rows are read and changed.
    Write,
}

/// One of the operator's databases, and how far it may be used.
///
/// Written `orders` to read, `orders:write` to write too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatabaseRule {
    name: DatabaseName,
    access: Access,
}

impl DatabaseRule {
    /// Checks the form; none if the text is something else.
    pub fn new(text: &str) -> Option<Self> {
        let (name, access) = match text.split_once(':') {
            None => (text, Access::Read),
            Some((name, "write")) => (name, Access::Write),
            Some(_) => return None,
        };
        Some(Self { name: DatabaseName::new(name).ok()?, access })
    }

    /// Whether the rule covers this use of a database.
    pub fn covers(&self, name: &DatabaseName, access: Access) -> bool {
        self.name == *name && access <= self.access
    }

    /// Whether everything `other` covers is covered by `self`.
    pub(super) fn includes(&self, other: &Self) -> bool {
        self.covers(&other.name, other.access)
    }
}

impl fmt::Display for DatabaseRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.access {
            Access::Read => write!(f, "{}", self.name),
            Access::Write => write!(f, "{}:write", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> DatabaseRule {
        DatabaseRule::new(text).unwrap()
    }

    #[test]
    fn who_may_write_may_read() {
        let orders = DatabaseName::new("orders").unwrap();
        assert!(rule("orders").covers(&orders, Access::Read));
        assert!(!rule("orders").covers(&orders, Access::Write));
        assert!(rule("orders:write").covers(&orders, Access::Read));
        assert!(rule("orders:write").includes(&rule("orders")));
        assert!(!rule("orders").includes(&rule("orders:write")));
        assert!(!rule("orders:write").includes(&rule("other")));
    }

    #[test]
    fn a_rule_is_read_as_it_is_written() {
        for text in ["orders", "orders:write", "eu-2_orders"] {
            assert_eq!(rule(text).to_string(), text);
        }
        for bad in ["", ":write", "orders:", "orders:read", "Orders", "a b", "a:write:write"] {
            assert!(DatabaseRule::new(bad).is_none(), "{bad}");
        }
    }
}
