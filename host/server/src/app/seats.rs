//! Seats for runs: one kept by each run under way, and shared fairly between tenants.

use stepmill_core::fair::NoSeat;
use stepmill_core::ids::{TenantId, WorkflowId};
use stepmill_core::limits::Limits;
use stepmill_sandbox::{Seat, Seats};

use super::error::AppError;
use super::wiring::App;
use crate::settings::RunSettings;

/// Who waits for a seat is an unfinished run, and those of one tenant wait one after the other.
const LINE: usize = 1;

/// A workflow of a tenant.
type Of = (TenantId, WorkflowId);

/// A permit to run. Kept until the run ends.
pub(crate) struct RunSeat {
    _tenant: Seat<TenantId>,
    _workflow: Seat<Of>,
}

/// As many as there may be runs.
pub(crate) struct RunSeats {
    tenants: Seats<TenantId>,
    /// Without a bound of their own: counted, as far as a policy bounds one.
    workflows: Seats<Of>,
    /// Of one tenant.
    most: usize,
}

impl RunSeats {
    pub(crate) fn new(settings: &RunSettings) -> Self {
        Self {
            tenants: Seats::new(settings.concurrent, LINE),
            workflows: Seats::new(usize::MAX, LINE),
            most: settings.tenant_concurrent,
        }
    }

    /// How many runs of a tenant are under way.
    pub(crate) fn held(&self, tenant: &TenantId) -> usize {
        self.tenants.held(tenant)
    }

    /// How many there may be.
    pub(crate) fn most(&self, limits: &Limits) -> usize {
        at_most(limits).min(self.most)
    }
}

fn at_most(limits: &Limits) -> usize {
    limits.runs.map_or(usize::MAX, |it| usize::try_from(it).unwrap_or(usize::MAX))
}

impl App {
    /// A seat for a new run, while the host takes on runs at all.
    ///
    /// # Errors
    /// The host has as many runs under way as it takes on, or the tenant has as many as it may, of
    /// all workflows or of this one.
    pub(crate) fn seat(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        of_workflow: &Limits,
    ) -> Result<RunSeat, AppError> {
        if self.tasks.is_closed() {
            return Err(AppError::Stopping);
        }
        let of = (tenant.clone(), workflow.clone());
        let taken = self.seats.workflows.try_take(&of, at_most(of_workflow));
        let workflow = taken.map_err(|_| AppError::WorkflowBusy)?;
        let limits = self.policies.current().tenant_limits(tenant);
        match self.seats.tenants.try_take(tenant, self.seats.most(&limits)) {
            Ok(tenant) => Ok(RunSeat { _tenant: tenant, _workflow: workflow }),
            Err(NoSeat::Full) => Err(AppError::Busy),
            Err(NoSeat::ShareFull) => Err(AppError::TenantBusy),
        }
    }

    /// A seat for a run that was accepted once: it is not turned away, it waits.
    pub(crate) async fn seat_in_line(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        of_workflow: &Limits,
    ) -> Result<RunSeat, AppError> {
        let of = (tenant.clone(), workflow.clone());
        let seat = self.seats.workflows.take(&of, at_most(of_workflow)).await;
        // Nobody else of the tenant waits.
        let workflow = seat.ok_or(AppError::WorkflowBusy)?;
        let limits = self.policies.current().tenant_limits(tenant);
        let seat = self.seats.tenants.take(tenant, self.seats.most(&limits)).await;
        Ok(RunSeat { _tenant: seat.ok_or(AppError::TenantBusy)?, _workflow: workflow })
    }
}
