//! `ctx-echo`: says what reached the factory, and what reached its step.

use serde_json::json;
use stepmill_sdk::MediaKind;
use stepmill_sdk::prelude::*;

use crate::{Context, python};

pub(crate) fn build(_: &Context) -> Result<Workflow, FactoryError> {
    Ok(Workflow::new("Ctx Echo").step(Step::function("echo", "echo")))
}

pub(crate) fn echo(ctx: &Context, input: StepInput) -> Result<StepOutput, StepError> {
    let run = &input.run;
    let seen = json!({
        "user_id": ctx.user_id,
        "session_id": ctx.session_id,
        "input": ctx.input.value(),
        "input_type": ctx.input.python_type(),
        "claims": ctx.trusted.claims,
        "scopes": ctx.trusted.scopes,
        // What the recorded server hands over is FastAPI's class of this name.
        "request_type": "Request",
        "request_path": ctx.request.path,
        "request_method": ctx.request.method,
        "run_user_id": run.user_id,
        "run_session_state": run.session_state,
        "run_dependencies": run.dependencies,
        "run_metadata": run.metadata,
        "images": run.media_of(MediaKind::Image).count(),
        "files": run.media_of(MediaKind::File).count(),
        "additional_data": run.additional_data.as_deref().map(said),
    });
    Ok(StepOutput::new(python::dumps(&seen)))
}

/// What the recorded server hands over of a field it does not know: a few words are values.
fn said(text: &str) -> serde_json::Value {
    match text.to_ascii_lowercase().as_str() {
        "true" => true.into(),
        "false" => false.into(),
        "null" | "none" => serde_json::Value::Null,
        _ => text.into(),
    }
}
