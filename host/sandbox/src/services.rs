//! What the host does for a guest: the other side of `kv`, `http`, `database` and `secrets`.

use async_trait::async_trait;
use stepmill_core::database::{Answer, DatabaseFailure, Statement};
use stepmill_core::event::Progress;
use stepmill_core::ids::SecretName;
use stepmill_core::limits::Admit;
use tokio::sync::mpsc::UnboundedSender;

/// Who hears what a function tells while it works. It holds no more than one call may tell.
pub type Listener = UnboundedSender<Progress>;

/// One plugin's key-value data in one tenant.
///
/// The sandbox checked sizes and counts before it calls. Each method must end on its own some
/// time; whatever it does, the call's deadline cuts it.
#[async_trait]
pub trait KeyValues: Send + Sync {
    /// The value under a key; `None` if there is none.
    ///
    /// # Errors
    /// The storage did not answer.
    async fn kv_get(&self, key: &str) -> Result<Option<Vec<u8>>, KeyValueFault>;

    /// Puts a value under a key.
    ///
    /// # Errors
    /// The storage did not answer, or is full.
    async fn kv_set(&self, key: &str, value: Vec<u8>) -> Result<(), KeyValueFault>;

    /// Removes a key. Removing what is not there is no error.
    ///
    /// # Errors
    /// The storage did not answer.
    async fn kv_delete(&self, key: &str) -> Result<(), KeyValueFault>;
}

/// The way out for one plugin in one tenant.
///
/// The sandbox checked form, grant, sizes and counts before it calls. What is true of
/// [`KeyValues`] is true here.
#[async_trait]
pub trait Network: Send + Sync {
    /// Sends one request, follows no redirect, and reads no more than
    /// [`OutboundRequest::body_limit_bytes`]. Which addresses a granted name may lead to, where a
    /// secret may go, and whether plain `http` is allowed, is decided here.
    ///
    /// # Errors
    /// There is no whole answer.
    async fn http_fetch(
        &self,
        request: OutboundRequest,
    ) -> Result<OutboundResponse, OutboundFailure>;
}

/// The operator's databases, for one tenant.
///
/// The sandbox checked grant and counts before it calls. What is true of [`KeyValues`] is true here.
#[async_trait]
pub trait Databases: Send + Sync {
    /// Puts one statement. It reaches the rows of this tenant only, changes nothing unless its
    /// access is to write, and its answer is within the caps of its database.
    ///
    /// # Errors
    /// There is no whole answer.
    async fn database_ask(&self, statement: Statement) -> Result<Answer, DatabaseFailure>;
}

/// The secrets of one plugin's owner. Their values never come into the sandbox.
///
/// The sandbox checked the grant before it calls. What is true of [`KeyValues`] is true here.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// Whether there is such a secret. If so, requests of this call may hold a placeholder of it.
    ///
    /// # Errors
    /// The secrets cannot be read.
    async fn secret_find(&self, name: &SecretName) -> Result<bool, SecretsDown>;
}

/// The secrets cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secrets cannot be read")]
pub struct SecretsDown;

/// A text that stands for a secret in the requests of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placeholder {
    /// What the guest was given: visible ASCII that nobody can guess.
    pub text: String,
    /// For which secret.
    pub secret: SecretName,
}

/// Why the storage did not do its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyValueFault {
    /// It did not answer.
    #[error("the key-value storage did not answer")]
    Down,
    /// The tenant has stored as much as it may.
    #[error("the tenant has stored as much as it may")]
    Full,
}

/// The operator's log, as far as one tenant may write into it.
pub trait Lines: Send + Sync {
    /// Asks for one line.
    fn log_line(&self) -> Admit;
}

/// A request that a guest may send: its form was checked and its host is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundRequest {
    /// In upper case.
    pub method: String,
    /// Absolute, `http` or `https`, with nothing but plain ASCII and without user information.
    pub url: String,
    /// The host part of `url`, in lower case. This name was granted.
    pub host: String,
    /// The path of `url`, as the guest wrote it. It was granted too.
    pub path: String,
    /// Names in lower case. None of those that belong to the connection.
    pub headers: Vec<(String, String)>,
    /// What to send.
    pub body: Option<Vec<u8>>,
    /// The most bytes of a body, of this request with its secrets and of the answer.
    pub body_limit_bytes: usize,
    /// Everything that stands for a secret in this call; header values and the body may hold it,
    /// the rest does not.
    pub placeholders: Vec<Placeholder>,
}

/// What the other side answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundResponse {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OutboundFailure {
    /// No grant covers it, the name leads to an address or the URL has a scheme that the operator
    /// does not allow, or a secret may not go there.
    #[error("the destination is not allowed")]
    NotAllowed,
    /// The request is none that can be sent; the text is for the plugin's author.
    #[error("the request cannot be sent: {0}")]
    Invalid(&'static str),
    /// The body is over the limit.
    #[error("the answer is too large")]
    TooLarge,
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The other side could not be reached, or broke off.
    #[error("the other side could not be reached or broke off")]
    Failed,
}
