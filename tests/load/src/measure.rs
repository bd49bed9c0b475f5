//! Measuring: many connections ask for a while, and the server's CPU time is read before and after.

use std::time::Duration;

use anyhow::Context;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::case::Ask;
use crate::client::Client;
use crate::process::Memory;
use crate::subject::Subject;

/// For how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// What came out.
pub(crate) struct Measured {
    /// Of every request that was answered in the window, in order.
    latencies: Vec<Duration>,
    window: Duration,
    cpu: Duration,
    /// When the window ended.
    pub(crate) memory: Memory,
}

impl Measured {
    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.window.as_secs_f64()
    }

    pub(crate) fn cpu_ms(&self) -> f64 {
        millis(self.cpu) / self.latencies.len().max(1) as f64
    }

    /// The latency that this share of requests did not exceed, in milliseconds.
    pub(crate) fn latency_ms(&self, share: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let at = (last as f64 * share).round() as usize;
        self.latencies.get(at.min(last)).map_or(0.0, |it| millis(*it))
    }
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1_000.0
}

pub(crate) async fn measure(
    subject: &Subject,
    ask: &Ask,
    connections: usize,
    window: Window,
) -> anyhow::Result<Measured> {
    let mut clients = Vec::with_capacity(connections);
    for _ in 0..connections {
        clients.push(Client::connect(subject.address).await?);
    }
    let begin = Instant::now() + window.warm_up;
    let end = begin + window.measured;
    let mut asking = JoinSet::new();
    for client in clients {
        asking.spawn(keep_asking(client, ask.clone(), begin, end));
    }
    sleep_until(begin).await;
    let (began, before) = (Instant::now(), subject.cpu()?);
    sleep_until(end).await;
    let (window, cpu) = (began.elapsed(), subject.cpu()?.saturating_sub(before));
    let memory = subject.memory()?;
    let mut latencies = Vec::new();
    while let Some(done) = asking.join_next().await {
        latencies.extend(done.context("a connection's task stopped")??);
    }
    latencies.sort_unstable();
    Ok(Measured { latencies, window, cpu, memory })
}

/// Asks until the end. Gives how long each answer took that came inside the window.
async fn keep_asking(
    mut client: Client,
    ask: Ask,
    begin: Instant,
    end: Instant,
) -> anyhow::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    loop {
        let asked = Instant::now();
        if end <= asked {
            return Ok(latencies);
        }
        client.ask(&ask).await?;
        let answered = Instant::now();
        if begin <= answered && answered <= end {
            latencies.push(answered - asked);
        }
    }
}
