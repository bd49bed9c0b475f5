//! Who gets the next seat, when more ask than there are seats for.
//!
//! Whoever shares seats (a tenant) asks under its own key. A free seat goes to whoever has the
//! fewest of those that wait and may have more; between equals, to whoever was served, or came, longest
//! ago. So nobody waits behind a crowd of one other: a crowd stands in its own line.
//!
//! Plain deciding: who waits, how, and for how long is another room's.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// One place in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place(u64);

/// What becomes of somebody who asks for a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Has one.
    Seated,
    /// Waits for one.
    Waits(Place),
    /// Neither: as many wait in this line as may.
    LineFull,
}

/// Why there is no seat for somebody right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSeat {
    /// All are taken.
    Full,
    /// This share has as many as it may.
    ShareFull,
}

/// Seats, who has them, and who waits.
#[derive(Debug)]
pub struct FairSeats<K> {
    free: usize,
    /// Of one share; more are turned away.
    line: usize,
    /// Those that have a seat or wait for one.
    shares: HashMap<K, Share>,
    next_place: u64,
    /// Counts what the order between shares is made of.
    now: u64,
}

#[derive(Debug)]
struct Share {
    held: usize,
    waiting: VecDeque<Waiting>,
    /// When it last got a seat, or came.
    since: u64,
}

#[derive(Debug)]
struct Waiting {
    place: Place,
    /// The most that its share may have; it may have been said anew since the last one asked.
    most: usize,
}

impl Share {
    fn new(since: u64) -> Self {
        Self { held: 0, waiting: VecDeque::new(), since }
    }

    /// Whether whoever is first in its line may have a seat.
    fn is_next(&self) -> bool {
        self.waiting.front().is_some_and(|it| self.held < it.most)
    }
}

impl<K: Clone + Eq + Hash> FairSeats<K> {
    /// So many seats; and so many may wait in the line of one share.
    pub fn new(seats: usize, line: usize) -> Self {
        Self { free: seats, line, shares: HashMap::new(), next_place: 0, now: 0 }
    }

    /// Takes a seat, if `share` may have one more right now.
    ///
    /// # Errors
    /// It may not. Whoever of it waits already comes first.
    pub fn take(&mut self, share: &K, most: usize) -> Result<(), NoSeat> {
        let has_line = self.shares.get(share).is_some_and(|it| !it.waiting.is_empty());
        if most <= self.held(share) || has_line && self.free != 0 {
            return Err(NoSeat::ShareFull);
        }
        // A free seat is nobody else's: others who wait have as many as they may.
        self.free = self.free.checked_sub(1).ok_or(NoSeat::Full)?;
        self.seat(share);
        Ok(())
    }

    /// Takes a seat or a place in the line.
    pub fn ask(&mut self, share: &K, most: usize) -> Asked {
        if self.take(share, most).is_ok() {
            return Asked::Seated;
        }
        let place = Place(self.next_place);
        let line = self.line;
        let waiting = &mut self.share(share).waiting;
        if line <= waiting.len() {
            self.forget(share);
            return Asked::LineFull;
        }
        waiting.push_back(Waiting { place, most });
        self.next_place += 1;
        Asked::Waits(place)
    }

    /// Gives a seat back. Answers who has one now.
    pub fn give_back(&mut self, share: &K) -> Vec<Place> {
        if let Some(it) = self.shares.get_mut(share) {
            it.held = it.held.saturating_sub(1);
            self.free += 1;
            self.forget(share);
        }
        self.serve()
    }

    /// Leaves the line. Answers who has a seat now, because it stood behind.
    pub fn leave(&mut self, share: &K, place: Place) -> Vec<Place> {
        if let Some(it) = self.shares.get_mut(share) {
            it.waiting.retain(|it| it.place != place);
            self.forget(share);
        }
        self.serve()
    }

    fn serve(&mut self) -> Vec<Place> {
        std::iter::from_fn(|| self.serve_one()).collect()
    }

    /// Gives a free seat to whoever is next.
    fn serve_one(&mut self) -> Option<Place> {
        if self.free == 0 {
            return None;
        }
        let next = self.shares.iter().filter(|(_, it)| it.is_next());
        let (share, _) = next.min_by_key(|(_, it)| (it.held, it.since))?;
        let share = share.clone();
        let place = self.shares.get_mut(&share)?.waiting.pop_front()?.place;
        self.free -= 1;
        self.seat(&share);
        Some(place)
    }

    /// How many seats a share has.
    pub fn held(&self, share: &K) -> usize {
        self.shares.get(share).map_or(0, |it| it.held)
    }

    fn seat(&mut self, share: &K) {
        self.now += 1;
        let now = self.now;
        let share = self.share(share);
        share.held += 1;
        share.since = now;
    }

    fn share(&mut self, share: &K) -> &mut Share {
        self.now += 1;
        let now = self.now;
        self.shares.entry(share.clone()).or_insert_with(|| Share::new(now))
    }

    /// Who has nothing and waits for nothing is not remembered: there may be many.
    fn forget(&mut self, share: &K) {
        if self.shares.get(share).is_some_and(|it| it.held == 0 && it.waiting.is_empty()) {
            self.shares.remove(share);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_crowd_stands_in_its_own_line() {
        let mut seats = FairSeats::new(1, 10);
        assert_eq!(seats.ask(&"crowd", 9), Asked::Seated);
        let crowd: Vec<_> = (0..3).map(|_| seats.ask(&"crowd", 9)).collect();
        let Asked::Waits(quiet) = seats.ask(&"quiet", 9) else { panic!("there is one seat") };
        let waits = |it: Vec<Place>| it.into_iter().map(Asked::Waits).collect::<Vec<_>>();
        // Its first has waited for longer; then it is the other's turn.
        assert_eq!(waits(seats.give_back(&"crowd")), [crowd[0]]);
        assert_eq!(seats.give_back(&"crowd"), [quiet]);
        assert_eq!(waits(seats.give_back(&"quiet")), [crowd[1]]);
    }

    #[test]
    fn a_share_has_no_more_than_it_may_and_a_line_ends() {
        let mut seats = FairSeats::new(9, 1);
        assert_eq!(seats.ask(&"a", 1), Asked::Seated);
        assert_eq!(seats.take(&"a", 1), Err(NoSeat::ShareFull));
        let Asked::Waits(second) = seats.ask(&"a", 1) else { panic!("it has one") };
        assert_eq!(seats.ask(&"a", 1), Asked::LineFull);
        // Who comes later does not come first, also if it may have more.
        assert_eq!(seats.take(&"a", 2), Err(NoSeat::ShareFull));
        assert_eq!(seats.take(&"b", 1), Ok(()));
        assert_eq!(seats.give_back(&"b"), [], "others' seats are not for it");
        assert_eq!(seats.give_back(&"a"), [second]);
    }

    #[test]
    fn who_has_nothing_is_not_remembered() {
        let mut seats = FairSeats::new(1, 1);
        assert_eq!(seats.ask(&1, 1), Asked::Seated);
        let Asked::Waits(place) = seats.ask(&2, 1) else { panic!("there is one seat") };
        assert_eq!(seats.take(&3, 1), Err(NoSeat::Full));
        assert_eq!(seats.leave(&2, place), []);
        assert_eq!(seats.give_back(&1), []);
        assert!(seats.shares.is_empty());
    }

    /// What happens, by number of the share; `most` is what it may have.
    #[derive(Debug, Clone)]
    enum Step {
        Ask(u8),
        Take(u8),
        GiveBack(u8),
        Leave(u8),
    }

    fn most(share: u8) -> usize {
        usize::from(share) + 1
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..4u8).prop_map(Step::Ask),
            1 => (0..4u8).prop_map(Step::Take),
            3 => (0..4u8).prop_map(Step::GiveBack),
            1 => (0..4u8).prop_map(Step::Leave),
        ]
    }

    /// Who has seats and who waits, kept by hand.
    #[derive(Default)]
    struct Seen {
        held: BTreeMap<u8, usize>,
        lines: BTreeMap<u8, VecDeque<Place>>,
    }

    impl Seen {
        fn held(&self, share: u8) -> usize {
            self.held.get(&share).copied().unwrap_or(0)
        }

        fn may_be_next(&self) -> impl Iterator<Item = u8> {
            self.lines
                .iter()
                .filter(|(share, line)| !line.is_empty() && self.held(**share) < most(**share))
                .map(|(share, _)| *share)
        }

        /// Whoever got a seat was first in its line, and nobody who waits had fewer.
        fn check_served(&mut self, place: Place) {
            let line = self.lines.iter().find(|(_, line)| line.contains(&place));
            let (share, line) = line.expect("it waited");
            let share = *share;
            assert_eq!(line.front(), Some(&place), "first come, first served");
            assert!(self.may_be_next().all(|other| self.held(share) <= self.held(other)));
            self.lines.get_mut(&share).map(VecDeque::pop_front);
            *self.held.entry(share).or_default() += 1;
        }
    }

    proptest! {
        /// Whatever happens: no seat is lost or made, no share has more than it may, nobody waits
        /// who may have a free seat, and nobody is served before one that has fewer.
        #[test]
        fn seats_are_shared_fairly(free in 1usize..5, steps in proptest::collection::vec(step(), 0..80)) {
            let mut seats = FairSeats::new(free, 5);
            let mut seen = Seen::default();
            for step in steps {
                let served = match step {
                    Step::Ask(share) => {
                        match seats.ask(&share, most(share)) {
                            Asked::Seated => *seen.held.entry(share).or_default() += 1,
                            Asked::Waits(it) => seen.lines.entry(share).or_default().push_back(it),
                            Asked::LineFull => prop_assert_eq!(seen.lines[&share].len(), 5),
                        }
                        vec![]
                    }
                    Step::Take(share) => {
                        if seats.take(&share, most(share)).is_ok() {
                            *seen.held.entry(share).or_default() += 1;
                        }
                        vec![]
                    }
                    Step::GiveBack(share) if seen.held(share) == 0 => vec![],
                    Step::GiveBack(share) => {
                        *seen.held.entry(share).or_default() -= 1;
                        seats.give_back(&share)
                    }
                    Step::Leave(share) => {
                        match seen.lines.get_mut(&share).and_then(VecDeque::pop_back) {
                            Some(place) => seats.leave(&share, place),
                            None => vec![],
                        }
                    }
                };
                served.into_iter().for_each(|it| seen.check_served(it));
                let taken: usize = seen.held.values().sum();
                prop_assert!(taken <= free);
                prop_assert!(seen.held.iter().all(|(share, held)| *held <= most(*share)));
                prop_assert!((0..4).all(|it| seats.held(&it) == seen.held(it)));
                prop_assert!(taken == free || seen.may_be_next().next().is_none());
            }
        }

        /// However much the others want: who waits is served, when as many seats have come back as
        /// there are others and those before it in its own line.
        #[test]
        fn nobody_starves(before in 0usize..4, others in 1u8..4) {
            let mut seats = FairSeats::new(1, 100);
            let mut has = 1u8;
            prop_assert_eq!(seats.ask(&has, 1), Asked::Seated);
            let owners = std::cell::RefCell::new(BTreeMap::new());
            let wait = |seats: &mut FairSeats<u8>, share| match seats.ask(&share, 1) {
                Asked::Waits(place) => { owners.borrow_mut().insert(place, share); place }
                other => panic!("there is one seat: {other:?}"),
            };
            for it in 1..=others {
                wait(&mut seats, it);
            }
            for _ in 0..before {
                wait(&mut seats, 0);
            }
            let mine = wait(&mut seats, 0);
            for _ in 0..(before + 1) * (usize::from(others) + 1) {
                let place = seats.give_back(&has)[0];
                if place == mine {
                    return Ok(());
                }
                // It was forgotten in between, and comes as if it had never been here.
                if has != 0 {
                    wait(&mut seats, has);
                }
                has = owners.borrow()[&place];
            }
            prop_assert!(false, "it still waits");
        }
    }
}
