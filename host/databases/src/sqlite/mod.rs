//! SQLite: a file for each tenant, or one file that everybody reads.
//!
//! Every statement has a connection of its own, so that nothing of it is left behind, and a
//! transaction of its own, so that an answer which is too large changes nothing.

mod connection;
mod place;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use stepmill_core::capability::Access;
use stepmill_core::database::{Answer, DatabaseFailure, Statement};
use stepmill_core::ids::{DatabaseName, TenantId};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::opening::OpenFault;
use crate::settings::{Caps, DatabaseSettings};
use crate::wording::first_word;
use connection::Connection;
use place::Place;

/// What may be said at all, of those that only read and of those that write.
const READS: [&str; 3] = ["select", "values", "with"];
const WRITES: [&str; 7] = ["alter", "create", "delete", "drop", "insert", "replace", "update"];

pub(crate) struct SqliteDatabase {
    name: DatabaseName,
    place: Place,
    caps: Caps,
    file_bytes: u64,
    permits: Arc<Semaphore>,
}

impl SqliteDatabase {
    pub(crate) fn open(
        name: &DatabaseName,
        url: &str,
        settings: &DatabaseSettings,
    ) -> Result<Self, OpenFault> {
        if settings.tenant_key.is_some() || settings.shared || !settings.common.is_empty() {
            return Err(OpenFault::setting(
                "tenant_key, shared and common",
                "are of PostgreSQL: a SQLite database is a file for each tenant, or only read",
            ));
        }
        Ok(Self {
            name: name.clone(),
            place: Place::of(url)?,
            caps: settings.caps(),
            file_bytes: settings.file_bytes,
            permits: Arc::new(Semaphore::new(settings.connections.max(1) as usize)),
        })
    }

    pub(crate) async fn ask(
        &self,
        tenant: &TenantId,
        statement: Statement,
    ) -> Result<Answer, DatabaseFailure> {
        check_words(&statement)?;
        if statement.access == Access::Write && self.place.is_shared() {
            let text = "this database is only read: it is one file for all tenants";
            return Err(DatabaseFailure::Invalid(text.to_owned()));
        }
        let permit = timeout(self.caps.acquire, self.permits.clone().acquire_owned());
        let permit = permit.await.map_err(|_| DatabaseFailure::Unavailable)?;
        let permit = permit.map_err(|_| DatabaseFailure::Unavailable)?;
        let file = self.place.file(tenant);
        let (caps, file_bytes) = (self.caps, self.file_bytes);
        let until = Instant::now() + caps.statement;
        let work = tokio::task::spawn_blocking(move || {
            // A function that does not end in time keeps its place until it does.
            let _permit = permit;
            Connection::open(&file, statement.access, file_bytes, until)?.ask(&statement, &caps)
        });
        match timeout(caps.statement + caps.acquire, work).await {
            Ok(Ok(answer)) => answer.map_err(|fault| fault.told(&self.name)),
            Ok(Err(_)) => Err(DatabaseFailure::Unavailable),
            Err(_) => Err(DatabaseFailure::TimedOut),
        }
    }
}

fn check_words(statement: &Statement) -> Result<(), DatabaseFailure> {
    let word = first_word(&statement.text).unwrap_or_default();
    let word = word.as_str();
    let may_write = statement.access == Access::Write;
    if READS.contains(&word) || (may_write && WRITES.contains(&word)) {
        return Ok(());
    }
    let text = match WRITES.contains(&word) {
        true => "the statement was asked for as one that only reads",
        false => {
            "a statement begins with one of select, values, with, insert, update, delete, \
                  replace, create, alter, drop"
        }
    };
    Err(DatabaseFailure::Invalid(text.to_owned()))
}
