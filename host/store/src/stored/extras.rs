//! The stored form of what a client sent along with the message, and of what the run found in its
//! session: the state, and what earlier runs came to.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stepmill_core::extras::{Extras, Media, MediaKind};
use stepmill_core::run::PastRun;

use super::{V1, check_depth, parse, text};
use crate::error::StoreError;

const WHAT: &str = "what came with a message";

#[derive(Serialize, Deserialize)]
pub(super) struct ExtrasForm<'a> {
    v: V1,
    session_state: Cow<'a, Map<String, Value>>,
    dependencies: Option<Cow<'a, Value>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    tells_dependencies: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    tells_state: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_object: bool,
    metadata: Cow<'a, Map<String, Value>>,
    additional_data: Option<Cow<'a, str>>,
    media: Vec<MediaForm<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    history: Vec<PastRunForm<'a>>,
}

#[derive(Serialize, Deserialize)]
struct PastRunForm<'a> {
    input: Cow<'a, str>,
    content: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct MediaForm<'a> {
    id: Cow<'a, str>,
    kind: KindForm,
    /// Base64.
    content: Option<Cow<'a, str>>,
    url: Option<Cow<'a, str>>,
    mime_type: Option<Cow<'a, str>>,
    format: Option<Cow<'a, str>>,
    filename: Option<Cow<'a, str>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KindForm {
    Image,
    Audio,
    Video,
    File,
}

/// What was read back.
pub(crate) type Found = (Extras, Map<String, Value>, Arc<[PastRun]>);

/// `None` if nothing was sent along, and the session has no state and no history: the common case.
pub(crate) fn write(
    extras: &Extras,
    session_state: &Map<String, Value>,
    history: &[PastRun],
) -> Result<Option<String>, StoreError> {
    if *extras == Extras::default() && session_state.is_empty() && history.is_empty() {
        return Ok(None);
    }
    check_depth(Some(session_state))?;
    check_depth(Some(&extras.metadata))?;
    check_depth(extras.dependencies.as_ref().and_then(Value::as_object))?;
    Ok(Some(text(&form(extras, session_state, history))))
}

pub(super) fn form<'a>(
    extras: &'a Extras,
    session_state: &'a Map<String, Value>,
    history: &'a [PastRun],
) -> ExtrasForm<'a> {
    let past = |it: &'a PastRun| PastRunForm {
        input: it.input.as_str().into(),
        content: it.content.as_str().into(),
    };
    ExtrasForm {
        v: V1,
        session_state: Cow::Borrowed(session_state),
        dependencies: extras.dependencies.as_ref().map(Cow::Borrowed),
        tells_dependencies: extras.tells_dependencies,
        tells_state: extras.tells_state,
        is_object: extras.is_object,
        metadata: Cow::Borrowed(&extras.metadata),
        additional_data: extras.additional_data.as_deref().map(Cow::from),
        media: extras.media.iter().map(media_form).collect(),
        history: history.iter().map(past).collect(),
    }
}

fn media_form(media: &Media) -> MediaForm<'_> {
    MediaForm {
        id: media.id.as_str().into(),
        kind: match media.kind {
            MediaKind::Image => KindForm::Image,
            MediaKind::Audio => KindForm::Audio,
            MediaKind::Video => KindForm::Video,
            MediaKind::File => KindForm::File,
        },
        content: media.content.as_ref().map(|it| STANDARD.encode(it).into()),
        url: media.url.as_deref().map(Cow::from),
        mime_type: media.mime_type.as_deref().map(Cow::from),
        format: media.format.as_deref().map(Cow::from),
        filename: media.filename.as_deref().map(Cow::from),
    }
}

pub(crate) fn read(text: Option<&str>) -> Result<Found, StoreError> {
    let Some(text) = text else { return Ok((Extras::default(), Map::new(), Arc::from([]))) };
    let form: ExtrasForm<'static> = parse(WHAT, text)?;
    let extras = Extras {
        dependencies: form.dependencies.map(Cow::into_owned),
        tells_dependencies: form.tells_dependencies,
        tells_state: form.tells_state,
        is_object: form.is_object,
        metadata: form.metadata.into_owned(),
        additional_data: form.additional_data.map(Cow::into_owned),
        media: form.media.into_iter().map(media).collect::<Result<Vec<_>, _>>()?.into(),
    };
    let past = |it: PastRunForm<'_>| PastRun {
        input: it.input.into_owned(),
        content: it.content.into_owned(),
    };
    let history = form.history.into_iter().map(past).collect();
    Ok((extras, form.session_state.into_owned(), history))
}

fn media(form: MediaForm<'_>) -> Result<Media, StoreError> {
    let content = form.content.map(|it| STANDARD.decode(it.as_bytes())).transpose();
    Ok(Media {
        id: form.id.into_owned(),
        kind: match form.kind {
            KindForm::Image => MediaKind::Image,
            KindForm::Audio => MediaKind::Audio,
            KindForm::Video => MediaKind::Video,
            KindForm::File => MediaKind::File,
        },
        content: content.map_err(|_| StoreError::unreadable(format!("{WHAT}: media")))?,
        url: form.url.map(Cow::into_owned),
        mime_type: form.mime_type.map(Cow::into_owned),
        format: form.format.map(Cow::into_owned),
        filename: form.filename.map(Cow::into_owned),
    })
}
