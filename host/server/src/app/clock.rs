//! The clock of the host, read in one place.

use std::time::{SystemTime, UNIX_EPOCH};

use stepmill_core::time::Timestamp;

/// The current time.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
