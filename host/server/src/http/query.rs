//! Query strings and request facts.

use std::collections::HashMap;

use axum::http::request::Parts;
use stepmill_core::context::RequestFacts;

use super::error::{ApiError, FieldFault};

/// The longest header value a plugin is shown.
const MAX_HEADER_BYTES: usize = 4_096;

/// Query parameters; of a repeated one the last counts.
pub(super) struct Query(HashMap<String, String>);

impl Query {
    /// Reads a request's query.
    pub(super) fn of(parts: &Parts) -> Self {
        let query = parts.uri.query().unwrap_or_default();
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// A parameter with something in it.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).filter(|it| !it.is_empty())
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
