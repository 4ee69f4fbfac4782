//! The adaptive rate: as much as the budget has room for, by what was offered lately.
//!
//! The offer is estimated from what was drawn, one over its probability each, which says how much would be kept at a
//! rate of 1. Counting what was turned down instead would count a session that is turned down at every poll again and
//! again, and the rate would fall for no reason.
//!
//! The rate in force changes only between two time buckets, so that one draw is made with one probability.

use std::time::Duration;

use super::config::AdaptiveSamplerConfig;
use super::decision::TimeBucket;

/// Time over which rates are smoothed: several polls of sessions.
const SMOOTHING: Duration = Duration::from_secs(30);
/// Part of the budget that the rate aims at, so that chance does not make the hard limit cut.
const AIM: f64 = 0.9;
/// First bytes of a kept state.
const STATE_MARK: &[u8] = b"adaptive_sampler/1\n";

/// An average that forgets, per second.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Smoothed {
    sum: f64,
    weight: f64,
}

/// The adaptive rate and what it is derived from.
#[derive(Debug)]
pub(super) struct AdaptiveRate {
    min: f64,
    max: f64,
    in_force: f64,
    next: f64,
    bucket: Option<TimeBucket>,
    /// What would be kept at a rate of 1.
    offered: Smoothed,
    /// What others take from the general part of the budget.
    taken: Smoothed,
    offered_now: f64,
    taken_now: f64,
}

// === impl Smoothed ===

impl Smoothed {
    /// Adds what happened in a span of time.
    pub(super) fn add(&mut self, amount: f64, span: Duration) {
        let keep = (-span.as_secs_f64() / SMOOTHING.as_secs_f64()).exp();
        self.sum = self.sum * keep + amount;
        self.weight = self.weight * keep + span.as_secs_f64();
    }

    /// The average per second; zero where nothing was measured.
    pub(super) fn per_second(&self) -> f64 {
        if self.weight > 0.0 { self.sum / self.weight } else { 0.0 }
    }

    /// What happened lately, the longer ago the less.
    pub(super) const fn sum(&self) -> f64 {
        self.sum
    }
}

// === impl AdaptiveRate ===

impl AdaptiveRate {
    pub(super) fn new(config: &AdaptiveSamplerConfig) -> Self {
        Self {
            min: config.min_rate,
            max: config.max_rate,
            in_force: config.max_rate,
            next: config.max_rate,
            bucket: None,
            offered: Smoothed::default(),
            taken: Smoothed::default(),
            offered_now: 0.0,
            taken_now: 0.0,
        }
    }

    /// The rate of this time bucket.
    pub(super) fn in_bucket(&mut self, bucket: TimeBucket) -> f64 {
        if self.bucket != Some(bucket) {
            self.bucket = Some(bucket);
            self.in_force = self.next;
        }
        self.in_force
    }

    /// The rate in force.
    pub(super) const fn now(&self) -> f64 {
        self.in_force
    }

    /// Records per second that would be kept at a rate of 1.
    pub(super) fn offered_per_second(&self) -> f64 {
        self.offered.per_second()
    }

    /// A record was drawn to be kept with this probability of the adaptive rate.
    pub(super) fn drawn(&mut self, probability: f64) {
        self.offered_now += probability.recip();
    }

    /// A record of a rule with a rate of its own took from the general budget.
    pub(super) fn taken_by_others(&mut self) {
        self.taken_now += 1.0;
    }

    /// Finds the next rate, at the end of a span of time.
    pub(super) fn adapt(&mut self, span: Duration, budget_per_second: f64) {
        self.offered.add(std::mem::take(&mut self.offered_now), span);
        self.taken.add(std::mem::take(&mut self.taken_now), span);
        let left = (budget_per_second * AIM - self.taken.per_second()).max(0.0);
        let offered = self.offered.per_second();
        let wanted = if offered > left { left / offered } else { 1.0 };
        self.next = wanted.clamp(self.min, self.max);
    }

    /// The state as bytes.
    pub(super) fn snapshot(&self) -> Vec<u8> {
        let numbers = [self.next, self.offered.sum, self.offered.weight, self.taken.sum, self.taken.weight];
        let numbers = numbers.iter().flat_map(|number| number.to_le_bytes());
        STATE_MARK.iter().copied().chain(numbers).collect()
    }

    /// Takes a state over; says what is wrong with it otherwise.
    pub(super) fn restore(&mut self, state: &[u8]) -> Result<(), &'static str> {
        let numbers = state.strip_prefix(STATE_MARK).ok_or("it is not of an adaptive_sampler")?;
        let (numbers, rest) = numbers.as_chunks::<8>();
        let numbers: Vec<f64> = numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
        let [next, offered_sum, offered_weight, taken_sum, taken_weight] = *numbers.as_slice() else {
            return Err("it has another length");
        };
        if !rest.is_empty() {
            return Err("it has another length");
        }
        if numbers.iter().any(|number| !number.is_finite() || *number < 0.0) {
            return Err("it has numbers that cannot be");
        }
        // The bounds may have been configured anew.
        self.next = next.clamp(self.min, self.max);
        self.in_force = self.next;
        self.bucket = None;
        self.offered = Smoothed { sum: offered_sum, weight: offered_weight };
        self.taken = Smoothed { sum: taken_sum, weight: taken_weight };
        Ok(())
    }
}

#[cfg(test)]
mod tests;
