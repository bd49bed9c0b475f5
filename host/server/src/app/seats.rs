//! Seats for runs: one kept by each run under way, and shared fairly between tenants.

use stepmill_core::fair::NoSeat;
use stepmill_core::ids::TenantId;
use stepmill_sandbox::{Seat, Seats};

use super::error::AppError;
use super::wiring::App;
use crate::settings::RunSettings;

/// Who waits for a seat is an unfinished run, and those of one tenant wait one after the other.
const LINE: usize = 1;

/// A permit to run. Kept until the run ends.
pub(crate) struct RunSeat {
    _tenant: Seat<TenantId>,
}

/// As many as there may be runs.
pub(crate) struct RunSeats {
    tenants: Seats<TenantId>,
    /// Of one tenant.
    most: usize,
}

impl RunSeats {
    pub(crate) fn new(settings: &RunSettings) -> Self {
        let tenants = Seats::new(settings.concurrent, LINE);
        Self { tenants, most: settings.tenant_concurrent }
    }
}

impl App {
    /// A seat for a new run, while the host takes on runs at all.
    ///
    /// # Errors
    /// The host has as many runs under way as it takes on, or the tenant has as many as it may.
    pub(crate) fn seat(&self, tenant: &TenantId) -> Result<RunSeat, AppError> {
        if self.tasks.is_closed() {
            return Err(AppError::Stopping);
        }
        match self.seats.tenants.try_take(tenant, self.seats.most) {
            Ok(seat) => Ok(RunSeat { _tenant: seat }),
            Err(NoSeat::Full) => Err(AppError::Busy),
            Err(NoSeat::ShareFull) => Err(AppError::TenantBusy),
        }
    }

    /// A seat for a run that was accepted once: it is not turned away, it waits.
    pub(crate) async fn seat_in_line(&self, tenant: &TenantId) -> Result<RunSeat, AppError> {
        let seat = self.seats.tenants.take(tenant, self.seats.most).await;
        // Nobody else of the tenant waits.
        Ok(RunSeat { _tenant: seat.ok_or(AppError::TenantBusy)? })
    }
}
