//! Rates of tenants: lines in the log, requests at the door.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use stepmill_core::ids::TenantId;
use stepmill_core::limits::{Admit, Rate};
use stepmill_core::principal::Principal;

use super::error::AppError;
use super::wiring::App;

/// Tenants whose rate is remembered. Beyond, those are forgotten that have made up for what they
/// did; and if there is none, all are.
const TENANTS: usize = 10_000;

/// One kind of thing that tenants do.
pub(crate) struct Rates {
    began: Instant,
    tenants: Mutex<HashMap<TenantId, Rate>>,
}

impl Rates {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), tenants: Mutex::new(HashMap::new()) }
    }

    /// Lets a tenant do it once more, if it may.
    pub(crate) fn admit(&self, tenant: &TenantId, per_minute: u64) -> Admit {
        let now = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rate) = tenants.get_mut(tenant) {
            return rate.admit(now, per_minute);
        }
        if TENANTS <= tenants.len() {
            tenants.retain(|_, it| !it.is_even(now));
        }
        if TENANTS <= tenants.len() {
            tenants.clear();
        }
        tenants.entry(tenant.clone()).or_default().admit(now, per_minute)
    }
}

impl App {
    /// Lets a request in, as far as its tenant's rate goes.
    ///
    /// # Errors
    /// The tenant has to wait.
    pub fn request_admit(&self, who: &Principal) -> Result<(), AppError> {
        let limits = self.policies.current().tenant_limits(&who.tenant);
        let Some(per_minute) = limits.requests_per_minute else { return Ok(()) };
        match self.requests.admit(&who.tenant, per_minute) {
            Admit::Now | Admit::Last => Ok(()),
            Admit::Later { wait_us } => {
                Err(AppError::TooManyRequests { per_minute, wait: Duration::from_micros(wait_us) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: usize) -> TenantId {
        TenantId::new(format!("tenant {name}")).unwrap()
    }

    #[test]
    fn each_tenant_has_its_own_and_memory_is_bounded() {
        let rates = Rates::new();
        assert_eq!(rates.admit(&tenant(0), 1), Admit::Last);
        assert!(matches!(rates.admit(&tenant(0), 1), Admit::Later { .. }));
        for it in 1..2 * TENANTS {
            assert_eq!(rates.admit(&tenant(it), 1), Admit::Last);
        }
        assert!(rates.tenants.lock().unwrap().len() <= TENANTS);
    }
}
