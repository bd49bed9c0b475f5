//! What the host calls itself before its clients.

/// Names that clients and their screens show.
#[derive(Debug, Clone)]
pub struct Identity {
    /// What programs call this host.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Its version, as the operator counts.
    pub version: String,
    /// What the database is called; clients send it back as `db_id`.
    pub database: String,
    /// Models a screen may offer to choose from.
    pub available_models: Vec<String>,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            id: "stepmill".into(),
            name: "Stepmill".into(),
            description: None,
            version: env!("CARGO_PKG_VERSION").into(),
            database: "stepmill".into(),
            available_models: Vec::new(),
        }
    }
}

impl Identity {
    /// The first key that has to say something and does not.
    pub(super) fn empty_key(&self) -> Option<&'static str> {
        let keys = [
            ("os.id", &self.id),
            ("os.name", &self.name),
            ("os.version", &self.version),
            ("database.id", &self.database),
        ];
        keys.into_iter().find(|(_, text)| text.trim().is_empty()).map(|(key, _)| key)
    }
}
