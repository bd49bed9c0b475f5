//! A quiet tenant beside a noisy one: how much slower its runs are than alone, within one run.
//!
//! Slices in which the quiet tenant is alone alternate with slices beside the other, so that what
//! else the machine does falls on both. Where it does much else, nothing can be said of the tenants: a
//! slice beside counts if the machine was at rest before and after it, in the slices alone, and no
//! other program took its cores meanwhile. Nothing else that happens in a slice beside decides, for it
//! may be the noise's doing. The quiet tenant asks at fixed times: a slow answer does not make the next
//! question come later, and counts from when it should have been asked.

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
use crate::rest::{Moment, Span, at_rest};
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

/// How many slices there may be for each that counts, on a machine that is not at rest.
const TRIES: usize = 2;

/// Latencies of one kind of slice.
struct Heard(Vec<Duration>);

impl Heard {
    /// Of these slices.
    fn of<'a>(slices: impl Iterator<Item = &'a Slice>) -> Self {
        let mut all: Vec<_> = slices.flat_map(|it| &it.heard).copied().collect();
        all.sort_unstable();
        Self(all)
    }

    fn ms(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let at = (last as f64 * share).round() as usize;
        self.0.get(at.min(last)).map_or(0.0, |it| it.as_secs_f64() * 1_000.0)
    }

    fn p99(&self) -> f64 {
        self.ms(0.99)
    }
}

/// What was heard in one slice, and what else the machine did.
struct Slice {
    heard: Vec<Duration>,
    span: Span,
}

/// Each that is beside lies between two that are alone.
#[derive(Default)]
struct Slices {
    alone: Vec<Slice>,
    beside: Vec<Slice>,
}

impl Slices {
    fn at_rest(&self) -> Vec<bool> {
        at_rest(&self.alone.iter().map(|it| it.span).collect::<Vec<_>>())
    }

    /// Which of those beside count.
    fn counting(&self) -> Vec<bool> {
        let rests = self.at_rest();
        let around = rests.windows(2).map(|it| it[0] && it[1]);
        self.beside.iter().zip(around).map(|(it, rests)| rests && it.span.is_ours()).collect()
    }

    fn count(&self) -> usize {
        self.counting().iter().filter(|it| **it).count()
    }

    /// Those that count, alone and beside.
    fn heard(&self) -> (Heard, Heard) {
        let alone = Heard::of(chosen(&self.alone, &self.at_rest()));
        (alone, Heard::of(chosen(&self.beside, &self.counting())))
    }

    /// Tells what does not count.
    fn tell_left_out(&self) {
        for (who, slices, count) in
            [("alone", &self.alone, self.at_rest()), ("beside", &self.beside, self.counting())]
        {
            for (number, (slice, counts)) in slices.iter().zip(count).enumerate() {
                if !counts {
                    report::left_out(who, number, slice.span);
                }
            }
        }
        if self.count() < self.beside.len() {
            let ratio = Heard::of(self.beside.iter()).p99() / Heard::of(self.alone.iter()).p99();
            report::of_all(self.count(), self.beside.len(), ratio);
        }
    }
}

fn chosen<'a, T>(all: &'a [T], count: &[bool]) -> impl Iterator<Item = &'a T> {
    all.iter().zip(count).filter(|(_, counts)| **counts).map(|(it, _)| it)
}

/// Measures, and prints the ratio.
///
/// # Errors
/// The quiet tenant got a wrong answer, its p99 rose too far, or the machine was too seldom at rest.
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
    let mut slices = Slices::default();
    slices.alone.push(alone(&host, &plan).await?);
    while slices.count() < plan.slices && slices.beside.len() < plan.slices * TRIES {
        noise.send_replace(true);
        sleep(SETTLE).await;
        slices.beside.push(slice(&host, &plan).await.context("beside the noisy tenant")?);
        noise.send_replace(false);
        slices.alone.push(alone(&host, &plan).await?);
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
    report::noise(&answers);
    slices.tell_left_out();
    ensure!(plan.slices <= slices.count(), "the machine is not at rest: there is no figure");
    let (alone, beside) = slices.heard();
    report::slices("alone", alone.0.len(), alone.ms(0.5), alone.p99());
    report::slices("beside", beside.0.len(), beside.ms(0.5), beside.p99());
    let ratio = beside.p99() / alone.p99();
    report::neighbour(alone.p99(), beside.p99(), ratio, AT_MOST);
    ensure!(ratio <= AT_MOST, "the quiet tenant's p99 rose too far");
    Ok(())
}

/// A slice of the quiet tenant, when nothing of the noise is left.
async fn alone(host: &Guarded, plan: &Plan) -> anyhow::Result<Slice> {
    sleep(SETTLE).await;
    rested(host).await?;
    slice(host, plan).await.context("the quiet tenant alone")
}

async fn slice(host: &Guarded, plan: &Plan) -> anyhow::Result<Slice> {
    let begin = Moment::now()?;
    let heard = quiet(host, plan).await?;
    Ok(Slice { heard, span: begin.until(&Moment::now()?)? })
}

/// Waits until nothing of the noise is under way: runs go on when those who asked are gone.
async fn rested(host: &Guarded) -> anyhow::Result<()> {
    let path = "/limits".to_owned();
    let ask = Ask { method: Method::GET, path, body: Bytes::new(), word: "used" };
    let mut client = Client::connect(host.address).await?.with_token(&host.noisy_token);
    let begin = Instant::now();
    loop {
        let said: Value = serde_json::from_slice(&client.ask(&ask).await?)?;
        let used = &said["used"];
        if used["runs"] == 0 && used["calls"] == 0 && host.workers()? == 0 {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Heard in so many milliseconds, while others used so much, and somebody waited for a disk.
    fn slice(ms: u64, others: f64, disk: f64) -> Slice {
        Slice { heard: vec![Duration::from_millis(ms)], span: Span { others, disk } }
    }

    fn ms(heard: Heard) -> Vec<u128> {
        heard.0.iter().map(Duration::as_millis).collect()
    }

    #[test]
    fn a_slice_beside_counts_between_two_at_rest() {
        let slices = Slices {
            alone: [(1, 0.01), (2, 0.01), (900, 0.2), (3, 0.01)]
                .map(|(ms, disk)| slice(ms, 0.0, disk))
                .into(),
            beside: [4, 700, 800].map(|it| slice(it, 0.0, 0.01)).into(),
        };
        assert_eq!(slices.count(), 1);
        let (alone, beside) = slices.heard();
        assert_eq!((ms(alone), ms(beside)), (vec![1, 2, 3], vec![4]));
    }

    #[test]
    fn a_slow_slice_beside_counts_unless_another_program_took_the_cores() {
        let slices = Slices {
            alone: [1, 2, 3].map(|it| slice(it, 0.0, 0.01)).into(),
            beside: vec![slice(900, 0.0, 0.9), slice(700, 0.3, 0.01)],
        };
        assert_eq!(ms(slices.heard().1), [900]);
    }
}
