//! The slow lane: where a call goes on that computes for longer than others should wait for it.
//!
//! A guest runs on the thread of whoever asked, and lets others go on at every tick. That is the
//! quickest for guests that answer at once, which most do. Many guests that compute together would
//! make everybody wait for a tick of each of them. So a call that computed for a few ticks goes on
//! here, on threads that the system only runs when no other thread of the host wants to. And many
//! short calls of one share are as much in the way as a long one: whose calls used more of late
//! than its part begins here.

use std::future::{Future, poll_fn};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;
use std::time::Instant;

use stepmill_core::pace::RecentUse;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::failure::CallFailure;

/// The lowest priority there is. Such a thread gets about a seventieth of what any other gets, and
/// makes room for it the moment it wakes.
#[cfg(target_os = "linux")]
const NICE: i32 = 19;

/// A call under way, with everything it needs: it can go on on any thread.
pub(crate) type Work<T> = Pin<Box<dyn Future<Output = Result<T, CallFailure>> + Send>>;

/// Owns the threads, and ends them when it is dropped.
pub(crate) struct SlowLane {
    /// Always there until the drop.
    runtime: Option<Runtime>,
    /// Calls that go on here; shutdown waits for them.
    calls: TaskTracker,
}

impl SlowLane {
    pub(crate) fn open(threads: usize) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name("sandbox-slow")
            .on_thread_start(step_back)
            // For guests that sleep. What else they wait for is done at home: see `Pace::at_home`.
            .enable_time()
            .build()?;
        Ok(Self { runtime: Some(runtime), calls: TaskTracker::new() })
    }

    /// Does the work here while it is quick, and in the slow lane after that. Dropping the future
    /// ends the work, wherever it is.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        pace: &Pace,
        mut work: Work<T>,
    ) -> Result<T, CallFailure> {
        if pace.is_slow() {
            return self.go_on(pace, work).await;
        }
        let here = poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending if pace.is_slow() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        match here.await {
            Some(answer) => answer,
            None => self.go_on(pace, work).await,
        }
    }

    async fn go_on<T: Send + 'static>(&self, pace: &Pace, work: Work<T>) -> Result<T, CallFailure> {
        let Some(runtime) = &self.runtime else { return work.await };
        pace.leave_home();
        let task = AbortOnDropHandle::new(self.calls.spawn_on(work, runtime.handle()));
        match task.await {
            Ok(answer) => answer,
            Err(fault) => match fault.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // Only who waits here can end it, and the runtime is there as long as this is.
                Err(fault) => Err(CallFailure::Host(Box::new(fault))),
            },
        }
    }

    /// Waits until no call is here any more.
    pub(crate) async fn drain(&self) {
        self.calls.close();
        self.calls.wait().await;
    }
}

impl Drop for SlowLane {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Not in this thread, which may be one that must not wait.
            runtime.shutdown_background();
        }
    }
}

/// Other systems know no priority of a single thread, or none that is safe to set; there the lane
/// still keeps the host's own threads free.
fn step_back() {
    #[cfg(target_os = "linux")]
    // On Linux this is the calling thread's. Where it is not allowed, which is nowhere we know of,
    // the thread is as good as any other.
    let _ = rustix::process::setpriority_process(None, NICE);
}

/// What the calls of each share used of late.
pub(crate) struct Recent {
    began: Instant,
    used: Mutex<RecentUse<Arc<str>>>,
}

impl Recent {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), used: Mutex::default() }
    }

    pub(crate) fn note(&self, share: &Arc<str>, ms: u64) {
        self.used().note(share, ms, self.began.elapsed());
    }

    /// Whether its next call had better not be in the way of others.
    pub(crate) fn is_heavy(&self, share: &Arc<str>) -> bool {
        self.used().is_heavy(share, self.began.elapsed())
    }

    fn used(&self) -> MutexGuard<'_, RecentUse<Arc<str>>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How fast one call goes on: said by its meter, seen by whoever runs it.
#[derive(Default)]
pub(crate) struct Pace {
    is_slow: AtomicBool,
    /// The runtime it came from; set when it leaves it.
    home: OnceLock<Handle>,
}

impl Pace {
    /// The call has computed for long enough in other people's way.
    pub(crate) fn slow_down(&self) {
        self.is_slow.store(true, Ordering::Relaxed);
    }

    fn is_slow(&self) -> bool {
        self.is_slow.load(Ordering::Relaxed)
    }

    fn leave_home(&self) {
        // It leaves once; and a second time it would be the same.
        let _ = self.home.set(Handle::current());
    }

    /// Does the host's part of a call where the host's connections are: whoever else waits for one
    /// of them must not wait for a thread that nobody runs. Dropping the future ends the work.
    pub(crate) async fn at_home<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        match self.home.get() {
            None => Some(work.await),
            Some(home) => match AbortOnDropHandle::new(home.spawn(work)).await {
                Ok(answer) => Some(answer),
                Err(fault) => match fault.try_into_panic() {
                    Ok(panic) => resume_unwind(panic),
                    // The host goes down.
                    Err(_) => None,
                },
            },
        }
    }
}
