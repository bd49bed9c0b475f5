//! From a component's bytes to machine code: scanned first, then compiled by a worker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use stepmill_core::ids::Digest;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;
use tracing::{info, warn};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::cache::CodeCache;
use crate::cores;
use crate::engine::{CodeSettings, fingerprint};
use crate::load::{LoadFailure, LoadSite};
use crate::refusals::Refusals;
use crate::scan::{at_most, scan};
use crate::seats::{Seat, Seats};
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
    /// Seats to be read at, and to be compiled at; each with the share it is for.
    scans: Seats<Arc<str>>,
    workers: Seats<Arc<str>>,
    refusals: Arc<Refusals>,
}

impl Compiler {
    pub(crate) fn new(
        engine: Engine,
        cache: Option<CodeCache>,
        settings: &SandboxSettings,
        program: WorkerProgram,
    ) -> Self {
        let (limits, line) = (settings.load, settings.pool.share_line);
        Self {
            engine,
            cache,
            limits,
            code: CodeSettings::of(settings),
            program,
            scans: Seats::new(limits.scans, line),
            workers: Seats::new(limits.compile_workers, line),
            refusals: Arc::default(),
        }
    }

    pub(crate) async fn component(
        &self,
        site: &LoadSite,
        bytes: Arc<[u8]>,
    ) -> Result<(Digest, Component), LoadFailure> {
        let (digest, found) = self.read(site, bytes.clone()).await?;
        let made = match found {
            Some(component) => Ok(component),
            None => self.compile(&site.share, digest, &bytes).await,
        };
        let component = made.and_then(|it| self.check_resources(&it).map(|()| it));
        if let Err(failure) = &component
            && site.is_upload
        {
            self.refusals.note(&site.share, digest, failure, Instant::now());
        }
        Ok((digest, component?))
    }

    /// Everything that can be known without compiling. Whoever stops waiting leaves the work to
    /// be done; its seat is kept until it is.
    async fn read(
        &self,
        site: &LoadSite,
        bytes: Arc<[u8]>,
    ) -> Result<(Digest, Option<Component>), LoadFailure> {
        let seat = self.seat(&self.scans, self.limits.scans, &site.share).await?;
        let (engine, cache, limits) = (self.engine.clone(), self.cache.clone(), self.limits);
        let (site, refusals) = (site.clone(), self.refusals.clone());
        let work = spawn_blocking(move || {
            let _seat = seat;
            let digest = Digest::from_bytes(Sha256::digest(&bytes).into());
            if site.is_upload
                && let Some(failure) = refusals.find(&site.share, digest, Instant::now())
            {
                info!(%digest, share = %site.share, "{digest} is refused as it was a moment ago");
                return Err(failure);
            }
            scan(&bytes, &limits)?;
            Ok((digest, cache.and_then(|it| it.find(&engine, digest))))
        });
        work.await.map_err(aborted)?
    }

    async fn seat(
        &self,
        seats: &Seats<Arc<str>>,
        most: usize,
        share: &Arc<str>,
    ) -> Result<Seat<Arc<str>>, LoadFailure> {
        let wait = Duration::from_millis(self.limits.compile_queue_ms);
        // Whether the line is too long or too slow: the same may be asked again.
        timeout(wait, seats.take(share, most)).await.ok().flatten().ok_or(LoadFailure::Busy)
    }

    /// Whoever stops waiting for this ends the worker, and its seat is free at once.
    async fn compile(
        &self,
        share: &Arc<str>,
        digest: Digest,
        bytes: &[u8],
    ) -> Result<Component, LoadFailure> {
        let _seat = self.seat(&self.workers, self.limits.compile_workers, share).await?;
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
            threads: cores::greedy().min(MAX_THREADS),
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
