//! `stepmill-load`: what a request costs a host, case by case, at several numbers of connections.
//!
//! The host is the binary beside this one, in a process and a folder of its own; the model is the
//! fake provider, in another process, so that neither it nor the client counts as the host's.

#[path = "../../../host/sandbox/tests/support/bomb.rs"]
mod bomb;
mod case;
mod client;
mod hostile;
mod measure;
mod neighbour;
mod process;
mod report;
mod rest;
mod subject;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;

use case::Case;
use hostile::Noise;
use measure::{Measured, Window};
use neighbour::Plan;
use report::Row;
use subject::Subject;

/// Measures what requests cost a host, and prints tables. A missed target is no error.
#[derive(Parser)]
struct Arguments {
    /// How long each case is measured, in seconds
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// How long each case runs before it is measured, in seconds
    #[arg(long, default_value_t = 0.5)]
    warm_up: f64,
    /// Numbers of connections
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 64])]
    connections: Vec<usize>,
    /// Only these cases
    #[arg(long, value_delimiter = ',', value_enum)]
    only: Vec<Case>,
    /// The host keeps its rows in a PostgreSQL server that is started for it
    #[arg(long)]
    postgres: bool,
    /// Measure Agno 3.1.10 beside the host, case by case; the first time it is installed with pip
    #[arg(long)]
    agno: bool,
    /// Measure instead how much slower a quiet tenant is beside one that runs the hostile guest;
    /// ends with 1 if its p99 rises by more than a fifth
    #[arg(long)]
    neighbour: bool,
    /// For how long the quiet tenant is measured at once, alone and beside, in turns, in seconds
    #[arg(long, default_value_t = 3.0)]
    slice: f64,
    /// How many such slices of each kind count; those in which the machine was not at rest do not
    #[arg(long, default_value_t = 20)]
    slices: usize,
    /// What the quiet tenant asks for each second
    #[arg(long, default_value_t = 50.0)]
    requests: f64,
    /// Connections of the noisy tenant
    #[arg(long, default_value_t = 48)]
    noisy: usize,
    /// Only these orders to the hostile guest, by their first words, such as `loop,memory,upload`
    #[arg(long, value_delimiter = ',')]
    noise: Vec<String>,
    /// The host's binary [default: `stepmill` beside this one]
    #[arg(long)]
    binary: Option<PathBuf>,
}

impl Arguments {
    fn cases(&self) -> Vec<Case> {
        if self.only.is_empty() { Case::ALL.to_vec() } else { self.only.clone() }
    }

    fn plan(&self) -> Plan {
        Plan {
            slices: self.slices.max(1),
            slice: Duration::from_secs_f64(self.slice.clamp(0.1, 3_600.0)),
            requests: self.requests.clamp(1.0, 10_000.0),
            noise: Noise { connections: self.noisy, words: self.noise.clone() },
        }
    }

    fn window(&self) -> Window {
        let span = |seconds: f64| Duration::from_secs_f64(seconds.clamp(0.0, 3_600.0));
        Window { warm_up: span(self.warm_up), measured: span(self.seconds.max(0.1)) }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let model = process::fake_model().await.context("the fake model does not start")?;
    if arguments.neighbour {
        return neighbour::measure(arguments.binary.clone(), &model, arguments.plan()).await;
    }
    let stepmill = subject::stepmill(arguments.binary.clone(), arguments.postgres, &model.url);
    let stepmill = stepmill.await.context("the host does not start")?;
    let agno = match arguments.agno {
        true => Some(subject::agno(&model.url).await.context("Agno does not start")?),
        false => None,
    };
    let rows = measure_all(&arguments, &stepmill, agno.as_ref()).await?;
    report::memory(&stepmill)?;
    if let Some(agno) = &agno {
        report::memory(agno)?;
    }
    report::targets(&rows, &stepmill)
}

/// Every case at every number of connections; the two servers take turns.
async fn measure_all(
    arguments: &Arguments,
    stepmill: &Subject,
    agno: Option<&Subject>,
) -> anyhow::Result<Vec<Row>> {
    report::header(agno.is_some());
    let mut rows = Vec::new();
    for case in arguments.cases() {
        for &connections in &arguments.connections {
            let window = arguments.window();
            let ours = measure_one(stepmill, case, connections, window).await?;
            let theirs = match agno {
                Some(it) => Some(measure_one(it, case, connections, window).await?),
                None => None,
            };
            let row = Row { case, connections, ours, theirs };
            report::row(&row);
            rows.push(row);
        }
    }
    Ok(rows)
}

async fn measure_one(
    subject: &Subject,
    case: Case,
    connections: usize,
    window: Window,
) -> anyhow::Result<Measured> {
    let ask = case.ask(&subject.stored);
    let measured = measure::measure(subject, &ask, connections, window).await;
    measured.with_context(|| format!("{}: {case} at {connections}", subject.name))
}
