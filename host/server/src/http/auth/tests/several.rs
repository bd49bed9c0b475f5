//! Several issuers at one door: each vouches for its own tokens, and for its own tenants.

use stepmill_core::ids::TenantId;
use stepmill_core::principal::Standing;

use super::*;

const OTHER: &str = "another-secret-of-the-tests-with-64-bytes-or-more-for-the-second-issuer";
const SIGNATURE: &str = "Invalid token: Signature verification failed";

/// An issuer with a secret of its own.
fn issuer(name: &str, secret: &str) -> IssuerSettings {
    IssuerSettings {
        place: format!("auth.issuers.{name}"),
        issuer: Some(format!("https://{name}.test")),
        keys: vec![SecretString::from(secret)],
        ..settings()
    }
}

fn two() -> [IssuerSettings; 2] {
    [issuer("one", SECRET), issuer("two", OTHER)]
}

fn signed(secret: &str, changes: Value) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::default(), &with(changes), &key).unwrap()
}

async fn refused(host: &Issuers, token: &str) -> String {
    shown(host, token).await.expect_err("the token is bad")
}

#[tokio::test]
async fn each_verifies_its_own_tokens_and_nobody_elses() {
    let host = several(&two());
    let (one, two) = ("https://one.test", "https://two.test");
    for (secret, name) in [(SECRET, one), (OTHER, two)] {
        assert!(shown(&host, &signed(secret, json!({ "iss": name }))).await.is_ok());
    }
    // Who has one issuer's key does not speak for the other one.
    for (secret, name) in [(SECRET, two), (OTHER, one)] {
        assert_eq!(refused(&host, &signed(secret, json!({ "iss": name }))).await, SIGNATURE);
    }
    let nobody = "Invalid token: Invalid issuer";
    for odd in [
        json!("https://three.test"),
        json!("https://one.test/"),
        json!("HTTPS://ONE.TEST"),
        json!(["https://one.test"]),
        json!(["https://one.test", "https://two.test"]),
        json!(null),
        json!(7),
        json!(""),
    ] {
        let answer = refused(&host, &signed(SECRET, json!({ "iss": odd }))).await;
        assert_eq!(answer, nobody, "{odd}");
    }
    let nameless =
        jsonwebtoken::encode(&Header::default(), &without("iss"), &signer(Algorithm::HS256));
    assert_eq!(refused(&host, &nameless.unwrap()).await, nobody);
    assert_eq!(refused(&host, "garbage").await, nobody);
}

#[tokio::test]
async fn a_key_name_counts_for_its_own_issuer() {
    let asymmetric = |name: &str, algorithm: JwtAlgorithm, of: Algorithm| IssuerSettings {
        algorithms: vec![algorithm],
        keys: Vec::new(),
        jwks_file: Some(json!({ "keys": [published("k1", of)] }).to_string()),
        ..issuer(name, SECRET)
    };
    let host = several(&[
        asymmetric("one", JwtAlgorithm::Rs256, Algorithm::RS256),
        asymmetric("two", JwtAlgorithm::Es256, Algorithm::ES256),
    ]);
    let token = |algorithm, name: &str| {
        let header = Header { kid: Some("k1".into()), ..Header::new(algorithm) };
        token(&header, &with(json!({ "iss": format!("https://{name}.test") })))
    };
    assert!(shown(&host, &token(Algorithm::RS256, "one")).await.is_ok());
    assert!(shown(&host, &token(Algorithm::ES256, "two")).await.is_ok());
    let not_allowed = "Invalid token: The specified alg value is not allowed";
    assert_eq!(refused(&host, &token(Algorithm::ES256, "one")).await, not_allowed);
    assert_eq!(refused(&host, &token(Algorithm::RS256, "two")).await, not_allowed);
}

#[tokio::test]
async fn one_without_a_name_takes_what_no_other_is_called() {
    let any = IssuerSettings { issuer: None, ..settings() };
    let host = several(&[any, issuer("two", OTHER)]);
    for name in [json!("https://elsewhere.test"), json!(null), json!(["https://two.test"])] {
        assert!(shown(&host, &signed(SECRET, json!({ "iss": name }))).await.is_ok(), "{name}");
    }
    assert!(shown(&host, &signed(OTHER, json!({ "iss": "https://two.test" }))).await.is_ok());
    let two = signed(SECRET, json!({ "iss": "https://two.test" }));
    assert_eq!(refused(&host, &two).await, SIGNATURE);
    let any = signed(OTHER, json!({ "iss": "https://elsewhere.test" }));
    assert_eq!(refused(&host, &any).await, SIGNATURE);
}

#[tokio::test]
async fn an_issuer_speaks_for_its_tenants_only() {
    let tenants = |names: &[&str]| {
        let tenants = names.iter().map(|it| TenantId::new(*it).unwrap());
        let bound = IssuerSettings { tenants: Some(tenants.collect()), ..issuer("one", SECRET) };
        several(&[bound, issuer("two", OTHER)])
    };
    let from_one = |tenant: Value| {
        let mut claims = with(json!({ "iss": "https://one.test", "tenant": tenant }));
        claims.retain(|_, it| !it.is_null());
        sign(&claims)
    };
    let host = tenants(&["acme", "beta"]);
    for name in ["acme", "beta"] {
        let who = shown(&host, &from_one(json!(name))).await.unwrap();
        assert_eq!(who.tenant.as_str(), name);
    }
    for other in [json!("evil"), json!("Acme"), json!("acme "), json!(null)] {
        let answer = refused(&host, &from_one(other.clone())).await;
        assert_eq!(answer, "Invalid token tenant", "{other}");
    }
    // Without a tenant a token belongs to `default`, which has to be among them.
    assert!(shown(&tenants(&["default"]), &from_one(json!(null))).await.is_ok());
    let of_two = json!({ "iss": "https://two.test", "tenant": "evil" });
    assert!(shown(&host, &signed(OTHER, of_two)).await.is_ok());
}

#[tokio::test]
async fn an_issuer_may_be_denied_the_operator() {
    let denied = IssuerSettings { operator_scope: None, ..issuer("one", SECRET) };
    let host = several(&[denied, issuer("two", OTHER)]);
    let standing = async |secret: &str, name: &str, scopes: Value| {
        let claims = json!({ "iss": format!("https://{name}.test"), "scopes": scopes });
        shown(&host, &signed(secret, claims)).await.unwrap().standing
    };
    let operator = json!(["stepmill:operator"]);
    assert_eq!(standing(SECRET, "one", operator.clone()).await, Standing::Member);
    assert_eq!(standing(OTHER, "two", operator).await, Standing::Operator);
    let both = json!(["stepmill:operator", "agent_os:admin"]);
    assert_eq!(standing(SECRET, "one", both).await, Standing::Admin);
}

#[tokio::test]
async fn each_has_words_of_its_own() {
    let one = IssuerSettings {
        user_claim: "uid".into(),
        tenant_claim: "org".into(),
        scopes_claim: "scope".into(),
        admin_scope: "root".into(),
        audience: vec!["one".into()],
        ..issuer("one", SECRET)
    };
    let host = several(&[one, issuer("two", OTHER)]);
    let own = json!({
        "iss": "https://one.test", "aud": "one", "uid": "uma", "org": "beta", "scope": ["root"],
    });
    let who = shown(&host, &signed(SECRET, own)).await.unwrap();
    assert_eq!(who.user.unwrap().as_str(), "uma");
    assert_eq!(who.tenant.as_str(), "beta");
    assert_eq!(who.standing, Standing::Admin);
    let theirs = json!({ "iss": "https://two.test", "uid": "uma", "scopes": ["root"] });
    let who = shown(&host, &signed(OTHER, theirs)).await.unwrap();
    assert_eq!(who.user.unwrap().as_str(), "ada");
    assert_eq!(who.standing, Standing::Member);
    let audience = signed(SECRET, json!({ "iss": "https://one.test" }));
    assert!(refused(&host, &audience).await.starts_with("Invalid token audience"));
}
