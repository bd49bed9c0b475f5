//! A database that a test takes away from a running host, and gives back.

use std::process::Command;

use sqlx::{Connection, Executor, SqliteConnection};
use tempfile::TempDir;

use super::needs::{is_postgres, repository};
use super::process::House;

/// On PostgreSQL a server of its own, which dies and comes back. On SQLite a file that another
/// process locks.
pub(crate) enum Fragile {
    Server { folder: TempDir, url: String },
    File { locked: Option<SqliteConnection> },
}

impl Fragile {
    /// One that is there.
    pub(crate) fn open() -> Self {
        if !is_postgres() {
            return Self::File { locked: None };
        }
        let folder = TempDir::new().unwrap();
        let url = script("start", &folder);
        // What is committed outlives the server, as everywhere but in tests.
        let url = format!("{}?options=-csynchronous_commit%3Don", url.trim_end());
        Self::Server { folder, url }
    }

    /// Where it is; none for a file where hosts have it anyway.
    pub(crate) fn url(&self) -> Option<String> {
        match self {
            Self::Server { url, .. } => Some(url.clone()),
            Self::File { .. } => None,
        }
    }

    /// Takes it away from its host.
    pub(crate) async fn away(&mut self, house: &House) {
        match self {
            Self::Server { folder, .. } => drop(script("stop", folder)),
            Self::File { locked } => {
                let url = format!("sqlite:{}", house.data().join("stepmill.sqlite").display());
                let mut connection = SqliteConnection::connect(&url).await.unwrap();
                connection.execute("begin exclusive").await.unwrap();
                *locked = Some(connection);
            }
        }
    }

    /// Gives it back.
    pub(crate) async fn back(&mut self) {
        match self {
            Self::Server { folder, .. } => drop(script("start", folder)),
            Self::File { locked } => locked.take().unwrap().close().await.unwrap(),
        }
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        if let Self::Server { folder, .. } = self {
            script("stop", folder);
        }
    }
}

fn script(word: &str, folder: &TempDir) -> String {
    let script = repository().join("tests/postgres.sh");
    let done = Command::new(script).arg(word).arg(folder.path()).output().unwrap();
    // A test that failed may have left it stopped.
    let good = done.status.success() || std::thread::panicking();
    assert!(good, "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}
