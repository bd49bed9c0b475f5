//! Answers without an end. Each goes on until the client hangs up.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use crate::connection::Connection;
use crate::scenario::Flood;
use crate::wires::Script;

/// Often enough that nobody takes it for silence.
const SIGN_OF_LIFE: Duration = Duration::from_millis(50);

/// So much at a time of what says nothing.
const PIECES: usize = 512;

/// Floods a client that asked for pieces, or for the whole answer.
pub(crate) async fn flood(
    connection: &mut Connection,
    flood: Flood,
    script: &Script,
    streamed: bool,
) -> io::Result<Infallible> {
    let is_events = streamed && script.content_type == "text/event-stream";
    // What says nothing: between events, and before JSON or between lines of it.
    let comment = if is_events { ": still here\n\n" } else { "\n" };
    match flood {
        Flood::Headers => {
            connection.raw(b"HTTP/1.1 200 Fake\r\n").await?;
            let headers = "x-more: and more\r\n".repeat(PIECES);
            loop {
                connection.raw(headers.as_bytes()).await?;
            }
        }
        Flood::Hints => loop {
            connection.raw(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n").await?;
            tokio::time::sleep(SIGN_OF_LIFE).await;
        },
        Flood::Deltas if streamed => {
            connection.begin(200, script.content_type).await?;
            let mut more = script.before.concat() + &script.deltas.concat();
            loop {
                connection.chunk(more.as_bytes()).await?;
                more = script.deltas.concat();
            }
        }
        Flood::Deltas | Flood::Comments => {
            connection.begin(200, script.content_type).await?;
            let more = comment.repeat(PIECES);
            loop {
                connection.chunk(more.as_bytes()).await?;
            }
        }
        Flood::SlowComments => {
            connection.begin(200, script.content_type).await?;
            loop {
                connection.chunk(comment.as_bytes()).await?;
                tokio::time::sleep(SIGN_OF_LIFE).await;
            }
        }
    }
}
