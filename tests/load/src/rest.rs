//! Whether the machine is at rest, but for what is measured: how much of it others use, and how long
//! anybody waits for its disks.

use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::time::Instant;

use crate::process::ticks;

/// What others may use of all cores. What the kernel does for us in threads of its own counts among it.
const OTHERS_AT_MOST: f64 = 0.05;

/// How much longer than as a rule somebody may wait for a disk. A disk that stalls, or that others
/// write to, makes it many times as long.
const DISK_AT_MOST: f64 = 1.5;

/// What the machine has done since it was started.
pub(crate) struct Moment {
    at: Instant,
    /// The time of all cores in which they had nothing to do.
    idle: Duration,
    cores: usize,
    /// For how long somebody waited for a disk.
    disk: Duration,
    /// The processor time of those who are measured.
    ours: Duration,
}

/// What the machine did in a while, in shares of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// What others used of all cores.
    pub(crate) others: f64,
    /// In how much of it somebody waited for a disk.
    pub(crate) disk: f64,
}

impl Moment {
    /// Now; with what those have used who are measured.
    pub(crate) fn now(ours: Duration) -> anyhow::Result<Self> {
        let (idle, cores) = idle(&read("/proc/stat")?)?;
        // A kernel that does not count it has none.
        let disk = read("/proc/pressure/io").map_or(Ok(Duration::ZERO), |it| waited(&it))?;
        Ok(Self { at: Instant::now(), idle, cores, disk, ours })
    }

    /// From this moment to a later one.
    pub(crate) fn until(&self, later: &Self) -> Span {
        let span = (later.at - self.at).as_secs_f64();
        let all = span * self.cores as f64;
        let idle = (later.idle.saturating_sub(self.idle)).as_secs_f64();
        let ours = (later.ours.saturating_sub(self.ours)).as_secs_f64();
        let disk = (later.disk.saturating_sub(self.disk)).as_secs_f64();
        Span { others: ((all - idle - ours) / all).max(0.0), disk: disk / span }
    }
}

/// In which of these, all of one kind, the machine was at rest.
pub(crate) fn at_rest(spans: &[Span]) -> Vec<bool> {
    let mut waits: Vec<_> = spans.iter().map(|it| it.disk).collect();
    waits.sort_by(f64::total_cmp);
    let rule = waits.get(waits.len() / 2).copied().unwrap_or_default();
    let rests = |it: &Span| it.others <= OTHERS_AT_MOST && it.disk <= DISK_AT_MOST * rule;
    spans.iter().map(rests).collect()
}

fn read(path: &str) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))
}

/// The idle time of all cores, and how many they are. A core that waits for a disk is idle, too.
fn idle(stat: &str) -> anyhow::Result<(Duration, usize)> {
    let mut lines = stat.lines();
    let all = lines.next().context("an empty /proc/stat")?;
    let idle: Vec<u64> =
        all.split_whitespace().skip(4).take(2).filter_map(|it| it.parse().ok()).collect();
    ensure!(idle.len() == 2, "a strange /proc/stat");
    let cores = lines.take_while(|it| it.starts_with("cpu")).count();
    Ok((ticks(idle.iter().sum()), cores))
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
    fn what_the_kernel_says_is_read() {
        let stat = "cpu  1 2 3 40 5 6 7 8 0 0\ncpu0 1 1 1 20 5 6 7 8 0 0\ncpu1 0 1 2 20 0 0 0 0 0 0\nintr 9";
        assert_eq!(idle(stat).unwrap(), (Duration::from_millis(450), 2));
        assert!(idle("cpu 1 2").is_err());
        let pressure = "some avg10=0.00 avg60=0.15 avg300=1.00 total=1234\nfull avg10=0.00 total=9";
        assert_eq!(waited(pressure).unwrap(), Duration::from_micros(1_234));
        assert!(waited("full total=9").is_err());
    }

    #[test]
    fn what_is_neither_idle_nor_ours_is_others() {
        let begin = Moment {
            at: Instant::now(),
            idle: Duration::from_secs(7),
            cores: 2,
            disk: Duration::from_secs(1),
            ours: Duration::from_secs(3),
        };
        let end = Moment {
            at: begin.at + Duration::from_secs(10),
            idle: Duration::from_secs(22),
            disk: Duration::from_secs(2),
            ours: Duration::from_secs(4),
            ..begin
        };
        let span = begin.until(&end);
        assert!((span.others - 0.2).abs() < 1e-9, "{span:?}");
        assert!((span.disk - 0.1).abs() < 1e-9, "{span:?}");
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
        assert_eq!(at_rest(&[span(0.0, 0.0)]), [true]);
    }
}
