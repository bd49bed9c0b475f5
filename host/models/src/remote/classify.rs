//! From the client crate's errors to this room's words. What they say is dropped here.

use std::time::{Duration, SystemTime};

use rig_core::ProviderResponseError;
use rig_core::error::{ErrorReport, ProviderError};
use rig_core::http_client::Error as HttpError;

use super::transport::TransportFault;
use crate::failure::{FailureCause, ModelFailure, ProviderCode, TimeLimit};

/// Codes that mean "later", also in the middle of a stream or under another status than 429.
const BUSY_CODES: [&str; 5] = [
    "rate_limit_exceeded",
    "rate_limit_error",
    "overloaded_error",
    "RESOURCE_EXHAUSTED",
    "UNAVAILABLE",
];

/// A failed try: what it was, and how long the provider asks to wait.
pub(super) struct FailedTry {
    pub(super) failure: ModelFailure,
    pub(super) retry_after: Option<Duration>,
}

impl From<ModelFailure> for FailedTry {
    fn from(failure: ModelFailure) -> Self {
        Self { failure, retry_after: None }
    }
}

impl From<ProviderError> for FailedTry {
    fn from(error: ProviderError) -> Self {
        let Some(response) = error.provider_response() else {
            return without_response(&error).into();
        };
        let retry_after = ErrorReport::from(&error).retry_after(SystemTime::now());
        Self { failure: reported(response, retry_after), retry_after }
    }
}

/// A failure that the provider told, by a status or in the middle of an answer.
fn reported(response: &ProviderResponseError, retry_after: Option<Duration>) -> ModelFailure {
    let word = response.machine_code();
    let code = word.as_deref().and_then(ProviderCode::new);
    let status = response.status.map(|it| it.as_u16()).filter(|it| !(200..300).contains(it));
    let busy = code.as_ref().is_some_and(|it| BUSY_CODES.contains(&it.as_str()));
    if response.refusal {
        return ModelFailure::Refused { status, code };
    }
    match status {
        // 529 is Anthropic's word for being overloaded.
        Some(429 | 529) => busy_for(retry_after, code),
        // 408 is the server's own deadline, not the request's fault.
        Some(400..=499) if status != Some(408) => ModelFailure::Refused { status, code },
        Some(_) => ModelFailure::Failed { cause: FailureCause::Status, status, code },
        None if busy => busy_for(retry_after, code),
        None => ModelFailure::Failed { cause: FailureCause::Reported, status, code },
    }
}

fn busy_for(retry_after: Option<Duration>, code: Option<ProviderCode>) -> ModelFailure {
    let millis = |it: Duration| u64::try_from(it.as_millis()).unwrap_or(u64::MAX);
    ModelFailure::Busy { retry_after_ms: retry_after.map(millis), code }
}

/// A failure without a word of the provider.
fn without_response(error: &ProviderError) -> ModelFailure {
    match error {
        ProviderError::Http(error) => of_transport(error),
        ProviderError::Truncated => ModelFailure::BrokeOff,
        ProviderError::Stalled(_) => ModelFailure::TimedOut { limit: TimeLimit::Idle },
        ProviderError::Url(_) | ProviderError::Request(_) | ProviderError::UnsupportedOption(_) => {
            failed(FailureCause::Request)
        }
        _ => failed(FailureCause::Malformed),
    }
}

fn of_transport(error: &HttpError) -> ModelFailure {
    let HttpError::Instance(inner) = error else {
        return failed(FailureCause::Malformed);
    };
    match inner.downcast_ref() {
        Some(TransportFault::ConnectTimedOut) => {
            ModelFailure::TimedOut { limit: TimeLimit::Connect }
        }
        Some(TransportFault::Unreachable) => failed(FailureCause::Unreachable),
        Some(TransportFault::BrokeOff) => ModelFailure::BrokeOff,
        Some(TransportFault::Idle) => ModelFailure::TimedOut { limit: TimeLimit::Idle },
        Some(TransportFault::TooLarge(limit)) => ModelFailure::TooLarge { limit_bytes: *limit },
        Some(TransportFault::Request) => failed(FailureCause::Request),
        None => failed(FailureCause::Malformed),
    }
}

/// A failure of which nothing more is known.
pub(super) fn failed(cause: FailureCause) -> ModelFailure {
    ModelFailure::Failed { cause, status: None, code: None }
}
