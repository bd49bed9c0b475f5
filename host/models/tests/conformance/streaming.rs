//! Pieces are handed on as they arrive, and going away ends the call.

use futures::{FutureExt, StreamExt};
use stepmill_models::Piece;

use crate::harness::{WIRES, limits, model, open, request};

#[tokio::test]
async fn each_piece_is_told_while_the_next_is_held() {
    for wire in WIRES {
        let provider = open().await;
        let mut stream = model(&provider, wire, "gate-deltas", limits()).stream(&request());
        let pieces = ["[small] instructions=Be ", "terse. | ", "input=the secret ", "wörld 🌍"];
        for piece in pieces {
            assert!(stream.next().now_or_never().is_none(), "{wire:?}: nothing was released");
            provider.release_deltas(1);
            let mut told = stream.next().await.unwrap().unwrap();
            if let Piece::Began(_) = told {
                told = stream.next().await.unwrap().unwrap();
            }
            assert_eq!(told, Piece::Delta(piece.to_owned()), "{wire:?}");
        }
        let end = stream.next().await.unwrap().unwrap();
        assert!(matches!(end, Piece::Done(_)), "{wire:?}: {end:?}");
        assert!(stream.next().await.is_none(), "{wire:?}");
    }
}

#[tokio::test]
async fn nothing_is_asked_before_somebody_listens() {
    for wire in WIRES {
        let provider = open().await;
        let model = model(&provider, wire, "ok", limits());
        drop((model.stream(&request()), model.answer(&request())));
        assert_eq!(provider.connections(), 0, "{wire:?}");
    }
}

#[tokio::test]
async fn who_drops_a_stream_hangs_up() {
    for wire in WIRES {
        let provider = open().await;
        let mut stream = model(&provider, wire, "stall", limits()).stream(&request());
        assert!(stream.next().await.unwrap().is_ok());
        drop(stream);
        provider.abandoned(1).await;
    }
}

#[tokio::test]
async fn who_drops_a_call_hangs_up() {
    for wire in WIRES {
        let provider = open().await;
        let model = model(&provider, wire, "gate", limits());
        let asked = request();
        tokio::select! {
            answer = model.answer(&asked) => panic!("{wire:?}: {answer:?}"),
            () = provider.arrived(1) => {}
        }
        provider.abandoned(1).await;
    }
}

#[tokio::test]
async fn a_held_answer_comes_when_it_is_released() {
    let provider = open().await;
    let model = model(&provider, WIRES[0], "gate", limits());
    let asked = request();
    let release = async {
        provider.arrived(1).await;
        provider.release_answers(1);
    };
    let (answer, ()) = tokio::join!(model.answer(&asked), release);
    assert!(answer.is_ok());
}
