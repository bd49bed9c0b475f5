//! Each fault of a provider has one name here, and takes so many requests and no more.

use crate::harness::{WIRES, limits, streamed_outcome, unary_outcome};

/// Every protocol ends the same way.
pub(crate) async fn all(scenario: &str, unary: &str, streamed: &str) {
    each(scenario, [(unary, streamed); 5]).await;
}

/// Each protocol ends in its own way; in the order of [`WIRES`].
pub(crate) async fn each(scenario: &str, expected: [(&str, &str); 5]) {
    for (wire, (unary, streamed)) in WIRES.into_iter().zip(expected) {
        let seen = unary_outcome(wire, scenario, limits()).await;
        assert_eq!(seen, unary, "{wire:?}, whole, {scenario}");
        let seen = streamed_outcome(wire, scenario, limits()).await;
        assert_eq!(seen, streamed, "{wire:?}, streamed, {scenario}");
    }
}

/// Nothing was told yet, so whole and streamed calls end alike.
pub(crate) async fn before_any_word(scenario: &str, expected: [&str; 5]) {
    let streamed = expected.map(|it| format!("0 pieces, {it}"));
    each(scenario, std::array::from_fn(|at| (expected[at], streamed[at].as_str()))).await;
}

const ANSWERED_AT_SECOND: (&str, &str) = ("answered; 2 asked", "4 pieces, answered; 2 asked");

#[tokio::test]
async fn a_rate_limit_is_waited_for() {
    each("429-once", [ANSWERED_AT_SECOND; 5]).await;
}

#[tokio::test]
async fn a_rate_limit_that_stays_is_busy() {
    before_any_word(
        "429",
        [
            "busy rate_limit_exceeded; 3 asked",
            "busy rate_limit_exceeded; 3 asked",
            "busy rate_limit_error; 3 asked",
            "busy RESOURCE_EXHAUSTED; 3 asked",
            "busy; 3 asked",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_not_waited() {
    before_any_word(
        "429-after-30",
        [
            "busy after 30000 ms rate_limit_exceeded; 1 asked",
            "busy after 30000 ms rate_limit_exceeded; 1 asked",
            "busy after 30000 ms rate_limit_error; 1 asked",
            "busy after 30000 ms RESOURCE_EXHAUSTED; 1 asked",
            "busy after 30000 ms; 1 asked",
        ],
    )
    .await;
}

#[tokio::test]
async fn an_overloaded_provider_is_busy() {
    before_any_word(
        "529",
        [
            "busy server_error; 3 asked",
            "busy server_error; 3 asked",
            "busy api_error; 3 asked",
            "busy INTERNAL; 3 asked",
            "busy; 3 asked",
        ],
    )
    .await;
}

#[tokio::test]
async fn an_error_of_the_server_is_tried_again() {
    each("500-once", [ANSWERED_AT_SECOND; 5]).await;
    each("408-once", [ANSWERED_AT_SECOND; 5]).await;
    before_any_word(
        "500",
        [
            "failed Status 500 server_error; 3 asked",
            "failed Status 500 server_error; 3 asked",
            "failed Status 500 api_error; 3 asked",
            "failed Status 500 INTERNAL; 3 asked",
            "failed Status 500; 3 asked",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_refusal_is_final() {
    before_any_word(
        "400",
        [
            "refused 400 invalid_value; 1 asked",
            "refused 400 invalid_value; 1 asked",
            "refused 400 invalid_request_error; 1 asked",
            "refused 400 INVALID_ARGUMENT; 1 asked",
            "refused 400; 1 asked",
        ],
    )
    .await;
    before_any_word(
        "401",
        [
            "refused 401 invalid_api_key; 1 asked",
            "refused 401 invalid_api_key; 1 asked",
            "refused 401 authentication_error; 1 asked",
            "refused 401 PERMISSION_DENIED; 1 asked",
            "refused 401; 1 asked",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_gateways_error_page_is_a_failure() {
    before_any_word("html-502", ["failed Status 502; 3 asked"; 5]).await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    before_any_word("redirect", ["failed Status 307; 1 asked"; 5]).await;
}

#[tokio::test]
async fn a_connection_that_is_lost_before_a_word_is_made_again() {
    each("reset-once", [ANSWERED_AT_SECOND; 5]).await;
    before_any_word("reset", ["failed Unreachable; 3 asked"; 5]).await;
}

#[tokio::test]
async fn what_is_no_json_fails_and_loses_nothing_silently() {
    let malformed = "failed Malformed; 1 asked";
    all("bad-frame", malformed, "2 pieces, failed Malformed; 1 asked").await;
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_breaks_off() {
    all("cut", "broke off; 1 asked", "2 pieces, broke off; 1 asked").await;
}

#[tokio::test]
async fn an_end_without_the_protocols_end_breaks_off() {
    all("early-end", "failed Malformed; 1 asked", "2 pieces, broke off; 1 asked").await;
}

#[tokio::test]
async fn a_body_without_an_end_is_not_read_to_the_end() {
    before_any_word("oversized", ["larger than 65536; 1 asked"; 5]).await;
    before_any_word("oversized-error", ["failed Status 500; 3 asked"; 5]).await;
}

#[tokio::test]
async fn a_failure_that_is_reported_is_one() {
    each(
        "failed",
        [
            (
                // Status 200, `"status": "failed"`.
                "failed Reported server_error; 1 asked",
                "2 pieces, failed Reported server_error; 1 asked",
            ),
            (
                "failed Status 500 server_error; 3 asked",
                "2 pieces, failed Reported server_error; 1 asked",
            ),
            (
                "failed Status 500 api_error; 3 asked",
                "2 pieces, failed Reported api_error; 1 asked",
            ),
            (
                // Gemini repeats the status inside of the frame.
                "failed Status 500 INTERNAL; 3 asked",
                "2 pieces, failed Status 500 INTERNAL; 1 asked",
            ),
            ("failed Status 500; 3 asked", "2 pieces, failed Reported; 1 asked"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_stream_that_begins_with_being_overloaded_is_tried_again() {
    let expected = [
        "0 pieces, busy rate_limit_exceeded; 3 asked",
        "0 pieces, busy rate_limit_exceeded; 3 asked",
        "0 pieces, busy overloaded_error; 3 asked",
        "0 pieces, failed Status 503 UNAVAILABLE; 3 asked",
        // Ollama has no words for it.
        "0 pieces, failed Reported; 1 asked",
    ];
    for (wire, expected) in WIRES.into_iter().zip(expected) {
        assert_eq!(streamed_outcome(wire, "busy-in-stream", limits()).await, expected, "{wire:?}");
    }
}

#[tokio::test]
async fn filtered_content_is_a_refusal() {
    let refused = ("refused content_filter; 1 asked", "4 pieces, refused content_filter; 1 asked");
    let no_words = ("failed Reported; 1 asked", "4 pieces, failed Reported; 1 asked");
    each("filtered", [refused, refused, refused, refused, no_words]).await;
}

#[tokio::test]
async fn without_retries_there_is_one_request() {
    let limits = stepmill_models::CallLimits { retries: 0, ..limits() };
    for wire in WIRES {
        assert!(unary_outcome(wire, "500-once", limits).await.ends_with("; 1 asked"));
        assert!(streamed_outcome(wire, "500-once", limits).await.ends_with("; 1 asked"));
    }
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    // A port that was free a moment ago, and that nobody listens on now.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for wire in WIRES {
        let model = crate::harness::model_at(address.clone(), wire, limits());
        let failure = model.answer(&crate::harness::request()).await.unwrap_err();
        assert_eq!(crate::harness::line(&failure), "failed Unreachable", "{wire:?}");
    }
}
