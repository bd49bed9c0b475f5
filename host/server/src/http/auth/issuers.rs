//! Tokens of several issuers: which of them answers for a token. No other one is asked then.

use std::sync::Arc;

use axum::http::{HeaderMap, Method};
use jsonwebtoken::dangerous::insecure_decode_claims;
use serde::Deserialize;
use stepmill_core::principal::{Principal, Rules};
use stepmill_core::role::Roles;

use super::AuthFault;
use super::local::check_cookie_page;
use super::refusal::Refusal;
use super::token::Place;
use super::verifier::Verifier;
use crate::settings::TokenSettings;

/// Everybody who signs tokens.
pub(super) struct Issuers {
    place: Place,
    verifiers: Vec<Verifier>,
}

/// The one claim that is looked at before a token is verified.
#[derive(Deserialize)]
struct Signed {
    iss: Option<String>,
}

impl Issuers {
    /// Reads every key the settings hold. Needs a runtime if there are keys to fetch.
    pub(super) fn of(
        settings: &TokenSettings,
        rules: Rules,
        roles: &Arc<Roles>,
    ) -> Result<Self, AuthFault> {
        let verifier = |it| Verifier::of(it, rules, roles.clone());
        Ok(Self {
            place: Place::new(settings.source, settings.cookie.clone()),
            verifiers: settings.issuers.iter().map(verifier).collect::<Result<_, _>>()?,
        })
    }

    /// Who sent a request, and what the issuer calls the scope of admins.
    pub(super) async fn principal(
        &self,
        method: &Method,
        headers: &HeaderMap,
        allows_origin: impl Fn(&str) -> bool,
    ) -> Result<(Principal, &str), Refusal> {
        let token = self.place.find(headers)?;
        if token.in_cookie {
            check_cookie_page(method, headers, allows_origin)?;
        }
        let verifier = self.verifier(token.text)?;
        Ok((verifier.principal(token.text).await?, &verifier.admin_scope))
    }

    /// Who has to verify a token: the issuer that it names, or the one that takes tokens of any
    /// name. What it names is only what somebody wrote, until that issuer's keys say so.
    fn verifier(&self, token: &str) -> Result<&Verifier, Refusal> {
        if let [only] = &self.verifiers[..] {
            return Ok(only);
        }
        // What cannot be read names nobody.
        let name = insecure_decode_claims::<Signed>(token).ok().and_then(|it| it.iss);
        let of = |name: Option<&str>| self.verifiers.iter().find(|it| it.issuer() == name);
        let named = name.as_deref().and_then(|it| of(Some(it)));
        named.or_else(|| of(None)).ok_or_else(Refusal::issuer)
    }
}
