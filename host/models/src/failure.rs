//! Why a model gave no answer, in words that give nothing away.
//!
//! No variant holds a key, a URL, a prompt or a sentence that a provider wrote, and none has a
//! source: `Display`, `Debug` and the source chain are safe to log and to store.

use std::fmt;

use stepmill_core::event::StepFailure;

/// Why a model gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelFailure {
    /// No provider is configured for the name.
    #[error("no provider is configured for the model")]
    Unknown,
    /// The provider refused the request or the operator's key, or filtered the content.
    #[error("the model provider refused the request")]
    Refused {
        /// The HTTP status; none if the provider refused in an otherwise good answer.
        status: Option<u16>,
        /// The provider's word for it.
        code: Option<ProviderCode>,
    },
    /// The provider is over its rate limit or its capacity, also after the allowed tries.
    #[error("the model provider asked to come back later")]
    Busy {
        /// How long the provider asked to wait, in milliseconds.
        retry_after_ms: Option<u64>,
        /// The provider's word for it.
        code: Option<ProviderCode>,
    },
    /// The provider could not be reached, failed, or said something that is not its protocol.
    #[error("the model provider failed: {cause}")]
    Failed {
        /// What was seen.
        cause: FailureCause,
        /// The HTTP status, if one came.
        status: Option<u16>,
        /// The provider's word for it.
        code: Option<ProviderCode>,
    },
    /// A deadline passed.
    #[error("the model provider did not answer in time: {limit}")]
    TimedOut {
        /// Which deadline.
        limit: TimeLimit,
    },
    /// The answer's body is larger than allowed; the rest was not read.
    #[error("the model's answer is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit, in bytes as they came over the network.
        limit_bytes: usize,
    },
    /// The connection or the stream ended before the provider ended the answer.
    #[error("the model provider broke off in the middle of its answer")]
    BrokeOff,
}

/// What was seen of a provider that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FailureCause {
    /// No connection, or it ended before a word of an answer.
    #[error("it could not be reached")]
    Unreachable,
    /// An HTTP status that is no success.
    #[error("it answered with an error status")]
    Status,
    /// A failure reported inside a good answer, or in the middle of a stream.
    #[error("it reported a failure")]
    Reported,
    /// Something that is not the protocol.
    #[error("its answer could not be understood")]
    Malformed,
    /// An end without any text.
    #[error("it ended without an answer")]
    Empty,
    /// The request could not be written for this provider.
    #[error("the request could not be written for it")]
    Request,
}

/// Which deadline passed. The numbers are in [`crate::CallLimits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeLimit {
    /// `connect_timeout_ms`.
    #[error("no connection")]
    Connect,
    /// `idle_timeout_ms`.
    #[error("silence")]
    Idle,
    /// `total_timeout_ms`.
    #[error("the whole call took too long")]
    Total,
}

impl ModelFailure {
    /// What a step fails of because of this.
    pub fn step_failure(&self) -> StepFailure {
        match self {
            Self::Unknown => StepFailure::ModelUnknown,
            Self::Refused { .. } => StepFailure::ModelRefused,
            Self::Busy { .. } => StepFailure::ModelBusy,
            Self::Failed { .. } | Self::BrokeOff => StepFailure::ModelFailed,
            Self::TimedOut { .. } => StepFailure::ModelTimedOut,
            Self::TooLarge { .. } => StepFailure::AnswerTooLarge,
        }
    }

    /// Whether the provider may have worked, and want to be paid, although no answer came of it.
    /// None does for a status that is no success, or where it was not reached.
    pub fn may_have_cost(&self) -> bool {
        match self {
            Self::Unknown | Self::Busy { .. } => false,
            Self::Refused { status, .. } => status.is_none(),
            Self::Failed { cause, .. } => match cause {
                FailureCause::Unreachable | FailureCause::Status | FailureCause::Request => false,
                FailureCause::Reported | FailureCause::Malformed | FailureCause::Empty => true,
            },
            Self::TimedOut { limit } => *limit != TimeLimit::Connect,
            Self::TooLarge { .. } | Self::BrokeOff => true,
        }
    }

    /// The HTTP status the provider gave, for the log.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } | Self::Failed { status, .. } => *status,
            _ => None,
        }
    }

    /// The provider's word for it, for the log.
    pub fn code(&self) -> Option<&ProviderCode> {
        match self {
            Self::Refused { code, .. } | Self::Busy { code, .. } | Self::Failed { code, .. } => {
                code.as_ref()
            }
            _ => None,
        }
    }

    /// Whether the same request may be sent again, as long as nothing of an answer was told.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Busy { .. } | Self::TimedOut { limit: TimeLimit::Connect } => true,
            Self::Failed { cause: FailureCause::Unreachable, .. } => true,
            Self::Failed { cause: FailureCause::Status, status, .. } => {
                status.is_some_and(|it| it == 408 || 500 <= it)
            }
            _ => false,
        }
    }
}

/// A provider's machine-readable word for a failure: `rate_limit_exceeded`.
///
/// Invariant: only ASCII letters and `_`, at most [`ProviderCode::MAX_BYTES`]. A key or a
/// sentence does not fit in, so it may be logged.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderCode(String);

impl ProviderCode {
    /// Longer than every code the providers document.
    pub const MAX_BYTES: usize = 64;

    /// Takes the word, or nothing if it is not one.
    pub fn new(word: &str) -> Option<Self> {
        let is_letter = |it: u8| it.is_ascii_alphabetic() || it == b'_';
        let fits = !word.is_empty() && word.len() <= Self::MAX_BYTES;
        (fits && word.bytes().all(is_letter)).then(|| Self(word.to_owned()))
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProviderCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ProviderCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProviderCode({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_word_and_nothing_else() {
        assert!(ProviderCode::new("rate_limit_exceeded").is_some());
        assert!(ProviderCode::new("RESOURCE_EXHAUSTED").is_some());
        for other in ["", "sk-live-123", "Bad request: Write about cats", "a b", "é"] {
            assert_eq!(ProviderCode::new(other), None, "{other}");
        }
        assert_eq!(ProviderCode::new(&"x".repeat(65)), None);
    }

    #[test]
    fn what_was_refused_at_the_door_cost_nothing() {
        let failed = |cause| ModelFailure::Failed { cause, status: None, code: None };
        for free in [
            ModelFailure::Unknown,
            ModelFailure::Busy { retry_after_ms: None, code: None },
            ModelFailure::Refused { status: Some(400), code: None },
            failed(FailureCause::Unreachable),
            failed(FailureCause::Status),
            ModelFailure::TimedOut { limit: TimeLimit::Connect },
        ] {
            assert!(!free.may_have_cost(), "{free}");
        }
        for paid in [
            ModelFailure::Refused { status: None, code: ProviderCode::new("content_filter") },
            failed(FailureCause::Malformed),
            failed(FailureCause::Empty),
            ModelFailure::TimedOut { limit: TimeLimit::Idle },
            ModelFailure::BrokeOff,
        ] {
            assert!(paid.may_have_cost(), "{paid}");
        }
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let status =
            |it| ModelFailure::Failed { cause: FailureCause::Status, status: Some(it), code: None };
        assert!(status(500).may_pass());
        assert!(status(408).may_pass());
        assert!(!status(302).may_pass());
        assert!(ModelFailure::Busy { retry_after_ms: None, code: None }.may_pass());
        assert!(ModelFailure::TimedOut { limit: TimeLimit::Connect }.may_pass());
        assert!(!ModelFailure::TimedOut { limit: TimeLimit::Total }.may_pass());
        assert!(!ModelFailure::Refused { status: Some(400), code: None }.may_pass());
        assert!(!ModelFailure::BrokeOff.may_pass());
    }
}
