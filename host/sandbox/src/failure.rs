//! Why a call of a plugin gives no answer, in the sandbox's words.

use stepmill_core::event::StepFailure;
use wasmtime::{PoolConcurrencyLimitError, Trap};
use wasmtime_wasi::I32Exit;

use crate::meter::Overrun;

/// What the engine said, for the operator's log.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The plugin did not answer. Nothing in here was written by a guest.
#[derive(Debug, thiserror::Error)]
pub enum CallFailure {
    /// It trapped: a panic, an access outside its memory, a division by zero.
    #[error("the plugin stopped before it answered ({code})")]
    Trapped {
        /// Which trap, as a stable word.
        code: &'static str,
    },
    /// It used up its time on the processor.
    #[error("the plugin used up its CPU time")]
    CpuExhausted,
    /// It did not answer in time, computing or waiting.
    #[error("the plugin did not answer before its deadline")]
    DeadlinePassed,
    /// It asked for more memory than a call may have.
    #[error("the plugin used up its memory")]
    MemoryExhausted,
    /// It asked for larger tables than a call may have.
    #[error("the plugin used up its table space")]
    TableExhausted,
    /// It called itself too deeply.
    #[error("the plugin used up its stack")]
    StackOverflow,
    /// It handed over more than the host takes.
    #[error("the plugin handed over more than the host takes")]
    AnswerTooLarge,
    /// It called the host too often.
    #[error("the plugin called the host too often")]
    HostCallsExhausted,
    /// It ended its own process.
    #[error("the plugin ended itself before it answered")]
    Exited,
    /// What it handed over breaks the rules of the component model, or it asked for more handles
    /// than the host keeps for it.
    #[error("what the plugin handed over cannot be read")]
    BadAnswer(#[source] Cause),
    /// No seat became free in time.
    #[error("too many plugin calls at once")]
    Busy,
    /// The same, and the seats that are taken are those of the caller's own share.
    #[error("too many plugin calls at once of the same tenant")]
    ShareBusy,
    /// The engine could not make an instance.
    #[error("the plugin could not be started")]
    Host(#[source] Cause),
}

impl CallFailure {
    /// An error while the instance was made.
    pub(crate) fn at_start(error: wasmtime::Error) -> Self {
        Self::known(&error).unwrap_or_else(|| Self::Host(error.into_boxed_dyn_error()))
    }

    /// An error while the guest ran.
    pub(crate) fn at_call(error: wasmtime::Error) -> Self {
        Self::known(&error).unwrap_or_else(|| Self::BadAnswer(error.into_boxed_dyn_error()))
    }

    fn known(error: &wasmtime::Error) -> Option<Self> {
        if let Some(overrun) = error.downcast_ref::<Overrun>() {
            return Some(match overrun {
                Overrun::Cpu => Self::CpuExhausted,
                Overrun::Memory => Self::MemoryExhausted,
                Overrun::Tables => Self::TableExhausted,
                Overrun::HostCalls => Self::HostCallsExhausted,
            });
        }
        if let Some(trap) = error.downcast_ref::<Trap>() {
            return Some(match trap {
                Trap::StackOverflow => Self::StackOverflow,
                other => Self::Trapped { code: trap_code(*other) },
            });
        }
        if error.is::<I32Exit>() {
            return Some(Self::Exited);
        }
        if error.is::<PoolConcurrencyLimitError>() {
            return Some(Self::Busy);
        }
        is_hostcall_fuel(error).then_some(Self::AnswerTooLarge)
    }

    /// Whether the guest has no part in it: the same call may succeed at another time.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Busy | Self::ShareBusy | Self::Host(_))
    }

    /// The word for it in a run's journal.
    pub fn step_failure(&self) -> StepFailure {
        match self {
            Self::Trapped { .. } | Self::StackOverflow | Self::Exited | Self::BadAnswer(_) => {
                StepFailure::PluginTrapped
            }
            Self::CpuExhausted | Self::DeadlinePassed => StepFailure::PluginTimedOut,
            Self::MemoryExhausted | Self::TableExhausted => StepFailure::PluginOutOfMemory,
            Self::AnswerTooLarge | Self::HostCallsExhausted => StepFailure::PluginOverLimit,
            Self::Busy | Self::ShareBusy | Self::Host(_) => StepFailure::HostFailed,
        }
    }
}

/// The engine's error for this has no public type. Its name is compared, and a test drives a
/// guest into it; should the name change, the failure is a [`CallFailure::BadAnswer`].
fn is_hostcall_fuel(error: &wasmtime::Error) -> bool {
    format!("{:?}", error.root_cause()) == "HostcallFuelExhausted"
}

fn trap_code(trap: Trap) -> &'static str {
    match trap {
        Trap::UnreachableCodeReached => "unreachable",
        Trap::MemoryOutOfBounds | Trap::HeapMisaligned => "memory_out_of_bounds",
        Trap::TableOutOfBounds => "table_out_of_bounds",
        Trap::IndirectCallToNull | Trap::BadSignature => "bad_indirect_call",
        Trap::IntegerOverflow | Trap::IntegerDivisionByZero | Trap::BadConversionToInteger => {
            "arithmetic"
        }
        _ => "trap",
    }
}

/// Why `build` gives no graph. The texts are the guest's, cut to the limit.
#[derive(Debug, thiserror::Error)]
pub enum BuildFailure {
    /// The factory refuses this caller; the caller reads the text.
    #[error("the factory refuses the caller")]
    Permission(String),
    /// The factory cannot use the input; the caller reads the text.
    #[error("the factory refuses the input")]
    Validation(String),
    /// Anything else the factory reports; only the operator reads the text.
    #[error("the factory reported an error")]
    Other(String),
    /// It did not answer.
    #[error(transparent)]
    Call(#[from] CallFailure),
}

/// Why a function step gives no output.
#[derive(Debug, thiserror::Error)]
pub enum FunctionFailure {
    /// The function reported an error; only the operator reads the text, cut to the limit.
    #[error("the function reported an error")]
    Reported(String),
    /// It did not answer.
    #[error(transparent)]
    Call(#[from] CallFailure),
}

impl FunctionFailure {
    /// The word for it in a run's journal.
    pub fn step_failure(&self) -> StepFailure {
        match self {
            Self::Reported(_) => StepFailure::FunctionFailed,
            Self::Call(failure) => failure.step_failure(),
        }
    }
}
