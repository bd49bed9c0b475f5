//! The request context: who asks, for what, with what.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;

use crate::wit::stepmill::plugin::types as wire;
use crate::{AnyInput, FactoryError, Input};

/// A JSON object as read.
pub type JsonObject = serde_json::Map<String, serde_json::Value>;

/// Who asks, for what, with what. `I` is the type of the input, `C` that of the claims.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestContext<I = AnyInput, C = JsonObject> {
    /// The verified subject, or what the client says if the host runs without authentication.
    pub user_id: Option<String>,
    /// The session the client names.
    pub session_id: Option<String>,
    /// `factory_input`, valid against the schema of `I`. Written by the client.
    pub input: I,
    /// The HTTP request. Written by the client: not to be trusted.
    pub request: Request,
    /// What the host verified. Nothing a client writes reaches it.
    pub trusted: Trusted<C>,
}

/// The HTTP request that asks for the workflow. Written by the client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// In upper case: `POST`, `GET`.
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// Name in lower case, and value; only the headers that the operator allows.
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// The first header of this name, which is written in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }
}

/// What the host verified.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trusted<C = JsonObject> {
    /// The tenant the caller belongs to.
    pub tenant: String,
    /// The claims of the verified token: all of them as a JSON object, or those that `C` names.
    /// On a host without authentication there are none.
    pub claims: C,
    /// The literal scopes of the verified token.
    pub scopes: BTreeSet<String>,
}

impl<I: Input, C: DeserializeOwned> RequestContext<I, C> {
    /// Reads what the host sent.
    ///
    /// Claims that do not fit `C` are a [`FactoryError::Permission`]: the token is good, but
    /// not one that this factory lets in.
    pub(crate) fn read(context: wire::RequestContext) -> Result<Self, FactoryError> {
        let claims = serde_json::from_str(&object(&context.trusted.claims)).map_err(|_| {
            FactoryError::permission("the token's claims are not what this factory expects")
        })?;
        let headers = context.request.headers.into_iter();
        Ok(Self {
            user_id: context.user_id,
            session_id: context.session_id,
            input: I::read(context.input.as_deref())?,
            request: Request {
                method: context.request.method,
                path: context.request.path,
                headers: headers.map(|it| (it.name, it.value)).collect(),
            },
            trusted: Trusted {
                tenant: context.trusted.tenant,
                claims,
                scopes: context.trusted.scopes.into_iter().collect(),
            },
        })
    }
}

/// The claims as one JSON object: their values are JSON already.
fn object(claims: &[wire::Claim]) -> String {
    let mut text = String::from("{");
    for (place, claim) in claims.iter().enumerate() {
        if 0 < place {
            text.push(',');
        }
        text.push_str(&serde_json::Value::from(claim.name.as_str()).to_string());
        text.push(':');
        text.push_str(&claim.value);
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Paid {
        tier: String,
        #[serde(default)]
        seats: u32,
    }

    fn context(claims: &[(&str, &str)]) -> wire::RequestContext {
        let claims = claims.iter().map(|(name, value)| wire::Claim {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        });
        let header = wire::Header { name: "accept".into(), value: "text/plain".into() };
        wire::RequestContext {
            user_id: Some("ada".into()),
            session_id: None,
            input: Some(r#"{"tier":"free"}"#.into()),
            request: wire::Request {
                method: "POST".into(),
                path: "/workflows/w/runs".into(),
                headers: vec![header],
            },
            trusted: wire::TrustedContext {
                tenant: "acme".into(),
                claims: claims.collect(),
                scopes: vec!["workflows:run".into(), "workflows:read".into()],
            },
        }
    }

    #[test]
    fn claims_and_input_stay_apart() {
        let claims = [("tier", r#""enterprise""#), ("odd \"name\"", "[1,{}]")];
        let ctx: RequestContext = RequestContext::read(context(&claims)).unwrap();
        assert_eq!(ctx.trusted.claims.get("tier"), Some(&json!("enterprise")));
        assert_eq!(ctx.trusted.claims.get("odd \"name\""), Some(&json!([1, {}])));
        assert_eq!(ctx.input.as_ref().unwrap().get("tier"), Some(&json!("free")));
        assert_eq!(ctx.user_id.as_deref(), Some("ada"));
        assert_eq!(ctx.session_id, None);
        assert_eq!(ctx.trusted.tenant, "acme");
        assert_eq!(ctx.request.header("accept"), Some("text/plain"));
        assert!(ctx.trusted.scopes.contains("workflows:run"));
        assert!(!ctx.trusted.scopes.contains("workflows"));
    }

    #[test]
    fn claims_are_read_as_the_type_the_factory_names() {
        let claims = [("tier", r#""pro""#), ("seats", "3"), ("iss", r#""elsewhere""#)];
        let ctx: RequestContext<AnyInput, Paid> = RequestContext::read(context(&claims)).unwrap();
        assert_eq!(ctx.trusted.claims, Paid { tier: "pro".into(), seats: 3 });
    }

    #[test]
    fn a_token_without_the_claims_is_not_let_in() {
        for claims in [&[][..], &[("tier", "7")], &[("tier", r#""pro""#), ("seats", "-1")]] {
            let error = RequestContext::<AnyInput, Paid>::read(context(claims)).unwrap_err();
            let text = "the token's claims are not what this factory expects";
            assert_eq!(error, FactoryError::permission(text));
        }
    }
}
