//! Who is at the door: turns a request into a principal. Nothing else can make one of a request.

mod api_key;
#[cfg(feature = "fuzzing")]
pub(super) mod fuzzing;
mod host_key;
mod issuers;
mod jwks;
mod key_set;
mod keys;
mod local;
mod refusal;
mod scopes;
mod token;
mod verifier;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use stepmill_core::ids::TenantId;
use stepmill_core::principal::{Principal, Rules, Standing, TrustedClaims};
use stepmill_core::role::Roles;
use stepmill_core::scope::ADMIN;

use super::door::Door;
use super::error::ApiError;
use crate::app::App;
use crate::settings::{AuthMode, AuthSettings};
use host_key::HostKey;
use issuers::Issuers;
use key_set::KeySetFault;
use refusal::Refusal;

/// The tenant of callers whose tenant is not known.
const DEFAULT_TENANT: &str = "default";

/// Paths that need no token.
const PUBLIC: [&str; 7] =
    ["/", "/health", "/info", "/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json"];

/// The keys of the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthFault {
    /// No key of a kind that one of the algorithms needs.
    #[error("{0}: the key is no public key in PEM of the kind the algorithm needs")]
    Key(String),
    /// An algorithm is accepted that nothing could verify.
    #[error("{place}: there is no key for {algorithm}")]
    NoKey {
        /// The issuer, as the settings call it.
        place: String,
        /// As tokens write it.
        algorithm: String,
    },
    /// The file with keys.
    #[error("{place}.jwks_file cannot be used")]
    KeySet {
        /// The issuer, as the settings call it.
        place: String,
        /// Why.
        #[source]
        source: KeySetFault,
    },
    /// The client that fetches keys.
    #[error("the client that fetches an issuer's keys cannot be set up")]
    Client(#[source] reqwest::Error),
}

/// How callers are known, and how far members go.
pub(super) struct Auth {
    mode: Mode,
    rules: Rules,
    roles: Arc<Roles>,
}

enum Mode {
    /// Not at all: whoever reaches the loopback address is the operator.
    Open,
    /// Whoever has the host's key is the operator.
    Key(HostKey),
    /// By a token.
    Jwt(Issuers),
}

impl Auth {
    /// Prepares the verification. Needs a runtime if there are keys to fetch.
    pub(super) fn of(settings: &AuthSettings) -> Result<Self, AuthFault> {
        let rules = settings.rules;
        let roles = Arc::new(settings.roles.clone());
        let mode = match &settings.mode {
            AuthMode::None => Mode::Open,
            AuthMode::Key(key) => Mode::Key(HostKey::of(key)),
            AuthMode::Jwt(tokens) => Mode::Jwt(Issuers::of(tokens, rules, &roles)?),
        };
        Ok(Self { mode, rules, roles })
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

    /// Who sent a request, and the admin scope where scopes count; `None` where nobody is asked.
    async fn admit(
        &self,
        app: &App,
        request: &Parts,
        allows_origin: impl Fn(&str) -> bool,
    ) -> Result<Option<(Principal, Option<&str>)>, Refusal> {
        let (method, headers) = (&request.method, &request.headers);
        // No route answers OPTIONS, so there is nothing to guard.
        let is_for_all = *method == Method::OPTIONS || is_public(request.uri.path());
        match &self.mode {
            Mode::Open => {
                local::check_local(method, headers, allows_origin)?;
                Ok(Some((operator(), None)))
            }
            Mode::Key(_) | Mode::Jwt(_) if is_for_all => Ok(None),
            Mode::Key(key) => match (key.check(headers), api_key::shown(headers)) {
                (Ok(()), _) => Ok(Some((operator(), None))),
                (Err(_), Some(shown)) => self.admit_holder(app, shown).await,
                (Err(refusal), None) => Err(refusal),
            },
            Mode::Jwt(issuers) => {
                if let Some(shown) = api_key::shown(headers) {
                    return self.admit_holder(app, shown).await;
                }
                let (who, admin) = issuers.principal(method, headers, allows_origin).await?;
                Ok(Some((who, Some(admin))))
            }
        }
    }

    /// Who showed an API key.
    async fn admit_holder(
        &self,
        app: &App,
        shown: &str,
    ) -> Result<Option<(Principal, Option<&str>)>, Refusal> {
        let who = api_key::principal(app, shown, self.rules, &self.roles).await?;
        Ok(Some((who, Some(ADMIN))))
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
        held: BTreeSet::new(),
        standing: Standing::Open,
        key: None,
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
    let asked = Asked::of(&parts);
    let (who, admin) = match door.auth.admit(&door.app, &parts, allows_origin).await {
        Ok(Some((who, admin))) => (Arc::new(who), admin),
        Ok(None) => return next.run(Request::from_parts(parts, body)).await,
        Err(refusal) => {
            let answer = refusal.response();
            asked.note_denial(&door, None, &answer);
            return answer;
        }
    };
    // Before anything of the body is read. Whether the host is up, everybody may ask.
    if !is_public(parts.uri.path())
        && let Err(fault) = door.app.request_admit(&who)
    {
        return ApiError::from(fault).into_response();
    }
    let allowed = admin.map_or(Ok(()), |admin| scopes::check(&parts, &who, admin));
    let answer = match allowed {
        Ok(()) => {
            parts.extensions.insert(Admitted(who.clone()));
            next.run(Request::from_parts(parts, body)).await
        }
        Err(refusal) => refusal.response(),
    };
    asked.note_denial(&door, Some(&who), &answer);
    answer
}

/// What a request is for, without what it is about.
struct Asked {
    method: Method,
    route: Option<MatchedPath>,
}

impl Asked {
    fn of(request: &Parts) -> Self {
        let route = request.extensions.get::<MatchedPath>().cloned();
        Self { method: request.method.clone(), route }
    }

    /// What was not let be done is for the audit log. A host that knows nobody has nothing to tell
    /// of anybody.
    fn note_denial(&self, door: &Door, who: Option<&Principal>, answer: &Response) {
        let is_denied = matches!(answer.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        if is_denied && !door.auth.is_open() {
            let route = self.route.as_ref().map_or("no route", MatchedPath::as_str);
            door.app.denied(who, format!("{} {route}", self.method));
        }
    }
}

/// A principal that the guard let in.
#[derive(Clone)]
struct Admitted(Arc<Principal>);

/// The caller of a handler. A handler that takes one is only reached by admitted requests.
pub(super) struct Caller(pub(super) Principal);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let admitted = parts.extensions.get::<Admitted>();
        let missing = || Refusal::Missing("Authorization header missing".into()).response();
        admitted.map(|it| Self((*it.0).clone())).ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests;
