//! Why a factory gives no workflow, or a function step no output.

use std::error::Error;
use std::fmt;

use crate::wit::stepmill::plugin::types as wire;

/// Why a factory gives no workflow.
///
/// `?` turns every [`Error`] into [`FactoryError::Other`], whose text only the operator reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactoryError {
    /// The caller may not have this workflow. HTTP 403; the caller reads the text.
    Permission(String),
    /// The input cannot be used. HTTP 400; the caller reads the text.
    Validation(String),
    /// Anything else. HTTP 500; only the operator's log reads the text.
    Other(String),
}

impl FactoryError {
    /// The caller may not have this workflow.
    pub fn permission(text: impl Into<String>) -> Self {
        Self::Permission(text.into())
    }

    /// The input cannot be used.
    pub fn validation(text: impl Into<String>) -> Self {
        Self::Validation(text.into())
    }

    /// Anything else.
    pub fn other(text: impl Into<String>) -> Self {
        Self::Other(text.into())
    }
}

impl fmt::Display for FactoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Permission(text) | Self::Validation(text) | Self::Other(text)) = self;
        f.write_str(text)
    }
}

impl<E: Error> From<E> for FactoryError {
    fn from(error: E) -> Self {
        Self::Other(chain(&error))
    }
}

impl From<FactoryError> for wire::FactoryError {
    fn from(error: FactoryError) -> Self {
        match error {
            FactoryError::Permission(text) => Self::Permission(text),
            FactoryError::Validation(text) => Self::Validation(text),
            FactoryError::Other(text) => Self::Other(text),
        }
    }
}

/// Why a function step has no output. It fails the step and with it the run; only the
/// operator's log reads the text. `?` turns every [`Error`] into one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepError(pub String);

impl StepError {
    /// An error of this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: Error> From<E> for StepError {
    fn from(error: E) -> Self {
        Self(chain(&error))
    }
}

impl From<FactoryError> for StepError {
    fn from(error: FactoryError) -> Self {
        Self(error.to_string())
    }
}

/// An error with all its causes in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// What a factory or a function step may return: the thing itself, or a `Result` of it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither `{T}` nor `Result<{T}, {E}>`",
    note = "return the one or the other"
)]
pub trait Outcome<T, E> {
    /// The common form.
    ///
    /// # Errors
    /// What the function returned.
    fn outcome(self) -> Result<T, E>;
}

impl<T, E> Outcome<T, E> for T {
    fn outcome(self) -> Result<T, E> {
        Ok(self)
    }
}

impl<T, E> Outcome<T, E> for Result<T, E> {
    fn outcome(self) -> Result<T, E> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read the plan")]
    struct Plan(#[source] std::num::ParseIntError);

    #[test]
    fn a_question_mark_keeps_all_causes() {
        fn build() -> Result<(), FactoryError> {
            Err("x".parse::<u8>().map(drop).map_err(Plan).unwrap_err())?
        }
        let text = "cannot read the plan: invalid digit found in string";
        assert_eq!(build(), Err(FactoryError::other(text)));
    }
}
