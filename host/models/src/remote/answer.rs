//! From the client crate's response to core's answer, if it is one.

use std::time::Instant;

use rig_core::completion::{CompletionResponse, FinishReason, Usage as RigUsage};
use rig_core::message::StopReason;
use stepmill_core::agent::{AnswerMark, ModelAnswer, Usage};

use super::classify::failed;
use crate::failure::{FailureCause, ModelFailure, ProviderCode};

/// Twice the longest id that a vendor gives, and more than any fingerprint. Both are stored and shown
/// with each answer.
const MARK_BYTES: usize = 256;

/// When a call began, and when its answer did.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    began: Instant,
    first: Option<Instant>,
}

impl Times {
    /// A call begins.
    pub(super) fn begin() -> Self {
        Self { began: Instant::now(), first: None }
    }

    /// A piece arrived.
    pub(super) fn piece(&mut self) {
        self.first.get_or_insert_with(Instant::now);
    }
}

/// The answer with this text, if the provider ended it as one.
///
/// # Errors
/// The provider filtered the content, reported a failure inside a good status, or ended without
/// any text although it was cut short or called a tool.
pub(super) fn answer_of(
    response: &CompletionResponse,
    content: String,
    times: Times,
) -> Result<ModelAnswer, ModelFailure> {
    match response.stop() {
        StopReason::Stop => {}
        // Cut at the graph's own limit, or beside a call of a tool that nobody offered: what there
        // is counts, unless there is nothing.
        StopReason::Length | StopReason::ToolUse if !content.is_empty() => {}
        StopReason::Length | StopReason::ToolUse => return Err(failed(FailureCause::Empty)),
        _ if response.finish_reason() == Some(FinishReason::ContentFilter) => {
            let code = ProviderCode::new("content_filter");
            return Err(ModelFailure::Refused { status: None, code });
        }
        _ => {
            let code = failure_code(response);
            return Err(ModelFailure::Failed { cause: FailureCause::Reported, status: None, code });
        }
    }
    let micros =
        |it: Instant| u64::try_from(it.duration_since(times.began).as_micros()).unwrap_or(u64::MAX);
    Ok(ModelAnswer {
        content,
        usage: usage_of(&response.usage),
        mark: mark_of(response),
        first_token_micros: times.first.map(micros),
        duration_micros: micros(Instant::now()),
    })
}

fn mark_of(response: &CompletionResponse) -> AnswerMark {
    let fingerprint = response.raw.get("system_fingerprint").and_then(|it| it.as_str());
    mark(response.response_id(), fingerprint)
}

/// What a provider says of an answer as such; what is empty, or too long to be a word of its, is
/// nothing.
pub(super) fn mark(response_id: Option<&str>, system_fingerprint: Option<&str>) -> AnswerMark {
    let word = |it: &&str| !it.is_empty() && it.len() <= MARK_BYTES;
    AnswerMark {
        response_id: response_id.filter(word).map(str::to_owned),
        system_fingerprint: system_fingerprint.filter(word).map(str::to_owned),
    }
}

/// The provider's word for a failure inside a good status: `{"error": {"code": …}}`.
fn failure_code(response: &CompletionResponse) -> Option<ProviderCode> {
    let word = response.raw.pointer("/error/code").and_then(|it| it.as_str());
    word.and_then(ProviderCode::new)
}

/// The most tokens one call is believed to have used: a session may add up eight million such
/// calls before a database's integer ends.
const MAX_TOKENS: u64 = 1 << 40;

/// Counters that a provider does not report are zero.
fn usage_of(usage: &RigUsage) -> Usage {
    let believed = |count: Option<u64>| count.unwrap_or_default().min(MAX_TOKENS);
    Usage {
        input_tokens: believed(usage.input_tokens),
        output_tokens: believed(usage.output_tokens),
        reasoning_tokens: believed(usage.reasoning_tokens),
        cache_read_tokens: believed(usage.cached_input_tokens),
        cache_write_tokens: believed(usage.cache_creation_input_tokens),
    }
}
