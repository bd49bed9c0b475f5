//! The fields of a run's form beside the message: state, dependencies, metadata and media, read
//! as Agno reads them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};
use stepmill_core::extras::{Extras, Media, MediaKind};
use stepmill_core::json;
use uuid::Uuid;

use super::error::ApiError;
use super::form::Form;

/// The most pieces of media in one field. The form's size bounds their bytes.
const MAX_MEDIA: usize = 100;

/// The key that says which version of a workflow was asked for; the host's own.
const VERSION: &str = "agno_component_version";

/// Keys of metadata that only the host writes, if anybody does: the two others say how runs of
/// AgentOS started each other.
const HOST_KEYS: [&str; 3] = [VERSION, "agno_dispatch_chain", "agno_dispatch_depth"];

/// What Agno takes for a file. Of a text the content is the text itself, of others base64.
const FILE_TYPES: [&str; 21] = [
    "application/pdf",
    "application/json",
    "application/x-javascript",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/msword",
    "application/vnd.ms-powerpoint",
    "application/vnd.ms-excel",
    "application/vnd.ms-outlook",
    "application/zip",
    "message/rfc822",
    "text/javascript",
    "application/x-python",
    "text/x-python",
    "text/plain",
    "text/html",
    "text/css",
    "text/markdown",
    "text/csv",
    "text/xml",
];

/// What came with the message.
pub(super) struct Sent {
    /// For the run.
    pub extras: Extras,
    /// Laid over the session's state.
    pub session_state: Option<Map<String, Value>>,
    /// Whether a stream leaves out everything but its content.
    pub content_only: bool,
}

/// Reads the fields. `version` is what the client asked for; code has none, so it is only noted.
///
/// # Errors
/// A field that can be read and is not what it has to be. What cannot be read is ignored.
pub(super) fn read(form: &mut Form, version: Option<Number>) -> Result<Sent, ApiError> {
    let session_state = object(form, "session_state")?;
    let dependencies = match value(form, "dependencies")? {
        None | Some(Value::Null) => None,
        Some(it @ (Value::Object(_) | Value::Array(_))) => Some(it),
        Some(_) => return Err(no_object("dependencies")),
    };
    if form.is_upload("metadata") {
        return Err(no_object("metadata"));
    }
    let mut metadata = object(form, "metadata")?.unwrap_or_default();
    clients_own(&mut metadata);
    if let Some(version) = version {
        metadata.insert(VERSION.into(), Value::Number(version));
    }
    let mut media = Vec::new();
    for (field, kind) in [
        ("images", MediaKind::Image),
        ("audio", MediaKind::Audio),
        ("videos", MediaKind::Video),
        ("input_files", MediaKind::File),
    ] {
        let text = form.given(field);
        if text.is_some() || form.is_upload(field) {
            media.extend(items(field, kind, &text.unwrap_or_default())?);
        }
    }
    if form.take("output_schema").is_some() {
        return Err(ApiError::Unsupported("output_schema is not supported by this host"));
    }
    let additional_data = form.given("additional_data");
    let content_only = form.given("stream_events").is_some_and(|it| !is_something(&it));
    let mut asks = |field| form.given(field).is_some_and(|it| is_something(&it));
    let extras = Extras {
        dependencies,
        tells_dependencies: asks("add_dependencies_to_context"),
        tells_state: asks("add_session_state_to_context"),
        is_object: false,
        metadata,
        additional_data,
        media: media.into(),
    };
    Ok(Sent { extras, session_state, content_only })
}

/// Whether a field is what Python takes for true: any text but a few words.
fn is_something(text: &str) -> bool {
    !["", "false", "null", "none"].contains(&text.to_ascii_lowercase().as_str())
}

/// Takes away what a client may not say.
pub(super) fn clients_own(metadata: &mut Map<String, Value>) {
    for key in HOST_KEYS {
        metadata.shift_remove(key);
    }
}

/// A field as JSON; `None` if it is absent, says that it is nothing, or is no JSON.
fn value(form: &mut Form, field: &'static str) -> Result<Option<Value>, ApiError> {
    let Some(text) = form.take(field) else { return Ok(None) };
    let word = text.trim();
    if word.is_empty() || word.eq_ignore_ascii_case("none") || word.eq_ignore_ascii_case("null") {
        return Ok(None);
    }
    match serde_json::from_str(&text) {
        Ok(value) if json::is_deeper(&value, json::MAX_DEPTH) => Err(no_object(field)),
        Ok(value) => Ok(Some(value)),
        Err(_) => {
            tracing::debug!(field, "a form field that is no JSON is ignored");
            Ok(None)
        }
    }
}

fn object(form: &mut Form, field: &'static str) -> Result<Option<Map<String, Value>>, ApiError> {
    match value(form, field)? {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(no_object(field)),
    }
}

fn no_object(field: &str) -> ApiError {
    ApiError::bad_request(format!("Invalid {field} parameter: expected a JSON object"))
}

fn items(field: &str, kind: MediaKind, text: &str) -> Result<Vec<Media>, ApiError> {
    let no_list =
        || ApiError::unusable(format!("Invalid {field}: expected a JSON array of objects"));
    let broken =
        || ApiError::unusable(format!("Invalid {field}: could not reconstruct every media item"));
    let items: Vec<Map<String, Value>> = serde_json::from_str(text).map_err(|_| no_list())?;
    if MAX_MEDIA < items.len() {
        let text = format!("Invalid {field}: at most {MAX_MEDIA} items are allowed");
        return Err(ApiError::unusable(text));
    }
    items.iter().map(|it| item(kind, it).ok_or_else(broken)).collect()
}

/// One piece of media. A path on the host's disk is no place where a client's media are.
fn item(kind: MediaKind, item: &Map<String, Value>) -> Option<Media> {
    let text = |name: &str| match item.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(text)) => Some(Some(text.clone())),
        Some(_) => None,
    };
    if item.get("filepath").is_some_and(|it| !it.is_null()) {
        return None;
    }
    let (url, mime_type) = (text("url")?.filter(|it| !it.is_empty()), text("mime_type")?);
    let is_file = kind == MediaKind::File;
    if is_file && mime_type.as_deref().is_some_and(|it| !FILE_TYPES.contains(&it)) {
        return None;
    }
    let is_text = is_file && mime_type.as_deref().is_some_and(|it| it.starts_with("text/"));
    let content = match text("content")?.filter(|it| !it.is_empty()) {
        Some(text) if is_text => Some(text.into_bytes()),
        Some(text) => Some(STANDARD.decode(text.trim()).ok()?),
        None => None,
    };
    // An id alone would name what lies at the operator's provider, whoever put it there.
    if content.is_none() && url.is_none() {
        return None;
    }
    Some(Media {
        id: text("id")?.unwrap_or_else(|| Uuid::new_v4().to_string()),
        kind,
        url: url.filter(|_| is_file || content.is_none()),
        content,
        mime_type,
        format: text("format")?,
        filename: text("filename")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(fields: &[(&str, &str)]) -> Result<Sent, String> {
        let mut form = Form::of(fields);
        read(&mut form, None).map_err(|it| match it {
            ApiError::Body(status, text) => format!("{} {text}", status.as_u16()),
            other => format!("{other:?}"),
        })
    }

    #[test]
    fn what_is_no_json_is_ignored_and_what_is_of_another_kind_refused() {
        for text in ["{bad", "null", "None", "", " ", "{\"a\": NaN}"] {
            let sent = sent(&[("session_state", text), ("dependencies", text), ("metadata", text)]);
            let sent = sent.unwrap();
            assert_eq!((sent.session_state, sent.extras), (None, Extras::default()), "{text}");
        }
        for field in ["session_state", "metadata", "dependencies"] {
            for text in ["true", "3", "\"x\""] {
                let expected = format!("400 Invalid {field} parameter: expected a JSON object");
                assert_eq!(sent(&[(field, text)]).err().unwrap(), expected);
            }
        }
        assert!(sent(&[("session_state", "[1]")]).is_err());
        assert_eq!(
            sent(&[("dependencies", "[1]")]).unwrap().extras.dependencies,
            Some(serde_json::json!([1]))
        );
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(70), "]".repeat(70));
        assert!(sent(&[("metadata", &deep)]).is_err());
    }

    #[test]
    fn the_hosts_own_key_is_the_hosts() {
        let metadata = r#"{"m": 1, "agno_component_version": 9, "agno_dispatch_depth": 1}"#;
        let sent = read(&mut Form::of(&[("metadata", metadata)]), Some(7.into())).unwrap();
        assert_eq!(
            Value::Object(sent.extras.metadata),
            serde_json::json!({ "m": 1, "agno_component_version": 7 })
        );
    }

    #[test]
    fn a_stream_has_only_content_when_its_events_are_nothing() {
        for (word, expected) in
            [("", true), ("False", true), ("null", true), ("NONE", true), ("0", false)]
        {
            assert_eq!(sent(&[("stream_events", word)]).unwrap().content_only, expected, "{word}");
        }
        assert!(!sent(&[]).unwrap().content_only);
    }

    #[test]
    fn agents_are_told_what_any_text_but_a_few_words_asks_for() {
        for (word, expected) in [("true", true), ("0", true), ("", false), ("False", false)] {
            let fields =
                [("add_session_state_to_context", word), ("add_dependencies_to_context", word)];
            let extras = sent(&fields).unwrap().extras;
            assert_eq!((extras.tells_state, extras.tells_dependencies), (expected, expected));
        }
    }

    #[test]
    fn media_have_content_or_a_place() {
        let media =
            |field: &str, text: &str| sent(&[(field, text)]).map(|it| it.extras.media.to_vec());
        let image =
            media("images", r#"[{"content": "AP8=", "url": "https://a", "format": "png"}]"#);
        let image = image.unwrap().pop().unwrap();
        assert_eq!((image.content, image.url), (Some(vec![0, 255]), None));
        let text =
            r#"[{"content": "plain", "mime_type": "text/plain", "url": "https://a", "id": "f"}]"#;
        let file = media("input_files", text).unwrap().pop().unwrap();
        assert_eq!(file.content.as_deref(), Some(&b"plain"[..]));
        assert_eq!((file.url.as_deref(), file.id.as_str()), (Some("https://a"), "f"));
        assert_eq!(media("videos", "[]"), Ok(vec![]));
        for text in ["", "null", "{}", "[1]", "{bad"] {
            let expected = "422 Invalid audio: expected a JSON array of objects";
            assert_eq!(media("audio", text).unwrap_err(), expected, "{text}");
        }
        for text in [
            r#"[{}]"#,
            r#"[{"id": "a"}]"#,
            r#"[{"url": 1}]"#,
            r#"[{"content": "no base64"}]"#,
            r#"[{"filepath": "/etc/hostname"}]"#,
            r#"[{"url": "https://a", "filepath": "/etc/hostname"}]"#,
        ] {
            let expected = "422 Invalid images: could not reconstruct every media item";
            assert_eq!(media("images", text).unwrap_err(), expected, "{text}");
        }
        assert!(
            media("input_files", r#"[{"url": "https://a", "mime_type": "image/png"}]"#).is_err()
        );
        let many = format!("[{}]", vec![r#"{"url":"a"}"#; MAX_MEDIA + 1].join(","));
        assert!(media("images", &many).unwrap_err().contains("at most 100"));
    }
}
