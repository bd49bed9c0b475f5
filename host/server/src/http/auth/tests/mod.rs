//! Tokens at the door: who comes in, as whom, and who does not.

mod algorithms;
mod attacks;
mod claims;
mod published;
mod several;

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, Method, header};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, AlgorithmFamily, EncodingKey, Header};
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use stepmill_core::principal::{Principal, Rules};

use super::AuthFault;
use super::issuers::Issuers;
use crate::settings::{IssuerSettings, JwtAlgorithm, TokenSettings, TokenSource};

/// Long enough for every HMAC.
const SECRET: &str = "a-secret-of-the-tests-with-64-bytes-or-more-so-that-hs512-takes-it";

/// Nothing here takes as long; what does has gone wrong.
const PATIENCE: Duration = Duration::from_secs(20);

const RSA: &str = include_str!("../testdata/rsa.pem");
const P256: &str = include_str!("../testdata/p256.pem");
const P384: &str = include_str!("../testdata/p384.pem");
const ED25519: &str = include_str!("../testdata/ed25519.pem");

fn settings() -> IssuerSettings {
    IssuerSettings {
        place: "auth.jwt".into(),
        algorithms: vec![JwtAlgorithm::Hs256],
        keys: vec![SecretString::from(SECRET)],
        jwks_file: None,
        jwks: None,
        audience: vec!["stepmill".into()],
        issuer: Some("https://issuer.test".into()),
        tenants: None,
        user_claim: "sub".into(),
        tenant_claim: "tenant".into(),
        session_claim: "session_id".into(),
        scopes_claim: "scopes".into(),
        roles_claim: "roles".into(),
        admin_scope: "agent_os:admin".into(),
        operator_scope: Some("stepmill:operator".into()),
        dependencies_claims: Vec::new(),
        session_state_claims: Vec::new(),
        leeway_seconds: 5,
    }
}

fn now() -> i64 {
    i64::try_from(jsonwebtoken::get_current_timestamp()).unwrap()
}

fn claims() -> Map<String, Value> {
    let claims = json!({
        "sub": "ada", "tenant": "acme", "aud": "stepmill", "iss": "https://issuer.test",
        "exp": now() + 60, "scopes": ["workflows:run"], "tier": "enterprise"
    });
    let Value::Object(claims) = claims else { unreachable!("an object was written") };
    claims
}

/// The claims with some of them set; null takes one away.
fn with(changes: Value) -> Map<String, Value> {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        claims.insert(name.clone(), value.clone());
    }
    claims
}

fn without(name: &str) -> Map<String, Value> {
    let mut claims = claims();
    claims.remove(name);
    claims
}

/// The private key that goes with an algorithm.
fn signer(algorithm: Algorithm) -> EncodingKey {
    let pem = match algorithm.family() {
        AlgorithmFamily::Hmac => return EncodingKey::from_secret(SECRET.as_bytes()),
        AlgorithmFamily::Rsa => return EncodingKey::from_rsa_pem(RSA.as_bytes()).unwrap(),
        AlgorithmFamily::Ed => return EncodingKey::from_ed_pem(ED25519.as_bytes()).unwrap(),
        AlgorithmFamily::Ec if algorithm == Algorithm::ES384 => P384,
        AlgorithmFamily::Ec => P256,
    };
    EncodingKey::from_ec_pem(pem.as_bytes()).unwrap()
}

/// The public half, as issuers publish it.
fn published(name: &str, algorithm: Algorithm) -> Value {
    let mut jwk = Jwk::from_encoding_key(&signer(algorithm), algorithm).unwrap();
    jwk.common.key_id = Some(name.into());
    serde_json::to_value(jwk).unwrap()
}

fn token(header: &Header, claims: &Map<String, Value>) -> String {
    jsonwebtoken::encode(header, claims, &signer(header.alg)).unwrap()
}

/// A token signed with the secret.
fn sign(claims: &Map<String, Value>) -> String {
    token(&Header::default(), claims)
}

/// A token that names its key.
fn named(name: &str, algorithm: Algorithm) -> String {
    let header = Header { kid: Some(name.into()), ..Header::new(algorithm) };
    token(&header, &claims())
}

fn made(settings: &[IssuerSettings], source: TokenSource) -> Result<Issuers, AuthFault> {
    let cookie = "access_token".into();
    let settings = TokenSettings { source, cookie, issuers: settings.to_vec() };
    Issuers::of(&settings, Rules::default(), &Arc::default())
}

/// A host that knows these issuers.
fn several(settings: &[IssuerSettings]) -> Issuers {
    made(settings, TokenSource::Header).unwrap_or_else(|fault| panic!("{fault}"))
}

/// A host that knows one issuer.
fn verifier(settings: &IssuerSettings) -> Issuers {
    several(std::slice::from_ref(settings))
}

async fn shown(verifier: &Issuers, token: &str) -> Result<Principal, String> {
    let mut headers = HeaderMap::new();
    let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    headers.insert(header::AUTHORIZATION, value);
    let who = verifier.principal(&Method::GET, &headers, |_| false).await;
    who.map(|(who, _)| who).map_err(|it| it.to_string())
}

async fn ask(token: &str) -> Result<Principal, String> {
    shown(&verifier(&settings()), token).await
}

async fn refused(claims: &Map<String, Value>) -> String {
    ask(&sign(claims)).await.expect_err("the token is bad")
}
