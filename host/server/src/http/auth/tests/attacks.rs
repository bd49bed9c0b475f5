//! What people try with tokens.

use super::*;

const SIGNATURE: &str = "Invalid token: Signature verification failed";
const NOT_ALLOWED: &str = "Invalid token: The specified alg value is not allowed";

/// A token with parts as they are given, signed with the right key.
fn assembled(header: &str, claims: &str) -> String {
    let (header, claims) = (encoded(header), encoded(claims));
    let message = format!("{header}.{claims}");
    let key = signer(Algorithm::HS256);
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

/// Base64 without padding, as tokens have it: the library's, by way of a secret in a key set.
fn encoded(text: &str) -> String {
    let key = EncodingKey::from_secret(text.as_bytes());
    let jwk = serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::HS256).unwrap());
    jwk.unwrap()["k"].as_str().unwrap().to_owned()
}

fn text(claims: &Map<String, Value>) -> String {
    serde_json::to_string(claims).unwrap()
}

#[tokio::test]
async fn a_token_without_a_right_signature_is_none() {
    let other = EncodingKey::from_secret(b"another-secret-with-32-bytes-or-even-more");
    let forged = jsonwebtoken::encode(&Header::default(), &claims(), &other).unwrap();
    assert_eq!(ask(&forged).await.unwrap_err(), SIGNATURE);
    let good = sign(&claims());
    let (message, signature) = good.rsplit_once('.').unwrap();
    assert_eq!(ask(&format!("{message}.")).await.unwrap_err(), SIGNATURE);
    assert!(ask(&format!("{message}.{}", &signature[1..])).await.is_err());
    let admin = encoded(&text(&with(json!({ "scopes": ["agent_os:admin"] }))));
    let header = good.split('.').next().unwrap();
    assert_eq!(ask(&format!("{header}.{admin}.{signature}")).await.unwrap_err(), SIGNATURE);
}

#[tokio::test]
async fn an_algorithm_is_not_the_tokens_to_choose() {
    for name in ["none", "None", "NONE", "nOnE", "", "HS1", "ES256K"] {
        let header = json!({ "alg": name, "typ": "JWT" }).to_string();
        let body = encoded(&text(&claims()));
        let bare = format!("{}.{body}.", encoded(&header));
        assert_eq!(ask(&bare).await.unwrap_err(), NOT_ALLOWED, "{name:?}");
        assert_eq!(ask(&assembled(&header, &text(&claims()))).await.unwrap_err(), NOT_ALLOWED);
    }
    for header in ["{}", r#"{"alg":5}"#, r#"{"alg":["HS256"]}"#, r#"{"alg":"HS256","alg":"none"}"#]
    {
        assert!(ask(&assembled(header, &text(&claims()))).await.is_err(), "{header}");
    }
    let hs512 = token(&Header::new(Algorithm::HS512), &claims());
    assert_eq!(ask(&hs512).await.unwrap_err(), NOT_ALLOWED);
}

#[tokio::test]
async fn a_token_does_not_bring_its_own_key() {
    let own = EncodingKey::from_rsa_pem(RSA.as_bytes()).unwrap();
    let jwk = published("mine", Algorithm::RS256);
    let settings = IssuerSettings {
        algorithms: vec![JwtAlgorithm::Rs256],
        keys: vec![SecretString::from(include_str!("../testdata/rsa.public.pem"))],
        ..settings()
    };
    let verifier = verifier(&settings);
    let base = Header::new(Algorithm::RS256);
    let url = || Some("https://evil.example/keys".to_owned());
    for header in [
        Header { jwk: Some(serde_json::from_value(jwk).unwrap()), ..base.clone() },
        Header { jku: url(), ..base.clone() },
        Header { x5u: url(), ..base.clone() },
        Header { x5c: Some(vec!["AAAA".into()]), ..base.clone() },
    ] {
        let token = jsonwebtoken::encode(&header, &claims(), &own).unwrap();
        let answer = shown(&verifier, &token).await.unwrap_err();
        assert_eq!(answer, "Invalid token: A token does not bring its own key", "{header:?}");
    }
    // A thumbprint is only a name.
    let header = Header { x5t: Some("AAAA".into()), ..base };
    assert!(shown(&verifier, &token(&header, &claims())).await.is_ok());
}

#[tokio::test]
async fn a_signed_text_of_another_kind_is_no_token() {
    for kind in ["JWT", "jwt", "at+jwt", "application/at+jwt"] {
        let header = Header { typ: Some(kind.into()), ..Header::default() };
        assert!(ask(&token(&header, &claims())).await.is_ok(), "{kind}");
    }
    assert!(ask(&token(&Header { typ: None, ..Header::default() }, &claims())).await.is_ok());
    for kind in ["logout+jwt", "secevent+jwt", "dpop+jwt", "JWE", ""] {
        let header = Header { typ: Some(kind.into()), ..Header::default() };
        let answer = ask(&token(&header, &claims())).await.unwrap_err();
        assert_eq!(answer, "Invalid token: Wrong type", "{kind}");
    }
    let header = Header { crit: Some(vec!["b64".into()]), ..Header::default() };
    let answer = ask(&token(&header, &claims())).await.unwrap_err();
    assert_eq!(answer, "Invalid token: Unsupported critical extension");
}

#[tokio::test]
async fn a_key_name_leads_nowhere() {
    for name in ["../../../../dev/null", "/etc/passwd", "' or 1=1 --", "", "a\u{0}b", "http://x/"] {
        let header = Header { kid: Some(name.into()), ..Header::default() };
        // The secret has no name, so the name changes nothing.
        assert!(ask(&token(&header, &claims())).await.is_ok(), "{name:?}");
        let empty = EncodingKey::from_secret(b"");
        let forged = jsonwebtoken::encode(&header, &claims(), &empty).unwrap();
        assert_eq!(ask(&forged).await.unwrap_err(), SIGNATURE, "{name:?}");
    }
}

#[tokio::test]
async fn a_claim_given_twice_is_refused() {
    let header = r#"{"alg":"HS256","typ":"JWT"}"#;
    let mut whole = text(&claims());
    assert!(ask(&assembled(header, &whole)).await.is_ok());
    whole.pop();
    for again in [
        r#""exp":9999999999"#,
        r#""aud":"stepmill""#,
        r#""sub":"eve""#,
        r#""iss":"x""#,
        r#""tenant":"acme""#,
        r#""tenant":"evil""#,
        r#""scopes":["agent_os:admin"]"#,
        r#""tier":"free""#,
        r#""t\u0069er":"free""#,
    ] {
        let doubled = format!("{whole},{again}}}");
        let answer = ask(&assembled(header, &doubled)).await.unwrap_err();
        assert_eq!(answer, "Invalid token: Malformed", "{again}");
    }
}

#[tokio::test]
async fn what_is_no_object_is_no_claims() {
    let header = r#"{"alg":"HS256","typ":"JWT"}"#;
    for body in ["", "null", "[]", "7", "\"x\"", "{", "{\"exp\":1e999}"] {
        let answer = ask(&assembled(header, body)).await.unwrap_err();
        assert_eq!(answer, "Invalid token: Malformed", "{body}");
    }
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let nested = format!(r#"{{"sub":"ada","x":{}}}"#, &deep[..11_000]);
    assert_eq!(ask(&assembled(header, &nested)).await.unwrap_err(), "Invalid token: Malformed");
}

#[tokio::test]
async fn what_is_no_token_is_no_token() {
    let segments = "Invalid token: Not enough segments";
    for text in ["garbage", "a.b", "a.b.c.d", "a.b.c.d.e"] {
        assert_eq!(ask(text).await.unwrap_err(), segments, "{text}");
    }
    for text in ["..", "a.b.c", "!.!.!", "e30.e30.e30"] {
        assert!(ask(text).await.unwrap_err().starts_with("Invalid token: "), "{text}");
    }
    let huge = sign(&with(json!({ "x": "x".repeat(20_000) })));
    assert_eq!(ask(&huge).await.unwrap_err(), "Invalid token: Too long");
}

#[tokio::test]
async fn a_cookie_is_a_token_only_where_it_is_asked_for() {
    let asked = made(&[settings()], TokenSource::HeaderOrCookie).ok().unwrap();
    let mut headers = HeaderMap::new();
    let cookie = format!("a=b; access_token={}", sign(&claims()));
    headers.insert(header::COOKIE, HeaderValue::from_str(&cookie).unwrap());
    let (who, _) = asked.principal(&Method::GET, &headers, |_| false).await.unwrap();
    assert_eq!(who.user.unwrap().as_str(), "ada");
    headers.insert(header::ORIGIN, HeaderValue::from_static("https://evil.example"));
    headers.insert(header::HOST, HeaderValue::from_static("flows.example"));
    let refusal = asked.principal(&Method::POST, &headers, |_| false).await.err().unwrap();
    assert!(refusal.to_string().starts_with("Origin not allowed"), "{refusal}");
    assert!(asked.principal(&Method::POST, &headers, |_| true).await.is_ok());
    let default = verifier(&super::settings());
    let refusal = default.principal(&Method::GET, &headers, |_| false).await.err().unwrap();
    assert_eq!(refusal.to_string(), "Authorization header missing");
}
