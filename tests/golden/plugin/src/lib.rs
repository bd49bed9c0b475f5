//! The workflows of the recorded server in one component, whose bytes say which of them it is.
//!
//! `tests/golden/serve` writes an id into `SLOT` and uploads the file under that id.

mod echo;
mod factories;
mod given;
mod prototypes;
mod python;

use stepmill_sdk::prelude::*;

use given::{Given, Topic};

/// Behind the colon stands the id, filled up with dots.
static SLOT: [u8; 64] = *b"GOLDEN-ID:......................................................";

/// Which workflow this is.
fn id() -> &'static str {
    // What the compiler must not know, because the file is changed behind its back.
    let slot = std::hint::black_box(&SLOT);
    let text = std::str::from_utf8(slot).unwrap_or_default();
    text.trim_start_matches("GOLDEN-ID:").trim_end_matches('.')
}

type Context = RequestContext<Given>;
type Build = fn(&Context) -> Result<Workflow, FactoryError>;
type Run = fn(&Context, StepInput) -> Result<StepOutput, StepError>;

/// One workflow of the recorded server.
struct Mirror {
    name: Option<&'static str>,
    description: Option<&'static str>,
    is_prototype: bool,
    build: Build,
    functions: Vec<(&'static str, Run)>,
}

impl Mirror {
    /// A factory that says no more of itself than its id.
    fn new(build: Build) -> Self {
        Self { name: None, description: None, is_prototype: false, build, functions: Vec::new() }
    }

    /// A workflow that no factory makes.
    fn prototype(name: &'static str, build: Build) -> Self {
        Self { is_prototype: true, ..Self::new(build).name(name) }
    }

    fn name(mut self, text: &'static str) -> Self {
        self.name = Some(text);
        self
    }

    fn description(mut self, text: &'static str) -> Self {
        self.description = Some(text);
        self
    }

    fn function(mut self, name: &'static str, run: Run) -> Self {
        self.functions.push((name, run));
        self
    }
}

fn factory() -> WorkflowFactory<Given> {
    let id = id();
    let mirror = factories::find(id).or_else(|| prototypes::find(id));
    // The file as it was built is no workflow's, and is not meant to be uploaded.
    let mirror = mirror.unwrap_or_else(|| Mirror::new(|_| Err(FactoryError::other("no id"))));
    let mut factory = WorkflowFactory::new(id, mirror.build);
    if let Some(name) = mirror.name {
        factory = factory.name(name);
    }
    if let Some(text) = mirror.description {
        factory = factory.description(text);
    }
    if mirror.is_prototype {
        factory = factory.prototype();
    }
    if id == "typed-input" {
        factory = factory.message::<Topic>();
    }
    for (name, run) in mirror.functions {
        factory = factory.function(name, run);
    }
    factory
}

stepmill_sdk::export!(factory);
