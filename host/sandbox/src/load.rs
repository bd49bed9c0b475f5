//! For whom a component is loaded, why it cannot be, and why the sandbox cannot be opened.

use std::sync::Arc;

use crate::failure::{CallFailure, Cause};
use crate::worker::WorkerFault;

/// For whom a component is loaded.
#[derive(Debug, Clone)]
pub struct LoadSite {
    pub(crate) share: Arc<str>,
    /// Whether somebody may send the same again and again, to no end but what it costs.
    pub(crate) is_upload: bool,
}

impl LoadSite {
    /// A component that was taken in before. Who loads under one share waits for its own.
    pub fn kept(share: impl Into<Arc<str>>) -> Self {
        Self { share: share.into(), is_upload: false }
    }

    /// A component that somebody sends. What took too much to compile is refused again at once
    /// when the same share sends it again soon.
    pub fn upload(share: impl Into<Arc<str>>) -> Self {
        Self { share: share.into(), is_upload: true }
    }
}

/// The sandbox cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The engine refuses the settings, or the address space for its pool.
    #[error("the engine cannot be set up")]
    Engine(#[source] Cause),
    /// The thread that counts time cannot be started.
    #[error("the sandbox's clock thread cannot be started")]
    Ticker(#[source] std::io::Error),
    /// The threads for calls that compute for long cannot be started.
    #[error("the sandbox's slow threads cannot be started")]
    SlowLane(#[source] std::io::Error),
    /// The folder for compiled code cannot be made.
    #[error("the folder for compiled plugins cannot be used")]
    Cache(#[source] std::io::Error),
}

/// A component cannot be loaded. Names in here are the component's own, cut to 200 bytes.
#[derive(Debug, thiserror::Error)]
pub enum LoadFailure {
    /// The file is over the limit.
    #[error("the component has {found} bytes; at most {limit} are allowed")]
    TooLarge {
        /// Its size, in bytes.
        found: usize,
        /// What is allowed, in bytes.
        limit: usize,
    },
    /// The bytes are a core module, or no WebAssembly at all.
    #[error("the file is not a WebAssembly component")]
    NotAComponent,
    /// The component is broken, or uses what this host does not offer.
    #[error("the component is not valid on this host")]
    Invalid(#[source] Cause),
    /// Compiling it would cost too much.
    #[error("the component has {found} {what}; at most {limit} are allowed")]
    TooComplex {
        /// Of what it has too much, in words.
        what: &'static str,
        /// How much it has, as far as was counted.
        found: u64,
        /// What is allowed.
        limit: u64,
    },
    /// It asks for something no plugin gets.
    #[error("the component imports `{name}`, which this host does not offer")]
    UnknownImport {
        /// The import's name.
        name: String,
    },
    /// It does not offer what every plugin must.
    #[error("the component does not export `{name}`")]
    MissingExport {
        /// The export's name.
        name: String,
    },
    /// An import has the right name and the wrong shape.
    #[error("an import of the component has another type than the contract")]
    WrongImportType(#[source] Cause),
    /// An export has the right name and the wrong shape.
    #[error("an export of the component has another type than the contract")]
    WrongExportType(#[source] Cause),
    /// Compiling took longer than allowed, on the clock or on the processor.
    #[error("the component took too long to compile")]
    CompileTimedOut,
    /// Compiling took more memory than allowed.
    #[error("the component needs more memory to compile than the {limit} bytes that are allowed")]
    TooLargeToCompile {
        /// What is allowed, in bytes.
        limit: u64,
    },
    /// The host has a fault, or somebody ended the worker.
    #[error("the component could not be compiled now")]
    Worker(#[from] WorkerFault),
    /// Other components were being compiled all the time.
    #[error("too many components are being loaded")]
    Busy,
    /// `describe` gave no answer.
    #[error("the plugin could not be asked who it is")]
    Describe(#[source] CallFailure),
    /// `describe` gave an answer that cannot be used.
    #[error("the plugin's description: {place} {rule}")]
    BadDescription {
        /// Which part of it.
        place: String,
        /// What it must be.
        rule: String,
    },
    /// The host broke off the work, as it does when it shuts down.
    #[error("loading was broken off")]
    Aborted,
}

impl LoadFailure {
    /// Whether the component has no part in it: the same bytes may load at another time.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Busy | Self::Aborted | Self::Worker(_) => true,
            Self::Describe(failure) => failure.is_passing(),
            _ => false,
        }
    }
}
