//! A rate limit on our own clock.
//!
//! This is the generic cell rate algorithm in its leaky-bucket form (ITU-T I.371 gives both forms, which admit the same
//! cells): each permit raises a level by one, the level sinks with the rate, and a permit is given if the level then
//! does not stand above the burst. The other form keeps a theoretical arrival time, which would have to be converted,
//! and rounded, at every change of the rate. Here all arithmetic is exact: levels are counted in 10⁻¹⁵ permits, rates in
//! 10⁻⁶ permits a second, time in nanoseconds.
//!
//! It is not the crate `governor`: there a limiter has one quota for good, and a new one forgets what was used, while here the
//! rate follows the database and the time of the week; asking takes, while here all gates are asked before anything is taken
//! from any; and a rate or a burst of zero cannot be said. Time is passed in, as everywhere in this crate.
//!
//! Promise: over any window, however the rate changed in it, the permits are at most the burst in force at the last of them
//! plus the integral of the rate. A clock that goes back gives nothing.

use std::time::Duration;

use dbintel_model::Monotonic;

/// One permit in the unit of levels: 10⁻⁶ permits a second times 10⁻⁹ seconds.
const PERMIT: u128 = 1_000_000_000_000_000;
/// The longest wait that is ever told, also where the rate is zero.
const MAX_WAIT: Duration = Duration::from_secs(3_600);
/// The highest rate, in permits a second.
const MAX_PER_SECOND: f64 = 1_000_000.0;

/// A rate, held in millionths of a permit a second. At most a million a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Rate(u64);

/// A limit of permits per time.
#[derive(Clone, Debug)]
pub struct RateLimiter {
    rate: Rate,
    burst: u32,
    level: u128,
    last: Monotonic,
}

// === impl Rate ===

impl Rate {
    /// Permits a second. What is not a number, or negative, is no permit at all.
    #[must_use]
    pub fn per_second(permits: f64) -> Self {
        if permits > 0.0 { Self((permits.min(MAX_PER_SECOND) * 1e6) as u64) } else { Self(0) }
    }

    /// Permits a minute, as [`Self::per_second`].
    #[must_use]
    pub fn per_minute(permits: f64) -> Self {
        Self::per_second(permits / 60.0)
    }

    /// Permits a second.
    #[must_use]
    pub fn as_per_second(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

// === impl RateLimiter ===

impl RateLimiter {
    /// A limiter of which nothing has been used. A `burst` of 0 gives nothing ever.
    #[must_use]
    pub const fn new(now: Monotonic, rate: Rate, burst: u32) -> Self {
        Self { rate, burst, level: 0, last: now }
    }

    /// Whether a permit could be had, without taking it.
    ///
    /// # Errors
    /// How long until there is one, if nobody else takes it; at most an hour.
    pub fn check(&self, now: Monotonic) -> Result<(), Duration> {
        let (level, full) = (self.level_at(now) + PERMIT, u128::from(self.burst) * PERMIT);
        if level <= full {
            return Ok(());
        }
        if self.burst == 0 || self.rate.0 == 0 {
            return Err(MAX_WAIT);
        }
        // Nanoseconds, rounded up, so that asking again after the wait succeeds; a clock that went back must catch up first.
        let nanos = u64::try_from((level - full).div_ceil(u128::from(self.rate.0))).unwrap_or(u64::MAX);
        Err(Duration::from_nanos(nanos).saturating_add(self.last.since(now)).min(MAX_WAIT))
    }

    /// Takes a permit.
    ///
    /// # Errors
    /// As [`Self::check`]; then nothing is taken.
    pub fn try_acquire(&mut self, now: Monotonic) -> Result<(), Duration> {
        self.check(now)?;
        self.settle(now);
        self.level += PERMIT;
        Ok(())
    }

    /// Changes the limit. What was used up to now stays used.
    pub fn set_rate(&mut self, now: Monotonic, rate: Rate, burst: u32) {
        self.settle(now);
        (self.rate, self.burst) = (rate, burst);
    }

    /// The rate in force.
    #[must_use]
    pub const fn rate(&self) -> Rate {
        self.rate
    }

    /// The burst in force, in permits.
    #[must_use]
    pub const fn burst(&self) -> u32 {
        self.burst
    }

    fn level_at(&self, now: Monotonic) -> u128 {
        self.level.saturating_sub(now.since(self.last).as_nanos() * u128::from(self.rate.0))
    }

    fn settle(&mut self, now: Monotonic) {
        self.level = self.level_at(now);
        self.last = self.last.max(now);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at_ms(ms: u64) -> Monotonic {
        Monotonic::default().plus(Duration::from_millis(ms))
    }

    #[test]
    fn the_burst_goes_at_once_and_then_the_rate() {
        let mut limiter = RateLimiter::new(at_ms(0), Rate::per_second(2.0), 3);
        assert!((0..3).all(|_| limiter.try_acquire(at_ms(0)).is_ok()));
        assert_eq!(limiter.try_acquire(at_ms(0)), Err(Duration::from_millis(500)));
        assert_eq!(limiter.try_acquire(at_ms(499)), Err(Duration::from_millis(1)));
        assert_eq!(limiter.try_acquire(at_ms(500)), Ok(()));
        assert!(limiter.try_acquire(at_ms(500)).is_err());
    }

    #[test]
    fn a_clock_that_goes_back_and_a_rate_of_nothing_are_harmless() {
        let mut limiter = RateLimiter::new(at_ms(10_000), Rate::per_second(1.0), 1);
        assert_eq!(limiter.try_acquire(at_ms(10_000)), Ok(()));
        assert_eq!(limiter.try_acquire(at_ms(0)), Err(Duration::from_secs(11)));
        limiter.set_rate(at_ms(0), Rate::per_second(1.0), 1);
        assert!(limiter.try_acquire(at_ms(10_999)).is_err(), "the time between was not counted twice");
        assert_eq!(limiter.try_acquire(at_ms(11_000)), Ok(()));
        limiter.set_rate(at_ms(11_000), Rate::per_second(f64::NAN), 1);
        assert_eq!(limiter.try_acquire(at_ms(99_000)), Err(MAX_WAIT));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Wait(u64),
        Back(u64),
        Ask,
        Set(f64, u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0u64..3_000).prop_map(Step::Wait),
            1 => (0u64..10_000).prop_map(Step::Back),
            12 => Just(Step::Ask),
            2 => (0.0f64..20.0, 0u32..10).prop_map(|(rate, burst)| Step::Set(rate, burst)),
        ]
    }

    proptest! {
        /// Over any window, across changes of rate and burst and with a clock that jumps back: never more than the
        /// burst plus the integral of the rate. The wait that is told is enough and not a nanosecond too long.
        #[test]
        fn no_window_has_more_than_burst_and_rate(steps in prop::collection::vec(step(), 1..150)) {
            let (mut clock, mut rate, mut burst) = (0u64, 5.0f64, 4u32);
            let mut limiter = RateLimiter::new(at_ms(0), Rate::per_second(rate), burst);
            // For each permit: the integral of the rate up to it, and the burst in force.
            let (mut permits, mut integral, mut furthest) = (Vec::<(f64, u32)>::new(), 0.0, 0u64);
            for step in steps {
                match step {
                    Step::Wait(ms) => clock += ms,
                    Step::Back(ms) => clock = clock.saturating_sub(ms),
                    Step::Set(new_rate, new_burst) => {
                        limiter.set_rate(at_ms(clock), Rate::per_second(new_rate), new_burst);
                    }
                    Step::Ask => match limiter.try_acquire(at_ms(clock)) {
                        Ok(()) => {}
                        Err(wait) => {
                            let check = |wait| limiter.check(at_ms(clock).plus(wait));
                            prop_assert!(check(wait).is_ok() || wait == MAX_WAIT);
                            prop_assert!(check(wait.saturating_sub(Duration::from_nanos(1))).is_err());
                            continue;
                        }
                    },
                }
                // Time as the limiter could see it: what passed beyond the furthest point it was shown.
                if matches!(step, Step::Ask | Step::Set(..)) {
                    integral += clock.saturating_sub(furthest) as f64 / 1e3 * rate;
                    furthest = furthest.max(clock);
                }
                match step {
                    Step::Ask => permits.push((integral, burst)),
                    Step::Set(new_rate, new_burst) => (rate, burst) = (new_rate, new_burst),
                    Step::Wait(_) | Step::Back(_) => {}
                }
            }
            for first in 0..permits.len() {
                for last in first..permits.len() {
                    let count = (last - first + 1) as f64;
                    let bound = f64::from(permits[last].1) + permits[last].0 - permits[first].0;
                    prop_assert!(count <= bound + 1e-6, "{count} permits, at most {bound}");
                }
            }
        }
    }
}
