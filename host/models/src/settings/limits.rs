//! How long, how large and how often one call to a provider may be.

use std::time::Duration;

use super::SettingsFault;

/// A day: whoever waits longer for one answer does not want a limit but a queue. Also far from
/// where adding to a clock overflows.
const DAY_MS: u64 = 86_400_000;

/// The limits of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// To reach the provider, name look-up and TLS included.
    pub connect_timeout_ms: u64,
    /// Of silence in a streamed call, before the first byte and between two.
    pub idle_timeout_ms: u64,
    /// For the whole call: all tries, all waits between them, all of the answer.
    pub total_timeout_ms: u64,
    /// Of an answer's body, as it comes over the network, streamed or not.
    pub body_bytes: usize,
    /// Of an error's body that are read to find the provider's code in it.
    pub error_body_bytes: usize,
    /// How often a request is sent again while nothing of an answer was told.
    pub retries: u32,
    /// Before the first retry; doubled for each further one, with some chance added.
    pub retry_pause_ms: u64,
    /// The longest wait before a retry. A provider that asks for more gets no retry.
    pub retry_pause_max_ms: u64,
    /// Sent as the most tokens of an answer where a protocol insists on a number (Anthropic)
    /// and the graph names none.
    pub default_output_tokens: u32,
    /// Between two pieces of the demo model's answer. Other wires take no notice.
    pub demo_pause_ms: u64,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            // Another continent answers in well under a second; ten say that nobody is there.
            connect_timeout_ms: 10_000,
            // Reasoning models think for a minute or so before the first word.
            idle_timeout_ms: 120_000,
            // What the vendors' own clients wait.
            total_timeout_ms: 600_000,
            // 64k tokens of text with the streams' wrapping, several times over.
            body_bytes: 16 * 1024 * 1024,
            // Codes stand in the first kilobyte.
            error_body_bytes: 16 * 1024,
            // What the vendors' own clients do.
            retries: 2,
            retry_pause_ms: 500,
            // A run holds a seat while it waits; longer waits are for whoever started it.
            retry_pause_max_ms: 20_000,
            // Every model the vendor serves allows as much.
            default_output_tokens: 8_192,
            demo_pause_ms: 0,
        }
    }
}

impl CallLimits {
    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(crate) fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }

    pub(crate) fn total_timeout(&self) -> Duration {
        Duration::from_millis(self.total_timeout_ms)
    }

    pub(super) fn faults(&self, provider: &str) -> Vec<SettingsFault> {
        let fault = |limit, rule| {
            let provider = provider.to_owned();
            SettingsFault::Limit { provider, limit, rule }
        };
        let times = [
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("idle_timeout_ms", self.idle_timeout_ms),
            ("total_timeout_ms", self.total_timeout_ms),
        ];
        let times = times.into_iter().filter(|(_, millis)| !(1..=DAY_MS).contains(millis));
        let times = times.map(|(limit, _)| fault(limit, "between 1 and 86400000"));
        let sizes = [
            ("body_bytes", self.body_bytes),
            ("default_output_tokens", self.default_output_tokens as usize),
        ];
        let sizes = sizes.into_iter().filter(|(_, size)| *size == 0);
        let sizes = sizes.map(|(limit, _)| fault(limit, "at least 1"));
        let pauses = [
            ("retry_pause_ms", self.retry_pause_ms),
            ("retry_pause_max_ms", self.retry_pause_max_ms),
            ("demo_pause_ms", self.demo_pause_ms),
        ];
        let pauses = pauses.into_iter().filter(|(_, millis)| DAY_MS < *millis);
        let pauses = pauses.map(|(limit, _)| fault(limit, "at most 86400000"));
        times.chain(sizes).chain(pauses).collect()
    }
}
