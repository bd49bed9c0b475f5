//! What a streamed answer is called, read from its first frames: the client crate tells it at the end
//! only, and who follows a stream is told with the first words.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use stepmill_core::agent::AnswerMark;

use super::answer::mark;

/// How far into a body its mark is looked for. OpenAI's first frame repeats the instructions.
const LOOK_BYTES: usize = 1024 * 1024;

/// What the first frames of one body say. Cheap to clone; every clone is the same.
#[derive(Clone, Default)]
pub(super) struct Beginning(Arc<Mutex<Look>>);

#[derive(Default)]
struct Look {
    /// The line that has not ended yet.
    line: Vec<u8>,
    seen: usize,
    found: Option<AnswerMark>,
}

/// A frame of either of OpenAI's protocols, as far as it says what it belongs to.
#[derive(Deserialize)]
struct Frame {
    id: Option<String>,
    system_fingerprint: Option<String>,
    response: Option<Response>,
}

#[derive(Deserialize)]
struct Response {
    id: Option<String>,
}

impl Beginning {
    /// More of the body came.
    pub(super) fn hear(&self, chunk: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).hear(chunk);
    }

    /// The mark, once it was heard. It is told once.
    pub(super) fn take(&self) -> Option<AnswerMark> {
        let mut look = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        look.found.take()
    }
}

impl Look {
    fn hear(&mut self, chunk: &[u8]) {
        if LOOK_BYTES <= self.seen {
            return;
        }
        self.seen = self.seen.saturating_add(chunk.len());
        for piece in chunk.split_inclusive(|it| matches!(it, b'\n' | b'\r')) {
            self.line.extend_from_slice(piece);
            if !piece.ends_with(b"\n") && !piece.ends_with(b"\r") {
                break;
            }
            self.found = said(&self.line);
            self.line.clear();
            if self.found.is_some() {
                self.seen = LOOK_BYTES;
                break;
            }
        }
        if LOOK_BYTES <= self.seen {
            self.line = Vec::new();
        }
    }
}

fn said(line: &[u8]) -> Option<AnswerMark> {
    let frame: Frame = serde_json::from_slice(line.strip_prefix(b"data:")?).ok()?;
    let id = frame.id.or(frame.response.and_then(|it| it.id));
    let mark = mark(id.as_deref(), frame.system_fingerprint.as_deref());
    mark.response_id.is_some().then_some(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(body: &str, size: usize) -> Option<AnswerMark> {
        let beginning = Beginning::default();
        body.as_bytes().chunks(size).for_each(|it| beginning.hear(it));
        beginning.take()
    }

    #[test]
    fn the_first_frame_with_an_id_counts_however_it_is_cut() {
        let body = ": hello\r\n\r\ndata: {\"id\":\"\"}\r\n\r\n\
            data: {\"id\":\"chatcmpl-1\",\"system_fingerprint\":\"fp_1\"}\r\n\r\n\
            data: {\"id\":\"chatcmpl-2\"}\r\n\r\n";
        let expected = mark(Some("chatcmpl-1"), Some("fp_1"));
        for size in [1, 3, 7, 1_000] {
            assert_eq!(heard(body, size), Some(expected.clone()), "{size}");
        }
        let body = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"}}\n\n";
        assert_eq!(heard(body, 5), Some(mark(Some("resp_1"), None)));
    }

    #[test]
    fn what_says_no_id_soon_has_none() {
        assert_eq!(heard("data: [DONE]\n\n", 4), None);
        let late = format!("data: {}\n\ndata: {{\"id\":\"a\"}}\n\n", "x".repeat(LOOK_BYTES));
        assert_eq!(heard(&late, 4_096), None);
    }
}
