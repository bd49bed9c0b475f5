//! Whether and when a failed try is made again.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

use super::Target;
use super::classify::FailedTry;
use crate::failure::ModelFailure;

/// The tries of one call, inside its deadline.
pub(super) struct Tries {
    pauses: ExponentialBackoff,
    longest: Duration,
    deadline: Instant,
    made: u32,
}

impl Tries {
    /// A call begins.
    pub(super) fn begin(target: &Target, deadline: Instant) -> Self {
        let longest = Duration::from_millis(target.limits.retry_pause_max_ms);
        let pauses = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(target.limits.retry_pause_ms))
            .with_max_delay(longest)
            .with_max_times(target.limits.retries as usize)
            .with_jitter()
            .build();
        Self { pauses, longest, deadline, made: 1 }
    }

    /// Waits until the next try is due.
    ///
    /// # Errors
    /// The failure itself, when there is no next try: it would fail the same way, all tries are
    /// made, or the wait is longer than allowed.
    pub(super) async fn pause(
        &mut self,
        target: &Target,
        tried: FailedTry,
    ) -> Result<(), ModelFailure> {
        let FailedTry { failure, retry_after } = tried;
        if !failure.may_pass() {
            return Err(failure);
        }
        let Some(pause) = self.pauses.next() else {
            return Err(failure);
        };
        let pause = pause.min(self.longest).max(retry_after.unwrap_or_default());
        if self.longest < pause || self.deadline <= Instant::now() + pause {
            return Err(failure);
        }
        tracing::warn!(
            provider = &*target.provider,
            status = failure.status(),
            code = failure.code().map(tracing::field::display),
            pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            made = self.made,
            "provider {}: {failure}; trying again",
            target.provider,
        );
        self.made += 1;
        tokio::time::sleep(pause).await;
        Ok(())
    }
}
