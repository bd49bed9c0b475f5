//! Tokens, as an identity provider would sign them.

use jsonwebtoken::{EncodingKey, Header, encode, get_current_timestamp};
use serde_json::{Value, json};

/// The key of guarded houses.
pub(crate) const KEY: &str = "a-secret-of-the-tests-with-32-bytes-or-more";

/// Claims to be signed.
#[derive(Clone)]
pub(crate) struct Token(Value);

impl Token {
    /// A user of a tenant, who may do with workflows and sessions what users do.
    pub(crate) fn of(tenant: &str, user: &str) -> Self {
        let claims = json!({ "sub": user, "tenant": tenant, "exp": get_current_timestamp() + 600 });
        Self(claims).scopes(&[
            "workflows:read",
            "workflows:run",
            "sessions:read",
            "sessions:write",
            "sessions:delete",
        ])
    }

    /// Somebody who may do everything in a tenant.
    pub(crate) fn admin(tenant: &str) -> Self {
        Self::of(tenant, "admin").claim("scopes", json!(["agent_os:admin"]))
    }

    /// The host's operator, at home in a tenant.
    pub(crate) fn operator(tenant: &str) -> Self {
        Self::of(tenant, "root").scope("stepmill:operator")
    }

    pub(crate) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0[name] = value.into();
        self
    }

    /// Takes a claim away.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.as_object_mut().unwrap().remove(name);
        self
    }

    /// The scopes it has, and no others.
    pub(crate) fn scopes(self, scopes: &[&str]) -> Self {
        self.claim("scopes", json!(scopes))
    }

    /// The one scope it has.
    pub(crate) fn scope(self, scope: &str) -> Self {
        self.scopes(&[scope])
    }

    pub(crate) fn sign(&self) -> String {
        self.sign_with(KEY)
    }

    /// Signed with somebody else's secret.
    pub(crate) fn sign_with(&self, secret: &str) -> String {
        encode(&Header::default(), &self.0, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
    }
}
