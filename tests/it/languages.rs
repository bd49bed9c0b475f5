//! The contract is for every language: the same promises, kept by plugins that are not in Rust.

use serde_json::Value;
use stepmill_fake_provider::FakeProvider;

use crate::house::{House, Token, component};

/// A house with one plugin that its language's ordinary tools built.
async fn house(id: &str, provider: &FakeProvider) -> House {
    let house = House::serve().guarded().models_at(&provider.url("ok")).open().await;
    let reply = house.push(id, component(id)).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    house
}

fn steps(run: &Value) -> Vec<&str> {
    run["step_results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["step_name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn python_pipeline() {
    let provider = FakeProvider::open().await.unwrap();
    let house = house("python-pipeline", &provider).await;
    // The host lets it run this one; the factory wants more.
    let ada = Token::of("acme", "ada").scope("workflows:python-pipeline:run");
    let refused = house.run_as(&ada, "python-pipeline", &[("message", "sea")]).await;
    assert_eq!(refused.refusal(), (403, "Missing 'workflows:run' scope".into()));

    let ada = ada.scope("workflows:run");
    let fields = [("message", "sea"), ("factory_input", r#"{"words": 3}"#)];
    let run = house.run_as(&ada, "python-pipeline", &fields).await.good();
    assert_eq!(steps(&run), ["draft", "cut"]);
    assert_eq!(run["step_results"][1]["executor_type"], "function");
    assert_eq!(run["content"].as_str().unwrap().split(' ').count(), 4, "{}", run["content"]);
    assert!(
        run["step_executor_runs"][0]["messages"][0]["content"]
            .as_str()
            .unwrap()
            .contains("for ada")
    );

    let fields = [("message", "sea"), ("factory_input", r#"{"words": 0}"#)];
    assert_eq!(house.run_as(&ada, "python-pipeline", &fields).await.status, 400);
}

#[tokio::test]
async fn javascript_pipeline() {
    let provider = FakeProvider::open().await.unwrap();
    let house = house("javascript-pipeline", &provider).await;
    // The host lets it run this one; the factory wants more.
    let ada = Token::of("acme", "ada").scope("workflows:javascript-pipeline:run");
    let refused = house.run_as(&ada, "javascript-pipeline", &[("message", "sea")]).await;
    assert_eq!(refused.refusal(), (403, "Missing 'workflows:run' scope".into()));

    let ada = ada.scope("workflows:run");
    let run = house.run_as(&ada, "javascript-pipeline", &[("message", "sea")]).await.good();
    assert_eq!(steps(&run), ["write", "publish"]);
    let fields = [("message", "sea"), ("factory_input", r#"{"language": "de", "tags": ["a"]}"#)];
    let run = house.run_as(&ada, "javascript-pipeline", &fields).await.good();
    assert_eq!(steps(&run), ["write", "translate", "publish"]);
    let content = run["content"].as_str().unwrap();
    assert!(
        content.starts_with("---\ntitle: \"sea\"\nlanguage: \"de\"\ntags: [\"a\"]\n---\n\n"),
        "{content}"
    );

    let fields = [("message", "sea"), ("factory_input", r#"{"language": "xx"}"#)];
    assert_eq!(house.run_as(&ada, "javascript-pipeline", &fields).await.status, 400);
}
