//! A provider that behaves: text, pieces, counts and ids come through as they were sent.

use stepmill_core::agent::Usage;
use stepmill_core::event::ModelIdentity;
use stepmill_models::Wire;

use crate::harness::{
    ANSWER, WIRES, limits, model, open, request, streamed, streamed_outcome, unary_outcome,
};

/// Words of the instructions and the message, and of the answer.
const WORDS: Usage = Usage {
    input_tokens: 6,
    output_tokens: 8,
    reasoning_tokens: 0,
    cache_read_tokens: 0,
    cache_write_tokens: 0,
};

fn id(wire: Wire) -> Option<&'static str> {
    match wire {
        Wire::OpenAiResponses => Some("resp_1"),
        Wire::OpenAiChat => Some("chatcmpl-1"),
        Wire::Anthropic => Some("msg_1"),
        Wire::Gemini => Some("gem_1"),
        // Ollama gives none.
        Wire::Ollama | Wire::Demo => None,
    }
}

#[tokio::test]
async fn a_whole_answer_comes_with_its_counts_and_its_id() {
    for wire in WIRES {
        let provider = open().await;
        let model = model(&provider, wire, "ok", limits());
        let answer = model.answer(&request()).await.unwrap();
        assert_eq!(answer.content, ANSWER, "{wire:?}");
        assert_eq!(answer.usage, WORDS, "{wire:?}");
        assert_eq!(answer.mark.response_id.as_deref(), id(wire), "{wire:?}");
        assert_eq!(answer.first_token_micros, None, "{wire:?}");
        assert!(0 < answer.duration_micros, "{wire:?}");
    }
}

#[tokio::test]
async fn a_streamed_answer_comes_in_the_pieces_that_were_sent() {
    for wire in WIRES {
        let provider = open().await;
        let it = streamed(&*model(&provider, wire, "ok", limits())).await;
        let pieces = ["[small] instructions=Be ", "terse. | ", "input=the secret ", "wörld 🌍"];
        assert_eq!(it.deltas, pieces, "{wire:?}");
        let answer = it.end.unwrap();
        let tells = matches!(wire, Wire::OpenAiResponses | Wire::OpenAiChat);
        assert_eq!(it.mark, tells.then(|| answer.mark.clone()), "{wire:?}");
        assert_eq!(answer.content, ANSWER, "{wire:?}");
        assert_eq!(answer.usage, WORDS, "{wire:?}");
        assert_eq!(answer.mark.response_id.as_deref(), id(wire), "{wire:?}");
        let first = answer.first_token_micros.unwrap();
        assert!(0 < first && first <= answer.duration_micros, "{wire:?}");
    }
}

#[tokio::test]
async fn cached_and_reasoning_tokens_are_counted_whole_and_streamed() {
    for wire in WIRES {
        let provider = open().await;
        let model = model(&provider, wire, "details", limits());
        let cache_read_tokens = if wire == Wire::Ollama { 0 } else { 4 };
        // Anthropic and Ollama do not tell reasoning apart.
        let reasoning_tokens = match wire {
            Wire::Anthropic | Wire::Ollama => 0,
            _ => 2,
        };
        let expected = Usage { cache_read_tokens, reasoning_tokens, ..WORDS };
        assert_eq!(model.answer(&request()).await.unwrap().usage, expected, "{wire:?}");
        assert_eq!(streamed(&*model).await.end.unwrap().usage, expected, "{wire:?}");
    }
}

#[tokio::test]
async fn an_answer_cut_at_the_limit_of_tokens_is_an_answer() {
    for wire in WIRES {
        let unary = unary_outcome(wire, "incomplete", limits()).await;
        assert_eq!(unary, "answered; 1 asked", "{wire:?}");
        let streamed = streamed_outcome(wire, "incomplete", limits()).await;
        assert_eq!(streamed, "4 pieces, answered; 1 asked", "{wire:?}");
    }
}

#[tokio::test]
async fn it_does_not_matter_how_the_bytes_come() {
    for wire in WIRES {
        for scenario in ["crlf", "bytes", "comments", "unknown-event"] {
            let unary = unary_outcome(wire, scenario, limits()).await;
            assert_eq!(unary, "answered; 1 asked", "{wire:?} {scenario}");
            let streamed = streamed_outcome(wire, scenario, limits()).await;
            assert_eq!(streamed, "4 pieces, answered; 1 asked", "{wire:?} {scenario}");
        }
    }
}

#[tokio::test]
async fn an_identity_says_who_answers_and_how() {
    let provider = open().await;
    let shown = WIRES.map(|wire| {
        let model = model(&provider, wire, "ok", limits());
        let ModelIdentity { model, vendor, api } = model.identity().clone();
        format!("{model} {vendor} {api}")
    });
    assert_eq!(
        shown,
        [
            "small OpenAI OpenAI Responses",
            "small OpenAI OpenAI Chat",
            "small Anthropic Anthropic",
            "small Google Google Gemini",
            "small Ollama Ollama",
        ]
    );
}

#[tokio::test]
async fn calls_one_after_the_other_share_a_connection() {
    for wire in WIRES {
        let provider = open().await;
        let model = model(&provider, wire, "ok", limits());
        for _ in 0..10 {
            model.answer(&request()).await.unwrap();
            streamed(&*model).await.end.unwrap();
        }
        assert_eq!((provider.connections(), provider.count()), (1, 20), "{wire:?}");
    }
}
