//! One connection that is kept, asked again and again.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::case::Ask;

/// No healthy answer takes as long.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Client {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    /// What comes in `Authorization`, where the host asks who it is.
    token: Option<String>,
    /// Ends with the client.
    _connection: JoinSet<()>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.context("no connection")?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        let mut driving = JoinSet::new();
        driving.spawn(async move {
            // What goes wrong is told to whoever asks.
            let _ = connection.await;
        });
        Ok(Self { sender, host: address.to_string(), token: None, _connection: driving })
    }

    /// Asks as whoever has this token.
    pub(crate) fn with_token(mut self, token: &str) -> Self {
        self.token = Some(format!("Bearer {token}"));
        self
    }

    /// Asks once and gives the whole answer.
    ///
    /// # Errors
    /// There is no answer, or it is not the right one.
    pub(crate) async fn ask(&mut self, ask: &Ask) -> anyhow::Result<Bytes> {
        let (status, body) = self.send(ask).await?;
        let text = String::from_utf8_lossy(&body);
        if !status.is_success() || !text.contains(ask.word) {
            bail!("a wrong answer, {status}: {text}");
        }
        Ok(body)
    }

    /// Asks once and gives the whole answer, right or wrong.
    ///
    /// # Errors
    /// There is no answer.
    pub(crate) async fn send(&mut self, ask: &Ask) -> anyhow::Result<(StatusCode, Bytes)> {
        tokio::time::timeout(PATIENCE, self.answer(ask)).await.context("no answer in time")?
    }

    async fn answer(&mut self, ask: &Ask) -> anyhow::Result<(StatusCode, Bytes)> {
        let request =
            Request::builder().method(&ask.method).uri(&ask.path).header(HOST, &self.host);
        let request = if ask.body.is_empty() {
            request
        } else {
            request.header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        };
        let request = match &self.token {
            Some(token) => request.header(AUTHORIZATION, token),
            None => request,
        };
        let request = request.body(Full::new(ask.body.clone()))?;
        self.sender.ready().await.context("the connection was closed")?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await.context("the answer broke off")?.to_bytes();
        Ok((status, body))
    }
}
