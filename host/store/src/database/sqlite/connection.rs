//! One connection: opened the house's way, asked in the house's words.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, OpenFlags};

use super::super::statement::{Arg, Revision, Statement};
use super::super::{PREPARED_STATEMENTS, Row};
use super::Place;

/// The write-ahead log is cut back to this size when it is empty again.
const JOURNAL_BYTES: u32 = 64 * 1024 * 1024;

/// Steps of SQLite's machine between two looks at the clock: some tens of microseconds.
const STEPS: i32 = 1_000;

/// All rows of an answer, with their texts side by side: an answer is made in one thread and
/// dropped in another, and so is a handful of pieces of memory instead of one for each value.
#[derive(Default)]
pub(crate) struct Answer {
    columns: usize,
    cells: Vec<Cell>,
    bytes: Vec<u8>,
}

/// A value, or where it lies.
enum Cell {
    Null,
    Number(i64),
    Text(Range<usize>),
    Bytes(Range<usize>),
}

/// One row of an answer.
pub(crate) struct Line {
    answer: Arc<Answer>,
    row: usize,
}

impl Line {
    fn cell(&self, column: usize) -> Option<&Cell> {
        if self.answer.columns <= column {
            return None;
        }
        self.answer.cells.get(self.row * self.answer.columns + column)
    }

    pub(in super::super) fn is_null(&self, column: usize) -> bool {
        matches!(self.cell(column), Some(Cell::Null))
    }

    pub(in super::super) fn text(&self, column: usize) -> Option<&str> {
        let Cell::Text(place) = self.cell(column)? else { return None };
        str::from_utf8(&self.answer.bytes[place.clone()]).ok()
    }

    pub(in super::super) fn number(&self, column: usize) -> Option<i64> {
        if let Cell::Number(number) = self.cell(column)? { Some(*number) } else { None }
    }

    pub(in super::super) fn bytes(&self, column: usize) -> Option<&[u8]> {
        let Cell::Bytes(place) = self.cell(column)? else { return None };
        Some(&self.answer.bytes[place.clone()])
    }
}

impl Answer {
    fn push(&mut self, value: ValueRef<'_>) -> rusqlite::Result<()> {
        let cell = match value {
            ValueRef::Null => Cell::Null,
            ValueRef::Integer(number) => Cell::Number(number),
            ValueRef::Text(text) => Cell::Text(self.keep(text)),
            ValueRef::Blob(bytes) => Cell::Bytes(self.keep(bytes)),
            // No table has any.
            ValueRef::Real(_) => return Err(rusqlite::types::FromSqlError::InvalidType.into()),
        };
        self.cells.push(cell);
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    fn lines(self) -> Vec<Row> {
        let rows = self.cells.len() / self.columns.max(1);
        let answer = Arc::new(self);
        let line = |row| Row::Sqlite(Line { answer: Arc::clone(&answer), row });
        (0..rows).map(line).collect()
    }
}

pub(super) struct Connection(rusqlite::Connection);

impl Connection {
    /// One that writes. What it commits survives the host; whether it survives the power is said
    /// by [`Self::sync`].
    pub(super) fn open(place: &Place) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = rusqlite::Connection::open_with_flags(&place.file, flags)?;
        connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
        connection.busy_timeout(place.busy_timeout)?;
        // One plan for each text. Otherwise a partial index makes SQLite plan a statement again
        // whenever it gets other arguments, which costs more than running it.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.execute_batch(&format!(
            "pragma foreign_keys = on;
            pragma journal_size_limit = {JOURNAL_BYTES};
            pragma synchronous = normal"
        ))?;
        Ok(Self(connection))
    }

    /// One that only reads.
    pub(super) fn open_reader(place: &Place) -> rusqlite::Result<Self> {
        let connection = Self::open(place)?;
        connection.0.execute_batch("pragma query_only = on")?;
        Ok(connection)
    }

    /// Whether a commit waits until the disk has it.
    pub(super) fn sync(&self, synced: bool) -> rusqlite::Result<()> {
        let word = if synced { "full" } else { "normal" };
        self.0.execute_batch(&format!("pragma synchronous = {word}"))
    }

    /// Runs a statement that gives no rows. Gives how many it changed.
    pub(super) fn execute(&self, statement: &Statement<'_>) -> rusqlite::Result<u64> {
        let changed = self.bound(statement)?.raw_execute()?;
        Ok(u64::try_from(changed).unwrap_or(u64::MAX))
    }

    /// Runs a statement of the transaction itself.
    pub(super) fn say(&self, sql: &str) -> rusqlite::Result<()> {
        self.0.prepare_cached(sql)?.raw_execute().map(|_| ())
    }

    /// Takes back what was begun. Answers whether the connection is clean.
    pub(super) fn roll_back(&self) -> bool {
        self.0.is_autocommit() || self.say("rollback").is_ok()
    }

    /// All rows of each statement, while the values of all of them hold `bytes` at most; None if
    /// they hold more. What reads past `end` is interrupted; a wait for the disk is not.
    pub(super) fn query_each(
        &self,
        statements: &[Statement<'_>],
        bytes: usize,
        end: Option<Instant>,
    ) -> rusqlite::Result<Option<Vec<Vec<Row>>>> {
        // To begin and to end reading takes locks of the file, which cost as much as a few rows do.
        let is_one = statements.len() == 1;
        if !is_one {
            self.say("begin")?;
        }
        let mut room = bytes;
        let rows = self
            .interrupt_at(end)
            .and_then(|()| statements.iter().map(|it| self.query(it, &mut room)).collect());
        // An interrupted end of a transaction may or may not have been one.
        let freed = self.interrupt_at(None);
        if !is_one {
            self.roll_back();
        }
        freed.and(rows)
    }

    fn interrupt_at(&self, end: Option<Instant>) -> rusqlite::Result<()> {
        self.0.progress_handler(STEPS, end.map(|end| move || end <= Instant::now()))
    }

    /// Whether no transaction is open. One that is would show its reader the same state for ever.
    pub(super) fn is_clean(&self) -> bool {
        self.0.is_autocommit()
    }

    /// All rows a statement gives. Takes the bytes of their values from `room`; None if there is
    /// not enough.
    pub(super) fn query(
        &self,
        statement: &Statement<'_>,
        room: &mut usize,
    ) -> rusqlite::Result<Option<Vec<Row>>> {
        let mut prepared = self.bound(statement)?;
        let mut answer = Answer { columns: prepared.column_count(), ..Answer::default() };
        let mut found = prepared.raw_query();
        while let Some(row) = found.next()? {
            for column in 0..answer.columns {
                answer.push(row.get_ref(column)?)?;
            }
            if *room < answer.bytes.len() {
                return Ok(None);
            }
        }
        *room -= answer.bytes.len();
        Ok(Some(answer.lines()))
    }

    fn bound(&self, statement: &Statement<'_>) -> rusqlite::Result<CachedStatement<'_>> {
        let mut prepared = self.0.prepare_cached(&statement.sql)?;
        for (at, arg) in (1..).zip(&statement.args) {
            match arg {
                Arg::Text(text) => prepared.raw_bind_parameter(at, text.as_deref()),
                Arg::Number(number) => prepared.raw_bind_parameter(at, number),
                Arg::Bytes(bytes) => prepared.raw_bind_parameter(at, &**bytes),
                Arg::Json(text) => prepared.raw_bind_parameter(at, text.as_deref()),
                Arg::Revised(it) => prepared.raw_bind_parameter(at, self.revised(it)?),
            }?;
        }
        Ok(prepared)
    }

    fn revised(&self, revision: &Revision<'_>) -> rusqlite::Result<String> {
        // One row that is being changed: its own limit bounds it.
        let found = self.query(&revision.found, &mut { usize::MAX })?.unwrap_or_default();
        let refused = |it| rusqlite::Error::ToSqlConversionFailure(Box::new(it));
        revision.of(&found).map_err(refused)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn whatever_ends_a_read_the_next_one_sees_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("house.db");
        let beside = rusqlite::Connection::open(&file).unwrap();
        let schema = "pragma journal_mode = wal; pragma synchronous = off;
            create table t (n); insert into t values (0)";
        beside.execute_batch(schema).unwrap();
        let place = Place { file, busy_timeout: Duration::ZERO };
        let connection = Connection::open_reader(&place).unwrap();
        let number = || Statement::new("select n from t");
        let late = Instant::now();
        // Often enough that each statement looks at the clock at each of its steps.
        for round in 1..=3_000 {
            let _ = connection.query_each(&[number(), number()], usize::MAX, Some(late));
            let failed = [number(), Statement::new("select n from gone")];
            assert!(connection.query_each(&failed, usize::MAX, None).is_err());
            assert!(connection.query_each(&[number(), number()], 0, None).is_ok());
            assert!(connection.is_clean());
            beside.execute("update t set n = ?", [round]).unwrap();
            let seen = connection.query_each(&[number()], usize::MAX, None).unwrap().unwrap();
            assert_eq!(seen[0][0].number(0).unwrap(), round);
        }
    }
}
