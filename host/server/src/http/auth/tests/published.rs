//! Keys that an issuer publishes: fetched once, again when they change, and kept when it fails.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use futures::FutureExt;
use futures::future::join_all;
use reqwest::Url;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::*;
use crate::settings::JwksSettings;

const SIGNATURE: &str = "Invalid token: Signature verification failed";
const UNAVAILABLE: &str = "The token issuer's keys are not available";

const HOUR_MS: u64 = 3_600_000;

/// What the issuer answers next.
#[derive(Clone)]
enum Answer {
    Keys(Value),
    Text(&'static str),
    Status(StatusCode),
    Elsewhere,
    Huge,
    /// Nothing, for ever.
    Silence,
}

#[derive(Clone)]
struct Shop {
    answer: Arc<Mutex<Answer>>,
    asked: watch::Sender<usize>,
}

/// An issuer on this machine that counts who asks.
struct Issuer {
    url: Url,
    shop: Shop,
    _task: AbortOnDropHandle<()>,
}

impl Issuer {
    async fn open(answer: Answer) -> Self {
        let shop = Shop { answer: Arc::new(Mutex::new(answer)), asked: watch::Sender::new(0) };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap()).parse().unwrap();
        let routes = get(keys).with_state(shop.clone());
        let task = TaskTracker::new().spawn(async { axum::serve(listener, routes).await.unwrap() });
        Self { url, shop, _task: AbortOnDropHandle::new(task) }
    }

    fn answers(&self, answer: Answer) {
        *self.shop.answer.lock().unwrap() = answer;
    }

    fn asked(&self) -> usize {
        *self.shop.asked.borrow()
    }

    async fn asked_times(&self, times: usize) {
        let mut asked = self.shop.asked.subscribe();
        let waiting = asked.wait_for(|it| *it >= times);
        timeout(PATIENCE, waiting).await.expect("somebody asks in time").unwrap();
    }

    /// A host that knows this issuer.
    fn verifier(&self, change: impl FnOnce(&mut JwksSettings)) -> Issuers {
        let mut jwks = JwksSettings::new(self.url.clone());
        change(&mut jwks);
        verifier(&IssuerSettings {
            algorithms: vec![JwtAlgorithm::Rs256, JwtAlgorithm::Es256],
            keys: Vec::new(),
            jwks: Some(jwks),
            ..settings()
        })
    }
}

async fn keys(State(shop): State<Shop>) -> Response {
    shop.asked.send_modify(|it| *it += 1);
    let answer = shop.answer.lock().unwrap().clone();
    match answer {
        Answer::Keys(keys) => axum::Json(json!({ "keys": keys })).into_response(),
        Answer::Text(text) => text.into_response(),
        Answer::Status(status) => status.into_response(),
        Answer::Elsewhere => Redirect::temporary("/keys").into_response(),
        Answer::Huge => vec![b' '; 512 * 1024].into_response(),
        Answer::Silence => std::future::pending().await,
    }
}

fn old_key() -> Answer {
    Answer::Keys(json!([published("old", Algorithm::RS256)]))
}

fn new_key() -> Answer {
    Answer::Keys(json!([published("new", Algorithm::ES256)]))
}

fn old() -> String {
    named("old", Algorithm::RS256)
}

fn new() -> String {
    named("new", Algorithm::ES256)
}

async fn fails(verifier: &Issuers, token: &str) -> String {
    timeout(PATIENCE, shown(verifier, token)).await.unwrap().expect_err("the token is refused")
}

async fn passes(verifier: &Issuers, token: &str) {
    let answer = timeout(PATIENCE, shown(verifier, token)).await.unwrap();
    assert!(answer.is_ok(), "{:?}", answer.err());
}

#[tokio::test]
async fn keys_are_fetched_once() {
    let issuer = Issuer::open(old_key()).await;
    let verifier = issuer.verifier(|it| it.gap_ms = 0);
    for _ in 0..20 {
        passes(&verifier, &old()).await;
    }
    passes(&verifier, &token(&Header::new(Algorithm::RS256), &claims())).await;
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn a_token_with_a_new_keys_name_brings_the_new_key() {
    let issuer = Issuer::open(old_key()).await;
    let verifier = issuer.verifier(|it| it.gap_ms = 0);
    passes(&verifier, &old()).await;
    issuer.answers(new_key());
    passes(&verifier, &old()).await;
    passes(&verifier, &new()).await;
    assert_eq!(issuer.asked(), 2);
    // What the issuer takes back is gone.
    assert_eq!(fails(&verifier, &old()).await, SIGNATURE);
}

#[tokio::test]
async fn a_token_without_a_name_brings_the_new_key_too() {
    let issuer = Issuer::open(old_key()).await;
    let verifier = issuer.verifier(|it| it.gap_ms = 0);
    passes(&verifier, &old()).await;
    issuer.answers(new_key());
    passes(&verifier, &token(&Header::new(Algorithm::ES256), &claims())).await;
}

#[tokio::test]
async fn a_wrong_signature_under_a_known_name_asks_nobody() {
    let issuer = Issuer::open(old_key()).await;
    let verifier = issuer.verifier(|it| it.gap_ms = 0);
    passes(&verifier, &old()).await;
    let (message, _) = old().rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert_eq!(fails(&verifier, &format!("{message}.AAAA")).await, SIGNATURE);
    assert_eq!(fails(&verifier, &named("old", Algorithm::ES256)).await, SIGNATURE);
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn fifty_who_ask_at_once_cause_one_fetch() {
    let issuer = Issuer::open(old_key()).await;
    let verifier = issuer.verifier(|it| it.gap_ms = 0);
    passes(&verifier, &old()).await;
    issuer.answers(new_key());
    let tokens: Vec<_> = (0..50).map(|_| new()).collect();
    let answers = join_all(tokens.iter().map(|it| shown(&verifier, it))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn names_nobody_knows_do_not_hammer_the_issuer() {
    let issuer = Issuer::open(old_key()).await;
    let verifier = issuer.verifier(|it| it.gap_ms = HOUR_MS);
    passes(&verifier, &old()).await;
    for at in 0..50 {
        let made_up = named(&format!("made-up-{at}"), Algorithm::RS256);
        assert_eq!(fails(&verifier, &made_up).await, SIGNATURE);
    }
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn while_the_issuer_fails_the_old_keys_count() {
    let issuer = Issuer::open(old_key()).await;
    let verifier = issuer.verifier(|it| it.gap_ms = 0);
    passes(&verifier, &old()).await;
    for bad in [
        Answer::Status(StatusCode::INTERNAL_SERVER_ERROR),
        Answer::Status(StatusCode::NO_CONTENT),
        Answer::Text("<html>"),
        Answer::Keys(json!([])),
        Answer::Keys(json!([{ "kty": "oct", "kid": "new", "k": "c2VjcmV0" }])),
        Answer::Elsewhere,
        Answer::Huge,
    ] {
        let before = issuer.asked();
        issuer.answers(bad);
        // Whether there is such a key, nobody can say now.
        assert_eq!(fails(&verifier, &new()).await, UNAVAILABLE);
        passes(&verifier, &old()).await;
        assert_eq!(issuer.asked(), before + 1);
    }
    issuer.answers(new_key());
    passes(&verifier, &new()).await;
}

#[tokio::test]
async fn old_keys_do_not_count_for_ever() {
    let issuer = Issuer::open(old_key()).await;
    let verifier = issuer.verifier(|it| (it.stale_ms, it.gap_ms) = (0, HOUR_MS));
    issuer.asked_times(1).await;
    assert_eq!(fails(&verifier, &old()).await, UNAVAILABLE);
}

#[tokio::test]
async fn an_issuer_that_was_never_there_is_the_hosts_trouble() {
    let gone = {
        let issuer = Issuer::open(old_key()).await;
        issuer.url.clone()
    };
    let verifier = verifier(&IssuerSettings {
        algorithms: vec![JwtAlgorithm::Rs256],
        keys: Vec::new(),
        jwks: Some(JwksSettings { gap_ms: HOUR_MS, ..JwksSettings::new(gone) }),
        ..settings()
    });
    assert_eq!(fails(&verifier, &old()).await, UNAVAILABLE);
    assert_eq!(fails(&verifier, &old()).await, UNAVAILABLE);
}

#[tokio::test]
async fn a_fetch_holds_up_nobody_whose_key_is_known() {
    let issuer = Issuer::open(old_key()).await;
    let verifier = issuer.verifier(|it| it.gap_ms = 0);
    passes(&verifier, &old()).await;
    issuer.answers(Answer::Silence);
    let (unknown, known) = (new(), old());
    let mut waiting = Box::pin(shown(&verifier, &unknown));
    assert!(waiting.as_mut().now_or_never().is_none());
    issuer.asked_times(2).await;
    assert!(shown(&verifier, &known).now_or_never().expect("it waits for nobody").is_ok());
}

#[tokio::test]
async fn who_asks_and_goes_away_takes_the_fetch_from_nobody() {
    let issuer = Issuer::open(old_key()).await;
    let verifier = issuer.verifier(|it| it.gap_ms = 0);
    passes(&verifier, &old()).await;
    issuer.answers(new_key());
    let token = new();
    assert!(shown(&verifier, &token).now_or_never().is_none());
    issuer.asked_times(2).await;
    passes(&verifier, &token).await;
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn keys_are_fetched_again_when_they_are_old() {
    let issuer = Issuer::open(old_key()).await;
    let verifier = issuer.verifier(|it| (it.max_age_ms, it.gap_ms) = (1, 0));
    passes(&verifier, &old()).await;
    issuer.asked_times(2).await;
    drop(verifier);
}

#[tokio::test]
async fn keys_of_the_settings_count_beside_published_ones() {
    let issuer = Issuer::open(old_key()).await;
    let verifier = verifier(&IssuerSettings {
        algorithms: vec![JwtAlgorithm::Hs256, JwtAlgorithm::Rs256],
        jwks: Some(JwksSettings::new(issuer.url.clone())),
        ..settings()
    });
    passes(&verifier, &sign(&claims())).await;
    passes(&verifier, &old()).await;
}
