//! Calls the functions of a run's plugin.

use std::future::Future;
use std::sync::Arc;
use std::task::Poll;

use futures::{Stream, stream};
use stepmill_core::call::{FunctionAnswer, FunctionInput};
use stepmill_core::event::{RunEvent, StepFailure, StepIndex};
use stepmill_core::run::RunPin;
use stepmill_sandbox::{CallFailure, FunctionFailure, Listener};
use tokio::sync::mpsc::unbounded_channel;

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

    /// What the function tells on the way, and last what came of it.
    pub(super) fn listen(
        self,
        step: StepIndex,
        input: FunctionInput,
    ) -> impl Stream<Item = RunEvent> + Send {
        let (listener, mut told) = unbounded_channel();
        let mut call = Box::pin(async move { self.call(step, &input, Some(listener)).await });
        let mut outcome = None;
        let mut is_over = false;
        stream::poll_fn(move |waker| {
            // The call first: what it tells as it ends is told before its end.
            if !is_over && let Poll::Ready(event) = call.as_mut().poll(waker) {
                (outcome, is_over) = (Some(event), true);
            }
            match told.poll_recv(waker) {
                Poll::Ready(Some(progress)) => {
                    Poll::Ready(Some(RunEvent::FunctionProgress { step, progress }))
                }
                _ if is_over => Poll::Ready(outcome.take()),
                _ => Poll::Pending,
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
