//! PostgreSQL: a few sessions as one role, in which every statement is a tenant's.
//!
//! A statement has a transaction of its own, which only reads unless it was asked for as one that
//! writes. Before it, the database is told the tenant with a proof; after it, the session forgets
//! everything. What holds when a statement lies about itself: the extended protocol takes one
//! statement only, a transaction that only reads stays so once it has read, and of a session that
//! did not come to a clean end nothing is used again.

mod line;
mod place;
mod proof;
mod session;
mod value;
mod walls;

#[cfg(test)]
mod tests;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use stepmill_core::capability::Access;
use stepmill_core::database::{Answer, DatabaseFailure, Statement};
use stepmill_core::ids::{DatabaseName, TenantId};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::opening::OpenFault;
use crate::settings::{Caps, DatabaseSettings};
use crate::wording::first_word;
use line::Broken;
use place::Place;
use session::{Refusal, Session, Trouble};
use walls::Walls;

/// What an answer may be late beyond the server's own timeout, whose word is the better one.
const GRACE: Duration = Duration::from_secs(1);

/// How long a session is used. The next one is looked at anew, so that a right that was given to
/// the role meanwhile does not go unnoticed for longer.
const LIFETIME: Duration = Duration::from_secs(10 * 60);

/// What may be said at all. All else is about sessions, transactions and files, or makes things
/// that have no row-level security.
const WORDS: [&str; 8] =
    ["delete", "insert", "merge", "select", "table", "update", "values", "with"];

pub(crate) struct PostgresDatabase {
    name: DatabaseName,
    place: Place,
    walls: Walls,
    caps: Caps,
    permits: Semaphore,
    /// Those that nobody uses, clean.
    idle: Mutex<Vec<Session>>,
}

impl PostgresDatabase {
    pub(crate) async fn open(
        name: &DatabaseName,
        url: &str,
        settings: &DatabaseSettings,
    ) -> Result<Self, OpenFault> {
        let database = Self {
            name: name.clone(),
            place: Place::of(url)?,
            walls: Walls::of(settings)?,
            caps: settings.caps(),
            permits: Semaphore::new(settings.connections.max(1) as usize),
            idle: Mutex::default(),
        };
        match database.connect().await {
            Ok(session) => database.lay_down(session),
            // An application's database that is away must not keep the host from starting.
            Err(fault @ OpenFault::Unreachable(_)) => database.complain(&fault),
            Err(fault) => return Err(fault),
        }
        Ok(database)
    }

    /// A new session, let in only if the walls hold.
    async fn connect(&self) -> Result<Session, OpenFault> {
        let connecting = async {
            let session = Session::open(&self.place, &self.caps).await;
            let mut session = session.map_err(walls::fault)?;
            self.walls.check(&mut session, &self.caps).await?;
            Ok(session)
        };
        let late = || OpenFault::Unreachable(std::io::ErrorKind::TimedOut.into());
        timeout(self.caps.acquire, connecting).await.unwrap_or_else(|_| Err(late()))
    }

    fn complain(&self, fault: &OpenFault) {
        let cause = std::error::Error::source(fault).map(ToString::to_string);
        tracing::error!(database = %self.name, %fault, cause, "the database {} is not available", self.name);
    }

    pub(crate) async fn ask(
        &self,
        tenant: &TenantId,
        statement: Statement,
    ) -> Result<Answer, DatabaseFailure> {
        let word = first_word(&statement.text).unwrap_or_default();
        if !WORDS.contains(&word.as_str()) {
            let text = format!("a statement begins with one of {}", WORDS.join(", "));
            return Err(DatabaseFailure::Invalid(text));
        }
        let permit = timeout(self.caps.acquire, self.permits.acquire());
        let _permit = permit.await.map_err(|_| DatabaseFailure::Unavailable)?;
        let mut session = self.begun(statement.access).await?;
        let deadline = self.caps.statement + GRACE;
        let asked = timeout(deadline, self.within(&mut session, tenant, &statement)).await;
        match asked {
            // Cut in the middle of an answer: the session is closed.
            Err(_) => Err(DatabaseFailure::TimedOut),
            Ok(Err(Trouble::Broken(broken))) => Err(self.broken(broken)),
            Ok(Err(trouble)) => {
                let cleaning = session.say(&["rollback", CLEAN]);
                if let Ok(Ok(())) = timeout(GRACE, cleaning).await {
                    self.lay_down(session);
                }
                Err(self.told(trouble))
            }
            Ok(Ok(answer)) => {
                self.lay_down(session);
                Ok(answer)
            }
        }
    }

    /// A session in which a transaction has begun. One that was lying there may have died
    /// meanwhile; nothing was said in it yet, so another one takes its place.
    async fn begun(&self, access: Access) -> Result<Session, DatabaseFailure> {
        let begin = match access {
            Access::Read => "begin read only",
            Access::Write => "begin read write",
        };
        let idle = self.lock().pop().filter(|it| it.since.elapsed() < LIFETIME);
        if let Some(mut session) = idle
            && let Ok(Ok(())) = timeout(GRACE, session.say(&[begin])).await
        {
            return Ok(session);
        }
        let session = self.connect().await;
        let mut session = session.map_err(|fault| {
            self.complain(&fault);
            DatabaseFailure::Unavailable
        })?;
        match timeout(GRACE, session.say(&[begin])).await {
            Ok(Ok(())) => Ok(session),
            _ => Err(DatabaseFailure::Unavailable),
        }
    }

    /// The statement in its transaction, and the end of both. What only reads leaves nothing.
    async fn within(
        &self,
        session: &mut Session,
        tenant: &TenantId,
        statement: &Statement,
    ) -> Result<Answer, Trouble> {
        let (text, parameters) = (&statement.text, &statement.parameters);
        let answer = match &self.walls {
            Walls::None { .. } => session.ask(None, text, parameters, &self.caps).await?,
            Walls::Rows { key, .. } => {
                let proven = key.enter(session, tenant).await?;
                session.ask(Some((proof::ENTER, &proven)), text, parameters, &self.caps).await?
            }
        };
        let end = match statement.access {
            Access::Read => "rollback",
            Access::Write => "commit",
        };
        session.say(&[end, CLEAN]).await?;
        Ok(answer)
    }

    fn lay_down(&self, session: Session) {
        self.lock().push(session);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the guest reads of it.
    fn told(&self, trouble: Trouble) -> DatabaseFailure {
        match trouble {
            Trouble::Guest(failure) => failure,
            Trouble::Refused(refusal) => refused(refusal),
            Trouble::Broken(broken) => self.broken(broken),
        }
    }

    fn broken(&self, broken: Broken) -> DatabaseFailure {
        match broken {
            Broken::TooLarge => DatabaseFailure::TooLarge,
            Broken::Io(fault) => {
                tracing::error!(database = %self.name, %fault, "the database {} broke off", self.name);
                DatabaseFailure::Unavailable
            }
        }
    }
}

/// Everything a session can remember: settings, roles, prepared statements, locks, temporary tables.
const CLEAN: &str = "discard all";

/// Classes of faults that are of the statement or its values. Their messages name what the
/// statement and the rows it sees have; details, which may name more, are not read at all.
fn refused(refusal: Refusal) -> DatabaseFailure {
    let Refusal { code, message } = refusal;
    match code.get(..2) {
        // Canceled, waited too long for a lock, idle for too long.
        _ if ["57014", "55P03", "25P03"].contains(&code.as_str()) => DatabaseFailure::TimedOut,
        // Too few parameters, or too many.
        _ if code == "08P01" => DatabaseFailure::Invalid(message),
        Some("0A" | "21" | "22" | "23" | "25" | "2F" | "34" | "38" | "39" | "42" | "44" | "P0") => {
            DatabaseFailure::Invalid(message)
        }
        Some("54") => DatabaseFailure::TooLarge,
        _ => DatabaseFailure::Unavailable,
    }
}
