//! Every limit of the sandbox, with its unit and the reason for its default.

use std::path::PathBuf;
use std::thread::available_parallelism;

use stepmill_core::limits::Limits;

use crate::cores;

/// How plugins are loaded, called and kept. The default is safe: everything is bounded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SandboxSettings {
    /// What a component may look like before it is compiled.
    pub load: LoadLimits,
    /// What one call of a plugin may use.
    pub call: CallLimits,
    /// What all calls together may use.
    pub pool: PoolSettings,
    /// Where compiled code is kept. `None` compiles at every load. The directory must belong to
    /// the host alone: what lies there is run.
    pub cache_dir: Option<PathBuf>,
}

/// What a component may look like. Checked by reading it, before anything is compiled, because
/// a kilobyte can be made to compile for minutes.
///
/// The numbers are several times those of the largest guest we met (Python: 18 MB, 13,500
/// functions, 38 core modules) and a fraction of what hurts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadLimits {
    /// The whole file, in bytes.
    pub component_bytes: usize,
    /// How long a component may take to compile; the largest guest takes 9 CPU seconds.
    pub compile_timeout_ms: u64,
    /// Time on the processor for the same, over all threads, in whole seconds: what is left of a
    /// second counts as one. As long as the timeout, so that no component gets more by threads.
    pub compile_cpu_ms: u64,
    /// Memory for the same, as address space.
    pub compile_memory_bytes: u64,
    /// What a component may become, in bytes of machine code; the largest guest becomes 34 MB.
    /// The host takes as much into its memory.
    pub compiled_bytes: usize,
    /// All machine code that is kept on disk; what was not used for longest is removed. It is
    /// compiled again when it is asked for.
    pub cache_bytes: u64,
    /// Components compiled at once, each with the memory above. With two, one that takes all its
    /// time does not keep the others waiting; more would only share the same processors.
    pub compile_workers: usize,
    /// How long a load may wait for those before it to be read, and to be compiled.
    pub compile_queue_ms: u64,
    /// Components read at once: hashed, scanned, and looked for among compiled code. Each keeps a
    /// processor busy, so by default as many as there are.
    pub scans: usize,
    /// Functions with a body; 100,000 empty ones take 600 MB to compile.
    pub functions: usize,
    /// One function's code, in bytes; compiling is worse than linear in it.
    pub function_body_bytes: usize,
    /// One function's local variables.
    pub locals: usize,
    /// One function's code bytes × locals: what register allocation suffers from.
    pub body_times_locals: u64,
    /// The same, over all functions.
    pub total_body_times_locals: u64,
    /// The code of all functions, in bytes.
    pub code_bytes: usize,
    /// Components inside the component; toolchains make one for each exported interface.
    pub nested_components: usize,
    /// Core modules; Python brings 38.
    pub core_modules: usize,
    /// Instances that one instance of the component consists of, at most. A component that
    /// instantiates another twice, which does the same, and so on, is small and huge at once.
    pub instances: u64,
    /// Linear memories of one instance.
    pub memories: u32,
    /// Tables of one instance.
    pub tables: u32,
    /// `description.name`, in bytes: as long as a workflow's name in a graph.
    pub name_bytes: usize,
    /// `description.description`, in bytes: as long as in a graph.
    pub description_bytes: usize,
    /// `description.input-schema`, in bytes: compiling a schema costs more than its size.
    pub schema_bytes: usize,
    /// `description.capabilities`: each is read by a person before it is granted.
    pub capabilities: usize,
}

impl Default for LoadLimits {
    fn default() -> Self {
        Self {
            component_bytes: 64 * 1024 * 1024,
            compile_timeout_ms: 60_000,
            compile_cpu_ms: 60_000,
            compile_memory_bytes: 2 * 1024 * 1024 * 1024,
            compiled_bytes: 128 * 1024 * 1024,
            cache_bytes: 4 * 1024 * 1024 * 1024,
            compile_workers: 2,
            compile_queue_ms: 120_000,
            scans: available_parallelism().map_or(1, usize::from),
            functions: 50_000,
            function_body_bytes: 1024 * 1024,
            locals: 2_000,
            body_times_locals: 100_000_000,
            total_body_times_locals: 2_000_000_000,
            code_bytes: 32 * 1024 * 1024,
            nested_components: 16,
            core_modules: 100,
            instances: 200,
            memories: 4,
            tables: 16,
            name_bytes: 256,
            description_bytes: 4_096,
            schema_bytes: 64 * 1024,
            capabilities: 64,
        }
    }
}

/// What one call of a plugin may use. A call is one `describe`, `build` or function step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// Time on the processor. Drawing a graph takes microseconds in Rust and one millisecond in
    /// Python; this leaves room for a cold start on a busy machine.
    pub cpu_ms: u64,
    /// How much of that a call may use in the way of others. What computes for longer goes on
    /// where it gives way to others: see the slow lane. Guests in Rust never come there, and those in
    /// Python or JavaScript seldom, unless their tenant used more than its part of late.
    pub quick_ms: u64,
    /// Time on the clock, with everything the guest waits for. A run waits for it.
    pub deadline_ms: u64,
    /// How long a call may wait for a seat before it is told that the host is busy.
    pub queue_ms: u64,
    /// How often a computing guest lets other tasks of its thread go on. Also the unit in which
    /// CPU time is counted.
    pub tick_ms: u64,
    /// All linear memories of the instance together; Python needs 32 MiB.
    pub memory_bytes: usize,
    /// All tables of the instance together, in elements.
    pub table_elements: usize,
    /// The call stack of the guest. The same for all calls of the engine.
    pub stack_bytes: usize,
    /// What a guest may hand over in one answer or in one call of the host, in bytes of host
    /// memory. A full graph of the default `GraphLimits` is below this.
    pub answer_bytes: usize,
    /// Nodes of a drawn graph; the graph's own check has a narrower limit with a better message.
    pub nodes: usize,
    /// An error's text, in bytes; what is longer is cut.
    pub refusal_bytes: usize,
    /// Calls of `log`, `progress`, `config`, `kv`, `http`, `database` and `secrets` together.
    pub host_calls: u64,
    /// Handles and streams that the guest holds at once; a language's start-up needs a dozen.
    pub handles: usize,
    /// Lines in the operator's log; more are dropped.
    pub log_lines: u64,
    /// One such line; what is longer is cut.
    pub log_line_bytes: usize,
    /// What a function step may tell while it works (`progress`): messages.
    pub progress_messages: u64,
    /// The same in bytes, all messages together. They are kept with the run's events, and shown
    /// with them.
    pub progress_bytes: usize,
    /// What is kept of the guest's standard output and error, for the debug log.
    pub stderr_bytes: usize,
    /// A key of `kv`.
    pub kv_key_bytes: usize,
    /// A value of `kv`.
    pub kv_value_bytes: usize,
    /// Requests, through `http` and `wasi:http` together.
    pub http_requests: u64,
    /// The body of such a request, its secrets included, and of its answer.
    pub http_body_bytes: usize,
    /// Statements through `database`: more are a loop that belongs into one statement.
    pub database_statements: u64,
}

impl CallLimits {
    /// The same, and where an operator's limits of a tenant or a plugin are narrower, those.
    pub(crate) fn within(&self, limits: &Limits) -> Self {
        let size = |own: usize, said: Option<u64>| {
            said.map_or(own, |it| own.min(usize::try_from(it).unwrap_or(usize::MAX)))
        };
        let count = |own: u64, said: Option<u64>| said.map_or(own, |it| own.min(it));
        Self {
            cpu_ms: count(self.cpu_ms, limits.cpu_ms),
            memory_bytes: size(self.memory_bytes, limits.memory_bytes),
            answer_bytes: size(self.answer_bytes, limits.answer_bytes),
            host_calls: count(self.host_calls, limits.host_calls),
            log_lines: count(self.log_lines, limits.log_lines),
            ..*self
        }
    }
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            cpu_ms: 1_000,
            quick_ms: 5,
            deadline_ms: 10_000,
            queue_ms: 2_000,
            tick_ms: 1,
            memory_bytes: 64 * 1024 * 1024,
            table_elements: 100_000,
            stack_bytes: 512 * 1024,
            answer_bytes: 4 * 1024 * 1024,
            nodes: 10_000,
            refusal_bytes: 4_096,
            host_calls: 10_000,
            handles: 1_000,
            log_lines: 200,
            log_line_bytes: 4_096,
            progress_messages: 1_000,
            progress_bytes: 64 * 1024,
            stderr_bytes: 16 * 1024,
            kv_key_bytes: 512,
            kv_value_bytes: 64 * 1024,
            http_requests: 16,
            http_body_bytes: 1024 * 1024,
            database_statements: 32,
        }
    }
}

/// What all calls together may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSettings {
    /// Calls at once. Times [`CallLimits::memory_bytes`], this is the most memory guests get:
    /// 4 GiB by default.
    pub concurrent_calls: u32,
    /// Calls at once of one share: of one tenant. Less than all, so that who lets its guests wait
    /// for long leaves room for others.
    pub share_calls: u32,
    /// Calls of one share that may wait for a seat; by default as many as there are runs at once.
    pub share_line: usize,
    /// Threads of the slow lane: as many greedy calls compute at once. They run on all cores but one,
    /// where there is another; by default there are as many.
    pub slow_threads: usize,
    /// Memory that may stay with the pool between calls, over all slots. A slot whose memory is
    /// kept is cleaned in user space, which is twice as fast on one core and scales to more.
    /// The default is 2 MiB for each slot: enough for Rust, C and small JavaScript.
    pub kept_memory_bytes: usize,
    /// Address space (not memory) for each linear memory. 4 GiB is what spares every access a
    /// bounds check; less is for hosts whose address space is limited.
    pub reserved_address_bytes: u64,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            concurrent_calls: 64,
            share_calls: 48,
            share_line: 1_000,
            slow_threads: cores::greedy(),
            kept_memory_bytes: 512 * 1024 * 1024,
            reserved_address_bytes: 1 << 32,
        }
    }
}
