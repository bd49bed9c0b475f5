//! One key for the whole host: whoever has it is the operator.

use axum::http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::refusal::Refusal;
use super::token::bearer;

/// The key's digest. Digests are of one length, so comparing them tells nothing of the key's.
pub(super) struct HostKey([u8; 32]);

impl HostKey {
    pub(super) fn of(key: &SecretString) -> Self {
        Self(Sha256::digest(key.expose_secret()).into())
    }

    /// Whether a request shows the key.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let shown = bearer(headers).ok_or(Refusal::KeyMissing)?;
        let shown: [u8; 32] = Sha256::digest(shown).into();
        if bool::from(self.0.ct_eq(&shown)) { Ok(()) } else { Err(Refusal::KeyWrong) }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, header};

    use super::*;

    #[test]
    fn only_the_key_itself_opens() {
        let key = HostKey::of(&"sk-os-1234".into());
        let check = |text: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(text) = text {
                headers.insert(header::AUTHORIZATION, HeaderValue::from_static(text));
            }
            key.check(&headers).map_err(|it| it.to_string())
        };
        assert_eq!(check(Some("Bearer sk-os-1234")), Ok(()));
        assert_eq!(check(Some("bearer sk-os-1234")), Ok(()));
        assert_eq!(check(None), Err("Authorization header required".into()));
        for wrong in ["Bearer sk-os-123", "Bearer sk-os-12345", "Bearer SK-OS-1234", "Basic x"] {
            assert_eq!(check(Some(wrong)), Err("Invalid authentication token".into()), "{wrong}");
        }
    }
}
