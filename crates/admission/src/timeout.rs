//! Time-outs that follow what a query usually takes.
//!
//! The time-out is the 99th percentile (nearest rank) of the last 256 durations, times a factor, within base and maximum;
//! base alone until enough have been seen. A statement that ran into its time-out is a censored sample: it took at least
//! that long, so it counts as the time-out that was in force. Counted as nothing, a query that has become slower could never
//! finish again; counted as the maximum, three time-outs would let every statement hold on to a struggling database for the
//! longest time there is.
//!
//! Memory: up to 256 `u32`, as they come.

use std::time::Duration;

/// Most durations held.
const MAX_SAMPLES: usize = 256;

/// Settings of an adaptive time-out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeoutConfig {
    /// The shortest, and the one that holds until enough is known. Default 2 s.
    pub base: Duration,
    /// The longest. Default 10 s.
    pub max: Duration,
    /// What the percentile is multiplied with. Default 3.
    pub factor: f64,
    /// Durations needed before they count. Default 20.
    pub min_samples: usize,
}

/// The time-out of one query.
#[derive(Clone, Debug)]
pub struct AdaptiveTimeout {
    config: TimeoutConfig,
    /// A ring once it is full, in microseconds.
    samples: Vec<u32>,
    next: usize,
    current: Duration,
}

// === impl TimeoutConfig ===

impl Default for TimeoutConfig {
    fn default() -> Self {
        Self { base: Duration::from_secs(2), max: Duration::from_secs(10), factor: 3.0, min_samples: 20 }
    }
}

// === impl AdaptiveTimeout ===

impl AdaptiveTimeout {
    /// Bytes of all durations, when there are enough of them.
    pub(crate) const HEAP_BYTES_MAX: usize = MAX_SAMPLES * size_of::<u32>();

    /// Nothing seen yet: base.
    #[must_use]
    pub fn new(config: TimeoutConfig) -> Self {
        Self { config, samples: Vec::new(), next: 0, current: config.base.min(config.max) }
    }

    /// A statement that ended, well or not.
    pub fn completed(&mut self, took: Duration) {
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        match self.samples.get_mut(self.next) {
            Some(sample) => *sample = micros,
            None => self.samples.push(micros),
        }
        self.next = (self.next + 1) % MAX_SAMPLES;
        self.current = self.compute();
    }

    /// A statement that was cancelled at `in_force`, by the server or by us.
    pub fn timed_out(&mut self, in_force: Duration) {
        self.completed(in_force);
    }

    /// The time-out to set.
    #[must_use]
    pub const fn current(&self) -> Duration {
        self.current
    }

    /// Durations held.
    #[must_use]
    pub const fn samples(&self) -> usize {
        self.samples.len()
    }

    fn compute(&self) -> Duration {
        let TimeoutConfig { base, max, factor, min_samples } = self.config;
        let mut sorted = self.samples.clone();
        let rank = (sorted.len() * 99).div_ceil(100).saturating_sub(1);
        if sorted.len() < min_samples.clamp(1, MAX_SAMPLES) || rank >= sorted.len() {
            return base.min(max);
        }
        let (_, p99, _) = sorted.select_nth_unstable(rank);
        let secs = f64::from(*p99) / 1e6 * factor;
        Duration::try_from_secs_f64(secs).unwrap_or(base).max(base).min(max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(durations_ms: impl IntoIterator<Item = u64>) -> AdaptiveTimeout {
        let mut timeout = AdaptiveTimeout::new(TimeoutConfig::default());
        durations_ms.into_iter().for_each(|ms| timeout.completed(Duration::from_millis(ms)));
        timeout
    }

    #[test]
    fn it_follows_the_percentile_within_base_and_maximum() {
        let check = |timeout: &AdaptiveTimeout, ms| assert_eq!(timeout.current(), Duration::from_millis(ms));
        check(&seen([]), 2_000);
        check(&seen([1_000; 19]), 2_000);
        check(&seen([1_000; 20]), 3_000);
        check(&seen([1; 20]), 2_000);
        check(&seen([60_000; 20]), 10_000);
        // The 99th of a hundred.
        check(&seen((1..=100).map(|n| n * 10)), 2_970);
        // What fell out of the ring is forgotten.
        check(&seen([3_000; 100].into_iter().chain([800; 256])), 2_400);
    }

    #[test]
    fn a_timed_out_statement_counts_as_the_time_it_was_given() {
        let mut timeout = seen([900; 100]);
        assert_eq!(timeout.current(), Duration::from_millis(2_700));
        timeout.timed_out(timeout.current());
        assert_eq!(timeout.current(), Duration::from_millis(2_700), "one in a hundred is the tail");
        timeout.timed_out(timeout.current());
        assert_eq!(timeout.current(), Duration::from_millis(8_100), "not the maximum at once");
    }

    proptest! {
        #[test]
        fn it_is_always_within_its_bounds(
            durations in prop::collection::vec(any::<u64>(), 0..600), base in 0u64..20_000, max in 1u64..20_000, factor: f64,
        ) {
            let ms = Duration::from_millis;
            let config = TimeoutConfig { base: ms(base), max: ms(max), factor, min_samples: 5 };
            let mut timeout = AdaptiveTimeout::new(config);
            for nanos in durations {
                timeout.completed(Duration::from_nanos(nanos));
                prop_assert!(timeout.current() >= ms(base.min(max)) && timeout.current() <= ms(max));
                prop_assert!(timeout.samples() <= MAX_SAMPLES);
            }
        }
    }
}
