//! Telling listeners of a run what was noted. Nothing is told here that is not in the journal.

use std::sync::Arc;

use stepmill_core::event::JournalEntry;
use tokio::sync::broadcast;

/// Batches a slow listener may fall behind before it has to read the journal instead.
const LAG: usize = 256;

/// Entries that were noted together.
pub(crate) type Batch = Arc<[JournalEntry]>;

/// The one who tells of a run. When it is dropped, listeners hear that nothing follows.
pub(crate) struct Speaker(broadcast::Sender<Batch>);

impl Speaker {
    /// A speaker without listeners.
    pub(crate) fn new() -> Self {
        Self(broadcast::channel(LAG).0)
    }

    /// Tells whoever listens. Nobody listening is fine.
    pub(crate) fn tell(&self, batch: Vec<JournalEntry>) {
        if 0 < self.0.receiver_count() {
            // The only failure is that the last listener has just left.
            let _ = self.0.send(batch.into());
        }
    }

    /// A listener that hears everything from here on.
    pub(crate) fn listener(&self) -> broadcast::Receiver<Batch> {
        self.0.subscribe()
    }
}
