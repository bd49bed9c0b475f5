//! Takes up the runs that an earlier life of the host left unfinished.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use stepmill_core::ids::{Digest, RunId, TenantId, WorkflowId};
use stepmill_core::run::{Origin, RunPin};
use stepmill_core::time::Day;
use stepmill_engine::{Action, Machine, Next, StepState};
use stepmill_store::Spending;
use tokio::time::sleep;

use super::catalog::{Factory, Source};
use super::driver::{Driver, spending};
use super::error::AppError;
use super::wiring::App;

/// How often a run's plugin is asked for that cannot be loaded now. Each try waits in the lines for
/// it, some seconds to two minutes by default.
const LOAD_TRIES: u32 = 30;

/// Between two tries, where there is no room in the line.
const LOAD_PAUSE: Duration = Duration::from_secs(1);

/// Runs that an earlier life of the host left.
pub struct Unfinished(Vec<Left>);

struct Left {
    tenant: TenantId,
    run: RunId,
    /// The call that was under way: nobody knows what it used, so it counts as all it can have.
    lost: Option<Spending>,
}

impl App {
    /// Every run that was accepted and has no end in its journal. Asked before the first request
    /// is served: a run of this life is in nobody's list, and what their lost calls can have used
    /// is counted before anybody else is given it.
    ///
    /// # Errors
    /// The store cannot say which runs there are.
    pub async fn unfinished(&self) -> Result<Unfinished, AppError> {
        let mut unfinished = Vec::new();
        for (tenant, run) in self.store.run_unfinished().await? {
            let lost = self.lost_call(&tenant, run).await.unwrap_or_else(|fault| {
                let fault = &fault as &dyn std::error::Error;
                tracing::error!(run.id = %run, fault, "what run {run} asked last is not known");
                None
            });
            unfinished.push(Left { tenant, run, lost });
        }
        Ok(Unfinished(unfinished))
    }

    /// Counts the call of a run that was asked and not answered, if there is one.
    async fn lost_call(&self, tenant: &TenantId, run: RunId) -> Result<Option<Spending>, AppError> {
        let store = self.store.tenant(tenant);
        let Some(found) = store.run_fetch(run).await? else { return Ok(None) };
        let journal = store.journal_whole(run).await?;
        let pin = Arc::new(found.pin);
        let mut machine = Machine::new(pin.clone(), Vec::new());
        journal.iter().for_each(|it| machine.apply(it));
        let asked_at = match machine.record().steps().last().map(|it| &it.state) {
            Some(StepState::AskingModel(call)) => call.asked_at,
            _ => return Ok(None),
        };
        let Next::Do(Action::AskModel(_, request)) = machine.next() else { return Ok(None) };
        let owner = self.owner(tenant, &pin);
        let ask = self.model_ask(tenant, owner.as_ref(), &pin.workflow, &request, 0);
        let charge = self.budgets.count_lost(Day::of(asked_at), &ask);
        Ok(Some(spending(owner, &pin, &request.model, charge)))
    }

    /// Whose the workflow of a run is, as far as it is still there.
    fn owner(&self, tenant: &TenantId, pin: &RunPin) -> Option<TenantId> {
        match (pin.origin, self.catalog.find(tenant, &pin.workflow).map(|it| it.source)) {
            (Origin::Declared, _) => None,
            (Origin::Plugin(_), Some(Source::Factory(slot))) => slot.shelf.owner().cloned(),
            (Origin::Plugin(_), _) => Some(tenant.clone()),
        }
    }

    /// Goes on with these runs: those of one tenant as fast as it has seats for them, and nobody
    /// waits for another tenant's. Answers how many. One that cannot be taken up is logged, and
    /// tried again at the next start.
    pub async fn recover(&self, Unfinished(unfinished): Unfinished) -> usize {
        let mut tenants: BTreeMap<TenantId, Vec<Left>> = BTreeMap::new();
        for left in unfinished {
            tenants.entry(left.tenant.clone()).or_default().push(left);
        }
        let tenants = tenants.into_values().map(|runs| self.recover_all(runs));
        join_all(tenants).await.into_iter().sum()
    }

    async fn recover_all(&self, runs: Vec<Left>) -> usize {
        let mut taken_up = 0;
        for Left { tenant, run, lost } in runs {
            match self.take_up(&tenant, run, lost).await {
                Ok(()) => taken_up += 1,
                Err(fault) => {
                    let fault = &fault as &dyn std::error::Error;
                    tracing::error!(run.id = %run, fault, "run {run} cannot be taken up");
                }
            }
        }
        taken_up
    }

    /// The plugin of a run. While there is no seat to load it, that is waited for.
    async fn pinned(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        digest: Digest,
    ) -> Result<Arc<Factory>, AppError> {
        for _ in 1..LOAD_TRIES {
            match self.catalog.pinned(tenant, workflow, digest).await {
                Err(AppError::Busy) => sleep(LOAD_PAUSE).await,
                done => return done,
            }
        }
        self.catalog.pinned(tenant, workflow, digest).await
    }

    async fn take_up(
        &self,
        tenant: &TenantId,
        run: RunId,
        lost: Option<Spending>,
    ) -> Result<(), AppError> {
        let store = self.store.tenant(tenant);
        let Some(found) = store.run_fetch(run).await? else {
            // Deleted since the host began; what it used is not.
            store.spending_add(lost.as_slice()).await?;
            return Err(AppError::UnknownRun);
        };
        let pin = Arc::new(found.pin);
        let factory = match pin.origin {
            Origin::Declared => None,
            Origin::Plugin(digest) => {
                match self.pinned(tenant, &pin.workflow, digest).await {
                    Ok(factory) => Some(factory),
                    // Its model steps can go on without the code; a function step will fail.
                    Err(AppError::PluginMissing(_) | AppError::NotAPlugin(_)) => None,
                    Err(fault) => return Err(fault),
                }
            }
        };
        let owner = factory.as_ref().and_then(|it| it.shelf.owner());
        let limits = self.policies.current().plugin_limits(owner, tenant, &pin.workflow);
        let seat = self.seat_in_line(tenant, &pin.workflow, &limits).await?;
        // Read when it goes on, and not while it waits: it may be large.
        let journal = store.journal_whole(run).await?;
        tracing::info!(run.id = %run, "run {run} is taken up again");
        self.spawn(Driver::new(self.clone(), store, pin, factory, seat).resume(&journal, lost));
        Ok(())
    }
}
