//! `[auth]` as the settings file writes it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use stepmill_core::principal::Rules;
use stepmill_core::role::Roles;

use super::super::environment::Environment;
use super::super::fault::{SettingsFault, secret, value};
use super::issuer::IssuerFile;
use super::{AuthMode, AuthSettings, IssuerSettings, TokenSettings, TokenSource, is_pem};

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(in crate::settings) struct AuthFile {
    authorization: Option<bool>,
    user_isolation: Option<bool>,
    roles: BTreeMap<String, BTreeSet<String>>,
    key: Option<KeyFile>,
    token_source: Option<String>,
    cookie: Option<String>,
    jwt: Option<IssuerFile>,
    issuers: BTreeMap<String, IssuerFile>,
}

/// Where one key is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyFile {
    pub(super) key_file: Option<PathBuf>,
    pub(super) key_env: Option<String>,
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
        let (mut source, mut cookie) = (self.token_source, self.cookie);
        let mut issuers = Vec::new();
        if let Some(mut jwt) = self.jwt {
            source = jwt.token_source.take().or(source);
            cookie = jwt.cookie.take().or(cookie);
            let jwt = jwt.or_key_env("JWT_VERIFICATION_KEY");
            issuers.push(jwt.settings("auth.jwt", environment)?);
        }
        for (name, issuer) in self.issuers {
            issuers.push(named(&format!("auth.issuers.{name}"), issuer, environment)?);
        }
        check_apart(&issuers)?;
        let mut roles = Roles::new(issuers.iter().filter_map(|it| it.operator_scope.clone()));
        for (name, scopes) in self.roles {
            let place = format!("auth.roles.{name}");
            roles.add(name, scopes).map_err(|fault| value(place, fault.to_string()))?;
        }
        let mode = match self.key {
            _ if !issuers.is_empty() => AuthMode::Jwt(TokenSettings {
                source: token_source(source.as_deref())?,
                cookie: cookie.unwrap_or_else(|| "access_token".into()),
                issuers,
            }),
            Some(key) => AuthMode::Key(key.read("auth.key", environment)?),
            None => AuthMode::None,
        };
        Ok(AuthSettings { mode, rules, roles })
    }
}

/// One of several issuers. It has to be known by its name and by a key of its own.
fn named(
    place: &str,
    file: IssuerFile,
    environment: &Environment,
) -> Result<IssuerSettings, SettingsFault> {
    if file.issuer.is_none() {
        return Err(value(place, "`issuer` is required: by it a token is known to be its"));
    }
    if file.token_source.is_some() || file.cookie.is_some() {
        let rule = "`token_source` and `cookie` are the same for all issuers: they stand in [auth]";
        return Err(value(place, rule));
    }
    file.settings(place, environment)
}

/// No issuer can speak for another: each has a name and, where it is shared with the host, a secret
/// that no other one has.
fn check_apart(issuers: &[IssuerSettings]) -> Result<(), SettingsFault> {
    for (number, issuer) in issuers.iter().enumerate() {
        let others = || issuers[..number].iter();
        if issuer.issuer.is_some() && others().any(|it| it.issuer == issuer.issuer) {
            return Err(value(format!("{}.issuer", issuer.place), "another one is called so"));
        }
        let is_shared = |key: &SecretString| {
            let key = key.expose_secret();
            let same = |it: &SecretString| it.expose_secret() == key;
            !is_pem(key) && others().any(|it| it.keys.iter().any(same))
        };
        if issuer.keys.iter().any(is_shared) {
            let rule = "another issuer has the same secret, and so could speak for this one";
            return Err(value(&issuer.place, rule));
        }
    }
    Ok(())
}

impl KeyFile {
    pub(super) fn read(
        self,
        place: &str,
        environment: &Environment,
    ) -> Result<SecretString, SettingsFault> {
        let key = secret(place, self.key_file, self.key_env, environment)?;
        match key {
            Some(key) if !key.expose_secret().is_empty() => Ok(key),
            Some(_) => Err(value(place, "the key is empty")),
            None => Err(value(place, "`key_file` or `key_env` is required")),
        }
    }
}

fn token_source(word: Option<&str>) -> Result<TokenSource, SettingsFault> {
    match word {
        None | Some("header") => Ok(TokenSource::Header),
        Some("cookie") => Ok(TokenSource::Cookie),
        Some("header-or-cookie") => Ok(TokenSource::HeaderOrCookie),
        Some(_) => Err(value("auth.token_source", "one of header, cookie, header-or-cookie")),
    }
}

#[cfg(test)]
mod tests {
    use stepmill_core::ids::TenantId;

    use super::super::JwtAlgorithm;
    use super::*;

    fn read(text: &str) -> Result<AuthSettings, String> {
        let secret = "k".repeat(64);
        let (one, two) = ("1".repeat(64), "2".repeat(64));
        let vars = [
            ("JWT_VERIFICATION_KEY", secret.as_str()),
            ("OLD", &secret),
            ("SHORT", "short"),
            ("ONE", &one),
            ("TWO", &two),
        ];
        let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let file: AuthFile = toml::from_str(text).map_err(|it| it.message().to_owned())?;
        file.settings(&Environment::of(vars)).map_err(|it| it.to_string())
    }

    fn tokens(text: &str) -> Result<TokenSettings, String> {
        match read(text)?.mode {
            AuthMode::Jwt(tokens) => Ok(tokens),
            _ => panic!("there is a section for tokens"),
        }
    }

    fn jwt(text: &str) -> Result<IssuerSettings, String> {
        let mut tokens = tokens(&format!("[jwt]\n{text}"))?;
        Ok(tokens.issuers.remove(0))
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
        assert!(jwt.issuer.is_none() && jwt.tenants.is_none());
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
        assert_eq!(default.operator_scope.as_deref(), Some("stepmill:operator"));
        let renamed = of("operator_scope = \"root\"").unwrap();
        assert_eq!(renamed.operator_scope.as_deref(), Some("root"));
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

    #[test]
    fn where_tokens_are_is_the_same_for_all_issuers() {
        let algorithm = "algorithm = \"HS256\"";
        let default = tokens(&format!("[jwt]\n{algorithm}")).unwrap();
        assert_eq!(
            (default.source, default.cookie.as_str()),
            (TokenSource::Header, "access_token")
        );
        for (of_all, of_jwt) in [
            ("token_source = \"cookie\"\ncookie = \"c\"", ""),
            ("", "token_source = \"cookie\"\ncookie = \"c\""),
        ] {
            let text = format!("{of_all}\n[jwt]\n{algorithm}\n{of_jwt}");
            let set = tokens(&text).unwrap();
            assert_eq!((set.source, set.cookie.as_str()), (TokenSource::Cookie, "c"));
        }
    }

    /// An issuer with a secret of its own.
    fn issuer(name: &str, rest: &str) -> String {
        format!(
            "[issuers.{name}]\nissuer = \"https://{name}\"\nalgorithm = \"HS256\"\n\
             key_env = \"{}\"\n{rest}\n",
            name.to_uppercase()
        )
    }

    #[test]
    fn several_issuers_stand_beside_each_other() {
        let both = [issuer("one", "tenants = [\"acme\"]"), issuer("two", "leeway_seconds = 1")];
        let tokens = tokens(&both.concat()).unwrap();
        let [one, two] = &tokens.issuers[..] else { panic!("two issuers") };
        assert_eq!(
            (one.issuer.as_deref(), two.issuer.as_deref()),
            (Some("https://one"), Some("https://two"))
        );
        assert_eq!((one.leeway_seconds, two.leeway_seconds), (5, 1));
        assert_eq!(one.tenants, Some([TenantId::new("acme").unwrap()].into()));
        // Who speaks for some tenants does not speak for the host.
        assert_eq!((&one.operator_scope, two.operator_scope.is_some()), (&None, true));
        let said = |rest: &str| {
            let mut tokens = super::tests::tokens(&issuer("one", rest)).unwrap();
            tokens.issuers.remove(0).operator_scope.is_some()
        };
        assert!(said("tenants = [\"acme\"]\noperator = true"));
        assert!(!said("operator = false"));
        let text = format!("[jwt]\nalgorithm = \"HS256\"\n{}", both.concat());
        assert_eq!(super::tests::tokens(&text).unwrap().issuers.len(), 3);
    }

    #[test]
    fn an_issuer_is_known_by_its_name_and_by_its_key() {
        let fault = |text: &str| read(text).err().expect("the settings are bad");
        let nameless = "[issuers.one]\nalgorithm = \"HS256\"\nkey_env = \"ONE\"";
        assert!(fault(nameless).starts_with("auth.issuers.one: `issuer` is required"));
        let keyless = "[issuers.one]\nissuer = \"https://one\"\nalgorithm = \"HS256\"";
        assert!(fault(keyless).starts_with("auth.issuers.one: `key_file`, `key_env`"));
        let source = fault(&issuer("one", "token_source = \"cookie\""));
        assert!(source.starts_with("auth.issuers.one: `token_source` and `cookie`"), "{source}");
        let none = fault(&issuer("one", "tenants = []"));
        assert!(none.starts_with("auth.issuers.one.tenants: at least one"), "{none}");
        let twice = issuer("one", "") + &issuer("two", "").replace("https://two", "https://one");
        assert_eq!(fault(&twice), "auth.issuers.two.issuer: another one is called so");
        let shared = issuer("one", "") + &issuer("two", "").replace("TWO", "ONE");
        assert!(fault(&shared).starts_with("auth.issuers.two: another issuer has the same secret"));
    }
}
