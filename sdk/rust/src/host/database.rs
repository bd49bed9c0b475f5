//! Statements to databases that the operator named, for the rows of the caller's tenant. Asks for
//! [`Capability::Database`](crate::Capability::Database) with the name.
//!
//! A statement is in the words of its database, with places `$1`, `$2`, …; a place takes what its
//! column asks for, so a text is a fine UUID. Whatever is no number, truth, text or bytes comes back
//! as text.

use super::border::database as host;
use crate::wit::stepmill::plugin::database as wire;
pub use crate::wit::stepmill::plugin::types::Value;

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// No granted capability covers this database, or not for writing.
    #[error("no granted capability covers this use of the database")]
    NotGranted,
    /// The operator has no database of this name.
    #[error("there is no such database")]
    Unknown,
    /// The database refuses the statement; the text is its own.
    #[error("the database refuses the statement: {0}")]
    Invalid(String),
    /// The statement, its parameters or its answer are over a limit of the host.
    #[error("the statement or its answer is too large")]
    TooLarge,
    /// The database took too long.
    #[error("the database took too long")]
    TimedOut,
    /// The database cannot be reached or broke off. Whether a write took place is not known.
    #[error("the database is not available")]
    Unavailable,
}

/// What a statement gave.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rows {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Each row has a value for every column.
    pub rows: Vec<Vec<Value>>,
}

impl Rows {
    /// The value of a column in a row.
    pub fn get(&self, row: usize, column: &str) -> Option<&Value> {
        let at = self.columns.iter().position(|it| it == column)?;
        self.rows.get(row)?.get(at)
    }
}

/// What a statement that writes has done.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Changed {
    /// How many rows.
    pub count: u64,
    /// What `returning` gives.
    pub returned: Rows,
}

/// Asks for rows. The statement changes nothing, whatever it says.
///
/// ```no_run
/// # use stepmill_sdk::database;
/// # fn main() -> Result<(), database::DatabaseError> {
/// let rows = database::query("orders", "select title from orders where id = $1", [7.into()])?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// There is no answer.
pub fn query(
    database: &str,
    statement: &str,
    parameters: impl AsRef<[Value]>,
) -> Result<Rows, DatabaseError> {
    let rows = host::query(database, statement, parameters.as_ref())?;
    Ok(rows.into())
}

/// Changes rows. Asks for the capability with `:write`.
///
/// # Errors
/// There is no answer; nothing was changed, unless [`DatabaseError::Unavailable`] or
/// [`DatabaseError::TimedOut`] leave that open.
pub fn execute(
    database: &str,
    statement: &str,
    parameters: impl AsRef<[Value]>,
) -> Result<Changed, DatabaseError> {
    let outcome = host::execute(database, statement, parameters.as_ref())?;
    Ok(Changed { count: outcome.changed, returned: outcome.returned.into() })
}

impl Value {
    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The whole number, if it is one.
    pub fn integer(&self) -> Option<i64> {
        if let Self::Integer(number) = self { Some(*number) } else { None }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<wire::Rows> for Rows {
    fn from(rows: wire::Rows) -> Self {
        Self { columns: rows.columns, rows: rows.rows }
    }
}

impl From<Rows> for wire::Rows {
    fn from(rows: Rows) -> Self {
        Self { columns: rows.columns, rows: rows.rows }
    }
}

impl From<wire::DatabaseError> for DatabaseError {
    fn from(error: wire::DatabaseError) -> Self {
        match error {
            wire::DatabaseError::NotGranted => Self::NotGranted,
            wire::DatabaseError::Unknown => Self::Unknown,
            wire::DatabaseError::Invalid(text) => Self::Invalid(text),
            wire::DatabaseError::TooLarge => Self::TooLarge,
            wire::DatabaseError::TimedOut => Self::TimedOut,
            wire::DatabaseError::Unavailable => Self::Unavailable,
        }
    }
}
