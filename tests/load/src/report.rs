//! Tables, and how each target was met.

use crate::case::Case;
use crate::hostile::Answers;
use crate::measure::Measured;
use crate::process::Memory;
use crate::rest::Span;
use crate::subject::Subject;

/// One case at one number of connections.
pub(crate) struct Row {
    pub(crate) case: Case,
    pub(crate) connections: usize,
    pub(crate) ours: Measured,
    /// Agno's, if it was asked for.
    pub(crate) theirs: Option<Measured>,
}

/// A request costs at most such a part of Agno's CPU time beside it.
const AGNO_PARTS: f64 = 20.0;

/// Of the two-step run at 64 connections, in milliseconds.
const P99_TARGET_MS: f64 = 150.0;

/// In megabytes.
const IDLE_TARGET: f64 = 60.0;
const LOADED_TARGET: f64 = 150.0;

#[expect(clippy::print_stdout, reason = "what this program is for")]
fn say(line: &str) {
    println!("{line}");
}

pub(crate) fn header(with_agno: bool) {
    let (more, line) = match with_agno {
        true => (
            " Agno req/s | Agno p50 | Agno p99 | Agno CPU ms/req | CPU ratio |",
            "|--:|--:|--:|--:|--:",
        ),
        false => ("", ""),
    };
    say(&format!(
        "| case | conns | req/s | p50 ms | p90 ms | p99 ms | max ms | CPU ms/req | RSS MB | peak MB |{more}"
    ));
    say(&format!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:{line}|"));
}

pub(crate) fn row(row: &Row) {
    let Row { case, connections, ours, theirs } = row;
    let more = theirs.as_ref().map(|it| {
        let (p50, p99, cpu) = (it.latency_ms(0.5), it.latency_ms(0.99), it.cpu_ms());
        let ratio = cpu / ours.cpu_ms();
        format!(" {:.0} | {p50:.1} | {p99:.1} | {cpu:.2} | {ratio:.0} |", it.per_second())
    });
    say(&format!(
        "| {case:19} | {connections:2} | {:5.0} | {:6.2} | {:6.2} | {:6.2} | {:6.2} | {:.3} | {:3.0} | {:3.0} |{}",
        ours.per_second(),
        ours.latency_ms(0.5),
        ours.latency_ms(0.9),
        ours.latency_ms(0.99),
        ours.latency_ms(1.0),
        ours.cpu_ms(),
        megabytes(ours.memory.resident),
        megabytes(ours.memory.peak),
        more.unwrap_or_default(),
    ));
}

pub(crate) fn memory(subject: &Subject) -> anyhow::Result<()> {
    let Memory { resident, peak } = subject.memory()?;
    say(&format!(
        "\n{}: RSS {:.0} MB idle, {:.0} MB after the load, {:.0} MB at most",
        subject.name,
        megabytes(subject.idle.resident),
        megabytes(resident),
        megabytes(peak),
    ));
    Ok(())
}

/// One line for each target. A timing is no assertion: nothing fails here.
pub(crate) fn targets(rows: &[Row], subject: &Subject) -> anyhow::Result<()> {
    say("\nTargets");
    for case in Case::ALL {
        let rows = rows.iter().filter(|it| it.case == case);
        let told = rows.map(|it| {
            let cpu = it.ours.cpu_ms();
            let most = it.theirs.as_ref().map_or(case.target_ms(), |it| it.cpu_ms() / AGNO_PARTS);
            format!("{cpu:.3} of {most:.3} at {} {}", it.connections, word(cpu, most))
        });
        let told: Vec<_> = told.collect();
        if !told.is_empty() {
            say(&format!("  {case}, CPU ms a request: {}", told.join(", ")));
        }
    }
    for it in rows.iter().filter(|it| it.case == Case::TwoStep && it.connections == 64) {
        let p99 = it.ours.latency_ms(0.99);
        say(&format!(
            "  two steps at 64 connections: p99 under {P99_TARGET_MS} ms: {p99:.1} {}",
            word(p99, P99_TARGET_MS)
        ));
    }
    let idle = megabytes(subject.idle.resident);
    let loaded = megabytes(subject.memory()?.peak);
    say(&format!("  RSS idle: under {IDLE_TARGET} MB: {idle:.0} {}", word(idle, IDLE_TARGET)));
    say(&format!(
        "  RSS loaded: under {LOADED_TARGET} MB: {loaded:.0} {}",
        word(loaded, LOADED_TARGET)
    ));
    Ok(())
}

/// What the noisy tenant was answered, by status.
pub(crate) fn noise(answers: &Answers) {
    let told: Vec<_> =
        answers.iter().map(|(status, times)| format!("{times} × {status}")).collect();
    say(&format!("the noisy tenant was answered {}", told.join(", ")));
}

/// A slice that does not count, or that lies beside one that does not.
pub(crate) fn left_out(who: &str, number: usize, span: Span) {
    say(&format!(
        "{who} {number} does not count: others used {:.1} % of the processors, disks were waited for in {:.1} % of the time",
        span.others * 100.0,
        span.disk * 100.0
    ));
}

/// How many count, and what would have come of all.
pub(crate) fn of_all(count: usize, made: usize, ratio: f64) {
    say(&format!("{count} of {made} slices beside count; of all, the ratio is {ratio:.2}"));
}

/// The quiet tenant's latencies.
pub(crate) fn slices(who: &str, requests: usize, p50: f64, p99: f64) {
    say(&format!("quiet {who:6}: {requests} runs of two steps, p50 {p50:.2} ms, p99 {p99:.2} ms"));
}

/// The line that counts.
pub(crate) fn neighbour(alone: f64, beside: f64, ratio: f64, most: f64) {
    say(&format!(
        "neighbour: p99 {alone:.2} ms alone, {beside:.2} ms beside, ratio {ratio:.2} (at most {most:.2})"
    ));
}

fn word(found: f64, target: f64) -> &'static str {
    if found <= target { "met" } else { "MISSED" }
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}
