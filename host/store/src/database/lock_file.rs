//! The lock file beside a SQLite database: whoever has it locked holds the database.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::StoreError;

/// Between two looks whether another host has let go.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Locks `<database>.lock`. The operating system lets go when the host ends, however it ends; the
/// file itself stays.
pub(super) async fn take(database: &Path, wait: Duration) -> Result<File, StoreError> {
    let path = beside(database).map_err(StoreError::LockFile)?;
    let file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .open(path)
        .map_err(StoreError::LockFile)?;
    let until = Instant::now() + wait;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(source)) => return Err(StoreError::LockFile(source)),
            Err(TryLockError::WouldBlock) if until <= Instant::now() => {
                return Err(StoreError::InUse);
            }
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// Beside the file itself, not beside a link to it: two names of one database are one lock.
fn beside(database: &Path) -> std::io::Result<PathBuf> {
    let mut path = match database.canonicalize() {
        Ok(path) => path.into_os_string(),
        Err(_) => {
            let parent = database.parent().filter(|it| !it.as_os_str().is_empty());
            let folder = parent.unwrap_or(Path::new(".")).canonicalize()?;
            folder.join(database.file_name().unwrap_or_default()).into_os_string()
        }
    };
    path.push(".lock");
    Ok(path.into())
}
