//! One connection for one statement: what the guest's words may do, and where they stop.

use std::path::Path;
use std::time::Instant;

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{ErrorCode, OpenFlags};
use stepmill_core::capability::Access;
use stepmill_core::database::{Answer, DatabaseFailure, Statement, Value};
use stepmill_core::ids::DatabaseName;

use crate::gathering::Gathering;
use crate::settings::{Caps, STATEMENT_BYTES};

/// How many steps of its machine SQLite takes between two looks at the clock: some microseconds.
const STEPS: i32 = 1_000;

/// The longest pattern of `like` and `glob`, which are slower than linear in it.
const PATTERN_BYTES: i32 = 256;

/// Names of functions that reach out of the database, should they ever be there.
const OUTSIDE: [&str; 6] =
    ["edit", "fts3_tokenizer", "load_extension", "readfile", "sqlite_dbpage", "writefile"];

pub(super) struct Connection {
    sqlite: rusqlite::Connection,
    access: Access,
}

/// What went wrong; what the guest may know of it is [`Fault::told`].
pub(super) enum Fault {
    Sqlite(rusqlite::Error),
    Folder(std::io::Error),
    Guest(DatabaseFailure),
}

impl From<rusqlite::Error> for Fault {
    fn from(fault: rusqlite::Error) -> Self {
        Self::Sqlite(fault)
    }
}

impl Connection {
    /// Opens a file. One that is not there is made when somebody writes; who reads it finds an
    /// empty database.
    pub(super) fn open(
        file: &Path,
        access: Access,
        file_bytes: u64,
        until: Instant,
    ) -> Result<Self, Fault> {
        let sqlite = match access {
            Access::Read if !file.exists() => rusqlite::Connection::open_in_memory()?,
            Access::Read => rusqlite::Connection::open_with_flags(
                file,
                OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
            )?,
            Access::Write => {
                let folder = file.parent().unwrap_or(Path::new("."));
                std::fs::create_dir_all(folder).map_err(Fault::Folder)?;
                rusqlite::Connection::open_with_flags(
                    file,
                    OpenFlags::SQLITE_OPEN_READ_WRITE
                        | OpenFlags::SQLITE_OPEN_CREATE
                        | OpenFlags::SQLITE_OPEN_NO_MUTEX,
                )?
            }
        };
        let connection = Self { sqlite, access };
        connection.fence(file_bytes, until)?;
        Ok(connection)
    }

    /// Everything that holds whatever the statement says.
    fn fence(&self, file_bytes: u64, until: Instant) -> rusqlite::Result<()> {
        let sqlite = &self.sqlite;
        for (what, on) in [
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
            (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
            (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
        ] {
            sqlite.set_db_config(what, on)?;
        }
        let page_bytes: u32 = sqlite.query_row("pragma page_size", [], |row| row.get(0))?;
        let pages = (file_bytes / u64::from(page_bytes.max(1))).max(1);
        sqlite.execute_batch(&format!(
            "pragma foreign_keys = on; pragma max_page_count = {pages}; pragma query_only = {}",
            self.access == Access::Read
        ))?;
        for (limit, most) in [
            (Limit::SQLITE_LIMIT_SQL_LENGTH, STATEMENT_BYTES as i32),
            (Limit::SQLITE_LIMIT_ATTACHED, 0),
            (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
            (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, PATTERN_BYTES),
            // A tenth of SQLite's own; statements that people write are far below.
            (Limit::SQLITE_LIMIT_COLUMN, 200),
            (Limit::SQLITE_LIMIT_EXPR_DEPTH, 100),
            (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 50),
            (Limit::SQLITE_LIMIT_VDBE_OP, 100_000),
            (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 10),
        ] {
            sqlite.set_limit(limit, most)?;
        }
        sqlite.busy_timeout(until.saturating_duration_since(Instant::now()))?;
        sqlite.progress_handler(STEPS, Some(move || until <= Instant::now()))
    }

    pub(super) fn ask(self, statement: &Statement, caps: &Caps) -> Result<Answer, Fault> {
        let sqlite = &self.sqlite;
        // No single value, in the middle of a computation either, is larger than an answer.
        let bytes = i32::try_from(caps.bytes).unwrap_or(i32::MAX);
        sqlite.set_limit(Limit::SQLITE_LIMIT_LENGTH, bytes)?;
        sqlite.execute_batch(match self.access {
            Access::Read => "begin",
            Access::Write => "begin immediate",
        })?;
        let access = self.access;
        sqlite.authorizer(Some(move |context: AuthContext<'_>| authorize(access, &context)))?;
        let answer = self.gather(statement, caps);
        sqlite.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
        if answer.is_ok() && self.access == Access::Write {
            sqlite.execute_batch("commit")?;
        }
        // What was not committed is taken back when the connection closes.
        answer
    }

    fn gather(&self, statement: &Statement, caps: &Caps) -> Result<Answer, Fault> {
        let mut prepared = self.sqlite.prepare(&statement.text)?;
        bind(&mut prepared, &statement.parameters)?;
        let mut gathering = Gathering::new(caps.rows, caps.bytes);
        let names = prepared.column_names().into_iter().map(str::to_owned).collect();
        gathering.columns(names).map_err(Fault::Guest)?;
        let columns = prepared.column_count();
        let before = self.sqlite.total_changes();
        let mut rows = prepared.raw_query();
        while let Some(row) = rows.next()? {
            let value = |at| Ok(value(row.get_ref(at)?));
            let row: rusqlite::Result<Vec<_>> = (0..columns).map(value).collect();
            gathering.row(row?).map_err(Fault::Guest)?;
        }
        drop(rows);
        let wrote = self.sqlite.total_changes() != before;
        Ok(gathering.done(if wrote { self.sqlite.changes() } else { 0 }))
    }
}

/// `$1`, `$2`, … are the places. SQLite counts them in the order they stand in, so each is bound by
/// its name.
fn bind(prepared: &mut rusqlite::Statement<'_>, parameters: &[Value]) -> Result<(), Fault> {
    let mut used = vec![false; parameters.len()];
    for place in 1..=prepared.parameter_count() {
        let number = prepared.parameter_name(place).and_then(|it| it.strip_prefix('$'));
        let number = number.and_then(|it| it.parse::<usize>().ok()).unwrap_or(0);
        let Some(value) = number.checked_sub(1).and_then(|it| parameters.get(it)) else {
            return Err(invalid("places are $1, $2, … and each has its parameter"));
        };
        used[number - 1] = true;
        match value {
            Value::Null => prepared.raw_bind_parameter(place, rusqlite::types::Null),
            Value::Boolean(it) => prepared.raw_bind_parameter(place, it),
            Value::Integer(it) => prepared.raw_bind_parameter(place, it),
            Value::Real(it) => prepared.raw_bind_parameter(place, it),
            Value::Text(it) => prepared.raw_bind_parameter(place, it),
            Value::Bytes(it) => prepared.raw_bind_parameter(place, it),
        }?;
    }
    if used.contains(&false) {
        return Err(invalid("there are more parameters than places"));
    }
    Ok(())
}

fn invalid(text: &str) -> Fault {
    Fault::Guest(DatabaseFailure::Invalid(text.to_owned()))
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        // SQLite keeps what it was given; what is no text after all are bytes.
        ValueRef::Text(text) => match str::from_utf8(text) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => Value::Bytes(text.to_owned()),
        },
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_owned()),
    }
}

/// What the parts of a statement may do, triggers and views of the file included. What is not
/// listed is refused: attaching, pragmas, transactions, virtual and temporary tables among it.
fn authorize(access: Access, context: &AuthContext<'_>) -> Authorization {
    let allowed = match &context.action {
        AuthAction::Select | AuthAction::Recursive | AuthAction::Read { .. } => true,
        AuthAction::Function { function_name } => {
            !OUTSIDE.iter().any(|it| it.eq_ignore_ascii_case(function_name))
        }
        AuthAction::Insert { .. }
        | AuthAction::Update { .. }
        | AuthAction::Delete { .. }
        | AuthAction::CreateTable { .. }
        | AuthAction::CreateIndex { .. }
        | AuthAction::CreateView { .. }
        | AuthAction::AlterTable { .. }
        | AuthAction::DropTable { .. }
        | AuthAction::DropIndex { .. }
        | AuthAction::DropView { .. }
        | AuthAction::Reindex { .. } => access == Access::Write,
        _ => false,
    };
    if allowed { Authorization::Allow } else { Authorization::Deny }
}

impl Fault {
    /// What the guest reads of it. The file is its tenant's own, or everybody's, so SQLite's
    /// message about a statement holds nothing of others; paths stay in the log.
    pub(super) fn told(self, name: &DatabaseName) -> DatabaseFailure {
        let fault = match self {
            Self::Guest(failure) => return failure,
            Self::Folder(fault) => {
                tracing::error!(database = %name, %fault, "the folder of the database {name} cannot be made");
                return DatabaseFailure::Unavailable;
            }
            Self::Sqlite(fault) => fault,
        };
        let code = fault.sqlite_error_code();
        let text = match &fault {
            rusqlite::Error::SqliteFailure(_, Some(text)) => text.clone(),
            rusqlite::Error::MultipleStatement => "there is more than one statement".to_owned(),
            other => other.to_string(),
        };
        match code {
            Some(
                ErrorCode::OperationInterrupted
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked,
            ) => DatabaseFailure::TimedOut,
            Some(ErrorCode::TooBig) => DatabaseFailure::TooLarge,
            Some(
                ErrorCode::CannotOpen
                | ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::PermissionDenied
                | ErrorCode::OutOfMemory
                | ErrorCode::FileLockingProtocolFailed,
            ) => {
                tracing::error!(database = %name, %fault, "the database {name} is not available");
                DatabaseFailure::Unavailable
            }
            _ => DatabaseFailure::Invalid(text),
        }
    }
}
