//! The slow lane: where a call goes on that computes for longer than others should wait for it.
//!
//! A guest runs on the thread of whoever asked, and lets others go on at every tick. That is the
//! quickest for guests that answer at once, which most do. Many guests that compute together would
//! make everybody wait for a tick of each of them. So a call that computed for a few ticks goes on
//! here, on threads of lower priority than the rest of the host. And many short calls of one share
//! are as much in the way as a long one: whose calls used more of late than its part begins here.

use std::future::{Future, poll_fn};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use stepmill_core::pace::RecentUse;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::cores;
use crate::failure::CallFailure;
use crate::turns::Turns;

/// Such a thread gets half of what any other gets, and makes room for it the moment it wakes. Not much
/// less: whoever waits for a lock of the whole host (of memory, of the pool) which such a thread holds
/// waits for it to get a processor.
#[cfg(target_os = "linux")]
const NICE: i32 = 3;

/// A call under way, with everything it needs: it can go on on any thread.
pub(crate) type Work<T> = Pin<Box<dyn Future<Output = Result<T, CallFailure>> + Send>>;

/// Owns the threads, and ends them when it is dropped.
pub(crate) struct SlowLane {
    /// Always there until the drop.
    runtime: Option<Runtime>,
    /// Calls that go on here; shutdown waits for them.
    calls: TaskTracker,
    /// Of what is done for them at home.
    turns: Arc<Turns>,
}

impl SlowLane {
    pub(crate) fn open(threads: usize, turns: Arc<Turns>) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name("sandbox-slow")
            .on_thread_start(step_back)
            // For guests that sleep. What else they wait for is done at home: see `Pace::at_home`.
            .enable_time()
            .build()?;
        Ok(Self { runtime: Some(runtime), calls: TaskTracker::new(), turns })
    }

    /// Does the work here while it is quick, and in the slow lane after that. Dropping the future
    /// ends the work, wherever it is.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        share: &Arc<str>,
        pace: &Arc<Pace>,
        work: Work<T>,
    ) -> Result<T, CallFailure> {
        let mut work: Work<T> = Box::pin(Paced { work, pace: pace.clone() });
        if pace.is_slow() {
            return self.go_on(share, pace, work).await;
        }
        let here = poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending if pace.is_slow() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        match here.await {
            Some(answer) => answer,
            None => self.go_on(share, pace, work).await,
        }
    }

    async fn go_on<T: Send + 'static>(
        &self,
        share: &Arc<str>,
        pace: &Pace,
        work: Work<T>,
    ) -> Result<T, CallFailure> {
        let Some(runtime) = &self.runtime else { return work.await };
        pace.leave_home(share, &self.turns);
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

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Other systems know no priority of a single thread, or none that is safe to set; there the lane
/// still keeps the host's own threads free.
fn step_back() {
    cores::leave_one();
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

    fn note(&self, share: &Arc<str>, used: Duration) {
        self.used().note(share, used, self.began.elapsed());
    }

    /// Whether its next call had better not be in the way of others.
    pub(crate) fn is_heavy(&self, share: &Arc<str>) -> bool {
        self.used().is_heavy(share, self.began.elapsed())
    }

    fn used(&self) -> MutexGuard<'_, RecentUse<Arc<str>>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call's work, which counts its time on the processor while it is done. A tick that goes by says
/// little of it: the thread may have waited for a processor meanwhile, as it does beside others.
struct Paced<T> {
    work: Work<T>,
    pace: Arc<Pace>,
}

impl<T> Future for Paced<T> {
    type Output = Result<T, CallFailure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let began = processor_time();
        let polled = self.work.as_mut().poll(context);
        self.pace.spend(processor_time().saturating_sub(began));
        polled
    }
}

/// Of this thread, from some time on.
#[cfg(unix)]
pub(crate) fn processor_time() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(now.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanos)
}

/// The nearest to it elsewhere: time on the clock.
#[cfg(not(unix))]
pub(crate) fn processor_time() -> Duration {
    static BEGAN: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    BEGAN.elapsed()
}

/// Tells what a call used when it is over, or nobody waits for it any more.
pub(crate) struct Noting {
    pub(crate) recent: Arc<Recent>,
    pub(crate) share: Arc<str>,
    pub(crate) pace: Arc<Pace>,
}

impl Drop for Noting {
    fn drop(&mut self) {
        let us = self.pace.used_us.load(Ordering::Relaxed);
        self.recent.note(&self.share, Duration::from_micros(us));
    }
}

/// How fast one call goes on: said by whoever runs it and by what its share used of late.
#[derive(Default)]
pub(crate) struct Pace {
    is_slow: AtomicBool,
    /// Time on the processor until now.
    used_us: AtomicU64,
    /// As much of it may be in the way of others.
    quick_us: u64,
    /// Set when it leaves it.
    home: OnceLock<Home>,
}

/// Where a call came from.
struct Home {
    runtime: Handle,
    share: Arc<str>,
    turns: Arc<Turns>,
}

impl Home {
    fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> AbortOnDropHandle<T> {
        let work = self.turns.take(self.share.clone(), &self.runtime, work);
        AbortOnDropHandle::new(self.runtime.spawn(work))
    }
}

impl Pace {
    pub(crate) fn new(quick: Duration) -> Self {
        Self { quick_us: micros(quick), ..Self::default() }
    }

    /// The call is not to be in other people's way at all.
    pub(crate) fn slow_down(&self) {
        self.is_slow.store(true, Ordering::Relaxed);
    }

    fn spend(&self, time: Duration) {
        let before = self.used_us.fetch_add(micros(time), Ordering::Relaxed);
        if self.quick_us < before + micros(time) {
            self.slow_down();
        }
    }

    fn is_slow(&self) -> bool {
        self.is_slow.load(Ordering::Relaxed)
    }

    fn leave_home(&self, share: &Arc<str>, turns: &Arc<Turns>) {
        let (share, turns) = (share.clone(), turns.clone());
        // It leaves once; and a second time it would be the same.
        let _ = self.home.set(Home { runtime: Handle::current(), share, turns });
    }

    /// Does the host's part of a call where the host's connections are: whoever else waits for one
    /// of them must not wait for a thread that nobody runs. There it counts as its share's, and is
    /// done in turns. Dropping the future ends the work.
    pub(crate) async fn at_home<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        match self.home.get() {
            None => Some(work.await),
            Some(home) => match home.spawn(work).await {
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
