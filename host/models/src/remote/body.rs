//! What comes in: bounded in bytes and in silence, and read to its end, so that its connection
//! serves the next call.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::BoxStream;
use rig_core::http_client::BoxedStream;

use super::beginning::Beginning;
use super::transport::TransportFault;

/// The end of a body follows the protocol's last word at once; a connection that is worth
/// keeping needs no longer wait. Each answer is held back this long at most.
const END: Duration = Duration::from_millis(50);

type Chunks = BoxStream<'static, reqwest::Result<Bytes>>;

/// What is left of a body when the protocol's last word was read: usually nothing but the end.
///
/// A body that is dropped unread closes its connection, which is right when a call is given up
/// and a waste when it succeeded.
#[derive(Clone, Default)]
pub(super) struct Tail(Arc<Mutex<Option<Chunks>>>);

impl Tail {
    /// Reads to the end, if it comes soon.
    pub(super) async fn drain(self) {
        let chunks = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut chunks) = chunks {
            let end = async {
                // The protocol is over: anything but an end is not worth waiting for.
                while let Some(Ok(_)) = chunks.next().await {}
            };
            let _ = tokio::time::timeout(END, end).await;
        }
    }
}

/// What one streamed call keeps of a body beside its answer.
#[derive(Clone, Default)]
pub(super) struct Ends {
    /// Hears the first frames; none where they say nothing.
    pub beginning: Option<Beginning>,
    /// Where the rest goes; without one its connection is closed.
    pub tail: Option<Tail>,
}

/// A body that ends with a fault when it is over the limit, breaks off, or is silent for too long.
pub(super) fn bounded(
    response: reqwest::Response,
    most: usize,
    idle: Option<Duration>,
    ends: Ends,
) -> BoxedStream {
    let chunks = Some(response.bytes_stream().boxed());
    let body = Body { chunks, so_far: 0, most, idle, ends };
    Box::pin(futures::stream::unfold(body, |mut body| async move {
        let chunk = body.next().await?;
        Some((chunk.map_err(Into::into), body))
    }))
}

struct Body {
    /// None after the end or a fault.
    chunks: Option<Chunks>,
    so_far: usize,
    most: usize,
    idle: Option<Duration>,
    ends: Ends,
}

impl Body {
    async fn next(&mut self) -> Option<Result<Bytes, TransportFault>> {
        let next = self.chunks.as_mut()?.next();
        let next = match self.idle {
            None => Ok(next.await),
            Some(idle) => tokio::time::timeout(idle, next).await,
        };
        let fault = match next {
            Ok(Some(Ok(chunk))) => {
                self.so_far = self.so_far.saturating_add(chunk.len());
                if self.so_far <= self.most {
                    if let Some(it) = &self.ends.beginning {
                        it.hear(&chunk);
                    }
                    return Some(Ok(chunk));
                }
                TransportFault::TooLarge(self.most)
            }
            Ok(Some(Err(_))) => TransportFault::BrokeOff,
            Err(_) => TransportFault::Idle,
            Ok(None) => {
                self.chunks = None;
                return None;
            }
        };
        self.chunks = None;
        Some(Err(fault))
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(tail) = &self.ends.tail {
            *tail.0.lock().unwrap_or_else(PoisonError::into_inner) = self.chunks.take();
        }
    }
}

/// What can be had of an error's body. A body that fails or stalls is still an error's body.
pub(super) async fn first_bytes(response: reqwest::Response, most: usize, idle: Duration) -> Bytes {
    let mut chunks = response.bytes_stream();
    let mut bytes = BytesMut::new();
    while bytes.len() < most {
        match tokio::time::timeout(idle, chunks.next()).await {
            Ok(Some(Ok(chunk))) => {
                let room = most - bytes.len();
                bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
            }
            _ => break,
        }
    }
    bytes.freeze()
}
