//! A provider that is silent or slow is given up in time; one that asks to wait is waited for.

use std::time::{Duration, Instant};

use stepmill_models::{CallLimits, ModelFailure, TimeLimit};

use crate::harness::{WIRES, for_each_wire, limits, model, open, request, streamed};

const IDLE: ModelFailure = ModelFailure::TimedOut { limit: TimeLimit::Idle };
const TOTAL: ModelFailure = ModelFailure::TimedOut { limit: TimeLimit::Total };

#[tokio::test]
async fn silence_ends_a_stream_and_the_pieces_before_it_were_told() {
    let limits = CallLimits { idle_timeout_ms: 500, ..limits() };
    for_each_wire(|wire| async move {
        let provider = open().await;
        let model = model(&provider, wire, "stall", limits);
        let it = streamed(&*model).await;
        assert_eq!((it.deltas.len(), it.end), (2, Err(IDLE)), "{wire:?}");
        provider.abandoned(1).await;
        assert_eq!(provider.count(), 1, "{wire:?}");
    })
    .await;
}

#[tokio::test]
async fn silence_before_the_first_word_ends_a_stream_too() {
    let limits = CallLimits { idle_timeout_ms: 500, ..limits() };
    for_each_wire(|wire| async move {
        let provider = open().await;
        let it = streamed(&*model(&provider, wire, "silent", limits)).await;
        assert_eq!((it.deltas.len(), it.end), (0, Err(IDLE)), "{wire:?}");
        provider.abandoned(1).await;
        assert_eq!(provider.count(), 1, "{wire:?}");
    })
    .await;
}

#[tokio::test]
async fn a_whole_call_ends_at_its_deadline() {
    let limits = CallLimits { total_timeout_ms: 500, ..limits() };
    for_each_wire(|wire| async move {
        for scenario in ["silent", "stall"] {
            let provider = open().await;
            let model = model(&provider, wire, scenario, limits);
            assert_eq!(model.answer(&request()).await, Err(TOTAL), "{wire:?} {scenario}");
            // The model lives on; the connection must not.
            provider.abandoned(1).await;
            assert_eq!(provider.count(), 1, "{wire:?} {scenario}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_never_falls_silent_ends_at_the_deadline_of_the_call() {
    let limits = CallLimits { idle_timeout_ms: 30_000, total_timeout_ms: 500, ..limits() };
    for_each_wire(|wire| async move {
        let provider = open().await;
        let it = streamed(&*model(&provider, wire, "drip-200", limits)).await;
        assert_eq!(it.end, Err(TOTAL), "{wire:?}");
    })
    .await;
}

#[tokio::test]
async fn a_wait_that_the_provider_asks_for_is_waited() {
    let provider = open().await;
    let began = Instant::now();
    let model = model(&provider, WIRES[0], "429-after-1-once", limits());
    model.answer(&request()).await.unwrap();
    assert!(Duration::from_secs(1) <= began.elapsed(), "{:?}", began.elapsed());
    assert_eq!(provider.count(), 2);
}

#[tokio::test]
async fn no_wait_goes_past_the_deadline_of_the_call() {
    let limits = CallLimits { total_timeout_ms: 2_000, ..limits() };
    let provider = open().await;
    let model = model(&provider, WIRES[0], "429-after-3", limits);
    let failure = model.answer(&request()).await.unwrap_err();
    assert!(matches!(failure, ModelFailure::Busy { retry_after_ms: Some(3_000), .. }));
    assert_eq!(provider.count(), 1);
}
