//! `http`: requests to granted hosts.

use std::time::Instant;

use wasmtime::component::HasData;

use super::outgoing::{Head, Outgoing};
use crate::call::CallState;
use crate::meter::Meter;
use crate::services::{OutboundFailure, OutboundResponse};
use crate::wit::newest::stepmill::plugin::http as wit;
use crate::wit::newest::stepmill::plugin::http::{HttpError, HttpRequest, HttpResponse};

pub(crate) struct Http;

impl HasData for Http {
    type Data<'a> = HttpView<'a>;
}

pub(crate) struct HttpView<'a> {
    meter: &'a mut Meter,
    outgoing: &'a mut Outgoing,
}

impl HttpView<'_> {
    pub(crate) fn of(state: &mut CallState) -> HttpView<'_> {
        HttpView { meter: &mut state.meter, outgoing: &mut state.outgoing }
    }

    fn refusal(&self, failure: OutboundFailure) -> HttpError {
        match failure {
            OutboundFailure::NotAllowed => HttpError::NotGranted,
            OutboundFailure::Invalid(text) => HttpError::Invalid(text.to_owned()),
            OutboundFailure::TooLarge => {
                let limit = self.outgoing.body_limit_bytes();
                HttpError::TooLarge(u32::try_from(limit).unwrap_or(u32::MAX))
            }
            OutboundFailure::TimedOut => HttpError::TimedOut,
            OutboundFailure::Failed => HttpError::Failed,
        }
    }
}

impl wit::Host for HttpView<'_> {
    async fn fetch(
        &mut self,
        request: HttpRequest,
    ) -> wasmtime::Result<Result<HttpResponse, HttpError>> {
        self.meter.host_call()?;
        let HttpRequest { method, url, headers, body } = request;
        let headers = headers.into_iter().map(|it| (it.name, it.value)).collect();
        let admitted = match self.outgoing.admit(Head { method, url, headers })? {
            Ok(admitted) => admitted,
            Err(failure) => return Ok(Err(self.refusal(failure))),
        };
        let began = Instant::now();
        let answer = admitted.send(body).await;
        self.meter.note_wait(began.elapsed());
        Ok(answer.map(response).map_err(|it| self.refusal(it)))
    }
}

fn response(answer: OutboundResponse) -> HttpResponse {
    let header = |(name, value)| wit::Header { name, value };
    HttpResponse {
        status: answer.status,
        headers: answer.headers.into_iter().map(header).collect(),
        body: answer.body,
    }
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
