//! Which providers there are when no file says so: those whose keys are in the environment.

use std::collections::BTreeMap;

use stepmill_models::{ModelSettings, ProviderSettings, Route, Wire};

use super::environment::Environment;

/// A provider that is there when its key is.
struct Known {
    name: &'static str,
    wire: Wire,
    key: &'static str,
    base_url: &'static str,
    patterns: &'static [&'static str],
}

const KNOWN: [Known; 4] = [
    Known {
        name: "openai",
        wire: Wire::OpenAiResponses,
        key: "OPENAI_API_KEY",
        base_url: "OPENAI_BASE_URL",
        patterns: &["gpt-*", "o1*", "o3*", "o4*", "chatgpt-*"],
    },
    Known {
        name: "openai-chat",
        wire: Wire::OpenAiChat,
        key: "OPENAI_API_KEY",
        base_url: "OPENAI_BASE_URL",
        patterns: &[],
    },
    Known {
        name: "anthropic",
        wire: Wire::Anthropic,
        key: "ANTHROPIC_API_KEY",
        base_url: "ANTHROPIC_BASE_URL",
        patterns: &["claude-*"],
    },
    Known {
        name: "gemini",
        wire: Wire::Gemini,
        key: "GEMINI_API_KEY",
        base_url: "GEMINI_BASE_URL",
        patterns: &["gemini-*", "gemma-*"],
    },
];

/// The providers whose keys are set, the models they are known for, and the demo model for
/// graphs that name the provider `demo`.
pub fn models_of_environment(environment: &Environment) -> ModelSettings {
    let mut settings = ModelSettings {
        providers: BTreeMap::from([("demo".into(), ProviderSettings::new(Wire::Demo))]),
        routes: Vec::new(),
        default_provider: None,
    };
    for known in &KNOWN {
        let Some(key) = environment.get(known.key) else { continue };
        let mut provider = ProviderSettings::new(known.wire);
        provider.key = Some(key.clone());
        provider.base_url = environment.text(known.base_url).map(str::to_owned);
        settings.providers.insert(known.name.into(), provider);
        let routes = known.patterns.iter().map(|it| Route {
            pattern: (*it).into(),
            provider: known.name.into(),
            model: None,
        });
        settings.routes.extend(routes);
    }
    if let Some(base_url) = environment.text("OLLAMA_BASE_URL") {
        let mut provider = ProviderSettings::new(Wire::Ollama);
        provider.base_url = Some(base_url.to_owned());
        settings.providers.insert("ollama".into(), provider);
    }
    settings
}

/// For the demo: every model name goes to `openai` if its key is set, else to the demo model.
pub fn demo_models(environment: &Environment) -> ModelSettings {
    let mut settings = models_of_environment(environment);
    let provider = if settings.providers.contains_key("openai") { "openai" } else { "demo" };
    settings.routes.clear();
    settings.default_provider = Some(provider.into());
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(vars: &[(&str, &str)]) -> Environment {
        Environment::of(vars.iter().map(|(name, value)| (name.to_string(), value.to_string())))
    }

    #[test]
    fn a_key_brings_its_provider_and_its_models() {
        let settings =
            models_of_environment(&of(&[("ANTHROPIC_API_KEY", "k"), ("OPENAI_API_KEY", "")]));
        let names: Vec<_> = settings.providers.keys().map(String::as_str).collect();
        assert_eq!(names, ["anthropic", "demo"]);
        assert_eq!(settings.routes.len(), 1);
        assert_eq!(settings.default_provider, None);
    }

    #[test]
    fn the_demo_takes_the_real_model_if_there_is_a_key() {
        assert_eq!(demo_models(&of(&[])).default_provider.as_deref(), Some("demo"));
        let settings = demo_models(&of(&[
            ("OPENAI_API_KEY", "k"),
            ("OPENAI_BASE_URL", "http://localhost:1/v1"),
        ]));
        assert_eq!(settings.default_provider.as_deref(), Some("openai"));
        assert_eq!(settings.providers["openai"].base_url.as_deref(), Some("http://localhost:1/v1"));
    }
}
