//! How to behave, as the path says it: `/s/<scenario>/…`.

use std::time::Duration;

/// How to behave. The word in the path is in each variant's first line; `-once` behind it means
/// the first request only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// `ok`: answers.
    Fine,
    /// `details`: answers, and reports cached and reasoning tokens.
    Details,
    /// `429`, `500-once`, `429-after-30`: an error status, with `Retry-After` in seconds.
    Status {
        /// The HTTP status.
        status: u16,
        /// `Retry-After`.
        retry_after: Option<u64>,
    },
    /// `html-502`: a gateway's error page.
    Html,
    /// `redirect`: sends the caller to `/s/ok/…`.
    Redirect,
    /// `reset`: closes the connection before a word of an answer.
    Reset,
    /// `silent`: never answers.
    Silent,
    /// `slow-<ms>`: answers after a while.
    Slow(Duration),
    /// `drip-<ms>`: waits before each piece.
    Drip(Duration),
    /// `stall`: falls silent after two pieces, or in the middle of the body.
    Stall,
    /// `bad-frame`: the third piece, or the body, is no JSON.
    BadFrame,
    /// `cut`: closes the connection in the middle of the third piece, or of the body.
    Cut,
    /// `early-end`: ends well after two pieces, without the protocol's end; or with half a body.
    EarlyEnd,
    /// `oversized`: a good status and a body without an end.
    Oversized,
    /// `oversized-error`: status 500 and a body without an end.
    OversizedError,
    /// `failed`: reports a failure after two pieces, or in a body of status 200 (where the
    /// protocol has no such body: status 500).
    Failed,
    /// `busy-in-stream`: a stream that says at once that the provider is overloaded.
    BusyInStream,
    /// `incomplete`: ends at the limit of tokens.
    Incomplete,
    /// `filtered`: ends because the content was filtered.
    Filtered,
    /// `crlf`: frames with carriage returns, each split between the two characters.
    Crlf,
    /// `bytes`: every byte on its own.
    Bytes,
    /// `comments`: comments between the frames.
    Comments,
    /// `unknown-event`: an event that no client knows, among the known ones.
    UnknownEvent,
    /// `gate`: holds the answer until it is released.
    Gate,
    /// `gate-deltas`: holds each piece until it is released.
    GateDeltas,
    /// One that answers, and lies in it.
    Lying(Lie),
    /// One that answers without an end.
    Flooding(Flood),
}

/// What is not true of an answer, or not the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// `usage-none`: no counts of tokens at all.
    NoUsage,
    /// `usage-negative`: counts below zero.
    NegativeUsage,
    /// `usage-absurd`: counts as large as numbers are.
    AbsurdUsage,
    /// `usage-words`: counts that are words.
    WordyUsage,
    /// `finish-unknown`: an end for a reason that nobody knows.
    Finish,
    /// `type-html`: says that it is a page.
    ContentType,
    /// `no-utf8`: bytes that are no text, in the third piece or in the body.
    NoText,
    /// `length-long`: promises more bytes than come, and hangs up.
    LongLength,
    /// `length-short`: promises fewer bytes than come.
    ShortLength,
    /// `error-200`: an error's body with a good status.
    GoodError,
    /// `empty-200`: a good status and nothing.
    Nothing,
    /// `tool-call`: calls a tool that nobody offered, and says nothing.
    ToolCall,
}

/// What there is no end of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flood {
    /// `flood-headers`: headers.
    Headers,
    /// `flood-hints`: answers that say that the answer will come.
    Hints,
    /// `flood-deltas`: good pieces; empty lines before the body where it is one.
    Deltas,
    /// `flood-comments`: signs of life between the pieces; empty lines where there are no such.
    Comments,
    /// `drip-comments`: the same, slowly.
    SlowComments,
}

impl Scenario {
    /// Reads the word; `number` counts the requests of this word from 1.
    pub(crate) fn read(word: &str, number: u64) -> Option<Self> {
        let (word, once) = match word.strip_suffix("-once") {
            Some(word) => (word, true),
            None => (word, false),
        };
        let scenario = Self::of_word(word)?;
        Some(if once && 1 < number { Self::Fine } else { scenario })
    }

    /// A model's name may say how to behave where the path says nothing: `gpt-5.4-fail`,
    /// `gpt-5.4-delay1500`, `gpt-5.4-chunk150` (milliseconds before the answer, or each piece).
    pub(crate) fn of_model(self, model: &str) -> Self {
        let millis = |word: &str| {
            let (_, number) = model.rsplit_once(word)?;
            number.parse().ok().map(Duration::from_millis)
        };
        match self {
            Self::Fine if model.ends_with("-fail") => {
                Self::Status { status: 500, retry_after: None }
            }
            Self::Fine => {
                let slow = millis("-delay").map(Self::Slow);
                slow.or(millis("-chunk").map(Self::Drip)).unwrap_or(Self::Fine)
            }
            scenario => scenario,
        }
    }

    fn of_word(word: &str) -> Option<Self> {
        Some(match word {
            "ok" => Self::Fine,
            "details" => Self::Details,
            "html-502" => Self::Html,
            "redirect" => Self::Redirect,
            "reset" => Self::Reset,
            "silent" => Self::Silent,
            "stall" => Self::Stall,
            "bad-frame" => Self::BadFrame,
            "cut" => Self::Cut,
            "early-end" => Self::EarlyEnd,
            "oversized" => Self::Oversized,
            "oversized-error" => Self::OversizedError,
            "failed" => Self::Failed,
            "busy-in-stream" => Self::BusyInStream,
            "incomplete" => Self::Incomplete,
            "filtered" => Self::Filtered,
            "crlf" => Self::Crlf,
            "bytes" => Self::Bytes,
            "comments" => Self::Comments,
            "unknown-event" => Self::UnknownEvent,
            "gate" => Self::Gate,
            "gate-deltas" => Self::GateDeltas,
            "usage-none" => Self::Lying(Lie::NoUsage),
            "usage-negative" => Self::Lying(Lie::NegativeUsage),
            "usage-absurd" => Self::Lying(Lie::AbsurdUsage),
            "usage-words" => Self::Lying(Lie::WordyUsage),
            "finish-unknown" => Self::Lying(Lie::Finish),
            "type-html" => Self::Lying(Lie::ContentType),
            "no-utf8" => Self::Lying(Lie::NoText),
            "length-long" => Self::Lying(Lie::LongLength),
            "length-short" => Self::Lying(Lie::ShortLength),
            "error-200" => Self::Lying(Lie::GoodError),
            "empty-200" => Self::Lying(Lie::Nothing),
            "tool-call" => Self::Lying(Lie::ToolCall),
            "flood-headers" => Self::Flooding(Flood::Headers),
            "flood-hints" => Self::Flooding(Flood::Hints),
            "flood-deltas" => Self::Flooding(Flood::Deltas),
            "flood-comments" => Self::Flooding(Flood::Comments),
            "drip-comments" => Self::Flooding(Flood::SlowComments),
            other => return Self::of_number(other),
        })
    }

    fn of_number(word: &str) -> Option<Self> {
        let millis = |text: &str| text.parse().ok().map(Duration::from_millis);
        if let Some(text) = word.strip_prefix("slow-") {
            return millis(text).map(Self::Slow);
        }
        if let Some(text) = word.strip_prefix("drip-") {
            return millis(text).map(Self::Drip);
        }
        let (status, retry_after) = match word.split_once("-after-") {
            Some((status, seconds)) => (status, Some(seconds.parse().ok()?)),
            None => (word, None),
        };
        let status = status.parse().ok().filter(|it| (400..600).contains(it))?;
        Some(Self::Status { status, retry_after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read() {
        let status = |status, retry_after| Some(Scenario::Status { status, retry_after });
        assert_eq!(Scenario::read("ok", 1), Some(Scenario::Fine));
        assert_eq!(Scenario::read("429-after-3-once", 1), status(429, Some(3)));
        assert_eq!(Scenario::read("429-after-3-once", 2), Some(Scenario::Fine));
        assert_eq!(Scenario::read("500", 9), status(500, None));
        let drip = Scenario::Drip(Duration::from_millis(5));
        assert_eq!(Scenario::read("drip-5", 1), Some(drip));
        assert_eq!(Scenario::read("200", 1), None);
        assert_eq!(Scenario::read("else", 1), None);
    }

    #[test]
    fn a_models_name_may_say_how_to_behave() {
        let millis = Duration::from_millis;
        for (model, scenario) in [
            ("gpt-5.4", Scenario::Fine),
            ("gpt-5.4-fail", Scenario::Status { status: 500, retry_after: None }),
            ("gpt-5.4-delay1500", Scenario::Slow(millis(1500))),
            ("gpt-5.4-chunk150", Scenario::Drip(millis(150))),
        ] {
            assert_eq!(Scenario::Fine.of_model(model), scenario);
            assert_eq!(Scenario::Stall.of_model(model), Scenario::Stall);
        }
    }
}
