//! How long a block is, and how much faster than life time runs in a test.

/// An acceleration beyond this makes a day shorter than a second.
const ACCELERATION_MAX: f64 = 86_400.0;

/// The longest block is a day.
const BLOCK_SECONDS_MAX: f64 = 86_400.0;

/// The shortest block is a millisecond.
const BLOCK_SECONDS_MIN: f64 = 0.001;

/// A day has at most this many blocks, so that the table of the hours of a day stays small.
const BLOCKS_PER_DAY_MAX: f64 = 1_440.0;

const SECONDS_PER_DAY: f64 = 86_400.0;
const SECONDS_PER_HOUR: f64 = 3_600.0;

/// How many times faster than life time runs, in tests and demonstrations.
///
/// It divides the length of blocks and days and the patience. It lowers no count, no t, no z and no ratio, and a verdict made
/// under it is never more than [`crate::Category::Careful`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Acceleration(f64);

/// The length of blocks, and with the acceleration the number of blocks in a day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeScale {
    block_seconds: f64,
    acceleration: Acceleration,
}

// === impl Acceleration ===

impl Acceleration {
    /// Time as it is.
    pub const NONE: Self = Self(1.0);

    /// An acceleration of at least 1.
    #[must_use]
    pub fn try_new(factor: f64) -> Option<Self> {
        (1.0..=ACCELERATION_MAX).contains(&factor).then_some(Self(factor))
    }

    /// How many times faster than life.
    #[must_use]
    pub fn factor(self) -> f64 {
        self.0
    }

    /// Whether time does not run as it is.
    #[must_use]
    pub fn is_on(self) -> bool {
        self.0 > 1.0
    }
}

// === impl TimeScale ===

impl TimeScale {
    /// Blocks of an hour, time as it is.
    pub const HOURLY: Self = Self { block_seconds: SECONDS_PER_HOUR, acceleration: Acceleration::NONE };

    /// Blocks of this length as the clock shows them, which is already divided by the acceleration.
    ///
    /// `None` for lengths that are no length, or of which a day has none or more than 1,440.
    #[must_use]
    pub fn try_new(block_seconds: f64, acceleration: Acceleration) -> Option<Self> {
        if !(BLOCK_SECONDS_MIN..=BLOCK_SECONDS_MAX).contains(&block_seconds) {
            return None;
        }
        let per_day = SECONDS_PER_DAY / acceleration.0 / block_seconds;
        (0.5..=BLOCKS_PER_DAY_MAX).contains(&per_day).then_some(Self { block_seconds, acceleration })
    }

    /// Seconds of a block as the clock shows them.
    #[must_use]
    pub fn block_seconds(self) -> f64 {
        self.block_seconds
    }

    /// The acceleration.
    #[must_use]
    pub fn acceleration(self) -> Acceleration {
        self.acceleration
    }

    /// Blocks in an (accelerated) day.
    #[must_use]
    pub fn blocks_per_day(self) -> i64 {
        (SECONDS_PER_DAY / self.acceleration.0 / self.block_seconds).round().max(1.0) as i64
    }

    /// (Accelerated) hours that so many blocks last.
    #[must_use]
    pub fn hours(self, blocks: i64) -> f64 {
        blocks as f64 * self.block_seconds * self.acceleration.0 / SECONDS_PER_HOUR
    }

    /// Blocks in so many (accelerated) hours, at least one.
    #[must_use]
    pub fn blocks_in(self, hours: f64) -> i64 {
        let blocks = hours * SECONDS_PER_HOUR / (self.block_seconds * self.acceleration.0);
        (blocks.round() as i64).max(1)
    }

    /// How many of these blocks a real day has. Time lost per day is a share of real time, which acceleration leaves alone.
    pub(crate) fn blocks_per_real_day(self) -> f64 {
        SECONDS_PER_DAY / self.block_seconds
    }
}

#[cfg(test)]
mod tests;
