//! The run a function step belongs to.

use serde_json::Value;

use crate::JsonObject;
use crate::wit::stepmill::plugin::types as wire;

/// The run a function step belongs to, and what the client sent along with the message.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunContext {
    /// The run.
    pub run_id: String,
    /// The session the client named, or the one that was made for the run.
    pub session_id: String,
    /// Who the run belongs to.
    pub user_id: Option<String>,
    /// The session's state: what the session had, and over it what the client sent and earlier
    /// steps changed. [`StepOutput::session_state`](crate::StepOutput::session_state) changes it.
    pub session_state: JsonObject,
    /// As the client sent it.
    pub dependencies: Option<Value>,
    /// As the client sent it.
    pub metadata: JsonObject,
    /// As the client sent it.
    pub additional_data: Option<String>,
    /// Pictures, sounds, films and files, as the client sent them.
    pub media: Vec<Media>,
}

impl RunContext {
    /// The media of one kind.
    pub fn media_of(&self, kind: MediaKind) -> impl Iterator<Item = &Media> {
        self.media.iter().filter(move |it| it.kind == kind)
    }
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

/// A picture, sound, film or file. Written by the client: neither the type nor the content is
/// checked. It has content, or a place where content is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// What it is.
    pub kind: MediaKind,
    /// The bytes.
    pub content: Option<Vec<u8>>,
    /// Where the bytes are. Nobody has fetched them.
    pub url: Option<String>,
    /// Such as `image/png`.
    pub mime_type: Option<String>,
    /// As the client calls it.
    pub filename: Option<String>,
}

/// The host sends objects; anything else would be the host's fault, and reads as none.
fn object(text: &str) -> JsonObject {
    serde_json::from_str(text).unwrap_or_default()
}

impl From<wire::RunContext> for RunContext {
    fn from(run: wire::RunContext) -> Self {
        Self {
            run_id: run.run_id,
            session_id: run.session_id,
            user_id: run.user_id,
            session_state: object(&run.session_state),
            dependencies: run.dependencies.and_then(|it| serde_json::from_str(&it).ok()),
            metadata: object(&run.metadata),
            additional_data: run.additional_data,
            media: run.media.into_iter().map(Media::from).collect(),
        }
    }
}

impl From<wire::Media> for Media {
    fn from(media: wire::Media) -> Self {
        Self {
            kind: match media.kind {
                wire::MediaKind::Image => MediaKind::Image,
                wire::MediaKind::Audio => MediaKind::Audio,
                wire::MediaKind::Video => MediaKind::Video,
                wire::MediaKind::File => MediaKind::File,
            },
            content: media.content,
            url: media.url,
            mime_type: media.mime_type,
            filename: media.filename,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_host_sends_as_text_is_read() {
        let media = wire::Media {
            kind: wire::MediaKind::Image,
            content: Some(vec![1]),
            url: None,
            mime_type: Some("image/png".into()),
            filename: None,
        };
        let run = RunContext::from(wire::RunContext {
            run_id: "r".into(),
            session_id: "s".into(),
            user_id: None,
            session_state: r#"{"n":1}"#.into(),
            dependencies: Some("[1]".into()),
            metadata: "{}".into(),
            additional_data: None,
            media: vec![media],
        });
        assert_eq!(run.session_state.get("n"), Some(&json!(1)));
        assert_eq!(run.dependencies, Some(json!([1])));
        assert_eq!(run.media_of(MediaKind::Image).count(), 1);
        assert_eq!(run.media_of(MediaKind::File).count(), 0);
    }
}
