//! Who is at the door: turns a token into a principal. Nothing else can make one of a request.

use std::net::IpAddr;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use secrecy::ExposeSecret;
use serde_json::{Map, Value};
use stepmill_core::ids::{TenantId, UserId};
use stepmill_core::principal::{Principal, Standing, TrustedClaims};

use super::door::Door;
use super::error::detail;
use crate::settings::{JwtAlgorithm, JwtSettings};

/// The tenant of callers whose tenant is not known.
const DEFAULT_TENANT: &str = "default";

/// Paths that need no token.
const PUBLIC: [&str; 6] = ["/", "/health", "/info", "/docs", "/redoc", "/openapi.json"];

/// The verification key is not what the algorithm needs.
#[derive(Debug, thiserror::Error)]
#[error("auth.jwt: the key is no public key in PEM of the kind the algorithm needs")]
pub struct AuthFault;

/// How callers are known.
pub(super) enum Auth {
    /// Not at all: whoever reaches the loopback address is the operator.
    Open,
    /// By a token with one key's signature.
    Jwt(Box<Verifier>),
}

pub(super) struct Verifier {
    key: DecodingKey,
    validation: Validation,
    user_claim: String,
    tenant_claim: String,
    scopes_claim: String,
    admin_scope: String,
}

/// Why nobody comes in. The texts are Agno's: people know them.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("Authorization header missing")]
    Missing,
    #[error("Token has expired")]
    Expired,
    #[error("Invalid token audience - token not valid for this AgentOS instance")]
    Audience,
    #[error("Invalid token subject")]
    Subject,
    #[error("Invalid token tenant")]
    Tenant,
    #[error("Invalid token: {0}")]
    Token(String),
}

impl Auth {
    /// Prepares the verification.
    pub(super) fn of(settings: Option<&JwtSettings>) -> Result<Self, AuthFault> {
        let Some(settings) = settings else { return Ok(Self::Open) };
        let key = settings.key.expose_secret().as_bytes();
        let (algorithm, key) = match settings.algorithm {
            JwtAlgorithm::Hs256 => (Algorithm::HS256, Ok(DecodingKey::from_secret(key))),
            JwtAlgorithm::Rs256 => (Algorithm::RS256, DecodingKey::from_rsa_pem(key)),
            JwtAlgorithm::Es256 => (Algorithm::ES256, DecodingKey::from_ec_pem(key)),
            JwtAlgorithm::EdDsa => (Algorithm::EdDSA, DecodingKey::from_ed_pem(key)),
        };
        // The library's defaults are lax: a token without `aud` passes an audience check, `nbf`
        // is not looked at, and a minute of leeway is given.
        let mut validation = Validation::new(algorithm);
        let mut required = vec!["exp"];
        validation.leeway = settings.leeway_seconds;
        validation.validate_nbf = true;
        validation.validate_aud = !settings.audience.is_empty();
        if validation.validate_aud {
            validation.set_audience(&settings.audience);
            required.push("aud");
        }
        if let Some(issuer) = &settings.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        validation.set_required_spec_claims(&required);
        Ok(Self::Jwt(Box::new(Verifier {
            key: key.map_err(|_| AuthFault)?,
            validation,
            user_claim: settings.user_claim.clone(),
            tenant_claim: settings.tenant_claim.clone(),
            scopes_claim: settings.scopes_claim.clone(),
            admin_scope: settings.admin_scope.clone(),
        })))
    }
}

impl Verifier {
    fn principal(&self, headers: &HeaderMap) -> Result<Principal, Refusal> {
        let token = bearer(headers).ok_or(Refusal::Missing)?;
        let claims = jsonwebtoken::decode::<Map<String, Value>>(token, &self.key, &self.validation);
        let claims = claims.map_err(|fault| refusal(token, fault.kind()))?.claims;
        let user = match claims.get(&self.user_claim) {
            None | Some(Value::Null) => None,
            Some(Value::String(it)) if !is_reserved(it) => {
                Some(UserId::new(it.as_str()).map_err(|_| Refusal::Subject)?)
            }
            Some(_) => return Err(Refusal::Subject),
        };
        let tenant = match claims.get(&self.tenant_claim) {
            None | Some(Value::Null) => default_tenant(),
            Some(Value::String(it)) => TenantId::new(it.as_str()).map_err(|_| Refusal::Tenant)?,
            Some(_) => return Err(Refusal::Tenant),
        };
        let trusted = TrustedClaims { scopes: scopes(claims.get(&self.scopes_claim)), claims };
        let is_admin = trusted.scopes.contains(&self.admin_scope);
        let standing = if is_admin { Standing::Admin } else { Standing::Member };
        Ok(Principal { tenant, user, trusted, standing })
    }
}

/// `Bearer x` in any case, or the bare token.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim();
    let token = match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => text,
    };
    (!token.is_empty()).then_some(token)
}

fn refusal(token: &str, kind: &ErrorKind) -> Refusal {
    let text = match kind {
        ErrorKind::ExpiredSignature => return Refusal::Expired,
        ErrorKind::InvalidAudience => return Refusal::Audience,
        _ if token.split('.').count() != 3 => "Not enough segments",
        ErrorKind::InvalidSignature => "Signature verification failed",
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => {
            "The specified alg value is not allowed"
        }
        ErrorKind::ImmatureSignature => "The token is not yet valid (nbf)",
        ErrorKind::InvalidIssuer => "Invalid issuer",
        ErrorKind::MissingRequiredClaim(claim) if claim == "aud" => {
            "Token is missing the \"aud\" claim. Audience verification requires this claim to be present in the token."
        }
        ErrorKind::MissingRequiredClaim(claim) => {
            return Refusal::Token(format!("Token is missing the \"{claim}\" claim"));
        }
        // An unknown `alg` does not even parse.
        ErrorKind::Json(_) => "The specified alg value is not allowed",
        _ => "Malformed",
    };
    Refusal::Token(text.to_owned())
}

/// Names that belong to the host itself.
fn is_reserved(subject: &str) -> bool {
    subject == "__scheduler__" || subject.starts_with("sa:") || subject.starts_with("__oauth__:")
}

/// A list of texts, or one text as one scope.
fn scopes(claim: Option<&Value>) -> std::collections::BTreeSet<String> {
    match claim {
        Some(Value::String(it)) => [it.clone()].into(),
        Some(Value::Array(items)) => {
            items.iter().filter_map(|it| Some(it.as_str()?.to_owned())).collect()
        }
        _ => Default::default(),
    }
}

fn default_tenant() -> TenantId {
    TenantId::new(DEFAULT_TENANT).expect("the constant is a tenant id")
}

/// Lets a request in with its principal, or turns it away.
pub(super) async fn guard(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let principal = match door.auth.as_ref() {
        Auth::Open => {
            match open(request.method(), request.headers(), |it| door.settings.allows_origin(it)) {
                Ok(principal) => principal,
                Err(text) => return detail(StatusCode::FORBIDDEN, text),
            }
        }
        // No route answers OPTIONS, so there is nothing to guard.
        Auth::Jwt(_) if request.method() == Method::OPTIONS => return next.run(request).await,
        Auth::Jwt(_) if is_public(request.uri().path()) => return next.run(request).await,
        Auth::Jwt(verifier) => match verifier.principal(request.headers()) {
            Ok(principal) => principal,
            Err(refusal) => {
                let mut response = detail(StatusCode::UNAUTHORIZED, refusal.to_string());
                let challenge = HeaderValue::from_static("Bearer");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
                return response;
            }
        },
    };
    request.extensions_mut().insert(Admitted(principal));
    next.run(request).await
}

/// Whether a path needs no token.
pub(super) fn is_public(path: &str) -> bool {
    PUBLIC.contains(&path)
}

/// An open host listens on loopback, but a browser on the same machine reaches it too, on behalf
/// of any page it shows. A page cannot choose the `Host` it is rebound to, nor its `Origin`; pages
/// of the origins the operator allows are welcome.
fn open(
    method: &Method,
    headers: &HeaderMap,
    allows: impl Fn(&str) -> bool,
) -> Result<Principal, &'static str> {
    let text = |name| headers.get(name).map(|it: &HeaderValue| it.to_str().unwrap_or_default());
    if text(header::HOST).is_some_and(|it| !is_local(it)) {
        return Err("Host not allowed: a host without authentication serves localhost only");
    }
    let is_ours = |origin: &str| {
        allows(origin) || origin.split_once("://").is_some_and(|(_, rest)| is_local(rest))
    };
    if !method.is_safe() && text(header::ORIGIN).is_some_and(|it| !is_ours(it)) {
        return Err("Origin not allowed: a host without authentication serves localhost only");
    }
    let trusted = TrustedClaims::default();
    Ok(Principal { tenant: default_tenant(), user: None, trusted, standing: Standing::Open })
}

/// `localhost` or a loopback address, with or without a port.
fn is_local(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let is_loopback = |it: &str| it.parse::<IpAddr>().is_ok_and(|it| it.is_loopback());
    host.eq_ignore_ascii_case("localhost") || is_loopback(host)
}

/// A principal that the guard let in.
#[derive(Clone)]
struct Admitted(Principal);

/// The caller of a handler. A handler that takes one is only reached by admitted requests.
pub(super) struct Caller(pub(super) Principal);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let admitted = parts.extensions.get::<Admitted>();
        let refused =
            || detail(StatusCode::UNAUTHORIZED, Refusal::Missing.to_string()).into_response();
        admitted.map(|it| Self(it.0.clone())).ok_or_else(refused)
    }
}

#[cfg(test)]
mod tests;
