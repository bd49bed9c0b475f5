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
