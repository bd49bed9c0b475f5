//! A quiet tenant beside a noisy one: how much slower its runs are than alone, within one run.
//!
//! Slices in which the quiet tenant is alone alternate with slices beside the other, so that what
//! else the machine does falls on both. The quiet tenant asks at fixed times: a slow answer does
//! not make the next question come later, and counts from when it should have been asked.

use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use hyper::Method;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::case::{Ask, Case, StoredRun};
use crate::client::Client;
use crate::hostile::{self, Noise};
use crate::process::FakeModel;
use crate::report;
use crate::subject::{Guarded, guarded};

/// What the quiet tenant's p99 may rise to, as a share of what it is alone.
const AT_MOST: f64 = 1.2;

/// How long a slice waits until the noise is there, or the connections of it are gone.
const SETTLE: Duration = Duration::from_millis(700);

/// How long a slice that begins alone waits at most for what the noise left under way.
const REST: Duration = Duration::from_secs(30);

/// How a run is made.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Slices of each kind.
    pub(crate) slices: usize,
    pub(crate) slice: Duration,
    /// Of the quiet tenant, each second.
    pub(crate) requests: f64,
    /// Of the noisy tenant.
    pub(crate) noise: Noise,
}

/// Connections of the quiet tenant. More than it needs while its answers come in time.
const QUIET_CONNECTIONS: usize = 8;

/// Latencies of one kind of slice.
#[derive(Default)]
struct Heard(Vec<Duration>);

impl Heard {
    fn ms(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let at = (last as f64 * share).round() as usize;
        self.0.get(at.min(last)).map_or(0.0, |it| it.as_secs_f64() * 1_000.0)
    }
}

/// Measures, and prints the ratio.
///
/// # Errors
/// The quiet tenant got a wrong answer, or its p99 rose too far.
pub(crate) async fn measure(
    binary: Option<std::path::PathBuf>,
    model: &FakeModel,
    plan: Plan,
) -> anyhow::Result<()> {
    let host = guarded(binary, &model.url).await.context("the host does not start")?;
    let (noise, heard_noise) = watch::channel(false);
    // In a thread of its own: what it does is not to delay the quiet tenant's own clock.
    let (address, token, planned) = (host.address, host.noisy_token.clone(), plan.noise.clone());
    let making_noise =
        std::thread::spawn(move || hostile::run(address, &token, &planned, heard_noise));
    quiet(&host, &plan).await.context("the quiet tenant, to warm up")?;
    let (mut alone, mut beside) = (Heard::default(), Heard::default());
    for _ in 0..plan.slices {
        for (is_noisy, heard) in [(false, &mut alone), (true, &mut beside)] {
            noise.send_replace(is_noisy);
            sleep(SETTLE).await;
            if !is_noisy {
                rested(&host).await?;
            }
            let who = if is_noisy { "beside the noisy one" } else { "alone" };
            heard.0.extend(
                quiet(&host, &plan).await.with_context(|| format!("the quiet tenant {who}"))?,
            );
        }
    }
    drop(noise);
    let answers = making_noise.join().map_err(|_| anyhow::anyhow!("the noise broke off"))??;
    // What nobody heard is no noise.
    let heard = |statuses: std::ops::Range<u16>| -> u64 {
        answers.range(statuses).map(|(_, times)| times).sum()
    };
    // Some orders by themselves are always granted, or not answered in a slice.
    if plan.noise.words.is_empty() {
        ensure!(0 < heard(400..600), "no hostile call was refused: there was no noise");
        ensure!(heard(0..1) * 10 < heard(100..600), "much of the noise was not answered");
    }
    alone.0.sort_unstable();
    beside.0.sort_unstable();
    report::noise(&answers);
    report::slices("alone", alone.0.len(), alone.ms(0.5), alone.ms(0.99));
    report::slices("beside", beside.0.len(), beside.ms(0.5), beside.ms(0.99));
    let ratio = beside.ms(0.99) / alone.ms(0.99);
    report::neighbour(alone.ms(0.99), beside.ms(0.99), ratio, AT_MOST);
    ensure!(ratio <= AT_MOST, "the quiet tenant's p99 rose too far");
    Ok(())
}

/// Waits until nothing of the noise is under way: runs go on when those who asked are gone.
async fn rested(host: &Guarded) -> anyhow::Result<()> {
    let path = "/limits".to_owned();
    let ask = Ask { method: Method::GET, path, body: Bytes::new(), word: "used" };
    let mut client = Client::connect(host.address).await?.with_token(&host.noisy_token);
    let begin = Instant::now();
    loop {
        let said: Value = serde_json::from_slice(&client.ask(&ask).await?)?;
        if said["used"]["runs"] == 0 && said["used"]["calls"] == 0 {
            return Ok(());
        }
        ensure!(begin.elapsed() < REST, "the noise goes on when nobody makes it");
        sleep(Duration::from_millis(50)).await;
    }
}

/// One slice of the quiet tenant's two-step runs.
async fn quiet(host: &Guarded, plan: &Plan) -> anyhow::Result<Vec<Duration>> {
    let nothing = StoredRun { run: String::new(), session: String::new() };
    let ask = Case::TwoStep.ask(&nothing);
    let gap = Duration::from_secs_f64(QUIET_CONNECTIONS as f64 / plan.requests);
    let begin = Instant::now() + Duration::from_millis(20);
    let mut asking = JoinSet::new();
    for it in 0..QUIET_CONNECTIONS {
        let client = Client::connect(host.address).await?.with_token(&host.quiet_token);
        let first = begin + gap.mul_f64(it as f64 / QUIET_CONNECTIONS as f64);
        asking.spawn(ask_at_times(client, ask.clone(), first, gap, begin + plan.slice));
    }
    let mut latencies = Vec::new();
    while let Some(done) = asking.join_next().await {
        latencies.extend(done.context("a connection's task stopped")??);
    }
    Ok(latencies)
}

async fn ask_at_times(
    mut client: Client,
    ask: Ask,
    first: Instant,
    gap: Duration,
    end: Instant,
) -> anyhow::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    let mut due = first;
    while due < end {
        sleep_until(due).await;
        client.ask(&ask).await?;
        latencies.push(due.elapsed());
        due += gap;
    }
    Ok(latencies)
}
