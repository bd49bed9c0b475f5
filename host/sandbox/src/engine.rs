//! The one place that decides how the engine works.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::settings::SandboxSettings;

/// The host's own frames on a guest's stack: what serves its calls.
const HOST_STACK_BYTES: usize = 1536 * 1024;

/// Slots that stay ready for the plugin they last served, with the memory that is kept for it, when
/// nobody calls. Others are taken from them before a fresh one is: without this bound, a tenant that
/// uploads plugin after plugin leaves some memory of each behind.
const WARM_SLOTS: u32 = 16;

/// Kept of each table between calls: more than most guests have.
const KEPT_TABLE_BYTES: usize = 64 * 1024;

/// One instance's bookkeeping. Real guests need kilobytes; the engine allocates what it needs.
const INSTANCE_BOOKKEEPING_BYTES: usize = 8 * 1024 * 1024;

/// The settings that decide what machine code looks like.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct CodeSettings {
    stack_bytes: usize,
    reserved_address_bytes: u64,
}

impl CodeSettings {
    pub(crate) fn of(settings: &SandboxSettings) -> Self {
        Self {
            stack_bytes: settings.call.stack_bytes,
            reserved_address_bytes: settings.pool.reserved_address_bytes,
        }
    }
}

/// The engine that runs code.
pub(crate) fn engine(settings: &SandboxSettings) -> wasmtime::Result<Engine> {
    let mut config = config(CodeSettings::of(settings));
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(settings)));
    Engine::new(&config)
}

/// An engine that makes code for the other one. It runs none, so it has no pool, which reserves
/// terabytes of address space; the code is the same with a pool and without.
pub(crate) fn compiling_engine(settings: CodeSettings) -> wasmtime::Result<Engine> {
    Engine::new(&config(settings))
}

/// The same for engines whose code is interchangeable: wasmtime's version, its settings, and the
/// processor.
pub(crate) fn fingerprint(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

fn config(settings: CodeSettings) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(settings.stack_bytes)
        .async_stack_size(settings.stack_bytes + HOST_STACK_BYTES)
        .memory_reservation(settings.reserved_address_bytes)
        // Nobody reads a guest's backtrace, and walking the stack is the price of every trap.
        .wasm_backtrace_max_frames(None)
        .native_unwind_info(false);
    config
}

/// Room for as many instances as there are seats, whatever each of them consists of, so that a
/// call with a seat never finds the pool empty.
fn pool(settings: &SandboxSettings) -> PoolingAllocationConfig {
    let calls = settings.pool.concurrent_calls;
    let core_instances = u32::try_from(settings.load.instances).unwrap_or(u32::MAX);
    let memories = calls.saturating_mul(settings.load.memories);
    let kept_memory_bytes = settings.pool.kept_memory_bytes / memories.max(1) as usize;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(calls)
        .total_core_instances(calls.saturating_mul(core_instances))
        .total_memories(memories)
        .total_tables(calls.saturating_mul(settings.load.tables))
        .total_stacks(calls.saturating_mul(2))
        .max_unused_warm_slots(WARM_SLOTS)
        .max_component_instance_size(INSTANCE_BOOKKEEPING_BYTES)
        .max_core_instance_size(INSTANCE_BOOKKEEPING_BYTES)
        .max_memories_per_module(settings.load.memories)
        .max_tables_per_module(settings.load.tables)
        .max_memory_size(settings.call.memory_bytes)
        .table_elements(settings.call.table_elements)
        .linear_memory_keep_resident(kept_memory_bytes.min(settings.call.memory_bytes))
        .table_keep_resident(KEPT_TABLE_BYTES);
    pool
}
