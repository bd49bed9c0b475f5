//! Budgets of models while the host runs: the book of what is spent, and who waits for what
//! others hold.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stepmill_core::agent::Usage;
use stepmill_core::budget::{
    Ask, Charge, Cost, Ledger, Prices, Refusal, Reservation, most_input_tokens,
};
use stepmill_core::call::ModelRequest;
use stepmill_core::ids::{TenantId, WorkflowId};
use stepmill_core::policy::PolicyScope;
use stepmill_core::time::Day;
use stepmill_store::{Store, StoreError};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::clock::now;
use super::wiring::App;

/// The book, and the line before it.
pub(crate) struct Budgets {
    desk: Mutex<Desk>,
    prices: Prices,
    wait: Duration,
}

#[derive(Default)]
struct Desk {
    ledger: Ledger,
    /// In the order they came.
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    ask: Ask,
    answer: oneshot::Sender<Result<Hold, Refusal>>,
}

impl Desk {
    /// Everybody in the line who need not wait any longer, with the answer. Who needs what
    /// somebody before them waits for waits too.
    fn answers(&mut self, today: Day) -> Vec<(Waiting, Result<Reservation, Refusal>)> {
        let mut answers = Vec::new();
        let mut awaited = BTreeSet::new();
        for waiting in std::mem::take(&mut self.waiting) {
            if waiting.answer.is_closed() {
                continue;
            }
            if waiting.ask.bounds.iter().any(|(scope, _)| awaited.contains(scope)) {
                self.waiting.push_back(waiting);
                continue;
            }
            match self.ledger.reserve(today, &waiting.ask) {
                Err(Refusal::Held(scope)) => {
                    awaited.insert(scope);
                    self.waiting.push_back(waiting);
                }
                answer => answers.push((waiting, answer)),
            }
        }
        answers
    }
}

impl Budgets {
    /// A book that begins with what the last days have spent.
    pub(crate) async fn open(
        store: &Store,
        prices: Prices,
        wait_ms: u64,
    ) -> Result<Arc<Self>, StoreError> {
        let mut desk = Desk::default();
        let today = today();
        for it in store.spending_since(today.back(Ledger::DAYS)).await? {
            // A clock that was far ahead once must not keep its day for ever.
            if it.day <= today.back(-Ledger::DAYS) {
                let scopes = PolicyScope::covering(&it.tenant, it.owner.as_ref(), &it.workflow);
                desk.ledger.enter(it.day, &scopes, it.tokens, it.cost);
            }
        }
        let wait = Duration::from_millis(wait_ms);
        Ok(Arc::new(Self { desk: Mutex::new(desk), prices, wait }))
    }

    /// Whether a call would fit now.
    pub(crate) fn check(&self, ask: &Ask) -> Result<(), Refusal> {
        self.desk().ledger.check(today(), ask)
    }

    /// Holds what a call can use at most. Waits for its turn while others hold it.
    ///
    /// # Errors
    /// There is not enough left, or others held it for too long.
    pub(crate) async fn hold(self: &Arc<Self>, ask: Ask) -> Result<Hold, Refusal> {
        let late = Refusal::Held(PolicyScope::Host);
        let (answer, answered) = oneshot::channel();
        self.desk().waiting.push_back(Waiting { ask, answer });
        self.serve();
        match timeout(self.wait, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(late),
        }
    }

    /// Counts a call whose answer an earlier life of the host did not hear.
    pub(crate) fn count_lost(&self, day: Day, ask: &Ask) -> Charge {
        self.desk().ledger.count_lost(day, ask)
    }

    /// What a scope has spent today.
    pub(crate) fn spent_today(&self, scope: &PolicyScope) -> (u64, Cost) {
        self.desk().ledger.spent(today(), scope)
    }

    fn serve(self: &Arc<Self>) {
        let answers = self.desk().answers(today());
        for (waiting, answer) in answers {
            let hold = |it| Hold { budgets: self.clone(), reservation: Some(it), is_asked: false };
            // Who went away meanwhile lets the hold fall, which hands it back.
            let _ = waiting.answer.send(answer.map(hold));
        }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn today() -> Day {
    Day::of(now())
}

/// What is held for one call. Whatever becomes of the call, it is handed back: when it is dropped
/// before the provider was asked, as unused; after that, as used up.
pub(crate) struct Hold {
    budgets: Arc<Budgets>,
    /// None once it was handed back.
    reservation: Option<Reservation>,
    is_asked: bool,
}

impl Hold {
    /// The provider is being asked. Gives the most tokens of the answer; none if nobody bounds it.
    pub(crate) fn asked(&mut self) -> Option<u32> {
        self.is_asked = true;
        self.reservation.as_ref().and_then(|it| it.output_cap)
    }

    /// The provider told what it used.
    pub(crate) fn commit(mut self, usage: &Usage) -> Option<Charge> {
        self.end(|ledger, it| ledger.commit(it, usage))
    }

    /// Nobody knows what was used.
    pub(crate) fn commit_whole(mut self) -> Option<Charge> {
        self.end(Ledger::commit_whole)
    }

    /// Nothing was used.
    pub(crate) fn release(mut self) {
        self.end(Ledger::release);
    }

    fn end<T>(&mut self, end: impl FnOnce(&mut Ledger, Reservation) -> T) -> Option<T> {
        let reservation = self.reservation.take()?;
        let ended = end(&mut self.budgets.desk().ledger, reservation);
        self.budgets.serve();
        Some(ended)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        match self.is_asked {
            true => drop(self.end(Ledger::commit_whole)),
            false => drop(self.end(Ledger::release)),
        }
    }
}

impl App {
    /// What a call would use at most, and who bounds it.
    pub(crate) fn model_ask(
        &self,
        tenant: &TenantId,
        owner: Option<&TenantId>,
        workflow: &WorkflowId,
        request: &ModelRequest,
        run_tokens: u64,
    ) -> Ask {
        Ask {
            bounds: self.policies.current().bounds(tenant, owner, workflow),
            input_tokens: most_input_tokens(request),
            output_tokens: request.max_output_tokens,
            run_tokens,
            price: self.budgets.prices.of(&request.model),
        }
    }
}

#[cfg(test)]
mod tests {
    use stepmill_core::budget::Budget;

    use super::*;

    fn budgets(wait_ms: u64) -> Arc<Budgets> {
        let (desk, prices) = (Mutex::default(), Prices::default());
        Arc::new(Budgets { desk, prices, wait: Duration::from_millis(wait_ms) })
    }

    /// A call of a tenant that may make so many at once.
    fn ask(tenant: &str, concurrent: u32) -> Ask {
        let scope = PolicyScope::Tenant(TenantId::new(tenant).unwrap());
        let budget = Budget { concurrent: Some(concurrent), ..Budget::default() };
        Ask {
            bounds: vec![(scope, budget)],
            input_tokens: 1,
            output_tokens: Some(1),
            run_tokens: 0,
            price: None,
        }
    }

    /// Begins to wait, and gives once the line has it.
    async fn in_line(budgets: &Arc<Budgets>, ask: Ask) -> tokio::task::JoinHandle<Option<Hold>> {
        let before = budgets.desk().waiting.len();
        let waiting = budgets.clone();
        let tasks = tokio_util::task::TaskTracker::new();
        let task = tasks.spawn(async move { waiting.hold(ask).await.ok() });
        while budgets.desk().waiting.len() == before {
            tokio::task::yield_now().await;
        }
        task
    }

    #[tokio::test]
    async fn calls_wait_in_order_and_other_tenants_do_not() {
        let budgets = budgets(60_000);
        let first = budgets.hold(ask("acme", 1)).await.ok().unwrap();
        let second = in_line(&budgets, ask("acme", 1)).await;
        let third = in_line(&budgets, ask("acme", 1)).await;
        let other = budgets.hold(ask("other", 1)).await;
        assert!(other.is_ok());

        first.release();
        let second = second.await.unwrap().unwrap();
        assert!(!third.is_finished());
        drop(second);
        assert!(third.await.unwrap().is_some());
    }

    #[tokio::test]
    async fn who_gives_up_leaves_the_line_and_holds_nothing() {
        let budgets = budgets(60_000);
        let first = budgets.hold(ask("acme", 1)).await.ok().unwrap();
        let second = in_line(&budgets, ask("acme", 1)).await;
        let third = in_line(&budgets, ask("acme", 1)).await;
        second.abort();
        assert!(second.await.is_err());
        first.release();
        assert!(third.await.unwrap().is_some());
        assert!(budgets.hold(ask("acme", 1)).await.is_ok());
    }

    #[tokio::test]
    async fn nobody_waits_for_ever() {
        let budgets = budgets(1);
        let _held = budgets.hold(ask("acme", 1)).await.ok().unwrap();
        assert!(matches!(budgets.hold(ask("acme", 1)).await, Err(Refusal::Held(_))));
    }

    #[tokio::test]
    async fn a_call_that_is_dropped_counts_once_it_was_asked() {
        let budgets = budgets(1);
        let scope = ask("acme", 1).bounds[0].0.clone();
        drop(budgets.hold(ask("acme", 1)).await);
        assert_eq!(budgets.spent_today(&scope).0, 0);
        let mut hold = budgets.hold(ask("acme", 1)).await.ok().unwrap();
        assert_eq!(hold.asked(), Some(1));
        drop(hold);
        assert_eq!(budgets.spent_today(&scope).0, 2);
    }
}
