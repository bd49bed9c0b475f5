//! The furniture: a fake provider, models that ask it, and outcomes as short lines.

use std::sync::Arc;

use futures::StreamExt;
use stepmill_core::agent::{AnswerMark, ModelAnswer, ModelName};
use stepmill_core::call::ModelRequest;
use stepmill_fake_provider::FakeProvider;
use stepmill_models::{
    CallLimits, ChatModel, ModelFailure, ModelSettings, Models, Piece, ProviderSettings, Wire,
};

pub(crate) const WIRES: [Wire; 5] =
    [Wire::OpenAiResponses, Wire::OpenAiChat, Wire::Anthropic, Wire::Gemini, Wire::Ollama];

/// What must never be seen in a failure.
pub(crate) const KEY: &str = "sk-hunter2";
pub(crate) const MESSAGE: &str = "the secret wörld 🌍";
pub(crate) const INSTRUCTIONS: &str = "Be terse.";

/// What the fake provider answers to [`request`].
pub(crate) const ANSWER: &str = "[small] instructions=Be terse. | input=the secret wörld 🌍";

/// Short pauses, so that tries are made at once; long deadlines, so that none passes by chance.
pub(crate) fn limits() -> CallLimits {
    CallLimits {
        connect_timeout_ms: 5_000,
        idle_timeout_ms: 30_000,
        total_timeout_ms: 60_000,
        body_bytes: 64 * 1024,
        retries: 2,
        retry_pause_ms: 1,
        retry_pause_max_ms: 5_000,
        ..CallLimits::default()
    }
}

pub(crate) fn request() -> ModelRequest {
    ModelRequest {
        model: ModelName { id: "small".to_owned(), provider: None },
        instructions: INSTRUCTIONS.to_owned(),
        message: MESSAGE.to_owned(),
        temperature: Some(0.7),
        max_output_tokens: Some(100),
        media: Default::default(),
    }
}

/// A provider that nobody has asked yet.
pub(crate) async fn open() -> FakeProvider {
    FakeProvider::open().await.expect("there is a free port")
}

/// Runs the story for every protocol at the same time.
pub(crate) async fn for_each_wire<F: Future<Output = ()>>(story: impl Fn(Wire) -> F) {
    futures::future::join_all(WIRES.map(story)).await;
}

/// A model at this address.
pub(crate) fn model_at(address: String, wire: Wire, limits: CallLimits) -> Arc<dyn ChatModel> {
    let provider = ProviderSettings {
        base_url: Some(address),
        key: Some(KEY.to_owned().into()),
        limits,
        ..ProviderSettings::new(wire)
    };
    let models = Models::open(ModelSettings {
        providers: [("fake".to_owned(), provider)].into(),
        routes: Vec::new(),
        default_provider: Some("fake".to_owned()),
    });
    let models = models.expect("the settings are good");
    models.resolve(&request().model).expect("there is a default provider")
}

/// A model of the fake provider, which behaves like this.
pub(crate) fn model(
    provider: &FakeProvider,
    wire: Wire,
    scenario: &str,
    limits: CallLimits,
) -> Arc<dyn ChatModel> {
    let address = match wire {
        Wire::OpenAiResponses | Wire::OpenAiChat => format!("{}/v1", provider.url(scenario)),
        _ => provider.url(scenario),
    };
    model_at(address, wire, limits)
}

/// A streamed call, read to its end.
pub(crate) struct Streamed {
    /// What the answer was called before its first words.
    pub(crate) mark: Option<AnswerMark>,
    pub(crate) deltas: Vec<String>,
    pub(crate) end: Result<ModelAnswer, ModelFailure>,
}

pub(crate) async fn streamed(model: &dyn ChatModel) -> Streamed {
    let mut stream = model.stream(&request());
    let (mut mark, mut deltas) = (None, Vec::new());
    let end = loop {
        match stream.next().await.expect("a stream ends with an answer or a failure") {
            Ok(Piece::Began(said)) => {
                assert!(deltas.is_empty(), "it begins once");
                assert_eq!(mark.replace(said), None, "it begins once");
            }
            Ok(Piece::Delta(text)) => deltas.push(text),
            Ok(Piece::Done(answer)) => break Ok(answer),
            Err(failure) => break Err(failure),
        }
    };
    assert!(stream.next().await.is_none(), "something follows the end");
    if let Ok(answer) = &end {
        assert_eq!(answer.content, deltas.concat());
    }
    Streamed { mark, deltas, end }
}

/// A failure in one line.
pub(crate) fn line(failure: &ModelFailure) -> String {
    let status = failure.status().map(|it| format!(" {it}")).unwrap_or_default();
    let code = failure.code().map(|it| format!(" {it}")).unwrap_or_default();
    match failure {
        ModelFailure::Refused { .. } => format!("refused{status}{code}"),
        ModelFailure::Busy { retry_after_ms, .. } => {
            let after = retry_after_ms.map(|it| format!(" after {it} ms")).unwrap_or_default();
            format!("busy{after}{code}")
        }
        ModelFailure::Failed { cause, .. } => format!("failed {cause:?}{status}{code}"),
        ModelFailure::TimedOut { limit } => format!("timed out {limit:?}"),
        ModelFailure::TooLarge { limit_bytes } => format!("larger than {limit_bytes}"),
        ModelFailure::BrokeOff => "broke off".to_owned(),
        ModelFailure::Unknown => "unknown".to_owned(),
    }
}

/// What became of a whole call, and how many requests it took.
pub(crate) async fn unary_outcome(wire: Wire, scenario: &str, limits: CallLimits) -> String {
    let provider = open().await;
    let end = match model(&provider, wire, scenario, limits).answer(&request()).await {
        Ok(answer) if answer.content == ANSWER => "answered".to_owned(),
        Ok(answer) => format!("answered {:?}", answer.content),
        Err(failure) => line(&failure),
    };
    format!("{end}; {} asked", provider.count())
}

/// What became of a streamed call, after how many pieces, and how many requests it took.
pub(crate) async fn streamed_outcome(wire: Wire, scenario: &str, limits: CallLimits) -> String {
    let provider = open().await;
    let Streamed { deltas, end, .. } = streamed(&*model(&provider, wire, scenario, limits)).await;
    let end = match end {
        Ok(answer) if answer.content == ANSWER => "answered".to_owned(),
        Ok(answer) => format!("answered {:?}", answer.content),
        Err(failure) => line(&failure),
    };
    format!("{} pieces, {end}; {} asked", deltas.len(), provider.count())
}
