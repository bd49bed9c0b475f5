//! Statements to the operator's databases: what is asked, what comes back, and why nothing does.

use crate::capability::Access;
use crate::event::StepFailure;
use crate::ids::DatabaseName;

/// The most parameters of a statement: an insert of a hundred rows of ten columns.
pub const MAX_PARAMETERS: usize = 1_000;

/// One value, of those that every database has. What is none of them travels as text.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A floating-point number.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// One statement with its parameters, as a guest wrote it.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// Where it goes.
    pub database: DatabaseName,
    /// Whether it may change anything.
    pub access: Access,
    /// In the words of that database, with places `$1`, `$2`, …
    pub text: String,
    /// What stands in those places.
    pub parameters: Vec<Value>,
}

/// What a statement gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Rows, each with a value for every column.
    pub rows: Vec<Vec<Value>>,
    /// How many rows a statement that writes has changed.
    pub changed: u64,
}

/// Why there is no answer. Nothing was changed, unless it says that this is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseFailure {
    /// The operator has no database of this name.
    #[error("there is no such database")]
    Unknown,
    /// The database refuses the statement. The text is for who wrote the statement: it may repeat
    /// values, so it is in no message of ours.
    #[error("the database refuses the statement")]
    Invalid(String),
    /// The statement, or its answer, is over a limit of the host.
    #[error("the statement or its answer is too large")]
    TooLarge,
    /// No answer in time.
    #[error("the database did not answer in time")]
    TimedOut,
    /// The database cannot be reached, or broke off. Whether a statement that writes took place is
    /// not known.
    #[error("the database is not available")]
    Unavailable,
}

impl DatabaseFailure {
    /// What a query step fails of.
    pub fn step_failure(&self) -> StepFailure {
        match self {
            Self::Unknown => StepFailure::DatabaseUnknown,
            Self::Invalid(_) => StepFailure::DatabaseRefused,
            Self::TooLarge => StepFailure::DatabaseOverLimit,
            Self::TimedOut => StepFailure::DatabaseTimedOut,
            Self::Unavailable => StepFailure::DatabaseFailed,
        }
    }
}
