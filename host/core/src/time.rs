//! Points and stretches of time, as numbers: the clock itself is outside.

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since the epoch.
    pub fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Seconds from `earlier` to here; zero if the clock went backwards.
    pub fn seconds_since(self, earlier: Timestamp) -> f64 {
        self.0.saturating_sub(earlier.0).max(0) as f64 / 1e6
    }
}

/// Microseconds of a day.
const DAY_MICROS: i64 = 86_400_000_000;

/// A day of UTC, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

impl Day {
    /// From days since the epoch.
    pub fn from_number(number: i32) -> Self {
        Self(number)
    }

    /// Days since the epoch.
    pub fn number(self) -> i32 {
        self.0
    }

    /// The day a moment is in.
    pub fn of(at: Timestamp) -> Self {
        // Whatever 64 bits of microseconds say fits.
        Self(at.0.div_euclid(DAY_MICROS) as i32)
    }

    /// So many days before.
    pub fn back(self, days: i32) -> Self {
        Self(self.0.saturating_sub(days))
    }

    /// Days from `earlier` to here.
    pub fn since(self, earlier: Self) -> i64 {
        i64::from(self.0) - i64::from(earlier.0)
    }

    /// Whole seconds from a moment until the day is over; at least one.
    pub fn seconds_left(self, at: Timestamp) -> u64 {
        let end = i64::from(self.0).saturating_add(1).saturating_mul(DAY_MICROS);
        let left = end.saturating_sub(at.0).max(0).unsigned_abs();
        left.div_ceil(1_000_000).max(1)
    }

    /// Reads `2026-11-25`; none if there is no such day.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.len() == 10 && text.bytes().all(|it| it.is_ascii_digit() || it == b'-');
        let mut parts = text.split('-').filter(|_| plain).map(str::parse::<i32>);
        let (year, month, day) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
        // The months of a year that begins in March, so that the leap day is its last.
        let early = i32::from(month < 3);
        let years = year - early;
        let of_year = (153 * (month + 12 * early - 3) + 2) / 5 + day - 1;
        let leaps = years.div_euclid(4) - years.div_euclid(100) + years.div_euclid(400);
        let found = Self(years * 365 + leaps + of_year - EPOCH);
        (found.to_string() == text).then_some(found)
    }
}

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: i32 = 719_468;

/// `2026-11-25`, in the calendar of today also for days before there was one.
impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Four hundred years are always as long; within them years begin in March.
        let days = i64::from(self.0) + i64::from(EPOCH);
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        write!(f, "{:04}-{month:02}-{day:02}", era * 400 + year + next)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (number, text) in [
            (0, "1970-01-01"),
            (58, "1970-02-28"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (20_782, "2026-11-25"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
            (2_932_896, "9999-12-31"),
            (-719_162, "0001-01-01"),
        ] {
            assert_eq!(Day(number).to_string(), text);
            assert_eq!(Day::parse(text), Some(Day(number)));
        }
        assert_eq!(Day(-1).to_string(), "1969-12-31");
        for bad in [
            "",
            "2026-11-31",
            "2026-13-01",
            "2026-00-01",
            "2026-1-1",
            "2026-11-25T",
            "+026-11-25",
            "2026/11/25",
            "20261-1-25",
        ] {
            assert_eq!(Day::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_day_ends_at_midnight() {
        let at = |micros| Timestamp::from_micros(micros);
        assert_eq!(Day::of(at(-1)), Day(-1));
        assert_eq!(Day::of(at(DAY_MICROS - 1)), Day(0));
        assert_eq!(Day::of(at(DAY_MICROS)), Day(1));
        assert_eq!(Day(0).seconds_left(at(0)), 86_400);
        assert_eq!(Day(0).seconds_left(at(DAY_MICROS - 1)), 1);
        assert_eq!(Day(0).seconds_left(at(DAY_MICROS * 3)), 1);
    }

    proptest! {
        #[test]
        fn a_day_is_read_as_it_is_shown(number in -719_162..2_932_896i32) {
            prop_assert_eq!(Day::parse(&Day(number).to_string()), Some(Day(number)));
        }
    }
}
