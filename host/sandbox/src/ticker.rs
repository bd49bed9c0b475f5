//! The engine's clock: a thread that raises the epoch while guests run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::Engine;

/// How many ticks the thread goes on after the last guest. On a host with some traffic the next
/// guest comes before that, and finds the clock going: waking the thread costs as much as a call.
const LINGER_TICKS: u32 = 100;

/// Owns the thread. It sleeps when no guest has run for a while and ends when this is dropped.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    running: AtomicUsize,
    stop: AtomicBool,
}

impl Ticker {
    pub(crate) fn start(engine: Engine, tick: Duration) -> std::io::Result<Self> {
        let shared =
            Arc::new(Shared { running: AtomicUsize::new(0), stop: AtomicBool::new(false) });
        let seen = shared.clone();
        let thread = thread::Builder::new().name("sandbox-ticker".to_owned()).spawn(move || {
            let mut idle_ticks = 0;
            while !seen.stop.load(Ordering::Acquire) {
                if seen.running.load(Ordering::Acquire) != 0 {
                    idle_ticks = 0;
                } else if LINGER_TICKS <= idle_ticks {
                    // Whoever raises the count from zero, or stops, unparks; an unpark that
                    // comes before this line makes it return at once.
                    thread::park();
                    idle_ticks = 0;
                } else {
                    idle_ticks += 1;
                }
                thread::sleep(tick);
                engine.increment_epoch();
            }
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Time goes on while the answer is alive.
    pub(crate) fn run(self: &Arc<Self>) -> Running {
        if self.shared.running.fetch_add(1, Ordering::AcqRel) == 0 {
            self.unpark();
        }
        Running(self.clone())
    }

    fn unpark(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.unpark();
        if let Some(thread) = self.thread.take() {
            // At most one tick. The thread runs no code that can panic.
            let _ = thread.join();
        }
    }
}

/// A guest runs.
pub(crate) struct Running(Arc<Ticker>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.shared.running.fetch_sub(1, Ordering::AcqRel);
    }
}
