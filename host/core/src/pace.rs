//! Who has computed more than its part of late, so that it makes room for the others.
//!
//! Whoever computes (a tenant) is counted under its own key; what it used fades with time. Nobody
//! is in the way of others who is alone, who uses less than most, or so little that nobody notices.
//!
//! Plain deciding: it is told what time it is, on any clock that never goes back.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// After this time half of what was used is forgotten: longer than the pauses of somebody who is
/// busy, short enough that a burst is soon forgiven.
const HALF_LIFE: Duration = Duration::from_secs(2);

/// What nobody is asked to make room for, of what is remembered: about a twelfth of one processor.
const UNNOTICED_MS: f64 = 250.0;

/// Somebody who asked for nothing for so long is not there.
const ABSENT: Duration = Duration::from_secs(10);

/// How often those are forgotten who are not there.
const FORGET_EVERY: Duration = Duration::from_secs(1);

/// What each share used of late.
#[derive(Debug)]
pub struct RecentUse<K> {
    shares: HashMap<K, Used>,
    all: Used,
    forgot_at: Duration,
}

/// Time on the processor, as it was remembered at a time.
#[derive(Debug, Clone, Copy, Default)]
struct Used {
    ms: f64,
    at: Duration,
}

impl Used {
    fn by(self, now: Duration) -> f64 {
        let halves = now.saturating_sub(self.at).as_secs_f64() / HALF_LIFE.as_secs_f64();
        self.ms * (-halves).exp2()
    }

    fn and(self, ms: f64, now: Duration) -> Self {
        Self { ms: self.by(now) + ms, at: now.max(self.at) }
    }
}

impl<K: Clone + Eq + Hash> RecentUse<K> {
    /// Nobody has used anything.
    pub fn new() -> Self {
        Self { shares: HashMap::new(), all: Used::default(), forgot_at: Duration::ZERO }
    }

    /// Counts what a call has used; also one that used nothing shows that its share is there.
    pub fn note(&mut self, share: &K, used: Duration, now: Duration) {
        let ms = used.as_secs_f64() * 1_000.0;
        self.all = self.all.and(ms, now);
        match self.shares.get_mut(share) {
            Some(used) => *used = used.and(ms, now),
            None => {
                self.shares.insert(share.clone(), Used { ms, at: now });
            }
        }
        if FORGET_EVERY <= now.saturating_sub(self.forgot_at) {
            self.forgot_at = now;
            self.shares.retain(|_, it| now.saturating_sub(it.at) < ABSENT);
        }
    }

    /// Whether a share used more of late than those that are there do on average, and enough to be
    /// noticed.
    pub fn is_heavy(&self, share: &K, now: Duration) -> bool {
        let own = self.shares.get(share).map_or(0.0, |it| it.by(now));
        let average = self.all.by(now) / self.shares.len().max(1) as f64;
        UNNOTICED_MS <= own && 1 < self.shares.len() && average < own
    }
}

impl<K: Clone + Eq + Hash> Default for RecentUse<K> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn who_is_alone_is_in_nobodys_way() {
        let mut used = RecentUse::new();
        used.note(&"busy", ms(60_000), at(0));
        assert!(!used.is_heavy(&"busy", at(0)));
        used.note(&"quiet", ms(0), at(1));
        assert!(used.is_heavy(&"busy", at(1)));
        assert!(!used.is_heavy(&"quiet", at(1)));
    }

    #[test]
    fn little_is_not_noticed_and_much_is_forgiven() {
        let mut used = RecentUse::new();
        used.note(&"quiet", ms(1), at(0));
        used.note(&"some", ms(249), at(0));
        assert!(!used.is_heavy(&"some", at(0)));
        used.note(&"some", ms(751), at(0));
        assert!(used.is_heavy(&"some", at(4)));
        assert!(!used.is_heavy(&"some", at(5)));
    }

    #[test]
    fn those_who_use_alike_do_not_make_room_for_each_other() {
        let mut used = RecentUse::new();
        for share in ["a", "b", "c"] {
            used.note(&share, ms(1_000), at(0));
        }
        assert!(["a", "b", "c"].iter().all(|it| !used.is_heavy(it, at(0))));
        used.note(&"quiet", ms(1), at(0));
        assert!(["a", "b", "c"].iter().all(|it| used.is_heavy(it, at(0))));
    }

    #[test]
    fn who_is_gone_is_forgotten() {
        let mut used = RecentUse::new();
        (0..1_000).for_each(|it| used.note(&it, ms(1), at(0)));
        used.note(&0, ms(60_000), at(10));
        assert_eq!(used.shares.len(), 1);
        assert!(!used.is_heavy(&0, at(10)));
    }

    #[test]
    fn a_clock_that_stands_still_does_no_harm() {
        let mut used = RecentUse::new();
        used.note(&"a", ms(1_000), at(5));
        used.note(&"b", ms(1), at(4));
        assert!(used.is_heavy(&"a", at(3)));
    }
}
