//! What agents and runs used, in tokens and seconds.

use serde::Serialize;
use stepmill_core::agent::ModelAnswer;
use stepmill_core::run::RunPin;
use stepmill_engine::{ModelCall, RunRecord, StepState};
use utoipa::ToSchema;

use super::shapes::{agent, step};

/// What one model used.
#[derive(Serialize, ToSchema, Clone, Copy)]
pub(super) struct Tokens {
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: u64,
}

impl Tokens {
    pub(super) fn of(answer: &ModelAnswer) -> Self {
        let usage = answer.usage;
        Self {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            total_tokens: usage.input_tokens.saturating_add(usage.output_tokens),
        }
    }
}

#[derive(Serialize, ToSchema)]
struct ModelMetrics<'a> {
    #[serde(flatten)]
    tokens: Tokens,
    id: &'a str,
    provider: &'a str,
}

#[derive(Serialize, ToSchema)]
struct ModelList<'a> {
    model: [ModelMetrics<'a>; 1],
}

/// What an agent used; times in seconds.
#[derive(Serialize, ToSchema)]
pub(super) struct AgentMetrics<'a> {
    #[serde(flatten)]
    tokens: Tokens,
    time_to_first_token: f64,
    duration: f64,
    details: ModelList<'a>,
}

impl<'a> AgentMetrics<'a> {
    pub(super) fn of(call: &'a ModelCall, answer: &ModelAnswer) -> Self {
        let tokens = Tokens::of(answer);
        let model = ModelMetrics { tokens, id: &call.model.model, provider: &call.model.api };
        Self {
            tokens,
            time_to_first_token: first_token(answer),
            duration: answer.duration_micros as f64 / 1e6,
            details: ModelList { model: [model] },
        }
    }
}

/// Seconds to the first piece of an answer; one that came whole came all at its end.
pub(super) fn first_token(answer: &ModelAnswer) -> f64 {
    answer.first_token_micros.unwrap_or(answer.duration_micros) as f64 / 1e6
}

#[derive(Serialize, ToSchema)]
struct StepMetrics<'a> {
    step_name: &'a str,
    executor_type: &'static str,
    executor_name: &'a str,
    metrics: AgentMetrics<'a>,
}

/// What a run used, by step; seconds.
#[derive(Serialize, ToSchema)]
pub(super) struct RunMetrics<'a> {
    #[serde(serialize_with = "as_map")]
    #[schema(value_type = std::collections::HashMap<String, StepMetrics>)]
    steps: Vec<(&'a str, StepMetrics<'a>)>,
    /// Null while the run goes on and there is nothing to measure yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    duration: Option<Option<f64>>,
}

fn as_map<S: serde::Serializer>(
    steps: &[(&str, StepMetrics<'_>)],
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_map(steps.iter().map(|(name, metrics)| (name, metrics)))
}

impl<'a> RunMetrics<'a> {
    pub(super) fn of(pin: &'a RunPin, record: &'a RunRecord) -> Self {
        let metrics = record.steps().iter().filter_map(|it| {
            let StepState::CompletedByModel(call, answer, _) = &it.state else { return None };
            Some(StepMetrics {
                step_name: step(pin, it.index)?.name.as_str(),
                executor_type: "agent",
                executor_name: &agent(pin, it.index)?.name,
                metrics: AgentMetrics::of(call, answer),
            })
        });
        let mut steps: Vec<(&str, StepMetrics<'_>)> = Vec::new();
        for it in metrics {
            // Of two steps of one name the later one's count.
            match steps.iter_mut().find(|(name, _)| *name == it.step_name) {
                Some((_, earlier)) => *earlier = it,
                None => steps.push((it.step_name, it)),
            }
        }
        let ended_at = record.ending().map(|it| match it {
            stepmill_engine::Ending::Completed(at) | stepmill_engine::Ending::Failed(at, _) => at,
        });
        let duration =
            ended_at.zip(record.started_at()).map(|(end, start)| Some(end.seconds_since(start)));
        Self { steps, duration }
    }

    /// As a stream tells the end of a run without steps: nothing was measured.
    pub(super) fn unmeasured(self) -> Self {
        Self { duration: Some(None), ..self }
    }
}
