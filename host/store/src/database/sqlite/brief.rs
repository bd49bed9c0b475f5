//! Brief reads: done on the thread of whoever asks, while the file answers at once.
//!
//! To wake a reader and to be woken by it costs more than most reads do. But on a thread of the
//! runtime others wait, and nothing can take it away from a disk that does not answer. So a read is
//! tried here for a moment; whatever is not done then is asked of a reader, which does it again.
//! Only half of the runtime's threads ever read so; the others wait a little for their turn. After a
//! few reads in a row that were late nobody reads or waits for a while.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::super::Row;
use super::super::statement::Statement;
use super::Place;
use super::connection::Connection;

/// As long as others may wait for a read: several times what the usual ones take.
const MOMENT: Duration = Duration::from_micros(500);

/// As long as one waits for another's brief read to be over, which takes less than to ask a reader.
const TURN: Duration = Duration::from_micros(50);

/// The most that the values of its rows hold together: what is copied within a moment.
const MOST_BYTES: usize = 256 * 1024;

/// One that is late may have waited for a processor; so many in a row have waited for the disk.
const LATE: u32 = 3;

/// For how long then nobody tries: others lose a few of their moments in a second.
const REST: Duration = Duration::from_secs(1);

pub(super) struct Brief(Mutex<Desk>);

struct Desk {
    /// Those that nobody uses.
    idle: Vec<Connection>,
    /// Whether there are any.
    is_open: bool,
    /// Reads in a row that took longer than a moment.
    late: u32,
    resting_until: Option<Instant>,
}

impl Brief {
    pub(super) fn open(place: &Place) -> rusqlite::Result<Self> {
        // What finds something locked does not wait here.
        let place = Place { busy_timeout: Duration::ZERO, ..place.clone() };
        let threads = Handle::current().metrics().num_workers();
        let idle = (0..threads / 2).map(|_| Connection::open_reader(&place));
        let idle = idle.collect::<rusqlite::Result<Vec<_>>>()?;
        let is_open = !idle.is_empty();
        Ok(Self(Mutex::new(Desk { idle, is_open, late: 0, resting_until: None })))
    }

    /// The rows of each statement, if they are there within a moment.
    pub(super) fn read(&self, statements: &[Statement<'_>], bytes: usize) -> Option<Vec<Vec<Row>>> {
        let connection = self.take()?;
        let began = Instant::now();
        let end = Some(began + MOMENT);
        let rows = connection.query_each(statements, bytes.min(MOST_BYTES), end);
        self.desk().give_back(connection, began);
        // What went wrong a reader finds too, and says.
        rows.unwrap_or_default()
    }

    /// One that nobody uses, at once or in turn.
    fn take(&self) -> Option<Connection> {
        let began = Instant::now();
        loop {
            let mut desk = self.desk();
            if let Some(connection) = desk.take(began) {
                return Some(connection);
            }
            let is_hopeless = !desk.is_open || desk.rests(began);
            drop(desk);
            if is_hopeless || TURN <= began.elapsed() {
                return None;
            }
            std::thread::yield_now();
        }
    }

    /// Nobody reads here any more.
    pub(super) fn close(&self) {
        let mut desk = self.desk();
        desk.is_open = false;
        desk.idle.clear();
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    fn take(&mut self, now: Instant) -> Option<Connection> {
        if self.rests(now) { None } else { self.idle.pop() }
    }

    fn rests(&self, now: Instant) -> bool {
        self.resting_until.is_some_and(|it| now < it)
    }

    fn give_back(&mut self, connection: Connection, began: Instant) {
        let took = began.elapsed();
        self.late = if took <= MOMENT { 0 } else { self.late + 1 };
        self.resting_until = (LATE <= self.late).then(|| began + took + REST);
        // One that is not clean is none to read with. Nothing known makes one.
        self.is_open &= connection.is_clean();
        if self.is_open {
            self.idle.push(connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes long, and reads nothing.
    const LONG: &str = "with recursive n (x) as (select 1 union all select x + 1 from n)
        select max(x) from (select x from n limit 100000000)";

    fn in_a_house(story: impl AsyncFnOnce(Brief, rusqlite::Connection)) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("house.db");
        let beside = rusqlite::Connection::open(&file).unwrap();
        let schema = "pragma journal_mode = wal; create table t (n); insert into t values (7)";
        beside.execute_batch(schema).unwrap();
        let place = Place { file, busy_timeout: Duration::from_secs(60) };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
        runtime.unwrap().block_on(async { story(Brief::open(&place).unwrap(), beside).await });
    }

    fn number(brief: &Brief) -> Option<i64> {
        let rows = brief.read(&[Statement::new("select n from t")], usize::MAX)?;
        Some(rows[0][0].number(0).unwrap())
    }

    /// On a busy machine any read may be late.
    fn number_at_last(brief: &Brief) -> i64 {
        std::iter::repeat_with(|| number(brief)).find_map(|it| it).unwrap()
    }

    #[test]
    fn a_long_read_is_left_to_a_reader() {
        in_a_house(async |brief, _| {
            assert_eq!(number_at_last(&brief), 7);
            let began = Instant::now();
            assert!(brief.read(&[Statement::new(LONG)], usize::MAX).is_none());
            assert!(began.elapsed() < Duration::from_secs(1));
            assert_eq!(number_at_last(&brief), 7);
        });
    }

    #[test]
    fn a_large_read_and_one_that_fails_are_left_to_a_reader() {
        in_a_house(async |brief, _| {
            let large = || Statement::new("select zeroblob(?)").number(MOST_BYTES as i64 + 1);
            assert!(brief.read(&[large()], usize::MAX).is_none());
            assert!(brief.read(&[Statement::new("select n from gone")], usize::MAX).is_none());
            assert_eq!(number_at_last(&brief), 7);
        });
    }

    #[test]
    fn after_some_late_ones_nobody_tries_for_a_while() {
        in_a_house(async |brief, _| {
            for _ in 0..LATE {
                assert!(brief.read(&[Statement::new(LONG)], usize::MAX).is_none());
            }
            assert_eq!(number(&brief), None);
            let rested = brief.desk().resting_until.unwrap();
            assert!(brief.desk().take(rested).is_some());
        });
    }

    #[test]
    fn who_finds_the_connection_in_use_or_closed_asks_a_reader() {
        in_a_house(async |brief, beside| {
            assert_eq!(number_at_last(&brief), 7);
            let used = brief.desk().take(Instant::now()).unwrap();
            assert_eq!(number(&brief), None);
            brief.desk().give_back(used, Instant::now());
            assert_eq!(number_at_last(&brief), 7);
            brief.close();
            assert_eq!(number(&brief), None);
            drop(beside);
        });
    }

    #[tokio::test]
    async fn on_a_single_thread_nobody_reads() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("house.db");
        drop(rusqlite::Connection::open(&file).unwrap());
        let brief = Brief::open(&Place { file, busy_timeout: Duration::ZERO }).unwrap();
        assert!(brief.read(&[Statement::new("select 1")], usize::MAX).is_none());
    }
}
