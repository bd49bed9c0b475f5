//! JSON that is written already, and what it holds on to until a client has read it.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use crate::app::Room;

/// JSON text as an answer.
pub(super) fn json_text(text: impl Into<Body>) -> Response {
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], text.into()).into_response()
}

/// The text of a list. A client that reads slowly keeps its room, if it is large.
pub(super) fn json_list(text: Vec<u8>, mut room: Room) -> Response {
    room.fit(text.len());
    json_text(Bytes::from_owner(Held { text, _room: room }))
}

struct Held {
    text: Vec<u8>,
    _room: Room,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}
