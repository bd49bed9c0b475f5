//! The thread that writes: what is asked for at the same moment becomes one transaction, in turns.
//!
//! A commit costs more than the statements in it, and a wait for the disk more than everything,
//! so writes that wait for the same connection share both. They do not share their faults: when a
//! shared transaction fails it is taken back, and each of its writes is tried alone.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::oneshot;

use super::super::statement::Statement;
use super::Place;
use super::connection::Connection;
use super::fault::told;
use super::lines::Lines;

pub(super) struct Writer {
    /// None once it was closed.
    thread: Mutex<Option<(Sender<Job>, JoinHandle<()>)>>,
}

/// Statements that are done all or not at all.
struct Job {
    /// Whose it is; nobody's comes after everything that was asked for before.
    share: Option<Arc<str>>,
    /// Whether the answer waits until the disk has it.
    synced: bool,
    statements: Vec<Statement<'static>>,
    answer: oneshot::Sender<Result<u64, sqlx::Error>>,
}

impl Job {
    fn bytes(&self) -> usize {
        self.statements.iter().map(Statement::bytes_held).sum()
    }
}

impl Writer {
    /// The file is let go when everything is written and the thread ends.
    pub(super) fn start(place: Place, held: File) -> Result<Self, sqlx::Error> {
        let (sender, jobs) = channel();
        let mut desk = Desk {
            connection: Some(Connection::open(&place).map_err(told)?),
            place,
            synced: false,
        };
        let thread = std::thread::Builder::new().name("sqlite-writer".to_owned());
        let thread = thread.spawn(move || {
            desk.serve(&jobs);
            drop(desk);
            drop(held);
        })?;
        Ok(Self { thread: Mutex::new(Some((sender, thread))) })
    }

    /// Gives how many rows the last statement changed.
    pub(super) async fn write(
        &self,
        share: &str,
        synced: bool,
        statements: Vec<Statement<'_>>,
    ) -> Result<u64, sqlx::Error> {
        self.ask(Some(share.into()), synced, statements).await
    }

    async fn ask(
        &self,
        share: Option<Arc<str>>,
        synced: bool,
        statements: Vec<Statement<'_>>,
    ) -> Result<u64, sqlx::Error> {
        let statements = statements.into_iter().map(Statement::into_owned).collect();
        let (answer, answered) = oneshot::channel();
        let job = Job { share, synced, statements, answer };
        {
            let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
            let (jobs, _) = thread.as_ref().ok_or(sqlx::Error::PoolClosed)?;
            jobs.send(job).map_err(|_| sqlx::Error::WorkerCrashed)?;
        }
        answered.await.map_err(|_| sqlx::Error::WorkerCrashed)?
    }

    /// A write of nothing: the lock is taken, no page is written, the disk is not waited for. It is
    /// done when everything that was asked for before is.
    pub(super) async fn ping(&self) -> Result<(), sqlx::Error> {
        self.ask(None, false, Vec::new()).await.map(|_| ())
    }

    /// Takes no more writes. The thread ends when it has done what it was asked for.
    pub(super) fn close(&self) -> Vec<JoinHandle<()>> {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.into_iter().map(|(_, thread)| thread).collect()
    }
}

/// What the thread has.
struct Desk {
    place: Place,
    /// None after a connection that could not be cleaned.
    connection: Option<Connection>,
    /// Whether the connection waits for the disk.
    synced: bool,
}

impl Desk {
    fn serve(&mut self, jobs: &Receiver<Job>) {
        let mut lines = Lines::new();
        loop {
            jobs.try_iter().for_each(|it| stand_in(&mut lines, it));
            let together = lines.take(Instant::now());
            if together.is_empty() {
                match jobs.recv() {
                    Ok(first) => stand_in(&mut lines, first),
                    Err(_) => return,
                }
                continue;
            }
            // The thread outlives a panic: it holds the database, and without it nothing would be
            // written until somebody starts the host again. Whoever waits for these writes hears
            // that they broke off; the connection is gone, and what was begun on it.
            let done = catch_unwind(AssertUnwindSafe(|| self.write(together)));
            if done.is_err() {
                tracing::error!("the writer panicked and goes on with a new connection");
            }
        }
    }

    fn write(&mut self, mut jobs: Vec<Job>) {
        // Who went away before anything was done gets nothing done.
        jobs.retain(|it| !it.answer.is_closed());
        if jobs.is_empty() {
            return;
        }
        match (self.transaction(&jobs), jobs.pop()) {
            (Ok(changed), last) => {
                for (job, changed) in jobs.into_iter().chain(last).zip(changed) {
                    // Nobody waits any more: it is done all the same.
                    let _ = job.answer.send(Ok(changed));
                }
            }
            (Err(fault), Some(alone)) if jobs.is_empty() => {
                let _ = alone.answer.send(Err(told(fault)));
            }
            (Err(_), last) => jobs.into_iter().chain(last).for_each(|it| self.write(vec![it])),
        }
    }

    /// Does all of them in one transaction, or nothing. Gives what each has changed.
    fn transaction(&mut self, jobs: &[Job]) -> rusqlite::Result<Vec<u64>> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                self.synced = false;
                Connection::open(&self.place)?
            }
        };
        let synced = jobs.iter().any(|it| it.synced);
        let done = if synced == self.synced { Ok(()) } else { connection.sync(synced) };
        let done = done.and_then(|()| {
            self.synced = synced;
            together(&connection, jobs)
        });
        if done.is_ok() || connection.roll_back() {
            self.connection = Some(connection);
        }
        done
    }
}

fn stand_in(lines: &mut Lines<Job>, job: Job) {
    match job.share.clone() {
        Some(share) => lines.push(&share, job.bytes(), job, Instant::now()),
        None => lines.push_last(job),
    }
}

fn together(connection: &Connection, jobs: &[Job]) -> rusqlite::Result<Vec<u64>> {
    connection.say("begin immediate")?;
    let mut changed = Vec::with_capacity(jobs.len());
    for job in jobs {
        let mut last = 0;
        for statement in &job.statements {
            #[cfg(test)]
            assert_ne!(statement.sql, tests::PANIC);
            last = connection.execute(statement)?;
        }
        changed.push(last);
    }
    connection.say("commit")?;
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;

    use super::*;
    use crate::database::fault;
    use crate::error::StoreError;

    /// A statement that makes the thread panic.
    pub(super) const PANIC: &str = "panic";

    /// A desk at a database with one table, and somebody who looks at it from beside.
    struct Story {
        desk: Desk,
        beside: rusqlite::Connection,
        _folder: tempfile::TempDir,
    }

    impl Story {
        fn begin() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("house.db");
            let beside = rusqlite::Connection::open(&file).unwrap();
            let schema = "pragma journal_mode = wal; create table t (name text primary key)";
            beside.execute_batch(schema).unwrap();
            let place = Place { file, busy_timeout: Duration::from_millis(1) };
            Self { desk: Desk { place, connection: None, synced: false }, beside, _folder: folder }
        }

        /// Does all of it as if it had been asked for at one moment. Gives what each was told.
        fn write(&mut self, jobs: Vec<Vec<Statement<'static>>>) -> Vec<Result<u64, StoreError>> {
            let (sender, waiting) = channel();
            let answers: Vec<_> = jobs.into_iter().map(|it| ask(&sender, it)).collect();
            drop(sender);
            self.desk.serve(&waiting);
            let told = |it: oneshot::Receiver<_>| {
                let answer = it.now_or_never().unwrap();
                let answer = answer.map_err(|_| sqlx::Error::WorkerCrashed).flatten();
                answer.map_err(|it| fault::told("write", it))
            };
            answers.into_iter().map(told).collect()
        }

        fn names(&self) -> Vec<String> {
            let mut found = self.beside.prepare("select name from t order by name").unwrap();
            found.query_map([], |it| it.get(0)).unwrap().map(Result::unwrap).collect()
        }
    }

    type Answered = oneshot::Receiver<Result<u64, sqlx::Error>>;

    fn ask(sender: &Sender<Job>, statements: Vec<Statement<'static>>) -> Answered {
        ask_of(sender, (!statements.is_empty()).then_some("a"), statements)
    }

    fn ask_of(
        sender: &Sender<Job>,
        share: Option<&str>,
        statements: Vec<Statement<'static>>,
    ) -> Answered {
        let (answer, answered) = oneshot::channel();
        let share = share.map(Arc::from);
        sender.send(Job { share, synced: true, statements, answer }).unwrap();
        answered
    }

    fn named(name: &'static str) -> Vec<Statement<'static>> {
        vec![Statement::new("insert into t values (?)").text(name)]
    }

    #[test]
    fn one_bad_write_does_no_harm_to_those_it_shares_a_transaction_with() {
        let mut story = Story::begin();
        let twice = named("new").into_iter().chain(named("taken")).collect();

        let told = story.write(vec![named("taken"), named("before"), twice, named("after")]);

        let is_good: Vec<_> = told.iter().map(Result::is_ok).collect();
        assert_eq!(is_good, [true, true, false, true], "{told:?}");
        let kind = told[2].as_ref().err().and_then(StoreError::violation);
        assert_eq!(kind, Some(sqlx::error::ErrorKind::UniqueViolation));
        assert_eq!(story.names(), ["after", "before", "taken"]);
    }

    #[test]
    fn shares_take_turns_and_a_ping_comes_after_all_of_them() {
        let mut story = Story::begin();
        let (sender, waiting) = channel();
        let told: Vec<_> = ["a", "b", "c"]
            .map(|name| ask_of(&sender, Some("much"), named(name)))
            .into_iter()
            .chain([ask_of(&sender, Some("little"), named("little"))])
            .chain([ask_of(&sender, None, vec![Statement::new("delete from t where name = 'c'")])])
            .chain([ask_of(&sender, Some("little"), named("after"))])
            .collect();
        drop(sender);
        story.desk.serve(&waiting);

        assert!(told.into_iter().all(|it| it.now_or_never().unwrap().unwrap().is_ok()));
        let mut found = story.beside.prepare("select name from t order by rowid").unwrap();
        let found: Vec<String> =
            found.query_map([], |it| it.get(0)).unwrap().map(Result::unwrap).collect();
        assert_eq!(found, ["a", "little", "b", "after"]);
    }

    #[test]
    fn the_thread_outlives_a_panic() {
        let mut story = Story::begin();
        let panics = named("lost").into_iter().chain([Statement::new(PANIC)]).collect();

        let told = story.write(vec![named("beside"), panics]);
        assert!(told.iter().all(|it| matches!(it, Err(StoreError::BrokeOff { .. }))), "{told:?}");

        let told = story.write(vec![named("next")]);
        assert!(matches!(told[..], [Ok(1)]), "{told:?}");
        assert_eq!(story.names(), ["next"]);
    }

    #[test]
    fn a_full_database_says_so_and_goes_on_when_there_is_room() {
        let mut story = Story::begin();
        story.write(vec![named("small")]);
        let connection = story.desk.connection.as_ref().unwrap();
        connection.query(&Statement::new("pragma max_page_count = 3"), &mut 1_000).unwrap();
        let large = || vec![Statement::new("insert into t values (?)").text("x".repeat(100_000))];

        let told = story.write(vec![large(), vec![]]);
        assert!(matches!(told[..], [Err(StoreError::Full { .. }), Ok(0)]), "{told:?}");

        let connection = story.desk.connection.as_ref().unwrap();
        connection.query(&Statement::new("pragma max_page_count = 1000"), &mut 1_000).unwrap();
        let told = story.write(vec![large()]);
        assert!(matches!(told[..], [Ok(1)]), "{told:?}");
    }

    #[test]
    fn a_database_that_is_locked_or_takes_no_writes_says_so() {
        let mut story = Story::begin();
        story.beside.execute_batch("begin exclusive").unwrap();
        let told = story.write(vec![vec![], named("late")]);
        let is_locked = |it| matches!(it, &Err(StoreError::Unavailable { .. }));
        assert!(told.iter().all(is_locked), "{told:?}");
        story.beside.execute_batch("rollback").unwrap();

        story.write(vec![named("first")]);
        let connection = story.desk.connection.as_ref().unwrap();
        connection.say("pragma query_only = on").unwrap();
        let told = story.write(vec![named("second")]);
        assert!(matches!(told[..], [Err(StoreError::ReadOnly { .. })]), "{told:?}");
    }

    #[test]
    fn a_ping_writes_nothing() {
        let mut story = Story::begin();
        let log = story.desk.place.file.with_extension("db-wal");
        let bytes = || std::fs::metadata(&log).unwrap().len();
        let before = bytes();

        let told = story.write(vec![vec![], vec![], vec![]]);

        assert!(told.iter().all(Result::is_ok), "{told:?}");
        assert_eq!(bytes(), before);
        story.write(vec![named("something")]);
        assert!(before < bytes());
    }
}
