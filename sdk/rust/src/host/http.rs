//! Outbound HTTP, for factories that must fetch something before they build. Asks for
//! [`Capability::Http`](crate::Capability::Http) with the host it goes to.
//!
//! The host follows no redirect, and caps the body, the time and the number of requests.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::border::http as host;
use crate::wit::stepmill::plugin::http as wire;
use crate::wit::stepmill::plugin::types::Header;

/// Why a request has no usable response.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No granted capability covers the URL.
    #[error("no granted capability covers the URL")]
    NotGranted,
    /// The request is malformed; the text says how.
    #[error("the request is malformed: {0}")]
    Invalid(String),
    /// A body is over the host's limit, which is given in bytes.
    #[error("a body is over the limit of {0} bytes")]
    TooLarge(u32),
    /// The other side took too long.
    #[error("the other side took too long")]
    TimedOut,
    /// The other side could not be reached or broke off.
    #[error("the other side could not be reached or broke off")]
    Failed,
    /// The status is not a success.
    #[error("the other side answered with status {0}")]
    Status(u16),
    /// The body is no JSON of the expected form.
    #[error("the answer is not of the expected form")]
    Form(#[source] serde_json::Error),
}

/// A request being written.
#[derive(Debug, Clone, PartialEq)]
pub struct Request(wire::HttpRequest);

/// What came back.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// Such as 200.
    pub status: u16,
    /// Name and value.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// Fetches a URL.
///
/// # Errors
/// There is no response. A response of any status is no error: see [`Response::success`].
pub fn get(url: impl Into<String>) -> Result<Response, HttpError> {
    Request::new("GET", url).send()
}

impl Request {
    /// A request without headers and body. The method is in upper case.
    pub fn new(method: &str, url: impl Into<String>) -> Self {
        Self(wire::HttpRequest {
            method: method.to_owned(),
            url: url.into(),
            headers: Vec::new(),
            body: None,
        })
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.headers.push(Header { name: name.into(), value: value.into() });
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.0.body = Some(body.into());
        self
    }

    /// Sets the body to a value as JSON, and says so in a header.
    ///
    /// # Errors
    /// The value cannot be written as JSON.
    pub fn json(self, value: &impl Serialize) -> Result<Self, HttpError> {
        let body = serde_json::to_vec(value).map_err(HttpError::Form)?;
        Ok(self.header("content-type", "application/json").body(body))
    }

    /// Sends the request and waits for the whole response.
    ///
    /// # Errors
    /// There is no response. A response of any status is no error: see [`Response::success`].
    pub fn send(self) -> Result<Response, HttpError> {
        let response = host::fetch(&self.0).map_err(|it| match it {
            wire::HttpError::NotGranted => HttpError::NotGranted,
            wire::HttpError::Invalid(text) => HttpError::Invalid(text),
            wire::HttpError::TooLarge(limit) => HttpError::TooLarge(limit),
            wire::HttpError::TimedOut => HttpError::TimedOut,
            wire::HttpError::Failed => HttpError::Failed,
        })?;
        let headers = response.headers.into_iter().map(|it| (it.name, it.value)).collect();
        Ok(Response { status: response.status, headers, body: response.body })
    }
}

impl Response {
    /// The response, if its status is between 200 and 299.
    ///
    /// # Errors
    /// [`HttpError::Status`] otherwise.
    pub fn success(self) -> Result<Self, HttpError> {
        match self.status {
            200..300 => Ok(self),
            status => Err(HttpError::Status(status)),
        }
    }

    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body read as JSON.
    ///
    /// # Errors
    /// The body does not fit `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        serde_json::from_slice(&self.body).map_err(HttpError::Form)
    }
}
