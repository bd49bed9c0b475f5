//! A run as server-sent events: a reader of its journal, frame by frame.

use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::{self, HeaderName};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::Stream;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use stepmill_core::event::JournalEntry;

use super::door::Door;
use super::view::{EventView, Renderer};
use crate::app::{AppError, Follow, Started, now};

/// A comment that keeps proxies and clients from giving up on a silent stream.
const KEEP_ALIVE: &[u8] = b": keepalive\n\n";

/// Frames that are ready are sent together until they fill about a connection's write buffer.
const TOGETHER_BYTES: usize = 16 * 1024;

const HEADERS: [(HeaderName, HeaderValue); 3] = [
    (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    // Proxies that buffer answers would hold deltas back.
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
];

/// The answer that tells a run while it goes on. The run does not depend on the listener: it
/// goes on when nobody listens any more.
///
/// With `content_only` a listener hears what is made, and how the run begins and ends.
pub(super) fn events(door: &Door, started: Started, content_only: bool) -> Response {
    let keep_alive = Duration::from_millis(door.settings.keep_alive_ms);
    let telling = Telling {
        renderer: Renderer::new(started.pin),
        follow: started.follow,
        keep_alive,
        content_only,
    };
    (HEADERS, Body::from_stream(telling.frames())).into_response()
}

/// The answer to a message that its workflow's schema does not take: there is no run to tell of.
pub(super) fn refused(text: &str) -> Response {
    let data = json!({
        "created_at": now().seconds(),
        "event": "WorkflowError",
        "nested_depth": 0,
        "error": text,
    });
    (HEADERS, told(&data)).into_response()
}

struct Telling {
    renderer: Renderer,
    follow: Follow,
    keep_alive: Duration,
    content_only: bool,
}

impl Telling {
    fn frames(self) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> {
        futures::stream::unfold(Some(self), |state| async {
            let mut telling = state?;
            match telling.next().await {
                Ok(Some(frame)) => Some((Ok(frame), Some(telling))),
                Ok(None) => None,
                Err(fault) => Some((Ok(farewell(&fault)), None)),
            }
        })
    }

    /// The next bytes with something in them; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, AppError> {
        loop {
            let Ok(entry) = tokio::time::timeout(self.keep_alive, self.follow.next()).await else {
                return Ok(Some(Bytes::from_static(KEEP_ALIVE)));
            };
            let Some(entry) = entry? else { return Ok(None) };
            let mut frames = Vec::new();
            self.tell(&entry, &mut frames);
            // What was noted together is sent together.
            while frames.len() < TOGETHER_BYTES
                && let Some(entry) = self.follow.ready()
            {
                self.tell(&entry, &mut frames);
            }
            if !frames.is_empty() {
                return Ok(Some(frames.into()));
            }
        }
    }

    fn tell(&mut self, entry: &JournalEntry, frames: &mut Vec<u8>) {
        match self.renderer.render(entry) {
            Ok(views) => {
                let told = views.iter().filter(|it| !self.content_only || it.is_content());
                told.for_each(|it| frame(frames, it));
            }
            Err(fault) => tracing::error!(%fault, "an event could not be written"),
        }
    }
}

/// JSON has no raw line breaks, so one event is one `data:` line.
fn frame(to: &mut Vec<u8>, view: &EventView) {
    for part in ["event: ", view.name, "\ndata: ", view.data.get(), "\n\n"] {
        to.extend_from_slice(part.as_bytes());
    }
}

/// The stream breaks off although the run has not ended.
fn farewell(fault: &AppError) -> Bytes {
    let (error, code) = match fault {
        AppError::Stopping => {
            ("The host is shutting down; the run goes on at its next start", "stopping")
        }
        AppError::RunDeleted => ("The run was deleted with its session", "deleted"),
        _ => {
            tracing::error!(%fault, "a stream broke off");
            ("The host cannot read its journal", "host_failed")
        }
    };
    let data =
        json!({ "event": "WorkflowError", "nested_depth": 0, "error": error, "error_id": code });
    told(&data)
}

/// The one event of a workflow's fault.
fn told(data: &Value) -> Bytes {
    let mut frames = Vec::new();
    if let Ok(data) = to_raw_value(data) {
        frame(&mut frames, &EventView { name: "WorkflowError", data });
    }
    frames.into()
}
