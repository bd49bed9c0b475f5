//! Whose turn it is to upload: one component of each tenant at a time, and few in all.

use std::time::Duration;

use stepmill_core::audit::Actor;
use stepmill_core::ids::WorkflowId;
use stepmill_sandbox::{Seat, Seats};
use tokio::time::timeout;

use super::error::AppError;
use super::plugins::Shelf;

/// Uploads of one tenant that may wait. Each holds a connection, and nothing of its component.
const LINE: usize = 100;

/// Uploads of one tenant at once. Few components are compiled at a time: a tenant that sends as
/// many as that, each of which takes all its time, would leave nothing for the others.
const AT_ONCE: usize = 1;

/// Turns to upload. Taken before a component is read: what those hold that wait would be bounded
/// by nothing else.
pub(crate) struct UploadTurns {
    wait: Duration,
    seats: Seats<Shelf>,
}

/// A turn to upload one component, of somebody who may. It ends when this is dropped.
pub struct UploadTurn {
    pub(super) shelf: Shelf,
    pub(super) id: WorkflowId,
    pub(super) actor: Actor,
    pub(super) _seat: Seat<Shelf>,
}

impl UploadTurns {
    /// So many at once, over all tenants.
    pub(crate) fn new(uploads: usize, wait: Duration) -> Self {
        Self { wait, seats: Seats::new(uploads, LINE) }
    }

    /// Waits for the uploads before this one.
    ///
    /// # Errors
    /// They took too long, or too many of the same tenant wait.
    pub(super) async fn take(&self, shelf: &Shelf) -> Result<Seat<Shelf>, AppError> {
        match timeout(self.wait, self.seats.take(shelf, AT_ONCE)).await {
            Ok(seat) => seat.ok_or(AppError::UploadsWait(LINE)),
            Err(_) => Err(AppError::Busy),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use stepmill_core::ids::TenantId;

    use super::*;

    fn of(tenant: &str) -> Shelf {
        Shelf::Tenant(TenantId::new(tenant).unwrap())
    }

    #[tokio::test]
    async fn a_tenant_waits_for_itself_and_for_nobody_else() {
        let turns = UploadTurns::new(3, Duration::ZERO);
        let turn = turns.take(&of("ada")).await.unwrap();
        assert!(matches!(turns.take(&of("ada")).await, Err(AppError::Busy)));
        assert!(turns.take(&of("bob")).await.is_ok());
        assert!(turns.take(&Shelf::Shared).await.is_ok());
        drop(turn);
        assert!(turns.take(&of("ada")).await.is_ok());
    }

    #[tokio::test]
    async fn there_are_few_in_all() {
        let turns = UploadTurns::new(2, Duration::ZERO);
        let _ada = turns.take(&of("ada")).await.unwrap();
        let bob = turns.take(&of("bob")).await.unwrap();
        assert!(matches!(turns.take(&of("eve")).await, Err(AppError::Busy)));
        drop(bob);
        assert!(turns.take(&of("eve")).await.is_ok());
    }

    #[tokio::test]
    async fn a_line_ends() {
        let turns = UploadTurns::new(2, Duration::from_millis(10));
        let _turn = turns.take(&of("ada")).await.unwrap();
        let ada = of("ada");
        let waiting = join_all((0..=LINE).map(|_| turns.take(&ada))).await;
        let turned_away = |it: &&Result<_, _>| matches!(it, Err(AppError::UploadsWait(LINE)));
        assert_eq!(waiting.iter().filter(turned_away).count(), 1);
        assert!(turns.take(&of("bob")).await.is_ok());
    }
}
