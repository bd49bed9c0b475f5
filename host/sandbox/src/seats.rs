//! Seats that are shared fairly: waiting for one, and giving it back.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stepmill_core::fair::{Asked, FairSeats, NoSeat, Place};
use tokio::sync::oneshot;

/// Seats for whoever shares them under keys of the kind `K`. Cheap to clone; all clones are the
/// same seats.
#[derive(Clone)]
pub struct Seats<K: Clone + Eq + Hash>(Arc<Mutex<Hall<K>>>);

struct Hall<K> {
    seats: FairSeats<K>,
    /// Where those that wait are told that they have a seat.
    waiting: HashMap<Place, oneshot::Sender<()>>,
}

impl<K: Clone + Eq + Hash> Seats<K> {
    /// So many seats; and so many may wait in the line of one share.
    pub fn new(seats: usize, line: usize) -> Self {
        let hall = Hall { seats: FairSeats::new(seats, line), waiting: HashMap::new() };
        Self(Arc::new(Mutex::new(hall)))
    }

    /// A seat, if `share` has fewer than `most` and nobody else has it.
    ///
    /// # Errors
    /// There is none right now.
    pub fn try_take(&self, share: &K, most: usize) -> Result<Seat<K>, NoSeat> {
        self.hall().seats.take(share, most)?;
        Ok(self.seat(share, None))
    }

    /// Waits for a seat. Dropping the future leaves the line. `None` if the line is full.
    pub async fn take(&self, share: &K, most: usize) -> Option<Seat<K>> {
        let (place, called) = {
            let mut hall = self.hall();
            match hall.seats.ask(share, most) {
                Asked::Seated => return Some(self.seat(share, None)),
                Asked::LineFull => return None,
                Asked::Waits(place) => {
                    let (call, called) = oneshot::channel();
                    hall.waiting.insert(place, call);
                    (place, called)
                }
            }
        };
        let mut seat = self.seat(share, Some(place));
        // The other end is only dropped after it has called.
        let _ = called.await;
        seat.waits_at = None;
        Some(seat)
    }

    /// How many seats a share has.
    pub fn held(&self, share: &K) -> usize {
        self.hall().seats.held(share)
    }

    fn seat(&self, share: &K, waits_at: Option<Place>) -> Seat<K> {
        Seat { seats: self.clone(), share: share.clone(), waits_at }
    }

    fn hall(&self) -> MutexGuard<'_, Hall<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A seat, or a place in the line for one. Given back when it is dropped.
pub struct Seat<K: Clone + Eq + Hash> {
    seats: Seats<K>,
    share: K,
    /// Set while it is only a place in the line.
    waits_at: Option<Place>,
}

impl<K: Clone + Eq + Hash> Drop for Seat<K> {
    fn drop(&mut self) {
        let mut hall = self.seats.hall();
        let waits = self.waits_at.filter(|it| hall.waiting.remove(it).is_some());
        let seated = match waits {
            Some(place) => hall.seats.leave(&self.share, place),
            // Also one that was called in the moment in which it went away.
            None => hall.seats.give_back(&self.share),
        };
        let calls: Vec<_> = seated.iter().filter_map(|it| hall.waiting.remove(it)).collect();
        // Waking somebody may cost this thread its processor: not with the hall's door in its hand.
        drop(hall);
        for call in calls {
            // Who is gone by now gives the seat back by itself.
            let _ = call.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(it) => Some(it),
            Poll::Pending => None,
        }
    }

    #[test]
    fn who_leaves_the_line_gives_its_place_back() {
        let seats = Seats::new(1, 1);
        let seat = seats.try_take(&"a", 1).unwrap();
        {
            let mut waits = pin!(seats.take(&"b", 1));
            assert!(poll(waits.as_mut()).is_none());
            assert!(
                poll(pin!(seats.take(&"b", 1))).is_some_and(|it| it.is_none()),
                "the line is full"
            );
        }
        let mut waits = pin!(seats.take(&"b", 1));
        assert!(poll(waits.as_mut()).is_none());
        drop(seat);
        assert_eq!(seats.held(&"b"), 1);
        assert!(poll(waits.as_mut()).flatten().is_some());
    }

    #[test]
    fn who_is_called_and_has_gone_gives_its_seat_back() {
        let seats = Seats::new(1, 2);
        let seat = seats.try_take(&"a", 1).unwrap();
        let mut next = pin!(seats.take(&"c", 1));
        {
            let mut waits = pin!(seats.take(&"b", 1));
            assert!(poll(waits.as_mut()).is_none());
            assert!(poll(next.as_mut()).is_none());
            drop(seat);
            assert_eq!((seats.held(&"b"), seats.held(&"c")), (1, 0));
        }
        assert_eq!((seats.held(&"b"), seats.held(&"c")), (0, 1));
        assert!(poll(next.as_mut()).flatten().is_some());
        assert_eq!(seats.held(&"c"), 0);
    }
}
