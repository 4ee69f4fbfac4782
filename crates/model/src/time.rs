//! Time as a parameter.
//!
//! This is the only module that reads the machine's clocks. Everything else takes a [`Clock`], so that tests run on
//! simulated time and a replay gives the same answer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// Nanoseconds since the Unix epoch, UTC; what OTLP calls `time_unix_nano`. Good until the year 2554.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

/// A time as text, held in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rfc3339([u8; Self::BYTES]);

/// A point on a clock that never goes back. Only differences have a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Monotonic(Duration);

/// Where a component gets its time from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall clock. It can be set back by an operator or by time synchronisation.
    fn now(&self) -> Timestamp;
    /// The clock for durations.
    fn monotonic(&self) -> Monotonic;
}

/// The clocks of the machine.
#[derive(Debug)]
#[allow(clippy::disallowed_types, reason = "the clock module is where the machine's clocks are read")]
pub struct SystemClock {
    origin: std::time::Instant,
}

/// A clock that a test moves by hand.
#[derive(Debug, Clone)]
pub struct ManualClock {
    now: Arc<Mutex<(Timestamp, Duration)>>,
}

// === impl Timestamp ===

impl Timestamp {
    /// A time from nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// A time from microseconds since the Unix epoch, PostgreSQL's resolution. Times before 1970 become the epoch.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        Self(u64::try_from(micros).unwrap_or(0).saturating_mul(1_000))
    }

    /// Nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0 / 1_000
    }

    /// Whole seconds since the Unix epoch.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// RFC 3339 with microseconds, in UTC: `2026-11-21T04:43:25.000001Z`. Allocates nothing.
    #[must_use]
    pub fn to_rfc3339(self) -> Rfc3339 {
        let seconds = self.as_secs();
        let (year, month, day) = civil_from_days(seconds / 86_400);
        let of_day = seconds % 86_400;
        let mut text = Rfc3339(*b"0000-00-00T00:00:00.000000Z");
        text.digits::<4>(0, year);
        text.digits::<2>(5, month);
        text.digits::<2>(8, day);
        text.digits::<2>(11, of_day / 3_600);
        text.digits::<2>(14, of_day / 60 % 60);
        text.digits::<2>(17, of_day % 60);
        text.digits::<6>(20, self.as_micros() % 1_000_000);
        text
    }

    /// This time moved forward, stopping at the largest representable one.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.to_rfc3339().as_str())
    }
}

// === impl Rfc3339 ===

impl Rfc3339 {
    /// Every one is this long.
    pub const BYTES: usize = 27;

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ASCII digits and separators are ever written.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Writes `value` with leading zeros into the digits at `at`.
    fn digits<const N: usize>(&mut self, at: usize, mut value: u64) {
        for digit in self.0.iter_mut().skip(at).take(N).rev() {
            *digit = b'0' + u8::try_from(value % 10).unwrap_or(0);
            value /= 10;
        }
    }
}

/// Year, month and day of a count of days since 1970-01-01.
///
/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`, for dates from the epoch on.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

// === impl Monotonic ===

impl Monotonic {
    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// This point moved forward.
    #[must_use]
    pub const fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

// === impl SystemClock ===

#[allow(clippy::disallowed_types, reason = "the clock module is where the machine's clocks are read")]
impl Default for SystemClock {
    fn default() -> Self {
        Self { origin: std::time::Instant::now() }
    }
}

#[allow(clippy::disallowed_types, reason = "the clock module is where the machine's clocks are read")]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_epoch =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX))
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic(self.origin.elapsed())
    }
}

// === impl ManualClock ===

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self { now: Arc::new(Mutex::new((now, Duration::ZERO))) }
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let mut now = self.now.lock();
        *now = (now.0.plus(by), now.1.saturating_add(by));
    }

    /// Sets the wall clock alone, as an operator would.
    pub fn set_wall(&self, wall: Timestamp) {
        self.now.lock().0 = wall;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.now.lock().0
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic(self.now.lock().1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_print_as_rfc_3339() {
        let check = |seconds: u64, expected: &str| {
            assert_eq!(Timestamp::from_nanos(seconds * 1_000_000_000).to_string(), expected);
        };
        check(0, "1970-01-01T00:00:00.000000Z");
        check(951_782_399, "2000-02-28T23:59:59.000000Z");
        check(951_782_400, "2000-02-29T00:00:00.000000Z");
        check(1_795_236_205, "2026-11-21T04:43:25.000000Z");
        check(4_102_444_800, "2100-01-01T00:00:00.000000Z");
    }

    #[test]
    fn a_clock_set_back_gives_no_negative_duration() {
        let clock = ManualClock::at(Timestamp::from_nanos(1_000));
        let before = (clock.now(), clock.monotonic());
        clock.advance(Duration::from_nanos(5));
        clock.set_wall(Timestamp::from_nanos(10));
        assert_eq!(clock.now().since(before.0), Duration::ZERO);
        assert_eq!(clock.monotonic().since(before.1), Duration::from_nanos(5));
    }
}
