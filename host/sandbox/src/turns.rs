//! Turns on the host's own threads: of a share that uses much of them, few pieces of work stand in
//! the runtime's queue at once.
//!
//! The runtime does whatever is ready in the order in which it became so. Where one share has fifty
//! requests under way, everybody else waits behind fifty of its pieces at each step of theirs. So
//! what is done for a share counts as its own, and when that is more than its part
//! ([`stepmill_core::pace`]) its work that is ready waits here, in the share's own line
//! ([`stepmill_core::fair`]), and leaves one thread to the others. Who is alone, or asks for little,
//! never waits; and while nobody else is there nothing is counted either.

use std::collections::HashMap;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use stepmill_core::fair::{Asked, FairSeats, Place};
use stepmill_core::pace::RecentUse;
use tokio::runtime::Handle;

use crate::lane::processor_time;

/// Seats and lines end by what a share may have, and by how much work there is.
const ENDLESS: usize = usize::MAX;

/// Who did nothing for so long is not there: as `core/pace` sees it.
const ABSENT: Duration = Duration::from_secs(10);

pub(crate) struct Turns {
    began: Instant,
    company: Company,
    desk: Mutex<Desk>,
}

/// Whether more than one share is there; asked at every step of every run, so without a lock.
#[derive(Default)]
struct Company {
    names: RandomState,
    /// Who went on last, as a number that stands for its name; 0: nobody did.
    latest: AtomicU64,
    /// So many microseconds after the beginning the others have been gone for long enough.
    alone_from_us: AtomicU64,
}

impl Company {
    /// What stands for the name; two names that have the same number are taken for one.
    fn number(&self, share: &str) -> u64 {
        self.names.hash_one(share).max(1)
    }

    /// A share goes on: whether others are there.
    fn is_mixed(&self, number: u64, now: Duration) -> bool {
        let micros = |it: Duration| u64::try_from(it.as_micros()).unwrap_or(u64::MAX);
        if self.latest.load(Ordering::Relaxed) != number
            && self.latest.swap(number, Ordering::Relaxed) != 0
        {
            self.alone_from_us.store(micros(now + ABSENT), Ordering::Relaxed);
            return true;
        }
        micros(now) < self.alone_from_us.load(Ordering::Relaxed)
    }
}

struct Desk {
    used: RecentUse<Arc<str>>,
    seats: FairSeats<Arc<str>>,
    waiting: HashMap<Place, Arc<Ticket>>,
}

impl Turns {
    pub(crate) fn new() -> Self {
        let seats = FairSeats::new(ENDLESS, ENDLESS);
        let desk = Desk { used: RecentUse::new(), seats, waiting: HashMap::new() };
        let company = Company::default();
        Self { began: Instant::now(), company, desk: Mutex::new(desk) }
    }

    /// The same work, done when it is its turn. Dropping the future ends the work.
    pub(crate) fn take<F: Future>(
        self: &Arc<Self>,
        share: Arc<str>,
        runtime: &Handle,
        work: F,
    ) -> Taking<F> {
        let most = runtime.metrics().num_workers().saturating_sub(1).max(1);
        self.taking(share, most, work)
    }

    fn taking<F: Future>(self: &Arc<Self>, share: Arc<str>, most: usize, work: F) -> Taking<F> {
        let state = Mutex::new(State { phase: Phase::Asleep, task: None });
        let number = self.company.number(&share);
        let ticket = Arc::new(Ticket { turns: self.clone(), share, most, state });
        let waker = Waker::from(ticket.clone());
        Taking { work: Box::pin(work), waker, ticket, number, is_new: true }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, share: &Arc<str>) -> Vec<Arc<Ticket>> {
        self.desk().give_back(share)
    }
}

impl Desk {
    /// A turn at once, or a place in the line.
    fn ask(&mut self, ticket: &Arc<Ticket>, now: Duration) -> Phase {
        if !self.used.is_heavy(&ticket.share, now) {
            return Phase::Called { seated: false };
        }
        match self.seats.ask(&ticket.share, ticket.most) {
            Asked::Waits(place) => {
                self.waiting.insert(place, ticket.clone());
                Phase::Waits(place)
            }
            Asked::Seated => Phase::Called { seated: true },
            Asked::LineFull => Phase::Called { seated: false },
        }
    }

    #[must_use = "they have seats and wait to hear of it"]
    fn give_back(&mut self, share: &Arc<str>) -> Vec<Arc<Ticket>> {
        let served = self.seats.give_back(share);
        self.seated(served)
    }

    #[must_use = "they have seats and wait to hear of it"]
    fn leave(&mut self, share: &Arc<str>, place: Place) -> Vec<Arc<Ticket>> {
        // Who is not there any more was served just now.
        if self.waiting.remove(&place).is_none() {
            return Vec::new();
        }
        let served = self.seats.leave(share, place);
        self.seated(served)
    }

    fn seated(&mut self, served: Vec<Place>) -> Vec<Arc<Ticket>> {
        served.into_iter().filter_map(|it| self.waiting.remove(&it)).collect()
    }
}

/// One piece of work. Whoever has both locks took the ticket's first.
struct Ticket {
    turns: Arc<Turns>,
    share: Arc<str>,
    /// So many of a busy share have their turn at once.
    most: usize,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    /// Who is woken when it is this one's turn.
    task: Option<Waker>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// It waits for something else.
    Asleep,
    /// It is ready, and it is not its turn.
    Waits(Place),
    /// It is its turn, until it was polled.
    Called { seated: bool },
    /// It goes on right now. What wakes it meanwhile wants another turn.
    GoesOn { seated: bool, woken: bool },
    /// It is over.
    Done,
}

impl Ticket {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it may go on now.
    fn begin(self: &Arc<Self>, task: &Waker, is_new: bool) -> bool {
        let mut state = self.state();
        if !state.task.as_ref().is_some_and(|it| it.will_wake(task)) {
            state.task = Some(task.clone());
        }
        if is_new {
            state.phase = self.turns.desk().ask(self, self.turns.began.elapsed());
        }
        let Phase::Called { seated } = state.phase else { return false };
        state.phase = Phase::GoesOn { seated, woken: false };
        true
    }

    /// It went on for so long. The next one of its share is called.
    fn end(self: &Arc<Self>, used: Duration, is_done: bool) {
        let now = self.turns.began.elapsed();
        let mut state = self.state();
        let (seated, woken) = match state.phase {
            Phase::GoesOn { seated, woken } => (seated, woken && !is_done),
            _ => (false, false),
        };
        let mut desk = self.turns.desk();
        desk.used.note(&self.share, used, now);
        let next = if seated { desk.give_back(&self.share) } else { Vec::new() };
        state.phase = match (is_done, woken) {
            (true, _) => Phase::Done,
            (false, true) => desk.ask(self, now),
            (false, false) => Phase::Asleep,
        };
        drop(desk);
        let task = state.called();
        drop(state);
        task.into_iter().for_each(Waker::wake);
        next.iter().for_each(Self::call);
    }

    /// It has a seat.
    fn call(self: &Arc<Self>) {
        let mut state = self.state();
        if let Phase::Waits(_) = state.phase {
            state.phase = Phase::Called { seated: true };
            let task = state.called();
            drop(state);
            return task.into_iter().for_each(Waker::wake);
        }
        drop(state);
        // It was dropped meanwhile: the seat is the next one's.
        self.turns.give_back(&self.share).iter().for_each(Self::call);
    }

    /// Nobody polls it any more.
    fn leave(&self) {
        let mut state = self.state();
        let phase = std::mem::replace(&mut state.phase, Phase::Done);
        let task = state.task.take();
        drop(state);
        // It may hold the last of a task, with other tickets in it.
        drop(task);
        let next = match phase {
            Phase::Waits(place) => self.turns.desk().leave(&self.share, place),
            Phase::Called { seated: true } | Phase::GoesOn { seated: true, .. } => {
                self.turns.give_back(&self.share)
            }
            _ => Vec::new(),
        };
        next.iter().for_each(Self::call);
    }
}

impl State {
    /// Who is to hear that it is this one's turn.
    fn called(&self) -> Option<Waker> {
        matches!(self.phase, Phase::Called { .. }).then(|| self.task.clone()).flatten()
    }
}

impl Wake for Ticket {
    fn wake(self: Arc<Self>) {
        let mut state = self.state();
        match &mut state.phase {
            Phase::Asleep => {
                state.phase = self.turns.desk().ask(&self, self.turns.began.elapsed());
                let task = state.called();
                drop(state);
                task.into_iter().for_each(Waker::wake);
            }
            Phase::GoesOn { woken, .. } => *woken = true,
            Phase::Waits(_) | Phase::Called { .. } | Phase::Done => {}
        }
    }
}

/// Work that goes on when it is its turn.
pub(crate) struct Taking<F> {
    work: Pin<Box<F>>,
    ticket: Arc<Ticket>,
    waker: Waker,
    /// What stands for its share.
    number: u64,
    /// So far its share was alone.
    is_new: bool,
}

impl<F: Future> Future for Taking<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let turns = &this.ticket.turns;
        if this.is_new && !turns.company.is_mixed(this.number, turns.began.elapsed()) {
            return this.work.as_mut().poll(context);
        }
        if !this.ticket.begin(context.waker(), std::mem::take(&mut this.is_new)) {
            return Poll::Pending;
        }
        let began = processor_time();
        // Work that panics is dropped next, which gives its seat back.
        let polled = this.work.as_mut().poll(&mut Context::from_waker(&this.waker));
        this.ticket.end(processor_time().saturating_sub(began), polled.is_ready());
        polled
    }
}

impl<F> Drop for Taking<F> {
    fn drop(&mut self) {
        self.ticket.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    /// A share that used much, beside one that is there.
    fn beside_a_quiet_one() -> Arc<Turns> {
        let turns = Arc::new(Turns::new());
        let mut desk = turns.desk();
        desk.used.note(&"busy".into(), Duration::from_secs(100), Duration::ZERO);
        desk.used.note(&"quiet".into(), Duration::ZERO, Duration::ZERO);
        drop(desk);
        both_are_there(&turns);
        turns
    }

    fn both_are_there(turns: &Turns) {
        for share in ["quiet", "busy"] {
            turns.company.is_mixed(turns.company.number(share), Duration::ZERO);
        }
    }

    #[test]
    fn who_goes_on_alone_is_seen_by_who_comes_and_for_a_while_after() {
        let company = Company::default();
        let (busy, quiet) = (company.number("busy"), company.number("quiet"));
        let at = Duration::from_secs;
        assert!(!company.is_mixed(busy, at(0)));
        assert!(!company.is_mixed(busy, at(5)));
        assert!(company.is_mixed(quiet, at(5)));
        assert!(company.is_mixed(busy, at(6)));
        assert!(company.is_mixed(busy, at(15)));
        assert!(!company.is_mixed(busy, at(16)));
    }

    /// Counts how often it was woken.
    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    struct Waiting<T> {
        taking: Option<Taking<Pin<Box<dyn Future<Output = T>>>>>,
        task: Arc<Task>,
    }

    impl<T> Waiting<T> {
        fn of(turns: &Arc<Turns>, share: &str, work: impl Future<Output = T> + 'static) -> Self {
            let work: Pin<Box<dyn Future<Output = T>>> = Box::pin(work);
            Self { taking: Some(turns.taking(share.into(), 1, work)), task: Arc::default() }
        }

        fn poll(&mut self) -> Poll<T> {
            let waker = Waker::from(self.task.clone());
            let taking = self.taking.as_mut().unwrap();
            Pin::new(taking).poll(&mut Context::from_waker(&waker))
        }

        fn woken(&self) -> usize {
            self.task.0.swap(0, Ordering::Relaxed)
        }
    }

    /// Two of a busy share that were asleep and are ready again, in this order.
    fn two_ready(turns: &Arc<Turns>) -> [Waiting<()>; 2] {
        let (wake, slept): (Vec<_>, Vec<_>) = (0..2).map(|_| oneshot::channel::<()>()).unzip();
        let asleep = |it: oneshot::Receiver<()>| async { drop(it.await) };
        let mut both = slept.into_iter().map(|it| Waiting::of(turns, "busy", asleep(it)));
        let mut both = [both.next().unwrap(), both.next().unwrap()];
        assert!(both.iter_mut().all(|it| it.poll().is_pending()));
        wake.into_iter().for_each(drop);
        both
    }

    #[test]
    fn those_of_a_busy_share_are_woken_one_after_the_other() {
        let turns = beside_a_quiet_one();
        let [mut first, mut second] = two_ready(&turns);
        assert_eq!((first.woken(), second.woken()), (1, 0));
        assert!(second.poll().is_pending(), "it is not its turn");
        assert!(first.poll().is_ready());
        assert_eq!((first.woken(), second.woken()), (0, 1));
        assert!(second.poll().is_ready());
        assert_eq!(turns.desk().seats.held(&"busy".into()), 0);
    }

    #[test]
    fn nobody_else_waits_and_nobody_who_is_alone() {
        let turns = beside_a_quiet_one();
        let _both = two_ready(&turns);
        assert!(Waiting::of(&turns, "quiet", async {}).poll().is_ready());
        assert!(Waiting::of(&turns, "busy", async {}).poll().is_pending());

        let turns = Arc::new(Turns::new());
        turns.desk().used.note(&"busy".into(), Duration::from_secs(100), Duration::ZERO);
        let [first, second] = two_ready(&turns);
        assert_eq!((first.woken(), second.woken()), (1, 1));
        assert!(first.taking.as_ref().is_some_and(|it| it.is_new), "nothing was counted");

        // As it is counted, it is alone as well.
        both_are_there(&turns);
        let [first, second] = two_ready(&turns);
        assert_eq!((first.woken(), second.woken()), (1, 1));
    }

    #[test]
    fn whoever_goes_away_leaves_the_turn_to_the_next() {
        let turns = beside_a_quiet_one();
        let [mut first, second] = two_ready(&turns);
        let mut third = Waiting::of(&turns, "busy", async {});
        assert!(third.poll().is_pending());
        drop(second);
        assert_eq!(third.woken(), 0);
        first.taking = None;
        assert_eq!(third.woken(), 1);
        assert!(third.poll().is_ready());
        assert!(turns.desk().waiting.is_empty());
        assert_eq!(turns.desk().seats.held(&"busy".into()), 0);
    }

    #[test]
    fn work_that_panics_leaves_the_turn_to_the_next() {
        let turns = beside_a_quiet_one();
        let (wake, slept) = oneshot::channel::<()>();
        let mut bad = Waiting::of(&turns, "busy", async {
            let _ = slept.await;
            panic!("at once")
        });
        assert!(bad.poll().is_pending());
        drop(wake);
        let mut next = Waiting::of(&turns, "busy", async {});
        assert!(next.poll().is_pending());
        assert!(catch_unwind(AssertUnwindSafe(|| bad.poll())).is_err());
        drop(bad);
        assert_eq!(next.woken(), 1);
        assert!(next.poll().is_ready());
    }

    #[test]
    fn what_is_woken_while_it_goes_on_has_another_turn_behind_the_others() {
        let turns = beside_a_quiet_one();
        let [mut first, mut second] = two_ready(&turns);
        let mut again = false;
        first.taking = None;
        assert_eq!(second.woken(), 1);
        let mut twice = Waiting::of(
            &turns,
            "busy",
            std::future::poll_fn(move |context| {
                if std::mem::replace(&mut again, true) {
                    return Poll::Ready(());
                }
                context.waker().wake_by_ref();
                Poll::Pending
            }),
        );
        let mut last = Waiting::of(&turns, "busy", async {});
        assert!(twice.poll().is_pending() && last.poll().is_pending());
        assert!(second.poll().is_ready());
        assert_eq!((twice.woken(), last.woken()), (1, 0));
        assert!(twice.poll().is_pending());
        assert_eq!((twice.woken(), last.woken()), (0, 1));
        assert!(last.poll().is_ready());
        assert_eq!(twice.woken(), 1);
        assert!(twice.poll().is_ready());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn all_of_many_come_to_their_end() {
        let turns = beside_a_quiet_one();
        let runtime = Handle::current();
        let all = (0..200).map(|number| {
            let share = if number % 4 == 0 { "quiet" } else { "busy" };
            let work = async move {
                for step in 0..50 {
                    if step % 16 == number % 16 {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    tokio::task::yield_now().await;
                }
            };
            let task = runtime.spawn(turns.take(share.into(), &runtime, work));
            if number % 9 == 0 {
                task.abort();
            }
            task
        });
        for task in all.collect::<Vec<_>>() {
            let ended = tokio::time::timeout(Duration::from_secs(60), task).await;
            assert!(ended.is_ok(), "it still waits");
        }
        let desk = turns.desk();
        assert_eq!((desk.waiting.len(), desk.seats.held(&"busy".into())), (0, 0));
    }
}
