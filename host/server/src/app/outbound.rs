//! Requests that plugins make: to public addresses only, without redirects, within bounds.

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use futures::StreamExt;
use futures::future::BoxFuture;
use http::{HeaderMap, header};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Url};
use stepmill_core::ids::TenantId;
use stepmill_sandbox::{OutboundFailure, OutboundRequest, OutboundResponse};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::secrets::Sending;
use crate::settings::OutboundSettings;

/// The most bytes of an answer's headers: several times what browsers take of cookies.
const HEADER_BYTES: usize = 64 * 1024;

/// One client for all plugins: it keeps no cookies, so they share nothing but connections.
pub(crate) struct Outbound {
    client: Client,
    settings: OutboundSettings,
    seats: Seats,
}

impl Outbound {
    /// Opens the client.
    pub(crate) fn open(settings: OutboundSettings) -> Result<Self, reqwest::Error> {
        Self::open_with(settings, Arc::new(|name| Box::pin(lookup(name))))
    }

    fn open_with(settings: OutboundSettings, lookup: Lookup) -> Result<Self, reqwest::Error> {
        let allow_private = settings.allow_private;
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            // A body counts as it came over the wire; whoever wants it smaller unpacks it.
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            .dns_resolver(Arc::new(PublicOnly { allow_private, lookup }))
            .build()?;
        Ok(Self { client, seats: Seats::new(settings.concurrent), settings })
    }

    /// Sends one request of a tenant, with secrets in the place of what stands for them, and reads
    /// its answer.
    pub(crate) async fn fetch(
        &self,
        tenant: &TenantId,
        request: OutboundRequest,
        sending: &Sending,
    ) -> Result<OutboundResponse, OutboundFailure> {
        let url = self.check(&request)?;
        sending.check(&request)?;
        let time = Duration::from_millis(self.settings.timeout_ms);
        let answer = async {
            let _seat = self.seats.take(tenant).await;
            self.send(url, request, sending).await
        };
        timeout(time, answer).await.unwrap_or(Err(OutboundFailure::TimedOut))
    }

    async fn send(
        &self,
        url: Url,
        request: OutboundRequest,
        sending: &Sending,
    ) -> Result<OutboundResponse, OutboundFailure> {
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| OutboundFailure::Invalid("there is no such method"))?;
        let mut call = self.client.request(method, url);
        for (name, value) in &request.headers {
            // What is packed cannot be searched for secrets.
            if sending.is_empty() || name != header::ACCEPT_ENCODING.as_str() {
                call = call.header(name, sending.header(value)?);
            }
        }
        if let Some(body) = request.body {
            call = call.body(sending.body(body));
        }
        let answer = call.send().await.map_err(|it| failure(&it))?;
        if !sending.is_empty() && is_packed(answer.headers()) {
            return Err(OutboundFailure::Failed);
        }
        let status = answer.status().as_u16();
        let headers = headers(answer.headers(), sending)?;
        let limit = self.settings.body_bytes.min(request.body_limit_bytes);
        let body = sending.scrub(read(answer, limit).await?);
        if limit < body.len() {
            return Err(OutboundFailure::TooLarge);
        }
        Ok(OutboundResponse { status, headers, body })
    }

    /// The URL as it is connected to, if it is what was granted. An address written into it never
    /// meets the resolver.
    fn check(&self, request: &OutboundRequest) -> Result<Url, OutboundFailure> {
        let url = Url::parse(&request.url)
            .map_err(|_| OutboundFailure::Invalid("the URL cannot be read"))?;
        let host = url.host_str().unwrap_or_default();
        let literal: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        let scheme =
            url.scheme() == "https" || (url.scheme() == "http" && self.settings.allow_http);
        let address = self.settings.allow_private || literal.is_none_or(is_public);
        if !scheme || !address {
            return Err(OutboundFailure::NotAllowed);
        }
        // Such as `0x7f.1`, granted as a name and read as an address.
        if host != request.host {
            return Err(OutboundFailure::Invalid("the URL's host can be read in two ways"));
        }
        Ok(url)
    }
}

fn is_packed(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONTENT_ENCODING).iter().any(|it| it != "identity")
}

fn headers(
    headers: &HeaderMap,
    sending: &Sending,
) -> Result<Vec<(String, String)>, OutboundFailure> {
    let bytes: usize = headers.iter().map(|(name, it)| name.as_str().len() + it.len()).sum();
    if HEADER_BYTES < bytes {
        return Err(OutboundFailure::TooLarge);
    }
    let scrubbed = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        let value = sending.scrub(value.to_str().ok()?.into());
        Some((name.as_str().to_owned(), String::from_utf8(value).ok()?))
    };
    Ok(headers.iter().filter_map(scrubbed).collect())
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

/// So many requests of each tenant at once: nobody takes all connections and memory for itself.
struct Seats {
    each: usize,
    taken: Mutex<HashMap<TenantId, Arc<Semaphore>>>,
}

impl Seats {
    fn new(each: usize) -> Self {
        Self { each, taken: Mutex::default() }
    }

    /// Waits for a seat, which is given back when the answer is dropped.
    async fn take(&self, tenant: &TenantId) -> Option<OwnedSemaphorePermit> {
        let seats = {
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever sits or waits holds on to the seats; without anybody they are forgotten.
            taken.retain(|_, seats| 1 < Arc::strong_count(seats));
            let seats = taken.entry(tenant.clone());
            seats.or_insert_with(|| Arc::new(Semaphore::new(self.each))).clone()
        };
        // The semaphore is never closed.
        seats.acquire_owned().await.ok()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the name leads to no public address")]
struct NotPublic;

/// How a name is looked up.
type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// As the system does.
async fn lookup(name: String) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((name, 0)).await?.collect())
}

/// Looks names up and keeps the public addresses. The client connects to what is found here and
/// looks nothing up again, so a name that changes its address in between gains nothing.
struct PublicOnly {
    allow_private: bool,
    lookup: Lookup,
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let (allow_private, found) = (self.allow_private, (self.lookup)(name.as_str().to_owned()));
        Box::pin(async move {
            let mut allowed = found.await?;
            allowed.retain(|it| allow_private || is_public(it.ip()));
            if allowed.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is out in the open, after the IANA special-purpose registries
/// (<https://www.iana.org/assignments/iana-ipv4-special-registry>, and the same for IPv6), and no
/// cloud's own.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(it) => is_public_v4(it),
        IpAddr::V6(it) => is_public_v6(it),
    }
}

/// Where machines in Azure find their keys and settings: an address like any other, reached from inside
/// only (<https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16>).
const AZURE_HOST: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

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
        || (a == 198 && (b == 18 || b == 19))
        || address == AZURE_HOST;
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
            "168.63.129.16",
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
            "fd00:ec2::254",
            "::127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b:1::7f00:1",
        ] {
            assert!(!is_public(closed.parse().unwrap()), "{closed}");
        }
    }

    fn request(url: &str) -> OutboundRequest {
        let rest = url.split_once("://").unwrap().1;
        let host = rest.split(['/', ':']).next().unwrap();
        OutboundRequest {
            method: "GET".into(),
            url: url.into(),
            host: host.into(),
            path: "/".into(),
            headers: vec![],
            body: None,
            body_limit_bytes: 1024,
            placeholders: vec![],
        }
    }

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    async fn fetch(
        outbound: &Outbound,
        request: OutboundRequest,
    ) -> Result<OutboundResponse, OutboundFailure> {
        outbound.fetch(&tenant("acme"), request, &Sending::default()).await
    }

    #[tokio::test]
    async fn private_addresses_and_plain_http_are_refused() {
        let outbound = Outbound::open(OutboundSettings::default()).unwrap();
        for url in [
            "http://1.1.1.1/",
            "https://127.0.0.1:1/",
            "https://[::1]:1/",
            "https://localhost:1/",
            // The same address in every notation that somebody reads.
            "https://127.1:1/",
            "https://2130706433:1/",
            "https://0x7f000001:1/",
            "https://0x7f.1:1/",
            "https://0177.0.0.1:1/",
            "https://127.0.0.1.:1/",
            "https://[::ffff:7f00:1]:1/",
            "https://[::127.0.0.1]:1/",
            "https://0:1/",
            // Where clouds keep the keys of their machines.
            "https://169.254.169.254/latest/meta-data/",
            "https://2852039166/latest/meta-data/",
            "https://[fd00:ec2::254]/latest/meta-data/",
            // A proxy reads what is before the `@` as a name.
            "https://1.1.1.1@127.0.0.1:1/",
        ] {
            let answer = fetch(&outbound, request(url)).await;
            assert_eq!(answer, Err(OutboundFailure::NotAllowed), "{url}");
        }
    }

    #[tokio::test]
    async fn what_is_connected_to_is_what_was_granted() {
        let outbound = Outbound::open(OutboundSettings::default()).unwrap();
        for (granted, url) in [
            ("0x01010101", "https://0x01010101/"),
            ("1.1", "https://1.1/"),
            ("one.one.one.one", "https://one.one.one.one@1.1.1.1/"),
            ("a.example.com", "https://b.example.com/"),
        ] {
            let answer = fetch(&outbound, OutboundRequest { host: granted.into(), ..request(url) });
            assert!(matches!(answer.await, Err(OutboundFailure::Invalid(_))), "{url}");
        }
    }

    /// Gives one answer after the other, and counts the questions.
    fn answering(answers: Vec<Vec<&'static str>>) -> (Lookup, Arc<Mutex<usize>>) {
        let asked = Arc::new(Mutex::new(0));
        let count = asked.clone();
        let lookup: Lookup = Arc::new(move |_| {
            let mut count = count.lock().unwrap();
            let answer = answers[(*count).min(answers.len() - 1)].clone();
            *count += 1;
            Box::pin(async move {
                Ok(answer.iter().map(|it| SocketAddr::new(it.parse().unwrap(), 0)).collect())
            })
        });
        (lookup, asked)
    }

    #[tokio::test]
    async fn a_name_that_leads_to_a_private_address_is_refused_whatever_else_it_leads_to() {
        let (lookup, _) = answering(vec![
            vec!["1.1.1.1", "127.0.0.1", "2606:4700::1111", "fd00:ec2::254"],
            vec!["127.0.0.1", "::ffff:10.0.0.1"],
        ]);
        let resolver = PublicOnly { allow_private: false, lookup };
        let resolve = || resolver.resolve("rebound.test".parse().unwrap());
        let found: Vec<_> = resolve().await.unwrap().map(|it| it.ip().to_string()).collect();
        assert_eq!(found, ["1.1.1.1", "2606:4700::1111"]);
        assert!(resolve().await.err().unwrap().is::<NotPublic>());

        let (lookup, _) = answering(vec![vec!["127.0.0.1"]]);
        let outbound = Outbound::open_with(OutboundSettings::default(), lookup).unwrap();
        for url in ["https://rebound.test/", "https://rebound.test./"] {
            let answer = fetch(&outbound, request(url)).await;
            assert_eq!(answer, Err(OutboundFailure::NotAllowed), "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_is_looked_up_once_and_what_was_found_is_connected_to() {
        let url = server(answer("200 OK", "home")).await;
        let port = url.trim_end_matches('/').rsplit(':').next().unwrap().to_owned();
        // Nobody listens where the second answer leads.
        let (lookup, asked) = answering(vec![vec!["127.0.0.1"], vec!["127.0.0.2"]]);
        let outbound = Outbound::open_with(home_settings(), lookup).unwrap();
        let answer = fetch(&outbound, request(&format!("http://rebound.test:{port}/"))).await;
        assert_eq!(answer.unwrap().body, b"home");
        assert_eq!(*asked.lock().unwrap(), 1);
    }

    /// A server that gives one answer to each connection, or none at all.
    async fn server(answer: Option<String>) -> String {
        server_of(move |_| answer.clone()).await
    }

    /// The same; the answer may depend on the request.
    async fn server_of(answer: impl Fn(String) -> Option<String> + Send + 'static) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio_util::task::TaskTracker::new().spawn(async move {
            let mut held = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 4096];
                let read = stream.read(&mut head).await.unwrap_or_default();
                match answer(String::from_utf8_lossy(&head[..read]).into()) {
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

    fn home_settings() -> OutboundSettings {
        OutboundSettings {
            allow_http: true,
            allow_private: true,
            timeout_ms: 300,
            ..OutboundSettings::default()
        }
    }

    fn at_home() -> Outbound {
        Outbound::open(home_settings()).unwrap()
    }

    #[tokio::test]
    async fn an_answer_comes_back_whole() {
        let url = server(answer("201 Created\r\nx-answer: yes", "words")).await;
        let response = fetch(&at_home(), request(&url)).await.unwrap();
        assert_eq!((response.status, response.body), (201, b"words".to_vec()));
        assert!(response.headers.contains(&("x-answer".into(), "yes".into())));
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_is_not_followed() {
        let target = server(answer("200 OK", "the other side")).await;
        let url = server(answer(&format!("302 Found\r\nlocation: {target}"), "")).await;
        assert_eq!(fetch(&at_home(), request(&url)).await.unwrap().status, 302);
    }

    #[tokio::test]
    async fn size_and_time_are_bounded() {
        let url = server(answer("200 OK", &"x".repeat(1025))).await;
        assert_eq!(fetch(&at_home(), request(&url)).await, Err(OutboundFailure::TooLarge));
        let head = format!("200 OK\r\nx-long: {}", "x".repeat(HEADER_BYTES));
        let url = server(answer(&head, "")).await;
        assert_eq!(fetch(&at_home(), request(&url)).await, Err(OutboundFailure::TooLarge));
        let url = server(None).await;
        assert_eq!(fetch(&at_home(), request(&url)).await, Err(OutboundFailure::TimedOut));
        let nobody = fetch(&at_home(), request("http://127.0.0.1:1/")).await;
        assert_eq!(nobody, Err(OutboundFailure::Failed));
    }

    #[tokio::test]
    async fn a_packed_body_stays_packed() {
        let url = server(answer("200 OK\r\ncontent-encoding: gzip", "not unpacked")).await;
        let response = fetch(&at_home(), request(&url)).await.unwrap();
        assert_eq!(response.body, b"not unpacked");
        let refused = at_home().fetch(&tenant("acme"), request(&url), &sending("127.0.0.1")).await;
        assert_eq!(refused, Err(OutboundFailure::Failed));
    }

    #[tokio::test]
    async fn a_tenant_waits_for_its_own_requests_and_for_nobody_elses() {
        let settings = OutboundSettings { concurrent: 1, ..home_settings() };
        let outbound = Outbound::open(settings).unwrap();
        let url = server(answer("200 OK", "")).await;
        let none = Sending::default();
        let (acme, other) = (tenant("acme"), tenant("other"));
        let held = outbound.seats.take(&acme).await;
        let second = outbound.fetch(&acme, request(&url), &none).await;
        assert_eq!(second, Err(OutboundFailure::TimedOut));
        assert!(outbound.fetch(&other, request(&url), &none).await.is_ok());
        drop(held);
        assert!(outbound.fetch(&acme, request(&url), &none).await.is_ok());
        assert_eq!(outbound.seats.taken.lock().unwrap().len(), 1);
    }

    const PLACEHOLDER: &str = "stepmill-secret-0123456789abcdef0123456789abcdef";

    fn sending(place: &str) -> Sending {
        Sending::one(PLACEHOLDER, "hunter2hunter2", place)
    }

    #[tokio::test]
    async fn a_secret_is_sent_and_does_not_come_back() {
        // In pieces that cut the secret.
        let url = server_of(|request| {
            assert!(request.contains("authorization: Bearer hunter2hunter2"), "{request}");
            assert!(!request.contains("accept-encoding"), "{request}");
            let head = "200 OK\r\nx-said: <hunter2hunter2>\r\ntransfer-encoding: chunked";
            let body = "6\r\nhunter\r\n8\r\n2hunter2\r\n0\r\n\r\n";
            Some(format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n{body}"))
        });
        let url = url.await;
        let headers = vec![
            ("authorization".into(), format!("Bearer {PLACEHOLDER}")),
            ("accept-encoding".into(), "gzip".into()),
        ];
        let request = OutboundRequest { headers, ..request(&url) };
        let sent = at_home().fetch(&tenant("acme"), request.clone(), &sending("127.0.0.1")).await;
        let response = sent.unwrap();
        assert_eq!(response.body, PLACEHOLDER.as_bytes());
        assert!(response.headers.contains(&("x-said".into(), format!("<{PLACEHOLDER}>"))));
        let refused = at_home().fetch(&tenant("acme"), request, &sending("localhost")).await;
        assert_eq!(refused, Err(OutboundFailure::NotAllowed));
    }
}
