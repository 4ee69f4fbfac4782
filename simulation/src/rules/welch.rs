//! Welch's t of all executions before and after, by their sums.

use crate::history::{Block, Hours};

/// Sums over one arm.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Arm {
    calls: f64,
    total_ms: f64,
    square: f64,
}

/// The arm before the flip, and those after it by hour: `after[n]` holds the first n hours.
#[derive(Clone, Debug, Default)]
pub(super) struct Arms {
    pub(super) before: Arm,
    after: Vec<Arm>,
}

// === impl Arm ===

impl Arm {
    /// A block whose squares are unknown is left out.
    fn add(&mut self, block: &Block) {
        if let Some(square) = block.sum_sq {
            self.calls += block.calls as f64;
            self.total_ms += block.total_ms;
            self.square += square;
        }
    }

    pub(super) fn calls(&self) -> f64 {
        self.calls
    }

    pub(super) fn mean(&self) -> f64 {
        self.total_ms / self.calls
    }

    /// Of a single execution, unbiased.
    fn variance(&self) -> f64 {
        let mean = self.mean();
        ((self.square - self.calls * mean * mean) / (self.calls - 1.0)).max(0.0)
    }

    /// Coefficient of variation of a single execution.
    pub(super) fn variation(&self) -> f64 {
        self.variance().sqrt() / self.mean()
    }
}

// === impl Arms ===

impl Arms {
    pub(super) fn new(hours: &Hours) -> Self {
        let mut before = Arm::default();
        hours.before.iter().flatten().for_each(|block| before.add(block));
        let mut sum = Arm::default();
        let mut after = vec![sum];
        for hour in &hours.after {
            if let Some(block) = hour {
                sum.add(block);
            }
            after.push(sum);
        }
        Self { before, after }
    }

    /// The first `hours` after the flip.
    pub(super) fn after(&self, hours: usize) -> Arm {
        self.after.get(hours).or(self.after.last()).copied().unwrap_or_default()
    }

    /// Welch's t; `None` while one of the arms has fewer than two executions.
    pub(super) fn t(&self, hours: usize) -> Option<f64> {
        let (old, new) = (self.before, self.after(hours));
        if old.calls < 2.0 || new.calls < 2.0 {
            return None;
        }
        let error = (old.variance() / old.calls + new.variance() / new.calls).sqrt();
        Some((new.mean() - old.mean()) / error.max(f64::MIN_POSITIVE))
    }
}
