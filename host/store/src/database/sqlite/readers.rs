//! The threads that read: each has a connection, and nobody waits for another's statement.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::super::Row;
use super::super::statement::Statement;
use super::Place;
use super::connection::Connection;
use super::fault::told;
use crate::settings::StoreSettings;

pub(super) struct Readers {
    place: Place,
    /// Those that nobody waits for. The one that worked last, whose memory is warm, works next.
    idle: Mutex<Vec<Reader>>,
    /// Who may use one.
    permits: Semaphore,
    at_once: u32,
    acquire_timeout: Duration,
}

/// A thread that ends when this is dropped and it has done what it was asked for.
struct Reader {
    jobs: Sender<Job>,
    thread: JoinHandle<()>,
}

struct Job {
    statements: Vec<Statement<'static>>,
    bytes: usize,
    answer: oneshot::Sender<Result<Option<Vec<Vec<Row>>>, sqlx::Error>>,
}

impl Readers {
    pub(super) fn new(place: Place, settings: &StoreSettings) -> Self {
        let at_once = settings.connections.max(1);
        Self {
            place,
            idle: Mutex::default(),
            permits: Semaphore::new(at_once as usize),
            at_once,
            acquire_timeout: settings.acquire_timeout(),
        }
    }

    /// Gives the rows of each statement; None if they hold more than `bytes`.
    pub(super) async fn read(
        &self,
        statements: Vec<Statement<'_>>,
        bytes: usize,
    ) -> Result<Option<Vec<Vec<Row>>>, sqlx::Error> {
        let _permit = match self.permits.try_acquire() {
            Ok(permit) => permit,
            Err(_) => match timeout(self.acquire_timeout, self.permits.acquire()).await {
                Ok(Ok(permit)) => permit,
                Ok(Err(_)) => return Err(sqlx::Error::PoolClosed),
                Err(_) => return Err(sqlx::Error::PoolTimedOut),
            },
        };
        let idle = self.lock().pop();
        let reader = idle.map_or_else(|| Reader::start(self.place.clone()), Ok)?;
        let (answer, answered) = oneshot::channel();
        let statements = statements.into_iter().map(Statement::into_owned).collect();
        let job = Job { statements, bytes, answer };
        reader.jobs.send(job).map_err(|_| sqlx::Error::WorkerCrashed)?;
        let answer = answered.await.map_err(|_| sqlx::Error::WorkerCrashed)?;
        // Not one whose answer nobody waited for: it may hang.
        self.lock().push(reader);
        answer
    }

    /// Waits for what is being read, and lets nobody read any more. A second call finds nothing.
    pub(super) async fn close(&self) -> Vec<JoinHandle<()>> {
        let _nobody_reads = self.permits.acquire_many(self.at_once).await;
        self.permits.close();
        self.lock().drain(..).map(|it| it.thread).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Reader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader {
    fn start(place: Place) -> Result<Self, sqlx::Error> {
        let (jobs, received) = channel();
        let thread = std::thread::Builder::new().name("sqlite-reader".to_owned());
        let thread = thread.spawn(move || serve(&place, &received))?;
        Ok(Self { jobs, thread })
    }
}

fn serve(place: &Place, jobs: &Receiver<Job>) {
    let mut connection = None;
    for Job { statements, bytes, answer } in jobs {
        let rows = match connection.take().map_or_else(|| Connection::open_reader(place), Ok) {
            Ok(open) => {
                let rows = open.query_each(&statements, bytes, None);
                connection = Some(open).filter(Connection::is_clean);
                rows
            }
            Err(fault) => Err(fault),
        };
        // Nobody waits any more: nothing was changed.
        let _ = answer.send(rows.map_err(told));
    }
}
