//! The environment, read once and handed in, so that tests can make their own.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

/// Variables by name.
#[derive(Default)]
pub struct Environment(BTreeMap<String, SecretString>);

impl Environment {
    /// The process's own.
    pub fn of_process() -> Self {
        // Variables that are no text cannot be meant for us.
        let vars = std::env::vars_os();
        let text = vars.filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self::of(text)
    }

    /// A made-up one.
    pub fn of(vars: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(vars.into_iter().map(|(name, value)| (name, value.into())).collect())
    }

    /// A variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&SecretString> {
        self.0.get(name).filter(|it| !it.expose_secret().is_empty())
    }

    /// The same, for what is no secret.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).map(|it| it.expose_secret())
    }
}
