//! What was asked, and what is held back.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::{Semaphore, watch};

/// One request, as it came.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The part of the path that says how to behave.
    pub scenario: String,
    /// The rest of the path, with the query.
    pub path: String,
    /// Lower case names, in the order they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Value,
    /// The model that was asked for.
    pub model: String,
    /// The system prompt.
    pub instructions: String,
    /// The last user message.
    pub message: String,
    /// Whether pieces were asked for.
    pub streamed: bool,
}

impl Recorded {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }
}

/// How much has happened.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) connections: u64,
    pub(crate) arrived: u64,
    pub(crate) abandoned: u64,
}

/// Everything the connections share.
pub(crate) struct Record {
    requests: Mutex<VecDeque<Recorded>>,
    by_scenario: Mutex<BTreeMap<String, u64>>,
    counts: watch::Sender<Counts>,
    pub(crate) answers: Semaphore,
    pub(crate) deltas: Semaphore,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            requests: Mutex::default(),
            by_scenario: Mutex::default(),
            counts: watch::Sender::new(Counts::default()),
            answers: Semaphore::new(0),
            deltas: Semaphore::new(0),
        }
    }
}

/// A test that panicked while it looked does no harm to what is kept.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Record {
    /// More than any test asks; a bench only counts.
    pub(crate) const KEPT: usize = 1_000;

    /// Notes a request. Gives its number among all, and among those of its scenario, from 1.
    pub(crate) fn arrived(&self, request: Recorded) -> (u64, u64) {
        let of_scenario = {
            let mut by_scenario = lock(&self.by_scenario);
            let count = by_scenario.entry(request.scenario.clone()).or_default();
            *count += 1;
            *count
        };
        {
            let mut requests = lock(&self.requests);
            if requests.len() == Self::KEPT {
                requests.pop_front();
            }
            requests.push_back(request);
        }
        let mut number = 0;
        self.counts.send_modify(|it| {
            it.arrived += 1;
            number = it.arrived;
        });
        (number, of_scenario)
    }

    /// Notes a connection.
    pub(crate) fn connected(&self) {
        self.counts.send_modify(|it| it.connections += 1);
    }

    /// Notes that somebody went away while an answer was held.
    pub(crate) fn abandoned(&self) {
        self.counts.send_modify(|it| it.abandoned += 1);
    }

    pub(crate) fn counts(&self) -> Counts {
        *self.counts.borrow()
    }

    pub(crate) fn requests(&self) -> Vec<Recorded> {
        lock(&self.requests).iter().cloned().collect()
    }

    pub(crate) async fn until(&self, reached: impl FnMut(&Counts) -> bool) {
        // The sender is in `self`, so the channel is open.
        let _ = self.counts.subscribe().wait_for(reached).await;
    }
}
