//! Room in memory for large lists: few are held at once, whoever asks for them.

use std::time::Duration;

use stepmill_core::ids::TenantId;
use stepmill_sandbox::{Seat, Seats};
use stepmill_store::{LIST_BYTES, StoreError};
use tokio::time::timeout;

use super::error::AppError;

/// What a list may hold that needs no room of its own: as much as any request may.
const SMALL_LIST_BYTES: usize = 1024 * 1024;

/// How long a large list waits for room.
const WAIT: Duration = Duration::from_secs(5);

/// Readers of one tenant that may wait for it.
const LINE: usize = 100;

/// Seats for lists of up to [`LIST_BYTES`]; lists of up to [`SMALL_LIST_BYTES`] need none.
pub(crate) struct LargeLists {
    seats: Seats<TenantId>,
    /// Of one tenant.
    most: usize,
    wait: Duration,
}

/// What was read, and the room it takes.
#[derive(Default)]
pub struct ListRead<T> {
    /// What was read.
    pub list: T,
    /// To be kept for as long as the list is held in any form.
    pub room: Room,
}

impl<T> ListRead<Option<T>> {
    /// What was read, if anything was.
    pub(super) fn transpose(self) -> Option<ListRead<T>> {
        let Self { list, room } = self;
        list.map(|list| ListRead { list, room })
    }
}

/// Room for one list. Given back when this is dropped.
#[derive(Default)]
pub struct Room(Option<Seat<TenantId>>);

impl Room {
    /// Gives the room back if a list, as it is now, needs none.
    pub fn fit(&mut self, bytes: usize) {
        if bytes <= SMALL_LIST_BYTES {
            self.0 = None;
        }
    }
}

impl LargeLists {
    /// So many at once; of one tenant three quarters of them, for others to find the rest.
    pub(crate) fn new(lists: usize) -> Self {
        Self { seats: Seats::new(lists, LINE), most: lists - lists / 4, wait: WAIT }
    }

    /// Reads a list. `read` is told how many bytes it may hold; where there is no room at the
    /// moment it first tries with few, so that small lists never wait.
    ///
    /// # Errors
    /// [`AppError::Busy`] if others hold the room for too long; those of `read`.
    pub(crate) async fn read<T, F>(
        &self,
        tenant: &TenantId,
        read: impl Fn(usize) -> F,
    ) -> Result<ListRead<T>, AppError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let seat = match self.seats.try_take(tenant, self.most) {
            Ok(seat) => seat,
            Err(_) => match read(SMALL_LIST_BYTES).await {
                Err(StoreError::TooLarge) => {
                    let seat = timeout(self.wait, self.seats.take(tenant, self.most)).await;
                    seat.ok().flatten().ok_or(AppError::Busy)?
                }
                list => return Ok(ListRead { list: list?, room: Room(None) }),
            },
        };
        Ok(ListRead { list: read(LIST_BYTES).await?, room: Room(Some(seat)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(most: usize, wait: Duration) -> LargeLists {
        LargeLists { wait, ..LargeLists::new(most) }
    }

    /// Reads a list of so many bytes; gives what it was told it may hold.
    async fn read(
        lists: &LargeLists,
        tenant: &str,
        bytes: usize,
    ) -> Result<ListRead<usize>, AppError> {
        let read =
            |most| async move { if most < bytes { Err(StoreError::TooLarge) } else { Ok(most) } };
        lists.read(&TenantId::new(tenant).unwrap(), read).await
    }

    const LARGE: usize = SMALL_LIST_BYTES + 1;

    #[tokio::test]
    async fn large_lists_wait_for_room_and_small_ones_do_not() {
        let lists = lists(1, Duration::ZERO);
        let held = read(&lists, "ada", LARGE).await.unwrap();
        assert!(matches!(read(&lists, "bob", LARGE).await, Err(AppError::Busy)));
        let small = read(&lists, "bob", SMALL_LIST_BYTES).await.unwrap();
        assert_eq!((small.list, small.room.0.is_some()), (SMALL_LIST_BYTES, false));
        drop(held);
        assert_eq!(read(&lists, "bob", LARGE).await.unwrap().list, LIST_BYTES);
    }

    #[tokio::test]
    async fn who_waits_is_served_when_a_list_turns_out_small() {
        let lists = lists(1, WAIT);
        let mut held = read(&lists, "ada", 7).await.unwrap();
        let waits = read(&lists, "bob", LARGE);
        let small = async { held.room.fit(7) };
        let (waited, ()) = futures::future::join(waits, small).await;
        assert!(waited.unwrap().room.0.is_some());
    }

    #[tokio::test]
    async fn one_tenant_leaves_room_for_others() {
        let lists = lists(4, Duration::ZERO);
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(read(&lists, "crowd", LARGE).await.unwrap());
        }
        assert!(matches!(read(&lists, "crowd", LARGE).await, Err(AppError::Busy)));
        assert!(read(&lists, "quiet", LARGE).await.is_ok());
    }

    #[tokio::test]
    async fn what_is_beyond_any_room_is_told_as_that() {
        let beyond = read(&lists(1, Duration::ZERO), "ada", LIST_BYTES + 1).await;
        assert!(matches!(beyond, Err(AppError::Store(StoreError::TooLarge))));
    }
}
