//! Tokens at the door: who comes in, as whom, and who does not.

use axum::http::HeaderValue;
use jsonwebtoken::{EncodingKey, Header};
use secrecy::SecretString;
use serde_json::json;

use super::*;

const KEY: &str = "a-secret-of-the-tests-with-32-bytes-or-more";

fn settings() -> JwtSettings {
    JwtSettings {
        algorithm: JwtAlgorithm::Hs256,
        key: SecretString::from(KEY),
        audience: vec!["stepmill".into()],
        issuer: Some("https://issuer.test".into()),
        user_claim: "sub".into(),
        tenant_claim: "tenant".into(),
        scopes_claim: "scopes".into(),
        admin_scope: "agent_os:admin".into(),
        leeway_seconds: 5,
    }
}

fn verifier() -> Box<Verifier> {
    match Auth::of(Some(&settings())).unwrap() {
        Auth::Jwt(verifier) => verifier,
        Auth::Open => panic!("there is a key"),
    }
}

fn now() -> i64 {
    i64::try_from(jsonwebtoken::get_current_timestamp()).unwrap()
}

fn claims(change: impl FnOnce(&mut Map<String, Value>)) -> Map<String, Value> {
    let claims = json!({
        "sub": "ada", "tenant": "acme", "aud": "stepmill", "iss": "https://issuer.test",
        "exp": now() + 60, "scopes": ["workflows:run"], "tier": "enterprise"
    });
    let Value::Object(mut claims) = claims else { unreachable!("an object was written") };
    change(&mut claims);
    claims
}

fn sign(claims: &Map<String, Value>) -> String {
    jsonwebtoken::encode(&Header::default(), claims, &EncodingKey::from_secret(KEY.as_bytes()))
        .unwrap()
}

fn ask(authorization: &str) -> Result<Principal, String> {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, HeaderValue::from_str(authorization).unwrap());
    verifier().principal(&headers).map_err(|it| it.to_string())
}

fn refused(change: impl FnOnce(&mut Map<String, Value>)) -> String {
    ask(&format!("Bearer {}", sign(&claims(change)))).expect_err("the token is bad")
}

#[test]
fn claims_scopes_and_tenant_come_from_the_token() {
    let token = sign(&claims(|_| {}));
    for form in [format!("Bearer {token}"), format!("bearer {token}"), token] {
        let who = ask(&form).unwrap();
        assert_eq!(who.tenant.as_str(), "acme");
        assert_eq!(who.user.as_ref().unwrap().as_str(), "ada");
        assert_eq!(who.trusted.claims["tier"], "enterprise");
        assert!(who.trusted.scopes.contains("workflows:run"));
        assert_eq!(who.standing, Standing::Member);
    }
}

#[test]
fn a_token_without_a_tenant_belongs_to_the_default_one() {
    let who = ask(&sign(&claims(|it| drop(it.remove("tenant"))))).unwrap();
    assert_eq!(who.tenant.as_str(), "default");
}

#[test]
fn one_scope_may_be_a_text_and_the_admin_scope_makes_an_admin() {
    let who = ask(&sign(&claims(|it| drop(it.insert("scopes".into(), "agent_os:admin".into())))))
        .unwrap();
    assert_eq!(who.standing, Standing::Admin);
}

#[test]
fn every_check_is_strict() {
    assert_eq!(
        refused(|it| drop(it.insert("exp".into(), (now() - 6).into()))),
        "Token has expired"
    );
    assert_eq!(
        refused(|it| drop(it.remove("exp"))),
        "Invalid token: Token is missing the \"exp\" claim"
    );
    assert_eq!(
        refused(|it| drop(it.insert("nbf".into(), (now() + 60).into()))),
        "Invalid token: The token is not yet valid (nbf)"
    );
    assert!(
        refused(|it| drop(it.insert("aud".into(), "other".into())))
            .starts_with("Invalid token audience")
    );
    assert!(refused(|it| drop(it.remove("aud"))).contains("missing the \"aud\" claim"));
    assert_eq!(
        refused(|it| drop(it.insert("iss".into(), "other".into()))),
        "Invalid token: Invalid issuer"
    );
    assert_eq!(
        refused(|it| drop(it.remove("iss"))),
        "Invalid token: Token is missing the \"iss\" claim"
    );
    assert_eq!(refused(|it| drop(it.insert("sub".into(), 5.into()))), "Invalid token subject");
    assert_eq!(
        refused(|it| drop(it.insert("sub".into(), "__scheduler__".into()))),
        "Invalid token subject"
    );
    assert_eq!(
        refused(|it| drop(it.insert("tenant".into(), json!(["a"])))),
        "Invalid token tenant"
    );
    assert_eq!(refused(|it| drop(it.insert("tenant".into(), "".into()))), "Invalid token tenant");
}

#[test]
fn only_the_configured_key_and_algorithm_sign() {
    let claims = claims(|_| {});
    let other = EncodingKey::from_secret(b"another-secret-with-32-bytes-or-even-more");
    let forged = jsonwebtoken::encode(&Header::default(), &claims, &other).unwrap();
    assert_eq!(ask(&forged).unwrap_err(), "Invalid token: Signature verification failed");

    let key = EncodingKey::from_secret(KEY.as_bytes());
    let hs512 = jsonwebtoken::encode(&Header::new(Algorithm::HS512), &claims, &key).unwrap();
    assert_eq!(ask(&hs512).unwrap_err(), "Invalid token: The specified alg value is not allowed");

    // {"alg":"none","typ":"JWT"}
    let token = sign(&claims);
    let body = token.split('.').nth(1).unwrap();
    let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{body}.");
    assert_eq!(ask(&none).unwrap_err(), "Invalid token: The specified alg value is not allowed");
}

#[test]
fn what_is_no_token_is_no_token() {
    assert_eq!(ask("Bearer garbage").unwrap_err(), "Invalid token: Not enough segments");
    assert_eq!(ask("Basic YTpi").unwrap_err(), "Invalid token: Not enough segments");
    assert_eq!(
        verifier().principal(&HeaderMap::new()).unwrap_err().to_string(),
        "Authorization header missing"
    );
}

#[test]
fn a_key_of_the_wrong_kind_is_refused_at_the_start() {
    let settings = JwtSettings { algorithm: JwtAlgorithm::Rs256, ..settings() };
    assert!(Auth::of(Some(&settings)).is_err());
}

fn open_host(
    method: Method,
    headers: &[(header::HeaderName, &'static str)],
) -> Result<Principal, &'static str> {
    open(
        &method,
        &headers
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
            .collect(),
        |it| it == "https://os.agno.com",
    )
}

#[test]
fn an_open_host_serves_localhost_and_no_page_from_elsewhere() {
    for host in ["localhost:7777", "127.0.0.1", "[::1]:7777", "LOCALHOST"] {
        assert!(open_host(Method::POST, &[(header::HOST, host)]).is_ok(), "{host}");
    }
    for host in ["rebound.example:7777", "127.0.0.1.example", "10.0.0.1", ""] {
        assert!(open_host(Method::GET, &[(header::HOST, host)]).is_err(), "{host}");
    }
    let page = (header::ORIGIN, "https://evil.example");
    assert!(open_host(Method::POST, std::slice::from_ref(&page)).is_err());
    assert!(open_host(Method::GET, &[page]).is_ok());
    assert!(open_host(Method::POST, &[(header::ORIGIN, "null")]).is_err());
    assert!(open_host(Method::POST, &[(header::ORIGIN, "https://os.agno.com")]).is_ok());
    assert!(open_host(Method::POST, &[(header::ORIGIN, "https://os.agno.com.evil")]).is_err());
    assert!(open_host(Method::POST, &[(header::ORIGIN, "http://localhost:3000")]).is_ok());
}
