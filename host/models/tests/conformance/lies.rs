//! tmp
use crate::harness::{WIRES, limits, model, open, request, streamed_outcome, unary_outcome};
use stepmill_models::CallLimits;

#[tokio::test]
async fn print() {
    let limits =
        CallLimits { idle_timeout_ms: 1_000, total_timeout_ms: 1_500, retries: 1, ..limits() };
    for scenario in [
        "usage-none",
        "usage-negative",
        "usage-absurd",
        "usage-words",
        "finish-unknown",
        "type-html",
        "no-utf8",
        "length-long",
        "length-short",
        "error-200",
        "empty-200",
        "tool-call",
        "flood-headers",
        "flood-hints",
        "flood-deltas",
        "flood-comments",
        "drip-comments",
    ] {
        println!("== {scenario}");
        for wire in WIRES {
            println!(
                "  {wire:?}\n    {}\n    {}",
                unary_outcome(wire, scenario, limits).await,
                streamed_outcome(wire, scenario, limits).await
            );
            if scenario.starts_with("usage") {
                let provider = open().await;
                let m = model(&provider, wire, scenario, limits);
                println!("    {:?}", m.answer(&request()).await.map(|it| it.usage));
            }
        }
    }
}
