//! What a function step gets and gives.

use crate::wit::stepmill::plugin::types as wire;
use crate::{Function, JsonObject, RunContext};

/// What one earlier step produced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepContent {
    /// The step's name.
    pub step: String,
    /// What it produced.
    pub content: String,
}

/// An earlier run of the same workflow in the same session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRun {
    /// The message it was started with.
    pub message: String,
    /// What it came to.
    pub content: String,
}

/// What a function step gets.
#[derive(Debug, Clone, PartialEq)]
pub struct StepInput {
    /// The function, with the argument that `build` gave it.
    pub function: Function,
    /// The name of the step.
    pub step: String,
    /// The message the run was started with.
    pub message: String,
    /// What the step before produced; `None` in the first step.
    pub previous: Option<String>,
    /// What finished steps produced, in order; one for each name.
    pub outputs: Vec<StepContent>,
    /// The run, and what the client sent along.
    pub run: RunContext,
    /// The earlier runs that the step is told of ([`Step::history`](crate::Step::history)), latest
    /// last.
    pub history: Vec<PastRun>,
}

impl StepInput {
    /// The input of a first step, which is called like its function. Meant for tests.
    pub fn new(function: impl Into<Function>, message: impl Into<String>) -> Self {
        let function = function.into();
        Self {
            step: function.name.clone(),
            function,
            message: message.into(),
            previous: None,
            outputs: Vec::new(),
            run: RunContext::default(),
            history: Vec::new(),
        }
    }

    /// What an agent in this place would be given: what the step before produced, or the
    /// message in the first step.
    pub fn content(&self) -> &str {
        self.previous.as_deref().unwrap_or(&self.message)
    }

    /// What a finished step produced.
    pub fn output(&self, step: &str) -> Option<&str> {
        self.outputs.iter().find(|it| it.step == step).map(|it| it.content.as_str())
    }
}

impl From<wire::StepInput> for StepInput {
    fn from(input: wire::StepInput) -> Self {
        let outputs = input.outputs.into_iter();
        let history = input.history.into_iter();
        Self {
            function: input.function.into(),
            step: input.step,
            message: input.message,
            previous: input.previous,
            outputs: outputs.map(|it| StepContent { step: it.step, content: it.content }).collect(),
            run: input.run.into(),
            history: history
                .map(|it| PastRun { message: it.message, content: it.content })
                .collect(),
        }
    }
}

/// What a function step produces.
#[derive(Debug, Clone, PartialEq)]
pub struct StepOutput {
    /// What the next step gets.
    pub content: String,
    /// True ends the workflow after this step, successfully.
    pub stop: bool,
    /// The session's state from here on; `None` leaves it as it is. It is kept in the session
    /// when the run ends.
    pub session_state: Option<JsonObject>,
}

impl StepOutput {
    /// An output after which the workflow goes on.
    pub fn new(content: impl Into<String>) -> Self {
        Self { content: content.into(), stop: false, session_state: None }
    }

    /// Ends the workflow after this step, successfully.
    pub fn stop(mut self) -> Self {
        self.stop = true;
        self
    }

    /// Changes the session's state.
    pub fn session_state(mut self, state: JsonObject) -> Self {
        self.session_state = Some(state);
        self
    }
}

impl From<StepOutput> for wire::StepOutput {
    fn from(output: StepOutput) -> Self {
        Self {
            content: output.content,
            stop: output.stop,
            session_state: output.session_state.map(|it| serde_json::Value::Object(it).to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_what_an_agent_would_be_given() {
        let mut input = StepInput::new("f", "the message");
        assert_eq!(input.content(), "the message");
        input.previous = Some("the draft".into());
        input.outputs.push(StepContent { step: "draft".into(), content: "the draft".into() });
        assert_eq!(input.content(), "the draft");
        assert_eq!(input.output("draft"), Some("the draft"));
        assert_eq!(input.output("edit"), None);
    }
}
