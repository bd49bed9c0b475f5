//! Step graphs: as drawn by a plugin, and as checked by the host.

mod check;
mod draft;

pub use check::{GraphFault, GraphLimits, MAX_FAULTS, StepGraph};
pub use draft::{
    Executor, FunctionCall, GraphDraft, NodeDraft, OnFailure, Parameter, Query, Showing, Step,
    StepOptions,
};
