//! Names find their providers.

use super::*;

fn local(wire: Wire) -> ProviderSettings {
    let base_url = Some("http://127.0.0.1:9/v1".to_owned());
    ProviderSettings { base_url, ..ProviderSettings::new(wire) }
}

fn models() -> Models {
    let route = |pattern: &str, provider: &str, model: Option<&str>| Route {
        pattern: pattern.to_owned(),
        provider: provider.to_owned(),
        model: model.map(str::to_owned),
    };
    Models::open(ModelSettings {
        providers: [
            ("openai".to_owned(), local(Wire::OpenAiResponses)),
            ("chat".to_owned(), local(Wire::OpenAiChat)),
            ("anthropic".to_owned(), local(Wire::Anthropic)),
            ("gemini".to_owned(), local(Wire::Gemini)),
            ("ollama".to_owned(), local(Wire::Ollama)),
            ("demo".to_owned(), ProviderSettings::new(Wire::Demo)),
        ]
        .into(),
        routes: vec![
            route("gpt-*-mini", "chat", Some("small")),
            route("gpt-*", "openai", None),
            route("claude-*", "anthropic", None),
        ],
        default_provider: Some("demo".to_owned()),
    })
    .unwrap()
}

fn found(models: &Models, id: &str, provider: Option<&str>) -> Option<(String, String, String)> {
    let name = ModelName { id: id.to_owned(), provider: provider.map(str::to_owned) };
    let model = models.resolve(&name)?;
    let ModelIdentity { model, vendor, api } = model.identity().clone();
    Some((model, vendor, api))
}

fn some(model: &str, vendor: &str, api: &str) -> Option<(String, String, String)> {
    Some((model.to_owned(), vendor.to_owned(), api.to_owned()))
}

#[test]
fn the_first_route_that_matches_counts_and_the_name_stays() {
    let models = models();
    let mini = found(&models, "gpt-5.4-mini", None);
    assert_eq!(mini, some("gpt-5.4-mini", "OpenAI", "OpenAI Chat"));
    assert_eq!(found(&models, "gpt-5.4", None), some("gpt-5.4", "OpenAI", "OpenAI Responses"));
    assert_eq!(found(&models, "claude-x", None), some("claude-x", "Anthropic", "Anthropic"));
}

#[test]
fn what_no_route_matches_goes_to_the_default() {
    assert_eq!(found(&models(), "llama", None), some("llama", "Stepmill", "Stepmill Demo"));
    let nobody = Models::open(ModelSettings::default()).unwrap();
    assert_eq!(found(&nobody, "llama", None), None);
}

#[test]
fn a_name_with_a_provider_asks_no_route() {
    let models = models();
    let (gemini, ollama) = (Some("gemini"), Some("ollama"));
    assert_eq!(found(&models, "gpt-5.4", gemini), some("gpt-5.4", "Google", "Google Gemini"));
    assert_eq!(found(&models, "smol", ollama), some("smol", "Ollama", "Ollama"));
    assert_eq!(found(&models, "gpt-5.4", Some("nobody")), None);
    assert_eq!(found(&models, "../secret", gemini), None);
}

#[test]
fn a_vendor_may_be_named() {
    let provider = ProviderSettings { vendor: Some("Acme".to_owned()), ..local(Wire::OpenAiChat) };
    let models = Models::open(ModelSettings {
        providers: [("acme".to_owned(), provider)].into(),
        routes: Vec::new(),
        default_provider: Some("acme".to_owned()),
    })
    .unwrap();
    assert_eq!(found(&models, "m", None), some("m", "Acme", "OpenAI Chat"));
    let lines: Vec<_> = models.providers().collect();
    assert_eq!(
        lines,
        [ProviderLine {
            name: "acme".to_owned(),
            vendor: "Acme".to_owned(),
            api: "OpenAI Chat",
            address: Some("http://127.0.0.1:9/v1".to_owned()),
        }]
    );
}
