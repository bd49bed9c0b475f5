//! Routes find their models, and bad settings are told all at once.

use super::*;

fn matches(pattern: &str, model: &str) -> bool {
    let provider = String::from("p");
    Route { pattern: pattern.to_owned(), provider, model: None }.matches(model)
}

#[test]
fn a_pattern_without_a_star_is_the_name() {
    assert!(matches("gpt-5.4", "gpt-5.4"));
    assert!(!matches("gpt-5.4", "gpt-5.4-mini"));
    assert!(!matches("gpt-5.4-mini", "gpt-5.4"));
    assert!(!matches("gpt-5.4", "gpt-5x4"));
}

#[test]
fn a_star_stands_for_anything_also_nothing() {
    assert!(matches("*", ""));
    assert!(matches("*", "claude"));
    assert!(matches("gpt-*", "gpt-"));
    assert!(matches("*-mini", "gpt-5.4-mini"));
    assert!(matches("gpt*mini", "gpt-5.4-mini"));
    assert!(!matches("gpt*mini", "gpt-5.4-minimal"));
    assert!(matches("a*b*c", "a-b-b-c"));
    assert!(!matches("a*b*c", "a-c-b"));
    assert!(matches("**", "x"));
}

#[test]
fn the_ends_of_a_pattern_do_not_share_letters() {
    assert!(!matches("ab*ba", "aba"));
    assert!(matches("ab*ba", "abba"));
    assert!(!matches("a*é*a", "aé"));
}

#[test]
fn an_address_is_plain_or_refused() {
    let at = |text: &str| {
        let base_url = Some(text.to_owned());
        ProviderSettings { base_url, ..ProviderSettings::new(Wire::OpenAiChat) }.address("p")
    };
    assert!(at("http://127.0.0.1:8080/v1").is_ok());
    assert!(at("https://models.example.com").is_ok());
    for bad in [
        "ftp://example.com",
        "example.com/v1",
        "https://user:hunter2@example.com",
        "https://example.com/v1?key=hunter2",
        "https://example.com/#hunter2",
    ] {
        let fault = at(bad).expect_err(bad);
        assert!(!format!("{fault} {fault:?}").contains("hunter2"), "{fault:?}");
    }
}

#[test]
fn every_fault_is_told_at_once() {
    let mut demo = ProviderSettings::new(Wire::Demo);
    demo.limits.total_timeout_ms = 0;
    demo.limits.body_bytes = 0;
    demo.limits.retry_pause_ms = u64::MAX;
    let openai = ProviderSettings::new(Wire::OpenAiResponses);
    let providers = [("demo".to_owned(), demo), ("openai".to_owned(), openai)].into();
    let route = |pattern: &str, provider: &str| Route {
        pattern: pattern.to_owned(),
        provider: provider.to_owned(),
        model: None,
    };
    let settings = ModelSettings {
        providers,
        routes: vec![route("gpt-*", "nobody"), route("", "demo")],
        default_provider: Some("no one".to_owned()),
    };
    let faults = settings.faults();
    let text = faults.iter().map(|it| format!("{it}\n")).collect::<String>();
    assert_eq!(
        text,
        "provider `demo`: total_timeout_ms must be between 1 and 86400000\n\
         provider `demo`: body_bytes must be at least 1\n\
         provider `demo`: retry_pause_ms must be at most 86400000\n\
         provider `openai`: a key is needed unless base_url names another server\n\
         route `gpt-*`: there is no provider `nobody`\n\
         a route to `demo` has an empty pattern\n\
         default_provider: there is no provider `no one`\n"
    );
}

#[test]
fn settings_do_not_show_what_is_secret() {
    let provider = ProviderSettings {
        base_url: Some("https://user:hunter2@example.com".to_owned()),
        key: Some("sk-hunter2".to_owned().into()),
        ..ProviderSettings::new(Wire::Gemini)
    };
    let shown = format!("{provider:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
}
