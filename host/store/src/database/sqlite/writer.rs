//! The thread that writes: whatever is asked for at the same moment becomes one transaction.
//!
//! A commit costs more than the statements in it, and a wait for the disk more than everything,
//! so writes that wait for the same connection share both. They do not share their faults: when a
//! shared transaction fails it is taken back, and each of its writes is tried alone.

use std::fs::File;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::super::statement::Statement;
use super::Place;
use super::connection::Connection;
use super::fault::told;

/// Writes of one transaction: as many as runs can wait for at once on a busy host, and few enough
/// that the first of them does not wait long for the last.
const TOGETHER: usize = 64;

pub(super) struct Writer {
    /// None once it was closed.
    thread: Mutex<Option<(Sender<Job>, JoinHandle<()>)>>,
}

/// Statements that are done all or not at all.
struct Job {
    /// Whether the answer waits until the disk has it.
    synced: bool,
    statements: Vec<Statement<'static>>,
    answer: oneshot::Sender<Result<u64, sqlx::Error>>,
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
        synced: bool,
        statements: Vec<Statement<'_>>,
    ) -> Result<u64, sqlx::Error> {
        let statements = statements.into_iter().map(Statement::into_owned).collect();
        let (answer, answered) = oneshot::channel();
        let job = Job { synced, statements, answer };
        {
            let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
            let (jobs, _) = thread.as_ref().ok_or(sqlx::Error::PoolClosed)?;
            jobs.send(job).map_err(|_| sqlx::Error::WorkerCrashed)?;
        }
        answered.await.map_err(|_| sqlx::Error::WorkerCrashed)?
    }

    /// A write of nothing: the lock is taken, no page is written, the disk is not waited for.
    pub(super) async fn ping(&self) -> Result<(), sqlx::Error> {
        self.write(false, Vec::new()).await.map(|_| ())
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
        while let Ok(first) = jobs.recv() {
            let mut together = vec![first];
            together.extend(jobs.try_iter().take(TOGETHER - 1));
            self.write(together);
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

fn together(connection: &Connection, jobs: &[Job]) -> rusqlite::Result<Vec<u64>> {
    connection.say("begin immediate")?;
    let mut changed = Vec::with_capacity(jobs.len());
    for job in jobs {
        let mut last = 0;
        for statement in &job.statements {
            last = connection.execute(statement)?;
        }
        changed.push(last);
    }
    connection.say("commit")?;
    Ok(changed)
}
