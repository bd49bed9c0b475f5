//! `[auth]` as the settings file writes it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use stepmill_core::principal::Rules;
use stepmill_core::role::Roles;
use stepmill_core::scope::{ADMIN, OPERATOR};

use super::super::environment::Environment;
use super::super::file::{SettingsFault, overlay, read_text, secret, value};
use super::{AuthMode, AuthSettings, JwksSettings, JwtAlgorithm, JwtSettings, TokenSource, is_pem};

/// The largest difference of clocks that can be set. More would make expiry meaningless.
const MAX_LEEWAY_SECONDS: u64 = 300;

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(in crate::settings) struct AuthFile {
    authorization: Option<bool>,
    user_isolation: Option<bool>,
    roles: BTreeMap<String, BTreeSet<String>>,
    key: Option<KeyFile>,
    jwt: Option<JwtFile>,
}

/// Where one key is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    key_file: Option<PathBuf>,
    key_env: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JwtFile {
    algorithm: Option<String>,
    #[serde(default)]
    algorithms: Vec<String>,
    key_file: Option<PathBuf>,
    key_env: Option<String>,
    #[serde(default)]
    keys: Vec<KeyFile>,
    jwks_file: Option<PathBuf>,
    jwks_url: Option<String>,
    #[serde(default)]
    jwks: JwksFile,
    token_source: Option<String>,
    cookie: Option<String>,
    #[serde(default)]
    audience: Vec<String>,
    issuer: Option<String>,
    user_claim: Option<String>,
    tenant_claim: Option<String>,
    session_claim: Option<String>,
    scopes_claim: Option<String>,
    roles_claim: Option<String>,
    admin_scope: Option<String>,
    operator_scope: Option<String>,
    #[serde(default)]
    dependencies_claims: Vec<String>,
    #[serde(default)]
    session_state_claims: Vec<String>,
    leeway_seconds: Option<u64>,
}

overlay! {
    /// `[auth.jwt.jwks]`: how `jwks_url` is read.
    JwksFile over JwksSettings {
        max_age_ms: u64 => max_age_ms,
        gap_ms: u64 => gap_ms,
        stale_ms: u64 => stale_ms,
        timeout_ms: u64 => timeout_ms,
        body_bytes: usize => body_bytes,
    }
}

impl AuthFile {
    /// Reads the keys it names and checks what it says. A token outweighs the host's key.
    pub(in crate::settings) fn settings(
        self,
        environment: &Environment,
    ) -> Result<AuthSettings, SettingsFault> {
        let default = Rules::default();
        let rules = Rules {
            authorization: self.authorization.unwrap_or(default.authorization),
            user_isolation: self.user_isolation.unwrap_or(default.user_isolation),
        };
        let mode = match (self.jwt, self.key) {
            (Some(jwt), _) => AuthMode::Jwt(Box::new(jwt.settings(environment)?)),
            (None, Some(key)) => AuthMode::Key(key.read("auth.key", environment)?),
            (None, None) => AuthMode::None,
        };
        let operators = match &mode {
            AuthMode::Jwt(jwt) => Some(jwt.operator_scope.clone()),
            AuthMode::None | AuthMode::Key(_) => None,
        };
        let mut roles = Roles::new(operators);
        for (name, scopes) in self.roles {
            let place = format!("auth.roles.{name}");
            roles.add(name, scopes).map_err(|fault| value(place, fault.to_string()))?;
        }
        Ok(AuthSettings { mode, rules, roles })
    }
}

impl KeyFile {
    fn read(self, place: &str, environment: &Environment) -> Result<SecretString, SettingsFault> {
        let key = secret(place, self.key_file, self.key_env, environment)?;
        match key {
            Some(key) if !key.expose_secret().is_empty() => Ok(key),
            Some(_) => Err(value(place, "the key is empty")),
            None => Err(value(place, "`key_file` or `key_env` is required")),
        }
    }
}

impl JwtFile {
    fn settings(self, environment: &Environment) -> Result<JwtSettings, SettingsFault> {
        let algorithms = algorithms(self.algorithm, self.algorithms)?;
        let mut keys = Vec::new();
        let has_jwks = self.jwks_file.is_some() || self.jwks_url.is_some();
        let first = match (self.key_file, self.key_env) {
            (None, None) if self.keys.is_empty() && !has_jwks => {
                Some(KeyFile { key_file: None, key_env: Some("JWT_VERIFICATION_KEY".into()) })
            }
            (None, None) => None,
            (key_file, key_env) => Some(KeyFile { key_file, key_env }),
        };
        if let Some(first) = first {
            keys.push(checked(first.read("auth.jwt", environment)?, "auth.jwt", &algorithms)?);
        }
        for (at, key) in self.keys.into_iter().enumerate() {
            let place = format!("auth.jwt.keys[{at}]");
            keys.push(checked(key.read(&place, environment)?, &place, &algorithms)?);
        }
        let leeway_seconds = self.leeway_seconds.unwrap_or(5);
        if MAX_LEEWAY_SECONDS < leeway_seconds {
            let rule = format!("at most {MAX_LEEWAY_SECONDS}");
            return Err(value("auth.jwt.leeway_seconds", rule));
        }
        let mut jwks = self.jwks_url.map(|it| url(&it).map(JwksSettings::new)).transpose()?;
        if let Some(settings) = &mut jwks {
            self.jwks.lay_over(settings);
            if settings.stale_ms < settings.max_age_ms {
                return Err(value("auth.jwt.jwks.stale_ms", "at least `max_age_ms`"));
            }
        }
        let admin_scope = self.admin_scope.unwrap_or_else(|| ADMIN.into());
        let operator_scope = self.operator_scope.unwrap_or_else(|| OPERATOR.into());
        if operator_scope.is_empty() || operator_scope == admin_scope {
            let rule = "not empty, and not the `admin_scope`: a tenant's admin is not the operator";
            return Err(value("auth.jwt.operator_scope", rule));
        }
        Ok(JwtSettings {
            algorithms,
            keys,
            jwks_file: self.jwks_file.map(read_text).transpose()?,
            jwks,
            token_source: token_source(self.token_source.as_deref())?,
            cookie: self.cookie.unwrap_or_else(|| "access_token".into()),
            audience: self.audience,
            issuer: self.issuer,
            user_claim: self.user_claim.unwrap_or_else(|| "sub".into()),
            tenant_claim: self.tenant_claim.unwrap_or_else(|| "tenant".into()),
            session_claim: self.session_claim.unwrap_or_else(|| "session_id".into()),
            scopes_claim: self.scopes_claim.unwrap_or_else(|| "scopes".into()),
            roles_claim: self.roles_claim.unwrap_or_else(|| "roles".into()),
            admin_scope,
            operator_scope,
            dependencies_claims: self.dependencies_claims,
            session_state_claims: self.session_state_claims,
            leeway_seconds,
        })
    }
}

fn algorithms(
    one: Option<String>,
    several: Vec<String>,
) -> Result<Vec<JwtAlgorithm>, SettingsFault> {
    let (place, words) = match (one, several.is_empty()) {
        (Some(one), true) => ("auth.jwt.algorithm", vec![one]),
        (None, false) => ("auth.jwt.algorithms", several),
        (None, true) => return Err(value("auth.jwt", "`algorithm` or `algorithms` is required")),
        (Some(_), false) => {
            return Err(value("auth.jwt", "give `algorithm` or `algorithms`, not both"));
        }
    };
    let mut found = Vec::new();
    for word in words {
        let Some(it) = JwtAlgorithm::ALL.into_iter().find(|it| it.name() == word) else {
            let names = JwtAlgorithm::ALL.map(JwtAlgorithm::name).join(", ");
            return Err(value(place, format!("one of {names}")));
        };
        if !found.contains(&it) {
            found.push(it);
        }
    }
    Ok(found)
}

/// A shared secret is as long as every algorithm that could use it asks for.
fn checked(
    key: SecretString,
    place: &str,
    algorithms: &[JwtAlgorithm],
) -> Result<SecretString, SettingsFault> {
    if is_pem(key.expose_secret()) {
        return Ok(key);
    }
    for algorithm in algorithms {
        let least = algorithm.secret_bytes();
        if let Some(bytes) = least.filter(|it| key.expose_secret().len() < *it) {
            let rule = format!("an {} key has at least {bytes} bytes", algorithm.name());
            return Err(value(place, rule));
        }
    }
    Ok(key)
}

fn token_source(word: Option<&str>) -> Result<TokenSource, SettingsFault> {
    match word {
        None | Some("header") => Ok(TokenSource::Header),
        Some("cookie") => Ok(TokenSource::Cookie),
        Some("header-or-cookie") => Ok(TokenSource::HeaderOrCookie),
        Some(_) => Err(value("auth.jwt.token_source", "one of header, cookie, header-or-cookie")),
    }
}

/// Keys that came over a line somebody can write to would let in whoever that is.
fn url(text: &str) -> Result<Url, SettingsFault> {
    const RULE: &str = "`https://…` without user and password, or `http://` on a loopback address";
    let fault = || value("auth.jwt.jwks_url", RULE);
    let url = Url::parse(text).map_err(|_| fault())?;
    let host = url.host_str().unwrap_or_default();
    let literal = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let is_local = host == "localhost" || literal.is_ok_and(|it| it.is_loopback());
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_local);
    let is_bare = url.username().is_empty() && url.password().is_none();
    if is_safe && is_bare { Ok(url) } else { Err(fault()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<AuthSettings, String> {
        let secret = "k".repeat(64);
        let vars =
            [("JWT_VERIFICATION_KEY", secret.as_str()), ("OLD", &secret), ("SHORT", "short")];
        let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let file: AuthFile = toml::from_str(text).map_err(|it| it.message().to_owned())?;
        file.settings(&Environment::of(vars)).map_err(|it| it.to_string())
    }

    fn jwt(text: &str) -> Result<JwtSettings, String> {
        match read(&format!("[jwt]\n{text}"))?.mode {
            AuthMode::Jwt(jwt) => Ok(*jwt),
            _ => panic!("there is a section for tokens"),
        }
    }

    fn fault(text: &str) -> String {
        jwt(text).err().expect("the settings are bad")
    }

    #[test]
    fn nothing_set_knows_nobody_and_keeps_the_rules_on() {
        let settings = read("").unwrap();
        assert!(settings.mode.is_none());
        assert_eq!(settings.rules, Rules { authorization: true, user_isolation: true });
        let off = read("authorization = false\nuser_isolation = false").unwrap();
        assert_eq!(off.rules, Rules { authorization: false, user_isolation: false });
    }

    #[test]
    fn a_token_outweighs_the_hosts_key() {
        let key = "[key]\nkey_env = \"SHORT\"";
        assert!(matches!(read(key).unwrap().mode, AuthMode::Key(_)));
        let both = read(&format!("{key}\n[jwt]\nalgorithm = \"HS256\"")).unwrap();
        assert!(matches!(both.mode, AuthMode::Jwt(_)));
        let none = read("[key]").err();
        assert_eq!(none.unwrap(), "auth.key: `key_file` or `key_env` is required");
        let missing = read("[key]\nkey_env = \"NOPE\"").err();
        assert_eq!(missing.unwrap(), "auth.key.key_env: the variable `NOPE` is not set");
    }

    #[test]
    fn what_was_understood_before_still_is() {
        let jwt = jwt("algorithm = \"HS256\"\nkey_env = \"OLD\"\naudience = [\"a\"]").unwrap();
        assert_eq!(jwt.algorithms, [JwtAlgorithm::Hs256]);
        assert_eq!((jwt.keys.len(), jwt.leeway_seconds), (1, 5));
        assert_eq!(jwt.token_source, TokenSource::Header);
        assert_eq!(jwt.session_claim, "session_id");
    }

    #[test]
    fn algorithms_and_keys_may_be_several() {
        let text = "algorithms = [\"HS256\", \"HS512\", \"HS256\"]\nkey_env = \"OLD\"\n\
                    keys = [{ key_env = \"JWT_VERIFICATION_KEY\" }]";
        let both = jwt(text).unwrap();
        assert_eq!(both.algorithms, [JwtAlgorithm::Hs256, JwtAlgorithm::Hs512]);
        assert_eq!(both.keys.len(), 2);
        let short = "algorithm = \"HS512\"\nkeys = [{ key_env = \"SHORT\" }]";
        assert_eq!(fault(short), "auth.jwt.keys[0]: an HS512 key has at least 64 bytes");
        assert_eq!(fault(""), "auth.jwt: `algorithm` or `algorithms` is required");
        assert!(fault("algorithms = [\"none\"]").starts_with("auth.jwt.algorithms: one of HS256"));
        assert!(fault("algorithm = \"HS256\"\nleeway_seconds = 301").contains("at most 300"));
        assert!(fault("algorithm = \"HS256\"\ntoken_source = \"query\"").contains("one of header"));
    }

    #[test]
    fn roles_may_be_added_and_reach_no_further_than_their_tenant() {
        let of = |line: &str| {
            read(&format!(
                "[roles]\n{line}\n[jwt]\nalgorithm = \"HS256\"\noperator_scope = \"root\""
            ))
        };
        let roles = of("support = [\"sessions:read\"]").unwrap().roles;
        assert!(roles.knows("support") && roles.knows("reader"));
        let fault = |line: &str| of(line).err().unwrap();
        assert!(fault("reader = []").starts_with("auth.roles.reader: every host has a role"));
        for scope in ["root", "stepmill:operator"] {
            let fault = fault(&format!("boss = [\"{scope}\"]"));
            assert!(fault.starts_with("auth.roles.boss: a role does not reach"), "{fault}");
        }
    }

    #[test]
    fn an_admin_of_a_tenant_is_not_the_operator_by_another_name() {
        let of = |line: &str| jwt(&format!("algorithm = \"HS256\"\n{line}"));
        let default = of("").unwrap();
        assert_eq!(default.admin_scope, "agent_os:admin");
        assert_eq!(default.operator_scope, "stepmill:operator");
        assert_eq!(of("operator_scope = \"root\"").unwrap().operator_scope, "root");
        for bad in ["operator_scope = \"\"", "operator_scope = \"agent_os:admin\""] {
            let fault = of(bad).err().unwrap();
            assert!(fault.starts_with("auth.jwt.operator_scope: not empty"), "{fault}");
        }
    }

    #[test]
    fn keys_come_over_a_line_nobody_writes_to() {
        let of = |url: &str| jwt(&format!("algorithm = \"RS256\"\njwks_url = \"{url}\""));
        for good in [
            "https://issuer.example/keys",
            "http://localhost:8080/",
            "http://127.0.0.1/",
            "http://[::1]/",
        ] {
            let jwt = of(good).unwrap();
            assert!(jwt.keys.is_empty() && jwt.jwks.is_some(), "{good}");
        }
        for bad in [
            "http://issuer.example/keys",
            "http://localhost.evil.example/",
            "http://10.0.0.1/",
            "https://user:hunter2@issuer.example/",
            "file:///etc/passwd",
            "issuer.example",
        ] {
            let text = of(bad).err().unwrap();
            assert!(text.starts_with("auth.jwt.jwks_url: `https://"), "{text}");
            assert!(!text.contains("hunter2"));
        }
        let stale = "algorithm = \"RS256\"\njwks_url = \"https://a/\"\njwks = { stale_ms = 1 }";
        assert_eq!(fault(stale), "auth.jwt.jwks.stale_ms: at least `max_age_ms`");
    }
}
