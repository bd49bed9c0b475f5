//! The demo model: no key, no network, the same answer each time, and it says what it is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use stepmill_core::agent::{ModelAnswer, Usage};
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
        let began = Instant::now();
        let mut content = String::new();
        for piece in text(request).split_inclusive(' ') {
            pause(self.pause).await;
            content.push_str(piece);
        }
        Ok(answer_of(request, content, began, None))
    }

    fn stream(&self, request: &ModelRequest) -> BoxStream<'static, Result<Piece, ModelFailure>> {
        let text: Arc<str> = text(request).into();
        let words: Vec<String> = text.split_inclusive(' ').map(str::to_owned).collect();
        let (wait, request) = (self.pause, request.clone());
        let state = (words.into_iter(), None::<Instant>, None::<u64>, false);
        futures::stream::unfold(state, move |(mut words, began, mut first, over)| {
            let (text, request) = (text.clone(), request.clone());
            async move {
                if over {
                    return None;
                }
                let began = began.unwrap_or_else(Instant::now);
                let Some(word) = words.next() else {
                    let answer = answer_of(&request, text.to_string(), began, first);
                    return Some((Ok(Piece::Done(answer)), (words, Some(began), first, true)));
                };
                pause(wait).await;
                first.get_or_insert_with(|| micros_since(began));
                Some((Ok(Piece::Delta(word)), (words, Some(began), first, false)))
            }
        })
        .boxed()
    }
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

fn answer_of(
    request: &ModelRequest,
    content: String,
    began: Instant,
    first_token_micros: Option<u64>,
) -> ModelAnswer {
    let words = |text: &str| text.split_whitespace().count() as u64;
    let usage = Usage {
        input_tokens: words(&request.instructions) + words(&request.message),
        output_tokens: words(&content),
        ..Usage::default()
    };
    let duration_micros = micros_since(began);
    ModelAnswer { content, usage, response_id: None, first_token_micros, duration_micros }
}

fn micros_since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)
}

async fn pause(pause: Duration) {
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests;
