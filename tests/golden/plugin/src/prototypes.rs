//! The recorded workflows that no factory makes, as far as they are sequences.

use serde_json::{Value, json};
use stepmill_sdk::MediaKind;
use stepmill_sdk::prelude::*;

use crate::factories::agent;
use crate::{Context, Mirror, python};

/// The workflow of this id.
pub(crate) fn find(id: &str) -> Option<Mirror> {
    Some(match id {
        "prototype" => Mirror::prototype("Prototype", prototype)
            .description("A non-factory workflow")
            .function("<lambda>", second),
        "failing-default" => Mirror::prototype("Failing Default", failing_default)
            .function("explode", explode)
            .function("after", wrap),
        "failing-fail" => Mirror::prototype("Failing Fail", failing_fail)
            .function("ok", wrap)
            .function("explode", explode)
            .function("after", wrap),
        "failing-skip" => Mirror::prototype("Failing Skip", failing_skip)
            .function("explode", explode)
            .function("after", wrap),
        "failing-model" => Mirror::prototype("Failing Model", failing_model),
        "typed-input" => Mirror::prototype("Typed Input", typed_input).function("<lambda>", show),
        "stateful" => Mirror::prototype("Stateful", stateful).function("bump", bump),
        "history" => Mirror::prototype("History", history),
        "progress" => Mirror::prototype("Progress", tells_progress)
            .function("progress_gen", half_way_and_done),
        "early-stop" => Mirror::prototype("Early Stop", early_stop)
            .function("<lambda>", |_, _| Ok(StepOutput::new("stopping").stop()))
            .function("s2", wrap),
        "media" => Mirror::prototype("Media", media).function("<lambda>", count_media),
        "slow-proto" => Mirror::prototype("Slow Proto", slow_proto),
        "no-db" => Mirror::prototype("No DB", no_db).function("only", wrap),
        "same-names" => Mirror::prototype("Same Names", same_names),
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

fn half_way_and_done(_: &Context, _: StepInput) -> Result<StepOutput, StepError> {
    let data = JsonObject::from_iter([("pct".to_owned(), json!(50))]);
    progress::tell_with("half way", data).map_err(|it| StepError::new(it.to_string()))?;
    Ok(StepOutput::new("progress done"))
}

fn second(_: &Context, input: StepInput) -> Result<StepOutput, StepError> {
    let seen = input.previous.unwrap_or_else(|| "None".to_owned());
    Ok(StepOutput::new(format!("second saw: {seen}")))
}

/// The message as Python shows the model it was read into.
fn show(_: &Context, input: StepInput) -> Result<StepOutput, StepError> {
    let message: Value =
        serde_json::from_str(&input.message).map_err(|it| StepError::new(it.to_string()))?;
    let topic = message["topic"].as_str().unwrap_or_default();
    let count = match &message["count"] {
        Value::Null => "1".to_owned(),
        Value::String(it) => it.clone(),
        it => it.to_string(),
    };
    Ok(StepOutput::new(format!("TopicInput: topic={} count={count}", python::repr(topic))))
}

/// Counts in the session's state.
fn bump(_: &Context, input: StepInput) -> Result<StepOutput, StepError> {
    let mut state = input.run.session_state;
    let next = match state.get("n") {
        None => json!(1),
        Some(n) => match (n.as_i64().and_then(|it| it.checked_add(1)), n.as_f64()) {
            (Some(next), _) => json!(next),
            (None, Some(n)) => json!(n + 1.0),
            (None, None) => return Err(StepError::new("the state's n is no number")),
        },
    };
    state.insert("n".to_owned(), next.clone());
    Ok(StepOutput::new(format!("n={}", python::dumps(&next))).session_state(state))
}

fn count_media(_: &Context, input: StepInput) -> Result<StepOutput, StepError> {
    let count = |kind| input.run.media_of(kind).count();
    Ok(StepOutput::new(format!(
        "images={} files={} audio={} videos={}",
        count(MediaKind::Image),
        count(MediaKind::File),
        count(MediaKind::Audio),
        count(MediaKind::Video)
    )))
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
        .step(Step::function("bad", "explode").retries(3))
        .step(Step::function("after", "after")))
}

fn failing_fail(_: &Context) -> Result<Workflow, FactoryError> {
    Ok(Workflow::new("Failing Fail")
        .step(Step::function("ok", "ok"))
        .step(Step::function("bad", "explode").retries(1))
        .step(Step::function("after", "after")))
}

fn failing_skip(_: &Context) -> Result<Workflow, FactoryError> {
    Ok(Workflow::new("Failing Skip")
        .step(Step::function("bad", "explode").may_fail())
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

fn typed_input(_: &Context) -> Result<Workflow, FactoryError> {
    Ok(Workflow::new("Typed Input").step(Step::function("show", "<lambda>")))
}

fn stateful(_: &Context) -> Result<Workflow, FactoryError> {
    let state = JsonObject::from_iter([("n".to_owned(), json!(10))]);
    Ok(Workflow::new("Stateful").session_state(state).step(Step::function("bump", "bump")))
}

/// Of three runs, because a step's own number counts, which is three unless it is set.
fn history(_: &Context) -> Result<Workflow, FactoryError> {
    let step = Step::agent("h", agent("H", "gpt-5.4", "Hist."));
    Ok(Workflow::new("History").step(step).history(3))
}

fn tells_progress(_: &Context) -> Result<Workflow, FactoryError> {
    Ok(Workflow::new("Progress").step(Step::function("p", "progress_gen")))
}

fn media(_: &Context) -> Result<Workflow, FactoryError> {
    Ok(Workflow::new("Media").step(Step::function("m", "<lambda>")))
}

fn slow_proto(_: &Context) -> Result<Workflow, FactoryError> {
    Ok(Workflow::new("Slow Proto")
        .step(Step::agent("one", agent("One", "gpt-5.4-delay1500", "One.")))
        .step(Step::agent("two", agent("Two", "gpt-5.4-chunk150", "Two."))))
}

fn no_db(_: &Context) -> Result<Workflow, FactoryError> {
    Ok(Workflow::new("No DB").step(Step::function("only", "only")))
}

fn same_names(_: &Context) -> Result<Workflow, FactoryError> {
    Ok(Workflow::new("Same Names")
        .step(Step::agent("dup", agent("D1", "gpt-5.4", "One.")))
        .step(Step::agent("dup", agent("D2", "gpt-5.4", "Two."))))
}
