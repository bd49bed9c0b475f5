//! A provider that says what is not true, or has no end: what it says is bounded, and what is no
//! answer is none.

use stepmill_core::agent::Usage;
use stepmill_models::{CallLimits, Wire};

use crate::faults::{all, before_any_word, each};
use crate::harness::{
    WIRES, limits, line, model, open, request, streamed, streamed_outcome, unary_outcome,
};

const ANSWERED: (&str, &str) = ("answered; 1 asked", "4 pieces, answered; 1 asked");

#[tokio::test]
async fn a_count_that_is_no_count_is_not_there() {
    for wire in WIRES {
        for scenario in ["usage-none", "usage-negative", "usage-words"] {
            let provider = open().await;
            let model = model(&provider, wire, scenario, limits());
            let whole = model.answer(&request()).await.unwrap();
            assert_eq!(whole.usage, Usage::default(), "{wire:?} {scenario}");
            let streamed = streamed(&*model).await.end.unwrap();
            assert_eq!(streamed.usage, Usage::default(), "{wire:?} {scenario}");
        }
    }
}

/// The client crate adds up the counts of some protocols, and panics where the sum is no number.
#[tokio::test]
async fn a_count_that_is_absurd_is_bounded_or_ends_the_call() {
    for wire in WIRES {
        let provider = open().await;
        let model = model(&provider, wire, "usage-absurd", limits());
        for answer in [model.answer(&request()).await, streamed(&*model).await.end] {
            match (wire, answer) {
                (Wire::Anthropic | Wire::Ollama, Err(failure)) => {
                    assert_eq!(line(&failure), "failed Malformed", "{wire:?}");
                }
                (_, answer) => {
                    let usage = answer.unwrap().usage;
                    assert_eq!((usage.input_tokens, usage.output_tokens), (1 << 40, 1 << 40));
                }
            }
        }
        assert_eq!(provider.count(), 2, "{wire:?}: what was told is not asked for again");
    }
}

#[tokio::test]
async fn an_end_for_an_unknown_reason_is_a_failure() {
    all("finish-unknown", "failed Reported; 1 asked", "4 pieces, failed Reported; 1 asked").await;
}

#[tokio::test]
async fn a_stream_of_another_type_is_none() {
    let refused = ("answered; 1 asked", "0 pieces, failed Malformed; 1 asked");
    // Lines of JSON are what they are.
    each("type-html", [refused, refused, refused, refused, ANSWERED]).await;
}

#[tokio::test]
async fn bytes_that_are_no_text_are_replaced() {
    let text = "[small] instructions=Be \u{fffd}\u{fffd}rse. | input=the secret wörld 🌍";
    let said = format!("answered {text:?}; 1 asked");
    all("no-utf8", &said, &format!("4 pieces, {said}")).await;
}

#[tokio::test]
async fn a_length_that_is_not_true_loses_nothing_silently() {
    // The protocol's own end is the end; one protocol has none but the body's.
    let told = ("broke off; 1 asked", "4 pieces, answered; 1 asked");
    let endless = ("broke off; 1 asked", "4 pieces, broke off; 1 asked");
    each("length-long", [told, told, told, endless, told]).await;
    let malformed = "failed Malformed; 1 asked";
    each(
        "length-short",
        [
            (malformed, "3 pieces, broke off; 1 asked"),
            (malformed, "2 pieces, broke off; 1 asked"),
            (malformed, "1 pieces, broke off; 1 asked"),
            (malformed, "2 pieces, broke off; 1 asked"),
            (malformed, "2 pieces, failed Malformed; 1 asked"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_good_status_does_not_make_an_answer() {
    let broke_off = "0 pieces, broke off; 1 asked";
    each(
        "error-200",
        [
            ("failed Reported server_error; 1 asked", broke_off),
            ("failed Reported server_error; 1 asked", broke_off),
            ("failed Reported api_error; 1 asked", broke_off),
            ("failed Status 500 INTERNAL; 3 asked", broke_off),
            ("failed Reported; 1 asked", "0 pieces, failed Reported; 1 asked"),
        ],
    )
    .await;
    before_any_word("empty-200", ["broke off; 1 asked"; 5]).await;
}

#[tokio::test]
async fn a_call_of_a_tool_that_nobody_offered_is_no_answer() {
    before_any_word("tool-call", ["failed Empty; 1 asked"; 5]).await;
}

#[tokio::test]
async fn a_flood_ends_at_the_bound_of_a_body() {
    before_any_word("flood-headers", ["failed Unreachable; 3 asked"; 5]).await;
    before_any_word("flood-comments", ["larger than 65536; 1 asked"; 5]).await;
    for wire in WIRES {
        let end = streamed_outcome(wire, "flood-deltas", limits()).await;
        assert!(end.ends_with(" pieces, larger than 65536; 1 asked"), "{wire:?}: {end}");
    }
}

#[tokio::test]
async fn signs_of_life_are_no_answer() {
    let limits = CallLimits { idle_timeout_ms: 400, total_timeout_ms: 600, ..limits() };
    for wire in WIRES {
        for (scenario, limit) in [("flood-hints", "Idle"), ("drip-comments", "Total")] {
            let unary = unary_outcome(wire, scenario, limits).await;
            assert_eq!(unary, "timed out Total; 1 asked", "{wire:?} {scenario}");
            let streamed = streamed_outcome(wire, scenario, limits).await;
            let expected = format!("0 pieces, timed out {limit}; 1 asked");
            assert_eq!(streamed, expected, "{wire:?} {scenario}");
        }
    }
}
