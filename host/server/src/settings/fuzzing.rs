//! Doors for the fuzzers in `tests/fuzz`: policies, without a settings file around them.

use stepmill_core::policy::Policies;

use super::policy::PolicyFile;

/// Reads the section `[policy]` of a settings file.
///
/// # Errors
/// What the operator is told.
pub fn policies(text: &str) -> Result<Policies, String> {
    let file: PolicyFile = toml::from_str(text).map_err(|it| it.message().to_owned())?;
    file.policies().map_err(|it| it.to_string())
}
