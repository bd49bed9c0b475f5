//! A loaded plugin, and the two things it can be asked.

use std::sync::Arc;

use stepmill_core::call::{FunctionAnswer, FunctionInput};
use stepmill_core::context::RequestContext;
use stepmill_core::graph::GraphDraft;
use stepmill_core::ids::Digest;
use stepmill_core::plugin::Description;

use crate::call::{Call, CallSite};
use crate::failure::{BuildFailure, CallFailure, FunctionFailure};
use crate::sandbox::Shared;
use crate::text::cut;
use crate::wit::{Contract, Refusal};

/// A component that was checked, compiled and linked. Cheap to clone.
#[derive(Clone)]
pub struct Plugin(Arc<Loaded>);

struct Loaded {
    shared: Arc<Shared>,
    contract: Contract,
    digest: Digest,
    description: Description,
}

impl Plugin {
    pub(crate) fn new(
        shared: Arc<Shared>,
        contract: Contract,
        digest: Digest,
        description: Description,
    ) -> Self {
        Self(Arc::new(Loaded { shared, contract, digest, description }))
    }

    /// Which code exactly.
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// What the plugin said about itself when it was loaded.
    pub fn description(&self) -> &Description {
        &self.0.description
    }

    /// Asks for a graph for one request. The graph is as the guest drew it: not yet checked.
    ///
    /// Dropping the future ends the guest.
    ///
    /// # Errors
    /// The factory refuses, or it gives no answer.
    pub async fn build(
        &self,
        site: CallSite,
        context: &RequestContext,
    ) -> Result<GraphDraft, BuildFailure> {
        let call = Call::open(&self.0.shared, site).await?;
        let limits = &self.0.shared.settings.call;
        let build = |call| self.0.contract.build(call, context);
        match self.0.shared.answer(call, build).await? {
            Ok(draft) if limits.nodes < draft.nodes.len() => Err(CallFailure::AnswerTooLarge)?,
            Ok(draft) => Ok(draft),
            Err(Refusal::Permission(text)) => Err(BuildFailure::Permission(self.cut(text))),
            Err(Refusal::Validation(text)) => Err(BuildFailure::Validation(self.cut(text))),
            Err(Refusal::Other(text)) => Err(BuildFailure::Other(self.cut(text))),
        }
    }

    /// Runs one function step. `context` is the one `build` had.
    ///
    /// Dropping the future ends the guest.
    ///
    /// # Errors
    /// The function reports an error, or it gives no answer.
    pub async fn run_function(
        &self,
        site: CallSite,
        context: &RequestContext,
        input: &FunctionInput,
    ) -> Result<FunctionAnswer, FunctionFailure> {
        let call = Call::open(&self.0.shared, site).await?;
        let run = |call| self.0.contract.run(call, context, input);
        let answer = self.0.shared.answer(call, run).await?;
        answer.map_err(|text| FunctionFailure::Reported(self.cut(text)))
    }

    fn cut(&self, text: String) -> String {
        cut(&text, self.0.shared.settings.call.refusal_bytes).to_owned()
    }
}
