//! Who writes next: each share has a line of its own, and lines take turns.
//!
//! What waits at the same moment is done together, which is cheaper; but whoever has little to write
//! is not to wait until all is done that another has. So what is done together ends where one line of
//! several is empty, and is less where several shares write at all.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// As many as runs can wait for at once on a busy host, and few enough that the first of them does
/// not wait long for the last.
const MOST: usize = 64;

/// The same where others write too, who may come while it is done: about two milliseconds.
const MOST_BESIDE: usize = 16;

/// What is done together holds no more than this, unless it is one alone: about as much as is written
/// in a millisecond.
const MOST_BYTES: usize = 256 * 1024;

/// A share that wrote nothing for so long is not there.
const ABSENT: Duration = Duration::from_secs(1);

/// Those that wait.
pub(super) struct Lines<T> {
    lines: HashMap<Arc<str>, VecDeque<Waiting<T>>>,
    /// Whose turn it is; each that has a line, once.
    order: VecDeque<Arc<str>>,
    /// Those that come after everything that came before them.
    last: VecDeque<Waiting<T>>,
    next_number: u64,
    latest: Option<Arc<str>>,
    /// When last somebody came who is not the one that came before.
    mixed_at: Option<Instant>,
}

struct Waiting<T> {
    it: T,
    number: u64,
    bytes: usize,
}

impl<T> Lines<T> {
    pub(super) fn new() -> Self {
        Self {
            lines: HashMap::new(),
            order: VecDeque::new(),
            last: VecDeque::new(),
            next_number: 0,
            latest: None,
            mixed_at: None,
        }
    }

    /// Goes to the end of the share's line.
    pub(super) fn push(&mut self, share: &Arc<str>, bytes: usize, it: T, now: Instant) {
        if self.latest.as_ref().is_some_and(|it| it != share) {
            self.mixed_at = Some(now);
        }
        self.latest = Some(share.clone());
        let waiting = self.numbered(bytes, it);
        let line = self.lines.entry(share.clone()).or_default();
        if line.is_empty() {
            self.order.push_back(share.clone());
        }
        line.push_back(waiting);
    }

    /// Waits until all that came before is done, whoever asked for it.
    pub(super) fn push_last(&mut self, it: T) {
        let waiting = self.numbered(0, it);
        self.last.push_back(waiting);
    }

    fn numbered(&mut self, bytes: usize, it: T) -> Waiting<T> {
        let number = self.next_number;
        self.next_number += 1;
        Waiting { it, number, bytes }
    }

    /// What is done together next, in order; nothing if nobody waits.
    pub(super) fn take(&mut self, now: Instant) -> Vec<T> {
        let is_beside = self.mixed_at.is_some_and(|it| now.saturating_duration_since(it) < ABSENT);
        let most = if is_beside { MOST_BESIDE } else { MOST };
        let mut room = MOST_BYTES;
        let mut together = Vec::new();
        loop {
            self.take_last(&mut together);
            let shares = self.order.len();
            for _ in 0..shares {
                let Some(waiting) = self.next_within(room, together.is_empty()) else {
                    return together;
                };
                room = room.saturating_sub(waiting.bytes);
                together.push(waiting.it);
                if together.len() == most {
                    return together;
                }
            }
            self.take_last(&mut together);
            if self.order.len() < shares || shares == 0 {
                return together;
            }
        }
    }

    /// The first of the next line, if there is room for it.
    fn next_within(&mut self, room: usize, is_first: bool) -> Option<Waiting<T>> {
        let share = self.order.front()?;
        let line = self.lines.get_mut(share)?;
        let waiting = line.pop_front_if(|it| is_first || it.bytes <= room)?;
        let is_empty = line.is_empty();
        let share = self.order.pop_front()?;
        if is_empty {
            self.lines.remove(&share);
        } else {
            self.order.push_back(share);
        }
        Some(waiting)
    }

    /// Those before which nothing is left.
    fn take_last(&mut self, together: &mut Vec<T>) {
        let fronts = self.lines.values().filter_map(|it| it.front());
        let Some(earliest) = fronts.map(|it| it.number).min() else {
            return together.extend(self.last.drain(..).map(|it| it.it));
        };
        while let Some(waiting) = self.last.pop_front_if(|it| it.number < earliest) {
            together.push(waiting.it);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Story {
        lines: Lines<(&'static str, usize)>,
        now: Instant,
    }

    impl Story {
        fn begin() -> Self {
            Self { lines: Lines::new(), now: Instant::now() }
        }

        fn push(&mut self, share: &'static str, numbers: std::ops::Range<usize>) {
            for number in numbers {
                self.lines.push(&share.into(), 1, (share, number), self.now);
            }
        }

        fn take(&mut self) -> Vec<(&'static str, usize)> {
            self.lines.take(self.now)
        }
    }

    #[test]
    fn who_has_little_does_not_wait_for_who_has_much() {
        let mut story = Story::begin();
        story.push("much", 0..40);
        story.push("little", 0..1);
        assert_eq!(story.take(), [("much", 0), ("little", 0)]);
        let next = story.take();
        assert_eq!((next[0], next.len()), (("much", 1), MOST_BESIDE));
        story.push("little", 1..3);
        assert_eq!(story.take(), [("much", 17), ("little", 1), ("much", 18), ("little", 2)],);
    }

    #[test]
    fn who_is_alone_has_all_of_it_at_once() {
        let mut story = Story::begin();
        story.push("little", 0..1);
        story.push("much", 0..100);
        assert_eq!(story.take().len(), 2);
        assert_eq!(story.take().len(), MOST_BESIDE);
        story.now += ABSENT;
        assert_eq!(story.take().len(), MOST);
    }

    #[test]
    fn what_is_large_is_done_by_itself() {
        let mut story = Story::begin();
        for (number, bytes) in
            [MOST_BYTES / 2, MOST_BYTES / 2, 1, 2 * MOST_BYTES, 0].into_iter().enumerate()
        {
            story.lines.push(&"a".into(), bytes, ("a", number), story.now);
        }
        let taken: Vec<_> = std::iter::repeat_with(|| story.take().len()).take(5).collect();
        assert_eq!(taken, [2, 1, 2, 0, 0]);
    }

    #[test]
    fn the_last_comes_after_all_that_came_before_it() {
        let mut story = Story::begin();
        story.lines.push_last(("ping", 0));
        assert_eq!(story.take(), [("ping", 0)]);
        story.push("much", 0..20);
        story.push("little", 0..1);
        story.lines.push_last(("ping", 1));
        story.push("other", 0..1);
        assert_eq!(story.take(), [("much", 0), ("little", 0), ("other", 0)]);
        assert_eq!(story.take().len(), MOST_BESIDE);
        story.push("much", 20..30);
        let rest = story.take();
        assert_eq!(rest[2..5], [("much", 19), ("ping", 1), ("much", 20)]);
        assert_eq!(rest.last(), Some(&("much", 29)));
    }

    proptest! {
        /// Nothing is lost, each line keeps its order, and whoever is first in a line is done before
        /// any other line had two more.
        #[test]
        fn lines_are_served_in_turn(steps in proptest::collection::vec((0..4usize, 0..3usize), 0..100)) {
            const SHARES: [&str; 3] = ["a", "b", "c"];
            let mut story = Story::begin();
            let mut pushed = [0; 3];
            let mut done = [0; 3];
            let check = |taken: Vec<(&'static str, usize)>, done: &mut [usize; 3]| {
                for (share, number) in taken {
                    let share = SHARES.iter().position(|it| *it == share).unwrap();
                    assert_eq!(number, done[share]);
                    done[share] += 1;
                }
            };
            for (share, does) in steps {
                match SHARES.get(share) {
                    Some(name) => {
                        story.push(name, pushed[share]..pushed[share] + does);
                        pushed[share] += does;
                    }
                    None => {
                        let waited: Vec<_> = (0..3).map(|it| done[it] < pushed[it]).collect();
                        let before = done;
                        check(story.take(), &mut done);
                        prop_assert!((0..3).all(|it| !waited[it] || before[it] < done[it]));
                    }
                }
            }
            while done != pushed {
                let taken = story.take();
                prop_assert!(!taken.is_empty());
                check(taken, &mut done);
            }
            prop_assert!(story.take().is_empty() && story.lines.lines.is_empty());
        }
    }
}
