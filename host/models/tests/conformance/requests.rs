//! What a provider gets to read: the request, in its own protocol, and the key in one header.

use serde_json::{Value, json};
use stepmill_core::call::ModelRequest;
use stepmill_core::extras::{Media, MediaKind};
use stepmill_fake_provider::Recorded;
use stepmill_models::{ModelSettings, Models, ProviderSettings, Route, Wire};

use crate::harness::{INSTRUCTIONS, KEY, MESSAGE, WIRES, limits, model, open, request, streamed};

/// The one request of a call.
async fn sent(wire: Wire, request: &ModelRequest) -> Recorded {
    let provider = open().await;
    let answer = model(&provider, wire, "ok", limits()).answer(request).await;
    answer.expect("the provider behaves");
    provider.requests().remove(0)
}

#[tokio::test]
async fn instructions_message_and_numbers_are_sent() {
    for wire in WIRES {
        let it = sent(wire, &request()).await;
        assert_eq!(it.model, "small", "{wire:?}");
        assert_eq!(it.instructions, INSTRUCTIONS, "{wire:?}");
        assert_eq!(it.message, MESSAGE, "{wire:?}");
        assert!(!it.streamed, "{wire:?}");
        let [temperature, most] = match wire {
            Wire::OpenAiResponses => ["/temperature", "/max_output_tokens"],
            Wire::OpenAiChat | Wire::Anthropic | Wire::Demo => ["/temperature", "/max_tokens"],
            Wire::Gemini => ["/generationConfig/temperature", "/generationConfig/maxOutputTokens"],
            Wire::Ollama => ["/options/temperature", "/options/num_predict"],
        };
        assert_eq!(it.body.pointer(temperature), Some(&json!(0.7)), "{wire:?} {}", it.body);
        assert_eq!(it.body.pointer(most), Some(&json!(100)), "{wire:?} {}", it.body);
    }
}

#[tokio::test]
async fn a_stream_is_asked_for_with_its_counts() {
    for wire in WIRES {
        let provider = open().await;
        streamed(&*model(&provider, wire, "ok", limits())).await.end.unwrap();
        let it = provider.requests().remove(0);
        assert!(it.streamed, "{wire:?}");
        if wire == Wire::OpenAiChat {
            assert_eq!(it.body["stream_options"]["include_usage"], true);
        }
    }
}

#[tokio::test]
async fn what_is_not_said_is_not_sent() {
    let silent = ModelRequest {
        instructions: String::new(),
        temperature: None,
        max_output_tokens: None,
        ..request()
    };
    for wire in WIRES {
        let it = sent(wire, &silent).await;
        assert_eq!(it.instructions, "", "{wire:?} {}", it.body);
        let body = it.body.to_string();
        assert!(!body.contains("temperature"), "{wire:?} {body}");
        assert!(!body.contains("\"system\""), "{wire:?} {body}");
        // One protocol insists on a number.
        let most = if wire == Wire::Anthropic { json!(8_192) } else { Value::Null };
        assert_eq!(it.body["max_tokens"], most, "{wire:?} {body}");
    }
}

/// Every protocol that knows pictures gets them beside the message, told apart by their bytes.
#[tokio::test]
async fn pictures_go_with_the_message() {
    let picture = |content: Option<&[u8]>, url: Option<&str>| Media {
        id: "m".to_owned(),
        kind: MediaKind::Image,
        content: content.map(<[u8]>::to_vec),
        url: url.map(str::to_owned),
        mime_type: None,
        format: None,
        filename: None,
    };
    let png = picture(Some(b"\x89PNG\r\n\x1a\n"), None);
    let place = picture(None, Some("https://example.com/a.png"));
    for wire in [Wire::OpenAiResponses, Wire::OpenAiChat, Wire::Anthropic] {
        let request = ModelRequest { media: [png.clone(), place.clone()].into(), ..request() };
        let it = sent(wire, &request).await;
        assert_eq!(it.message, MESSAGE, "{wire:?} {}", it.body);
        let body = it.body.to_string();
        for part in ["iVBORw0KGgo=", "image/png", "https://example.com/a.png"] {
            assert!(body.contains(part), "{wire:?}: {part} in {body}");
        }
    }
    let text = Media {
        kind: MediaKind::File,
        mime_type: Some("text/csv".into()),
        ..picture(Some(b"a,b"), None)
    };
    let it = sent(Wire::OpenAiResponses, &ModelRequest { media: [text].into(), ..request() }).await;
    assert!(it.body.to_string().contains("a,b"), "{}", it.body);
}

#[tokio::test]
async fn texts_for_chat_completions_are_strings() {
    let it = sent(Wire::OpenAiChat, &request()).await;
    let messages = json!([
        { "role": "system", "content": INSTRUCTIONS },
        { "role": "user", "content": MESSAGE },
    ]);
    assert_eq!(it.body["messages"], messages);
}

#[tokio::test]
async fn instructions_for_responses_stand_in_their_own_field() {
    let it = sent(Wire::OpenAiResponses, &request()).await;
    assert_eq!(it.body["instructions"], INSTRUCTIONS);
}

#[tokio::test]
async fn the_key_is_in_one_header_and_nowhere_else() {
    for wire in WIRES {
        let it = sent(wire, &request()).await;
        let (name, value) = match wire {
            Wire::Anthropic => ("x-api-key", KEY.to_owned()),
            Wire::Gemini => ("x-goog-api-key", KEY.to_owned()),
            _ => ("authorization", format!("Bearer {KEY}")),
        };
        assert_eq!(it.header(name), Some(value.as_str()), "{wire:?}");
        let with_key: Vec<_> = it.headers.iter().filter(|(_, it)| it.contains(KEY)).collect();
        assert_eq!(with_key.len(), 1, "{wire:?}");
        assert!(!it.path.contains("key"), "{wire:?} {}", it.path);
        assert!(!it.body.to_string().contains(KEY), "{wire:?}");
    }
}

#[tokio::test]
async fn without_a_key_there_is_no_header_for_one() {
    for wire in WIRES {
        let provider = open().await;
        let settings = ProviderSettings {
            base_url: Some(format!("{}/v1", provider.url("ok"))),
            limits: limits(),
            ..ProviderSettings::new(wire)
        };
        let settings = ModelSettings {
            providers: [("local".to_owned(), settings)].into(),
            routes: Vec::new(),
            default_provider: Some("local".to_owned()),
        };
        let model = Models::open(settings).unwrap().resolve(&request().model).unwrap();
        // Some protocols put a path of their own behind the address and are not answered here;
        // what was sent is recorded nonetheless.
        let _ = model.answer(&request()).await;
        for it in provider.requests() {
            for name in ["authorization", "x-api-key", "x-goog-api-key"] {
                assert_eq!(it.header(name), None, "{wire:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_renamed_model_is_asked_for_by_its_new_name() {
    let provider = open().await;
    let settings = ProviderSettings {
        base_url: Some(format!("{}/v1", provider.url("ok"))),
        limits: limits(),
        ..ProviderSettings::new(Wire::OpenAiResponses)
    };
    let route = Route {
        pattern: "sm*".to_owned(),
        provider: "local".to_owned(),
        model: Some("smollm2-135m".to_owned()),
    };
    let settings = ModelSettings {
        providers: [("local".to_owned(), settings)].into(),
        routes: vec![route],
        default_provider: None,
    };
    let model = Models::open(settings).unwrap().resolve(&request().model).unwrap();
    model.answer(&request()).await.unwrap();
    assert_eq!(provider.requests()[0].model, "smollm2-135m");
    assert_eq!(model.identity().model, "small");
}
