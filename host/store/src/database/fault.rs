//! What a database's own fault means for whoever asked: one list for both databases.

use rusqlite::ffi;
use sqlx::Error;

use crate::error::StoreError;

/// The store's word for it.
pub(super) fn told(doing: &'static str, source: Error) -> StoreError {
    match meaning(&source) {
        Meaning::Closed => StoreError::Closed,
        Meaning::Unavailable => StoreError::Unavailable { doing, source },
        Meaning::BrokeOff => StoreError::BrokeOff { doing, source },
        Meaning::Full => StoreError::Full { doing, source },
        Meaning::ReadOnly => StoreError::ReadOnly { doing, source },
        Meaning::Other => StoreError::Database { doing, source },
    }
}

/// Whether the connection is of no use any more.
pub(super) fn is_break(source: &Error) -> bool {
    meaning(source) == Meaning::BrokeOff
}

/// Which [`StoreError`].
#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    Closed,
    Unavailable,
    BrokeOff,
    Full,
    ReadOnly,
    Other,
}

fn meaning(source: &Error) -> Meaning {
    match source {
        Error::PoolClosed => Meaning::Closed,
        // No connection was to be had.
        Error::PoolTimedOut => Meaning::Unavailable,
        Error::Io(_) | Error::Tls(_) | Error::Protocol(_) | Error::WorkerCrashed => {
            Meaning::BrokeOff
        }
        Error::Database(fault) => coded(&fault.code().unwrap_or_default()),
        _ => Meaning::Other,
    }
}

/// PostgreSQL's codes have five characters, SQLite's are numbers of at most four.
fn coded(code: &str) -> Meaning {
    match (code.len(), code.parse()) {
        (..5, Ok(number)) => of_sqlite(number),
        _ => of_postgres(code),
    }
}

/// <https://www.sqlite.org/rescode.html>; the low byte says what, the rest says where.
fn of_sqlite(code: i32) -> Meaning {
    match code & 0xff {
        // The file beside the log cannot grow: an IOERR that only a full disk gives.
        _ if code == ffi::SQLITE_IOERR_SHMSIZE => Meaning::Full,
        ffi::SQLITE_FULL => Meaning::Full,
        ffi::SQLITE_READONLY => Meaning::ReadOnly,
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED | ffi::SQLITE_NOMEM | ffi::SQLITE_CANTOPEN => {
            Meaning::Unavailable
        }
        ffi::SQLITE_IOERR => Meaning::BrokeOff,
        _ => Meaning::Other,
    }
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn of_postgres(code: &str) -> Meaning {
    match code {
        "53100" => Meaning::Full,
        "25006" => Meaning::ReadOnly,
        // Cancelled; a lock not got in time; two that waited for each other; starting or stopping.
        "57014" | "55P03" | "40P01" | "57P03" => Meaning::Unavailable,
        // The session was ended, the server died, a transaction stood still.
        "57P01" | "57P02" | "25P03" => Meaning::BrokeOff,
        _ => match code.get(..2) {
            // Who may connect, the database's name, the server's means.
            Some("28" | "3D" | "53") => Meaning::Unavailable,
            // The connection, the server's system.
            Some("08" | "58") => Meaning::BrokeOff,
            _ => Meaning::Other,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_means_the_same_on_both_databases() {
        let cases = [
            (["5", "517"], ["57014", "53300"], Meaning::Unavailable),
            (["10", "778"], ["57P01", "08006"], Meaning::BrokeOff),
            (["13", "4874"], ["53100", "53100"], Meaning::Full),
            (["8", "1032"], ["25006", "25006"], Meaning::ReadOnly),
            (["11", "2067"], ["XX001", "23505"], Meaning::Other),
        ];
        for (sqlite, postgres, expected) in cases {
            for code in sqlite.iter().chain(&postgres) {
                assert_eq!(coded(code), expected, "{code}");
            }
        }
    }
}
