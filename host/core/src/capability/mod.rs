//! Capabilities: what a plugin asks to be allowed, and what it was granted.

mod database;
mod http;
mod model;

use std::collections::BTreeSet;
use std::fmt;

pub use database::{Access, DatabaseRule};
pub use http::{HttpFault, HttpRule};
pub use model::ModelPattern;

use crate::agent::ModelName;
use crate::ids::{DatabaseName, IdFault, SecretName};

/// One thing a plugin asks to be allowed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// The true time.
    Clock,
    /// True randomness.
    Randomness,
    /// Its configuration.
    Config,
    /// Its key-value data.
    KeyValue,
    /// Agents of these models.
    Model(ModelPattern),
    /// Requests.
    Http(HttpRule),
    /// Statements to a database of the operator's.
    Database(DatabaseRule),
    /// A secret, to be sent where it may go.
    Secret(SecretName),
}

/// The text is no capability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityFault {
    /// None of the words.
    #[error(
        "each is one of clock, randomness, config, kv, model:PATTERN, http:HOST, secret:NAME, \
         database:NAME, database:NAME:write"
    )]
    Unknown,
    /// After `model:`.
    #[error("`model:` takes a name, in which `*` stands for any text")]
    Model,
    /// After `http:`.
    #[error(transparent)]
    Http(#[from] HttpFault),
    /// After `database:`.
    #[error(
        "`database:` takes the name of a database (lower case letters, digits, `-` and `_`), and \
         may end in `:write`"
    )]
    Database,
    /// After `secret:`.
    #[error("`secret:` takes a name, which {0}")]
    Secret(IdFault),
}

impl Capability {
    /// Reads a capability as operators write it, and as it is shown.
    ///
    /// # Errors
    /// The text is something else.
    pub fn parse(text: &str) -> Result<Self, CapabilityFault> {
        match text.split_once(':') {
            None => match text {
                "clock" => Ok(Self::Clock),
                "randomness" => Ok(Self::Randomness),
                "config" => Ok(Self::Config),
                "kv" => Ok(Self::KeyValue),
                _ => Err(CapabilityFault::Unknown),
            },
            Some(("model", name)) => {
                ModelPattern::new(name).map(Self::Model).ok_or(CapabilityFault::Model)
            }
            Some(("http", rule)) => Ok(Self::Http(HttpRule::new(rule)?)),
            Some(("database", rule)) => {
                DatabaseRule::new(rule).map(Self::Database).ok_or(CapabilityFault::Database)
            }
            Some(("secret", name)) => {
                SecretName::new(name).map(Self::Secret).map_err(CapabilityFault::Secret)
            }
            Some(_) => Err(CapabilityFault::Unknown),
        }
    }

    /// What is granted of `asked` where the operator allows `self`. Of models that is what both
    /// cover; anything else is granted as a whole or not at all, so that an author learns at once
    /// what will not be there.
    fn grants(&self, asked: &Self) -> Option<Self> {
        match (self, asked) {
            (Self::Model(by), Self::Model(asked)) => asked.meet(by).map(Self::Model),
            (Self::Http(by), Self::Http(rule)) => by.includes(rule).then(|| asked.clone()),
            (Self::Database(by), Self::Database(rule)) => by.includes(rule).then(|| asked.clone()),
            (by, asked) => (by == asked).then(|| asked.clone()),
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clock => f.write_str("clock"),
            Self::Randomness => f.write_str("randomness"),
            Self::Config => f.write_str("config"),
            Self::KeyValue => f.write_str("kv"),
            Self::Model(pattern) => write!(f, "model:{}", pattern.as_str()),
            Self::Http(rule) => write!(f, "http:{rule}"),
            Self::Database(rule) => write!(f, "database:{rule}"),
            Self::Secret(name) => write!(f, "secret:{name}"),
        }
    }
}

/// What a plugin may do: what it asked for, as far as the operator allows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants(BTreeSet<Capability>);

impl Grants {
    /// Nothing is allowed.
    pub fn none() -> Self {
        Self::default()
    }

    /// Asked ∩ allowed.
    pub fn of(asked: &[Capability], allowed: &[Capability]) -> Self {
        let granted = |it| allowed.iter().filter_map(move |by: &Capability| by.grants(it));
        Self(asked.iter().flat_map(granted).collect())
    }

    /// What of `asked` is not granted at all.
    pub fn missing<'a>(asked: &'a [Capability], allowed: &[Capability]) -> Vec<&'a Capability> {
        let is_missing = |it: &&Capability| allowed.iter().all(|by| by.grants(it).is_none());
        asked.iter().filter(is_missing).collect()
    }

    /// Whether this very capability was granted.
    pub fn has(&self, capability: &Capability) -> bool {
        self.0.contains(capability)
    }

    /// Whether agents of this model were granted.
    pub fn model(&self, model: &ModelName) -> bool {
        self.0.iter().any(|it| matches!(it, Capability::Model(pattern) if pattern.covers(model)))
    }

    /// Whether this request was granted.
    pub fn http(&self, method: &str, host: &str, path: &str) -> bool {
        let covers = |it: &HttpRule| it.covers(method, host, path);
        self.0.iter().any(|it| matches!(it, Capability::Http(rule) if covers(rule)))
    }

    /// Whether any request at all was granted.
    pub fn any_http(&self) -> bool {
        self.0.iter().any(|it| matches!(it, Capability::Http(_)))
    }

    /// Whether this use of a database was granted.
    pub fn database(&self, name: &DatabaseName, access: Access) -> bool {
        let covers = |it: &DatabaseRule| it.covers(name, access);
        self.0.iter().any(|it| matches!(it, Capability::Database(rule) if covers(rule)))
    }

    /// Whether any use of any database was granted.
    pub fn any_database(&self) -> bool {
        self.0.iter().any(|it| matches!(it, Capability::Database(_)))
    }

    /// Whether this secret was granted.
    pub fn secret(&self, name: &SecretName) -> bool {
        self.0.iter().any(|it| matches!(it, Capability::Secret(granted) if granted == name))
    }

    /// Whether any secret at all was granted.
    pub fn any_secret(&self) -> bool {
        self.0.iter().any(|it| matches!(it, Capability::Secret(_)))
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Capability> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(words: &[&str]) -> Vec<Capability> {
        words.iter().map(|it| Capability::parse(it).unwrap()).collect()
    }

    fn granted(asked: &[&str], allowed: &[&str]) -> Vec<String> {
        Grants::of(&all(asked), &all(allowed)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn only_what_is_asked_and_allowed_is_granted() {
        let asked = ["clock", "http:api.example.com", "http:evil.test"];
        let allowed = ["clock", "randomness", "http:*.example.com"];
        assert_eq!(granted(&asked, &allowed), ["clock", "http:api.example.com"]);
        let (asked, allowed) = (all(&asked), all(&allowed));
        assert_eq!(Grants::missing(&asked, &allowed), [&asked[2]]);
    }

    #[test]
    fn a_secret_is_granted_by_its_name() {
        let grants = Grants::of(&all(&["secret:a", "secret:b"]), &all(&["secret:a", "secret:c"]));
        let has = |it: &str| grants.secret(&SecretName::new(it).unwrap());
        assert!(grants.any_secret() && has("a") && !has("b") && !has("c"));
        assert!(!Grants::none().any_secret());
    }

    #[test]
    fn of_models_what_both_cover_is_granted() {
        assert_eq!(
            granted(&["model:*"], &["model:gpt-*", "model:o3"]),
            ["model:gpt-*", "model:o3"]
        );
        assert_eq!(granted(&["model:gpt-5"], &["model:gpt-*"]), ["model:gpt-5"]);
        assert!(granted(&["model:o3"], &["model:gpt-*"]).is_empty());
        let gpt = ModelName { id: "gpt-5".into(), provider: None };
        assert!(Grants::of(&all(&["model:*"]), &all(&["model:gpt-*"])).model(&gpt));
        assert!(!Grants::of(&all(&["model:o3"]), &all(&["model:*"])).model(&gpt));
    }

    #[test]
    fn a_grant_to_write_a_database_is_more_than_one_to_read_it() {
        let orders = DatabaseName::new("orders").unwrap();
        let asked = ["database:orders", "database:stock:write"];
        assert_eq!(granted(&asked, &["database:orders:write", "database:stock"]), [asked[0]]);
        let grants = Grants::of(&all(&asked), &all(&["database:orders:write"]));
        assert!(grants.any_database() && grants.database(&orders, Access::Read));
        assert!(!grants.database(&orders, Access::Write));
    }

    #[test]
    fn a_capability_is_read_as_it_is_shown() {
        for word in [
            "clock",
            "randomness",
            "config",
            "kv",
            "model:gpt-*",
            "http:GET a.test/v1/*",
            "database:orders",
            "database:orders:write",
            "secret:crm-key",
        ] {
            assert_eq!(Capability::parse(word).unwrap().to_string(), word);
        }
        for bad in [
            "",
            "Clock",
            "all",
            "model:",
            "http:",
            "clock:",
            "http:https://a",
            "secret:",
            "secret:A",
            "database:",
        ] {
            assert!(Capability::parse(bad).is_err(), "{bad}");
        }
    }
}
