//! The stored form of an event.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stepmill_core::agent::{AnswerMark, ModelAnswer, Usage};
use stepmill_core::event::{ModelIdentity, Progress, RunEvent, StepFailure, StepIndex, StepOutput};

use super::{V1, parse, text};
use crate::error::StoreError;

const WHAT: &str = "an event";

#[derive(Serialize)]
pub(super) struct EventForm<'a> {
    v: V1,
    #[serde(flatten)]
    kind: KindForm<'a>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum KindForm<'a> {
    RunStarted,
    RunResumed,
    StepStarted(PlaceForm),
    ModelCalled(CallForm<'a>),
    ModelBegan(BeginningForm<'a>),
    ModelDelta(PieceForm<'a>),
    ModelAnswered(AnsweredForm<'a>),
    FunctionCalled(PlaceForm),
    FunctionProgress(ProgressForm<'a>),
    FunctionAnswered(ResultForm<'a>),
    StepCompleted(CompletedForm<'a>),
    TryFailed(FailedForm<'a>),
    StepSkipped(SkippedForm<'a>),
    StepFailed(FailedForm<'a>),
    RunCompleted,
    RunFailed(EndForm<'a>),
}

/// What tells which form the rest has. Serde would read the kind with the rest, and hold all of it twice.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "v")]
    _v: V1,
    kind: String,
}

#[derive(Serialize, Deserialize)]
struct PlaceForm {
    step: u32,
}

#[derive(Serialize, Deserialize)]
struct CallForm<'a> {
    step: u32,
    call: Cow<'a, str>,
    model: ModelForm<'a>,
}

#[derive(Serialize, Deserialize)]
struct BeginningForm<'a> {
    step: u32,
    response_id: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    system_fingerprint: Option<Cow<'a, str>>,
}

#[derive(Serialize, Deserialize)]
struct PieceForm<'a> {
    step: u32,
    text: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct AnsweredForm<'a> {
    step: u32,
    answer: AnswerForm<'a>,
}

#[derive(Serialize, Deserialize)]
struct ProgressForm<'a> {
    step: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Cow<'a, Map<String, Value>>>,
}

#[derive(Serialize, Deserialize)]
struct ResultForm<'a> {
    step: u32,
    output: OutputForm<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session_state: Option<Cow<'a, Map<String, Value>>>,
}

#[derive(Serialize, Deserialize)]
struct CompletedForm<'a> {
    step: u32,
    output: OutputForm<'a>,
}

#[derive(Serialize, Deserialize)]
struct FailedForm<'a> {
    step: u32,
    failure: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct SkippedForm<'a> {
    step: u32,
    failure: Cow<'a, str>,
    output: OutputForm<'a>,
}

#[derive(Serialize, Deserialize)]
struct EndForm<'a> {
    failure: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct ModelForm<'a> {
    model: Cow<'a, str>,
    vendor: Cow<'a, str>,
    api: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct OutputForm<'a> {
    content: Cow<'a, str>,
    stop: bool,
}

#[derive(Serialize, Deserialize)]
struct AnswerForm<'a> {
    content: Cow<'a, str>,
    usage: UsageForm,
    response_id: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    system_fingerprint: Option<Cow<'a, str>>,
    first_token_micros: Option<u64>,
    duration_micros: u64,
}

#[derive(Serialize, Deserialize)]
struct UsageForm {
    input_tokens: u64,
    output_tokens: u64,
    reasoning_tokens: u64,
    cache_read_tokens: u64,
    cache_write_tokens: u64,
}

/// The word of the column `kind`; the same as in the form.
pub(crate) fn kind(event: &RunEvent) -> &'static str {
    match event {
        RunEvent::RunStarted => "run_started",
        RunEvent::RunResumed => "run_resumed",
        RunEvent::StepStarted { .. } => "step_started",
        RunEvent::ModelCalled { .. } => "model_called",
        RunEvent::ModelBegan { .. } => "model_began",
        RunEvent::ModelDelta { .. } => "model_delta",
        RunEvent::ModelAnswered { .. } => "model_answered",
        RunEvent::FunctionCalled { .. } => "function_called",
        RunEvent::FunctionProgress { .. } => "function_progress",
        RunEvent::FunctionAnswered { .. } => "function_answered",
        RunEvent::StepCompleted { .. } => "step_completed",
        RunEvent::TryFailed { .. } => "try_failed",
        RunEvent::StepSkipped { .. } => "step_skipped",
        RunEvent::StepFailed { .. } => "step_failed",
        RunEvent::RunCompleted => "run_completed",
        RunEvent::RunFailed { .. } => "run_failed",
    }
}

pub(crate) fn write(event: &RunEvent) -> String {
    text(&form(event))
}

pub(super) fn form(event: &RunEvent) -> EventForm<'_> {
    let place = |step: &StepIndex| PlaceForm { step: step.0 };
    let kind = match event {
        RunEvent::RunStarted => KindForm::RunStarted,
        RunEvent::RunResumed => KindForm::RunResumed,
        RunEvent::StepStarted { step } => KindForm::StepStarted(place(step)),
        RunEvent::ModelCalled { step, call, model } => KindForm::ModelCalled(CallForm {
            step: step.0,
            call: call.to_string().into(),
            model: ModelForm {
                model: model.model.as_str().into(),
                vendor: model.vendor.as_str().into(),
                api: model.api.as_str().into(),
            },
        }),
        RunEvent::ModelBegan { step, mark } => KindForm::ModelBegan(BeginningForm {
            step: step.0,
            response_id: mark.response_id.as_deref().map(Cow::from),
            system_fingerprint: mark.system_fingerprint.as_deref().map(Cow::from),
        }),
        RunEvent::ModelDelta { step, text } => {
            KindForm::ModelDelta(PieceForm { step: step.0, text: text.as_str().into() })
        }
        RunEvent::ModelAnswered { step, answer } => {
            KindForm::ModelAnswered(AnsweredForm { step: step.0, answer: answer_form(answer) })
        }
        RunEvent::FunctionCalled { step } => KindForm::FunctionCalled(place(step)),
        RunEvent::FunctionProgress { step, progress } => KindForm::FunctionProgress(ProgressForm {
            step: step.0,
            content: progress.content.as_deref().map(Cow::from),
            data: progress.data.as_ref().map(Cow::Borrowed),
        }),
        RunEvent::FunctionAnswered { step, output, session_state } => {
            KindForm::FunctionAnswered(ResultForm {
                step: step.0,
                output: output_form(output),
                session_state: session_state.as_ref().map(Cow::Borrowed),
            })
        }
        RunEvent::StepCompleted { step, output } => {
            KindForm::StepCompleted(CompletedForm { step: step.0, output: output_form(output) })
        }
        RunEvent::TryFailed { step, failure } => {
            KindForm::TryFailed(FailedForm { step: step.0, failure: failure.code().into() })
        }
        RunEvent::StepSkipped { step, failure, output } => KindForm::StepSkipped(SkippedForm {
            step: step.0,
            failure: failure.code().into(),
            output: output_form(output),
        }),
        RunEvent::StepFailed { step, failure } => {
            KindForm::StepFailed(FailedForm { step: step.0, failure: failure.code().into() })
        }
        RunEvent::RunCompleted => KindForm::RunCompleted,
        RunEvent::RunFailed { failure } => {
            KindForm::RunFailed(EndForm { failure: failure.code().into() })
        }
    };
    EventForm { v: V1, kind }
}

fn output_form(output: &StepOutput) -> OutputForm<'_> {
    OutputForm { content: output.content.as_str().into(), stop: output.stop }
}

fn answer_form(answer: &ModelAnswer) -> AnswerForm<'_> {
    AnswerForm {
        content: answer.content.as_str().into(),
        usage: UsageForm {
            input_tokens: answer.usage.input_tokens,
            output_tokens: answer.usage.output_tokens,
            reasoning_tokens: answer.usage.reasoning_tokens,
            cache_read_tokens: answer.usage.cache_read_tokens,
            cache_write_tokens: answer.usage.cache_write_tokens,
        },
        response_id: answer.mark.response_id.as_deref().map(Cow::from),
        system_fingerprint: answer.mark.system_fingerprint.as_deref().map(Cow::from),
        first_token_micros: answer.first_token_micros,
        duration_micros: answer.duration_micros,
    }
}

pub(crate) fn read(text: &str) -> Result<RunEvent, StoreError> {
    Ok(match &*kind_in(text)? {
        "run_started" => parse(WHAT, text).map(|_: Head| RunEvent::RunStarted)?,
        "run_resumed" => parse(WHAT, text).map(|_: Head| RunEvent::RunResumed)?,
        "step_started" => RunEvent::StepStarted { step: place(text)? },
        "model_called" => {
            let CallForm { step, call, model } = parse(WHAT, text)?;
            let unnamed = |_| StoreError::unreadable("the name of a model call");
            RunEvent::ModelCalled {
                step: StepIndex(step),
                call: call.parse().map_err(unnamed)?,
                model: ModelIdentity {
                    model: model.model.into_owned(),
                    vendor: model.vendor.into_owned(),
                    api: model.api.into_owned(),
                },
            }
        }
        "model_began" => {
            let BeginningForm { step, response_id, system_fingerprint } = parse(WHAT, text)?;
            let mark = mark(response_id, system_fingerprint);
            RunEvent::ModelBegan { step: StepIndex(step), mark }
        }
        "model_delta" => {
            let PieceForm { step, text } = parse(WHAT, text)?;
            RunEvent::ModelDelta { step: StepIndex(step), text: text.into_owned() }
        }
        "model_answered" => {
            let AnsweredForm { step, answer: form } = parse(WHAT, text)?;
            RunEvent::ModelAnswered { step: StepIndex(step), answer: answer(form) }
        }
        "function_called" => RunEvent::FunctionCalled { step: place(text)? },
        "function_progress" => {
            let ProgressForm { step, content, data } = parse(WHAT, text)?;
            let progress =
                Progress { content: content.map(Cow::into_owned), data: data.map(Cow::into_owned) };
            RunEvent::FunctionProgress { step: StepIndex(step), progress }
        }
        "function_answered" => {
            let ResultForm { step, output: form, session_state } = parse(WHAT, text)?;
            RunEvent::FunctionAnswered {
                step: StepIndex(step),
                output: output(form),
                session_state: session_state.map(Cow::into_owned),
            }
        }
        "step_completed" => {
            let CompletedForm { step, output: form } = parse(WHAT, text)?;
            RunEvent::StepCompleted { step: StepIndex(step), output: output(form) }
        }
        "try_failed" => {
            let (step, failure) = failed(text)?;
            RunEvent::TryFailed { step, failure }
        }
        "step_skipped" => {
            let SkippedForm { step, failure: code, output: form } = parse(WHAT, text)?;
            let (step, failure) = (StepIndex(step), failure(&code)?);
            RunEvent::StepSkipped { step, failure, output: output(form) }
        }
        "step_failed" => {
            let (step, failure) = failed(text)?;
            RunEvent::StepFailed { step, failure }
        }
        "run_completed" => parse(WHAT, text).map(|_: Head| RunEvent::RunCompleted)?,
        "run_failed" => {
            let EndForm { failure: code } = parse(WHAT, text)?;
            RunEvent::RunFailed { failure: failure(&code)? }
        }
        _ => return Err(StoreError::unreadable("an event of an unknown kind")),
    })
}

fn kind_in(text: &str) -> Result<Cow<'_, str>, StoreError> {
    // So it is written; fields that somebody put in another order are read one by one.
    let written = text.strip_prefix("{\"v\":1,\"kind\":\"").and_then(|it| it.split_once('"'));
    match written {
        Some((kind, _)) => Ok(kind.into()),
        None => parse(WHAT, text).map(|it: Head| it.kind.into()),
    }
}

fn place(text: &str) -> Result<StepIndex, StoreError> {
    let PlaceForm { step } = parse(WHAT, text)?;
    Ok(StepIndex(step))
}

/// How a finished step's content begins, by the beginning of the event's text: fields are written
/// in the form's order, and the content is the first that is not the host's own.
pub(crate) fn content_beginning(text: &str) -> Result<String, StoreError> {
    let content = text.split_once("\"content\":").and_then(|it| super::beginning(it.1));
    content.ok_or_else(|| StoreError::unreadable("the beginning of a step's content"))
}

fn failure(code: &str) -> Result<StepFailure, StoreError> {
    StepFailure::of_code(code)
        .ok_or_else(|| StoreError::unreadable("an event with an unknown failure"))
}

fn failed(text: &str) -> Result<(StepIndex, StepFailure), StoreError> {
    let FailedForm { step, failure: code } = parse(WHAT, text)?;
    Ok((StepIndex(step), failure(&code)?))
}

fn output(form: OutputForm<'_>) -> StepOutput {
    StepOutput { content: form.content.into_owned(), stop: form.stop }
}

fn mark(response_id: Option<Cow<'_, str>>, system_fingerprint: Option<Cow<'_, str>>) -> AnswerMark {
    AnswerMark {
        response_id: response_id.map(Cow::into_owned),
        system_fingerprint: system_fingerprint.map(Cow::into_owned),
    }
}

fn answer(form: AnswerForm<'_>) -> ModelAnswer {
    ModelAnswer {
        content: form.content.into_owned(),
        usage: Usage {
            input_tokens: form.usage.input_tokens,
            output_tokens: form.usage.output_tokens,
            reasoning_tokens: form.usage.reasoning_tokens,
            cache_read_tokens: form.usage.cache_read_tokens,
            cache_write_tokens: form.usage.cache_write_tokens,
        },
        mark: mark(form.response_id, form.system_fingerprint),
        first_token_micros: form.first_token_micros,
        duration_micros: form.duration_micros,
    }
}
