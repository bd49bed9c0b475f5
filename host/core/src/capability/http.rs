//! Where requests may go: a host, and if need be only some methods and paths of it.

use std::collections::BTreeSet;
use std::fmt;

use crate::glob;

/// The most bytes of a path in a rule.
const PATH_BYTES: usize = 1_024;

/// Requests of some methods, to one host or all below a name, under some path.
///
/// Written `api.example.com`, `*.example.com`, `GET,HEAD api.example.com/v1/*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HttpRule {
    /// In upper case; empty for all.
    methods: BTreeSet<String>,
    host: HostPattern,
    /// Begins with `/`; `*` stands for any text. None for all.
    path: Option<String>,
}

/// A DNS name, or `*.` and a DNS name for everything below it. Lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct HostPattern(String);

/// The text is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no place for requests: a DNS name or address is one, optionally with `*.` before it, \
     methods such as `GET,HEAD` and a blank in front, and a path such as `/v1/*` behind"
)]
pub struct HttpFault(String);

impl HttpRule {
    /// Checks the form: no scheme, port, query or inner wildcard of the host.
    ///
    /// # Errors
    /// The text is something else.
    pub fn new(text: &str) -> Result<Self, HttpFault> {
        Self::read(text).ok_or_else(|| HttpFault(text.chars().take(80).collect()))
    }

    fn read(text: &str) -> Option<Self> {
        let (methods, place) = match text.split_once(' ') {
            Some((methods, place)) => (Self::methods(methods)?, place),
            None => (BTreeSet::new(), text),
        };
        let (host, path) = match place.find('/') {
            Some(at) => (&place[..at], Some(&place[at..])),
            None => (place, None),
        };
        let plain = |it: &str| it.bytes().all(|it| it.is_ascii_graphic() && !b"\\?#".contains(&it));
        if path.is_some_and(|it| PATH_BYTES < it.len() || !plain(it) || is_winding(it)) {
            return None;
        }
        Some(Self { methods, host: HostPattern::new(host)?, path: path.map(str::to_owned) })
    }

    fn methods(text: &str) -> Option<BTreeSet<String>> {
        let method = |it: &str| {
            let good = (1..=16).contains(&it.len()) && it.bytes().all(|it| it.is_ascii_uppercase());
            good.then(|| it.to_owned())
        };
        text.split(',').map(method).collect()
    }

    /// Whether the rule covers a request. `path` is the URL's, without the query, as it is sent.
    ///
    /// A path that servers read in more than one way is covered by no rule that names one.
    pub fn covers(&self, method: &str, host: &str, path: &str) -> bool {
        let by_method = self.methods.is_empty() || self.methods.contains(method);
        let by_path = match &self.path {
            None => true,
            Some(pattern) => !is_winding(path) && glob::matches(pattern, path),
        };
        by_method && by_path && self.host.covers(host)
    }

    /// Whether everything `other` covers is covered by `self`.
    pub(super) fn includes(&self, other: &Self) -> bool {
        let by_method = self.methods.is_empty()
            || (!other.methods.is_empty() && other.methods.is_subset(&self.methods));
        let by_path = match (&self.path, &other.path) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(by), Some(path)) => glob::matches(by, path),
        };
        by_method && by_path && self.host.includes(&other.host)
    }
}

impl fmt::Display for HttpRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.methods.is_empty() {
            let methods: Vec<_> = self.methods.iter().map(String::as_str).collect();
            write!(f, "{} ", methods.join(","))?;
        }
        write!(f, "{}{}", self.host.0, self.path.as_deref().unwrap_or_default())
    }
}

/// Whether a path leads somewhere else than it says to some reader: over `.` and `..`, an empty
/// segment, or a separator that is written in percents.
fn is_winding(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    let segments: Vec<_> = path.split('/').skip(1).collect();
    let last = segments.len().saturating_sub(1);
    let odd = |(at, it): (usize, &&str)| matches!(*it, "." | "..") || (it.is_empty() && at < last);
    let hidden = ["%2e", "%2f", "%5c", "%00", ";"];
    segments.iter().enumerate().any(odd) || hidden.iter().any(|it| path.contains(it))
}

impl HostPattern {
    fn new(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let name = lower.strip_prefix("*.").unwrap_or(&lower);
        let allowed = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '.' | '_');
        let good = !name.is_empty() && name.len() <= 253 && name.chars().all(allowed);
        good.then_some(Self(lower))
    }

    fn covers(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        match self.0.strip_prefix('*') {
            Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
            None => host == self.0,
        }
    }

    fn includes(&self, other: &Self) -> bool {
        match other.0.strip_prefix("*.") {
            Some(name) => self.0 == other.0 || (self.0.starts_with("*.") && self.covers(name)),
            None => self.covers(&other.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> HttpRule {
        HttpRule::new(text).unwrap()
    }

    #[test]
    fn a_rule_covers_by_method_host_and_path() {
        let narrow = rule("GET,HEAD API.example.com/v1/*");
        assert!(narrow.covers("GET", "api.EXAMPLE.com", "/v1/orders"));
        assert!(!narrow.covers("POST", "api.example.com", "/v1/orders"));
        assert!(!narrow.covers("GET", "example.com", "/v1/orders"));
        assert!(!narrow.covers("GET", "api.example.com", "/v2/orders"));
        assert!(rule("*.example.com").covers("PUT", "a.b.example.com", "/../x"));
        assert!(!rule("*.example.com").covers("GET", "badexample.com", "/"));
    }

    #[test]
    fn a_winding_path_is_under_no_path() {
        let narrow = rule("api.example.com/v1/*");
        for path in [
            "/v1/../admin",
            "/v1/./x",
            "/v1/%2e%2e/admin",
            "/v1/%2E./admin",
            "/v1/..%2fadmin",
            "/v1//admin",
            "/v1/x%5c..",
            "/v1/..;/admin",
            "/v1/%00",
        ] {
            assert!(!narrow.covers("GET", "api.example.com", path), "{path}");
        }
        assert!(narrow.covers("GET", "api.example.com", "/v1/a.b/..c/"));
    }

    #[test]
    fn a_rule_is_included_only_by_one_as_wide() {
        for (by, asked) in [
            ("*.example.com", "a.example.com"),
            ("*.example.com", "GET *.a.example.com/x"),
            ("GET,POST a.test/v1/*", "GET a.test/v1/orders/*"),
            ("a.test/*", "a.test/v1"),
        ] {
            assert!(rule(by).includes(&rule(asked)), "{by} {asked}");
        }
        for (by, asked) in [
            ("*.example.com", "*.com"),
            ("*.example.com", "example.com"),
            ("GET a.test", "a.test"),
            ("a.test/v1/*", "a.test"),
            ("a.test/v1/*", "a.test/*"),
        ] {
            assert!(!rule(by).includes(&rule(asked)), "{by} {asked}");
        }
    }

    #[test]
    fn a_rule_is_read_as_it_is_written() {
        for text in ["api.example.com", "*.example.com", "GET,HEAD a.test/v1/*"] {
            assert_eq!(rule(text).to_string(), text);
        }
        for bad in [
            "",
            "https://a",
            "a:80",
            "*.*.a",
            "*",
            "a b",
            "get a",
            "GET  a",
            "a/b?c",
            "a/../b",
            "a/b//c",
            "GET, a",
        ] {
            assert!(HttpRule::new(bad).is_err(), "{bad}");
        }
    }
}
