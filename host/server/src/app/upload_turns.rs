//! Whose turn it is to upload: one component of each tenant at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as Lock, PoisonError, Weak};
use std::time::Duration;

use stepmill_core::ids::TenantId;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::timeout;

use super::error::AppError;

/// Few components are compiled at once. Without turns, a tenant that uploads as many as that, each
/// of which takes all its time, would leave nothing for the others.
pub(crate) struct UploadTurns {
    wait: Duration,
    of: Lock<HashMap<TenantId, Weak<Mutex<()>>>>,
}

impl UploadTurns {
    pub(crate) fn new(wait: Duration) -> Self {
        Self { wait, of: Lock::default() }
    }

    /// Waits for this tenant's uploads before this one. The turn ends when what is given is dropped.
    ///
    /// # Errors
    /// They took too long.
    pub(crate) async fn take(&self, tenant: &TenantId) -> Result<OwnedMutexGuard<()>, AppError> {
        timeout(self.wait, self.turn(tenant).lock_owned()).await.map_err(|_| AppError::Busy)
    }

    fn turn(&self, tenant: &TenantId) -> Arc<Mutex<()>> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        of.retain(|_, turn| turn.strong_count() != 0);
        if let Some(turn) = of.get(tenant).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        of.insert(tenant.clone(), Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_tenant_waits_for_itself_and_for_nobody_else() {
        let turns = UploadTurns::new(Duration::ZERO);
        let (ada, bob) = (TenantId::new("ada").unwrap(), TenantId::new("bob").unwrap());
        let turn = turns.take(&ada).await.unwrap();
        assert!(matches!(turns.take(&ada).await, Err(AppError::Busy)));
        assert!(turns.take(&bob).await.is_ok());
        drop(turn);
        assert!(turns.take(&ada).await.is_ok());
    }

    #[tokio::test]
    async fn who_waits_for_nothing_is_forgotten() {
        let turns = UploadTurns::new(Duration::ZERO);
        for name in ["ada", "bob"] {
            drop(turns.take(&TenantId::new(name).unwrap()).await);
        }
        assert_eq!(turns.of.lock().unwrap().len(), 1);
    }
}
