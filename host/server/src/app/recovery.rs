//! Takes up the runs that an earlier life of the host left unfinished.

use std::sync::Arc;

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

    /// Goes on with these runs. Answers how many. One that cannot be taken up is logged, and
    /// tried again at the next start.
    pub async fn recover(&self, Unfinished(unfinished): Unfinished) -> usize {
        let mut taken_up = 0;
        for (tenant, run) in unfinished {
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
        let journal = store.journal_whole(run).await?;
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
        // A run that was accepted once is not turned away: it waits for a seat.
        let seat = self.seats.clone().acquire_owned().await.map_err(|_| AppError::Stopping)?;
        tracing::info!(run.id = %run, "run {run} is taken up again");
        self.spawn(Driver::new(self.clone(), store, pin, factory, seat).resume(&journal));
        Ok(())
    }
}
