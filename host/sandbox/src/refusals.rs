//! What was refused a moment ago because of what it takes to compile: the same bytes are refused
//! again without a worker.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use stepmill_core::ids::Digest;

use crate::load::LoadFailure;

/// The most refusals that are remembered, of all shares; the oldest makes room.
const REMEMBERED: usize = 1_024;

/// How long. Not for good: on a busy machine a component that can be compiled is late, too.
const REMEMBERED_FOR: Duration = Duration::from_secs(300);

/// Refusals by share: nobody is refused for what became of another's upload. Oldest first.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<VecDeque<Entry>>);

struct Entry {
    share: Arc<str>,
    digest: Digest,
    refusal: Refusal,
    at: Instant,
}

/// A [`LoadFailure`] that only the component can change.
#[derive(Clone)]
enum Refusal {
    TimedOut,
    TooLarge { limit: u64 },
    TooComplex { what: &'static str, found: u64, limit: u64 },
    Invalid(String),
}

impl Refusal {
    fn of(failure: &LoadFailure) -> Option<Self> {
        match failure {
            LoadFailure::CompileTimedOut => Some(Self::TimedOut),
            LoadFailure::TooLargeToCompile { limit } => Some(Self::TooLarge { limit: *limit }),
            LoadFailure::TooComplex { what, found, limit } => {
                Some(Self::TooComplex { what, found: *found, limit: *limit })
            }
            LoadFailure::Invalid(cause) => {
                let cause: &dyn Error = cause.as_ref();
                Some(Self::Invalid(cause.to_string()))
            }
            _ => None,
        }
    }

    fn failure(&self) -> LoadFailure {
        match self.clone() {
            Self::TimedOut => LoadFailure::CompileTimedOut,
            Self::TooLarge { limit } => LoadFailure::TooLargeToCompile { limit },
            Self::TooComplex { what, found, limit } => {
                LoadFailure::TooComplex { what, found, limit }
            }
            Self::Invalid(cause) => LoadFailure::Invalid(cause.into()),
        }
    }
}

impl Refusals {
    /// Remembers why a component was not compiled, unless that may be otherwise in a moment.
    pub(crate) fn note(
        &self,
        share: &Arc<str>,
        digest: Digest,
        failure: &LoadFailure,
        at: Instant,
    ) {
        let Some(refusal) = Refusal::of(failure) else { return };
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if REMEMBERED <= entries.len() {
            entries.pop_front();
        }
        entries.push_back(Entry { share: share.clone(), digest, refusal, at });
    }

    /// Why this component was refused a moment ago.
    pub(crate) fn find(&self, share: &str, digest: Digest, now: Instant) -> Option<LoadFailure> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while entries.pop_front_if(|it| REMEMBERED_FOR <= now.duration_since(it.at)).is_some() {}
        let found = entries.iter().find(|it| it.digest == digest && *it.share == *share);
        found.map(|it| it.refusal.failure())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: usize) -> Digest {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        Digest::from_bytes(bytes)
    }

    #[test]
    fn a_refusal_is_told_again_in_the_same_words_and_to_nobody_else() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        let (eve, ada): (Arc<str>, Arc<str>) = ("eve".into(), "ada".into());
        let failures = [
            LoadFailure::CompileTimedOut,
            LoadFailure::TooLargeToCompile { limit: 7 },
            LoadFailure::TooComplex { what: "bytes of compiled code", found: 2, limit: 1 },
            LoadFailure::Invalid("type mismatch".into()),
        ];
        for (number, failure) in failures.iter().enumerate() {
            refusals.note(&eve, digest(number), failure, now);
            let again = refusals.find(&eve, digest(number), now).unwrap();
            assert_eq!(format!("{again:?}"), format!("{failure:?}"));
            assert!(refusals.find(&ada, digest(number), now).is_none());
        }
    }

    #[test]
    fn what_may_be_otherwise_in_a_moment_is_not_remembered() {
        let (refusals, now, eve) = (Refusals::default(), Instant::now(), "eve".into());
        for failure in [LoadFailure::Busy, LoadFailure::Aborted] {
            refusals.note(&eve, digest(1), &failure, now);
        }
        assert!(refusals.find(&eve, digest(1), now).is_none());
    }

    #[test]
    fn refusals_are_few_and_forgotten() {
        let (refusals, now, eve) = (Refusals::default(), Instant::now(), "eve".into());
        for number in 0..=REMEMBERED {
            refusals.note(&eve, digest(number), &LoadFailure::CompileTimedOut, now);
        }
        assert!(refusals.find(&eve, digest(0), now).is_none(), "it made room");
        assert!(refusals.find(&eve, digest(1), now).is_some());
        let last = now + REMEMBERED_FOR - Duration::from_millis(1);
        assert!(refusals.find(&eve, digest(1), last).is_some());
        assert!(refusals.find(&eve, digest(1), now + REMEMBERED_FOR).is_none());
        assert!(refusals.0.lock().unwrap().is_empty());
    }
}
