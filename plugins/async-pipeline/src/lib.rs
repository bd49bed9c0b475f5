//! Steps fetched for each user: what the user has kept, else what an address or the operator's
//! configuration says, else an outline and a text.

use serde::Deserialize;
use stepmill_sdk::prelude::*;

/// One step as it is kept and configured.
#[derive(Deserialize)]
struct StepConfig {
    name: String,
    instructions: String,
}

/// What the steps of this user are. Each line may wait for the host, and needs no `await`.
///
/// * the value `steps/<user>` of the tenant's key-value data, or
/// * what the address `source` of the configuration answers, or
/// * the value `steps` of the configuration, or
/// * the two steps below.
fn fetch_pipeline_config(user_id: Option<&str>) -> Result<Vec<StepConfig>, FactoryError> {
    if let Some(user_id) = user_id
        && let Some(steps) = kv::json(&format!("steps/{user_id}"))?
    {
        return Ok(steps);
    }
    if let Some(url) = config::get("source")? {
        return Ok(http::get(url)?.success()?.json()?);
    }
    if let Some(steps) = config::json("steps")? {
        return Ok(steps);
    }
    let step = |name: &str, instructions: &str| StepConfig {
        name: name.to_owned(),
        instructions: instructions.to_owned(),
    };
    Ok(vec![step("outline", "Outline it."), step("write", "Write it.")])
}

fn build(ctx: &RequestContext) -> Result<Workflow, FactoryError> {
    let config = fetch_pipeline_config(ctx.user_id.as_deref())?;
    log::debug(format_args!("a pipeline of {} steps", config.len()));
    Ok(Workflow::new("Pipeline").steps(config.into_iter().map(|it| {
        let agent = Agent::new(&it.name, "gpt-5.4").instructions(it.instructions);
        Step::agent(it.name, agent)
    })))
}

fn factory() -> WorkflowFactory {
    WorkflowFactory::new("async-pipeline", build)
        .capability(Capability::Kv)
        .capability(Capability::Config)
        .capability(Capability::http("*.example.com"))
}

stepmill_sdk::export!(factory);

#[cfg(test)]
mod tests {
    use serde_json::json;
    use stepmill_sdk::testing::Call;

    use super::*;

    const SOURCE: &str = "https://pipelines.example.com/steps";

    fn steps(name: &str) -> String {
        json!([{ "name": name, "instructions": "Do it." }]).to_string()
    }

    fn names(call: &Call) -> Vec<String> {
        let workflow = call.build(&factory()).unwrap();
        workflow.steps.into_iter().map(|it| it.name).collect()
    }

    #[test]
    fn without_any_word_it_outlines_and_writes() {
        let agent = |name, text| Agent::new(name, "gpt-5.4").instructions(text);
        let expected = Workflow::new("Pipeline")
            .step(Step::agent("outline", agent("outline", "Outline it.")))
            .step(Step::agent("write", agent("write", "Write it.")));
        assert_eq!(Call::new().user("ada").build(&factory()), Ok(expected));
    }

    #[test]
    fn the_nearest_word_counts() {
        let mut call = Call::new().config("steps", steps("configured"));
        assert_eq!(names(&call), ["configured"]);
        call = call.config("source", SOURCE).answer(SOURCE, 200, steps("fetched"));
        assert_eq!(names(&call), ["fetched"]);
        call = call.kv("steps/ada", steps("kept"));
        assert_eq!(names(&call), ["fetched"]);
        assert_eq!(names(&call.user("ada")), ["kept"]);
    }

    #[test]
    fn what_cannot_be_read_is_not_the_callers_doing() {
        for call in [
            Call::new().config("steps", "no JSON"),
            Call::new().config("source", SOURCE),
            Call::new().config("source", SOURCE).answer(SOURCE, 503, ""),
            Call::new().config("source", "https://elsewhere.test/"),
            Call::new().user("ada").kv("steps/ada", "{}"),
        ] {
            let answer = call.build(&factory());
            assert!(matches!(answer, Err(FactoryError::Other(_))), "{answer:?}");
        }
    }
}
