//! The five protocols, as the client crate writes and reads them.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures::{FutureExt, StreamExt};
use rig_core::completion::{CompletionRequest, CompletionResponse, Message};
use rig_core::driver::Model;
use rig_core::http_client::DynHttpClient;
use rig_core::providers::anthropic::{AnthropicConfig, wire::Messages};
use rig_core::providers::gemini::{GeminiConfig, completion::GenerateContent};
use rig_core::providers::ollama::{self, OllamaConfig};
use rig_core::providers::openai::OpenAIConfig;
use rig_core::providers::openai::responses_api::wire::Responses;
use rig_core::providers::openai::wire::{BodyRewrite, Chat, Dialect, OPENAI};
use rig_core::streaming::{CompletionStream, Item, StreamEvent};
use rig_core::wire::Wire as RigWire;
use stepmill_core::agent::AnswerMark;
use stepmill_core::call::ModelRequest;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber;

use super::beginning::Beginning;
use super::body::{Ends, Tail};
use super::classify::{FailedTry, failed};
use super::media;
use super::transport::Transport;
use crate::failure::FailureCause;
use crate::settings::{CallLimits, Wire};

/// OpenAI's own rules, but texts as strings instead of lists of parts: OpenAI takes both, and
/// small servers that speak its protocol take only strings.
const OPENAI_PLAIN: Dialect = {
    let mut quirks = OPENAI.quirks;
    quirks.rewrite = BodyRewrite::Perplexity;
    OPENAI.with_quirks(quirks)
};

/// The transport puts the key on, so that the client crate has nothing to leak.
const NO_KEY: &str = "";

/// One model of one provider, ready to be asked.
pub(crate) struct WireModel {
    spoken: Spoken,
    transport: Transport,
}

/// The model in its protocol.
enum Spoken {
    Responses(Model<Responses>),
    Chat(Model<Chat>),
    Anthropic(Model<Messages>),
    Gemini(Model<GenerateContent>),
    Ollama(Model<ollama::Chat>),
}

/// Whether the provider can be asked for a model of this name at all.
///
/// Gemini has the name in the path, and the name may come from a guest: it must not lead to any
/// other address.
pub(crate) fn is_addressable(wire: Wire, model: &str) -> bool {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"-._/".contains(&it);
    wire != Wire::Gemini || (model.bytes().all(plain) && !model.contains(".."))
}

impl WireModel {
    /// A model behind this address; none for a wire without a network.
    pub(crate) fn new(
        wire: Wire,
        address: &str,
        model: &str,
        transport: Transport,
        limits: &CallLimits,
    ) -> Option<Self> {
        let address = address.trim_end_matches('/');
        let way = transport.clone();
        let openai = || OpenAIConfig::with_key(&OPENAI_PLAIN, NO_KEY).with_base_url(address);
        let spoken = match wire {
            Wire::Demo => return None,
            Wire::OpenAiResponses => Spoken::Responses(openai().connect(way).responses(model)),
            Wire::OpenAiChat => Spoken::Chat(openai().connect(way).chat(model)),
            Wire::Anthropic => {
                let config = AnthropicConfig::new(NO_KEY).with_base_url(address);
                let mut model = config.connect(way).completion(model);
                let most = u64::from(limits.default_output_tokens);
                model.wire = model.wire.with_default_max_tokens(most);
                Spoken::Anthropic(model)
            }
            Wire::Gemini => {
                let config = GeminiConfig::new(NO_KEY).with_base_url(address);
                Spoken::Gemini(config.connect(way).completion(model))
            }
            Wire::Ollama => {
                let config = OllamaConfig::new().with_base_url(address);
                Spoken::Ollama(config.connect(way).native_completion(model))
            }
        };
        Some(Self { spoken, transport })
    }

    /// Asks once for the whole answer.
    pub(super) async fn call(
        &self,
        request: &ModelRequest,
    ) -> Result<CompletionResponse, FailedTry> {
        let request = written(request);
        let call = match &self.spoken {
            Spoken::Responses(model) => model.call(request).boxed(),
            Spoken::Chat(model) => model.call(request).boxed(),
            Spoken::Anthropic(model) => model.call(request).boxed(),
            Spoken::Gemini(model) => model.call(request).boxed(),
            Spoken::Ollama(model) => model.call(request).boxed(),
        };
        Ok(quiet(call).await??)
    }

    /// Asks once for the answer in pieces. Nothing is sent before the stream is polled.
    pub(super) fn stream(&self, request: &ModelRequest) -> Result<WireStream, FailedTry> {
        let request = written(request);
        let tail = Tail::default();
        let tells = matches!(self.spoken, Spoken::Responses(_) | Spoken::Chat(_));
        let beginning = tells.then(Beginning::default);
        let ends = Ends { beginning: beginning.clone(), tail: Some(tail.clone()) };
        let way = DynHttpClient::new(self.transport.with_ends(ends));
        let opened = tracing::dispatcher::with_default(&Dispatch::none(), || {
            let stream = match &self.spoken {
                Spoken::Responses(model) => over(model, way).stream(request),
                Spoken::Chat(model) => over(model, way).stream(request),
                Spoken::Anthropic(model) => over(model, way).stream(request),
                Spoken::Gemini(model) => over(model, way).stream(request),
                Spoken::Ollama(model) => over(model, way).stream(request),
            };
            stream.map_err(FailedTry::from)
        });
        opened.map(|it| WireStream { stream: Box::new(it), beginning, tail })
    }
}

/// The same model, asked over another way out. The way bounds silence itself; the client crate's
/// own clock would be a thread that wakes with every frame.
fn over<W: RigWire>(model: &Model<W>, way: DynHttpClient) -> Model<W> {
    let mut model = model.clone().with_idle_timeout(None);
    model.transport = way;
    model
}

/// One try's answer, while it arrives.
pub(super) struct WireStream {
    stream: Box<CompletionStream>,
    /// Of protocols whose first frame says what the answer is called.
    beginning: Option<Beginning>,
    tail: Tail,
}

impl WireStream {
    /// The next words; none when the provider ended the answer, well or not.
    pub(super) async fn words(&mut self) -> Result<Option<String>, FailedTry> {
        while let Some(item) = quiet(self.stream.next()).await? {
            match item? {
                Item::Event(StreamEvent::Text { text, .. }) if !text.is_empty() => {
                    return Ok(Some(text));
                }
                // Thoughts, beginnings and ends of parts, and what newer providers may add.
                _ => {}
            }
        }
        Ok(None)
    }

    /// What the answer is called, if that was heard and not yet told.
    pub(super) fn mark(&self) -> Option<AnswerMark> {
        self.beginning.as_ref()?.take()
    }

    /// What the provider said of the whole answer, and what is left of its body. An answer it did
    /// not end is a failure.
    pub(super) async fn finish(self) -> Result<(CompletionResponse, Tail), FailedTry> {
        let response = quiet(self.stream.finish().boxed()).await??;
        Ok((response, self.tail))
    }
}

/// The client crate traces whole prompts, frames and answers; here nobody listens to it. It panics
/// where a sum of what a provider says is too large to be a number: that ends the call, and neither
/// the run nor its seat is left behind.
async fn quiet<F: Future>(future: F) -> Result<F::Output, FailedTry> {
    let caught = AssertUnwindSafe(future).catch_unwind().with_subscriber(Dispatch::none());
    caught.await.map_err(|_| failed(FailureCause::Malformed).into())
}

/// The request in the client crate's words.
fn written(request: &ModelRequest) -> CompletionRequest {
    let message = match request.media.is_empty() {
        true => Message::from(request.message.as_str()),
        false => Message::from(media::contents(request)),
    };
    let written = CompletionRequest::new(message)
        // Decimal digits survive: 0.7_f32 is to be sent as 0.7.
        .temperature(request.temperature.and_then(|it| it.to_string().parse::<f64>().ok()))
        .max_tokens(request.max_output_tokens.map(u64::from));
    if request.instructions.is_empty() {
        written
    } else {
        written.preamble(request.instructions.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gemini_name_leads_nowhere_else() {
        assert!(is_addressable(Wire::Gemini, "gemini-3.8-flash"));
        assert!(is_addressable(Wire::Gemini, "tunedModels/mine"));
        for name in ["../../v1/files", "m?key=x", "m#x", "m%2e", "a b"] {
            assert!(!is_addressable(Wire::Gemini, name), "{name}");
        }
        assert!(is_addressable(Wire::OpenAiChat, "any name?"));
    }
}
