//! From a component's bytes to machine code: scanned first, then compiled by a worker.

use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use stepmill_core::ids::Digest;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;
use tracing::warn;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::cache::CodeCache;
use crate::engine::{CodeSettings, fingerprint};
use crate::load::LoadFailure;
use crate::scan::{at_most, scan};
use crate::settings::{LoadLimits, SandboxSettings};
use crate::worker::{self, Order, WorkerProgram};

/// Each thread wants memory of its own, and few components have work for more.
const MAX_THREADS: usize = 8;

/// Makes or finds compiled code.
pub(crate) struct Compiler {
    engine: Engine,
    cache: Option<CodeCache>,
    limits: LoadLimits,
    code: CodeSettings,
    program: WorkerProgram,
    seats: Semaphore,
}

impl Compiler {
    pub(crate) fn new(
        engine: Engine,
        cache: Option<CodeCache>,
        settings: &SandboxSettings,
        program: WorkerProgram,
    ) -> Self {
        Self {
            engine,
            cache,
            limits: settings.load,
            code: CodeSettings::of(settings),
            program,
            seats: Semaphore::new(settings.load.compile_workers),
        }
    }

    pub(crate) async fn component(
        &self,
        digest: Digest,
        bytes: Arc<[u8]>,
    ) -> Result<Component, LoadFailure> {
        let component = match self.scan_and_find(digest, bytes.clone()).await? {
            Some(component) => component,
            None => self.compile(digest, &bytes).await?,
        };
        self.check_resources(&component)?;
        Ok(component)
    }

    async fn scan_and_find(
        &self,
        digest: Digest,
        bytes: Arc<[u8]>,
    ) -> Result<Option<Component>, LoadFailure> {
        let (engine, cache, limits) = (self.engine.clone(), self.cache.clone(), self.limits);
        let work = spawn_blocking(move || {
            scan(&bytes, &limits)?;
            Ok(cache.and_then(|it| it.find(&engine, digest)))
        });
        work.await.map_err(aborted)?
    }

    /// Whoever stops waiting for this ends the worker, and its seat is free at once.
    async fn compile(&self, digest: Digest, bytes: &[u8]) -> Result<Component, LoadFailure> {
        let wait = Duration::from_millis(self.limits.compile_queue_ms);
        let _seat = match timeout(wait, self.seats.acquire()).await {
            Ok(Ok(seat)) => seat,
            // The semaphore is never closed, so this is the wait that ended.
            Ok(Err(_)) | Err(_) => return Err(LoadFailure::Busy),
        };
        let order = self.order(bytes.len());
        let work = worker::run(&self.program, &order, bytes, self.limits.compiled_bytes);
        let limit = Duration::from_millis(self.limits.compile_timeout_ms);
        let code = match timeout(limit, work).await {
            Ok(code) => code?,
            Err(_) => return Err(LoadFailure::CompileTimedOut),
        };
        let (engine, cache) = (self.engine.clone(), self.cache.clone());
        let work = spawn_blocking(move || take_over(&engine, cache.as_ref(), digest, &code));
        work.await.map_err(aborted)?
    }

    fn order(&self, component_bytes: usize) -> Order {
        Order {
            component_bytes,
            memory_bytes: self.limits.compile_memory_bytes,
            cpu_seconds: self.limits.compile_cpu_ms.div_ceil(1_000),
            threads: available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS),
            code: self.code,
            fingerprint: fingerprint(&self.engine),
        }
    }

    /// The pool has room for this much in each call.
    fn check_resources(&self, component: &Component) -> Result<(), LoadFailure> {
        let Some(needs) = component.resources_required() else {
            // Only a component that imports modules has unknown needs, and that import is refused.
            return Ok(());
        };
        let (memories, tables) = (u64::from(needs.num_memories), u64::from(needs.num_tables));
        at_most("memories", memories, u64::from(self.limits.memories))?;
        at_most("tables", tables, u64::from(self.limits.tables))
    }
}

/// Keeps the code a worker made, and makes it the host's own.
fn take_over(
    engine: &Engine,
    cache: Option<&CodeCache>,
    digest: Digest,
    code: &[u8],
) -> Result<Component, LoadFailure> {
    if let Some(cache) = cache {
        if let Err(error) = cache.keep(digest, code) {
            warn!(%digest, "the compiled code of {digest} could not be kept: {error}");
        }
        // Code mapped from the file costs less memory than a copy.
        if let Some(component) = cache.find(engine, digest) {
            return Ok(component);
        }
    }
    #[expect(unsafe_code, reason = "there is no safe way to run code that another process made")]
    // SAFETY: it is what this very program made of the component in a process that nobody else
    // reaches, through a pipe that nobody else writes to; its engine's fingerprint is this one's.
    let component = unsafe { Component::deserialize(engine, code) };
    // The one thing that is found out only here is what does not fit into the pool.
    component.map_err(|it| LoadFailure::Invalid(it.into_boxed_dyn_error()))
}

fn aborted(_: JoinError) -> LoadFailure {
    LoadFailure::Aborted
}
