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
    kind: wire::WorkflowKind,
    name: Option<String>,
    description: Option<String>,
    capabilities: Vec<Capability>,
    message: Option<String>,
    build: Build<I, C>,
    functions: Vec<(String, Run<I, C>)>,
}

/// Draws the workflow.
type Build<I, C> = Box<dyn Fn(&RequestContext<I, C>) -> Result<Workflow, FactoryError>>;

/// A function step's work.
type Run<I, C> = Box<dyn Fn(&RequestContext<I, C>, StepInput) -> Result<StepOutput, StepError>>;

/// What a plugin asks to be allowed. A host that does not grant all of it refuses the upload.
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
    /// Agents of these models: a name in which `*` stands for any text, such as `gpt-*`. A
    /// factory that asks for none by name asks for all.
    Model(String),
    /// Requests, through [`http`](crate::http), to this host: `api.example.com`, or
    /// `*.example.com` for all below it; also `GET,HEAD api.example.com/v1/*`.
    Http(String),
    /// Statements, through [`database`](crate::database), to a database by the name the operator
    /// gave it: `orders` to read, `orders:write` to write too.
    Database(String),
    /// The secret of this name, through [`secrets`](crate::secrets).
    Secret(String),
}

impl Capability {
    /// Agents of these models.
    pub fn model(name: impl Into<String>) -> Self {
        Self::Model(name.into())
    }

    /// Requests to this host.
    pub fn http(host: impl Into<String>) -> Self {
        Self::Http(host.into())
    }

    /// Statements to this database: `orders` to read, `orders:write` to write too.
    pub fn database(name: impl Into<String>) -> Self {
        Self::Database(name.into())
    }

    /// The secret of this name.
    pub fn secret(name: impl Into<String>) -> Self {
        Self::Secret(name.into())
    }
}

impl<I: Input, C: DeserializeOwned> WorkflowFactory<I, C> {
    /// A factory that calls its workflow so. The id it is uploaded under counts on a host (lower case letters, digits, `-` and `_`), and
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
            kind: wire::WorkflowKind::Factory,
            name: None,
            description: None,
            capabilities: Vec::new(),
            message: None,
            build: Box::new(move |ctx| build(ctx).outcome()),
            functions: Vec::new(),
        }
    }

    /// The workflow is the same for everybody: the host asks for it once, when the plugin is
    /// loaded, with an empty context and without any grant. Its detail shows the steps, and
    /// clients send no `factory_input`; [`message`](Self::message) says what they send instead.
    pub fn prototype(mut self) -> Self {
        self.kind = wire::WorkflowKind::Prototype;
        self
    }

    /// The message of a [`prototype`](Self::prototype) is JSON of this type: the host checks it
    /// before a run begins, and shows the schema.
    pub fn message<M: Input>(mut self) -> Self {
        self.message = M::schema();
        self
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
            kind: self.kind,
            name: self.name.clone(),
            description: self.description.clone(),
            input_schema: self.message.clone().or_else(I::schema),
            capabilities: self.asked().iter().map(wire::Capability::from).collect(),
        }
    }

    /// A factory that says nothing of models may need any: which one is asked is often decided
    /// by the request.
    fn asked(&self) -> Vec<Capability> {
        let mut asked = self.capabilities.clone();
        if !asked.iter().any(|it| matches!(it, Capability::Model(_))) {
            asked.push(Capability::model("*"));
        }
        asked
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
            Capability::Model(name) => Self::Model(name.clone()),
            Capability::Http(rule) => Self::Http(rule.clone()),
            Capability::Database(rule) => Self::Database(rule.clone()),
            Capability::Secret(name) => Self::Secret(name.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Call;
    use crate::{Step, config, database, http, kv, secrets};

    use super::*;

    fn shout(_: &RequestContext, input: StepInput) -> Result<StepOutput, StepError> {
        match input.content() {
            "" => Err(StepError::new("there is nothing to shout")),
            text => Ok(StepOutput::new(text.to_uppercase()).stop()),
        }
    }

    fn factory() -> WorkflowFactory {
        WorkflowFactory::new("shout", |_| {
            Workflow::new("Shout").step(Step::function("shout", "shout"))
        })
        .function("shout", shout)
    }

    #[test]
    fn a_plugin_says_who_it_is() {
        let described = factory()
            .name("Shout")
            .description("Says it loudly.")
            .capability(Capability::Clock)
            .capability(Capability::http("api.example.com"))
            .describe();
        assert_eq!(described.id, "shout");
        assert_eq!(described.name.as_deref(), Some("Shout"));
        assert_eq!(described.description.as_deref(), Some("Says it loudly."));
        assert_eq!(described.input_schema, None);
        let http = wire::Capability::Http("api.example.com".into());
        let any_model = wire::Capability::Model("*".into());
        assert_eq!(described.capabilities, [wire::Capability::Clock, http, any_model]);
        let narrow = factory().capability(Capability::model("gpt-*")).describe();
        assert_eq!(narrow.capabilities, [wire::Capability::Model("gpt-*".into())]);
    }

    #[test]
    fn a_function_runs_under_its_name() {
        let call = Call::new();
        let output = call.run(&factory(), StepInput::new("shout", "hello"));
        assert_eq!(output, Ok(StepOutput::new("HELLO").stop()));
        let output = call.run(&factory(), StepInput::new("shout", ""));
        assert_eq!(output, Err(StepError::new("there is nothing to shout")));
        let output = call.run(&factory(), StepInput::new("whisper", "hello"));
        assert_eq!(output, Err(StepError::new("the factory has no function `whisper`")));
    }

    #[test]
    fn a_step_without_its_function_is_found_when_it_is_drawn() {
        let factory: WorkflowFactory = WorkflowFactory::new("w", |_| {
            Workflow::new("W").step(Step::function("shout", "shout"))
        });
        let error = FactoryError::other("the factory has no function `shout`");
        assert_eq!(Call::new().build(&factory), Err(error));
    }

    #[test]
    fn a_database_is_read_and_written_as_far_as_it_was_asked_for() {
        const READ: &str = "select title from orders where id = $1";
        const WRITE: &str = "insert into orders (title) values ($1)";
        fn build(_: &RequestContext) -> Result<Workflow, FactoryError> {
            let rows = database::query("orders", READ, [7.into()])?;
            database::execute("orders", WRITE, ["pens".into()])?;
            Ok(Workflow::new(rows.get(0, "title").and_then(|it| it.text()).unwrap_or("none")))
        }
        let call = Call::new().rows("orders", READ, &["title"], [vec!["ink".into()]]).rows(
            "orders",
            WRITE,
            &[],
            [],
        );
        let factory =
            |rule: &str| WorkflowFactory::new("w", build).capability(Capability::database(rule));
        let refusal = FactoryError::other("no granted capability covers this use of the database");
        for rule in ["other", "orders", "other:write"] {
            assert_eq!(call.build(&factory(rule)), Err(refusal.clone()), "{rule}");
        }
        assert_eq!(call.build(&factory("orders:write")), Ok(Workflow::new("ink")));
        let strict = Call::new().build(&factory("orders"));
        let refusal =
            "the database refuses the statement: the test has no answer to this statement";
        assert_eq!(strict, Err(FactoryError::other(refusal)));
    }

    #[test]
    fn what_was_not_asked_for_is_not_granted() {
        fn build(_: &RequestContext) -> Result<Workflow, FactoryError> {
            let key = secrets::get("key")?;
            assert!(key.starts_with("stepmill-secret-"));
            let said = http::get("https://api.example.com/title")?.success()?;
            kv::set("title", &said.body)?;
            let kept = kv::get("title")?.unwrap_or_default();
            Ok(Workflow::new(String::from_utf8(kept)?)
                .description(config::get("text")?.unwrap_or_default()))
        }
        let call = Call::new()
            .answer("https://api.example.com/title", 200, "Weekly")
            .config("text", "All of it.")
            .secret("key");
        let mut factory: WorkflowFactory = WorkflowFactory::new("w", build);
        for (capability, refusal) in [
            (Capability::secret("key"), "the capability `secret:key` was not granted"),
            (Capability::http("*.example.com"), "no granted capability covers the URL"),
            (Capability::Kv, "the capability `kv` was not granted"),
            (Capability::Config, "the capability `config` was not granted"),
        ] {
            assert_eq!(call.build(&factory), Err(FactoryError::other(refusal)));
            factory = factory.capability(capability);
        }
        let workflow = Workflow::new("Weekly").description("All of it.");
        assert_eq!(call.build(&factory), Ok(workflow));
    }
}
