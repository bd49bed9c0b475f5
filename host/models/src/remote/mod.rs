//! Models of real providers: one call is tries, waits and an answer, inside one deadline.

mod answer;
mod beginning;
mod body;
mod call;
mod classify;
mod media;
mod retry;
mod stream;
mod transport;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use stepmill_core::agent::ModelAnswer;
use stepmill_core::call::ModelRequest;
use stepmill_core::event::ModelIdentity;

use crate::chat::{ChatModel, Piece};
use crate::failure::ModelFailure;
use crate::settings::CallLimits;

pub(crate) use transport::{HttpClients, Transport};
pub(crate) use wire::{WireModel, is_addressable};

/// A model of a provider that is reached over the network.
pub(crate) struct RemoteModel {
    pub(crate) identity: ModelIdentity,
    pub(crate) target: Target,
}

/// What every try of a call needs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Target {
    /// The operator's name for the provider, for the log.
    pub(crate) provider: Arc<str>,
    pub(crate) model: Arc<WireModel>,
    pub(crate) limits: CallLimits,
}

#[async_trait]
impl ChatModel for RemoteModel {
    fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    async fn answer(&self, request: &ModelRequest) -> Result<ModelAnswer, ModelFailure> {
        call::whole(&self.target, request).await
    }

    fn stream(&self, request: &ModelRequest) -> BoxStream<'static, Result<Piece, ModelFailure>> {
        stream::pieces(self.target.clone(), request.clone())
    }
}
