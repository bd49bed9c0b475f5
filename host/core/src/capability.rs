//! Capabilities: what a plugin asks to be allowed, and what it was granted.

use std::collections::BTreeSet;

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
    /// Requests to a host.
    Http(HostPattern),
}

/// A DNS name, or `*.` and a DNS name for everything below it. Lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPattern(String);

/// The text is no host pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no host: a DNS name or address, optionally with `*.` before it, is one")]
pub struct HostFault(String);

impl HostPattern {
    /// Checks the form: no scheme, port, path or inner wildcard.
    ///
    /// # Errors
    /// The text is something else.
    pub fn new(text: &str) -> Result<Self, HostFault> {
        let lower = text.to_ascii_lowercase();
        let name = lower.strip_prefix("*.").unwrap_or(&lower);
        let allowed = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '.' | '_');
        if name.is_empty() || 253 < name.len() || !name.chars().all(allowed) {
            return Err(HostFault(text.chars().take(80).collect()));
        }
        Ok(Self(lower))
    }

    /// Whether the pattern covers a host name.
    pub fn covers(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        match self.0.strip_prefix('*') {
            Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
            None => host == self.0,
        }
    }

    /// The pattern as written, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether everything `other` covers is covered by `self`.
    fn includes(&self, other: &HostPattern) -> bool {
        match other.0.strip_prefix("*.") {
            Some(name) => self.0 == other.0 || (self.0.starts_with("*.") && self.covers(name)),
            None => self.covers(&other.0),
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
        let granted = asked.iter().filter(|it| allowed.iter().any(|by| by.includes(it)));
        Self(granted.cloned().collect())
    }

    /// Whether this very capability was granted.
    pub fn has(&self, capability: &Capability) -> bool {
        self.0.contains(capability)
    }

    /// Whether a request to this host was granted.
    pub fn http(&self, host: &str) -> bool {
        self.0.iter().any(|it| matches!(it, Capability::Http(pattern) if pattern.covers(host)))
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Capability> {
        self.0.iter()
    }
}

impl Capability {
    fn includes(&self, asked: &Capability) -> bool {
        match (self, asked) {
            (Self::Http(by), Self::Http(asked)) => by.includes(asked),
            (by, asked) => by == asked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(host: &str) -> Capability {
        Capability::Http(HostPattern::new(host).unwrap())
    }

    #[test]
    fn only_what_is_asked_and_allowed_is_granted() {
        let asked = [Capability::Clock, http("api.example.com"), http("evil.test")];
        let allowed = [Capability::Clock, Capability::Randomness, http("*.example.com")];
        let grants = Grants::of(&asked, &allowed);
        assert!(grants.has(&Capability::Clock));
        assert!(!grants.has(&Capability::Randomness));
        assert!(grants.http("API.example.com"));
        assert!(!grants.http("evil.test"));
        assert!(!grants.http("other.example.com"));
    }

    #[test]
    fn a_wildcard_is_granted_only_by_one_as_wide() {
        assert!(!Grants::of(&[http("*.com")], &[http("*.example.com")]).http("a.example.com"));
        assert!(
            Grants::of(&[http("*.a.example.com")], &[http("*.example.com")])
                .http("b.a.example.com")
        );
        assert!(
            !Grants::of(&[http("*.example.com")], &[http("*.example.com")]).http("example.com")
        );
        assert!(
            !Grants::of(&[http("*.example.com")], &[http("*.example.com")]).http("badexample.com")
        );
    }

    #[test]
    fn a_host_is_no_url() {
        for bad in ["", "https://a", "a/b", "a:80", "*.*.a", "*", "a b"] {
            assert!(HostPattern::new(bad).is_err(), "{bad}");
        }
    }
}
