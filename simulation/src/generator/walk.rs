//! A quantity that wanders around 0 and forgets where it was: AR(1).

use crate::rng::Rng;

/// How far it wanders, and how slowly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wander {
    /// Standard deviation over a long time.
    pub sd: f64,
    /// Correlation of values an hour apart.
    pub hourly_correlation: f64,
}

/// It, under way.
#[derive(Clone, Debug)]
pub struct Walk {
    value: f64,
    keep: f64,
    step: f64,
}

// === impl Wander ===

impl Wander {
    /// Drawn from two ranges.
    pub fn draw(rng: &mut Rng, sd: (f64, f64), hourly_correlation: (f64, f64)) -> Self {
        Self { sd: rng.between(sd), hourly_correlation: rng.between(hourly_correlation) }
    }

    /// Begins somewhere it would be found after a long time.
    pub fn begin(self, rng: &mut Rng, steps_per_hour: usize) -> Walk {
        let keep = self.hourly_correlation.powf(1.0 / steps_per_hour as f64);
        Walk { value: self.sd * rng.normal(), keep, step: self.sd * (1.0 - keep * keep).sqrt() }
    }
}

// === impl Walk ===

impl Walk {
    /// The next value.
    pub fn next(&mut self, rng: &mut Rng) -> f64 {
        self.value = self.keep * self.value + self.step * rng.normal();
        self.value
    }
}
