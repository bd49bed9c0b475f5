//! An answer while it is gathered: it stops at the caps.

use stepmill_core::database::{Answer, DatabaseFailure, Value};

/// What a value costs besides its text: an empty answer of many cells is large all the same.
const CELL_BYTES: usize = 8;

pub(crate) struct Gathering {
    answer: Answer,
    rows_left: usize,
    bytes_left: usize,
}

impl Gathering {
    pub(crate) fn new(rows: usize, bytes: usize) -> Self {
        Self { answer: Answer::default(), rows_left: rows, bytes_left: bytes }
    }

    pub(crate) fn columns(&mut self, names: Vec<String>) -> Result<(), DatabaseFailure> {
        self.spend(names.iter().map(|it| CELL_BYTES + it.len()).sum())?;
        self.answer.columns = names;
        Ok(())
    }

    pub(crate) fn row(&mut self, row: Vec<Value>) -> Result<(), DatabaseFailure> {
        self.rows_left = self.rows_left.checked_sub(1).ok_or(DatabaseFailure::TooLarge)?;
        self.spend(row.iter().map(size).sum())?;
        self.answer.rows.push(row);
        Ok(())
    }

    fn spend(&mut self, bytes: usize) -> Result<(), DatabaseFailure> {
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or(DatabaseFailure::TooLarge)?;
        Ok(())
    }

    pub(crate) fn done(mut self, changed: u64) -> Answer {
        self.answer.changed = changed;
        self.answer
    }
}

/// What a value costs.
pub(crate) fn size(value: &Value) -> usize {
    CELL_BYTES
        + match value {
            Value::Null | Value::Boolean(_) | Value::Integer(_) | Value::Real(_) => 0,
            Value::Text(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
        }
}
