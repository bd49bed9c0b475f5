//! Secrets of whoever owns the plugin, to be sent and never to be seen. Asks for
//! [`Capability::Secret`](crate::Capability::Secret) with the name.
//!
//! A plugin gets a placeholder and puts it into a header's value or a body that is text; the host
//! sends the secret in its place, where it may go.
//!
//! ```
//! use stepmill_sdk::prelude::*;
//!
//! fn build(_ctx: &RequestContext) -> Result<Workflow, FactoryError> {
//!     let key = secrets::get("crm-key")?;
//!     let orders = http::Request::new("GET", "https://crm.example.com/orders")
//!         .header("authorization", format!("Bearer {key}"))
//!         .send()?
//!         .success()?;
//!     Ok(Workflow::new(String::from_utf8_lossy(&orders.body)))
//! }
//! # let factory = WorkflowFactory::new("orders", build)
//! #     .capability(Capability::secret("crm-key"))
//! #     .capability(Capability::http("crm.example.com"));
//! # let call = stepmill_sdk::testing::Call::new().secret("crm-key");
//! # let call = call.answer("https://crm.example.com/orders", 200, "Orders");
//! # assert_eq!(call.build(&factory), Ok(Workflow::new("Orders")));
//! ```

use super::border::secrets as host;
use crate::wit::stepmill::plugin::secrets as wire;

/// Why there is no placeholder.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The plugin did not ask for the capability, or the operator did not grant it.
    #[error("the capability `secret:{0}` was not granted")]
    NotGranted(String),
    /// Nobody keeps a secret of this name.
    #[error("there is no secret `{0}`")]
    Unknown(String),
    /// The host cannot read its secrets now.
    #[error("the host cannot read its secrets")]
    Unavailable,
}

/// What stands for a secret in the requests of this call. One from `build` means nothing in a
/// function step, which asks again.
///
/// # Errors
/// Not granted, not there, or not to be read.
pub fn get(name: &str) -> Result<String, SecretError> {
    host::get(name).map_err(|it| match it {
        wire::SecretError::NotGranted => SecretError::NotGranted(name.to_owned()),
        wire::SecretError::Unknown => SecretError::Unknown(name.to_owned()),
        wire::SecretError::Unavailable => SecretError::Unavailable,
    })
}
