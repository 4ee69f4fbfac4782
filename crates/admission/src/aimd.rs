//! A rate that follows how the database does: additive increase, multiplicative decrease.
//!
//! Chiu and Jain, "Analysis of the Increase and Decrease Algorithms for Congestion Avoidance in Computer Networks", 1989.
//! Only outcomes of the database move it. What we rejected ourselves says nothing about the database, so there is no way
//! to tell it about a rejection.

use std::time::Duration;

use dbintel_model::Monotonic;

/// Settings of [`Aimd`] and [`Baseline`].
#[derive(Clone, Debug, PartialEq)]
pub struct AimdConfig {
    /// The rate never falls below this, in permits a second. Default 0.5.
    pub floor: f64,
    /// What is added in an interval without a bad sign, in permits a second. Default 0.5.
    pub increase: f64,
    /// What the rate is multiplied with at a bad sign; between 0 and 1. Default 0.5.
    pub decrease: f64,
    /// At most one decrease, and one increase, in this time. Default 10 s.
    pub interval: Duration,
    /// A latency above this multiple of the moving baseline is a bad sign. Default 4.
    pub latency_multiple: f64,
    /// Latencies below this are never a bad sign, whatever the baseline: the noise of a fast query. Default 50 ms.
    pub latency_floor: Duration,
    /// Weight of a new latency in the baseline; between 0 and 1. Default 0.05.
    pub baseline_weight: f64,
    /// Latencies needed before any is judged. Default 10.
    pub baseline_samples: u32,
}

/// What an outcome says about the rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The database answered as usual.
    Good,
    /// It failed in a way that concerns more than one query, or was much slower than usual.
    Bad,
}

/// A rate between floor and ceiling.
#[derive(Clone, Debug)]
pub struct Aimd {
    config: AimdConfig,
    ceiling: f64,
    rate: f64,
    last_increase: Monotonic,
    last_decrease: Option<Monotonic>,
}

/// The usual latency of one query: an exponentially weighted mean that no single outlier can move far.
#[derive(Clone, Debug, Default)]
pub struct Baseline {
    mean_secs: f64,
    samples: u32,
}

// === impl AimdConfig ===

impl Default for AimdConfig {
    fn default() -> Self {
        Self {
            floor: 0.5,
            increase: 0.5,
            decrease: 0.5,
            interval: Duration::from_secs(10),
            latency_multiple: 4.0,
            latency_floor: Duration::from_millis(50),
            baseline_weight: 0.05,
            baseline_samples: 10,
        }
    }
}

impl AimdConfig {
    /// For a rate that is small beside the one this is for, in permits of any time, with this ceiling: it never falls below a quarter of that, and a
    /// tenth of it comes back in an interval.
    #[must_use]
    pub fn in_parts_of(&self, ceiling: f64) -> Self {
        Self { floor: ceiling / 4.0, increase: ceiling / 10.0, ..self.clone() }
    }
}

// === impl Aimd ===

impl Aimd {
    /// Begins at the ceiling, in permits a second.
    #[must_use]
    pub fn new(config: AimdConfig, now: Monotonic, ceiling: f64) -> Self {
        Self { config, ceiling, rate: ceiling, last_increase: now, last_decrease: None }
    }

    /// Learns from an outcome; the new rate if it changed, in permits a second.
    pub fn observe(&mut self, now: Monotonic, signal: Signal) -> Option<f64> {
        let before = self.rate;
        let interval = self.config.interval;
        match signal {
            Signal::Bad if self.last_decrease.is_none_or(|last| now.since(last) >= interval) => {
                self.rate *= self.config.decrease.clamp(0.0, 1.0);
                self.last_decrease = Some(now);
                self.last_increase = now;
            }
            Signal::Good if now.since(self.last_increase) >= interval => {
                self.rate += self.config.increase.max(0.0);
                self.last_increase = now;
            }
            Signal::Bad | Signal::Good => {}
        }
        self.clamp();
        (self.rate != before).then_some(self.rate)
    }

    /// Sets the ceiling, as a schedule does. A rate that stood at the old ceiling goes with it, one that the database had
    /// pressed down stays where it is.
    pub fn set_ceiling(&mut self, ceiling: f64) -> f64 {
        let free = self.rate >= self.ceiling;
        self.ceiling = ceiling;
        if free {
            self.rate = ceiling;
        }
        self.clamp();
        self.rate
    }

    /// The same for a rate whose floor and increase are parts of its ceiling.
    pub fn set_ceiling_in_parts(&mut self, ceiling: f64) -> f64 {
        self.config = self.config.in_parts_of(ceiling);
        self.set_ceiling(ceiling)
    }

    /// The rate in permits a second.
    #[must_use]
    pub const fn rate(&self) -> f64 {
        self.rate
    }

    /// The ceiling wins over the floor: it is what a person allowed.
    fn clamp(&mut self) {
        self.rate = self.rate.max(self.config.floor).min(self.ceiling);
    }
}

// === impl Baseline ===

impl Baseline {
    /// Takes a latency in, and says whether it was far above the usual.
    pub fn judge(&mut self, config: &AimdConfig, latency: Duration) -> Signal {
        let secs = latency.as_secs_f64();
        let limit = (self.mean_secs * config.latency_multiple).max(config.latency_floor.as_secs_f64());
        let known = self.samples >= config.baseline_samples;
        // An outlier counts as the limit, so that it takes many, and then a new normal, to move the mean.
        let counted = if known { secs.min(limit) } else { secs };
        let weight = if known { config.baseline_weight } else { 1.0 / (f64::from(self.samples) + 1.0) };
        self.mean_secs += (counted - self.mean_secs) * weight.clamp(0.0, 1.0);
        self.samples = self.samples.saturating_add(1);
        if known && secs > limit { Signal::Bad } else { Signal::Good }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(secs: u64) -> Monotonic {
        Monotonic::default().plus(Duration::from_secs(secs))
    }

    #[test]
    fn it_falls_at_once_and_rises_slowly() {
        let mut aimd = Aimd::new(AimdConfig::default(), at(0), 10.0);
        assert_eq!(aimd.observe(at(1), Signal::Bad), Some(5.0));
        assert_eq!(aimd.observe(at(2), Signal::Bad), None, "once in an interval");
        assert_eq!(aimd.observe(at(10), Signal::Good), None, "not yet");
        assert_eq!(aimd.observe(at(11), Signal::Good), Some(5.5));
        assert_eq!(aimd.observe(at(12), Signal::Good), None, "once in an interval");
        assert_eq!(aimd.set_ceiling(3.0), 3.0);
        assert_eq!(aimd.set_ceiling(20.0), 20.0, "it was at its ceiling");
    }

    #[test]
    fn only_a_latency_far_above_the_usual_is_bad_until_it_is_usual() {
        let (config, mut baseline) = (AimdConfig::default(), Baseline::default());
        let ms = Duration::from_millis;
        assert!((0..10).all(|_| baseline.judge(&config, ms(100)) == Signal::Good));
        assert_eq!(baseline.judge(&config, ms(390)), Signal::Good);
        assert_eq!(baseline.judge(&config, ms(60_000)), Signal::Bad);
        assert_eq!(baseline.judge(&config, ms(100)), Signal::Good);
        let bad = (0..1_000).filter(|_| baseline.judge(&config, ms(1_000)) == Signal::Bad).count();
        assert!((1..50).contains(&bad), "a new normal is accepted after {bad}");
    }

    proptest! {
        #[test]
        fn the_rate_stays_between_floor_and_ceiling_and_falls_once_an_interval(
            steps in prop::collection::vec((0u64..15, any::<bool>()), 1..200), ceiling in 0.1f64..100.0,
        ) {
            let config = AimdConfig::default();
            let (mut aimd, mut now, mut fell) = (Aimd::new(config.clone(), at(0), ceiling), at(0), None);
            for (secs, good) in steps {
                now = now.plus(Duration::from_secs(secs));
                let before = aimd.rate();
                aimd.observe(now, if good { Signal::Good } else { Signal::Bad });
                prop_assert!(aimd.rate() <= ceiling && aimd.rate() >= config.floor.min(ceiling));
                prop_assert!(aimd.rate() >= before * config.decrease);
                if aimd.rate() < before {
                    prop_assert!(!good && fell.is_none_or(|last| now.since(last) >= config.interval));
                    fell = Some(now);
                }
            }
        }
    }
}
