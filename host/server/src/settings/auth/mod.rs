//! Who may come in: nobody known, whoever has the host's key, or whoever has a token.

mod file;
mod issuer;

use std::collections::BTreeSet;

use reqwest::Url;
use secrecy::SecretString;
use stepmill_core::ids::TenantId;
use stepmill_core::principal::Rules;
use stepmill_core::role::Roles;

pub(super) use file::AuthFile;

/// Who may come in, and how far members go.
#[derive(Default)]
pub struct AuthSettings {
    /// How callers are known.
    pub mode: AuthMode,
    /// How far members go.
    pub rules: Rules,
    /// What roles stand for.
    pub roles: Roles,
}

/// How callers are known.
#[derive(Default)]
pub enum AuthMode {
    /// Not at all: everybody is served, on loopback only.
    #[default]
    None,
    /// Whoever has this key is the operator.
    Key(SecretString),
    /// By a token.
    Jwt(TokenSettings),
}

impl AuthMode {
    /// Whether callers are not known at all.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// For a banner.
    pub fn describe(&self) -> String {
        match self {
            Self::None => "none: this machine only".into(),
            Self::Key(_) => "security key".into(),
            Self::Jwt(tokens) => {
                let accepted = |it: &JwtAlgorithm| {
                    tokens.issuers.iter().any(|issuer| issuer.algorithms.contains(it))
                };
                let names = JwtAlgorithm::ALL.into_iter().filter(accepted).map(JwtAlgorithm::name);
                let names: Vec<_> = names.collect();
                let issuers = match tokens.issuers.len() {
                    1 => String::new(),
                    several => format!(" of {several} issuers"),
                };
                format!("JWT{issuers}, {}", names.join(", "))
            }
        }
    }
}

/// Where tokens are, and whose count.
pub struct TokenSettings {
    /// Where a request carries its token.
    pub source: TokenSource,
    /// The cookie with the token.
    pub cookie: String,
    /// Who signs tokens. No two are of one name, and one at most takes tokens of any name.
    pub issuers: Vec<IssuerSettings>,
}

/// How the tokens of one issuer are verified, and what its word counts for. Every check is on.
#[derive(Clone)]
pub struct IssuerSettings {
    /// What the settings file calls it: `auth.jwt` or `auth.issuers.NAME`.
    pub place: String,
    /// What may sign. Nothing else is accepted, whatever a token or a key says.
    pub algorithms: Vec<JwtAlgorithm>,
    /// Shared secrets, and public keys as PEM.
    pub keys: Vec<SecretString>,
    /// The text of a file with a JSON Web Key Set.
    pub jwks_file: Option<String>,
    /// Where the issuer publishes its keys.
    pub jwks: Option<JwksSettings>,
    /// Accepted audiences; a token must name one of them. Empty: not checked.
    pub audience: Vec<String>,
    /// What its tokens call it. `None`: whatever no other issuer is called.
    pub issuer: Option<String>,
    /// The tenants it may speak for. `None`: all.
    pub tenants: Option<BTreeSet<TenantId>>,
    /// The claim that names the user.
    pub user_claim: String,
    /// The claim that names the tenant. A token without it belongs to the tenant `default`.
    pub tenant_claim: String,
    /// The claim that names the conversation the token is for.
    pub session_claim: String,
    /// The claim with the scopes: a list, or one scope as text.
    pub scopes_claim: String,
    /// The claim with the roles: a list, or one role as text.
    pub roles_claim: String,
    /// The scope that may do everything inside its tenant.
    pub admin_scope: String,
    /// The scope of the host's operator: as an admin, and what is the host's as a whole. `None`:
    /// nobody is the operator by this issuer's word.
    pub operator_scope: Option<String>,
    /// Claims that become a run's dependencies.
    pub dependencies_claims: Vec<String>,
    /// Claims that become a run's first session state.
    pub session_state_claims: Vec<String>,
    /// How far the clocks of issuer and host may differ.
    pub leeway_seconds: u64,
}

/// A signature algorithm the host accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "RFC 7518 and RFC 8037 say what each is")]
pub enum JwtAlgorithm {
    Hs256,
    Hs384,
    Hs512,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl JwtAlgorithm {
    /// All there are.
    pub const ALL: [Self; 12] = [
        Self::Hs256,
        Self::Hs384,
        Self::Hs512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// As tokens write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The fewest bytes of a shared secret. `None` if it takes none.
    ///
    /// RFC 7518, 3.2: a key of at least the size of the hash's output.
    pub fn secret_bytes(self) -> Option<usize> {
        match self {
            Self::Hs256 => Some(32),
            Self::Hs384 => Some(48),
            Self::Hs512 => Some(64),
            _ => None,
        }
    }
}

/// Whether a key is a text in PEM, and so no shared secret.
pub(crate) fn is_pem(key: &str) -> bool {
    key.trim_start().starts_with("-----BEGIN ")
}

/// Where a request carries its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenSource {
    /// In `Authorization`.
    Header,
    /// In a cookie.
    Cookie,
    /// In `Authorization`, or else in a cookie.
    HeaderOrCookie,
}

/// Keys that the issuer publishes and replaces now and then.
#[derive(Debug, Clone)]
pub struct JwksSettings {
    /// Where: `https://…`, or `http://…` on this machine.
    pub url: Url,
    /// How often the keys are fetched anew.
    pub max_age_ms: u64,
    /// The least time between two fetches, also when tokens name keys nobody knows.
    pub gap_ms: u64,
    /// How long keys count after they were fetched last, while the issuer cannot be reached.
    pub stale_ms: u64,
    /// From the request to the end of the answer.
    pub timeout_ms: u64,
    /// The largest answer.
    pub body_bytes: usize,
}

impl JwksSettings {
    /// The keys at an address, with the times and sizes that suit most issuers.
    pub fn new(url: Url) -> Self {
        Self {
            url,
            max_age_ms: 600_000,
            gap_ms: 10_000,
            stale_ms: 86_400_000,
            timeout_ms: 5_000,
            body_bytes: 256 * 1024,
        }
    }
}
