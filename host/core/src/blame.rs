//! Whose doing a failure is.

/// Who has to change something so that it does not happen again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Who sent the request.
    Caller,
    /// Who wrote the plugin.
    Plugin,
    /// A model provider or another service the host asked.
    Upstream,
    /// Who operates the host.
    Host,
}
