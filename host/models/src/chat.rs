//! What the rest of the host asks of a model, whoever stands behind it.

use async_trait::async_trait;
use futures::stream::BoxStream;
use stepmill_core::agent::{AnswerMark, ModelAnswer};
use stepmill_core::call::ModelRequest;
use stepmill_core::event::ModelIdentity;

use crate::failure::ModelFailure;

/// A part of a streamed answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// What the provider says of the answer as such, before its first words; at most once, and
    /// not of every provider.
    Began(AnswerMark),
    /// The next words, as they arrived. Never empty.
    Delta(String),
    /// The whole answer. Its content is all deltas, one after the other.
    Done(ModelAnswer),
}

/// A model that answers. Dropping the future or the stream ends the call.
#[async_trait]
pub trait ChatModel: Send + Sync {
    /// Who answers, as events and results show it.
    fn identity(&self) -> &ModelIdentity;

    /// Asks for the whole answer at once.
    ///
    /// # Errors
    /// Whatever was outside the host's doing; tries and waits are over by then.
    async fn answer(&self, request: &ModelRequest) -> Result<ModelAnswer, ModelFailure>;

    /// Asks for the answer in pieces. Nothing is sent before the first poll.
    ///
    /// The last item is either the one [`Piece::Done`] or an error; nothing follows it.
    fn stream(&self, request: &ModelRequest) -> BoxStream<'static, Result<Piece, ModelFailure>>;
}
