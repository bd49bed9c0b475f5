//! WASI: what a language's start-up code needs, with nothing behind it but time and randomness,
//! and those only where they were granted.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use stepmill_core::capability::{Capability, Grants};
use tokio::io::AsyncWrite;
use tracing::{debug, enabled};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::{
    Deterministic, HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView,
};
use wasmtime_wasi_http::WasiHttpCtx;

use crate::call::CallState;
use crate::settings::CallLimits;
use crate::text::log_line;

/// More than any start-up code asks for at once.
const RANDOM_BYTES: u64 = 64 * 1024;

/// WASI's side of one instance.
pub(crate) struct WasiState {
    ctx: WasiCtx,
    pub(super) table: ResourceTable,
    pub(super) http: WasiHttpCtx,
    said: Said,
}

impl WasiState {
    pub(super) fn new(grants: &Grants, limits: &CallLimits) -> Self {
        let said = Said::new(limits.stderr_bytes);
        let mut ctx = WasiCtx::builder();
        ctx.stdout(said.clone())
            .stderr(said.clone())
            .max_random_size(RANDOM_BYTES)
            .allow_tcp(false)
            .allow_udp(false);
        if !grants.has(&Capability::Clock) {
            ctx.wall_clock(StandingClock).monotonic_clock(StandingClock);
        }
        if !grants.has(&Capability::Randomness) {
            ctx.secure_random(Deterministic::new(NUMBERS.to_vec()))
                .insecure_random(Deterministic::new(NUMBERS.to_vec()))
                .insecure_random_seed(0);
        }
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        Self { ctx: ctx.build(), table, http: WasiHttpCtx::new(), said }
    }

    /// Puts what the guest wrote to its standard streams into the debug log.
    pub(crate) fn tell(&self, plugin: &str) {
        if !enabled!(tracing::Level::DEBUG) {
            return;
        }
        let said = self.said.take();
        for line in String::from_utf8_lossy(&said).lines() {
            let line = log_line(line, said.len());
            debug!(plugin, "plugin {plugin} wrote: {line}");
        }
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self
            .wasi
            .get_or_insert_with(|| Box::new(WasiState::new(&self.site.grants, &self.meter.limits)));
        WasiCtxView { ctx: &mut wasi.ctx, table: &mut wasi.table }
    }
}

/// It is always the first second of this millennium. Not zero, which some start-up code takes
/// for a broken clock.
struct StandingClock;

impl HostWallClock for StandingClock {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        Duration::from_secs(978_307_200)
    }
}

impl HostMonotonicClock for StandingClock {
    fn resolution(&self) -> u64 {
        1_000_000_000
    }

    fn now(&self) -> u64 {
        1_000_000_000
    }
}

/// Numbers that look random and repeat: as many as no power of two divides, so that a program
/// that draws until it likes a number gets every one of them in every place.
const NUMBERS: [u8; 1021] = numbers();

const fn numbers() -> [u8; 1021] {
    let mut numbers = [0; 1021];
    let (mut at, mut state) = (0, 0x9e37_79b9_7f4a_7c15_u64);
    while at < numbers.len() {
        // Marsaglia's xorshift.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        numbers[at] = (state >> 32) as u8;
        at += 1;
    }
    numbers
}

/// The beginning of what a guest wrote. The rest is taken and dropped, so that a guest that
/// prints is not a guest that fails.
#[derive(Clone)]
struct Said {
    text: Arc<Mutex<Vec<u8>>>,
    limit: usize,
}

impl Said {
    fn new(limit: usize) -> Self {
        Self { text: Arc::default(), limit }
    }

    fn keep(&self, bytes: &[u8]) {
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        let room = self.limit.saturating_sub(text.len());
        text.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.text.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl IsTerminal for Said {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Said {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // Only guests of WASI 0.3 come here, and those are not linked.
        Box::new(tokio::io::sink())
    }
}

impl OutputStream for Said {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.keep(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> Result<usize, StreamError> {
        Ok(64 * 1024)
    }
}

#[async_trait::async_trait]
impl Pollable for Said {
    async fn ready(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_beginning_is_kept() {
        let mut said = Said::new(5);
        for text in ["abc", "def", "ghi"] {
            said.write(Bytes::from_static(text.as_bytes())).unwrap();
        }
        assert_eq!(said.take(), b"abcde");
    }

    #[test]
    fn the_numbers_take_every_value() {
        let mut seen = [false; 256];
        NUMBERS.iter().for_each(|it| seen[*it as usize] = true);
        assert!(seen.iter().filter(|it| **it).count() > 240);
    }
}
