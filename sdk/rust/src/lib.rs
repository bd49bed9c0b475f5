#![doc = include_str!("../README.md")]

mod context;
mod error;
mod factory;
mod host;
mod input;
mod run;
mod step;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod workflow;

pub use context::{JsonObject, Request, RequestContext, Trusted};
pub use error::{FactoryError, Outcome, StepError};
pub use factory::{Capability, WorkflowFactory};
pub use host::{config, database, http, kv, log, progress, secrets};
pub use input::{AnyInput, Input};
pub use run::{Media, MediaKind, RunContext};
pub use step::{PastRun, StepContent, StepInput, StepOutput};
pub use workflow::{Agent, Executor, Function, Model, Parameter, Query, Showing, Step, Workflow};

/// What nearly every factory needs.
pub mod prelude {
    pub use crate::{
        Agent, AnyInput, Capability, FactoryError, Function, JsonObject, Media, MediaKind, Model,
        Parameter, Query, RequestContext, RunContext, Step, StepError, StepInput, StepOutput,
        Workflow, WorkflowFactory, config, database, http, kv, log, progress, secrets,
    };
}

/// The contract as Rust, generated from `wit/factory.wit`. Only [`export!`] needs it from outside.
#[doc(hidden)]
pub mod wit {
    wit_bindgen::generate!({
        path: "wit",
        world: "factory",
        additional_derives: [Clone, PartialEq],
        additional_derives_ignore: [
            "http-error", "kv-error", "config-error", "database-error", "secret-error",
        ],
        default_bindings_module: "stepmill_sdk::wit",
        export_macro_name: "export_plugin",
        pub_export_macro: true,
    });
}

/// Makes a crate a plugin: names the function that makes its [`WorkflowFactory`].
///
/// ```
/// use stepmill_sdk::prelude::*;
///
/// fn factory() -> WorkflowFactory {
///     WorkflowFactory::new("empty", |_| Workflow::new("Empty"))
/// }
///
/// stepmill_sdk::export!(factory);
/// # fn main() {}
/// ```
///
/// The function is called for every call of the host, so it should do nothing else. Outside
/// wasm the macro only checks its argument, so that a plugin's own tests run anywhere.
#[macro_export]
macro_rules! export {
    ($factory:path) => {
        #[cfg(not(target_family = "wasm"))]
        const _: fn() = || drop($factory().describe());

        #[cfg(target_family = "wasm")]
        const _: () = {
            use $crate::wit::exports::stepmill::plugin::{functions, workflow_factory};
            use $crate::wit::stepmill::plugin::types;

            struct Plugin;

            impl workflow_factory::Guest for Plugin {
                fn describe() -> types::Description {
                    $factory().describe()
                }

                fn build(
                    context: types::RequestContext,
                ) -> Result<types::Workflow, types::FactoryError> {
                    $factory().build(context)
                }
            }

            impl functions::Guest for Plugin {
                fn run(
                    context: types::RequestContext,
                    input: types::StepInput,
                ) -> Result<types::StepOutput, String> {
                    $factory().run(context, input)
                }
            }

    $crate::wit::export_plugin!(Plugin with_types_in $crate::wit);
        };
    };
}
