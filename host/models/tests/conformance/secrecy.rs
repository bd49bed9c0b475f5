//! Neither a failure nor the log ever holds the key, the prompt or what a provider wrote.

use std::error::Error;
use std::io;
use std::sync::{Arc, Mutex};

use stepmill_models::{CallLimits, ModelFailure};
use tracing_subscriber::fmt::MakeWriter;

use crate::harness::{
    INSTRUCTIONS, KEY, MESSAGE, WIRES, for_each_wire, limits, model, open, request, streamed,
};

const FAULTS: [&str; 20] = [
    "429",
    "500",
    "400",
    "401",
    "html-502",
    "redirect",
    "reset",
    "silent",
    "stall",
    "bad-frame",
    "cut",
    "early-end",
    "oversized",
    "oversized-error",
    "failed",
    "filtered",
    "error-200",
    "empty-200",
    "tool-call",
    "finish-unknown",
];

/// What must not be seen: the key, the prompt, the provider's sentences, and where it is.
fn assert_silent(text: &str, port: u16, about: &str) {
    let port = port.to_string();
    for secret in [KEY, "hunter2", MESSAGE, INSTRUCTIONS, "Provider text", "Bad gateway", &port] {
        assert!(!text.contains(secret), "{about} tells {secret:?}: {text}");
    }
}

/// Everything a failure can print.
fn printed(failure: &ModelFailure) -> String {
    let mut text = format!("{failure} {failure:?} {failure:#?} {:?}", failure.step_failure());
    let mut source = failure.source();
    while let Some(cause) = source {
        text += &format!(" {cause} {cause:?}");
        source = cause.source();
    }
    text
}

#[tokio::test]
async fn no_failure_tells_a_secret() {
    let limits = CallLimits { idle_timeout_ms: 500, retries: 0, ..limits() };
    // A whole call has no other end to the provider's silence.
    let hurried = CallLimits { total_timeout_ms: 500, ..limits };
    for scenario in FAULTS {
        let limits = if matches!(scenario, "silent" | "stall") { hurried } else { limits };
        for_each_wire(|wire| async move {
            let provider = open().await;
            let model = model(&provider, wire, scenario, limits);
            let unary = model.answer(&request()).await.unwrap_err();
            let streamed = streamed(&*model).await.end.unwrap_err();
            for failure in [unary, streamed] {
                let about = format!("{wire:?} {scenario}");
                assert_silent(&printed(&failure), provider.address().port(), &about);
            }
        })
        .await;
    }
}

/// Where a test's log goes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panics while writing").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_log_tells_a_secret_however_loud_it_is() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(log.clone())
        .finish();
    let _loud = tracing::subscriber::set_default(subscriber);
    for wire in WIRES {
        for scenario in ["ok", "500-once", "bad-frame", "failed"] {
            let provider = open().await;
            let model = model(&provider, wire, scenario, limits());
            let _ = model.answer(&request()).await;
            let _ = streamed(&*model).await;
        }
    }
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("trying again"), "the room's own words are heard: {text}");
    for secret in [KEY, MESSAGE, INSTRUCTIONS, "Provider text"] {
        assert!(!text.contains(secret), "the log tells {secret:?}");
    }
}
