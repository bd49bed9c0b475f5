//! Takes up the runs that an earlier life of the host left unfinished.

use std::sync::Arc;

use stepmill_core::ids::{RunId, TenantId};
use stepmill_core::run::Origin;

use super::driver::Driver;
use super::error::AppError;
use super::runs::journal_whole;
use super::wiring::App;

impl App {
    /// Goes on with every run that was accepted and has no end in its journal. Answers how many.
    ///
    /// # Errors
    /// The store cannot say which runs there are. A single run that cannot be taken up is
    /// logged, and tried again at the next start.
    pub async fn recover(&self) -> Result<usize, AppError> {
        let unfinished = self.store.run_unfinished().await?;
        let mut taken_up = 0;
        for (tenant, run) in unfinished {
            match self.take_up(&tenant, run).await {
                Ok(()) => taken_up += 1,
                Err(fault) => {
                    tracing::error!(run.id = %run, ?fault, "run {run} cannot be taken up");
                }
            }
        }
        Ok(taken_up)
    }

    async fn take_up(&self, tenant: &TenantId, run: RunId) -> Result<(), AppError> {
        let store = self.store.tenant(tenant);
        let found = store.run_fetch(run).await?.ok_or(AppError::UnknownRun)?;
        let journal = journal_whole(&store, run).await?;
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
        // Runs that were accepted once are not turned away; new ones wait for them.
        let seat = self.seats.clone().acquire_owned().await.map_err(|_| AppError::Stopping)?;
        tracing::info!(run.id = %run, "run {run} is taken up again");
        self.spawn(Driver::new(self.clone(), store, pin, factory, seat).resume(&journal));
        Ok(())
    }
}
