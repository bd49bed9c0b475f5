//! `config`: what the operator configured for this plugin.

use std::collections::BTreeMap;

use wasmtime::component::HasData;

use crate::call::CallState;
use crate::meter::Meter;
use crate::wit::newest::stepmill::plugin::config as wit;

pub(crate) struct Config;

impl HasData for Config {
    type Data<'a> = ConfigView<'a>;
}

pub(crate) struct ConfigView<'a> {
    meter: &'a mut Meter,
    config: Option<&'a BTreeMap<String, String>>,
}

impl ConfigView<'_> {
    pub(crate) fn of(state: &mut CallState) -> ConfigView<'_> {
        ConfigView { meter: &mut state.meter, config: state.site.config.as_deref() }
    }
}

impl wit::Host for ConfigView<'_> {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, wit::ConfigError>> {
        self.meter.host_call()?;
        let Some(config) = self.config else { return Ok(Err(wit::ConfigError::NotGranted)) };
        Ok(Ok(config.get(&key).cloned()))
    }
}

#[cfg(test)]
mod tests {
    use stepmill_core::capability::Capability;
    use wit::Host;

    use super::super::testing::state;
    use super::*;
    use crate::settings::CallLimits;

    fn get(state: &mut CallState, key: &str) -> Result<Option<String>, wit::ConfigError> {
        ConfigView::of(state).get(key.to_owned()).unwrap()
    }

    #[test]
    fn what_is_configured_is_read_if_it_was_granted() {
        let (mut granted, _) = state(&[Capability::Config], CallLimits::default());
        assert_eq!(get(&mut granted, "region").unwrap().as_deref(), Some("eu"));
        assert_eq!(get(&mut granted, "else").unwrap(), None);
        let (mut refused, _) = state(&[], CallLimits::default());
        assert!(matches!(get(&mut refused, "region"), Err(wit::ConfigError::NotGranted)));
    }
}
