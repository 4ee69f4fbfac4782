//! Rules as they are often built.

use super::welch::Arms;
use crate::history::History;
use crate::rule::{Level, Rule};

/// Limits of t for each level.
const T_LIMITS: [(f64, Level); 3] = [(100.0, Level::Auto), (50.0, Level::Manual), (10.0, Level::Careful)];
/// How much worse a mean may be.
const WORSE: f64 = 1.25;

/// Welch's t of all executions, and nothing else: above 10, 50, 100.
#[derive(Debug, Default)]
pub struct RawT {
    arms: Arms,
}

/// The mean is 25 % above the mean before. It knows one level: act.
#[derive(Debug, Default)]
pub struct MeanWorse {
    arms: Arms,
}

/// The level that a value of t allows.
pub(super) fn level_of(t: f64) -> Level {
    T_LIMITS.iter().find(|(limit, _)| t > *limit).map_or(Level::Insufficient, |(_, level)| *level)
}

// === impl RawT ===

impl Rule for RawT {
    fn name(&self) -> &'static str {
        "raw t > 10 / 50 / 100"
    }

    fn start(&mut self, case: &History) {
        self.arms = Arms::new(&case.hours());
    }

    fn judge(&mut self, _: &History, now_hour: usize) -> Level {
        self.arms.t(now_hour).map_or(Level::Insufficient, level_of)
    }
}

// === impl MeanWorse ===

impl Rule for MeanWorse {
    fn name(&self) -> &'static str {
        "mean 25 % worse"
    }

    fn start(&mut self, case: &History) {
        self.arms = Arms::new(&case.hours());
    }

    fn judge(&mut self, _: &History, now_hour: usize) -> Level {
        let worse = self.arms.after(now_hour).mean() > WORSE * self.arms.before.mean();
        if worse { Level::Auto } else { Level::Insufficient }
    }
}

#[cfg(test)]
mod tests;
