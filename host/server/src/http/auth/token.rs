//! Where a request carries its token: in `Authorization`, or in a cookie.

use axum::http::{HeaderMap, header};

use super::refusal::Refusal;
use crate::settings::TokenSource;

/// The longest token that is looked at. Those of real issuers have a tenth of it.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// A token as the request carries it. It cannot be printed.
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    /// Whether a browser may have added it by itself.
    pub(super) in_cookie: bool,
}

/// Where to look.
pub(super) struct Place {
    source: TokenSource,
    cookie: String,
}

impl Place {
    pub(super) fn new(source: TokenSource, cookie: String) -> Self {
        Self { source, cookie }
    }

    /// The token of a request.
    pub(super) fn find<'a>(&self, headers: &'a HeaderMap) -> Result<Token<'a>, Refusal> {
        let token = match self.source {
            TokenSource::Header => in_header(headers),
            TokenSource::Cookie => self.in_cookie(headers),
            TokenSource::HeaderOrCookie => in_header(headers).or_else(|| self.in_cookie(headers)),
        };
        let token = token.ok_or_else(|| self.missing())?;
        if MAX_TOKEN_BYTES < token.text.len() {
            return Err(Refusal::Token("Too long".into()));
        }
        Ok(token)
    }

    /// Several cookies of the name are none: some page on a neighbouring name may have set one.
    fn in_cookie<'a>(&self, headers: &'a HeaderMap) -> Option<Token<'a>> {
        let all = headers.get_all(header::COOKIE).into_iter().filter_map(|it| it.to_str().ok());
        let pairs = all.flat_map(|it| it.split(';')).filter_map(|it| it.trim().split_once('='));
        let mut values = pairs.filter(|(name, _)| *name == self.cookie).map(|(_, value)| value);
        let (first, second) = (values.next()?.trim(), values.next());
        let text = (second.is_none() && !first.is_empty()).then_some(first)?;
        Some(Token { text, in_cookie: true })
    }

    fn missing(&self) -> Refusal {
        let cookie = &self.cookie;
        Refusal::Missing(match self.source {
            TokenSource::Header => "Authorization header missing".into(),
            TokenSource::Cookie => format!("JWT cookie '{cookie}' missing"),
            TokenSource::HeaderOrCookie => {
                format!("JWT token missing from both Authorization header and '{cookie}' cookie")
            }
        })
    }
}

fn in_header(headers: &HeaderMap) -> Option<Token<'_>> {
    bearer(headers).map(|text| Token { text, in_cookie: false })
}

/// `Bearer x` in any case, or the bare token. Two headers are none: who is asked first would
/// decide who somebody is.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (first, second) = (all.next()?, all.next());
    let text = second.is_none().then_some(first)?.to_str().ok()?.trim();
    let token = match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => text,
    };
    (!token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn find(
        source: TokenSource,
        headers: &[(HeaderName, &'static str)],
    ) -> Result<(String, bool), String> {
        let place = Place::new(source, "access_token".into());
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, HeaderValue::from_static(value));
        }
        let found = place.find(&map).map(|it| (it.text.to_owned(), it.in_cookie));
        found.map_err(|it| it.to_string())
    }

    #[test]
    fn a_header_carries_a_token_with_or_without_its_scheme() {
        for form in ["Bearer a.b.c", "bearer a.b.c", "BEARER  a.b.c ", "a.b.c"] {
            let found = find(TokenSource::Header, &[(header::AUTHORIZATION, form)]);
            assert_eq!(found, Ok(("a.b.c".into(), false)), "{form}");
        }
        let missing = Err("Authorization header missing".to_owned());
        assert_eq!(find(TokenSource::Header, &[(header::AUTHORIZATION, " ")]), missing);
        // A scheme without a token is a token that is none.
        let found = find(TokenSource::Header, &[(header::AUTHORIZATION, "Bearer ")]);
        assert_eq!(found, Ok(("Bearer".into(), false)));
        let twice = [(header::AUTHORIZATION, "Bearer a"), (header::AUTHORIZATION, "Bearer b")];
        assert_eq!(find(TokenSource::Header, &twice), missing);
        assert_eq!(find(TokenSource::Header, &[(header::COOKIE, "access_token=a")]), missing);
    }

    #[test]
    fn a_cookie_carries_a_token_where_it_is_asked_for() {
        let found = |it| find(TokenSource::Cookie, &[(header::COOKIE, it)]);
        assert_eq!(found("a=b; access_token=x.y.z; c=d"), Ok(("x.y.z".into(), true)));
        let missing = Err("JWT cookie 'access_token' missing".to_owned());
        for bad in ["", "access_token", "access_token=", "access_tokens=x", "Access_Token=x"] {
            assert_eq!(found(bad), missing, "{bad:?}");
        }
        assert_eq!(found("access_token=a; access_token=b"), missing);
        let split = [(header::COOKIE, "access_token=a"), (header::COOKIE, "access_token=b")];
        assert_eq!(find(TokenSource::Cookie, &split), missing);
        let header = [(header::AUTHORIZATION, "Bearer x")];
        assert_eq!(find(TokenSource::Cookie, &header), missing);
    }

    #[test]
    fn the_header_goes_before_the_cookie() {
        let both = [(header::COOKIE, "access_token=c"), (header::AUTHORIZATION, "Bearer h")];
        assert_eq!(find(TokenSource::HeaderOrCookie, &both), Ok(("h".into(), false)));
        assert_eq!(find(TokenSource::HeaderOrCookie, &both[..1]), Ok(("c".into(), true)));
        assert_eq!(
            find(TokenSource::HeaderOrCookie, &[]),
            Err("JWT token missing from both Authorization header and 'access_token' cookie".into())
        );
    }

    #[test]
    fn a_token_has_an_end() {
        let place = Place::new(TokenSource::Header, String::new());
        let mut headers = HeaderMap::new();
        let long = HeaderValue::from_str(&"x".repeat(MAX_TOKEN_BYTES + 1)).unwrap();
        headers.insert(header::AUTHORIZATION, long);
        assert_eq!(place.find(&headers).err().unwrap().to_string(), "Invalid token: Too long");
    }
}
