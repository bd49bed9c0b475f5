//! From a model's name to somebody who answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use stepmill_core::agent::ModelName;
use stepmill_core::event::ModelIdentity;

use crate::chat::ChatModel;
use crate::demo::DemoModel;
use crate::remote::{HttpClients, RemoteModel, Target, Transport, WireModel, is_addressable};
use crate::settings::{CallLimits, ModelSettings, ProviderSettings, Route, SettingsFault, Wire};

/// All providers of the host, with their connections. Made once.
pub struct Models {
    providers: BTreeMap<String, Provider>,
    routes: Vec<Route>,
    default_provider: Option<String>,
}

/// A provider, ready to be asked.
struct Provider {
    name: Arc<str>,
    wire: Wire,
    vendor: String,
    limits: CallLimits,
    /// Where and how it is reached; none if nothing is sent anywhere.
    way: Option<(String, Transport)>,
}

/// What may be told of a provider when the host starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderLine {
    /// The operator's name for it.
    pub name: String,
    /// Whose models these are.
    pub vendor: String,
    /// How it is spoken to.
    pub api: &'static str,
    /// Where it listens; none for the demo model.
    pub address: Option<String>,
}

impl Models {
    /// Checks the settings and makes the connections' pool. Nobody is asked anything yet.
    ///
    /// # Errors
    /// All that is wrong with the settings at once; or there are no CA certificates to be read.
    pub fn open(settings: ModelSettings) -> Result<Self, SettingsFault> {
        SettingsFault::all(settings.faults())?;
        let mut clients = HttpClients::default();
        let mut providers = BTreeMap::new();
        for (name, provider) in settings.providers {
            let opened = Provider::open(&name, provider, &mut clients)?;
            providers.insert(name, opened);
        }
        let ModelSettings { routes, default_provider, .. } = settings;
        Ok(Self { providers, routes, default_provider })
    }

    /// Who answers for this name; none if nobody does.
    ///
    /// A name that brings a provider takes that one. Any other takes the first route that
    /// matches, or the default.
    pub fn resolve(&self, name: &ModelName) -> Option<Arc<dyn ChatModel>> {
        let (provider, renamed) = match &name.provider {
            Some(provider) => (provider, None),
            None => match self.routes.iter().find(|it| it.matches(&name.id)) {
                Some(route) => (&route.provider, route.model.as_deref()),
                None => (self.default_provider.as_ref()?, None),
            },
        };
        self.providers.get(provider)?.model(&name.id, renamed.unwrap_or(&name.id))
    }

    /// One line for each provider.
    pub fn providers(&self) -> impl Iterator<Item = ProviderLine> {
        self.providers.values().map(|it| ProviderLine {
            name: it.name.to_string(),
            vendor: it.vendor.clone(),
            api: it.wire.api(),
            address: it.way.as_ref().map(|(address, _)| address.clone()),
        })
    }
}

impl Provider {
    fn open(
        name: &str,
        settings: ProviderSettings,
        clients: &mut HttpClients,
    ) -> Result<Self, SettingsFault> {
        let ProviderSettings { wire, ref key, ref limits, .. } = settings;
        let way = match settings.address(name)? {
            None => None,
            Some(address) => {
                let client = clients.client(&address, limits)?;
                let transport = Transport::new(client, name, wire, key.as_ref(), limits)?;
                Some((address.to_string(), transport))
            }
        };
        let vendor = settings.vendor.unwrap_or_else(|| wire.vendor().to_owned());
        Ok(Self { name: name.into(), wire, vendor, limits: settings.limits, way })
    }

    /// The model that the graph calls `shown` and the provider `asked`.
    fn model(&self, shown: &str, asked: &str) -> Option<Arc<dyn ChatModel>> {
        let identity = ModelIdentity {
            model: shown.to_owned(),
            vendor: self.vendor.clone(),
            api: self.wire.api().to_owned(),
        };
        let Some((address, transport)) = &self.way else {
            return Some(Arc::new(DemoModel::new(identity, &self.limits)));
        };
        if !is_addressable(self.wire, asked) {
            return None;
        }
        let model = WireModel::new(self.wire, address, asked, transport.clone(), &self.limits)?;
        let (provider, limits) = (self.name.clone(), self.limits);
        let target = Target { provider, model: Arc::new(model), limits };
        Some(Arc::new(RemoteModel { identity, target }))
    }
}

#[cfg(test)]
mod tests;
