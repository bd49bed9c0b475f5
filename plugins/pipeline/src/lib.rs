//! Steps by what the client asks: the host checks the input against the schema first.

use schemars::JsonSchema;
use serde::Deserialize;
use stepmill_sdk::prelude::*;

#[derive(Deserialize, JsonSchema, Default)]
#[serde(default)]
struct PipelineConfig {
    include_research: bool,
}

fn build(ctx: &RequestContext<PipelineConfig>) -> Workflow {
    let researcher = Agent::new("Researcher", "gpt-5.4").instructions("Research the topic.");
    let drafter = Agent::new("Drafter", "gpt-5.4").instructions("Draft the article.");
    let editor = Agent::new("Editor", "gpt-5.4").instructions("Edit the article.");

    let mut workflow = Workflow::new("Pipeline");
    if ctx.input.include_research {
        workflow = workflow.step(Step::agent("research", researcher));
    }
    workflow.step(Step::agent("draft", drafter)).step(Step::agent("edit", editor))
}

fn factory() -> WorkflowFactory<PipelineConfig> {
    WorkflowFactory::new("pipeline", build)
}

stepmill_sdk::export!(factory);

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use stepmill_sdk::{Input, testing::Call};

    use super::*;

    fn steps(call: Call) -> Vec<String> {
        let workflow = call.build(&factory()).unwrap();
        workflow.steps.into_iter().map(|it| it.name).collect()
    }

    #[test]
    fn research_is_done_for_those_who_ask() {
        assert_eq!(steps(Call::new()), ["draft", "edit"]);
        assert_eq!(steps(Call::new().input(json!({}))), ["draft", "edit"]);
        let call = Call::new().input(json!({ "include_research": true }));
        assert_eq!(steps(call), ["research", "draft", "edit"]);
    }

    #[test]
    fn the_schema_is_the_type() {
        let schema: Value = serde_json::from_str(&PipelineConfig::schema().unwrap()).unwrap();
        let expected = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "PipelineConfig",
            "type": "object",
            "properties": { "include_research": { "type": "boolean", "default": false } },
        });
        assert_eq!(schema, expected);
    }
}
