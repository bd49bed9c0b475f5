//! Whether the machine is at rest, but for what is measured: how much of it others use, and how long
//! anybody waits for its disks.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::time::Instant;

use crate::process::{Stat, stats};

/// What others may use of all cores.
const OTHERS_AT_MOST: f64 = 0.05;

/// How much longer than as a rule somebody may wait for a disk. A disk that stalls, or that others
/// write to, makes it many times as long.
const DISK_AT_MOST: f64 = 1.5;

/// As seldom a wait for a disk makes no difference, however much more it is than as a rule.
const DISK_UNNOTICED: f64 = 0.005;

/// The process that starts the kernel's own.
const KERNEL: u32 = 2;

/// What the machine has done so far.
pub(crate) struct Moment {
    at: Instant,
    /// For how long somebody waited for a disk.
    disk: Duration,
    /// The processor time of those who have nothing to do with what is measured.
    others: Duration,
}

/// What the machine did in a while, in shares of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// What others used of all cores.
    pub(crate) others: f64,
    /// In how much of it somebody waited for a disk.
    pub(crate) disk: f64,
}

impl Span {
    /// Whether it can be told what of it was our doing. Nobody can tell that of a wait for a disk.
    pub(crate) fn is_ours(&self) -> bool {
        self.others <= OTHERS_AT_MOST
    }
}

impl Moment {
    pub(crate) fn now() -> anyhow::Result<Self> {
        // A kernel that does not count it has none.
        let disk = std::fs::read_to_string("/proc/pressure/io");
        let disk = disk.map_or(Ok(Duration::ZERO), |it| waited(&it))?;
        let others = others(&stats()?, std::process::id());
        Ok(Self { at: Instant::now(), disk, others })
    }

    /// From this moment to a later one.
    pub(crate) fn until(&self, later: &Self) -> anyhow::Result<Span> {
        let span = (later.at - self.at).as_secs_f64();
        ensure!(0.0 < span, "no time went by");
        let cores = std::thread::available_parallelism()?.get() as f64;
        let others = later.others.saturating_sub(self.others).as_secs_f64();
        let disk = later.disk.saturating_sub(self.disk).as_secs_f64();
        Ok(Span { others: others / (span * cores), disk: disk / span })
    }
}

/// In which of these, in which nobody made noise, the machine was at rest.
pub(crate) fn at_rest(spans: &[Span]) -> Vec<bool> {
    let mut waits: Vec<_> = spans.iter().map(|it| it.disk).collect();
    waits.sort_by(f64::total_cmp);
    let rule = waits.get(waits.len() / 2).copied().unwrap_or_default();
    let at_most = DISK_UNNOTICED.max(DISK_AT_MOST * rule);
    spans.iter().map(|it| it.is_ours() && it.disk <= at_most).collect()
}

/// What all have used that neither are this one, nor were started by it or what it started, nor are
/// the kernel's, which works for everybody.
fn others(all: &[Stat], this: u32) -> Duration {
    let parents: HashMap<_, _> = all.iter().map(|it| (it.id, it.parent)).collect();
    let is_other = |it: &&Stat| {
        let mut lineage = std::iter::successors(Some(it.id), |id| parents.get(id).copied());
        lineage.all(|it| it != this && it != KERNEL)
    };
    all.iter().filter(is_other).map(|it| it.used).sum()
}

/// For how long somebody waited.
fn waited(pressure: &str) -> anyhow::Result<Duration> {
    let some = pressure.lines().find(|it| it.starts_with("some")).context("no line of some")?;
    let (_, micros) = some.rsplit_once("total=").context("no total")?;
    Ok(Duration::from_micros(micros.parse()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_of_waiting_is_read() {
        let pressure = "some avg10=0.00 avg60=0.15 avg300=1.00 total=1234\nfull avg10=0.00 total=9";
        assert_eq!(waited(pressure).unwrap(), Duration::from_micros(1_234));
        assert!(waited("full total=9").is_err());
    }

    #[test]
    fn others_are_neither_we_nor_ours_nor_the_kernel() {
        let stat = |id, parent, seconds| Stat { id, parent, used: Duration::from_secs(seconds) };
        let all = [
            stat(1, 0, 1),
            stat(2, 0, 10),
            stat(9, 2, 100),
            stat(5, 1, 1_000),
            // This one, what it started, and what that started.
            stat(6, 5, 10_000),
            stat(7, 6, 100_000),
            stat(8, 7, 1_000_000),
        ];
        assert_eq!(others(&all, 6), Duration::from_secs(1_001));
    }

    #[test]
    fn rest_is_few_others_and_no_longer_waits_than_as_a_rule() {
        let span = |others, disk| Span { others, disk };
        let spans = [
            span(0.01, 0.007),
            span(0.02, 0.006),
            span(0.01, 0.012),
            span(0.30, 0.007),
            span(0.00, 0.008),
        ];
        assert_eq!(at_rest(&spans), [true, true, false, false, true]);
        // As in memory.
        assert_eq!(
            at_rest(&[0.0, 0.0, 0.003, 0.2].map(|it| span(0.0, it))),
            [true, true, true, false]
        );
    }
}
