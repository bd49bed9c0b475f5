//! One call: who it is for, the fresh store it runs in, and how it ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use stepmill_core::capability::{Capability, Grants};
use stepmill_core::limits::Limits;
use tokio::time::timeout;
use wasmtime::Store;

use crate::capability::outgoing::Outgoing;
use crate::capability::wasi::WasiState;
use crate::failure::CallFailure;
use crate::lane::{Noting, Pace};
use crate::meter::Meter;
use crate::sandbox::Shared;
use crate::seats::Seat;
use crate::services::{Databases, KeyValues, Lines, Listener, Network, Secrets};
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
    pub(crate) share: Arc<str>,
    pub(crate) limits: Limits,
    pub(crate) lines: Option<Arc<dyn Lines>>,
    pub(crate) listener: Option<Listener>,
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
        let label = label.into();
        Self {
            share: label.clone(),
            label,
            limits: Limits::default(),
            lines: None,
            listener: None,
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
    pub fn granted<S: KeyValues + Network + Databases + Secrets + Lines + 'static>(
        label: impl Into<Arc<str>>,
        grants: Grants,
        config: Arc<BTreeMap<String, String>>,
        services: Arc<S>,
    ) -> Self {
        let label = label.into();
        Self {
            share: label.clone(),
            limits: Limits::default(),
            lines: Some(services.clone()),
            listener: None,
            config: grants.has(&Capability::Config).then_some(config),
            key_values: grants.has(&Capability::KeyValue).then(|| services.clone() as _),
            network: grants.any_http().then(|| services.clone() as _),
            databases: grants.any_database().then(|| services.clone() as _),
            secrets: grants.any_secret().then_some(services as _),
            label,
            grants: Arc::new(grants),
        }
    }

    /// The same, but seats are shared fairly between shares and not between labels; and where
    /// these limits are narrower than the sandbox's own, they count: those of one call, and how
    /// many of the share there are at once.
    pub fn sharing(self, share: impl Into<Arc<str>>, limits: Limits) -> Self {
        Self { share: share.into(), limits, ..self }
    }

    /// The same, heard: what the function tells while it works goes there.
    pub fn heard(self, listener: Listener) -> Self {
        Self { listener: Some(listener), ..self }
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
        let meter = Meter::new(limits);
        let outgoing = Outgoing::new(&site, limits, meter.pace.clone());
        Self { site, meter, outgoing, wasi: None }
    }
}

/// A seat and a fresh store. Both are given back when this is dropped, whatever happened.
pub(crate) struct Call {
    pub(crate) store: Store<CallState>,
    _running: Running,
    _seat: Seat<Arc<str>>,
}

impl Call {
    pub(crate) async fn open(shared: &Shared, site: CallSite) -> Result<Self, CallFailure> {
        let seat = seat(shared, &site).await?;
        let running = shared.ticker.run();
        let limits = shared.settings.call.within(&site.limits);
        let state = CallState::new(site, &limits);
        if shared.recent.is_heavy(&state.site.share) {
            state.meter.pace.slow_down();
        }
        let mut store = Store::new(&shared.engine, state);
        store.limiter(|it| &mut it.meter);
        store.set_hostcall_fuel(limits.answer_bytes);
        store.set_max_component_handles(limits.handles);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut store| store.data_mut().meter.tick());
        Ok(Self { store, _running: running, _seat: seat })
    }

    /// How fast it goes on.
    pub(crate) fn pace(&self) -> Arc<Pace> {
        self.store.data().meter.pace.clone()
    }

    /// What tells what it used.
    pub(crate) fn noting(&self, shared: &Shared) -> Noting {
        let (recent, share) = (shared.recent.clone(), self.store.data().site.share.clone());
        Noting { recent, share, pace: self.pace() }
    }
}

/// Says in the debug log what the guest wrote to its standard streams, however it ended.
impl Drop for Call {
    fn drop(&mut self) {
        let state = self.store.data();
        if let Some(wasi) = &state.wasi {
            wasi.tell(&state.site.label);
        }
    }
}

async fn seat(shared: &Shared, site: &CallSite) -> Result<Seat<Arc<str>>, CallFailure> {
    let most = shared.settings.pool.share_calls;
    let most = site.limits.calls.map_or(most.into(), |it| it.min(most.into()));
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    if let Ok(seat) = shared.seats.try_take(&site.share, most) {
        return Ok(seat);
    }
    let wait = Duration::from_millis(shared.settings.call.queue_ms);
    match timeout(wait, shared.seats.take(&site.share, most)).await {
        Ok(Some(seat)) => Ok(seat),
        Ok(None) => Err(CallFailure::ShareBusy),
        Err(_) if most <= shared.seats.held(&site.share) => Err(CallFailure::ShareBusy),
        Err(_) => Err(CallFailure::Busy),
    }
}
