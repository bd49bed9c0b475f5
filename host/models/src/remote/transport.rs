//! The only way out of this room: HTTP with the key put on last, and with bounds on what comes in.
//!
//! The client crate above never gets the key, so nothing it prints can hold it. Errors from here
//! are [`TransportFault`]s, which hold no URL.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{FutureExt, StreamExt};
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::{Request, Response, Uri};
use reqwest::Url;
use reqwest::redirect::Policy;
use rig_core::http_client::{
    Error, HttpClientExt, LazyBody, MultipartForm, Result as HttpResult, StreamingResponse,
};
use secrecy::{ExposeSecret, SecretString};

use super::body::{Ends, bounded, first_bytes};
use crate::settings::{CallLimits, SettingsFault, Wire};

/// How a provider takes its key.
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// Idle connections are closed before the usual load balancers close them from their side.
const POOL_IDLE: Duration = Duration::from_secs(50);

/// What went wrong on the way, without any address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TransportFault {
    #[error("no connection in time")]
    ConnectTimedOut,
    #[error("no connection, or it ended before an answer began")]
    Unreachable,
    #[error("the connection ended in the middle of the answer")]
    BrokeOff,
    #[error("silence for too long")]
    Idle,
    #[error("more than {0} bytes")]
    TooLarge(usize),
    #[error("the request could not be written")]
    Request,
}

impl From<TransportFault> for Error {
    fn from(fault: TransportFault) -> Self {
        Error::instance(fault)
    }
}

/// The HTTP clients of the room: one for each connect timeout in the settings, which is one as a
/// rule, and another for providers without TLS.
#[derive(Default)]
pub(crate) struct HttpClients {
    made: BTreeMap<(u64, bool), reqwest::Client>,
}

impl HttpClients {
    /// The client for an address; made at most once. The system's CA certificates are read only
    /// if some address needs them, so that a local server can be asked on a system without any.
    ///
    /// # Errors
    /// The system's CA certificates cannot be read.
    pub(crate) fn client(
        &mut self,
        address: &Url,
        limits: &CallLimits,
    ) -> Result<reqwest::Client, SettingsFault> {
        let tls = address.scheme() == "https";
        if let Some(client) = self.made.get(&(limits.connect_timeout_ms, tls)) {
            return Ok(client.clone());
        }
        let builder = reqwest::Client::builder();
        let builder = if tls { builder } else { builder.tls_certs_only([]) };
        let client = builder
            .user_agent(concat!("stepmill/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(limits.connect_timeout())
            // A redirect would carry the prompt to an address that no operator wrote down.
            .redirect(Policy::none())
            .referer(false)
            // Many streams over one HTTP/2 connection wait for each other; pooled HTTP/1.1 does not.
            .http1_only()
            .pool_idle_timeout(POOL_IDLE)
            // Where a prompt goes is what the settings say, not what the environment says.
            .no_proxy()
            // A small compressed body can be a large one; the bounds below count what comes in.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .build()
            .map_err(SettingsFault::Client)?;
        self.made.insert((limits.connect_timeout_ms, tls), client.clone());
        Ok(client)
    }
}

/// One provider's way out.
#[derive(Clone)]
pub(crate) struct Transport {
    client: reqwest::Client,
    key: Option<(HeaderName, HeaderValue)>,
    idle: Duration,
    body_bytes: usize,
    error_body_bytes: usize,
    /// What is kept of a body; for each streamed call.
    ends: Ends,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

impl Transport {
    /// A way out with this key.
    ///
    /// # Errors
    /// The key cannot stand in a header. The fault does not repeat it.
    pub(crate) fn new(
        client: reqwest::Client,
        provider: &str,
        wire: Wire,
        key: Option<&SecretString>,
        limits: &CallLimits,
    ) -> Result<Self, SettingsFault> {
        let header = |key: &SecretString| {
            let (name, text) = match wire {
                Wire::Anthropic => (X_API_KEY, key.expose_secret().to_owned()),
                Wire::Gemini => (X_GOOG_API_KEY, key.expose_secret().to_owned()),
                _ => (AUTHORIZATION, format!("Bearer {}", key.expose_secret())),
            };
            let mut value = HeaderValue::try_from(text).map_err(|_| {
                let provider = provider.to_owned();
                SettingsFault::Key { provider }
            })?;
            value.set_sensitive(true);
            Ok((name, value))
        };
        Ok(Self {
            client,
            key: key.map(header).transpose()?,
            idle: limits.idle_timeout(),
            body_bytes: limits.body_bytes,
            error_body_bytes: limits.error_body_bytes,
            ends: Ends::default(),
        })
    }

    /// The same way out for one call, of whose body so much is kept.
    pub(super) fn with_ends(&self, ends: Ends) -> Self {
        Self { ends, ..self.clone() }
    }

    /// The request as it goes out.
    fn outgoing<T: Into<Bytes>>(
        &self,
        request: Request<T>,
    ) -> Result<reqwest::Request, TransportFault> {
        let (mut head, body) = request.into_parts();
        for name in [AUTHORIZATION, X_API_KEY, X_GOOG_API_KEY] {
            head.headers.remove(name);
        }
        if let Some((name, value)) = &self.key {
            head.headers.insert(name.clone(), value.clone());
        }
        let url = without_key(&head.uri).parse().map_err(|_| TransportFault::Request)?;
        let mut outgoing = reqwest::Request::new(head.method, url);
        *outgoing.headers_mut() = head.headers;
        *outgoing.body_mut() = Some(body.into().into());
        Ok(outgoing)
    }

    /// Sends it and takes an error status for an error.
    #[expect(clippy::result_large_err, reason = "the error type is the client crate's")]
    async fn head(
        &self,
        outgoing: Result<reqwest::Request, TransportFault>,
    ) -> HttpResult<reqwest::Response> {
        let response = self.client.execute(outgoing?).await.map_err(|error| {
            if error.is_connect() && error.is_timeout() {
                TransportFault::ConnectTimedOut
            } else if error.is_builder() {
                TransportFault::Request
            } else {
                TransportFault::Unreachable
            }
        })?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let body = first_bytes(response, self.error_body_bytes, self.idle).await;
        let body = String::from_utf8_lossy(&body).into_owned();
        Err(Error::non_success_with_details(status, headers, body))
    }
}

/// The client crate writes an empty `key=` for Gemini; the real one is in a header.
fn without_key(uri: &Uri) -> String {
    let text = uri.to_string();
    let Some((path, query)) = text.split_once('?') else {
        return text;
    };
    let rest: Vec<_> = query.split('&').filter(|it| !it.starts_with("key=")).collect();
    if rest.is_empty() { path.to_owned() } else { format!("{path}?{}", rest.join("&")) }
}

impl HttpClientExt for Transport {
    fn send<T, U>(
        &self,
        request: Request<T>,
    ) -> impl Future<Output = HttpResult<Response<LazyBody<U>>>> + Send + 'static
    where
        T: Into<Bytes> + Send,
        U: From<Bytes> + Send + 'static,
    {
        let transport = self.clone();
        let outgoing = self.outgoing(request);
        async move {
            let response = transport.head(outgoing).await?;
            let (status, headers) = (response.status(), response.headers().clone());
            let mut body = bounded(response, transport.body_bytes, None, transport.ends);
            let lazy: LazyBody<U> = async move {
                let mut bytes = BytesMut::new();
                while let Some(chunk) = body.next().await {
                    bytes.extend_from_slice(&chunk?);
                }
                Ok(U::from(bytes.freeze()))
            }
            .boxed();
            let mut whole = Response::new(lazy);
            (*whole.status_mut(), *whole.headers_mut()) = (status, headers);
            Ok(whole)
        }
    }

    fn send_multipart<U>(
        &self,
        _request: Request<MultipartForm>,
    ) -> impl Future<Output = HttpResult<Response<LazyBody<U>>>> + Send + 'static
    where
        U: From<Bytes> + Send + 'static,
    {
        // Nothing this room asks for is a form.
        std::future::ready(Err(TransportFault::Request.into()))
    }

    fn send_streaming<T>(
        &self,
        request: Request<T>,
    ) -> impl Future<Output = HttpResult<StreamingResponse>> + Send
    where
        T: Into<Bytes> + Send,
    {
        let transport = self.clone();
        let outgoing = self.outgoing(request);
        async move {
            let idle = transport.idle;
            let response = tokio::time::timeout(idle, transport.head(outgoing)).await;
            let response = response.map_err(|_| TransportFault::Idle)??;
            let (status, headers) = (response.status(), response.headers().clone());
            let body = bounded(response, transport.body_bytes, Some(idle), transport.ends);
            let mut streaming = Response::new(body);
            (*streaming.status_mut(), *streaming.headers_mut()) = (status, headers);
            Ok(streaming)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_a_query_is_taken_out() {
        let plain = |text: &'static str| without_key(&Uri::from_static(text));
        assert_eq!(plain("http://h/m:generate?key="), "http://h/m:generate");
        assert_eq!(plain("http://h/m?alt=sse&key=secret"), "http://h/m?alt=sse");
        assert_eq!(plain("http://h/m?monkey=1"), "http://h/m?monkey=1");
        assert_eq!(plain("http://h/m"), "http://h/m");
    }

    #[test]
    fn a_transport_shows_no_key() {
        let limits = CallLimits::default();
        let address = Url::parse("http://127.0.0.1").unwrap();
        let client = HttpClients::default().client(&address, &limits).unwrap();
        let key = SecretString::from("sk-hunter2".to_owned());
        for wire in [Wire::OpenAiChat, Wire::Anthropic, Wire::Gemini] {
            let it = Transport::new(client.clone(), "p", wire, Some(&key), &limits).unwrap();
            assert!(!format!("{it:?} {:?}", it.key).contains("hunter2"));
        }
        let bad = SecretString::from("hunter2\n".to_owned());
        let fault = Transport::new(client, "p", Wire::OpenAiChat, Some(&bad), &limits).unwrap_err();
        assert!(!format!("{fault} {fault:?}").contains("hunter2"));
    }
}
