//! Takes up the runs that an earlier life of the host left unfinished.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;
use stepmill_core::ids::{RunId, TenantId};
use stepmill_core::run::Origin;

use super::driver::Driver;
use super::error::AppError;
use super::wiring::App;

/// Runs that an earlier life of the host left.
pub struct Unfinished(Vec<(TenantId, RunId)>);

impl App {
    /// Every run that was accepted and has no end in its journal. Asked before the first request
    /// is served: a run of this life is in nobody's list.
    ///
    /// # Errors
    /// The store cannot say which runs there are.
    pub async fn unfinished(&self) -> Result<Unfinished, AppError> {
        Ok(Unfinished(self.store.run_unfinished().await?))
    }

    /// Goes on with these runs: those of one tenant as fast as it has seats for them, and nobody
    /// waits for another tenant's. Answers how many. One that cannot be taken up is logged, and
    /// tried again at the next start.
    pub async fn recover(&self, Unfinished(unfinished): Unfinished) -> usize {
        let mut tenants: BTreeMap<TenantId, Vec<RunId>> = BTreeMap::new();
        for (tenant, run) in unfinished {
            tenants.entry(tenant).or_default().push(run);
        }
        let tenants = tenants.into_iter().map(|(tenant, runs)| self.recover_all(tenant, runs));
        join_all(tenants).await.into_iter().sum()
    }

    async fn recover_all(&self, tenant: TenantId, runs: Vec<RunId>) -> usize {
        let mut taken_up = 0;
        for run in runs {
            match self.take_up(&tenant, run).await {
                Ok(()) => taken_up += 1,
                Err(fault) => {
                    let fault = &fault as &dyn std::error::Error;
                    tracing::error!(run.id = %run, fault, "run {run} cannot be taken up");
                }
            }
        }
        taken_up
    }

    async fn take_up(&self, tenant: &TenantId, run: RunId) -> Result<(), AppError> {
        let store = self.store.tenant(tenant);
        let found = store.run_fetch(run).await?.ok_or(AppError::UnknownRun)?;
        let pin = Arc::new(found.pin);
        let factory = match pin.origin {
            Origin::Declared => None,
            Origin::Plugin(digest) => {
                match self.catalog.pinned(tenant, &pin.workflow, digest).await {
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
        self.spawn(Driver::new(self.clone(), store, pin, factory, seat).resume(&journal));
        Ok(())
    }
}
