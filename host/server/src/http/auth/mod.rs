//! Who is at the door: turns a request into a principal. Nothing else can make one of a request.

mod host_key;
mod jwks;
mod key_set;
mod keys;
mod local;
mod refusal;
mod scopes;
mod token;
mod verifier;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::Method;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use stepmill_core::ids::TenantId;
use stepmill_core::principal::{Principal, Rules, Standing, TrustedClaims};

use super::door::Door;
use super::error::ApiError;
use crate::settings::{AuthMode, AuthSettings};
use host_key::HostKey;
use key_set::KeySetFault;
use refusal::Refusal;
use verifier::Verifier;

/// The tenant of callers whose tenant is not known.
const DEFAULT_TENANT: &str = "default";

/// Paths that need no token.
const PUBLIC: [&str; 7] =
    ["/", "/health", "/info", "/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json"];

/// The keys of the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthFault {
    /// No key of a kind that one of the algorithms needs.
    #[error("auth.jwt: the key is no public key in PEM of the kind the algorithm needs")]
    Key,
    /// An algorithm is accepted that nothing could verify.
    #[error("auth.jwt: there is no key for {0}")]
    NoKey(String),
    /// The file with keys.
    #[error("auth.jwt.jwks_file cannot be used")]
    KeySet(#[source] KeySetFault),
    /// The client that fetches keys.
    #[error("auth.jwt.jwks_url: the client cannot be set up")]
    Client(#[source] reqwest::Error),
}

/// How callers are known, and how far members go.
pub(super) struct Auth {
    mode: Mode,
    rules: Rules,
}

enum Mode {
    /// Not at all: whoever reaches the loopback address is the operator.
    Open,
    /// Whoever has the host's key is the operator.
    Key(HostKey),
    /// By a token.
    Jwt(Box<Verifier>),
}

impl Auth {
    /// Prepares the verification. Needs a runtime if there are keys to fetch.
    pub(super) fn of(settings: &AuthSettings) -> Result<Self, AuthFault> {
        let rules = settings.rules;
        let mode = match &settings.mode {
            AuthMode::None => Mode::Open,
            AuthMode::Key(key) => Mode::Key(HostKey::of(key)),
            AuthMode::Jwt(jwt) => Mode::Jwt(Box::new(Verifier::of(jwt, rules)?)),
        };
        Ok(Self { mode, rules })
    }

    /// As `/info` calls it.
    pub(super) fn name(&self) -> &'static str {
        match self.mode {
            Mode::Open => "none",
            Mode::Key(_) => "security_key",
            Mode::Jwt(_) => "jwt",
        }
    }

    /// Whether nobody is asked who it is.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.mode, Mode::Open)
    }

    /// Whether there are users, and each sees its own runs only.
    pub(super) fn isolates_users(&self) -> bool {
        matches!(self.mode, Mode::Jwt(_)) && self.rules.user_isolation
    }

    /// Who sent a request; `None` where nobody is asked.
    async fn admit(
        &self,
        request: &Parts,
        allows_origin: impl Fn(&str) -> bool,
    ) -> Result<Option<Principal>, Refusal> {
        let (method, headers) = (&request.method, &request.headers);
        // No route answers OPTIONS, so there is nothing to guard.
        let is_for_all = *method == Method::OPTIONS || is_public(request.uri.path());
        match &self.mode {
            Mode::Open => {
                local::check_local(method, headers, allows_origin)?;
                Ok(Some(operator()))
            }
            Mode::Key(_) | Mode::Jwt(_) if is_for_all => Ok(None),
            Mode::Key(key) => key.check(headers).map(|()| Some(operator())),
            Mode::Jwt(verifier) => {
                let who = verifier.principal(method, headers, allows_origin).await?;
                scopes::check(request, &who, &verifier.admin_scope)?;
                Ok(Some(who))
            }
        }
    }
}

/// Whether a path needs no token.
pub(super) fn is_public(path: &str) -> bool {
    PUBLIC.contains(&path)
}

/// Whoever comes in where the host knows no users.
fn operator() -> Principal {
    Principal {
        tenant: default_tenant(),
        user: None,
        trusted: TrustedClaims::default(),
        standing: Standing::Open,
        rules: Rules::default(),
        session: None,
        dependencies: None,
        session_state: None,
    }
}

fn default_tenant() -> TenantId {
    TenantId::new(DEFAULT_TENANT).expect("the constant is a tenant id")
}

/// Lets a request in with its principal, or turns it away.
pub(super) async fn guard(State(door): State<Door>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let allows_origin = |it: &str| door.settings.allows_origin(it);
    match door.auth.admit(&parts, allows_origin).await {
        Ok(None) => {}
        Ok(Some(who)) => {
            // Before anything of the body is read. Whether the host is up, everybody may ask.
            if !is_public(parts.uri.path())
                && let Err(fault) = door.app.request_admit(&who)
            {
                return ApiError::from(fault).into_response();
            }
            parts.extensions.insert(Admitted(who));
        }
        Err(refusal) => return refusal.response(),
    }
    next.run(Request::from_parts(parts, body)).await
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
        let missing = || Refusal::Missing("Authorization header missing".into()).response();
        admitted.map(|it| Self(it.0.clone())).ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests;
