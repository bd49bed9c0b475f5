//! Remembers in the session: a function step that counts its runs, and says what came with the message.

use serde_json::{Value, json};
use stepmill_sdk::prelude::*;
use stepmill_sdk::{Media, MediaKind};

fn build(_ctx: &RequestContext) -> Workflow {
    // What a new session begins with.
    let state = JsonObject::from_iter([("visits".to_owned(), json!(0))]);
    Workflow::new("Memory").session_state(state).step(Step::function("remember", "remember"))
}

fn remember(_ctx: &RequestContext, input: StepInput) -> StepOutput {
    let run = input.run;
    let media: Vec<_> = run.media.iter().map(sight).collect();
    let seen = json!({
        "state": run.session_state,
        "metadata": run.metadata,
        "dependencies": run.dependencies,
        "additional_data": run.additional_data,
        "media": media,
    });
    let mut state = run.session_state;
    let visits = state.get("visits").and_then(Value::as_u64).unwrap_or_default();
    state.insert("visits".to_owned(), json!(visits.saturating_add(1)));
    StepOutput::new(seen.to_string()).session_state(state)
}

/// Media in a few words.
fn sight(media: &Media) -> Value {
    let kind = match media.kind {
        MediaKind::Image => "image",
        MediaKind::Audio => "audio",
        MediaKind::Video => "video",
        MediaKind::File => "file",
    };
    let bytes = media.content.as_ref().map(Vec::len);
    json!({ "kind": kind, "bytes": bytes, "url": media.url, "mime_type": media.mime_type })
}

fn factory() -> WorkflowFactory {
    WorkflowFactory::new("memory", build).name("Memory").function("remember", remember)
}

stepmill_sdk::export!(factory);

#[cfg(test)]
mod tests {
    use stepmill_sdk::testing::Call;

    use super::*;

    #[test]
    fn it_counts_in_the_session() {
        let workflow = Call::new().build(&factory()).unwrap();
        let expected = JsonObject::from_iter([("visits".into(), json!(0))]);
        assert_eq!(workflow.session_state, Some(expected));
        let mut input = StepInput::new("remember", "hello");
        input.run.session_state = JsonObject::from_iter([("visits".into(), json!(4))]);
        let output = Call::new().run(&factory(), input).unwrap();
        let expected = JsonObject::from_iter([("visits".into(), json!(5))]);
        assert_eq!(output.session_state, Some(expected));
    }
}
