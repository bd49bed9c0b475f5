//! Decides what a run does next, from what its journal says. No clock, no network, no
//! randomness: replaying a journal gives the same decisions.

mod machine;
mod prompt;
mod python;
mod record;

pub use machine::{Action, Machine, Next};
pub use prompt::{Prompt, placed};
pub use record::{Ending, ModelCall, RunRecord, StepRecord, StepState};
