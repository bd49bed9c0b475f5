//! Why nobody comes in, or not this far. The texts are Agno's: people know them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::super::error::{ApiError, detail, later, scope_missing};
use crate::app::AppError;

/// Why a request goes no further than the door.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// The request carries no token; the text says where one was looked for.
    #[error("{0}")]
    Missing(String),
    /// The token is over.
    #[error("Token has expired")]
    Expired,
    /// The token is for somebody else.
    #[error("Invalid token audience - token not valid for this AgentOS instance")]
    Audience,
    /// The subject cannot be a user, or is one of the host's own names.
    #[error("Invalid token subject")]
    Subject,
    /// The tenant claim names none.
    #[error("Invalid token tenant")]
    Tenant,
    /// The session claim names none.
    #[error("Invalid token session")]
    Session,
    /// The token is none that counts here.
    #[error("Invalid token: {0}")]
    Token(String),
    /// The issuer's keys are needed and not to be had.
    #[error("The token issuer's keys are not available")]
    KeysUnavailable,
    /// The host has a key, and the request shows none.
    #[error("Authorization header required")]
    KeyMissing,
    /// The host has another key.
    #[error("Invalid authentication token")]
    KeyWrong,
    /// There is no such API key, or not any more.
    #[error("Invalid API key")]
    ApiKey,
    /// Whether the key is good could not be found out.
    #[error("the key could not be looked for")]
    Failed(#[source] AppError),
    /// Users are kept apart, and the token does not say which one this is.
    #[error("Authenticated request is missing a user identity")]
    Nobody,
    /// A page of somebody else sent this.
    #[error("{0}")]
    Page(&'static str),
    /// The token does not cover this route.
    #[error("the scope `{0}` is required")]
    Scope(String),
}

impl Refusal {
    /// A token whose signature no key explains.
    pub(super) fn signature() -> Self {
        Self::Token("Signature verification failed".into())
    }

    /// A token of somebody whose word does not count here.
    pub(super) fn issuer() -> Self {
        Self::Token("Invalid issuer".into())
    }

    /// What the client reads.
    pub(super) fn response(self) -> Response {
        let text = self.to_string();
        match self {
            Self::Scope(scope) => scope_missing(&scope),
            Self::Failed(fault) => ApiError::from(fault).into_response(),
            Self::Nobody | Self::Page(_) => detail(StatusCode::FORBIDDEN, text),
            Self::KeysUnavailable => {
                later(StatusCode::SERVICE_UNAVAILABLE, &text, "keys_unavailable")
            }
            Self::Missing(_)
            | Self::Expired
            | Self::Audience
            | Self::Subject
            | Self::Tenant
            | Self::Session
            | Self::Token(_)
            | Self::ApiKey
            | Self::KeyMissing
            | Self::KeyWrong => {
                let mut response = detail(StatusCode::UNAUTHORIZED, text);
                let challenge = HeaderValue::from_static("Bearer");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
                response
            }
        }
    }
}
