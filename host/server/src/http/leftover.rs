//! What an answer leaves unread of its request's body.
//!
//! A refusal is often ready before the body has come. The connection can then take no other request
//! unless somebody reads the rest, and a client that is not told so sends its next request to nobody.
//! So a little is read, and of much the client is told.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderValue, Request, header};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::timeout;
use tower::ServiceExt;

use super::door::Routes;

/// More is not read only so that the connection can be used once more.
const LEFTOVER_BYTES: u64 = 64 * 1024;

/// A client that has not sent so little within this time is not waited for.
const LEFTOVER_TIME: Duration = Duration::from_secs(1);

/// The answer. Where something of the body is left that is not read, it says that the connection
/// ends with it.
pub(super) async fn answer(routes: impl Routes, request: Request<Incoming>) -> Response {
    if request.body().is_end_stream() {
        return answered(routes, request.map(Body::new)).await;
    }
    // Whoever waits for a word before it sends its body is not asked for it in vain.
    let waits = request.headers().contains_key(header::EXPECT);
    let (parts, body) = request.into_parts();
    let mut body = Shared(Arc::new(Mutex::new(body)));
    let request = Request::from_parts(parts, Body::new(body.clone()));
    let mut answer = answered(routes, request).await;
    if !body.is_end_stream() && (waits || !body.is_read().await) {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

async fn answered(routes: impl Routes, request: Request<Body>) -> Response {
    let Ok(answer) = routes.oneshot(request).await;
    answer
}

/// One body that its reader may leave to another.
#[derive(Clone)]
struct Shared(Arc<Mutex<Incoming>>);

impl Shared {
    fn body(&self) -> MutexGuard<'_, Incoming> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the rest is little, and has come.
    async fn is_read(&mut self) -> bool {
        if LEFTOVER_BYTES < self.size_hint().lower() {
            return false;
        }
        let read = async {
            let mut room = LEFTOVER_BYTES;
            while let Some(frame) =
                std::future::poll_fn(|it| Pin::new(&mut *self).poll_frame(it)).await
            {
                let bytes = frame.ok()?.data_ref().map_or(0, Bytes::len);
                room = room.checked_sub(bytes as u64)?;
            }
            Some(())
        };
        timeout(LEFTOVER_TIME, read).await.is_ok_and(|it| it.is_some())
    }
}

impl HttpBody for Shared {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Poll::Ready(ready!(Pin::new(&mut *self.body()).poll_frame(context)))
    }

    fn is_end_stream(&self) -> bool {
        self.body().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body().size_hint()
    }
}
