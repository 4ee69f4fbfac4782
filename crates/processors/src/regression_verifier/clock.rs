//! From the server's clock to blocks and back.
//!
//! An hour's place is its number by the clock on the wall of the configured zone, so that hours of day stay hours of day when the
//! zone changes its offset: in autumn two hours of time are added into one block, in spring one block is missing. Under
//! acceleration there are no hours of day of a zone, and places are counted by UTC.

use dbintel_evidence::{Acceleration, TimeScale};
use dbintel_model::Timestamp;
use jiff::tz::TimeZone;

/// Seconds of an hour, and of a short block, where time runs as it is.
const HOUR_SECONDS: f64 = 3_600.0;
const SHORT_SECONDS: f64 = 600.0;
/// A block is judged this share of a block after its end, so that the interval that ends it is there.
const GRACE: f64 = 0.1;
/// For how long an offset of the zone holds at least: zones change theirs at full quarters of an hour.
const OFFSET_HOLDS_SECONDS: i64 = 900;

/// Which blocks a time belongs to.
#[derive(Clone, Debug)]
pub(super) struct BlockClock {
    zone: TimeZone,
    hours: TimeScale,
    shorts: TimeScale,
    /// The offset of the quarter of an hour that was looked up last.
    known: (i64, i64),
}

/// The places of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) hour: i64,
    pub(super) short: i64,
}

// === impl BlockClock ===

/// Hours of UTC, time as it is.
impl Default for BlockClock {
    fn default() -> Self {
        let shorts = TimeScale::try_new(SHORT_SECONDS, Acceleration::NONE).unwrap_or(TimeScale::HOURLY);
        Self { zone: TimeZone::UTC, hours: TimeScale::HOURLY, shorts, known: (i64::MIN, 0) }
    }
}

impl BlockClock {
    /// `None` where blocks would be too short.
    pub(super) fn try_new(zone: TimeZone, acceleration: Acceleration) -> Option<Self> {
        let scale = |seconds: f64| TimeScale::try_new(seconds / acceleration.factor(), acceleration);
        let zone = if acceleration.is_on() { TimeZone::UTC } else { zone };
        let (hours, shorts) = (scale(HOUR_SECONDS)?, scale(SHORT_SECONDS)?);
        Some(Self { zone, hours, shorts, known: (i64::MIN, 0) })
    }

    pub(super) fn hours(&self) -> TimeScale {
        self.hours
    }

    pub(super) fn shorts(&self) -> TimeScale {
        self.shorts
    }

    /// The blocks that a time lies in.
    pub(super) fn places(&mut self, at: Timestamp) -> Places {
        let seconds = self.wall_seconds(at);
        let place = |scale: TimeScale| (seconds / scale.block_seconds()).floor() as i64;
        Places { hour: place(self.hours), short: place(self.shorts) }
    }

    /// The blocks of which everything has been told, or should have been.
    pub(super) fn closed(&mut self, now: Timestamp) -> Places {
        let seconds = self.wall_seconds(now);
        let place = |scale: TimeScale| (seconds / scale.block_seconds() - GRACE).floor() as i64;
        Places { hour: place(self.hours), short: place(self.shorts) }
    }

    /// The first blocks that begin at this time or after it.
    pub(super) fn from(&mut self, at: Timestamp) -> Places {
        let seconds = self.wall_seconds(at);
        let place = |scale: TimeScale| (seconds / scale.block_seconds()).ceil() as i64;
        Places { hour: place(self.hours), short: place(self.shorts) }
    }

    /// When an hour begins.
    pub(super) fn hour_begins(&mut self, place: i64) -> Timestamp {
        let wall = place as f64 * self.hours.block_seconds();
        // The offset at the time that the offset itself leads to: right but for the hours of a change.
        let guess = wall - self.offset(wall as i64) as f64;
        let seconds = wall - self.offset(guess as i64) as f64;
        Timestamp::from_nanos((seconds.max(0.0) * 1e9) as u64)
    }

    fn wall_seconds(&mut self, at: Timestamp) -> f64 {
        let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
        at.as_nanos() as f64 / 1e9 + self.offset(seconds) as f64
    }

    /// Seconds by which the zone is ahead of UTC.
    fn offset(&mut self, seconds: i64) -> i64 {
        let quarter = seconds.div_euclid(OFFSET_HOLDS_SECONDS);
        if self.known.0 != quarter {
            let at = jiff::Timestamp::from_second(quarter.saturating_mul(OFFSET_HOLDS_SECONDS));
            let offset = at.map_or(0, |at| self.zone.to_offset(at).seconds());
            self.known = (quarter, offset.into());
        }
        self.known.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(zone: &str, acceleration: f64) -> BlockClock {
        let acceleration = Acceleration::try_new(acceleration).unwrap();
        BlockClock::try_new(TimeZone::get(zone).unwrap(), acceleration).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        let at: jiff::Timestamp = text.parse().unwrap();
        Timestamp::from_nanos(u64::try_from(at.as_nanosecond()).unwrap())
    }

    fn hour_of_day(clock: &mut BlockClock, text: &str) -> i64 {
        clock.places(at(text)).hour.rem_euclid(24)
    }

    /// What happens at nine o'clock happens at nine o'clock, in summer and in winter, whatever UTC says.
    #[test]
    fn hours_of_day_are_those_of_the_zone() {
        let mut berlin = clock("Europe/Berlin", 1.0);
        assert_eq!(hour_of_day(&mut berlin, "2026-10-24T07:30:00Z"), 9);
        assert_eq!(hour_of_day(&mut berlin, "2026-10-26T08:30:00Z"), 9);
        assert_eq!(hour_of_day(&mut clock("UTC", 1.0), "2026-10-26T08:30:00Z"), 8);
        // A zone with a quarter of an hour in its offset.
        assert_eq!(hour_of_day(&mut clock("Asia/Kathmandu", 1.0), "2026-10-26T08:20:00Z"), 14);
    }

    #[test]
    fn an_hour_begins_where_its_place_says() {
        for zone in ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"] {
            let mut clock = clock(zone, 1.0);
            for hour in ["2026-10-24T07:30:00Z", "2026-03-01T00:10:00Z"] {
                let place = clock.places(at(hour)).hour;
                let begins = clock.hour_begins(place);
                assert_eq!(clock.places(begins).hour, place, "{zone}");
                assert_eq!(clock.from(begins).hour, place);
                assert!(at(hour).since(begins).as_secs() < 3_600);
            }
        }
    }

    #[test]
    fn acceleration_shortens_blocks_and_keeps_their_number_in_a_day() {
        let mut fast = clock("Europe/Berlin", 360.0);
        assert_eq!((fast.hours().blocks_per_day(), fast.shorts().blocks_per_day()), (24, 144));
        let (one, other) = (fast.places(at("2026-10-24T07:30:00Z")), fast.places(at("2026-10-24T07:30:10Z")));
        assert_eq!((other.hour - one.hour, other.short - one.short), (1, 6));
    }

    #[test]
    fn a_block_is_over_a_little_after_its_end() {
        let mut utc = clock("UTC", 1.0);
        let before = utc.closed(at("2026-10-24T08:05:59Z")).hour;
        let after = utc.closed(at("2026-10-24T08:06:01Z")).hour;
        assert_eq!((after - before, after), (1, utc.places(at("2026-10-24T08:06:01Z")).hour));
    }
}
