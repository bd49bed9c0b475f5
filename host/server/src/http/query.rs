//! Query strings and request facts.

use std::collections::HashMap;

use axum::http::Uri;
use axum::http::request::Parts;
use serde_json::Number;
use stepmill_core::context::RequestFacts;

use super::error::{ApiError, FieldFault};
use super::form::{boolean, integer};

/// The longest header value a plugin is shown.
const MAX_HEADER_BYTES: usize = 4_096;

/// Query parameters; of a repeated one the last counts, unless all are asked for.
pub(super) struct Query {
    last: HashMap<String, String>,
    all: Vec<(String, String)>,
}

impl Query {
    /// Reads a request's query.
    pub(super) fn of(uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        let all: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Self { last: all.iter().cloned().collect(), all }
    }

    /// A parameter with something in it.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.last.remove(name).filter(|it| !it.is_empty())
    }

    /// A parameter, also an empty one.
    pub(super) fn given(&mut self, name: &str) -> Option<String> {
        self.last.remove(name)
    }

    /// Every value of a repeated parameter.
    pub(super) fn every(&self, name: &str) -> Vec<&str> {
        self.all.iter().filter(|(it, _)| it == name).map(|(_, value)| value.as_str()).collect()
    }

    /// A whole number, no smaller than `least`.
    pub(super) fn integer(
        &mut self,
        name: &'static str,
        least: Option<i64>,
        faults: &mut Vec<FieldFault>,
    ) -> Option<i64> {
        let input = self.given(name)?;
        // What is beyond 64 bits is as good as the largest number.
        let bounded = |it: Number| it.as_i64().or_else(|| it.as_f64().map(|it| it as i64));
        match (integer(&input).and_then(bounded), least) {
            (None, _) => faults.push(FieldFault::no_integer("query", name, input)),
            (Some(number), Some(least)) if number < least => {
                faults.push(FieldFault::too_small(name, least, input));
            }
            (number, _) => return number,
        }
        None
    }

    /// Yes or no; no if it is absent.
    ///
    /// # Errors
    /// It is neither.
    pub(super) fn boolean(&mut self, name: &'static str) -> Result<bool, ApiError> {
        let Some(input) = self.take(name) else { return Ok(false) };
        let fault = |input| ApiError::Fields(vec![FieldFault::no_boolean("query", name, input)]);
        boolean(&input).ok_or_else(|| fault(input))
    }

    /// A parameter that has to be there.
    pub(super) fn require(&mut self, name: &'static str) -> Result<String, ApiError> {
        self.take(name).ok_or_else(|| ApiError::Fields(vec![FieldFault::missing("query", name)]))
    }
}

/// What a plugin may see of a request: never a header the operator did not list.
pub(super) fn facts(parts: &Parts, allowed: &[String]) -> RequestFacts {
    let header = |name: &String| {
        let value = parts.headers.get(name)?.to_str().ok()?;
        (value.len() <= MAX_HEADER_BYTES).then(|| (name.clone(), value.to_owned()))
    };
    RequestFacts {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        headers: allowed.iter().filter_map(header).collect(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    #[test]
    fn a_plugin_sees_the_listed_headers_and_no_other() {
        let request = Request::get("/workflows/echo/runs?session_id=s")
            .header("Authorization", "Bearer secret")
            .header("User-Agent", "curl/8")
            .header("X-Request-Id", "y".repeat(MAX_HEADER_BYTES + 1));
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let facts = facts(&parts, &["user-agent".into(), "x-request-id".into(), "accept".into()]);
        assert_eq!((facts.method.as_str(), facts.path.as_str()), ("GET", "/workflows/echo/runs"));
        assert_eq!(facts.headers, [("user-agent".to_owned(), "curl/8".to_owned())]);
    }

    #[test]
    fn of_a_repeated_parameter_the_last_counts_and_an_empty_one_is_absent() {
        let request = Request::get("/?a=1&a=2&b=").body(()).unwrap();
        let mut query = Query::of(request.uri());
        assert_eq!(query.take("a").as_deref(), Some("2"));
        assert_eq!(query.take("b"), None);
        assert!(query.require("c").is_err());
    }
}
