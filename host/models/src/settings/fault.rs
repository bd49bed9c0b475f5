//! What can be wrong with the settings. No fault repeats a key or an address.

/// One thing that is wrong with the settings.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "a fault says in its sentence what its fields are")]
pub enum SettingsFault {
    /// Not a plain `http` or `https` address.
    #[error(
        "provider `{provider}`: base_url must be http(s)://host[:port][/path] \
         without user, password, query or fragment"
    )]
    BaseUrl { provider: String },
    /// A hosted provider at its own address lets nobody in without a key.
    #[error("provider `{provider}`: a key is needed unless base_url names another server")]
    NoKey { provider: String },
    /// The key cannot stand in a header.
    #[error("provider `{provider}`: the key holds characters that no header can carry")]
    Key { provider: String },
    /// A limit that would make every call fail, or none at all.
    #[error("provider `{provider}`: {limit} must be {rule}")]
    Limit { provider: String, limit: &'static str, rule: &'static str },
    /// A route to nowhere.
    #[error("route `{pattern}`: there is no provider `{provider}`")]
    RouteProvider { pattern: String, provider: String },
    /// A route that matches nothing.
    #[error("a route to `{provider}` has an empty pattern")]
    EmptyPattern { provider: String },
    /// A default that is nobody.
    #[error("default_provider: there is no provider `{provider}`")]
    DefaultProvider { provider: String },
    /// The HTTP client could not be made, usually because there are no CA certificates.
    #[error("the HTTP client for model providers could not be made")]
    Client(#[source] reqwest::Error),
    /// More than one of the above.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Many(Vec<SettingsFault>),
}

impl SettingsFault {
    /// All faults as one; none if there are none.
    pub(crate) fn all(mut faults: Vec<Self>) -> Result<(), Self> {
        match faults.len() {
            0 => Ok(()),
            1 => Err(faults.remove(0)),
            _ => Err(Self::Many(faults)),
        }
    }
}
