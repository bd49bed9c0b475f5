//! Extras: what a client may send along with the message of a run. None of it is trusted.

use std::sync::Arc;

use serde_json::{Map, Value};

/// What came with the message. Pinned in the run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extras {
    /// For function steps; any JSON.
    pub dependencies: Option<Value>,
    /// Whether agents are told of the dependencies, too.
    pub tells_dependencies: bool,
    /// Whether agents are told of the session's state.
    pub tells_state: bool,
    /// Whether the message is a JSON object that its workflow's schema was read into.
    pub is_object: bool,
    /// Shown with the run.
    pub metadata: Map<String, Value>,
    /// For function steps.
    pub additional_data: Option<String>,
    /// Pictures, sounds, films and files.
    pub media: Arc<[Media]>,
}

/// What a piece of media is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A sound.
    Audio,
    /// A film.
    Video,
    /// Anything else.
    File,
}

/// One picture, sound, film or file. It has content, or a place where content is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// As the client calls it, or made by the host.
    pub id: String,
    /// What it is.
    pub kind: MediaKind,
    /// The bytes.
    pub content: Option<Vec<u8>>,
    /// Where the bytes are. The host does not fetch them.
    pub url: Option<String>,
    /// Such as `image/png`.
    pub mime_type: Option<String>,
    /// Such as `png`.
    pub format: Option<String>,
    /// As the client calls it.
    pub filename: Option<String>,
}
