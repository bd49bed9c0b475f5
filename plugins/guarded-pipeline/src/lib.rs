//! For callers with the right scope: the others get HTTP 403 and read why.

use stepmill_sdk::prelude::*;

fn build(ctx: &RequestContext) -> Result<Workflow, FactoryError> {
    if !ctx.trusted.scopes.contains("workflows:run") {
        return Err(FactoryError::permission("Missing 'workflows:run' scope"));
    }
    let drafter = Agent::new("Drafter", "gpt-5.4").instructions("Draft the article.");
    Ok(Workflow::new("Guarded").step(Step::agent("draft", drafter)))
}

fn factory() -> WorkflowFactory {
    WorkflowFactory::new("guarded-pipeline", build)
}

stepmill_sdk::export!(factory);

#[cfg(test)]
mod tests {
    use stepmill_sdk::testing::Call;

    use super::*;

    #[test]
    fn the_scope_opens_the_door() {
        let workflow = Call::new().scope("workflows:run").build(&factory()).unwrap();
        assert_eq!(workflow.name, "Guarded");
        assert_eq!(workflow.steps.len(), 1);
    }

    #[test]
    fn another_scope_does_not() {
        let refused = Err(FactoryError::permission("Missing 'workflows:run' scope"));
        assert_eq!(Call::new().build(&factory()), refused);
        assert_eq!(Call::new().scope("workflows:read").build(&factory()), refused);
    }
}
