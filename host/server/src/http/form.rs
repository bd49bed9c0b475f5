//! Forms: what `POST …/runs` takes, in both encodings a browser or a script may send.

use std::collections::{HashMap, HashSet};
use std::future::Future;

use axum::body::Body;
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{StatusCode, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use serde_json::Number;

use super::door::Door;
use super::error::{ApiError, FieldFault};
use crate::settings::HttpSettings;

/// The most fields of a form, as Agno's. Its client sends about ten.
const MAX_FIELDS: usize = 1_000;

/// The most bytes of a field's name.
const MAX_NAME_BYTES: usize = 256;

/// How much of a body that is too large is read to its end before it is refused.
const FORGOTTEN_BYTES: usize = 64 * 1024 * 1024;

/// Text fields by name. Of a repeated field the last counts.
#[derive(Default)]
pub(super) struct Form {
    fields: HashMap<String, String>,
    /// Names of fields that were sent as files.
    uploads: HashSet<String>,
    /// How many came, also of the same name.
    count: usize,
}

impl Form {
    /// Reads a request's body. A body that is no form is a form without fields.
    ///
    /// # Errors
    /// Malformed, too large, or too slow.
    pub(super) async fn read(door: &Door, request: Request) -> Result<Self, ApiError> {
        in_time(door, Self::read_any(&door.settings, request)).await
    }

    pub(super) async fn read_any(
        settings: &HttpSettings,
        request: Request,
    ) -> Result<Self, ApiError> {
        let (mut parts, stream) = request.into_parts();
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
        let kind = kind.unwrap_or_default().trim_start().to_ascii_lowercase();
        let body = body(stream, settings.form_bytes).await?;
        if kind.starts_with("multipart/form-data") {
            parts.headers.remove(header::CONTENT_LENGTH);
            return Self::read_multipart(settings, Request::from_parts(parts, body.into())).await;
        }
        if kind.starts_with("application/x-www-form-urlencoded") {
            return Self::read_urlencoded(settings, &body);
        }
        Ok(Self::default())
    }

    async fn read_multipart(settings: &HttpSettings, request: Request) -> Result<Self, ApiError> {
        let missing = |_| ApiError::bad_request("Missing boundary in multipart.");
        let mut parts = Multipart::from_request(request, &()).await.map_err(missing)?;
        let mut form = Self::default();
        while let Some(part) = parts.next_field().await.map_err(|_| malformed())? {
            // An upload is no text field.
            let is_upload = part.file_name().is_some();
            let Some(name) = part.name().map(str::to_owned) else {
                let text = "The Content-Disposition header field \"name\" must be provided.";
                return Err(ApiError::bad_request(text));
            };
            if is_upload {
                form.count(&name)?;
                form.uploads.insert(name);
                continue;
            }
            let value = part.bytes().await.map_err(|_| malformed())?;
            if settings.field_bytes < value.len() {
                return Err(oversized("Part", settings.field_bytes));
            }
            form.insert(name, String::from_utf8_lossy(&value).into_owned())?;
        }
        Ok(form)
    }

    fn read_urlencoded(settings: &HttpSettings, body: &[u8]) -> Result<Self, ApiError> {
        let mut form = Self::default();
        // As they came: name and value together, still encoded.
        if body.split(|it| *it == b'&').any(|it| settings.field_bytes + 1 < it.len()) {
            return Err(oversized("Field", settings.field_bytes));
        }
        for (name, value) in form_urlencoded::parse(body) {
            form.insert(name.into_owned(), value.into_owned())?;
        }
        Ok(form)
    }

    fn insert(&mut self, name: String, value: String) -> Result<(), ApiError> {
        self.count(&name)?;
        self.fields.insert(name, value);
        Ok(())
    }

    /// Takes note of a field, unless it is one too many.
    fn count(&mut self, name: &str) -> Result<(), ApiError> {
        if MAX_NAME_BYTES < name.len() {
            let text = format!("A field's name must not be longer than {MAX_NAME_BYTES} bytes.");
            return Err(ApiError::Body(StatusCode::BAD_REQUEST, text));
        }
        self.count += 1;
        if MAX_FIELDS < self.count {
            let text = format!("Too many fields. Maximum number of fields is {MAX_FIELDS}.");
            return Err(ApiError::Body(StatusCode::BAD_REQUEST, text));
        }
        Ok(())
    }

    /// A field with something in it.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.fields.remove(name).filter(|it| !it.is_empty())
    }

    /// A field, also an empty one.
    pub(super) fn given(&mut self, name: &str) -> Option<String> {
        self.fields.remove(name)
    }

    /// Whether a field was sent as a file.
    pub(super) fn is_upload(&self, name: &str) -> bool {
        self.uploads.contains(name)
    }

    /// Fields and names of files, in order of their names.
    #[cfg(feature = "fuzzing")]
    pub(super) fn said(&self) -> (Vec<(String, String)>, Vec<String>) {
        let mut fields: Vec<_> = self.fields.clone().into_iter().collect();
        let mut uploads: Vec<_> = self.uploads.iter().cloned().collect();
        fields.sort();
        uploads.sort();
        (fields, uploads)
    }

    #[cfg(test)]
    pub(super) fn of(fields: &[(&str, &str)]) -> Self {
        let fields = fields.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Self { fields: fields.collect(), ..Self::default() }
    }

    /// A yes-or-no field. Present and empty counts as the default.
    pub(super) fn take_bool(
        &mut self,
        field: &'static str,
        default: bool,
        faults: &mut Vec<FieldFault>,
    ) -> bool {
        if self.is_upload(field) {
            faults.push(FieldFault::no_boolean_type("body", field));
            return default;
        }
        let Some(input) = self.take(field) else { return default };
        boolean(&input).unwrap_or_else(|| {
            faults.push(FieldFault::no_boolean("body", field, input));
            default
        })
    }

    /// A text field; a file is none.
    pub(super) fn take_text(
        &mut self,
        field: &'static str,
        faults: &mut Vec<FieldFault>,
    ) -> Option<String> {
        if self.is_upload(field) {
            faults.push(FieldFault::no_text("body", field));
        }
        self.take(field)
    }

    /// A whole number, blanks around it and zeros behind its point notwithstanding.
    pub(super) fn take_integer(
        &mut self,
        field: &'static str,
        faults: &mut Vec<FieldFault>,
    ) -> Option<Number> {
        if self.is_upload(field) {
            faults.push(FieldFault::no_integer_type("body", field));
            return None;
        }
        let input = self.take(field)?;
        let number = integer(&input);
        if number.is_none() {
            faults.push(FieldFault::no_integer("body", field, input));
        }
        number
    }
}

/// Yes or no as FastAPI reads it.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" | "t" | "y" => Some(true),
        "false" | "0" | "no" | "off" | "f" | "n" => Some(false),
        _ => None,
    }
}

/// A whole number as FastAPI reads it. One beyond 64 bits is kept as nearly as JSON does.
pub(super) fn integer(text: &str) -> Option<Number> {
    let text = text.trim();
    // Digits may stand in groups, as in Python's own numbers: 1_000.
    let grouped = |it: &[u8]| it[1] != b'_' || (it[0].is_ascii_digit() && it[2].is_ascii_digit());
    let is_grouped = !text.starts_with('_') && !text.ends_with('_');
    let plain =
        (is_grouped && text.as_bytes().windows(3).all(grouped)).then(|| text.replace('_', ""));
    let text = plain.as_deref().unwrap_or(text);
    let whole = match text.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|it| it == b'0') => whole,
        _ => text,
    };
    if let Ok(number) = whole.parse::<i64>() {
        return Some(number.into());
    }
    let digits = whole.strip_prefix(['+', '-']).unwrap_or(whole);
    let is_whole = !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit());
    is_whole.then(|| whole.parse().ok().and_then(Number::from_f64)).flatten()
}

/// Reads a body, unless the client takes too long to send it.
pub(super) async fn in_time<T>(
    door: &Door,
    reading: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    let late =
        |_| ApiError::Body(StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time".into());
    tokio::time::timeout(door.body_timeout(), reading).await.map_err(late)?
}

/// A whole body within a limit. What is over it is read and forgotten up to [`FORGOTTEN_BYTES`],
/// because a client that is still sending does not hear the answer.
pub(super) async fn body(body: Body, limit: usize) -> Result<Bytes, ApiError> {
    let mut kept = BytesMut::new();
    let mut over = 0;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let broken = |_| ApiError::Body(StatusCode::BAD_REQUEST, "The body broke off.".into());
        let chunk = chunk.map_err(broken)?;
        if 0 < over || limit < kept.len() + chunk.len() {
            over += chunk.len();
            kept = BytesMut::new();
        } else {
            kept.extend_from_slice(&chunk);
        }
        if FORGOTTEN_BYTES < over {
            break;
        }
    }
    if 0 < over { Err(too_large()) } else { Ok(kept.freeze()) }
}

/// Reads a body that nobody wants as [`body`] reads one that is too large.
pub(super) async fn forgotten(door: &Door, stream: Body) {
    let _ = in_time(door, body(stream, 0)).await;
}

fn malformed() -> ApiError {
    ApiError::Body(StatusCode::BAD_REQUEST, "Invalid multipart data.".into())
}

fn too_large() -> ApiError {
    ApiError::Body(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large.".into())
}

fn oversized(what: &str, limit: usize) -> ApiError {
    let text = format!("{what} exceeded maximum size of {}KB.", limit / 1024);
    ApiError::Body(StatusCode::BAD_REQUEST, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_no_field() {
        let mut form = Form::default();
        form.uploads.extend(["stream", "version", "user_id"].map(str::to_owned));
        let mut faults = Vec::new();
        assert!(form.take_bool("stream", true, &mut faults));
        assert_eq!(form.take_integer("version", &mut faults), None);
        assert_eq!(form.take_text("user_id", &mut faults), None);
        let kinds = faults.iter().map(|it| serde_json::to_value(it).unwrap()["type"].clone());
        assert_eq!(kinds.collect::<Vec<_>>(), ["bool_type", "int_type", "string_type"]);
    }

    #[test]
    fn whole_numbers_are_read_as_fastapi_does() {
        for (text, number) in [(" -3 ", -3), ("3.0", 3), ("+7", 7), ("1_000", 1_000)] {
            assert_eq!(integer(text), Some(number.into()), "{text}");
        }
        assert_eq!(integer("100000000000000000000"), Number::from_f64(1e20));
        for text in ["", "1e3", "1.5", "1.", "x", "-", "0x1", "_1", "1_", "1__0", "-_1"] {
            assert_eq!(integer(text), None, "{text:?}");
        }
    }
}
