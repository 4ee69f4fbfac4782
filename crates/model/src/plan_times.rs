//! How long executions of a statement took, plan by plan.

/// Plans of a statement whose executions are told, of each [`PlanTimesSource`].
pub const MAX_TIMED_PLANS: usize = 4;

/// Executions of one plan of a statement, since somebody began to time them. Those of long ago may weigh less.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlanTimes {
    /// Exact fingerprint of the plan.
    pub plan: u128,
    /// Who timed them.
    pub source: PlanTimesSource,
    /// How many.
    pub executions: u64,
    /// Their mean, in milliseconds.
    pub mean_ms: f64,
    /// Sum of the squares of their distances from the mean, in square milliseconds.
    pub squared_deviations_ms2: f64,
}

/// Who timed executions by plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlanTimesSource {
    /// `auto_explain`, all executions or a random part of them.
    ServerLog,
    /// An extension with counters for each plan.
    Extension,
}

// === impl PlanTimes ===

impl PlanTimes {
    /// A plan of which no execution was timed yet.
    #[must_use]
    pub const fn new(plan: u128, source: PlanTimesSource) -> Self {
        Self { plan, source, executions: 0, mean_ms: 0.0, squared_deviations_ms2: 0.0 }
    }

    /// Adds one execution, by Welford's recurrence (B. P. Welford, *Note on a method for calculating corrected sums of squares
    /// and products*, 1962).
    #[allow(clippy::cast_precision_loss, reason = "a count below 2^53")]
    pub fn note(&mut self, ms: f64) {
        self.executions += 1;
        let distance = ms - self.mean_ms;
        self.mean_ms += distance / self.executions as f64;
        self.squared_deviations_ms2 += distance * (ms - self.mean_ms);
    }

    /// Adds executions of the same plan that were timed elsewhere, as Chan, Golub and LeVeque (1983) do.
    #[allow(clippy::cast_precision_loss, reason = "counts below 2^53")]
    pub fn merge(&mut self, other: &Self) {
        let (own, others) = (self.executions as f64, other.executions as f64);
        if others <= 0.0 {
            return;
        }
        let (all, distance) = (own + others, other.mean_ms - self.mean_ms);
        self.executions += other.executions;
        self.mean_ms += distance * others / all;
        self.squared_deviations_ms2 +=
            other.squared_deviations_ms2 + distance * distance * own * others / all;
    }

    /// What was added since `before`, the same counters at an earlier time; `None` where they do not continue it, or nothing was.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "counts below 2^53")]
    pub fn since(&self, before: &Self) -> Option<Self> {
        let executions = self.executions.checked_sub(before.executions).filter(|count| *count > 0)?;
        let (first, added, all) = (before.executions as f64, executions as f64, self.executions as f64);
        let mean_ms = (all * self.mean_ms - first * before.mean_ms) / added;
        let distance = mean_ms - before.mean_ms;
        let squares = self.squared_deviations_ms2
            - before.squared_deviations_ms2
            - distance * distance * first * added / all;
        let is_sound = mean_ms.is_finite() && mean_ms >= 0.0 && squares.is_finite();
        is_sound.then_some(Self { executions, mean_ms, squared_deviations_ms2: squares.max(0.0), ..*self })
    }

    /// Lets more executions than `max` weigh half as much as so many, so that what comes now counts. The mean stays.
    #[allow(clippy::cast_precision_loss, reason = "counts below 2^53")]
    pub fn fade(&mut self, max: u64) {
        if self.executions > max {
            let left = max / 2;
            self.squared_deviations_ms2 *= left as f64 / self.executions as f64;
            self.executions = left;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(times: &[f64]) -> PlanTimes {
        let mut all = PlanTimes::new(1, PlanTimesSource::ServerLog);
        times.iter().for_each(|ms| all.note(*ms));
        all
    }

    proptest! {
        #[test]
        fn one_by_one_or_in_parts_they_are_the_sums_of_all(
            times in prop::collection::vec(0.001_f64..1e6, 1..50),
            cut in 0_usize..50,
        ) {
            let (first, second) = times.split_at(cut.min(times.len()));
            let mut merged = of(first);
            merged.merge(&of(second));
            let count = times.len() as f64;
            let mean = times.iter().sum::<f64>() / count;
            let squares: f64 = times.iter().map(|ms| (ms - mean).powi(2)).sum();
            let since = of(&times).since(&of(first));
            prop_assert_eq!(since.is_some(), !second.is_empty());
            for since in since.into_iter().filter(|_| first.len() > 1 && second.len() > 1) {
                prop_assert_eq!(since.executions, second.len() as u64);
                prop_assert!((since.mean_ms - of(second).mean_ms).abs() <= 1e-6 * mean.max(1.0) * count);
            }
            for found in [of(&times), merged] {
                prop_assert_eq!(found.executions, times.len() as u64);
                prop_assert!((found.mean_ms - mean).abs() <= 1e-9 * mean);
                prop_assert!((found.squared_deviations_ms2 - squares).abs() <= 1e-6 * squares.max(mean * mean));
            }
        }
    }
}
