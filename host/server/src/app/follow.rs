//! Reading a run's journal as it grows.

use std::collections::VecDeque;
use std::sync::Arc;

use stepmill_core::event::JournalEntry;
use stepmill_core::ids::RunId;
use stepmill_core::run::RunPin;
use stepmill_engine::RunRecord;
use stepmill_store::TenantStore;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::task::TaskTracker;

use super::error::AppError;
use super::telling::Batch;

/// Journal entries read at once.
const PAGE: u32 = 1_000;

/// A run that exists, and its journal as it grows.
pub struct Started {
    /// What was pinned.
    pub pin: Arc<RunPin>,
    /// The journal, from its first entry.
    pub follow: Follow,
}

impl Started {
    /// Waits for the end.
    ///
    /// # Errors
    /// The host goes down first, or cannot read its journal. The run itself is not lost.
    pub async fn finished(mut self) -> Result<RunRecord, AppError> {
        let mut record = RunRecord::default();
        while let Some(entry) = self.follow.next().await? {
            record.apply(&entry);
        }
        Ok(record)
    }
}

/// A reader of a journal that may still grow. It ends after the run's last event.
pub struct Follow {
    store: TenantStore,
    run: RunId,
    listener: Receiver<Batch>,
    read: VecDeque<JournalEntry>,
    next: u64,
    reading: Reading,
    tasks: TaskTracker,
}

/// Where the next entries come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// From whoever drives the run.
    Told,
    /// From the journal, because telling went too fast.
    Behind,
    /// From the journal, because nobody drives the run any more.
    Left,
    /// From nowhere: the last entry was read.
    Ended,
}

impl Follow {
    /// A reader that has the first entries and hears of the next.
    pub(crate) fn new(
        store: TenantStore,
        run: RunId,
        listener: Receiver<Batch>,
        first: Vec<JournalEntry>,
        tasks: TaskTracker,
    ) -> Self {
        Self { store, run, listener, read: first.into(), next: 0, reading: Reading::Told, tasks }
    }

    /// The next entry, if it need not be waited for.
    pub fn ready(&mut self) -> Option<JournalEntry> {
        loop {
            let entry = self.read.pop_front()?;
            if entry.sequence < self.next {
                continue;
            }
            self.next = entry.sequence + 1;
            if entry.event.is_last() {
                self.reading = Reading::Ended;
            }
            return Some(entry);
        }
    }

    /// The next entry; `None` after the last one. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The host goes down, the run was deleted, or its journal cannot be read.
    pub async fn next(&mut self) -> Result<Option<JournalEntry>, AppError> {
        loop {
            if let Some(entry) = self.ready() {
                return Ok(Some(entry));
            }
            match self.reading {
                Reading::Ended => return Ok(None),
                Reading::Told => match self.listener.recv().await {
                    Ok(batch) => self.read.extend(batch.iter().cloned()),
                    Err(RecvError::Lagged(_)) => self.reading = Reading::Behind,
                    Err(RecvError::Closed) => self.reading = Reading::Left,
                },
                Reading::Behind | Reading::Left => {
                    let page = self.store.journal_read(self.run, self.next, PAGE).await?;
                    if page.is_empty() && self.reading == Reading::Left {
                        return Err(self.left().await?);
                    }
                    if page.len() < PAGE as usize && self.reading == Reading::Behind {
                        self.reading = Reading::Told;
                    }
                    self.read.extend(page);
                }
            }
        }
    }

    /// Why nobody drives a run that has not ended.
    async fn left(&self) -> Result<AppError, AppError> {
        if self.tasks.is_closed() {
            return Ok(AppError::Stopping);
        }
        let run = self.store.run_fetch(self.run).await?;
        Ok(if run.is_none() { AppError::RunDeleted } else { AppError::Broken })
    }
}
