//! JSON Web Key Sets: the public keys of an issuer that this host can verify with.

use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use super::keys::Key;

/// The most keys of one set. Issuers publish two or three; each costs a token without a key id
/// one verification.
const MAX_KEYS: usize = 64;

/// Why a text is no set of keys. It holds nothing of the text.
#[derive(Debug, thiserror::Error)]
pub enum KeySetFault {
    /// Not JSON, or without `keys`.
    #[error("it is no JSON Web Key Set")]
    Malformed,
    /// More than this host keeps.
    #[error("it has more than {MAX_KEYS} keys")]
    TooMany,
    /// No public key for an accepted algorithm.
    #[error("it has no public key for an accepted algorithm")]
    Empty,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// Reads the keys that verify one of these algorithms. Keys for anything else stand beside them
/// in real sets and are passed over, and so are shared secrets: what is published is none.
pub(super) fn read(text: &[u8], allowed: &[Algorithm]) -> Result<Vec<Key>, KeySetFault> {
    let set: Set = serde_json::from_slice(text).map_err(|_| KeySetFault::Malformed)?;
    if MAX_KEYS < set.keys.len() {
        return Err(KeySetFault::TooMany);
    }
    let jwks = set.keys.into_iter().filter_map(|it| serde_json::from_value::<Jwk>(it).ok());
    let keys: Vec<_> = jwks.filter_map(|it| key(&it, allowed)).collect();
    if keys.is_empty() { Err(KeySetFault::Empty) } else { Ok(keys) }
}

fn key(jwk: &Jwk, allowed: &[Algorithm]) -> Option<Key> {
    let about = &jwk.common;
    if about.public_key_use.as_ref().is_some_and(|it| *it != PublicKeyUse::Signature) {
        return None;
    }
    if about.key_operations.as_ref().is_some_and(|it| !it.contains(&KeyOperations::Verify)) {
        return None;
    }
    let mut algorithms = of_kind(&jwk.algorithm).to_vec();
    algorithms.retain(|it| allowed.contains(it));
    if let Some(own) = about.key_algorithm {
        algorithms.retain(|it| KeyAlgorithm::from(*it) == own);
    }
    if algorithms.is_empty() {
        return None;
    }
    let key = DecodingKey::from_jwk(jwk).ok()?;
    Some(Key { id: about.key_id.clone(), algorithms, key })
}

/// What a key of this kind can verify at all.
fn of_kind(kind: &AlgorithmParameters) -> &'static [Algorithm] {
    match kind {
        AlgorithmParameters::RSA(_) => &[
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
        ],
        AlgorithmParameters::EllipticCurve(it) => match it.curve {
            EllipticCurve::P256 => &[Algorithm::ES256],
            EllipticCurve::P384 => &[Algorithm::ES384],
            _ => &[],
        },
        AlgorithmParameters::OctetKeyPair(it) if it.curve == EllipticCurve::Ed25519 => {
            &[Algorithm::EdDSA]
        }
        _ => &[],
    }
}
