//! The first factory of the book: draft, then edit, in the words of the tenant who asks.

use stepmill_sdk::prelude::*;

fn build(ctx: &RequestContext) -> Workflow {
    let user_id = ctx.user_id.as_deref().unwrap_or("anonymous");

    let drafter = Agent::new("Drafter", "gpt-5.4").instructions(format!(
        "You are a content drafter for tenant {user_id}. \
         Write a first draft based on the topic. Keep it focused and concise."
    ));
    let editor = Agent::new("Editor", "gpt-5.4").instructions(format!(
        "You are an editor for tenant {user_id}. \
         Review the draft for clarity, grammar, and structure. Output the final version."
    ));

    Workflow::new("Content Pipeline")
        .description("Draft then edit content")
        .step(Step::agent("draft", drafter).description("Write the first draft"))
        .step(Step::agent("edit", editor).description("Edit and finalize"))
}

fn factory() -> WorkflowFactory {
    WorkflowFactory::new("content-pipeline", build)
        .name("Content Pipeline")
        .description("Builds a draft-then-edit content workflow per tenant.")
}

stepmill_sdk::export!(factory);

#[cfg(test)]
mod tests {
    use stepmill_sdk::{Executor, testing::Call};

    use super::*;

    fn instructions(call: Call) -> Vec<String> {
        let workflow = call.build(&factory()).unwrap();
        let instructions = workflow.steps.into_iter().map(|it| match it.executor {
            Executor::Agent(agent) => agent.instructions,
            Executor::Function(_) | Executor::Query(_) => panic!("both steps are agents"),
        });
        instructions.collect()
    }

    #[test]
    fn the_agents_work_for_who_asks() {
        let [draft, edit] = &instructions(Call::new().user("tenant_42"))[..] else {
            panic!("there are two steps")
        };
        assert_eq!(
            draft,
            "You are a content drafter for tenant tenant_42. Write a first draft based on the \
             topic. Keep it focused and concise."
        );
        assert_eq!(
            edit,
            "You are an editor for tenant tenant_42. Review the draft for clarity, grammar, and \
             structure. Output the final version."
        );
    }

    #[test]
    fn who_says_no_name_is_anonymous() {
        let found = instructions(Call::new());
        assert!(found.iter().all(|it| it.contains("for tenant anonymous. ")), "{found:?}");
    }
}
