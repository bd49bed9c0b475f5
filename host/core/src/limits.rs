//! Limits that an operator sets for tenants and plugins, within those of the host.

use std::num::NonZeroU64;

/// Declares the limits once: what they are called, and what they bound.
macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// How much there may be of something. What is not said here, the next wider scope says.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Limits {
            $($(#[$doc])* pub $name: Option<u64>,)*
        }

        impl Limits {
            /// The same, and what is not said is as `wider` says.
            #[must_use]
            pub fn or(self, wider: Self) -> Self {
                Self { $($name: self.$name.or(wider.$name),)* }
            }

            /// The same, and nowhere above what `most` says.
            #[must_use]
            pub fn at_most(self, most: Self) -> Self {
                let least = |a: Option<u64>, b: Option<u64>| match (a, b) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
                Self { $($name: least(self.$name, most.$name),)* }
            }
        }
    };
}

limits! {
    /// Of one call: time on the processor.
    cpu_ms,
    /// Of one call: all linear memories together.
    memory_bytes,
    /// Of one call: calls of all that the host offers, together.
    host_calls,
    /// Of one call: lines in the operator's log.
    log_lines,
    /// Of one call: what it hands over in one answer.
    answer_bytes,
    /// Of one graph.
    nodes,
    /// Calls of a tenant's plugins at once.
    calls,
    /// Runs under way at once: of a tenant, or of one plugin in a tenant.
    runs,
    /// Plugins that a tenant has stored.
    plugins,
    /// The code of those, together.
    plugin_bytes,
    /// What a tenant's plugins have stored with `kv`, with its keys and a little for each.
    kv_bytes,
    /// Lines of a tenant's plugins in the operator's log.
    log_lines_per_minute,
    /// Requests of a tenant.
    requests_per_minute,
}

impl Limits {
    /// What counts where nobody said anything: plenty for honest tenants, and nobody fills the
    /// disk or the log.
    pub const SAFE: Self = Self {
        cpu_ms: None,
        memory_bytes: None,
        host_calls: None,
        log_lines: None,
        answer_bytes: None,
        nodes: None,
        calls: None,
        runs: None,
        plugins: Some(200),
        plugin_bytes: Some(2 * 1024 * 1024 * 1024),
        kv_bytes: Some(64 * 1024 * 1024),
        log_lines_per_minute: Some(6_000),
        requests_per_minute: None,
    };
}

/// A rate, kept without a clock: it is told what time it is.
///
/// It lets through as many as may be in a minute, at once if need be, and from then on as many as
/// come back with time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rate {
    /// When all that was let through will have been made up for.
    even_at_us: u64,
}

/// What becomes of somebody whom a rate is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admit {
    /// Goes through.
    Now,
    /// Goes through, and nobody else right now.
    Last,
    /// May come back after so long.
    Later {
        /// In microseconds.
        wait_us: u64,
    },
}

const MINUTE_US: u64 = 60_000_000;

impl Rate {
    /// Lets one through, if there may be one more. Time must not go back.
    pub fn admit(&mut self, now_us: u64, per_minute: u64) -> Admit {
        let Some(per_minute) = NonZeroU64::new(per_minute) else {
            return Admit::Later { wait_us: MINUTE_US };
        };
        let gap = (MINUTE_US / per_minute).max(1);
        let even_at = self.even_at_us.max(now_us) + gap;
        let full_at = now_us + MINUTE_US;
        if full_at < even_at {
            return Admit::Later { wait_us: even_at - full_at };
        }
        self.even_at_us = even_at;
        if full_at < even_at + gap { Admit::Last } else { Admit::Now }
    }

    /// Whether it is as if nobody had come: it need not be remembered.
    pub fn is_even(&self, now_us: u64) -> bool {
        self.even_at_us <= now_us
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_narrower_decides_and_the_host_bounds() {
        let own = Limits { cpu_ms: Some(5), runs: Some(9), ..Limits::default() };
        let wider = Limits { cpu_ms: Some(7), kv_bytes: Some(1), ..Limits::default() };
        let host = Limits { runs: Some(3), nodes: Some(10), ..Limits::default() };
        let counts = own.or(wider).at_most(host);
        assert_eq!((counts.cpu_ms, counts.kv_bytes), (Some(5), Some(1)));
        assert_eq!((counts.runs, counts.nodes), (Some(3), Some(10)));
    }

    #[test]
    fn a_minutes_worth_at_once_and_then_as_it_comes_back() {
        let mut rate = Rate::default();
        assert_eq!(rate.admit(0, 3), Admit::Now);
        assert_eq!(rate.admit(0, 3), Admit::Now);
        assert_eq!(rate.admit(0, 3), Admit::Last);
        assert_eq!(rate.admit(0, 3), Admit::Later { wait_us: 20_000_000 });
        assert_eq!(rate.admit(20_000_000, 3), Admit::Last);
        assert!(!rate.is_even(79_999_999));
        assert!(rate.is_even(80_000_000));
        assert_eq!(rate.admit(0, 0), Admit::Later { wait_us: MINUTE_US });
    }

    proptest! {
        /// In no stretch of time are there more than a minute's worth and what came back in it;
        /// and who comes back when it was told to goes through.
        #[test]
        fn a_rate_is_kept(per_minute in 1u64..2_000, gaps in proptest::collection::vec(0u64..200_000, 1..300)) {
            let mut rate = Rate::default();
            let (mut now, mut through) = (0, Vec::new());
            for gap in gaps {
                now += gap;
                match rate.admit(now, per_minute) {
                    Admit::Now | Admit::Last => through.push(now),
                    Admit::Later { wait_us } => {
                        prop_assert!(matches!(rate.clone().admit(now + wait_us, per_minute), Admit::Last | Admit::Now));
                    }
                }
            }
            let gap = MINUTE_US / per_minute;
            for (at, from) in through.iter().enumerate() {
                let within = through[at..].iter().zip(1u64..);
                for (to, count) in within {
                    prop_assert!(count <= (MINUTE_US + to - from) / gap + 1);
                }
            }
        }
    }
}
