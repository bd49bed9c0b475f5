//! Says what it is told: one function step, run by the plugin itself.

use stepmill_sdk::prelude::*;

fn build(_ctx: &RequestContext) -> Workflow {
    Workflow::new("Echo").step(Step::function("echo", "echo"))
}

fn echo(_ctx: &RequestContext, input: StepInput) -> StepOutput {
    StepOutput::new(input.message)
}

fn factory() -> WorkflowFactory {
    WorkflowFactory::new("echo", build).name("Echo").function("echo", echo)
}

stepmill_sdk::export!(factory);

#[cfg(test)]
mod tests {
    use stepmill_sdk::testing::Call;

    use super::*;

    #[test]
    fn it_says_what_it_is_told() {
        let workflow = Call::new().build(&factory()).unwrap();
        assert_eq!(workflow, Workflow::new("Echo").step(Step::function("echo", "echo")));
        let output = Call::new().run(&factory(), StepInput::new("echo", "hello"));
        assert_eq!(output, Ok(StepOutput::new("hello")));
    }
}
