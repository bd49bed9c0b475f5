//! `http`: requests to granted hosts.
//!
//! The name that is granted and the name that is connected to must be the same, whoever reads the
//! URL. So only URLs are let through that every reader reads alike: plain ASCII, no user
//! information, no backslash, a host of letters, digits, `-`, `.` and `_`.

use std::sync::Arc;
use std::time::Instant;

use stepmill_core::capability::Grants;
use wasmtime::component::HasData;

use crate::call::CallState;
use crate::meter::Meter;
use crate::services::{Network, OutboundFailure, OutboundRequest, OutboundResponse};
use crate::wit::newest::stepmill::plugin::http as wit;
use crate::wit::newest::stepmill::plugin::http::{HttpError, HttpRequest, HttpResponse};

/// As long as the longest URL that servers accept.
const URL_BYTES: usize = 8 * 1024;

/// As many as a browser sends, twice.
const HEADERS: usize = 64;

/// All names and values together; servers accept no more.
const HEADER_BYTES: usize = 16 * 1024;

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

pub(crate) struct Http;

impl HasData for Http {
    type Data<'a> = HttpView<'a>;
}

pub(crate) struct HttpView<'a> {
    meter: &'a mut Meter,
    grants: &'a Grants,
    network: Option<&'a Arc<dyn Network>>,
}

impl HttpView<'_> {
    pub(crate) fn of(state: &mut CallState) -> HttpView<'_> {
        let site = &state.site;
        let network = site.network.as_ref();
        HttpView { meter: &mut state.meter, grants: &site.grants, network }
    }

    fn admit(&self, request: HttpRequest) -> Result<OutboundRequest, HttpError> {
        let host = host_of(&request.url).map_err(|it| HttpError::Invalid(it.to_owned()))?;
        if !self.grants.http(&request.method, &host, path_of(&request.url)) {
            return Err(HttpError::NotGranted);
        }
        if !is_method(&request.method) {
            return Err(HttpError::Invalid("the method must be in upper case".to_owned()));
        }
        let headers = headers(request.headers).map_err(|it| HttpError::Invalid(it.to_owned()))?;
        let limit = self.meter.limits.http_body_bytes;
        if request.body.as_ref().is_some_and(|it| limit < it.len()) {
            return Err(too_large(limit));
        }
        Ok(OutboundRequest {
            method: request.method,
            url: request.url,
            host,
            headers,
            body: request.body,
            answer_limit_bytes: limit,
        })
    }

    fn answer(
        &self,
        answer: Result<OutboundResponse, OutboundFailure>,
    ) -> Result<HttpResponse, HttpError> {
        let limit = self.meter.limits.http_body_bytes;
        match answer {
            Ok(answer) if limit < answer.body.len() => Err(too_large(limit)),
            Ok(answer) => Ok(HttpResponse {
                status: answer.status,
                headers: answer
                    .headers
                    .into_iter()
                    .map(|(name, value)| wit::Header { name, value })
                    .collect(),
                body: answer.body,
            }),
            Err(OutboundFailure::NotAllowed) => Err(HttpError::NotGranted),
            Err(OutboundFailure::TooLarge) => Err(too_large(limit)),
            Err(OutboundFailure::TimedOut) => Err(HttpError::TimedOut),
            Err(OutboundFailure::Failed) => Err(HttpError::Failed),
        }
    }
}

impl wit::Host for HttpView<'_> {
    async fn fetch(
        &mut self,
        request: HttpRequest,
    ) -> wasmtime::Result<Result<HttpResponse, HttpError>> {
        self.meter.host_call()?;
        let Some(network) = self.network.cloned() else { return Ok(Err(HttpError::NotGranted)) };
        let request = match self.admit(request) {
            Ok(request) => request,
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.meter.http_request()?;
        let began = Instant::now();
        let fetch = async move { network.http_fetch(request).await };
        let answer = self.meter.pace.at_home(fetch).await.unwrap_or(Err(OutboundFailure::Failed));
        self.meter.note_wait(began.elapsed());
        Ok(self.answer(answer))
    }
}

fn too_large(limit: usize) -> HttpError {
    HttpError::TooLarge(u32::try_from(limit).unwrap_or(u32::MAX))
}

fn is_method(text: &str) -> bool {
    (1..=16).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_uppercase())
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
    Ok(host.to_ascii_lowercase())
}

/// The path of a URL whose host was found, as it is sent.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    rest[..end].find('/').map_or("/", |at| &rest[at..end])
}

fn headers(headers: Vec<wit::Header>) -> Result<Vec<(String, String)>, &'static str> {
    let bytes: usize = headers.iter().map(|it| it.name.len() + it.value.len()).sum();
    if HEADERS < headers.len() || HEADER_BYTES < bytes {
        return Err("there are too many headers");
    }
    let is_token = |it: u8| it.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&it);
    let is_value = |it: u8| it == b' ' || it == b'\t' || it.is_ascii_graphic();
    let headers = headers.into_iter().map(|it| {
        let name = it.name.to_ascii_lowercase();
        if name.is_empty() || !name.bytes().all(is_token) || !it.value.bytes().all(is_value) {
            return Err("a header has a character that headers cannot have");
        }
        if HOST_HEADERS.contains(&name.as_str()) || name.starts_with("proxy-") {
            return Err("a header is one that only the host sets");
        }
        Ok((name, it.value))
    });
    headers.collect()
}

#[cfg(test)]
mod tests {
    use stepmill_core::capability::Capability;
    use wit::Host;

    use super::super::testing::{Noting, state};
    use super::*;
    use crate::meter::Overrun;
    use crate::settings::CallLimits;

    fn granted(limits: CallLimits) -> (CallState, std::sync::Arc<Noting>) {
        state(&[Capability::parse("http:*.example.com").unwrap()], limits)
    }

    fn get(url: &str) -> HttpRequest {
        HttpRequest { method: "GET".to_owned(), url: url.to_owned(), headers: vec![], body: None }
    }

    async fn fetch(state: &mut CallState, request: HttpRequest) -> Result<Vec<u8>, HttpError> {
        HttpView::of(state).fetch(request).await.unwrap().map(|it| it.body)
    }

    #[tokio::test]
    async fn a_granted_host_is_asked() {
        let (mut state, services) = granted(CallLimits::default());
        let answer = fetch(&mut state, get("https://API.example.com:8443/a?b#c")).await;
        assert_eq!(answer.unwrap(), b"ok");
        assert_eq!(
            *services.0.lock().unwrap(),
            ["GET https://API.example.com:8443/a?b#c at api.example.com"]
        );
    }

    #[tokio::test]
    async fn what_is_not_granted_is_not_sent() {
        let (mut state, services) = granted(CallLimits::default());
        for url in ["https://example.com/", "http://evil.test/?x=.example.com", "https://a:80"] {
            let answer = fetch(&mut state, get(url)).await;
            assert!(matches!(answer, Err(HttpError::NotGranted)), "{url}");
        }
        assert!(services.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_url_that_can_be_read_in_two_ways_is_not_sent() {
        let (mut state, services) = granted(CallLimits::default());
        for url in [
            "https://evil.test\\@a.example.com/",
            "https://a.example.com@evil.test/",
            "https://evil.test:80@a.example.com/",
            "https://a.example.com:/",
            "https://a.example.com:0/",
            "https://a.example.com:+80/",
            "https:///a.example.com/",
            "https:a.example.com/",
            "HTTPS://a.example.com/",
            "https://a%2eexample.com/",
            "https://[::1]/",
            "https://a.example.com/\r\nhost: b",
            "https://a.exämple.com/",
            "https:// a.example.com/",
            "file:///etc/passwd",
            "",
        ] {
            let answer = fetch(&mut state, get(url)).await;
            assert!(matches!(answer, Err(HttpError::Invalid(_))), "{url}");
        }
        assert!(services.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn methods_and_headers_cannot_smuggle() {
        let (mut state, services) = granted(CallLimits::default());
        let with = |method: &str, name: &str, value: &str| HttpRequest {
            method: method.to_owned(),
            headers: vec![wit::Header { name: name.to_owned(), value: value.to_owned() }],
            ..get("https://a.example.com/")
        };
        for request in [
            with("get", "a", "b"),
            with("GET / HTTP/1.1", "a", "b"),
            with("", "a", "b"),
            with("GET", "a b", "c"),
            with("GET", "a", "b\r\nc: d"),
            with("GET", "", "b"),
            with("GET", "Host", "evil.test"),
            with("GET", "Transfer-Encoding", "chunked"),
            with("GET", "Proxy-Authorization", "b"),
        ] {
            let answer = fetch(&mut state, request).await;
            assert!(matches!(answer, Err(HttpError::Invalid(_))));
        }
        assert!(services.0.lock().unwrap().is_empty());
        assert!(fetch(&mut state, with("GET", "Accept", "a/b")).await.is_ok());
    }

    #[tokio::test]
    async fn bodies_have_their_limit_both_ways() {
        let (mut state, _) = granted(CallLimits { http_body_bytes: 2, ..CallLimits::default() });
        let body = Some(vec![0; 3]);
        let request = HttpRequest { body, ..get("https://a.example.com/") };
        assert!(matches!(fetch(&mut state, request).await, Err(HttpError::TooLarge(2))));
        let answer = fetch(&mut state, get("https://a.example.com/large")).await;
        assert!(matches!(answer, Err(HttpError::TooLarge(2))));
    }

    #[tokio::test]
    async fn failures_have_their_words() {
        let (mut state, _) = granted(CallLimits::default());
        let late = fetch(&mut state, get("https://a.example.com/late")).await;
        assert!(matches!(late, Err(HttpError::TimedOut)));
        let private = fetch(&mut state, get("https://a.example.com/private")).await;
        assert!(matches!(private, Err(HttpError::NotGranted)));
    }

    #[tokio::test]
    async fn requests_are_counted() {
        let (mut state, _) = granted(CallLimits { http_requests: 1, ..CallLimits::default() });
        fetch(&mut state, get("https://a.example.com/")).await.unwrap();
        let error = HttpView::of(&mut state).fetch(get("https://a.example.com/")).await;
        assert_eq!(error.unwrap_err().downcast_ref(), Some(&Overrun::HostCalls));
    }
}
