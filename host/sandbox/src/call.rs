//! One call: who it is for, the fresh store it runs in, and how it ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use stepmill_core::capability::{Capability, Grants};
use tokio::sync::SemaphorePermit;
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use wasmtime::Store;

use crate::capability::outgoing::Outgoing;
use crate::capability::wasi::WasiState;
use crate::failure::CallFailure;
use crate::meter::Meter;
use crate::sandbox::Shared;
use crate::services::{Databases, KeyValues, Network, Secrets};
use crate::settings::CallLimits;
use crate::ticker::Running;

/// For whom a plugin is called, and what it may do there.
///
/// What was not granted is not in here: an import that leads to it finds nothing to call. (It is
/// there all the same, and says so. Some languages' tools import the whole contract whatever the
/// plugin uses.)
#[derive(Clone)]
pub struct CallSite {
    pub(crate) label: Arc<str>,
    pub(crate) grants: Arc<Grants>,
    pub(crate) config: Option<Arc<BTreeMap<String, String>>>,
    pub(crate) key_values: Option<Arc<dyn KeyValues>>,
    pub(crate) network: Option<Arc<dyn Network>>,
    pub(crate) databases: Option<Arc<dyn Databases>>,
    pub(crate) secrets: Option<Arc<dyn Secrets>>,
}

impl CallSite {
    /// A call that reaches nothing. The label says whose lines the guest's lines are, in the
    /// operator's log: tenant and workflow.
    pub fn bare(label: impl Into<Arc<str>>) -> Self {
        Self {
            label: label.into(),
            grants: Arc::default(),
            config: None,
            key_values: None,
            network: None,
            databases: None,
            secrets: None,
        }
    }

    /// A call that reaches what was granted of `config`, which the operator wrote for this
    /// plugin, and of `services`, which are those of this plugin in this tenant.
    pub fn granted<S: KeyValues + Network + Databases + Secrets + 'static>(
        label: impl Into<Arc<str>>,
        grants: Grants,
        config: Arc<BTreeMap<String, String>>,
        services: Arc<S>,
    ) -> Self {
        Self {
            config: grants.has(&Capability::Config).then_some(config),
            key_values: grants.has(&Capability::KeyValue).then(|| services.clone() as _),
            network: grants.any_http().then(|| services.clone() as _),
            databases: grants.any_database().then(|| services.clone() as _),
            secrets: grants.any_secret().then_some(services as _),
            label: label.into(),
            grants: Arc::new(grants),
        }
    }
}

/// What a store carries: everything a host function may look at.
pub(crate) struct CallState {
    pub(crate) site: CallSite,
    pub(crate) meter: Meter,
    pub(crate) outgoing: Outgoing,
    /// Made when the guest first uses WASI; many never do.
    pub(crate) wasi: Option<Box<WasiState>>,
}

impl CallState {
    pub(crate) fn new(site: CallSite, limits: &CallLimits) -> Self {
        let outgoing = Outgoing::new(&site, limits);
        Self { site, meter: Meter::new(limits), outgoing, wasi: None }
    }
}

/// A seat and a fresh store. Both are given back when this is dropped, whatever happened.
pub(crate) struct Call<'a> {
    pub(crate) store: Store<CallState>,
    _running: Running,
    _seat: SemaphorePermit<'a>,
}

impl<'a> Call<'a> {
    pub(crate) async fn open(shared: &'a Shared, site: CallSite) -> Result<Self, CallFailure> {
        let seat = seat(shared).await?;
        let running = shared.ticker.run();
        let limits = &shared.settings.call;
        let state = CallState::new(site, limits);
        let mut store = Store::new(&shared.engine, state);
        store.limiter(|it| &mut it.meter);
        store.set_hostcall_fuel(limits.answer_bytes);
        store.set_max_component_handles(limits.handles);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut store| store.data_mut().meter.tick());
        Ok(Self { store, _running: running, _seat: seat })
    }

    /// Says in the debug log what the guest wrote to its standard streams, and gives the answer.
    pub(crate) fn end<T>(
        self,
        answer: Result<Result<T, CallFailure>, Elapsed>,
    ) -> Result<T, CallFailure> {
        let state = self.store.data();
        if let Some(wasi) = &state.wasi {
            wasi.tell(&state.site.label);
        }
        answer.unwrap_or(Err(CallFailure::DeadlinePassed))
    }
}

async fn seat(shared: &Shared) -> Result<SemaphorePermit<'_>, CallFailure> {
    if let Ok(seat) = shared.seats.try_acquire() {
        return Ok(seat);
    }
    let wait = Duration::from_millis(shared.settings.call.queue_ms);
    match timeout(wait, shared.seats.acquire()).await {
        Ok(Ok(seat)) => Ok(seat),
        // The semaphore is never closed, so this is the wait that ended.
        Ok(Err(_)) | Err(_) => Err(CallFailure::Busy),
    }
}
