//! Requests that plugins make: to public addresses only, without redirects, within bounds.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures::StreamExt;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Url};
use stepmill_sandbox::{OutboundFailure, OutboundRequest, OutboundResponse};

use crate::settings::OutboundSettings;

/// One client for all plugins: it keeps no cookies, so they share nothing but connections.
#[derive(Clone)]
pub(crate) struct Outbound {
    client: Client,
    settings: Arc<OutboundSettings>,
}

impl Outbound {
    /// Opens the client.
    pub(crate) fn open(settings: OutboundSettings) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(Duration::from_millis(settings.timeout_ms))
            .dns_resolver(Arc::new(PublicOnly { allow_private: settings.allow_private }))
            .build()?;
        Ok(Self { client, settings: Arc::new(settings) })
    }

    /// Sends one request and reads its answer.
    pub(crate) async fn fetch(
        &self,
        request: OutboundRequest,
    ) -> Result<OutboundResponse, OutboundFailure> {
        let url = Url::parse(&request.url).map_err(|_| OutboundFailure::Failed)?;
        self.check(&url)?;
        let method =
            Method::from_bytes(request.method.as_bytes()).map_err(|_| OutboundFailure::Failed)?;
        let mut call = self.client.request(method, url);
        for (name, value) in request.headers {
            call = call.header(name, value);
        }
        if let Some(body) = request.body {
            call = call.body(body);
        }
        let answer = call.send().await.map_err(|it| failure(&it))?;
        let status = answer.status().as_u16();
        let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        };
        let headers = answer.headers().iter().filter_map(header).collect();
        let limit = self.settings.body_bytes.min(request.answer_limit_bytes);
        let body = read(answer, limit).await?;
        Ok(OutboundResponse { status, headers, body })
    }

    /// An address written into the URL never meets the resolver.
    fn check(&self, url: &Url) -> Result<(), OutboundFailure> {
        let scheme =
            url.scheme() == "https" || (url.scheme() == "http" && self.settings.allow_http);
        let host = url.host_str().unwrap_or_default();
        let literal: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        let address = self.settings.allow_private || literal.is_none_or(is_public);
        if scheme && address { Ok(()) } else { Err(OutboundFailure::NotAllowed) }
    }
}

async fn read(answer: reqwest::Response, limit: usize) -> Result<Vec<u8>, OutboundFailure> {
    let mut body = BytesMut::new();
    let mut pieces = answer.bytes_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|it| failure(&it))?;
        if limit < body.len() + piece.len() {
            return Err(OutboundFailure::TooLarge);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.into())
}

fn failure(fault: &reqwest::Error) -> OutboundFailure {
    let mut cause: Option<&dyn Error> = Some(fault);
    while let Some(it) = cause {
        if it.is::<NotPublic>() {
            return OutboundFailure::NotAllowed;
        }
        cause = it.source();
    }
    if fault.is_timeout() { OutboundFailure::TimedOut } else { OutboundFailure::Failed }
}

#[derive(Debug, thiserror::Error)]
#[error("the name leads to no public address")]
struct NotPublic;

/// Looks names up and keeps the public addresses. The client connects to what is found here and
/// looks nothing up again, so a name that changes its address in between gains nothing.
struct PublicOnly {
    allow_private: bool,
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> =
                found.filter(|it| allow_private || is_public(it.ip())).collect();
            if allowed.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is out in the open, after the IANA special-purpose registries
/// (<https://www.iana.org/assignments/iana-ipv4-special-registry>, and the same for IPv6).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(it) => is_public_v4(it),
        IpAddr::V6(it) => is_public_v6(it),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19));
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // Forms that carry an IPv4 address lead to that address.
    let embedded = match segments {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some((high, low))
        }
        [0x2002, high, low, ..] => Some((high, low)),
        _ => None,
    };
    if let Some((high, low)) = embedded {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    // Global unicast is 2000::/3; inside it 2001::/23 is for protocols and 2001:db8::/32 for books.
    let global = segments[0] & 0xe000 == 0x2000;
    let protocols = segments[0] == 0x2001 && segments[1] < 0x200;
    let books = (segments[0] == 0x2001 && segments[1] == 0xdb8)
        || (segments[0] == 0x3fff && segments[1] < 0x1000);
    global && !protocols && !books
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_out_in_the_open_are_public() {
        for open in
            ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
        {
            assert!(is_public(open.parse().unwrap()), "{open}");
        }
        for closed in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
            "ff02::1",
        ] {
            assert!(!is_public(closed.parse().unwrap()), "{closed}");
        }
    }

    fn request(url: &str) -> OutboundRequest {
        OutboundRequest {
            method: "GET".into(),
            url: url.into(),
            host: String::new(),
            headers: vec![],
            body: None,
            answer_limit_bytes: 1024,
        }
    }

    #[tokio::test]
    async fn private_addresses_and_plain_http_are_refused() {
        let outbound = Outbound::open(OutboundSettings::default()).unwrap();
        for url in
            ["http://1.1.1.1/", "https://127.0.0.1:1/", "https://[::1]:1/", "https://localhost:1/"]
        {
            assert_eq!(
                outbound.fetch(request(url)).await,
                Err(OutboundFailure::NotAllowed),
                "{url}"
            );
        }
    }

    /// A server that gives one answer to each connection, or none at all.
    async fn server(answer: Option<String>) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio_util::task::TaskTracker::new().spawn(async move {
            let mut held = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                match &answer {
                    Some(answer) => drop(stream.write_all(answer.as_bytes()).await),
                    None => held.push(stream),
                }
            }
        });
        url
    }

    fn answer(head: &str, body: &str) -> Option<String> {
        let length = body.len();
        Some(format!(
            "HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        ))
    }

    fn at_home() -> Outbound {
        let settings = OutboundSettings {
            allow_http: true,
            allow_private: true,
            timeout_ms: 300,
            ..OutboundSettings::default()
        };
        Outbound::open(settings).unwrap()
    }

    #[tokio::test]
    async fn an_answer_comes_back_whole() {
        let url = server(answer("201 Created\r\nx-answer: yes", "words")).await;
        let response = at_home().fetch(request(&url)).await.unwrap();
        assert_eq!((response.status, response.body), (201, b"words".to_vec()));
        assert!(response.headers.contains(&("x-answer".into(), "yes".into())));
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_is_not_followed() {
        let target = server(answer("200 OK", "the other side")).await;
        let url = server(answer(&format!("302 Found\r\nlocation: {target}"), "")).await;
        assert_eq!(at_home().fetch(request(&url)).await.unwrap().status, 302);
    }

    #[tokio::test]
    async fn size_and_time_are_bounded() {
        let url = server(answer("200 OK", &"x".repeat(1025))).await;
        assert_eq!(at_home().fetch(request(&url)).await, Err(OutboundFailure::TooLarge));
        let url = server(None).await;
        assert_eq!(at_home().fetch(request(&url)).await, Err(OutboundFailure::TimedOut));
        assert_eq!(
            at_home().fetch(request("http://127.0.0.1:1/")).await,
            Err(OutboundFailure::Failed)
        );
    }
}
