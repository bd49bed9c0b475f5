//! One row of an answer, whichever database gave it.

use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row as _};

use super::sqlite::Line;
use crate::error::StoreError;

/// A row; columns are named by their place in the statement.
pub(crate) enum Row {
    Sqlite(Line),
    Postgres(PgRow),
}

impl Row {
    /// A text, or JSON as text.
    pub(crate) fn text(&self, column: usize) -> Result<&str, StoreError> {
        match self {
            Self::Sqlite(line) => held(line.text(column), column),
            Self::Postgres(row) => value(row, column),
        }
    }

    pub(crate) fn maybe_text(&self, column: usize) -> Result<Option<&str>, StoreError> {
        match self {
            Self::Sqlite(line) if line.is_null(column) => Ok(None),
            Self::Sqlite(line) => held(line.text(column), column).map(Some),
            Self::Postgres(row) => value(row, column),
        }
    }

    pub(crate) fn number(&self, column: usize) -> Result<i64, StoreError> {
        match self {
            Self::Sqlite(line) => held(line.number(column), column),
            Self::Postgres(row) => value(row, column),
        }
    }

    pub(crate) fn maybe_number(&self, column: usize) -> Result<Option<i64>, StoreError> {
        match self {
            Self::Sqlite(line) if line.is_null(column) => Ok(None),
            Self::Sqlite(line) => held(line.number(column), column).map(Some),
            Self::Postgres(row) => value(row, column),
        }
    }

    pub(crate) fn bytes(&self, column: usize) -> Result<Vec<u8>, StoreError> {
        match self {
            Self::Sqlite(line) => held(line.bytes(column), column).map(<[u8]>::to_vec),
            Self::Postgres(row) => value(row, column),
        }
    }
}

fn held<T>(value: Option<T>, column: usize) -> Result<T, StoreError> {
    value.ok_or_else(|| {
        let source = "it holds another kind of value".into();
        strange(sqlx::Error::ColumnDecode { index: column.to_string(), source })
    })
}

fn value<'a, T: Decode<'a, Postgres>>(row: &'a PgRow, column: usize) -> Result<T, StoreError> {
    // Unchecked: `json` is read as the text it is. The schema says what a column holds.
    row.try_get_unchecked(column).map_err(strange)
}

fn strange(source: sqlx::Error) -> StoreError {
    StoreError::Database { doing: "read a column", source }
}
