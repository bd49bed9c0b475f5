//! What every request of a guest passes, whichever import it came by: form, grant, count, sizes.
//!
//! The name that is granted and the name that is connected to must be the same, whoever reads the
//! URL. So only URLs are let through that every reader reads alike: plain ASCII, no user
//! information, no backslash, a host of letters, digits, `-`, `.` and `_`, and no address in an
//! unusual form.
//!
//! A guest names a secret by a placeholder. It is as random as a key and made anew for each call,
//! so that it can neither be guessed nor be kept for another call.

use std::net::Ipv4Addr;
use std::sync::Arc;

use stepmill_core::capability::Grants;
use stepmill_core::ids::SecretName;
use uuid::Uuid;

use crate::call::CallSite;
use crate::lane::Pace;
use crate::meter::Overrun;
use crate::services::{Network, OutboundFailure, OutboundRequest, OutboundResponse, Placeholder};
use crate::settings::CallLimits;

/// As long as the longest URL that servers accept.
pub(super) const URL_BYTES: usize = 8 * 1024;

/// As long as any method that is in use.
pub(super) const METHOD_BYTES: usize = 16;

/// As many as a browser sends, twice.
const HEADERS: usize = 64;

/// All names and values together; servers accept no more.
pub(super) const HEADER_BYTES: usize = 16 * 1024;

/// Headers that belong to the connection: whoever sets them could speak for another request.
const HOST_HEADERS: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// How every placeholder begins. Nothing in it is escaped in a header, a URL or JSON.
const PLACEHOLDER: &str = "stepmill-secret-";

/// One call's way out. The count and the placeholders are those of the call, whichever import is
/// used.
pub(crate) struct Outgoing {
    grants: Arc<Grants>,
    network: Option<Arc<dyn Network>>,
    pace: Arc<Pace>,
    placeholders: Vec<Placeholder>,
    requests_left: u64,
    body_limit_bytes: usize,
}

/// The head of a request, as the guest wrote it.
pub(crate) struct Head {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
}

/// A request whose head may go out.
pub(crate) struct Admitted {
    network: Arc<dyn Network>,
    pace: Arc<Pace>,
    request: OutboundRequest,
}

impl Outgoing {
    pub(crate) fn new(site: &CallSite, limits: &CallLimits, pace: Arc<Pace>) -> Self {
        Self {
            grants: site.grants.clone(),
            network: site.network.clone(),
            pace,
            placeholders: Vec::new(),
            requests_left: limits.http_requests,
            body_limit_bytes: limits.http_body_bytes,
        }
    }

    /// The most bytes of a body, either way.
    pub(crate) fn body_limit_bytes(&self) -> usize {
        self.body_limit_bytes
    }

    /// What stands for a secret in this call: the same text whenever it is asked for.
    pub(crate) fn placeholder(&mut self, secret: &SecretName) -> String {
        if let Some(known) = self.placeholders.iter().find(|it| it.secret == *secret) {
            return known.text.clone();
        }
        let text = format!("{PLACEHOLDER}{}", Uuid::new_v4().simple());
        self.placeholders.push(Placeholder { text: text.clone(), secret: secret.clone() });
        text
    }

    /// Checks the head of a request, and counts it.
    pub(crate) fn admit(
        &mut self,
        head: Head,
    ) -> Result<Result<Admitted, OutboundFailure>, Overrun> {
        let Some(network) = self.network.clone() else {
            return Ok(Err(OutboundFailure::NotAllowed));
        };
        let request = match self.check(head) {
            Ok(request) => request,
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.requests_left = self.requests_left.checked_sub(1).ok_or(Overrun::HostCalls)?;
        Ok(Ok(Admitted { network, pace: self.pace.clone(), request }))
    }

    fn check(&self, head: Head) -> Result<OutboundRequest, OutboundFailure> {
        let host = host_of(&head.url).map_err(OutboundFailure::Invalid)?;
        let path = path_of(&head.url);
        if !self.grants.http(&head.method, &host, path) {
            return Err(OutboundFailure::NotAllowed);
        }
        if !is_method(&head.method) {
            return Err(OutboundFailure::Invalid("the method must be in upper case"));
        }
        if head.url.contains(PLACEHOLDER) {
            return Err(OutboundFailure::Invalid("a URL cannot hold a secret"));
        }
        let headers = headers(head.headers).map_err(OutboundFailure::Invalid)?;
        if headers.iter().any(|(name, _)| name.contains(PLACEHOLDER)) {
            return Err(OutboundFailure::Invalid("a header's name cannot hold a secret"));
        }
        if headers.iter().any(|(_, value)| self.has_stranger(value)) {
            return Err(OutboundFailure::Invalid("a header holds a placeholder of another call"));
        }
        Ok(OutboundRequest {
            method: head.method,
            path: path.to_owned(),
            url: head.url,
            host,
            headers,
            body: None,
            body_limit_bytes: self.body_limit_bytes,
            placeholders: self.placeholders.clone(),
        })
    }

    /// Whether a text holds something like a placeholder that is none of this call: its author
    /// learns here what a server would refuse without a word.
    fn has_stranger(&self, text: &str) -> bool {
        let is_known = |rest: &str| self.placeholders.iter().any(|it| rest.starts_with(&it.text));
        text.match_indices(PLACEHOLDER).any(|(at, _)| !is_known(&text[at..]))
    }
}

impl Admitted {
    /// Sends the request with this body, and gives the whole answer.
    pub(crate) async fn send(
        self,
        body: Option<Vec<u8>>,
    ) -> Result<OutboundResponse, OutboundFailure> {
        let limit = self.request.body_limit_bytes;
        if body.as_ref().is_some_and(|it| limit < it.len()) {
            return Err(OutboundFailure::TooLarge);
        }
        let (network, request) = (self.network, OutboundRequest { body, ..self.request });
        let fetch = async move { network.http_fetch(request).await };
        let answer = self.pace.at_home(fetch).await.unwrap_or(Err(OutboundFailure::Failed))?;
        if limit < answer.body.len() {
            return Err(OutboundFailure::TooLarge);
        }
        Ok(answer)
    }
}

fn is_method(text: &str) -> bool {
    (1..=METHOD_BYTES).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_uppercase())
}

/// The host part of a URL, in lower case, if there is only one way to read it.
fn host_of(url: &str) -> Result<String, &'static str> {
    if URL_BYTES < url.len() {
        return Err("the URL is too long");
    }
    if !url.bytes().all(|it| it.is_ascii_graphic() && it != b'\\') {
        return Err("the URL must be plain ASCII, percent-encoded where needed");
    }
    let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else {
        return Err("the URL must begin with `https://` or `http://`");
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
    let port_is_good = !port.starts_with('+') && port.parse().is_ok_and(|it: u16| it != 0);
    let allowed = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'.' | b'_');
    if host.is_empty() || !host.bytes().all(allowed) || !port_is_good {
        return Err("the URL must name a host, and nothing but a port with it");
    }
    let host = host.to_ascii_lowercase();
    // `0x7f.1`, `2130706433` and `127.0.0.1.` are names here, and addresses to who connects.
    if ends_in_number(&host) && !is_plain_address(&host) {
        return Err("an address must be written as four decimal numbers");
    }
    Ok(host)
}

/// Whether readers take a host for an IPv4 address, or for a broken one: as the URL standard's
/// "ends in a number".
fn ends_in_number(host: &str) -> bool {
    let labels = host.strip_suffix('.').unwrap_or(host);
    let last = labels.rsplit('.').next().unwrap_or_default();
    let is_decimal = !last.is_empty() && last.bytes().all(|it| it.is_ascii_digit());
    let hex = last.strip_prefix("0x");
    is_decimal || hex.is_some_and(|it| it.bytes().all(|it| it.is_ascii_hexdigit()))
}

/// Whether a host is an IPv4 address in its one usual form.
fn is_plain_address(host: &str) -> bool {
    host.parse().is_ok_and(|it: Ipv4Addr| it.to_string() == host)
}

/// The path of a URL whose host was found, as it is sent.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    rest[..end].find('/').map_or("/", |at| &rest[at..end])
}

fn headers(headers: Vec<(String, String)>) -> Result<Vec<(String, String)>, &'static str> {
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if HEADERS < headers.len() || HEADER_BYTES < bytes {
        return Err("there are too many headers");
    }
    let is_token = |it: u8| it.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&it);
    let is_value = |it: u8| it == b' ' || it == b'\t' || it.is_ascii_graphic();
    let headers = headers.into_iter().map(|(name, value)| {
        let name = name.to_ascii_lowercase();
        if name.is_empty() || !name.bytes().all(is_token) || !value.bytes().all(is_value) {
            return Err("a header has a character that headers cannot have");
        }
        if HOST_HEADERS.contains(&name.as_str()) || name.starts_with("proxy-") {
            return Err("a header is one that only the host sets");
        }
        Ok((name, value))
    });
    headers.collect()
}

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn an_address_has_one_form() {
        for host in ["127.0.0.1", "a.test", "a.test.", "0x7f.example", "1.a", "v1", "0xg"] {
            assert_eq!(host_of(&format!("https://{host}/")).as_deref(), Ok(host));
        }
        for host in [
            "0x7f.1",
            "0X7F.0x1",
            "127.1",
            "127.0.0.1.",
            "127.0.0.01",
            "2130706433",
            "017700000001",
            "0x7f000001",
            "0x",
            "1.2.3.4.5",
            "256.0.0.1",
            "a.1",
            "a.0x1.",
        ] {
            let expected = Err("an address must be written as four decimal numbers");
            assert_eq!(host_of(&format!("https://{host}:443/x")), expected, "{host}");
        }
    }
}
