//! Doors for the fuzzers in `tests/fuzz`: forms, without a socket, and tokens.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use bytes::Bytes;
use futures::executor::block_on;
use futures::stream;
use stepmill_core::extras::Extras;

pub use super::auth::fuzzing::Tokens;
use super::error::ApiError;
use super::extras;
use super::form::Form;
use crate::settings::HttpSettings;

/// What a form says, as `POST …/runs` reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// Text fields, as they were before any was read, by name.
    pub fields: Vec<(String, String)>,
    /// Names of the fields that came as files.
    pub uploads: Vec<String>,
    /// What was made of them, or the status of the refusal.
    pub extras: Result<Extras, u16>,
}

/// Reads a form whose body comes in these pieces.
///
/// # Errors
/// The status of the refusal.
pub fn form(settings: &HttpSettings, kind: &[u8], pieces: Vec<Bytes>) -> Result<Sent, u16> {
    let body = stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
    let mut request = Request::new(Body::from_stream(body));
    if let Ok(kind) = HeaderValue::from_bytes(kind) {
        request.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    let status = |it: ApiError| it.into_response().status().as_u16();
    let mut form = block_on(Form::read_any(settings, request)).map_err(status)?;
    let (fields, uploads) = form.said();
    let version = form.take_integer("version", &mut Vec::new());
    let extras = extras::read(&mut form, version).map(|it| it.extras).map_err(status);
    Ok(Sent { fields, uploads, extras })
}
