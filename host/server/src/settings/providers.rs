//! `[models]`: which providers there are, and what they answer for.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use stepmill_models::{ModelSettings, ProviderSettings, Route, Wire};

use super::budget::PriceFile;
use super::environment::Environment;
use super::fault::{SettingsFault, secret, value};
use super::sections::overlay;

overlay! {
    /// Bounds of one provider's calls.
    CallLimitsFile over ProviderSettings {
        connect_timeout_ms: u64 => limits.connect_timeout_ms,
        idle_timeout_ms: u64 => limits.idle_timeout_ms,
        total_timeout_ms: u64 => limits.total_timeout_ms,
        body_bytes: usize => limits.body_bytes,
        retries: u32 => limits.retries,
        default_output_tokens: u32 => limits.default_output_tokens,
    }
}

/// `[models]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelsFile {
    default_provider: Option<String>,
    #[serde(default)]
    routes: Vec<RouteFile>,
    #[serde(default)]
    providers: BTreeMap<String, ProviderFile>,
    #[serde(default)]
    pub(super) prices: BTreeMap<String, PriceFile>,
}

impl ModelsFile {
    /// Whether nothing is said but what models cost: the environment says who answers then.
    pub(super) fn is_priced_only(&self) -> bool {
        let is_silent = self.default_provider.is_none() && self.routes.is_empty();
        is_silent && self.providers.is_empty() && !self.prices.is_empty()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteFile {
    pattern: String,
    provider: String,
    model: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderFile {
    wire: String,
    base_url: Option<String>,
    key_file: Option<PathBuf>,
    key_env: Option<String>,
    vendor: Option<String>,
    #[serde(default)]
    limits: CallLimitsFile,
}

pub(super) fn models(
    file: ModelsFile,
    environment: &Environment,
) -> Result<ModelSettings, SettingsFault> {
    let mut providers = BTreeMap::new();
    for (name, file) in file.providers {
        let place = format!("models.providers.{name}");
        let wire = match file.wire.as_str() {
            "openai-responses" => Wire::OpenAiResponses,
            "openai-chat" => Wire::OpenAiChat,
            "anthropic" => Wire::Anthropic,
            "gemini" => Wire::Gemini,
            "ollama" => Wire::Ollama,
            "demo" => Wire::Demo,
            _ => {
                let rule = "one of openai-responses, openai-chat, anthropic, gemini, ollama, demo";
                return Err(value(format!("{place}.wire"), rule));
            }
        };
        let mut provider = ProviderSettings::new(wire);
        provider.base_url = file.base_url;
        provider.key = secret(&place, file.key_file, file.key_env, environment)?;
        provider.vendor = file.vendor;
        file.limits.lay_over(&mut provider);
        providers.insert(name, provider);
    }
    let route =
        |it: RouteFile| Route { pattern: it.pattern, provider: it.provider, model: it.model };
    let routes = file.routes.into_iter().map(route).collect();
    Ok(ModelSettings { providers, routes, default_provider: file.default_provider })
}
