//! Media in the client crate's words. What a protocol has no words for is its refusal.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rig_core::completion::message::{
    Audio, AudioMediaType, Document, DocumentData, DocumentMediaType, DocumentSourceKind, Image,
    ImageMediaType, MimeType, Text, UserContent, Video, VideoMediaType,
};
use stepmill_core::call::ModelRequest;
use stepmill_core::extras::{Media, MediaKind};

/// What came with the message, and behind it the message, which is about it.
pub(super) fn contents(request: &ModelRequest) -> Vec<UserContent> {
    let text = UserContent::Text(Text::new(request.message.as_str()));
    request.media.iter().map(content).chain([text]).collect()
}

fn content(media: &Media) -> UserContent {
    match media.kind {
        MediaKind::Image => UserContent::Image(Image {
            data: source(media),
            media_type: kind(media).or_else(|| ImageMediaType::sniff(media.content.as_deref()?)),
            ..Image::default()
        }),
        MediaKind::Audio => UserContent::Audio(Audio {
            data: source(media),
            media_type: kind::<AudioMediaType>(media),
        }),
        MediaKind::Video => UserContent::Video(Video {
            data: source(media),
            media_type: kind::<VideoMediaType>(media),
            ..Video::default()
        }),
        MediaKind::File => UserContent::Document(Document {
            data: document(media),
            media_type: kind::<DocumentMediaType>(media),
            ..Document::default()
        }),
    }
}

fn source(media: &Media) -> DocumentSourceKind {
    match (&media.content, &media.url) {
        (Some(bytes), _) => DocumentSourceKind::Base64(STANDARD.encode(bytes)),
        (None, Some(url)) => DocumentSourceKind::Url(url.clone()),
        (None, None) => DocumentSourceKind::Unknown,
    }
}

fn document(media: &Media) -> DocumentData {
    let is_text = media.mime_type.as_deref().is_some_and(|it| it.starts_with("text/"));
    match &media.content {
        Some(bytes) if is_text => DocumentData::Text(String::from_utf8_lossy(bytes).into_owned()),
        _ => DocumentData::File(source(media)),
    }
}

/// What the client says it is.
fn kind<T: MimeType>(media: &Media) -> Option<T> {
    let group = match media.kind {
        MediaKind::Image => "image",
        MediaKind::Audio => "audio",
        MediaKind::Video => "video",
        MediaKind::File => "application",
    };
    let format = match media.format.as_deref() {
        Some("jpg") => Some("jpeg"),
        format => format,
    };
    let of_format = || T::from_mime_type(&format!("{group}/{}", format?));
    media.mime_type.as_deref().and_then(T::from_mime_type).or_else(of_format)
}
