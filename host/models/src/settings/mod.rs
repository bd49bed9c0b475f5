//! Which providers there are, how they are spoken to, and within what limits.

mod fault;
mod limits;

use std::collections::BTreeMap;
use std::fmt;

use reqwest::Url;
use secrecy::SecretString;
use stepmill_core::glob;

pub use fault::SettingsFault;
pub use limits::CallLimits;

/// All an operator says about models.
#[derive(Debug, Clone, Default)]
pub struct ModelSettings {
    /// By the operator's name for each.
    pub providers: BTreeMap<String, ProviderSettings>,
    /// Asked in order for a model that names no provider; the first that matches counts.
    pub routes: Vec<Route>,
    /// Who answers for models that no route matches.
    pub default_provider: Option<String>,
}

/// One provider.
#[derive(Clone)]
pub struct ProviderSettings {
    /// The protocol.
    pub wire: Wire,
    /// Where it listens; none is the vendor's own address.
    pub base_url: Option<String>,
    /// What it is opened with. Local servers need none.
    pub key: Option<SecretString>,
    /// Whose models these are, as events show it; none is the wire's own vendor.
    pub vendor: Option<String>,
    /// How long, how large, how often.
    pub limits: CallLimits,
}

impl ProviderSettings {
    /// A provider at its vendor's own address, without a key, with the usual limits.
    pub fn new(wire: Wire) -> Self {
        Self { wire, base_url: None, key: None, vendor: None, limits: CallLimits::default() }
    }
}

/// An address may carry a password, so it is not shown.
impl fmt::Debug for ProviderSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderSettings")
            .field("wire", &self.wire)
            .field("base_url", &self.base_url.as_ref().map(|_| "…"))
            .field("key", &self.key)
            .field("vendor", &self.vendor)
            .field("limits", &self.limits)
            .finish()
    }
}

/// A protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// `POST /responses`.
    OpenAiResponses,
    /// `POST /chat/completions`.
    OpenAiChat,
    /// `POST /v1/messages`.
    Anthropic,
    /// `generateContent`.
    Gemini,
    /// `POST /api/chat`.
    Ollama,
    /// No network: a stand-in that says it is one.
    Demo,
}

impl Wire {
    /// Whose protocol it is.
    pub fn vendor(self) -> &'static str {
        match self {
            Self::OpenAiResponses | Self::OpenAiChat => "OpenAI",
            Self::Anthropic => "Anthropic",
            Self::Gemini => "Google",
            Self::Ollama => "Ollama",
            Self::Demo => "Stepmill",
        }
    }

    /// What events call it.
    pub fn api(self) -> &'static str {
        match self {
            Self::OpenAiResponses => "OpenAI Responses",
            Self::OpenAiChat => "OpenAI Chat",
            Self::Anthropic => "Anthropic",
            Self::Gemini => "Google Gemini",
            Self::Ollama => "Ollama",
            Self::Demo => "Stepmill Demo",
        }
    }

    /// The vendor's own address.
    fn address(self) -> Option<&'static str> {
        match self {
            Self::OpenAiResponses | Self::OpenAiChat => Some("https://api.openai.com/v1"),
            Self::Anthropic => Some("https://api.anthropic.com"),
            Self::Gemini => Some("https://generativelanguage.googleapis.com"),
            Self::Ollama => Some("http://localhost:11434"),
            Self::Demo => None,
        }
    }
}

/// Which provider answers for which models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// A model's id; `*` stands for any characters, also none.
    pub pattern: String,
    /// The provider's name in [`ModelSettings::providers`].
    pub provider: String,
    /// What the provider calls the model; none leaves the name as it is.
    pub model: Option<String>,
}

impl Route {
    /// Whether the route is meant for this model.
    pub(crate) fn matches(&self, model: &str) -> bool {
        glob::matches(&self.pattern, model)
    }
}

impl ModelSettings {
    /// Checks what can be checked without asking anybody. All faults at once.
    pub(crate) fn faults(&self) -> Vec<SettingsFault> {
        let mut faults = Vec::new();
        for (name, provider) in &self.providers {
            faults.extend(provider.address(name).err());
            faults.extend(provider.limits.faults(name));
            let hosted = matches!(
                provider.wire,
                Wire::OpenAiResponses | Wire::OpenAiChat | Wire::Anthropic | Wire::Gemini
            );
            if hosted && provider.base_url.is_none() && provider.key.is_none() {
                faults.push(SettingsFault::NoKey { provider: name.clone() });
            }
        }
        for route in &self.routes {
            if !self.providers.contains_key(&route.provider) {
                faults.push(SettingsFault::RouteProvider {
                    pattern: route.pattern.clone(),
                    provider: route.provider.clone(),
                });
            }
            if route.pattern.is_empty() {
                faults.push(SettingsFault::EmptyPattern { provider: route.provider.clone() });
            }
        }
        if let Some(name) = &self.default_provider
            && !self.providers.contains_key(name)
        {
            faults.push(SettingsFault::DefaultProvider { provider: name.clone() });
        }
        faults
    }
}

impl ProviderSettings {
    /// Where it listens; none for a provider without a network.
    ///
    /// Only scheme, host, port and path: a name, a password or a query would travel in every
    /// request and end up in other people's logs.
    pub(crate) fn address(&self, name: &str) -> Result<Option<Url>, SettingsFault> {
        let text = match (&self.base_url, self.wire.address()) {
            (_, None) => return Ok(None),
            (Some(text), _) => text,
            (None, Some(text)) => text,
        };
        let fault = || SettingsFault::BaseUrl { provider: name.to_owned() };
        let url = Url::parse(text).map_err(|_| fault())?;
        let plain = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if plain { Ok(Some(url)) } else { Err(fault()) }
    }
}

#[cfg(test)]
mod tests;
