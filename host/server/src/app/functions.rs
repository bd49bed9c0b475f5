//! Calls the functions of a run's plugin.

use std::future::{Future, pending};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::task::Poll;

use futures::{Stream, stream};
use stepmill_core::call::{FunctionAnswer, FunctionInput};
use stepmill_core::event::{Progress, RunEvent, StepFailure, StepIndex};
use stepmill_core::run::RunPin;
use stepmill_sandbox::{CallFailure, FunctionFailure, Listener};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_util::task::AbortOnDropHandle;

use super::catalog::Factory;
use super::driver::pause;
use super::wiring::App;

/// How often a function step asks for a seat in the sandbox. Each try waits in the sandbox's own
/// queue (two seconds by default), so that a step waits for about a minute.
const SEAT_TRIES: u32 = 30;

/// Calls for one run.
pub(super) struct FunctionCaller {
    app: App,
    pin: Arc<RunPin>,
    factory: Option<Arc<Factory>>,
}

impl FunctionCaller {
    pub(super) fn new(app: &App, pin: &Arc<RunPin>, factory: Option<&Arc<Factory>>) -> Self {
        Self { app: app.clone(), pin: pin.clone(), factory: factory.cloned() }
    }

    /// What the function tells on the way, and last what came of it. The function works on while
    /// nobody asks for the next: the database may be away for longer than its deadline, and what is
    /// told waits for that. Dropping the stream ends the function.
    pub(super) fn listen(
        self,
        step: StepIndex,
        input: FunctionInput,
    ) -> impl Stream<Item = RunEvent> + Send {
        let (listener, told) = unbounded_channel();
        let app = self.app.clone();
        let tenant = self.pin.context.tenant.clone();
        let call = async move { self.call(step, &input, Some(listener)).await };
        let call = app.sandbox.in_turn(tenant.as_str(), call);
        let call = AbortOnDropHandle::new(app.tasks.spawn(call));
        told_first(step, told, async move {
            match call.await {
                Ok(outcome) => outcome,
                Err(fault) => match fault.try_into_panic() {
                    Ok(panic) => resume_unwind(panic),
                    // The host goes down under it: the run is left to the next start.
                    Err(_) => pending().await,
                },
            }
        })
    }

    /// What comes of a call.
    pub(super) async fn call(
        &self,
        step: StepIndex,
        input: &FunctionInput,
        listener: Option<Listener>,
    ) -> RunEvent {
        let Some(factory) = &self.factory else {
            return RunEvent::TryFailed { step, failure: StepFailure::PluginMissing };
        };
        let context = &self.pin.context;
        let mut tries = 0;
        let failure = loop {
            let site = self.app.call_site(&context.tenant, &self.pin.workflow, factory);
            let site = match &listener {
                Some(listener) => site.heard(listener.clone()),
                None => site,
            };
            match factory.plugin.run_function(site, context, input).await {
                Ok(answer) => return self.taken(step, answer),
                // Nothing was called: there was no seat. The run was accepted, so it waits.
                Err(FunctionFailure::Call(CallFailure::Busy | CallFailure::ShareBusy))
                    if tries < SEAT_TRIES =>
                {
                    tries += 1;
                    pause(0).await;
                }
                Err(failure) => break failure,
            }
        };
        let run = self.pin.id;
        let failure = match failure {
            FunctionFailure::Reported(text) => {
                tracing::warn!(run.id = %run, step = step.0, "a function of run {run} reported an error");
                tracing::debug!(run.id = %run, step = step.0, text, "what the function reported");
                StepFailure::FunctionFailed
            }
            FunctionFailure::Call(failure) => {
                let cause = failure.step_failure();
                tracing::warn!(run.id = %run, step = step.0, %failure, "a function of run {run} stopped");
                let failure = &failure as &dyn std::error::Error;
                tracing::debug!(run.id = %run, step = step.0, failure, "why it stopped");
                cause
            }
        };
        RunEvent::TryFailed { step, failure }
    }

    /// A function's answer, unless it makes more of the session's state than may be kept.
    fn taken(&self, step: StepIndex, answer: FunctionAnswer) -> RunEvent {
        let FunctionAnswer { output, session_state } = answer;
        match session_state.as_ref().map_or(Ok(()), |it| self.app.check_state(it)) {
            Ok(()) => RunEvent::FunctionAnswered { step, output, session_state },
            Err(_) => RunEvent::TryFailed { step, failure: StepFailure::PluginOverLimit },
        }
    }
}

/// What is told, as it is told, and last what came of the call. What was told before the call ended
/// comes before its end.
fn told_first(
    step: StepIndex,
    mut told: UnboundedReceiver<Progress>,
    call: impl Future<Output = RunEvent> + Send,
) -> impl Stream<Item = RunEvent> + Send {
    let mut call = Box::pin(call);
    let mut outcome = None;
    let mut is_over = false;
    let event = move |progress| RunEvent::FunctionProgress { step, progress };
    stream::poll_fn(move |waker| {
        if !is_over && let Poll::Ready(event) = call.as_mut().poll(waker) {
            (outcome, is_over) = (Some(event), true);
        }
        if is_over {
            // Not polled: that is pending, too, where a task has been busy for long.
            return Poll::Ready(told.try_recv().ok().map(event).or_else(|| outcome.take()));
        }
        match told.poll_recv(waker) {
            Poll::Ready(Some(progress)) => Poll::Ready(Some(event(progress))),
            _ => Poll::Pending,
        }
    })
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    #[tokio::test]
    async fn all_that_was_told_comes_before_the_end() {
        // More than a task is given at once.
        const MANY: usize = 1_000;
        let (listener, told) = unbounded_channel();
        let end = RunEvent::TryFailed { step: StepIndex(0), failure: StepFailure::FunctionFailed };
        let outcome = end.clone();
        let call = async move {
            for _ in 0..MANY {
                listener.send(Progress::default()).unwrap();
            }
            outcome
        };
        let heard: Vec<_> = told_first(StepIndex(0), told, call).collect().await;
        assert_eq!(heard.len(), MANY + 1);
        assert_eq!(heard.last(), Some(&end));
    }

    #[tokio::test]
    async fn what_is_told_is_heard_while_the_call_goes_on() {
        let (listener, told) = unbounded_channel();
        let call = async move {
            listener.send(Progress::default()).unwrap();
            pending().await
        };
        let mut heard = told_first(StepIndex(0), told, call);
        assert!(matches!(heard.next().await, Some(RunEvent::FunctionProgress { .. })));
    }
}
