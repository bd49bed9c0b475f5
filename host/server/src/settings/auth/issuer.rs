//! `[auth.jwt]` and `[auth.issuers.NAME]` as the settings file writes them: the same keys, for one
//! issuer each.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use stepmill_core::ids::TenantId;
use stepmill_core::scope::{ADMIN, OPERATOR};

use super::super::environment::Environment;
use super::super::fault::{SettingsFault, read_text, value};
use super::super::sections::overlay;
use super::file::KeyFile;
use super::{IssuerSettings, JwksSettings, JwtAlgorithm, is_pem};

/// The largest difference of clocks that can be set. More would make expiry meaningless.
const MAX_LEEWAY_SECONDS: u64 = 300;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IssuerFile {
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
    /// Of the whole host; `[auth.jwt]` still may say it.
    pub(super) token_source: Option<String>,
    /// Likewise.
    pub(super) cookie: Option<String>,
    #[serde(default)]
    audience: Vec<String>,
    pub(super) issuer: Option<String>,
    tenants: Option<Vec<String>>,
    operator: Option<bool>,
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
    /// `jwks`: how `jwks_url` is read.
    JwksFile over JwksSettings {
        max_age_ms: u64 => max_age_ms,
        gap_ms: u64 => gap_ms,
        stale_ms: u64 => stale_ms,
        timeout_ms: u64 => timeout_ms,
        body_bytes: usize => body_bytes,
    }
}

impl IssuerFile {
    /// Where there is no word of any key, it is in this variable.
    pub(super) fn or_key_env(mut self, name: &str) -> Self {
        if !self.names_keys() {
            self.key_env = Some(name.to_owned());
        }
        self
    }

    fn names_keys(&self) -> bool {
        let first = self.key_file.is_some() || self.key_env.is_some();
        first || !self.keys.is_empty() || self.jwks_file.is_some() || self.jwks_url.is_some()
    }

    /// Reads the keys it names and checks what it says.
    pub(super) fn settings(
        self,
        place: &str,
        environment: &Environment,
    ) -> Result<IssuerSettings, SettingsFault> {
        if !self.names_keys() {
            let rule = "`key_file`, `key_env`, `keys`, `jwks_file` or `jwks_url` is required";
            return Err(value(place, rule));
        }
        let at = |key: &str| format!("{place}.{key}");
        let algorithms = algorithms(place, self.algorithm, self.algorithms)?;
        let mut keys = Vec::new();
        if self.key_file.is_some() || self.key_env.is_some() {
            let first = KeyFile { key_file: self.key_file, key_env: self.key_env };
            keys.push(checked(first.read(place, environment)?, place, &algorithms)?);
        }
        for (number, key) in self.keys.into_iter().enumerate() {
            let place = at(&format!("keys[{number}]"));
            keys.push(checked(key.read(&place, environment)?, &place, &algorithms)?);
        }
        let leeway_seconds = self.leeway_seconds.unwrap_or(5);
        if MAX_LEEWAY_SECONDS < leeway_seconds {
            let rule = format!("at most {MAX_LEEWAY_SECONDS}");
            return Err(value(at("leeway_seconds"), rule));
        }
        let url = self.jwks_url.map(|it| url(&at("jwks_url"), &it)).transpose()?;
        let mut jwks = url.map(JwksSettings::new);
        if let Some(settings) = &mut jwks {
            self.jwks.lay_over(settings);
            if settings.stale_ms < settings.max_age_ms {
                return Err(value(at("jwks.stale_ms"), "at least `max_age_ms`"));
            }
        }
        let admin_scope = self.admin_scope.unwrap_or_else(|| ADMIN.into());
        let operator_scope = self.operator_scope.unwrap_or_else(|| OPERATOR.into());
        if operator_scope.is_empty() || operator_scope == admin_scope {
            let rule = "not empty, and not the `admin_scope`: a tenant's admin is not the operator";
            return Err(value(at("operator_scope"), rule));
        }
        let tenants = self.tenants.map(|it| tenants(&at("tenants"), it)).transpose()?;
        // Who speaks for some tenants is not believed to speak for the host, unless that is said.
        let may_operate = self.operator.unwrap_or(tenants.is_none());
        Ok(IssuerSettings {
            place: place.to_owned(),
            algorithms,
            keys,
            jwks_file: self.jwks_file.map(read_text).transpose()?,
            jwks,
            audience: self.audience,
            issuer: self.issuer,
            tenants,
            user_claim: self.user_claim.unwrap_or_else(|| "sub".into()),
            tenant_claim: self.tenant_claim.unwrap_or_else(|| "tenant".into()),
            session_claim: self.session_claim.unwrap_or_else(|| "session_id".into()),
            scopes_claim: self.scopes_claim.unwrap_or_else(|| "scopes".into()),
            roles_claim: self.roles_claim.unwrap_or_else(|| "roles".into()),
            admin_scope,
            operator_scope: may_operate.then_some(operator_scope),
            dependencies_claims: self.dependencies_claims,
            session_state_claims: self.session_state_claims,
            leeway_seconds,
        })
    }
}

fn algorithms(
    place: &str,
    one: Option<String>,
    several: Vec<String>,
) -> Result<Vec<JwtAlgorithm>, SettingsFault> {
    let (place, words) = match (one, several.is_empty()) {
        (Some(one), true) => (format!("{place}.algorithm"), vec![one]),
        (None, false) => (format!("{place}.algorithms"), several),
        (None, true) => return Err(value(place, "`algorithm` or `algorithms` is required")),
        (Some(_), false) => {
            return Err(value(place, "give `algorithm` or `algorithms`, not both"));
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

fn tenants(place: &str, names: Vec<String>) -> Result<BTreeSet<TenantId>, SettingsFault> {
    if names.is_empty() {
        return Err(value(
            place,
            "at least one; leave it out for an issuer that may speak for all",
        ));
    }
    let tenant = |it| TenantId::new(it).map_err(|fault| value(place, fault.to_string()));
    names.into_iter().map(tenant).collect()
}

/// Keys that came over a line somebody can write to would let in whoever that is.
fn url(place: &str, text: &str) -> Result<Url, SettingsFault> {
    const RULE: &str = "`https://…` without user and password, or `http://` on a loopback address";
    let fault = || value(place, RULE);
    let url = Url::parse(text).map_err(|_| fault())?;
    let host = url.host_str().unwrap_or_default();
    let literal = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let is_local = host == "localhost" || literal.is_ok_and(|it| it.is_loopback());
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_local);
    let is_bare = url.username().is_empty() && url.password().is_none();
    if is_safe && is_bare { Ok(url) } else { Err(fault()) }
}
