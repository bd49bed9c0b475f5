//! The request context: what a factory is told about the request it builds for.

use serde_json::{Map, Value};

use crate::ids::{SessionId, TenantId, UserId};
use crate::principal::TrustedClaims;

/// The HTTP request, as far as a plugin may see it. Written by the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestFacts {
    /// In upper case.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Lower case names; only those the operator allows.
    pub headers: Vec<(String, String)>,
}

/// What a factory gets. Pinned in the run, so that a function step sees what `build` saw.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestContext {
    /// The verified subject, or what the client says on an open host.
    pub user: Option<UserId>,
    /// The session the client named.
    pub session: Option<SessionId>,
    /// `factory_input`, valid against the factory's schema.
    pub input: Option<Map<String, Value>>,
    /// What was asked for.
    pub request: RequestFacts,
    /// The tenant the caller belongs to. Verified.
    pub tenant: TenantId,
    /// What the token says. Verified.
    pub trusted: TrustedClaims,
}
