//! What a language's own library sends, through `wasi:http`: the same door as `http`.

use std::sync::Arc;

use stepmill_core::capability::Capability;
use stepmill_sandbox::{CallLimits, Plugin};

use crate::guests;
use crate::room::{Desk, context, sandbox, short, site_with};

async fn fetcher(limits: CallLimits) -> Plugin {
    sandbox(limits).load(guests::fetcher()).await.unwrap()
}

async fn fetch(plugin: &Plugin, grants: &[&str], order: &str) -> String {
    let grants: Vec<_> = grants.iter().map(|it| Capability::parse(it).unwrap()).collect();
    let site = site_with(&grants, Arc::new(Desk::default()));
    plugin.build(site, &context(order)).await.unwrap().description.unwrap()
}

#[tokio::test]
async fn only_what_was_granted_goes_out() {
    let plugin = fetcher(short()).await;
    let narrow = ["http:POST,GET api.example.com/v1/*", "secret:key"];
    for order in [
        "GET https://api.example.com/v1/a?b=c",
        "POST https://api.example.com:8443/v1/a",
        "POST https://api.example.com/v1/a header",
        "POST https://api.example.com/v1/a body",
    ] {
        let (method, url) = order.split_once(' ').unwrap();
        let url = url.split(' ').next().unwrap();
        assert_eq!(fetch(&plugin, &narrow, order).await, format!("200\n{method} {url}"));
    }
    for order in [
        "DELETE https://api.example.com/v1/a",
        "GET https://api.example.com/v2/a",
        "GET https://api.example.com/v1/../v2/a",
        "GET https://evil.test/v1/a",
        "GET https://127.0.0.1/v1/a",
        "GET https://api.example.com.evil.test/v1/a",
    ] {
        assert_eq!(fetch(&plugin, &narrow, order).await, "ErrorCode::HttpRequestDenied", "{order}");
    }
    let order = "GET https://api.example.com/v1/a";
    assert_eq!(fetch(&plugin, &[], order).await, "ErrorCode::HttpRequestDenied");
}

#[tokio::test]
async fn a_url_that_can_be_read_in_two_ways_is_refused_in_words() {
    let plugin = fetcher(short()).await;
    let any = ["http:*.example.com", "http:127.0.0.1"];
    for order in ["GET https://evil.test@api.example.com/", "GET https://[::1]/"] {
        let said = fetch(&plugin, &any, order).await;
        assert!(said.contains("the URL must name a host"), "{said}");
    }
}

#[tokio::test]
async fn bodies_and_requests_have_their_limits() {
    let limits = CallLimits { http_body_bytes: 100, http_requests: 1, ..short() };
    let plugin = fetcher(limits).await;
    let any = ["http:*.example.com"];
    let small = fetch(&plugin, &any, "POST https://api.example.com/ large 100").await;
    assert_eq!(small, "200\nPOST https://api.example.com/");
    let large = fetch(&plugin, &any, "POST https://api.example.com/ large 1000000").await;
    assert_eq!(large, "ErrorCode::HttpRequestBodySize(Some(100))");
    let none = CallLimits { http_requests: 0, ..short() };
    let refused = fetch(&fetcher(none).await, &any, "GET https://api.example.com/").await;
    assert_eq!(refused, "ErrorCode::HttpRequestDenied");
}

#[tokio::test]
async fn what_a_guest_says_of_its_requests_does_not_fill_the_host() {
    let plugin = fetcher(short()).await;
    for what in ["method", "authority", "path"] {
        assert_eq!(fetch(&plugin, &[], &format!("hoard {what}")).await, "0 held", "{what}");
    }
}
