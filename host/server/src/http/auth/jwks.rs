//! The keys an issuer publishes: fetched, kept, and fetched anew when they age or when a token
//! names one that is not there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, Shared};
use futures::{FutureExt, StreamExt};
use jsonwebtoken::Algorithm;
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::AuthFault;
use super::key_set::{self, KeySetFault};
use super::keys::{Ask, Claims, Key};
use super::refusal::Refusal;
use crate::settings::JwksSettings;

/// The least pause between two fetches nobody asked for.
const MIN_PAUSE: Duration = Duration::from_secs(1);

/// The keys at one address. Dropping it ends the task that keeps them fresh.
pub(super) struct Jwks {
    inner: Arc<Inner>,
    _upkeep: AbortOnDropHandle<()>,
}

struct Inner {
    client: Client,
    settings: JwksSettings,
    algorithms: Vec<Algorithm>,
    set: Mutex<Set>,
    flight: Mutex<Flight>,
    /// Fetches under way. They outlive whoever asked for them, and end by their own time limit.
    fetches: TaskTracker,
}

/// What was fetched last.
#[derive(Default)]
struct Set {
    keys: Arc<[Key]>,
    fetched_at: Option<Instant>,
    /// Whether the latest fetch failed.
    is_failing: bool,
}

type Fetch = Shared<BoxFuture<'static, ()>>;

/// The latest fetch. All who need one share it.
#[derive(Default)]
struct Flight {
    running: Option<Fetch>,
    began_at: Option<Instant>,
}

#[derive(Debug, thiserror::Error)]
enum FetchFault {
    #[error("the address cannot be read")]
    Unreachable(#[source] reqwest::Error),
    #[error("the answer is {0}")]
    Status(StatusCode),
    #[error("the answer is too large")]
    TooLarge,
    #[error("the answer cannot be used")]
    Set(#[source] KeySetFault),
}

impl Jwks {
    /// Begins to fetch, and goes on keeping the keys fresh. Needs a runtime.
    pub(super) fn open(
        settings: JwksSettings,
        algorithms: Vec<Algorithm>,
    ) -> Result<Self, AuthFault> {
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(Duration::from_millis(settings.timeout_ms))
            .build()
            .map_err(AuthFault::Client)?;
        let inner = Arc::new(Inner {
            client,
            settings,
            algorithms,
            set: Mutex::default(),
            flight: Mutex::default(),
            fetches: TaskTracker::new(),
        });
        let upkeep = inner.fetches.spawn(keep_fresh(inner.clone()));
        Ok(Self { inner, _upkeep: AbortOnDropHandle::new(upkeep) })
    }

    /// The claims of a token that one of the keys verifies. Waits for a fetch only if the token
    /// names a key that is not there, or names none and no key there signed it.
    pub(super) async fn verify(&self, ask: &Ask<'_>) -> Result<Claims, Refusal> {
        let name = ask.header.kid.as_deref();
        if let Some(keys) = self.inner.current() {
            if let Some(done) = ask.try_with(&keys) {
                return done;
            }
            if name.is_some() && keys.iter().any(|it| it.id.as_deref() == name) {
                return Err(Refusal::signature());
            }
        }
        if let Some(fetch) = self.inner.refresh() {
            fetch.await;
        }
        let keys = self.inner.current().ok_or(Refusal::KeysUnavailable)?;
        if let Some(done) = ask.try_with(&keys) {
            return done;
        }
        // Without the issuer nobody can say that there is no such key.
        let is_failing = lock(&self.inner.set).is_failing;
        Err(if is_failing { Refusal::KeysUnavailable } else { Refusal::signature() })
    }
}

/// Fetches the keys whenever they are old enough, or soon again after a failure.
async fn keep_fresh(inner: Arc<Inner>) {
    loop {
        if let Some(fetch) = inner.refresh() {
            fetch.await;
        }
        let is_failing = lock(&inner.set).is_failing;
        let settings = &inner.settings;
        let pause = if is_failing { settings.gap_ms } else { settings.max_age_ms };
        tokio::time::sleep(Duration::from_millis(pause).max(MIN_PAUSE)).await;
    }
}

impl Inner {
    /// The keys, as long as they count.
    fn current(&self) -> Option<Arc<[Key]>> {
        let set = lock(&self.set);
        let limit = Duration::from_millis(self.settings.stale_ms);
        set.fetched_at.filter(|it| it.elapsed() <= limit).map(|_| set.keys.clone())
    }

    /// The fetch under way, or a new one; `None` if the latest began too short a while ago.
    fn refresh(self: &Arc<Self>) -> Option<Fetch> {
        let mut flight = lock(&self.flight);
        if let Some(running) = flight.running.as_ref().filter(|it| it.peek().is_none()) {
            return Some(running.clone());
        }
        let gap = Duration::from_millis(self.settings.gap_ms);
        if flight.began_at.is_some_and(|it| it.elapsed() < gap) {
            return None;
        }
        flight.began_at = Some(Instant::now());
        let inner = self.clone();
        let fetch = async move { inner.fetch().await }.boxed().shared();
        // Whoever asks may go away; the others still wait for the answer.
        self.fetches.spawn(fetch.clone());
        flight.running = Some(fetch.clone());
        Some(fetch)
    }

    /// Takes the new keys, or stays with the old ones.
    async fn fetch(&self) {
        let host = self.settings.url.host_str().unwrap_or_default();
        let fetched = self.download().await;
        let mut set = lock(&self.set);
        match fetched {
            Ok(keys) => {
                if set.is_failing {
                    tracing::info!(host, "the token issuer's keys are fetched again");
                }
                *set =
                    Set { keys: keys.into(), fetched_at: Some(Instant::now()), is_failing: false };
            }
            Err(fault) => {
                if !set.is_failing {
                    let fault = &fault as &dyn std::error::Error;
                    tracing::warn!(host, fault, "the token issuer's keys were not fetched");
                }
                set.is_failing = true;
            }
        }
    }

    async fn download(&self) -> Result<Vec<Key>, FetchFault> {
        let unreachable = |it: reqwest::Error| FetchFault::Unreachable(it.without_url());
        let request = self.client.get(self.settings.url.clone());
        let answer = request.send().await.map_err(unreachable)?;
        if answer.status() != StatusCode::OK {
            return Err(FetchFault::Status(answer.status()));
        }
        let mut body = Vec::new();
        let mut pieces = answer.bytes_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(unreachable)?;
            if self.settings.body_bytes < body.len() + piece.len() {
                return Err(FetchFault::TooLarge);
            }
            body.extend_from_slice(&piece);
        }
        key_set::read(&body, &self.algorithms).map_err(FetchFault::Set)
    }
}

/// Nothing under these locks can panic halfway.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
