//! The recorded workflows that no factory makes, as far as they are sequences.

use stepmill_sdk::prelude::*;

use crate::factories::agent;
use crate::{Context, Mirror};

/// The workflow of this id.
pub(crate) fn find(id: &str) -> Option<Mirror> {
    let sequence = |build| Mirror::new(build);
    Some(match id {
        "prototype" => sequence(prototype)
            .name("Prototype")
            .description("A non-factory workflow")
            .function("<lambda>", |_, input| {
                let seen = input.previous.unwrap_or_else(|| "None".to_owned());
                Ok(StepOutput::new(format!("second saw: {seen}")))
            }),
        "failing-default" => sequence(failing_default)
            .name("Failing Default")
            .function("explode", explode)
            .function("after", wrap),
        "failing-fail" => sequence(failing_fail)
            .name("Failing Fail")
            .function("ok", wrap)
            .function("explode", explode)
            .function("after", wrap),
        "failing-model" => sequence(failing_model).name("Failing Model"),
        "early-stop" => sequence(early_stop)
            .name("Early Stop")
            .function("<lambda>", |_, _| Ok(StepOutput::new("stopping").stop()))
            .function("s2", wrap),
        "slow-proto" => sequence(slow_proto).name("Slow Proto"),
        _ => return None,
    })
}

/// Puts the function's name around what it got.
fn wrap(_: &Context, input: StepInput) -> Result<StepOutput, StepError> {
    let previous = input.previous.filter(|it| !it.is_empty());
    let seen = previous.as_ref().unwrap_or(&input.message);
    Ok(StepOutput::new(format!("{}({seen})", input.function.name)))
}

fn explode(_: &Context, _: StepInput) -> Result<StepOutput, StepError> {
    Err(StepError::new("step blew up: token=sk-secret"))
}

fn prototype(_: &Context) -> Result<Workflow, FactoryError> {
    let model = Model::new("gpt-4.1-mini").provider("openai-chat");
    let first = Agent::new("First", model).instructions("Be first.");
    Ok(Workflow::new("Prototype")
        .description("A non-factory workflow")
        .step(Step::agent("first", first).description("First step"))
        .step(Step::function("second", "<lambda>")))
}

fn failing_default(_: &Context) -> Result<Workflow, FactoryError> {
    Ok(Workflow::new("Failing Default")
        .step(Step::function("bad", "explode"))
        .step(Step::function("after", "after")))
}

fn failing_fail(_: &Context) -> Result<Workflow, FactoryError> {
    Ok(Workflow::new("Failing Fail")
        .step(Step::function("ok", "ok"))
        .step(Step::function("bad", "explode"))
        .step(Step::function("after", "after")))
}

fn failing_model(_: &Context) -> Result<Workflow, FactoryError> {
    Ok(Workflow::new("Failing Model").step(Step::agent("llm", agent("LLM", "gpt-5.4-fail", "x"))))
}

fn early_stop(_: &Context) -> Result<Workflow, FactoryError> {
    Ok(Workflow::new("Early Stop")
        .step(Step::function("s1", "<lambda>"))
        .step(Step::function("s2", "s2")))
}

fn slow_proto(_: &Context) -> Result<Workflow, FactoryError> {
    Ok(Workflow::new("Slow Proto")
        .step(Step::agent("one", agent("One", "gpt-5.4-delay1500", "One.")))
        .step(Step::agent("two", agent("Two", "gpt-5.4-chunk150", "Two."))))
}
