//! The demo model: no key, no network, the same answer each time, and it says what it is.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use stepmill_core::agent::{AnswerMark, ModelAnswer, Usage};
use stepmill_core::call::ModelRequest;
use stepmill_core::event::ModelIdentity;

use crate::chat::{ChatModel, Piece};
use crate::failure::ModelFailure;
use crate::settings::CallLimits;

/// How every answer begins.
const LABEL: &str = "[demo model, not a real one]";

/// How much of the instructions is shown: enough to see which agent spoke.
const INSTRUCTIONS_CHARS: usize = 200;

/// How much of the message is shown: enough to see the step before, and bounded, so that a long
/// workflow does not grow its answers from step to step.
const MESSAGE_CHARS: usize = 600;

/// A model that shows what it was given.
pub(crate) struct DemoModel {
    identity: ModelIdentity,
    pause: Duration,
}

impl DemoModel {
    pub(crate) fn new(identity: ModelIdentity, limits: &CallLimits) -> Self {
        Self { identity, pause: Duration::from_millis(limits.demo_pause_ms) }
    }
}

#[async_trait]
impl ChatModel for DemoModel {
    fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    async fn answer(&self, request: &ModelRequest) -> Result<ModelAnswer, ModelFailure> {
        let mut telling = Telling::of(request, self.pause);
        while telling.next().await.is_some() {}
        Ok(ModelAnswer { first_token_micros: None, ..telling.done() })
    }

    fn stream(&self, request: &ModelRequest) -> BoxStream<'static, Result<Piece, ModelFailure>> {
        let telling = Telling::of(request, self.pause);
        futures::stream::unfold(Some(telling), |telling| async {
            let mut telling = telling?;
            match telling.next().await {
                Some(word) => Some((Ok(Piece::Delta(word)), Some(telling))),
                None => Some((Ok(Piece::Done(telling.done())), None)),
            }
        })
        .boxed()
    }
}

/// One answer while it is told.
struct Telling {
    text: String,
    /// How much of the text was told, in bytes.
    told: usize,
    input_tokens: u64,
    pause: Duration,
    /// When the first word was asked for.
    began: Option<Instant>,
    first_token_micros: Option<u64>,
}

impl Telling {
    fn of(request: &ModelRequest, pause: Duration) -> Self {
        let input_tokens = words(&request.instructions) + words(&request.message);
        let most = request.max_output_tokens.map_or(usize::MAX, |it| it as usize);
        let text = text(request).split_inclusive(' ').take(most).collect();
        Self { text, told: 0, input_tokens, pause, began: None, first_token_micros: None }
    }

    /// The next word, with the blank behind it.
    async fn next(&mut self) -> Option<String> {
        let began = *self.began.get_or_insert_with(Instant::now);
        let word = self.text[self.told..].split_inclusive(' ').next()?.to_owned();
        if !self.pause.is_zero() {
            tokio::time::sleep(self.pause).await;
        }
        self.told += word.len();
        self.first_token_micros.get_or_insert_with(|| micros_since(began));
        Some(word)
    }

    fn done(self) -> ModelAnswer {
        let usage = Usage {
            input_tokens: self.input_tokens,
            output_tokens: words(&self.text),
            ..Usage::default()
        };
        ModelAnswer {
            content: self.text,
            usage,
            mark: AnswerMark::default(),
            first_token_micros: self.first_token_micros,
            duration_micros: self.began.map(micros_since).unwrap_or_default(),
        }
    }
}

/// A word is a token here.
fn words(text: &str) -> u64 {
    text.split_whitespace().count() as u64
}

fn micros_since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// What it answers.
fn text(request: &ModelRequest) -> String {
    let message = request.message.trim();
    // In a workflow the message is often this model's own answer; one label is enough.
    let message = message.strip_prefix(LABEL).unwrap_or(message);
    let message = shortened(message, MESSAGE_CHARS);
    match shortened(&request.instructions, INSTRUCTIONS_CHARS) {
        it if it.is_empty() => format!("{LABEL} I got this message: {message}"),
        it => format!(
            "{LABEL} Asked to act on the instructions “{it}”, I got this message: {message}"
        ),
    }
}

/// On one line, and not longer than this.
fn shortened(text: &str, most: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(most) {
        None => line,
        Some((at, _)) => format!("{}…", line[..at].trim_end()),
    }
}

#[cfg(test)]
mod tests;
