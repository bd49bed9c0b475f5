//! Secrets on their way: put into a request at the last moment, taken out of the answer.

use std::borrow::Cow;
use std::sync::Arc;

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use stepmill_core::capability::HttpRule;
use stepmill_sandbox::{OutboundFailure, OutboundRequest};

/// The most bytes of a request's header values with their secrets: servers accept no more.
const HEADER_BYTES: usize = 64 * 1024;

/// A secret that was opened for one call.
pub(crate) struct OpenSecret {
    pub(super) value: SecretString,
    /// Where it may go.
    pub(super) places: Vec<HttpRule>,
}

impl OpenSecret {
    fn may_go(&self, request: &OutboundRequest) -> bool {
        let covers = |it: &HttpRule| it.covers(&request.method, &request.host, &request.path);
        self.places.iter().any(covers)
    }
}

/// What stands for secrets in one request.
#[derive(Default)]
pub(crate) struct Sending(Vec<Standing>);

struct Standing {
    placeholder: String,
    secret: Arc<OpenSecret>,
}

impl Sending {
    pub(crate) fn new(standing: impl IntoIterator<Item = (String, Arc<OpenSecret>)>) -> Self {
        let standing = standing.into_iter();
        Self(standing.map(|(placeholder, secret)| Standing { placeholder, secret }).collect())
    }

    /// One secret that may go to one place.
    #[cfg(test)]
    pub(crate) fn one(placeholder: &str, value: &str, place: &str) -> Self {
        let places = vec![HttpRule::new(place).expect("it is a place")];
        let secret = OpenSecret { value: value.into(), places };
        Self::new([(placeholder.to_owned(), Arc::new(secret))])
    }

    /// Whether no secret is in play at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks a request before anything of it is sent: each secret in it may go where it goes,
    /// and stands where it can, and all of them together leave it within its bounds.
    pub(crate) fn check(&self, request: &OutboundRequest) -> Result<(), OutboundFailure> {
        let body = request.body.as_deref().unwrap_or_default();
        let (mut header_bytes, mut body_bytes) = (0, body.len());
        for it in &self.0 {
            let in_headers: usize = request.headers.iter().map(|(_, value)| it.count(value)).sum();
            let in_body = count(body, it.placeholder.as_bytes());
            if 0 < in_headers + in_body && !it.secret.may_go(request) {
                return Err(OutboundFailure::NotAllowed);
            }
            if 0 < in_body && std::str::from_utf8(body).is_err() {
                return Err(OutboundFailure::Invalid("a body that is no text holds a secret"));
            }
            let value_bytes = it.secret.value.expose_secret().len();
            header_bytes += in_headers * value_bytes;
            body_bytes += in_body * value_bytes.saturating_sub(it.placeholder.len());
        }
        if request.body_limit_bytes < body_bytes {
            return Err(OutboundFailure::TooLarge);
        }
        if HEADER_BYTES < header_bytes {
            return Err(OutboundFailure::Invalid("there are too many secrets in the headers"));
        }
        Ok(())
    }

    /// A header's value as it is sent. One that holds a secret says so to whoever would log it.
    pub(crate) fn header(&self, value: &str) -> Result<HeaderValue, OutboundFailure> {
        let text = self.put(value);
        let is_secret = matches!(text, Cow::Owned(_));
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| OutboundFailure::Invalid("a header cannot be sent"))?;
        value.set_sensitive(is_secret);
        Ok(value)
    }

    /// The body as it is sent.
    pub(crate) fn body(&self, body: Vec<u8>) -> Vec<u8> {
        match std::str::from_utf8(&body).map(|it| self.put(it)) {
            Ok(Cow::Owned(text)) => text.into_bytes(),
            // A body without a secret goes as it is, text or not.
            Ok(Cow::Borrowed(_)) | Err(_) => body,
        }
    }

    fn put<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let pairs = self.0.iter().map(|it| {
            (it.placeholder.as_bytes().into(), it.secret.value.expose_secret().as_bytes())
        });
        match replace(text.as_bytes(), pairs.collect()) {
            None => text.into(),
            Some(bytes) => String::from_utf8(bytes).expect("text in the place of text").into(),
        }
    }

    /// An answer's text with placeholders where secrets came back: as they are, or as JSON, forms
    /// and URLs write them. In any other disguise (base64, a hash, every second letter) a server
    /// that may have the secret can hand it on; it is its to keep.
    pub(crate) fn scrub(&self, bytes: Vec<u8>) -> Vec<u8> {
        let pairs = self.0.iter().flat_map(|it| {
            let forms = written(it.secret.value.expose_secret());
            forms.into_iter().map(|form| (form.into(), it.placeholder.as_bytes()))
        });
        replace(&bytes, pairs.collect()).unwrap_or(bytes)
    }
}

impl Standing {
    fn count(&self, text: &str) -> usize {
        count(text.as_bytes(), self.placeholder.as_bytes())
    }
}

fn count(text: &[u8], word: &[u8]) -> usize {
    text.windows(word.len()).filter(|it| *it == word).count()
}

/// The ways in which a value is commonly written.
fn written(value: &str) -> Vec<Vec<u8>> {
    let json = serde_json::Value::from(value).to_string();
    let json = json[1..json.len() - 1].to_owned();
    let slashed = json.replace('/', "\\/");
    let form: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
    let url = form.replace('+', "%20");
    let lower = |it: &str| lower_escapes(it);
    let mut all = vec![lower(&form), lower(&url), form, url, slashed, json, value.to_owned()];
    all.sort_unstable();
    all.dedup();
    all.into_iter().map(String::into_bytes).collect()
}

/// `%2F` as `%2f`.
fn lower_escapes(text: &str) -> String {
    let mut pieces = text.split('%');
    let mut lower = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (digits, rest) = piece.split_at(piece.len().min(2));
        lower.extend(["%", &digits.to_ascii_lowercase(), rest]);
    }
    lower
}

/// Puts words in the place of others, from left to right, the longest first. None if there is
/// nothing to replace.
fn replace(text: &[u8], mut pairs: Vec<(Cow<'_, [u8]>, &[u8])>) -> Option<Vec<u8>> {
    pairs.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
    let mut begins = [false; 256];
    pairs.iter().filter_map(|(word, _)| word.first()).for_each(|it| begins[*it as usize] = true);
    let mut replaced: Option<Vec<u8>> = None;
    let (mut at, mut done) = (0, 0);
    while at < text.len() {
        let found = begins[text[at] as usize]
            .then(|| pairs.iter().find(|(word, _)| text[at..].starts_with(word)))
            .flatten();
        match found {
            None => at += 1,
            Some((word, by)) => {
                let replaced = replaced.get_or_insert_default();
                replaced.extend_from_slice(&text[done..at]);
                replaced.extend_from_slice(by);
                at += word.len();
                done = at;
            }
        }
    }
    if let Some(replaced) = &mut replaced {
        replaced.extend_from_slice(&text[done..]);
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "stepmill-secret-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "stepmill-secret-bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn sending(values: &[(&str, &str, &str)]) -> Sending {
        Sending::new(values.iter().map(|(placeholder, value, place)| {
            let places = vec![HttpRule::new(place).unwrap()];
            let secret = OpenSecret { value: (*value).into(), places };
            ((*placeholder).to_owned(), Arc::new(secret))
        }))
    }

    fn request(header: &str, body: &[u8]) -> OutboundRequest {
        OutboundRequest {
            method: "POST".into(),
            url: "https://api.example.com/v1/orders?x".into(),
            host: "api.example.com".into(),
            path: "/v1/orders".into(),
            headers: vec![("authorization".into(), header.into())],
            body: Some(body.to_owned()),
            body_limit_bytes: 200,
            placeholders: vec![],
        }
    }

    #[test]
    fn a_secret_goes_where_it_may_or_the_request_goes_nowhere() {
        for (place, is_there) in [
            ("api.example.com", true),
            ("*.example.com", true),
            ("GET,POST api.example.com/v1/*", true),
            ("GET api.example.com", false),
            ("api.example.com/v2/*", false),
            ("example.com", false),
            ("api.example.com.evil.test", false),
        ] {
            let sending = sending(&[(A, "hunter2hunter2", place), (B, "other-value", "b.test")]);
            for request in [request(A, b""), request("none", format!("[{A}]").as_bytes())] {
                assert_eq!(sending.check(&request).is_ok(), is_there, "{place}");
            }
            // One that may not go is enough, whoever goes with it.
            let both = request(A, B.as_bytes());
            assert_eq!(sending.check(&both), Err(OutboundFailure::NotAllowed));
            assert_eq!(sending.check(&request("none", b"none")), Ok(()));
        }
    }

    #[test]
    fn a_secret_stands_whole_or_in_part_of_a_header_and_of_a_text() {
        let sending = sending(&[(A, "hunter2hunter2", "b.test"), (B, "other-value", "b.test")]);
        let header = sending.header(&format!("Bearer {A}")).unwrap();
        assert_eq!(header, "Bearer hunter2hunter2");
        assert!(header.is_sensitive());
        assert_eq!(format!("{header:?}"), "Sensitive");
        assert!(!sending.header("plain").unwrap().is_sensitive());
        let body = format!("{{\"a\":\"{A}\",\"b\":\"{B}{A}\"}}").into_bytes();
        let sent = sending.body(body);
        assert_eq!(sent, b"{\"a\":\"hunter2hunter2\",\"b\":\"other-valuehunter2hunter2\"}");
        assert_eq!(sending.body(vec![0xff, 0]), [0xff, 0]);
    }

    #[test]
    fn a_body_that_is_no_text_and_one_that_grows_too_large_are_refused() {
        let place = "api.example.com";
        let binary = [A.as_bytes(), b"\xff"].concat();
        let refused = sending(&[(A, "hunter2hunter2", place)]).check(&request("", &binary));
        assert!(matches!(refused, Err(OutboundFailure::Invalid(_))));
        let long = "x".repeat(101);
        let sending = sending(&[(A, &long, place)]);
        assert_eq!(sending.check(&request("", A.as_bytes())), Ok(()));
        let twice = format!("{A}{A}");
        let refused = sending.check(&request("", twice.as_bytes()));
        assert_eq!(refused, Err(OutboundFailure::TooLarge));
        let many = A.repeat(HEADER_BYTES / 101 + 1);
        let refused = sending.check(&request(&many, b""));
        assert!(matches!(refused, Err(OutboundFailure::Invalid(_))));
    }

    #[test]
    fn what_comes_back_is_a_placeholder_again() {
        let value = "p/ss+w\"rd\\ =x";
        let sending = sending(&[(A, value, "b.test"), (B, "p/ss+w\"rd\\ =xyz", "b.test")]);
        let scrubbed = |text: &str| String::from_utf8(sending.scrub(text.into())).unwrap();
        for written in [
            value,
            r#"p/ss+w\"rd\\ =x"#,
            r#"p\/ss+w\"rd\\ =x"#,
            "p%2Fss%2Bw%22rd%5C+%3Dx",
            "p%2fss%2bw%22rd%5c%20%3dx",
        ] {
            assert_eq!(scrubbed(&format!("<{written}>{written}")), format!("<{A}>{A}"));
        }
        // Of two that begin alike the longer one is meant.
        assert_eq!(scrubbed("p/ss+w\"rd\\ =xyz"), B);
        assert_eq!(scrubbed("p/ss+w\"rd\\ ="), "p/ss+w\"rd\\ =");
        assert_eq!(sending.scrub(vec![0xff, 0]), [0xff, 0]);
    }
}
