//! Media as a run shows them: those that came with its message.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use stepmill_core::extras::{Media, MediaKind};
use stepmill_core::run::RunPin;
use utoipa::ToSchema;

/// The media of a run, by kind. A run that is read back is silent where there are none.
#[derive(Serialize, ToSchema)]
pub(super) struct MediaLists<'a> {
    #[schema(required = false)]
    images: Vec<MediaView<'a>>,
    #[schema(required = false)]
    videos: Vec<MediaView<'a>>,
    #[schema(required = false)]
    audio: Vec<MediaView<'a>>,
    #[schema(required = false)]
    files: Vec<MediaView<'a>>,
}

impl<'a> MediaLists<'a> {
    /// Those of a run.
    pub(super) fn of(pin: &'a RunPin) -> Self {
        let of = |kind| pin.extras.media.iter().filter(move |it| it.kind == kind);
        let views = |kind| of(kind).map(MediaView::of).collect();
        Self {
            images: views(MediaKind::Image),
            videos: views(MediaKind::Video),
            audio: views(MediaKind::Audio),
            files: views(MediaKind::File),
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        let Self { images, videos, audio, files } = self;
        [images, videos, audio, files].into_iter().all(Vec::is_empty)
    }
}

/// A picture, sound, film or file.
#[derive(Serialize, ToSchema)]
struct MediaView<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
}

impl<'a> MediaView<'a> {
    fn of(media: &'a Media) -> Self {
        let is_text = media.kind == MediaKind::File
            && media.mime_type.as_deref().is_some_and(|it| it.starts_with("text/"));
        let text = |bytes: &Vec<u8>| match is_text {
            true => String::from_utf8_lossy(bytes).into_owned(),
            false => STANDARD.encode(bytes),
        };
        Self {
            id: &media.id,
            url: media.url.as_deref(),
            format: media.format.as_deref(),
            mime_type: media.mime_type.as_deref(),
            filename: media.filename.as_deref(),
            content: media.content.as_ref().map(text),
        }
    }
}
