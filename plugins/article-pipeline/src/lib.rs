//! Steps and model by the tier in the token: only an enterprise caller has its topic researched.

use serde::Deserialize;
use stepmill_sdk::prelude::*;

/// What the factory reads of the verified token. The request body cannot change it.
#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    tier: Tier,
}

/// What the caller has paid for; a tier nobody knows is as good as none.
#[derive(Deserialize, Default, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Tier {
    Enterprise,
    Pro,
    #[default]
    #[serde(other)]
    Free,
}

impl Tier {
    fn model(&self) -> &'static str {
        match self {
            Self::Enterprise => "gpt-5.4-pro",
            Self::Pro => "gpt-5.4",
            Self::Free => "gpt-4.1-mini",
        }
    }
}

fn build(ctx: &RequestContext<AnyInput, Claims>) -> Workflow {
    let tier = &ctx.trusted.claims.tier;
    let researcher = Agent::new("Researcher", tier.model()).instructions("Research the topic.");
    let drafter = Agent::new("Drafter", tier.model()).instructions("Draft the article.");
    let editor = Agent::new("Editor", tier.model()).instructions("Edit the article.");

    let mut workflow = Workflow::new("Article Pipeline");
    if *tier == Tier::Enterprise {
        workflow = workflow.step(Step::agent("research", researcher));
    }
    workflow.step(Step::agent("draft", drafter)).step(Step::agent("edit", editor))
}

fn factory() -> WorkflowFactory<AnyInput, Claims> {
    WorkflowFactory::new("article-pipeline", build)
}

stepmill_sdk::export!(factory);

#[cfg(test)]
mod tests {
    use stepmill_sdk::{Executor, testing::Call};

    use super::*;

    /// The names of the steps, and the models they all use.
    fn drawn(call: Call) -> (Vec<String>, String) {
        let workflow = call.build(&factory()).unwrap();
        let names = workflow.steps.iter().map(|it| it.name.clone()).collect();
        let mut models: Vec<_> = workflow.steps.into_iter().map(model).collect();
        models.dedup();
        (names, models.join(" and "))
    }

    fn model(step: Step) -> String {
        match step.executor {
            Executor::Agent(agent) => agent.model.id,
            Executor::Function(_) | Executor::Query(_) => panic!("all steps are agents"),
        }
    }

    #[test]
    fn an_enterprise_has_its_topic_researched() {
        let (steps, model) = drawn(Call::new().claim("tier", "enterprise"));
        assert_eq!(steps, ["research", "draft", "edit"]);
        assert_eq!(model, "gpt-5.4-pro");
    }

    #[test]
    fn the_others_start_with_a_draft() {
        for (call, expected) in [
            (Call::new(), "gpt-4.1-mini"),
            (Call::new().claim("tier", "free"), "gpt-4.1-mini"),
            (Call::new().claim("tier", "platinum"), "gpt-4.1-mini"),
            (Call::new().claim("tier", "pro"), "gpt-5.4"),
        ] {
            let (steps, model) = drawn(call);
            assert_eq!(steps, ["draft", "edit"]);
            assert_eq!(model, expected);
        }
    }

    #[test]
    fn the_input_cannot_raise_the_tier() {
        let input = [("tier".to_owned(), "enterprise".into())];
        let (steps, _) = drawn(Call::new().input(JsonObject::from_iter(input)));
        assert_eq!(steps, ["draft", "edit"]);
    }

    #[test]
    fn a_tier_that_is_no_name_is_not_let_in() {
        let answer = Call::new().claim("tier", 42).build(&factory());
        assert!(matches!(answer, Err(FactoryError::Permission(_))), "{answer:?}");
    }
}
