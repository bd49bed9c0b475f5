//! Requests of guests at the door to the network.
//!
//! The input is lines with rules, an empty line, and requests with an empty line between them: a
//! line with method and URL, and lines with headers. Whatever goes out is read by clients as
//! exactly the host and the path that were granted, and names no address in another spelling.

#![no_main]

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use async_trait::async_trait;
use libfuzzer_sys::fuzz_target;
use stepmill_core::capability::{Capability, Grants};
use stepmill_core::database::{Answer, DatabaseFailure, Statement};
use stepmill_core::ids::SecretName;
use stepmill_core::limits::Admit;
use stepmill_sandbox::fuzzing::Host;
use stepmill_sandbox::{
    CallLimits, CallSite, Databases, KeyValueFault, KeyValues, Lines, Network, OutboundFailure,
    OutboundRequest, OutboundResponse, Secrets, SecretsDown,
};
use url::Url;

/// As many say all there is to say.
const RULES: usize = 16;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (rules, requests) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut granted: Vec<_> = rules
        .lines()
        .filter_map(|it| Capability::parse(it).ok())
        .take(RULES)
        .chain([Capability::parse("secret:s").expect("it is one")])
        .collect();
    // A guest writes URLs by itself; that all of them are granted is what tries the door most.
    if granted.len() == 1 {
        let hosts = requests.split("\n\n").filter_map(|it| host(it.lines().next()?));
        granted.extend(hosts.filter_map(|it| Capability::parse(&format!("http:{it}")).ok()));
    }
    let grants = Grants::of(&granted, &granted);
    let limits = CallLimits { http_body_bytes: 64, ..CallLimits::default() };
    let config = Arc::new(BTreeMap::new());
    let network = Arc::new(Watching(grants.clone()));
    let mut host = Host::new(CallSite::granted("acme/test", grants, config, network), &limits);
    let secret = host.secret("s".into()).unwrap_or_default();
    for request in requests.split("\n\n").take(limits.http_requests as usize) {
        let mut lines = request.lines();
        let Some((method, url)) = lines.next().and_then(|it| it.split_once(' ')) else { continue };
        let written = |it: &str| it.replace("{s}", &secret);
        let headers = lines.filter_map(|it| it.split_once(':'));
        let headers = headers.map(|(name, value)| (written(name), written(value))).collect();
        host.fetch(method.to_owned(), written(url), headers, None);
    }
});

/// The host of a request as somebody in a hurry reads it.
fn host(line: &str) -> Option<&str> {
    let rest = line.split_once("://")?.1;
    rest.split(['/', ':', '?', '#']).next()
}

/// Sees to it that nothing goes out that should not.
struct Watching(Grants);

#[async_trait]
impl Network for Watching {
    async fn http_fetch(
        &self,
        request: OutboundRequest,
    ) -> Result<OutboundResponse, OutboundFailure> {
        let OutboundRequest { method, url, host, path, headers, .. } = &request;
        assert!(self.0.http(method, host, path), "not granted");
        assert!(
            (1..=16).contains(&method.len()) && method.bytes().all(|it| it.is_ascii_uppercase())
        );
        is_no_other_spelling(host);
        // What a client cannot read, it does not send.
        if let Ok(read) = Url::parse(url) {
            assert!(matches!(read.scheme(), "http" | "https"));
            assert_eq!(read.host_str(), Some(host.as_str()), "another host: {url}");
            assert!(read.username().is_empty() && read.password().is_none());
            let covers = |path: &str| self.0.http(method, host, path);
            // A client writes some characters in percents, which servers read alike.
            assert!(
                covers(read.path()) || plain(read.path()) == plain(path),
                "another path: {url}"
            );
        }
        if let Ok(read) = url.parse::<http::Uri>() {
            let found = read.host().map(str::to_ascii_lowercase);
            assert_eq!(found.as_deref(), Some(host.as_str()), "another host: {url}");
            assert!(self.0.http(method, host, read.path()), "another path: {url}");
        }
        assert!(!url.contains("stepmill-secret-"));
        for (name, value) in headers {
            assert!(http::HeaderName::from_lowercase(name.as_bytes()).is_ok());
            assert!(http::HeaderValue::from_str(value).is_ok());
            let of_host = ["host", "connection", "content-length", "transfer-encoding", "upgrade"];
            assert!(!of_host.contains(&name.as_str()) && !name.contains("stepmill-secret-"));
        }
        Ok(OutboundResponse { status: 200, headers: vec![], body: vec![] })
    }
}

/// Resolvers read `0x7f.1`, `2130706433` and `127.0.0.1.` as addresses, too.
fn is_no_other_spelling(host: &str) {
    let labels = host.strip_suffix('.').unwrap_or(host);
    let last = labels.rsplit('.').next().unwrap_or_default();
    let is_number = (!last.is_empty() && last.bytes().all(|it| it.is_ascii_digit()))
        || last.strip_prefix("0x").is_some_and(|it| it.bytes().all(|it| it.is_ascii_hexdigit()));
    if is_number {
        let address = host.parse::<Ipv4Addr>();
        assert!(address.is_ok_and(|it| it.to_string() == host), "another spelling: {host}");
    }
}

fn plain(path: &str) -> Vec<u8> {
    let (mut plain, mut rest) = (Vec::new(), path.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|it| std::str::from_utf8(it).ok());
        let byte = hex.filter(|_| *first == b'%').and_then(|it| u8::from_str_radix(it, 16).ok());
        plain.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    plain
}

#[async_trait]
impl Secrets for Watching {
    async fn secret_find(&self, _: &SecretName) -> Result<bool, SecretsDown> {
        Ok(true)
    }
}

#[async_trait]
impl KeyValues for Watching {
    async fn kv_get(&self, _: &str) -> Result<Option<Vec<u8>>, KeyValueFault> {
        Err(KeyValueFault::Down)
    }

    async fn kv_set(&self, _: &str, _: Vec<u8>) -> Result<(), KeyValueFault> {
        Err(KeyValueFault::Down)
    }

    async fn kv_delete(&self, _: &str) -> Result<(), KeyValueFault> {
        Err(KeyValueFault::Down)
    }
}

#[async_trait]
impl Databases for Watching {
    async fn database_ask(&self, _: Statement) -> Result<Answer, DatabaseFailure> {
        Err(DatabaseFailure::Unknown)
    }
}

impl Lines for Watching {
    fn log_line(&self) -> Admit {
        Admit::Now
    }
}
