//! Asking for a whole answer.

use stepmill_core::agent::ModelAnswer;
use stepmill_core::call::ModelRequest;
use tokio::time::{Instant, timeout_at};

use super::Target;
use super::answer::{Times, answer_of};
use super::classify::FailedTry;
use super::retry::Tries;
use crate::failure::{ModelFailure, TimeLimit};

/// One call: tries until one succeeds, fails for good, or the deadline passes.
pub(super) async fn whole(
    target: &Target,
    request: &ModelRequest,
) -> Result<ModelAnswer, ModelFailure> {
    let deadline = Instant::now() + target.limits.total_timeout();
    let tries = async {
        let times = Times::begin();
        let mut tries = Tries::begin(target, deadline);
        loop {
            match one_try(target, request, times).await {
                Ok(answer) => return Ok(answer),
                Err(tried) => tries.pause(target, tried).await?,
            }
        }
    };
    let timed_out = ModelFailure::TimedOut { limit: TimeLimit::Total };
    timeout_at(deadline, tries).await.unwrap_or(Err(timed_out))
}

async fn one_try(
    target: &Target,
    request: &ModelRequest,
    times: Times,
) -> Result<ModelAnswer, FailedTry> {
    let response = target.model.call(request).await?;
    let text = response.text();
    Ok(answer_of(&response, text, times)?)
}
