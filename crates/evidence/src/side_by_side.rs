//! Two plans of one statement compared directly, where executions are timed plan by plan.
//!
//! It answers one question: do executions with the new plan take longer than those with the old one? It does not say that the
//! plan is why. A server that chooses plans by values gives the longer one to the values that take longer; so what is found
//! here lowers a category, and never raises it.

use crate::moments::Moments;
use crate::ratio::{Bounds, Mean, fieller};
use crate::student::{MeanError, Welch, welch};

/// Fewer executions of either plan are not compared: below, the distribution of their mean is not known.
pub const TIMED_EXECUTIONS_MIN: f64 = 30.0;

/// What executions with the new plan took, against those with the old one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SideBySide {
    /// Executions with the old plan, in milliseconds.
    pub old: Moments,
    /// Executions with the new plan.
    pub new: Moments,
    /// Welch's t of their means.
    pub welch: Option<Welch>,
    /// Mean with the new plan by mean with the old one, with Fieller's bounds; `None` where the mean of the old one cannot be
    /// told from zero.
    pub ratio: Option<Bounds>,
}

impl SideBySide {
    /// Compares them at `z` standard errors. `None` where there are too few executions of either, or their spread is not known.
    #[must_use]
    pub fn of(old: Moments, new: Moments, z: f64) -> Option<Self> {
        if old.count < TIMED_EXECUTIONS_MIN || new.count < TIMED_EXECUTIONS_MIN {
            return None;
        }
        let errors = (MeanError::of_executions(&old)?, MeanError::of_executions(&new)?);
        let mean = |error: &MeanError| Mean { mean: error.mean, variance: error.variance };
        let ratio = fieller(mean(&errors.0), mean(&errors.1), z);
        Some(Self { old, new, welch: welch(&errors.0, &errors.1), ratio })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn executions(count: f64, mean: f64, variation: f64) -> Moments {
        Moments::from_average(count, mean, variation * mean)
    }

    #[test]
    fn means_are_compared_where_there_are_enough_executions() {
        let compared = SideBySide::of(executions(400.0, 10.0, 1.0), executions(100.0, 30.0, 1.0), 3.0);
        let ratio = compared.and_then(|compared| compared.ratio).expect("there are enough");
        assert!((ratio.estimate - 3.0).abs() < 1e-12);
        // The errors of the means are 0.5 and 3: by hand, g = 9 * 0.25 / 100 = 0.0225 and
        // (3 -+ 0.3 * sqrt(9 * 0.9775 + 9 * 0.25)) / 0.9775, with the variances of samples, which are a little larger.
        assert!((ratio.low - 2.05).abs() < 0.02 && (ratio.high - 4.09).abs() < 0.02, "{ratio:?}");
        for (old, new) in [(29.0, 100.0), (100.0, 29.0)] {
            let few = SideBySide::of(executions(old, 10.0, 1.0), executions(new, 30.0, 1.0), 3.0);
            assert_eq!(few, None);
        }
    }

    #[test]
    fn a_mean_that_cannot_be_told_from_zero_gives_no_ratio() {
        let compared = SideBySide::of(executions(30.0, 10.0, 9.0), executions(30.0, 10.0, 0.1), 3.0);
        assert_eq!(compared.map(|compared| compared.ratio), Some(None));
    }

    #[test]
    fn executions_of_which_the_spread_is_not_known_are_not_compared() {
        let unknown = Moments { count: 100.0, mean: 10.0, squared_deviations: None };
        assert_eq!(SideBySide::of(unknown, executions(100.0, 10.0, 1.0), 3.0), None);
    }
}
