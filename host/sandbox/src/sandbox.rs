//! The sandbox: one engine, its clock, its seats, and the way a component becomes a plugin.

use std::sync::Arc;
use std::time::Duration;

use stepmill_core::limits::Limits;
use tokio::runtime::Handle;
use tokio::time::timeout;
use wasmtime::Engine;
use wasmtime::component::Linker;

use crate::cache::CodeCache;
use crate::call::{Call, CallSite, CallState};
use crate::capability;
use crate::compile::Compiler;
use crate::describe;
use crate::engine::engine;
use crate::failure::CallFailure;
use crate::lane::{Recent, SlowLane, Work};
use crate::load::{LoadFailure, LoadSite, OpenError};
use crate::plugin::Plugin;
use crate::seats::Seats;
use crate::settings::SandboxSettings;
use crate::ticker::Ticker;
use crate::turns::Turns;
use crate::wit::Contract;
use crate::worker::WorkerProgram;

/// Loads plugins. Cheap to clone; all clones, and all plugins loaded by them, are one sandbox.
#[derive(Clone)]
pub struct Sandbox(Arc<Shared>);

/// What all plugins of a sandbox share.
pub(crate) struct Shared {
    pub(crate) settings: SandboxSettings,
    pub(crate) engine: Engine,
    pub(crate) ticker: Arc<Ticker>,
    /// One for each instance that may be alive.
    pub(crate) seats: Seats<Arc<str>>,
    pub(crate) recent: Arc<Recent>,
    turns: Arc<Turns>,
    lane: SlowLane,
    linker: Linker<CallState>,
    compiler: Compiler,
}

impl Sandbox {
    /// Sets up the engine, its pool and its clock. Components are compiled by `worker`.
    ///
    /// # Errors
    /// The settings contradict each other, the address space is not there, or the cache folder
    /// cannot be made.
    pub fn open(settings: SandboxSettings, worker: WorkerProgram) -> Result<Self, OpenError> {
        let engine =
            engine(&settings).map_err(|it| OpenError::Engine(it.into_boxed_dyn_error()))?;
        let linker = capability::linker(&engine)
            .map_err(|it| OpenError::Engine(it.into_boxed_dyn_error()))?;
        let tick = Duration::from_millis(settings.call.tick_ms.max(1));
        let ticker = Ticker::start(engine.clone(), tick).map_err(OpenError::Ticker)?;
        let cache = match &settings.cache_dir {
            Some(dir) => Some(
                CodeCache::open(dir, &engine, settings.load.cache_bytes)
                    .map_err(OpenError::Cache)?,
            ),
            None => None,
        };
        let turns = Arc::new(Turns::new());
        Ok(Self(Arc::new(Shared {
            seats: Seats::new(settings.pool.concurrent_calls as usize, settings.pool.share_line),
            recent: Arc::new(Recent::new()),
            lane: SlowLane::open(settings.pool.slow_threads, turns.clone())
                .map_err(OpenError::SlowLane)?,
            turns,
            compiler: Compiler::new(engine.clone(), cache, &settings, worker),
            ticker: Arc::new(ticker),
            settings,
            engine,
            linker,
        })))
    }

    /// Checks a component, compiles it (or finds it compiled), and asks it who it is.
    ///
    /// # Errors
    /// See [`LoadFailure`]; all but those that [are passing](LoadFailure::is_passing) are
    /// the component's fault and come again.
    pub async fn load(&self, component: impl Into<Arc<[u8]>>) -> Result<Plugin, LoadFailure> {
        self.load_at(&LoadSite::kept(""), component).await
    }

    /// As [`Self::load`], where others load at the same time: each share gets its turn.
    ///
    /// # Errors
    /// As of [`Self::load`].
    pub async fn load_at(
        &self,
        site: &LoadSite,
        component: impl Into<Arc<[u8]>>,
    ) -> Result<Plugin, LoadFailure> {
        let (digest, component) = self.0.compiler.component(site, component.into()).await?;
        let contract = Contract::of(&component, &self.0.linker)?;
        let claimed = self.describe(site, &contract).await?;
        let description = describe::check(claimed, &self.0.settings.load)?;
        Ok(Plugin::new(self.0.clone(), contract, digest, description))
    }

    /// On the account of whoever loads it. A share of its own would be one more beside whom a busy
    /// one makes room.
    async fn describe(
        &self,
        site: &LoadSite,
        contract: &Contract,
    ) -> Result<describe::Claimed, LoadFailure> {
        let site = CallSite::bare("describe").sharing(site.share.clone(), Limits::default());
        let call = Call::open(&self.0, site).await;
        let call = call.map_err(LoadFailure::Describe)?;
        let answer = self.0.answer(call, |call| contract.describe(call)).await;
        answer.map_err(LoadFailure::Describe)?
    }

    /// What a call and a share may have, whoever it is: see [`CallSite::sharing`].
    pub fn limits(&self) -> Limits {
        let SandboxSettings { call, pool, .. } = &self.0.settings;
        Limits {
            cpu_ms: Some(call.cpu_ms),
            memory_bytes: Some(call.memory_bytes as u64),
            host_calls: Some(call.host_calls),
            log_lines: Some(call.log_lines),
            answer_bytes: Some(call.answer_bytes as u64),
            calls: Some(pool.share_calls.min(pool.concurrent_calls).into()),
            ..Limits::default()
        }
    }

    /// The same work, for a share, on this runtime: where the share uses more of it than its part,
    /// its work takes turns and leaves a thread to the others. Dropping the future ends the work.
    pub fn in_turn<F: Future + Send>(
        &self,
        share: &str,
        work: F,
    ) -> impl Future<Output = F::Output> + Send + use<F> {
        self.0.turns.take(share.into(), &Handle::current(), work)
    }

    /// How many calls of a share are under way.
    pub fn calls(&self, share: &str) -> usize {
        self.0.seats.held(&share.into())
    }

    /// Waits until no guest runs any more that nobody waits for: one that was dropped in the slow
    /// lane ends when it is its turn there.
    pub async fn drain(&self) {
        self.0.lane.drain().await;
    }
}

impl Shared {
    /// What a call answers before its deadline.
    pub(crate) async fn answer<T: Send + 'static>(
        &self,
        call: Call,
        ask: impl FnOnce(Call) -> Work<T>,
    ) -> Result<T, CallFailure> {
        let (pace, noting) = (call.pace(), call.noting(self));
        let deadline = Duration::from_millis(self.settings.call.deadline_ms);
        let answer = timeout(deadline, self.lane.run(&noting.share, &pace, ask(call))).await;
        answer.unwrap_or(Err(CallFailure::DeadlinePassed))
    }
}
