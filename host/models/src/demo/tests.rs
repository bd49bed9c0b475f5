//! The demo model shows what flows, and never pretends.

use super::*;
use stepmill_core::agent::ModelName;

fn demo() -> DemoModel {
    let identity = ModelIdentity {
        model: "gpt-5.4".to_owned(),
        vendor: "Stepmill".to_owned(),
        api: "Stepmill Demo".to_owned(),
    };
    DemoModel::new(identity, &CallLimits::default())
}

fn asked(instructions: &str, message: &str) -> ModelRequest {
    ModelRequest {
        model: ModelName { id: "gpt-5.4".to_owned(), provider: None },
        instructions: instructions.to_owned(),
        message: message.to_owned(),
        temperature: None,
        max_output_tokens: None,
        media: Default::default(),
    }
}

#[tokio::test]
async fn it_says_what_it_is_and_what_it_got() {
    let answer = demo().answer(&asked("Research the topic.", "AI agents\nin 2026")).await.unwrap();
    assert_eq!(
        answer.content,
        "[demo model, not a real one] Asked to act on the instructions “Research the topic.”, \
         I got this message: AI agents in 2026"
    );
    assert_eq!(answer.usage.input_tokens, 7);
    assert_eq!(answer.usage.output_tokens, 23);
    assert_eq!(answer.first_token_micros, None);
}

#[tokio::test]
async fn its_own_answer_as_a_message_keeps_one_label() {
    let first = demo().answer(&asked("Research.", "AI agents")).await.unwrap();
    let second = demo().answer(&asked("Write.", &first.content)).await.unwrap();
    assert_eq!(second.content.matches("[demo model").count(), 1);
    assert!(second.content.ends_with("AI agents"), "{}", second.content);
}

#[tokio::test]
async fn its_answer_is_bounded_however_long_the_message() {
    let answer = demo().answer(&asked(&"ä ".repeat(9_000), &"ö".repeat(9_000))).await.unwrap();
    assert!(answer.content.chars().count() < 1_000, "{}", answer.content);
    assert!(answer.content.ends_with('…'));
}

#[tokio::test]
async fn it_says_no_more_words_than_were_asked_for() {
    let request = ModelRequest { max_output_tokens: Some(4), ..asked("", "Hello") };
    let answer = demo().answer(&request).await.unwrap();
    assert_eq!(answer.content, "[demo model, not a ");
    assert_eq!(answer.usage.output_tokens, 4);
}

#[tokio::test]
async fn its_pieces_are_words_and_make_the_whole() {
    let request = asked("Be brief.", "Say hello to the reader");
    let pieces: Vec<_> = demo().stream(&request).collect().await;
    let (last, deltas) = pieces.split_last().unwrap();
    let told: String = deltas
        .iter()
        .map(|it| match it {
            Ok(Piece::Delta(word)) => word.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    let Ok(Piece::Done(answer)) = last else { panic!("{last:?}") };
    assert_eq!(answer.content, told);
    assert_eq!(answer.usage.output_tokens, deltas.len() as u64);
    assert!(answer.first_token_micros.is_some());
    assert_eq!(answer.content, demo().answer(&request).await.unwrap().content);
}
