//! Which key verifies a token: shared secrets and PEM keys of the settings, the keys of a file,
//! or those the issuer publishes.

use std::fmt;

use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Header, Validation};
use secrecy::ExposeSecret;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::AuthFault;
use super::jwks::Jwks;
use super::key_set;
use super::refusal::Refusal;
use crate::settings::{IssuerSettings, JwtAlgorithm, is_pem};

/// A verified token's claims.
pub(super) type Claims = Map<String, Value>;

/// Claims of which none is there twice. Of two, somebody else may read the other one (RFC 7519, 4).
struct Once(Claims);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Claims;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Claims, A::Error> {
                let mut claims = Claims::new();
                while let Some((name, value)) = map.next_entry()? {
                    if claims.insert(name, value).is_some() {
                        return Err(A::Error::custom("a claim is there twice"));
                    }
                }
                Ok(claims)
            }
        }
        deserializer.deserialize_map(Each).map(Self)
    }
}

/// One key and what it may be used for. A token does not choose: an algorithm that is not among
/// the key's own is refused, so that a public key never stands in for a secret.
#[derive(Debug)]
pub(super) struct Key {
    /// What the issuer calls it.
    pub(super) id: Option<String>,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) key: DecodingKey,
}

/// All keys there are.
pub(super) struct Keys {
    fixed: Vec<Key>,
    published: Option<Jwks>,
}

/// A token with what has to hold of it.
pub(super) struct Ask<'a> {
    pub(super) token: &'a str,
    pub(super) header: &'a Header,
    pub(super) validation: &'a Validation,
}

impl Keys {
    /// Reads every key the settings hold. Needs a runtime if there are keys to fetch.
    pub(super) fn of(settings: &IssuerSettings) -> Result<Self, AuthFault> {
        let allowed: Vec<_> = settings.algorithms.iter().copied().map(algorithm).collect();
        let mut fixed = Vec::new();
        for key in &settings.keys {
            let key = given(key.expose_secret(), &allowed);
            fixed.push(key.ok_or_else(|| AuthFault::Key(settings.place.clone()))?);
        }
        if let Some(text) = &settings.jwks_file {
            let keys = key_set::read(text.as_bytes(), &allowed);
            let place = settings.place.clone();
            fixed.extend(keys.map_err(|source| AuthFault::KeySet { place, source })?);
        }
        if settings.jwks.is_none() {
            let has_key = |it: &Algorithm| fixed.iter().any(|key| key.algorithms.contains(it));
            if let Some(lonely) = allowed.iter().find(|it| !has_key(it)) {
                let (place, algorithm) = (settings.place.clone(), format!("{lonely:?}"));
                return Err(AuthFault::NoKey { place, algorithm });
            }
        }
        let published = settings.jwks.clone().map(|it| Jwks::open(it, allowed)).transpose()?;
        Ok(Self { fixed, published })
    }

    /// The claims of a token that one of the keys verifies.
    pub(super) async fn verify(&self, ask: &Ask<'_>) -> Result<Claims, Refusal> {
        if let Some(done) = ask.try_with(&self.fixed) {
            return done;
        }
        match &self.published {
            Some(jwks) => jwks.verify(ask).await,
            None => Err(Refusal::signature()),
        }
    }
}

impl Ask<'_> {
    /// The first word of a key that signed the token; `None` if none of them did.
    pub(super) fn try_with(&self, keys: &[Key]) -> Option<Result<Claims, Refusal>> {
        let named = self.header.kid.as_deref();
        let may_be = |key: &&Key| {
            let is_named = match (&key.id, named) {
                (Some(id), Some(name)) => id == name,
                _ => true,
            };
            is_named && key.algorithms.contains(&self.header.alg)
        };
        keys.iter().filter(may_be).find_map(|key| {
            match jsonwebtoken::decode::<Once>(self.token, &key.key, self.validation) {
                Ok(token) => Some(Ok(token.claims.0)),
                Err(fault) if is_of_key(&fault) => None,
                Err(fault) => Some(Err(refusal(self.token, fault.kind()))),
            }
        })
    }
}

/// Whether another key could say otherwise.
fn is_of_key(fault: &Error) -> bool {
    matches!(
        fault.kind(),
        ErrorKind::InvalidSignature
            | ErrorKind::InvalidKeyFormat
            | ErrorKind::InvalidEcdsaKey
            | ErrorKind::InvalidRsaKey(_)
    )
}

/// What is wrong with a token whose signature is right.
fn refusal(token: &str, kind: &ErrorKind) -> Refusal {
    let has = |name: &str| {
        let claims = insecure_decode_claims::<Claims>(token).unwrap_or_default();
        claims.get(name).is_some_and(|it| !it.is_null())
    };
    let text = match kind {
        ErrorKind::ExpiredSignature => return Refusal::Expired,
        ErrorKind::InvalidAudience => return Refusal::Audience,
        ErrorKind::ImmatureSignature => "The token is not yet valid (nbf)",
        ErrorKind::InvalidIssuer => "Invalid issuer",
        // A claim that cannot be read counts as missing to the library, and not to Agno.
        ErrorKind::MissingRequiredClaim(it) if it == "aud" && has(it) => return Refusal::Audience,
        ErrorKind::MissingRequiredClaim(it) if it == "exp" && has(it) => {
            "Expiration Time claim (exp) must be an integer."
        }
        ErrorKind::MissingRequiredClaim(claim) if claim == "aud" => {
            "Token is missing the \"aud\" claim. Audience verification requires this claim to be present in the token."
        }
        ErrorKind::MissingRequiredClaim(claim) => {
            return Refusal::Token(format!("Token is missing the \"{claim}\" claim"));
        }
        _ => "Malformed",
    };
    Refusal::Token(text.to_owned())
}

/// A key of the settings; none if no algorithm can use it. What looks like a PEM key is never a
/// shared secret.
fn given(text: &str, allowed: &[Algorithm]) -> Option<Key> {
    let of = |family: AlgorithmFamily| -> Vec<_> {
        allowed.iter().copied().filter(|it| it.family() == family).collect()
    };
    if !is_pem(text) {
        let algorithms = of(AlgorithmFamily::Hmac);
        let key = DecodingKey::from_secret(text.as_bytes());
        return (!algorithms.is_empty()).then_some(Key { id: None, algorithms, key });
    }
    let pem = text.as_bytes();
    let read = DecodingKey::from_rsa_pem(pem)
        .or_else(|_| DecodingKey::from_ec_pem(pem))
        .or_else(|_| DecodingKey::from_ed_pem(pem));
    let key = read.ok()?;
    let mut algorithms = of(key.family());
    if key.family() == AlgorithmFamily::Ec {
        // The two curves differ in the length of a point and in nothing else a PEM key shows here.
        let point = key.try_get_as_bytes().map_or(0, <[u8]>::len);
        algorithms.retain(|it| point == point_bytes(*it));
    }
    (!algorithms.is_empty()).then_some(Key { id: None, algorithms, key })
}

/// The bytes of an uncompressed point on the curve of an algorithm.
fn point_bytes(algorithm: Algorithm) -> usize {
    if algorithm == Algorithm::ES384 { 97 } else { 65 }
}

fn algorithm(of: JwtAlgorithm) -> Algorithm {
    match of {
        JwtAlgorithm::Hs256 => Algorithm::HS256,
        JwtAlgorithm::Hs384 => Algorithm::HS384,
        JwtAlgorithm::Hs512 => Algorithm::HS512,
        JwtAlgorithm::Rs256 => Algorithm::RS256,
        JwtAlgorithm::Rs384 => Algorithm::RS384,
        JwtAlgorithm::Rs512 => Algorithm::RS512,
        JwtAlgorithm::Ps256 => Algorithm::PS256,
        JwtAlgorithm::Ps384 => Algorithm::PS384,
        JwtAlgorithm::Ps512 => Algorithm::PS512,
        JwtAlgorithm::Es256 => Algorithm::ES256,
        JwtAlgorithm::Es384 => Algorithm::ES384,
        JwtAlgorithm::EdDsa => Algorithm::EdDSA,
    }
}

/// One set of checks for each accepted algorithm: the library wants them of one family.
pub(super) fn validations(settings: &IssuerSettings) -> Vec<Validation> {
    let of = |it: &JwtAlgorithm| {
        // The library's defaults are lax: a token without `aud` passes an audience check, `nbf`
        // is not looked at, and a minute of leeway is given.
        let mut validation = Validation::new(algorithm(*it));
        let mut required = vec!["exp"];
        validation.leeway = settings.leeway_seconds;
        validation.validate_nbf = true;
        validation.validate_aud = !settings.audience.is_empty();
        if validation.validate_aud {
            validation.set_audience(&settings.audience);
            required.push("aud");
        }
        if let Some(issuer) = &settings.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        validation.set_required_spec_claims(&required);
        validation
    };
    settings.algorithms.iter().map(of).collect()
}
