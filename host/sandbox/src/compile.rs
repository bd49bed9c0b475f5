//! From a component's bytes to machine code: scanned first, off the async threads, one at a time.

use std::sync::Arc;
use std::time::Duration;

use stepmill_core::ids::Digest;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;
use tracing::warn;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::cache::CodeCache;
use crate::load::LoadFailure;
use crate::scan::{at_most, scan};
use crate::settings::LoadLimits;

/// Makes or finds compiled code.
pub(crate) struct Compiler {
    engine: Engine,
    cache: Option<CodeCache>,
    limits: LoadLimits,
    /// Compiling takes all cores by itself; a second one would only double the memory.
    seat: Arc<Semaphore>,
}

impl Compiler {
    pub(crate) fn new(engine: Engine, cache: Option<CodeCache>, limits: LoadLimits) -> Self {
        Self { engine, cache, limits, seat: Arc::new(Semaphore::new(1)) }
    }

    pub(crate) async fn component(
        &self,
        digest: Digest,
        bytes: Arc<[u8]>,
    ) -> Result<Component, LoadFailure> {
        let component = match self.scan_and_find(digest, bytes.clone()).await? {
            Some(component) => component,
            None => self.compile(digest, bytes).await?,
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

    async fn compile(&self, digest: Digest, bytes: Arc<[u8]>) -> Result<Component, LoadFailure> {
        let wait = Duration::from_millis(self.limits.compile_queue_ms);
        let seat = match timeout(wait, self.seat.clone().acquire_owned()).await {
            Ok(Ok(seat)) => seat,
            // The semaphore is never closed, so this is the wait that ended.
            Ok(Err(_)) | Err(_) => return Err(LoadFailure::Busy),
        };
        let (engine, cache) = (self.engine.clone(), self.cache.clone());
        let work = spawn_blocking(move || {
            // A compilation cannot be broken off: the seat stays taken until it really ended.
            let _seat = seat;
            compile(&engine, cache.as_ref(), digest, &bytes)
        });
        let limit = Duration::from_millis(self.limits.compile_timeout_ms);
        match timeout(limit, work).await {
            Ok(done) => done.map_err(aborted)?,
            Err(_) => Err(LoadFailure::CompileTimedOut),
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

fn compile(
    engine: &Engine,
    cache: Option<&CodeCache>,
    digest: Digest,
    bytes: &[u8],
) -> Result<Component, LoadFailure> {
    let invalid = |it: wasmtime::Error| LoadFailure::Invalid(it.into_boxed_dyn_error());
    let component = Component::from_binary(engine, bytes).map_err(invalid)?;
    let Some(cache) = cache else { return Ok(component) };
    let code = component.serialize().map_err(invalid)?;
    if let Err(error) = cache.keep(digest, &code) {
        warn!(%digest, "the compiled code of {digest} could not be kept: {error}");
        return Ok(component);
    }
    // Code mapped from the file costs less memory than code just made.
    Ok(cache.find(engine, digest).unwrap_or(component))
}

fn aborted(_: JoinError) -> LoadFailure {
    LoadFailure::Aborted
}
