//! Asking for an answer in pieces, and handing each piece on as it arrives.

use futures::StreamExt;
use futures::stream::BoxStream;
use stepmill_core::call::ModelRequest;
use tokio::time::{Instant, timeout_at};

use super::Target;
use super::answer::{Times, answer_of};
use super::body::Tail;
use super::classify::FailedTry;
use super::retry::Tries;
use super::wire::WireStream;
use crate::chat::Piece;
use crate::failure::{ModelFailure, TimeLimit};

/// All pieces of one call. The deadline runs from the first poll.
pub(super) fn pieces(
    target: Target,
    request: ModelRequest,
) -> BoxStream<'static, Result<Piece, ModelFailure>> {
    futures::stream::unfold(State::New(Box::new((target, request))), |state| async move {
        let mut reading = match state {
            State::New(asked) => Box::new(Reading::begin(asked.0, asked.1)),
            State::Reading(reading) => reading,
            State::Over => return None,
        };
        let timed_out = ModelFailure::TimedOut { limit: TimeLimit::Total };
        let piece = timeout_at(reading.deadline, reading.next()).await.unwrap_or(Err(timed_out));
        let state = match &piece {
            Ok(Piece::Began(_) | Piece::Delta(_)) => State::Reading(reading),
            Ok(Piece::Done(_)) => {
                reading.tail.drain().await;
                State::Over
            }
            Err(_) => State::Over,
        };
        Some((piece, state))
    })
    .boxed()
}

enum State {
    New(Box<(Target, ModelRequest)>),
    Reading(Box<Reading>),
    Over,
}

/// One call while it is read.
struct Reading {
    target: Target,
    request: ModelRequest,
    deadline: Instant,
    times: Times,
    tries: Tries,
    /// The try under way.
    stream: Option<WireStream>,
    /// What is left of the body of an answer that is complete.
    tail: Tail,
    /// Words that came with the beginning, which is told before them.
    next: Option<String>,
    /// All deltas so far. Once it holds any, there are no more tries.
    told: String,
}

impl Reading {
    fn begin(target: Target, request: ModelRequest) -> Self {
        let deadline = Instant::now() + target.limits.total_timeout();
        let tries = Tries::begin(&target, deadline);
        let (times, tail, told) = (Times::begin(), Tail::default(), String::new());
        Self { target, request, deadline, times, tries, stream: None, tail, next: None, told }
    }

    /// The beginning, the next delta, or the end. The beginning waits for the first words: a try
    /// without any may be followed by another, whose answer is called something else.
    async fn next(&mut self) -> Result<Piece, ModelFailure> {
        if let Some(words) = self.next.take() {
            return Ok(Piece::Delta(words));
        }
        loop {
            let tried = match self.read().await {
                Ok(Some(words)) => {
                    self.times.piece();
                    self.told.push_str(&words);
                    if let Some(mark) = self.stream.as_ref().and_then(WireStream::mark) {
                        self.next = Some(words);
                        return Ok(Piece::Began(mark));
                    }
                    return Ok(Piece::Delta(words));
                }
                Ok(None) => return self.end().await,
                Err(tried) => tried,
            };
            if !self.told.is_empty() {
                return Err(tried.failure);
            }
            self.stream = None;
            self.tries.pause(&self.target, tried).await?;
        }
    }

    /// The next words of the try under way, or of a new one.
    async fn read(&mut self) -> Result<Option<String>, FailedTry> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => none.insert(self.target.model.stream(&self.request)?),
        };
        stream.words().await
    }

    /// The provider ended the answer, well or not.
    async fn end(&mut self) -> Result<Piece, ModelFailure> {
        let stream = self.stream.take().ok_or(ModelFailure::BrokeOff)?;
        let (response, tail) = stream.finish().await.map_err(|tried| tried.failure)?;
        let told = std::mem::take(&mut self.told);
        let answer = answer_of(&response, told, self.times)?;
        self.tail = tail;
        Ok(Piece::Done(answer))
    }
}
