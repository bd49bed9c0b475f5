//! One row of an answer, whichever database gave it.

use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row as _};

use super::sqlite::Cell;
use crate::error::StoreError;

/// A row; columns are named by their place in the statement.
pub(crate) enum Row {
    Sqlite(Vec<Cell>),
    Postgres(PgRow),
}

impl Row {
    /// A text, or JSON as text.
    pub(crate) fn text(&self, column: usize) -> Result<&str, StoreError> {
        match self {
            Self::Sqlite(cells) => cell(cells, column, Cell::text),
            Self::Postgres(row) => value(row, column),
        }
    }

    pub(crate) fn maybe_text(&self, column: usize) -> Result<Option<&str>, StoreError> {
        match self {
            Self::Sqlite(cells) if matches!(cells.get(column), Some(Cell::Null)) => Ok(None),
            Self::Sqlite(cells) => cell(cells, column, Cell::text).map(Some),
            Self::Postgres(row) => value(row, column),
        }
    }

    pub(crate) fn number(&self, column: usize) -> Result<i64, StoreError> {
        match self {
            Self::Sqlite(cells) => cell(cells, column, Cell::number),
            Self::Postgres(row) => value(row, column),
        }
    }

    pub(crate) fn bytes(&self, column: usize) -> Result<Vec<u8>, StoreError> {
        match self {
            Self::Sqlite(cells) => cell(cells, column, Cell::bytes).map(<[u8]>::to_vec),
            Self::Postgres(row) => value(row, column),
        }
    }
}

fn cell<'a, T>(
    cells: &'a [Cell],
    column: usize,
    read: impl Fn(&'a Cell) -> Option<T>,
) -> Result<T, StoreError> {
    cells.get(column).and_then(read).ok_or_else(|| {
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
