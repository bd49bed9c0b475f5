//! Tokens at the door: genuine ones that somebody changed, put together, or signed otherwise.
//!
//! Whoever comes in shows a text that the key of its issuer signed, with claims that count now.

#![no_main]

use std::collections::HashSet;
use std::sync::LazyLock;

use jsonwebtoken::{Algorithm, EncodingKey, Header, get_current_timestamp};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use secrecy::SecretString;
use serde_json::{Value, json};
use stepmill::http::fuzzing::Tokens;
use stepmill::settings::{IssuerSettings, JwtAlgorithm, TokenSettings, TokenSource};
use stepmill_core::ids::TenantId;
use stepmill_core::principal::{Principal, Standing};

/// Long enough for every HMAC.
const SECRET: &str = "a-secret-of-the-fuzzer-with-64-bytes-or-more-so-that-hs512-takes-it";
const OTHER: &str = "another-secret-of-the-fuzzer-with-64-bytes-or-more-for-the-second-one";

/// Somebody who signs tokens.
const ONE: &str = "https://one.test";
/// Somebody who speaks for one tenant only.
const TWO: &str = "https://two.test";

const LEEWAY_SECONDS: f64 = 5.0;

macro_rules! key {
    ($name:literal) => {
        include_str!(concat!("../../../host/server/src/http/auth/testdata/", $name))
    };
}

const PUBLIC: [&str; 4] = [
    key!("rsa.public.pem"),
    key!("p256.public.pem"),
    key!("p384.public.pem"),
    key!("ed25519.public.pem"),
];

static DOOR: LazyLock<Tokens> = LazyLock::new(|| {
    let settings = TokenSettings {
        source: TokenSource::Header,
        cookie: "access_token".into(),
        issuers: vec![issuer(ONE), issuer(TWO)],
    };
    Tokens::of(&settings).unwrap_or_else(|fault| panic!("{fault}"))
});

/// Genuine tokens, and those that are signed and do not count.
static SIGNED: LazyLock<Vec<String>> = LazyLock::new(|| {
    let algorithms = [
        Algorithm::HS256,
        Algorithm::HS384,
        Algorithm::HS512,
        Algorithm::RS256,
        Algorithm::PS384,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::EdDSA,
    ];
    let good = algorithms.map(|it| sign(&Header::new(it), &claims(ONE), &key(it)));
    let second = EncodingKey::from_secret(OTHER.as_bytes());
    let other = sign(&Header::default(), &claims(TWO), &second);
    let bad = [
        json!({ "exp": 1_000_000_000 }),
        json!({ "nbf": 4_000_000_000_u64 }),
        json!({ "aud": "somebody else" }),
        json!({ "aud": null }),
        json!({ "exp": null }),
        json!({ "iss": TWO }),
        json!({ "iss": "https://three.test" }),
        json!({ "sub": "sa:ops" }),
    ];
    let bad = bad.into_iter().enumerate().map(|(at, change)| {
        let algorithm = algorithms[at % algorithms.len()];
        let mut claims = claims(ONE);
        for (name, value) in change.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        sign(&Header::new(algorithm), &claims, &key(algorithm))
    });
    good.into_iter().chain([other]).chain(bad).collect()
});

/// How many of those are good: each algorithm's, and the second issuer's.
const GOOD: usize = 9;

/// What the good ones say, in the words that were signed.
static MESSAGES: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let good = &SIGNED[..GOOD];
    good.iter().for_each(|it| assert!(DOOR.show(it.as_bytes()).is_ok(), "a good one is refused"));
    SIGNED[GOOD..].iter().for_each(|it| assert!(DOOR.show(it.as_bytes()).is_err()));
    good.iter().map(|it| message(it)).collect()
});

fuzz_target!(|bytes: &[u8]| {
    // Bytes that end too soon are no fault.
    let _ = show(&mut Unstructured::new(bytes));
});

fn show(from: &mut Unstructured<'_>) -> Result<()> {
    if from.ratio(1, 3)? {
        return fresh(from);
    }
    let text = match from.int_in_range(0..=2)? {
        0 => from.bytes(from.len())?.to_vec(),
        1 => changed(from)?,
        _ => assembled(from)?,
    };
    let known = &*MESSAGES;
    if let Ok(who) = DOOR.show(&text) {
        let text = String::from_utf8(text).expect("a token is plain text");
        let token = text.trim().rsplit(' ').next().unwrap_or_default();
        assert!(known.contains(message(token)), "somebody came in with what nobody signed");
        assert_eq!(who.standing, Standing::Member);
        assert_eq!(who.tenant.as_str(), "acme");
    }
    Ok(())
}

/// A genuine token with some bytes of it changed.
fn changed(from: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut text = from.choose(&SIGNED)?.clone().into_bytes();
    while !from.is_empty() {
        let at = from.int_in_range(0..=text.len())?;
        match from.int_in_range(0..=4)? {
            0 => text.truncate(at),
            1 => text.insert(at, from.arbitrary()?),
            2 if at < text.len() => drop(text.remove(at)),
            3 if at < text.len() => text[at] ^= 1 << from.int_in_range(0..=7)?,
            _ if at < text.len() => text[at] = from.arbitrary()?,
            _ => text.extend_from_slice(from.choose(&SIGNED)?.as_bytes()),
        }
    }
    Ok(text)
}

/// Parts of several tokens, of their author's, or signed with what everybody knows.
fn assembled(from: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let part = |from: &mut Unstructured<'_>, at: usize| -> Result<String> {
        let genuine = from.choose(&SIGNED)?.split('.').nth(at).unwrap_or_default().to_owned();
        Ok(match from.ratio(1, 2)? {
            true => genuine,
            false => encoded(from.arbitrary::<&str>()?.as_bytes()),
        })
    };
    let header = match from.int_in_range(0..=2)? {
        0 => part(from, 0)?,
        1 => {
            let names = ["none", "HS256", "HS512", "RS256", "ES256", "EdDSA", "hs256", "NONE"];
            encoded(json!({ "alg": from.choose(&names)?, "typ": "JWT" }).to_string().as_bytes())
        }
        _ => encoded(format!("{{\"alg\":\"HS256\",{}}}", from.arbitrary::<&str>()?).as_bytes()),
    };
    let words = format!("{header}.{}", part(from, 1)?);
    let signature = match from.int_in_range(0..=3)? {
        0 => String::new(),
        1 => part(from, 2)?,
        2 => hmac(&words, from.choose(&PUBLIC)?.as_bytes()),
        _ => hmac(&words, from.arbitrary::<&[u8]>()?),
    };
    Ok(format!("Bearer {words}.{signature}").into_bytes())
}

/// Claims that somebody's key did sign: whether they count is what is asked.
fn fresh(from: &mut Unstructured<'_>) -> Result<()> {
    let is_second = from.arbitrary()?;
    let secret = if is_second { OTHER } else { SECRET };
    let mut signed = claims(if from.ratio(1, 8)? != is_second { TWO } else { ONE });
    let names =
        ["exp", "nbf", "iat", "aud", "iss", "sub", "tenant", "scopes", "roles", "session_id"];
    while !from.is_empty() {
        let name = from.choose(&names)?;
        let value = value(from)?;
        match from.ratio(1, 8)? {
            true => drop(signed.as_object_mut().and_then(|it| it.remove(*name))),
            false => signed[*name] = value,
        }
    }
    let token = sign(&Header::default(), &signed, &EncodingKey::from_secret(secret.as_bytes()));
    if let Ok(who) = DOOR.show(format!("Bearer {token}").as_bytes()) {
        counts(&signed, is_second, &who);
    }
    Ok(())
}

fn value(from: &mut Unstructured<'_>) -> Result<Value> {
    let now = get_current_timestamp();
    Ok(match from.int_in_range(0..=9)? {
        0 => Value::Null,
        1 => json!(now + 60),
        2 => json!(now - 60),
        3 => json!(from.arbitrary::<i64>()?),
        4 => json!(from.arbitrary::<f64>()?),
        5 => json!(from.choose(&[ONE, TWO, "stepmill", "acme", "else", "ada", "__scheduler__"])?),
        6 => json!(from.choose(&["stepmill:operator", "agent_os:admin", "operator", "reader"])?),
        7 => json!(from.arbitrary::<&str>()?),
        8 => json!([]),
        _ => json!([value(from)?]),
    })
}

/// Holds claims of somebody who came in against the rules, read anew.
fn counts(claims: &Value, is_second: bool, who: &Principal) {
    let now = get_current_timestamp() as f64;
    let time = |name: &str| claims[name].as_f64();
    assert!(time("exp").is_some_and(|it| now <= it + LEEWAY_SECONDS + 1.0), "over: {claims}");
    assert!(time("nbf").is_none_or(|it| it <= now + LEEWAY_SECONDS + 1.0), "not yet: {claims}");
    let is_for_us = |it: &Value| *it == "stepmill";
    let audience = &claims["aud"];
    assert!(is_for_us(audience) || audience.as_array().is_some_and(|it| it.iter().any(is_for_us)));
    assert_eq!(claims["iss"], if is_second { TWO } else { ONE }, "of another issuer");
    let tenant = claims["tenant"].as_str().unwrap_or("default");
    assert_eq!(who.tenant.as_str(), tenant);
    assert!(!is_second || tenant == "acme", "spoke for a tenant that is not its own");
    assert_eq!(who.user.as_ref().map(|it| it.as_str()), claims["sub"].as_str());
    assert!(who.user.as_ref().is_none_or(|it| !it.is_reserved()));
    let scopes = &claims["scopes"];
    let has = |word: &str| {
        *scopes == word || scopes.as_array().is_some_and(|it| it.iter().any(|it| *it == word))
    };
    assert!(who.standing != Standing::Operator || (has("stepmill:operator") && !is_second));
    let by_role = claims["roles"].to_string().contains("operator");
    assert!(who.standing != Standing::Admin || has("agent_os:admin") || by_role);
    assert_eq!(&Value::Object(who.trusted.claims.clone()), claims);
}

fn issuer(name: &str) -> IssuerSettings {
    let is_second = name == TWO;
    let secret = if is_second { OTHER } else { SECRET };
    let public = PUBLIC.iter().filter(|_| !is_second).copied();
    IssuerSettings {
        place: "auth.issuers.fuzz".into(),
        algorithms: match is_second {
            true => vec![JwtAlgorithm::Hs256],
            false => JwtAlgorithm::ALL.into(),
        },
        keys: [secret].into_iter().chain(public).map(SecretString::from).collect(),
        jwks_file: None,
        jwks: None,
        audience: vec!["stepmill".into()],
        issuer: Some(name.into()),
        tenants: is_second.then(|| [TenantId::new("acme").expect("it is one")].into()),
        user_claim: "sub".into(),
        tenant_claim: "tenant".into(),
        session_claim: "session_id".into(),
        scopes_claim: "scopes".into(),
        roles_claim: "roles".into(),
        admin_scope: "agent_os:admin".into(),
        operator_scope: (!is_second).then(|| "stepmill:operator".into()),
        dependencies_claims: vec![],
        session_state_claims: vec![],
        leeway_seconds: LEEWAY_SECONDS as u64,
    }
}

fn claims(issuer: &str) -> Value {
    // Good until 2096.
    json!({
        "sub": "ada", "tenant": "acme", "aud": "stepmill", "iss": issuer,
        "exp": 4_000_000_000_u64, "scopes": ["workflows:run"], "tier": "enterprise"
    })
}

fn key(algorithm: Algorithm) -> EncodingKey {
    let read = match algorithm {
        Algorithm::ES256 => EncodingKey::from_ec_pem(key!("p256.pem").as_bytes()),
        Algorithm::ES384 => EncodingKey::from_ec_pem(key!("p384.pem").as_bytes()),
        Algorithm::EdDSA => EncodingKey::from_ed_pem(key!("ed25519.pem").as_bytes()),
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => {
            Ok(EncodingKey::from_secret(SECRET.as_bytes()))
        }
        _ => EncodingKey::from_rsa_pem(key!("rsa.pem").as_bytes()),
    };
    read.expect("a key of the tests")
}

fn sign(header: &Header, claims: &Value, key: &EncodingKey) -> String {
    jsonwebtoken::encode(header, claims, key).expect("claims are JSON")
}

fn hmac(words: &str, secret: &[u8]) -> String {
    let key = EncodingKey::from_secret(secret);
    jsonwebtoken::crypto::sign(words.as_bytes(), &key, Algorithm::HS256).unwrap_or_default()
}

/// What the signature is for.
fn message(token: &str) -> &str {
    token.rsplit_once('.').map_or("", |(words, _)| words)
}

fn encoded(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
