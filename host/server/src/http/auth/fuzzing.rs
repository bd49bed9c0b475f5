//! The door for the fuzzer of tokens: from a header to a principal, without a request around it.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, Method, header};
use futures::executor::block_on;
use stepmill_core::principal::{Principal, Rules};

use super::AuthFault;
use super::issuers::Issuers;
use crate::settings::TokenSettings;

/// Everybody who signs tokens.
pub struct Tokens(Issuers);

impl Tokens {
    /// Reads the keys of the settings. None of them may be published somewhere.
    ///
    /// # Errors
    /// The keys cannot be used.
    pub fn of(settings: &TokenSettings) -> Result<Self, AuthFault> {
        Issuers::of(settings, Rules::default(), &Arc::default()).map(Self)
    }

    /// Who comes in with this value of `Authorization`.
    ///
    /// # Errors
    /// What the client is told.
    pub fn show(&self, authorization: &[u8]) -> Result<Principal, String> {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_bytes(authorization) {
            headers.insert(header::AUTHORIZATION, value);
        }
        let who = block_on(self.0.principal(&Method::GET, &headers, |_| false));
        who.map(|(who, _)| who).map_err(|it| it.to_string())
    }
}
