//! Pages in a browser on the operator's machine: which of them reach a host without tokens, and
//! which may use the cookie the browser keeps for a host with them.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue, Method, header};

use super::refusal::Refusal;

const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// An open host listens on loopback, but a browser on the same machine reaches it too, on behalf
/// of any page it shows. A page cannot choose the `Host` it is rebound to, nor its `Origin`; pages
/// of the origins the operator allows are welcome.
pub(super) fn check_local(
    method: &Method,
    headers: &HeaderMap,
    allows: impl Fn(&str) -> bool,
) -> Result<(), Refusal> {
    if text(headers, header::HOST).is_some_and(|it| !is_local(it)) {
        return Err(Refusal::Page(
            "Host not allowed: a host without authentication serves localhost only",
        ));
    }
    let is_ours = |origin: &str| {
        allows(origin) || origin.split_once("://").is_some_and(|(_, rest)| is_local(rest))
    };
    if !method.is_safe() && text(headers, header::ORIGIN).is_some_and(|it| !is_ours(it)) {
        return Err(Refusal::Page(
            "Origin not allowed: a host without authentication serves localhost only",
        ));
    }
    Ok(())
}

/// A browser adds a cookie to whatever any page sends. What changes something has to come from
/// the host's own pages, from those of the origins the operator allows, or from no page at all.
pub(super) fn check_cookie_page(
    method: &Method,
    headers: &HeaderMap,
    allows: impl Fn(&str) -> bool,
) -> Result<(), Refusal> {
    // A page may open a WebSocket anywhere, with a method that changes nothing.
    if method.is_safe() && !headers.contains_key(header::UPGRADE) {
        return Ok(());
    }
    let origin = text(headers, header::ORIGIN);
    let is_own = match (headers.get(SEC_FETCH_SITE), origin) {
        (Some(site), _) => site == "same-origin" || site == "none",
        (None, None) => true,
        (None, Some(origin)) => {
            let authority = origin.split_once("://").map(|(_, it)| it);
            authority.is_some() && authority == text(headers, header::HOST)
        }
    };
    if is_own || origin.is_some_and(allows) {
        return Ok(());
    }
    Err(Refusal::Page("Origin not allowed: the cookie counts for pages of this host only"))
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).map(|it: &HeaderValue| it.to_str().unwrap_or_default())
}

/// `localhost` or a loopback address, with or without a port.
fn is_local(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let is_loopback = |it: &str| it.parse::<IpAddr>().is_ok_and(|it| it.is_loopback());
    host.eq_ignore_ascii_case("localhost") || is_loopback(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Check = fn(&Method, &HeaderMap, fn(&str) -> bool) -> Result<(), Refusal>;

    fn passes(check: Check, method: Method, headers: &[(&'static str, &'static str)]) -> bool {
        let headers = headers.iter().map(|(name, value)| {
            (header::HeaderName::from_static(name), HeaderValue::from_static(value))
        });
        check(&method, &headers.collect(), |it| it == "https://os.agno.com").is_ok()
    }

    #[test]
    fn an_open_host_serves_localhost_and_no_page_from_elsewhere() {
        let open = |method, headers: &[_]| passes(check_local, method, headers);
        for host in ["localhost:7777", "127.0.0.1", "[::1]:7777", "LOCALHOST"] {
            assert!(open(Method::POST, &[("host", host)]), "{host}");
        }
        for host in ["rebound.example:7777", "127.0.0.1.example", "10.0.0.1", ""] {
            assert!(!open(Method::GET, &[("host", host)]), "{host}");
        }
        let page = ("origin", "https://evil.example");
        assert!(!open(Method::POST, &[page]));
        assert!(open(Method::GET, &[page]));
        assert!(!open(Method::POST, &[("origin", "null")]));
        assert!(open(Method::POST, &[("origin", "https://os.agno.com")]));
        assert!(!open(Method::POST, &[("origin", "https://os.agno.com.evil")]));
        assert!(open(Method::POST, &[("origin", "http://localhost:3000")]));
    }

    #[test]
    fn a_cookie_counts_for_the_hosts_own_pages() {
        let cookie = |method, headers: &[_]| passes(check_cookie_page, method, headers);
        let host = ("host", "flows.example");
        assert!(cookie(Method::GET, &[host, ("origin", "https://evil.example")]));
        assert!(cookie(Method::POST, &[host]));
        assert!(cookie(Method::POST, &[host, ("origin", "https://flows.example")]));
        assert!(cookie(Method::POST, &[host, ("origin", "https://os.agno.com")]));
        assert!(cookie(Method::POST, &[host, ("sec-fetch-site", "same-origin")]));
        for bad in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("origin", "https://flows.example.evil"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert!(!cookie(Method::POST, &[host, bad]), "{bad:?}");
            assert!(!cookie(Method::GET, &[host, ("upgrade", "websocket"), bad]), "{bad:?}");
        }
        // What the browser says of the page outweighs what a proxy made of `Host`.
        let behind_proxy = [
            ("host", "inside:7777"),
            ("origin", "https://flows.example"),
            ("sec-fetch-site", "same-origin"),
        ];
        assert!(cookie(Method::POST, &behind_proxy));
    }
}
