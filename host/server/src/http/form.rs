//! Forms: what `POST …/runs` takes, in both encodings a browser or a script may send.

use std::collections::HashMap;
use std::future::Future;

use axum::body::Body;
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{StatusCode, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;

use super::door::Door;
use super::error::{ApiError, FieldFault};

/// The most fields of a form. Agno's client sends about ten.
const MAX_FIELDS: usize = 256;

/// The most bytes of a field's name.
const MAX_NAME_BYTES: usize = 256;

/// How much of a body that is too large is read to its end before it is refused.
const FORGOTTEN_BYTES: usize = 64 * 1024 * 1024;

/// Text fields by name. Of a repeated field the last counts.
#[derive(Default)]
pub(super) struct Form(HashMap<String, String>);

impl Form {
    /// Reads a request's body. A body that is no form is a form without fields.
    ///
    /// # Errors
    /// Malformed, too large, or too slow.
    pub(super) async fn read(door: &Door, request: Request) -> Result<Self, ApiError> {
        in_time(door, Self::read_any(door, request)).await
    }

    async fn read_any(door: &Door, request: Request) -> Result<Self, ApiError> {
        let (mut parts, stream) = request.into_parts();
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
        let kind = kind.unwrap_or_default().trim_start().to_ascii_lowercase();
        let body = body(stream, door.settings.form_bytes).await?;
        if kind.starts_with("multipart/form-data") {
            parts.headers.remove(header::CONTENT_LENGTH);
            return Self::read_multipart(door, Request::from_parts(parts, body.into())).await;
        }
        if kind.starts_with("application/x-www-form-urlencoded") {
            return Self::read_urlencoded(door, &body);
        }
        Ok(Self::default())
    }

    async fn read_multipart(door: &Door, request: Request) -> Result<Self, ApiError> {
        let mut parts = Multipart::from_request(request, &()).await.map_err(|_| malformed())?;
        let mut form = Self::default();
        while let Some(part) = parts.next_field().await.map_err(|_| malformed())? {
            // An upload is no text field.
            if part.file_name().is_some() {
                continue;
            }
            let name = part.name().unwrap_or_default().to_owned();
            let value = part.bytes().await.map_err(|_| malformed())?;
            if door.settings.field_bytes < value.len() {
                return Err(oversized("Part", door.settings.field_bytes));
            }
            form.insert(name, String::from_utf8_lossy(&value).into_owned())?;
        }
        Ok(form)
    }

    fn read_urlencoded(door: &Door, body: &[u8]) -> Result<Self, ApiError> {
        let mut form = Self::default();
        for (name, value) in form_urlencoded::parse(body) {
            if door.settings.field_bytes < value.len() {
                return Err(oversized("Field", door.settings.field_bytes));
            }
            form.insert(name.into_owned(), value.into_owned())?;
        }
        Ok(form)
    }

    fn insert(&mut self, name: String, value: String) -> Result<(), ApiError> {
        if MAX_NAME_BYTES < name.len() {
            let text = format!("A field's name must not be longer than {MAX_NAME_BYTES} bytes.");
            return Err(ApiError::Body(StatusCode::BAD_REQUEST, text));
        }
        self.0.insert(name, value);
        if MAX_FIELDS < self.0.len() {
            let text = format!("Too many fields. Maximum number of fields is {MAX_FIELDS}.");
            return Err(ApiError::Body(StatusCode::BAD_REQUEST, text));
        }
        Ok(())
    }

    /// A field with something in it.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).filter(|it| !it.is_empty())
    }

    /// A yes-or-no field. Present and empty counts as the default.
    pub(super) fn take_bool(
        &mut self,
        field: &'static str,
        default: bool,
        faults: &mut Vec<FieldFault>,
    ) -> bool {
        let Some(input) = self.take(field) else { return default };
        match input.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" | "t" | "y" => true,
            "false" | "0" | "no" | "off" | "f" | "n" => false,
            _ => {
                let message = "Input should be a valid boolean, unable to interpret input";
                faults.push(FieldFault {
                    kind: "bool_parsing",
                    part: "body",
                    field,
                    message,
                    input: Some(input),
                });
                default
            }
        }
    }

    /// A whole number that is checked and not used.
    pub(super) fn check_integer(&mut self, field: &'static str, faults: &mut Vec<FieldFault>) {
        if let Some(input) = self.take(field)
            && input.trim().parse::<i64>().is_err()
        {
            faults.push(FieldFault::no_integer("body", field, input));
        }
    }
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
