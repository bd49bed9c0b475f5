//! Every algorithm verifies, and none stands in for another.

use super::*;

const ALL: [(JwtAlgorithm, Algorithm, Option<&str>); 12] = [
    (JwtAlgorithm::Hs256, Algorithm::HS256, None),
    (JwtAlgorithm::Hs384, Algorithm::HS384, None),
    (JwtAlgorithm::Hs512, Algorithm::HS512, None),
    (JwtAlgorithm::Rs256, Algorithm::RS256, Some(include_str!("../testdata/rsa.public.pem"))),
    (JwtAlgorithm::Rs384, Algorithm::RS384, Some(include_str!("../testdata/rsa.public.pem"))),
    (JwtAlgorithm::Rs512, Algorithm::RS512, Some(include_str!("../testdata/rsa.public.pem"))),
    (JwtAlgorithm::Ps256, Algorithm::PS256, Some(include_str!("../testdata/rsa.public.pem"))),
    (JwtAlgorithm::Ps384, Algorithm::PS384, Some(include_str!("../testdata/rsa.public.pem"))),
    (JwtAlgorithm::Ps512, Algorithm::PS512, Some(include_str!("../testdata/rsa.public.pem"))),
    (JwtAlgorithm::Es256, Algorithm::ES256, Some(include_str!("../testdata/p256.public.pem"))),
    (JwtAlgorithm::Es384, Algorithm::ES384, Some(include_str!("../testdata/p384.public.pem"))),
    (JwtAlgorithm::EdDsa, Algorithm::EdDSA, Some(include_str!("../testdata/ed25519.public.pem"))),
];

const NOT_ALLOWED: &str = "Invalid token: The specified alg value is not allowed";

fn with_key(algorithms: &[JwtAlgorithm], keys: &[&str]) -> IssuerSettings {
    IssuerSettings {
        algorithms: algorithms.to_vec(),
        keys: keys.iter().map(|it| SecretString::from(*it)).collect(),
        ..settings()
    }
}

#[tokio::test]
async fn each_takes_its_own_tokens_and_no_others() {
    for (accepted, own, key) in ALL {
        let verifier = verifier(&with_key(&[accepted], &[key.unwrap_or(SECRET)]));
        for (_, algorithm, _) in ALL {
            let answer = shown(&verifier, &token(&Header::new(algorithm), &claims())).await;
            if algorithm == own {
                assert!(answer.is_ok(), "{own:?}: {:?}", answer.err());
            } else {
                assert_eq!(answer.unwrap_err(), NOT_ALLOWED, "{own:?} {algorithm:?}");
            }
        }
    }
}

#[tokio::test]
async fn several_algorithms_each_have_their_keys() {
    let keys: Vec<_> = ALL.iter().map(|(_, _, key)| key.unwrap_or(SECRET)).collect();
    let verifier = verifier(&with_key(&ALL.map(|(it, _, _)| it), &keys));
    for (_, algorithm, _) in ALL {
        let answer = shown(&verifier, &token(&Header::new(algorithm), &claims())).await;
        assert!(answer.is_ok(), "{algorithm:?}: {:?}", answer.err());
    }
    // A public key is known to all, and is no secret here.
    for (_, _, key) in ALL {
        let Some(public) = key else { continue };
        for text in [public, public.trim()] {
            let secret = EncodingKey::from_secret(text.as_bytes());
            let forged = jsonwebtoken::encode(&Header::default(), &claims(), &secret).unwrap();
            let answer = shown(&verifier, &forged).await.unwrap_err();
            assert_eq!(answer, "Invalid token: Signature verification failed");
        }
    }
}

#[tokio::test]
async fn an_old_key_counts_beside_a_new_one() {
    let other = "another-secret-with-32-bytes-or-even-more";
    let verifier = verifier(&with_key(&[JwtAlgorithm::Hs256], &[other, SECRET]));
    assert!(shown(&verifier, &sign(&claims())).await.is_ok());
    let expired = with(json!({ "exp": now() - 60 }));
    assert_eq!(shown(&verifier, &sign(&expired)).await.unwrap_err(), "Token has expired");
}

#[test]
fn a_key_of_the_wrong_kind_is_refused_at_the_start() {
    let fault = |algorithms: &[JwtAlgorithm], keys: &[&str]| {
        let made = made(&[with_key(algorithms, keys)], TokenSource::Header);
        made.err().expect("the key is bad").to_string()
    };
    let kind = "auth.jwt: the key is no public key in PEM of the kind the algorithm needs";
    let public = |at: usize| ALL[at].2.unwrap();
    assert_eq!(fault(&[JwtAlgorithm::Rs256], &[SECRET]), kind);
    assert_eq!(fault(&[JwtAlgorithm::Hs256], &[public(3)]), kind);
    assert_eq!(fault(&[JwtAlgorithm::Es256], &[public(3)]), kind);
    assert_eq!(fault(&[JwtAlgorithm::Es256], &[public(10)]), kind);
    assert_eq!(fault(&[JwtAlgorithm::EdDsa], &[public(9)]), kind);
    assert_eq!(fault(&[JwtAlgorithm::Es256], &[P256]), kind);
    assert_eq!(fault(&[JwtAlgorithm::Rs256], &["-----BEGIN PUBLIC KEY-----\nAA\n"]), kind);
    let both = [JwtAlgorithm::Hs256, JwtAlgorithm::Rs256];
    assert_eq!(fault(&both, &[SECRET]), "auth.jwt: there is no key for RS256");
}

fn with_set(algorithms: &[JwtAlgorithm], keys: Value) -> IssuerSettings {
    let set = json!({ "keys": keys }).to_string();
    IssuerSettings { jwks_file: Some(set), ..with_key(algorithms, &[]) }
}

#[tokio::test]
async fn a_file_with_a_key_set_verifies() {
    let asymmetric = &ALL[3..];
    let keys: Vec<_> =
        asymmetric.iter().map(|(_, it, _)| published(&format!("{it:?}"), *it)).collect();
    let algorithms: Vec<_> = asymmetric.iter().map(|(it, _, _)| *it).collect();
    let verifier = verifier(&with_set(&algorithms, keys.into()));
    for (_, algorithm, _) in asymmetric {
        let named = named(&format!("{algorithm:?}"), *algorithm);
        assert!(shown(&verifier, &named).await.is_ok(), "{algorithm:?}");
        let nameless = token(&Header::new(*algorithm), &claims());
        assert!(shown(&verifier, &nameless).await.is_ok(), "{algorithm:?}");
    }
    // A key that says what it is for is for nothing else.
    assert_eq!(
        shown(&verifier, &named("RS256", Algorithm::PS256)).await.unwrap_err(),
        "Invalid token: Signature verification failed"
    );
}

#[test]
fn of_a_key_set_only_public_keys_for_signatures_count() {
    let fault = |keys: Value| {
        let made = made(&[with_set(&[JwtAlgorithm::Rs256], keys)], TokenSource::Header);
        let fault = made.err()?;
        Some(std::error::Error::source(&fault).unwrap().to_string())
    };
    let key = |change: Value| {
        let mut key = published("a", Algorithm::RS256);
        for (name, value) in change.as_object().unwrap() {
            key[name] = value.clone();
        }
        key
    };
    assert_eq!(fault(json!([key(json!({}))])), None);
    assert_eq!(fault(json!([key(json!({ "use": "sig", "key_ops": ["verify"] }))])), None);
    // What cannot be read stands beside what can.
    assert_eq!(fault(json!([{ "kty": "new" }, 7, key(json!({ "kid": 7 })), key(json!({}))])), None);
    let empty = Some("it has no public key for an accepted algorithm".to_owned());
    for useless in [
        key(json!({ "use": "enc" })),
        key(json!({ "key_ops": ["encrypt"] })),
        key(json!({ "alg": "RS512" })),
        key(json!({ "alg": "RSA-OAEP" })),
        key(json!({ "kty": "oct", "k": "c2VjcmV0" })),
        published("a", Algorithm::ES256),
        json!({ "kty": "oct", "kid": "a", "alg": "HS256", "k": "c2VjcmV0" }),
    ] {
        assert_eq!(fault(json!([useless])), empty, "{useless}");
    }
    assert_eq!(fault(json!([])), empty);
    assert_eq!(fault(json!({})), Some("it is no JSON Web Key Set".into()));
    let many = vec![key(json!({})); 65];
    assert_eq!(fault(many.into()), Some("it has more than 64 keys".into()));
}
