//! The factory: a function that makes a fresh workflow for each request.

use serde::de::DeserializeOwned;

use crate::wit::stepmill::plugin::types as wire;
use crate::{
    AnyInput, Executor, FactoryError, Input, JsonObject, Outcome, RequestContext, StepError,
    StepInput, StepOutput, Workflow,
};

/// Makes a fresh [`Workflow`] for each request. `I` is the type of the input, `C` that of the
/// claims; both are read off the function that builds.
pub struct WorkflowFactory<I = AnyInput, C = JsonObject> {
    id: String,
    name: Option<String>,
    description: Option<String>,
    capabilities: Vec<Capability>,
    build: Build<I, C>,
    functions: Vec<(String, Run<I, C>)>,
}

/// Draws the workflow.
type Build<I, C> = Box<dyn Fn(&RequestContext<I, C>) -> Result<Workflow, FactoryError>>;

/// A function step's work.
type Run<I, C> = Box<dyn Fn(&RequestContext<I, C>, StepInput) -> Result<StepOutput, StepError>>;

/// What a plugin asks to be allowed. What the operator does not grant is refused at the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Capability {
    /// The true time through [`std::time`]. Without it the clock stands still.
    Clock,
    /// True randomness, as of [`std::collections::HashMap`]. Without it the numbers repeat.
    Randomness,
    /// The plugin's configuration, through [`config`](crate::config).
    Config,
    /// The tenant's key-value data of this plugin, through [`kv`](crate::kv).
    Kv,
    /// Requests to this host, through [`http`](crate::http): `api.example.com`, or
    /// `*.example.com` for all below it.
    Http(String),
}

impl Capability {
    /// Requests to this host.
    pub fn http(host: impl Into<String>) -> Self {
        Self::Http(host.into())
    }
}

impl<I: Input, C: DeserializeOwned> WorkflowFactory<I, C> {
    /// A factory whose workflow goes by this id (lower case letters, digits, `-` and `_`), and
    /// the function that builds it.
    ///
    /// The function is called for every run and for every read of one, so it should give the
    /// same steps for the same context.
    pub fn new<R: Outcome<Workflow, FactoryError>>(
        id: impl Into<String>,
        build: impl Fn(&RequestContext<I, C>) -> R + 'static,
    ) -> Self {
        Self {
            id: id.into(),
            name: None,
            description: None,
            capabilities: Vec::new(),
            build: Box::new(move |ctx| build(ctx).outcome()),
            functions: Vec::new(),
        }
    }

    /// Shown in listings.
    pub fn name(mut self, text: impl Into<String>) -> Self {
        self.name = Some(text.into());
        self
    }

    /// Shown in listings.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// Asks the operator for a capability.
    pub fn capability(mut self, capability: Capability) -> Self {
        self.capabilities.push(capability);
        self
    }

    /// Gives a name to a function, for [`Step::function`](crate::Step::function).
    ///
    /// It gets the context that `build` had, in a fresh instance of the plugin: nothing that
    /// `build` left in memory is there.
    pub fn function<R: Outcome<StepOutput, StepError>>(
        mut self,
        name: impl Into<String>,
        run: impl Fn(&RequestContext<I, C>, StepInput) -> R + 'static,
    ) -> Self {
        self.functions.push((name.into(), Box::new(move |ctx, input| run(ctx, input).outcome())));
        self
    }

    /// Answers the host's `describe`.
    #[doc(hidden)]
    pub fn describe(&self) -> wire::Description {
        wire::Description {
            id: self.id.clone(),
            name: self.name.clone(),
            description: self.description.clone(),
            input_schema: I::schema(),
            capabilities: self.capabilities.iter().map(wire::Capability::from).collect(),
        }
    }

    /// Answers the host's `build`.
    #[doc(hidden)]
    pub fn build(
        &self,
        context: wire::RequestContext,
    ) -> Result<wire::Workflow, wire::FactoryError> {
        Ok(self.draw(context)?.into())
    }

    /// Answers the host's `functions.run`.
    #[doc(hidden)]
    pub fn run(
        &self,
        context: wire::RequestContext,
        input: wire::StepInput,
    ) -> Result<wire::StepOutput, String> {
        Ok(self.work(context, input.into()).map_err(|it| it.0)?.into())
    }

    /// Builds, and checks that the plugin has every function its steps name.
    pub(crate) fn draw(&self, context: wire::RequestContext) -> Result<Workflow, FactoryError> {
        let workflow = (self.build)(&RequestContext::read(context)?)?;
        for step in &workflow.steps {
            if let Executor::Function(function) = &step.executor {
                self.find(&function.name)?;
            }
        }
        Ok(workflow)
    }

    /// Runs one function.
    pub(crate) fn work(
        &self,
        context: wire::RequestContext,
        input: StepInput,
    ) -> Result<StepOutput, StepError> {
        let run = self.find(&input.function.name)?;
        run(&RequestContext::read(context)?, input)
    }

    fn find(&self, name: &str) -> Result<&Run<I, C>, FactoryError> {
        let found = self.functions.iter().find(|(it, _)| it == name).map(|(_, run)| run);
        found.ok_or_else(|| FactoryError::other(format!("the factory has no function `{name}`")))
    }
}

impl From<&Capability> for wire::Capability {
    fn from(capability: &Capability) -> Self {
        match capability {
            Capability::Clock => Self::Clock,
            Capability::Randomness => Self::Randomness,
            Capability::Config => Self::Config,
            Capability::Kv => Self::Kv,
            Capability::Http(host) => Self::Http(host.clone()),
        }
    }
}
