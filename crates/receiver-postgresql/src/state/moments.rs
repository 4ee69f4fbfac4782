//! Mean and variance of one interval, from two cumulative (count, sum, mean, standard deviation) readings.
//!
//! The merge formula of Chan, Golub and LeVeque (1979) solved for the unknown part, with a bound on the rounding that
//! the cumulative numbers carry: one huge outlier anywhere in the history can hide the spread of a short interval, and
//! then the variance is said to be unknown rather than guessed. `pg_stat_statements.stddev_exec_time` is the
//! population deviation, `sqrt(sum_var / calls)`.

use dbintel_model::Moments;

/// A cumulative reading of one statement's execution times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cumulative {
    /// Executions.
    pub calls: f64,
    /// Sum of times, in milliseconds.
    pub total_ms: f64,
    /// Mean time, in milliseconds.
    pub mean_ms: f64,
    /// Population standard deviation, in milliseconds.
    pub stddev_ms: f64,
}

/// The two readings cannot belong to the same counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotTheSameCounter;

/// Share of the variance up to which rounding is accepted.
const MAX_RELATIVE_ERROR: f64 = 0.1;

/// Moments of the executions after `before` and up to `after`; `None` if there were none.
///
/// # Errors
/// [`NotTheSameCounter`] if the numbers contradict each other by more than rounding explains.
pub fn between(before: &Cumulative, after: &Cumulative) -> Result<Option<Moments>, NotTheSameCounter> {
    let n = after.calls - before.calls;
    if n <= 0.0 {
        return Ok(None);
    }
    let mean_ms = (after.total_ms - before.total_ms) / n;
    if before.calls == 0.0 {
        return Ok(Some(Moments {
            mean_ms,
            variance_ms2: sample_variance(n, after.calls * after.stddev_ms.powi(2)),
        }));
    }
    let squares_before = before.calls * before.stddev_ms.powi(2);
    let squares_after = after.calls * after.stddev_ms.powi(2);
    let shift = mean_ms - before.mean_ms;
    let weight = before.calls * n / after.calls;
    let squares = squares_after - squares_before - shift * shift * weight;
    let epsilon = f64::EPSILON;
    let error = 4.0 * epsilon * (squares_before + squares_after)
        + n * epsilon * squares_after
        + 4.0 * epsilon * shift * shift * weight
        + 2.0 * shift.abs() * weight * epsilon * (after.total_ms / n + before.mean_ms.abs());
    if squares < -error || squares.is_nan() {
        return Err(NotTheSameCounter);
    }
    let resolved = error <= MAX_RELATIVE_ERROR * squares.max(f64::MIN_POSITIVE);
    let variance_ms2 = if resolved { sample_variance(n, squares) } else { None };
    Ok(Some(Moments { mean_ms, variance_ms2 }))
}

/// Moments of everything a counter has seen since it began.
#[must_use]
pub fn whole(reading: &Cumulative) -> Option<Moments> {
    (reading.calls > 0.0).then(|| Moments {
        mean_ms: reading.total_ms / reading.calls,
        variance_ms2: sample_variance(reading.calls, reading.calls * reading.stddev_ms.powi(2)),
    })
}

fn sample_variance(n: f64, squares: f64) -> Option<f64> {
    (n >= 2.0).then(|| squares.max(0.0) / (n - 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Welford's update, as the extension does it.
    fn cumulative(times: &[f64]) -> Cumulative {
        let (mut mean, mut squares, mut total) = (0.0, 0.0, 0.0);
        for (index, time) in times.iter().enumerate() {
            let old = mean;
            mean += (time - old) / (index as f64 + 1.0);
            squares += (time - old) * (time - mean);
            total += time;
        }
        let calls = times.len() as f64;
        let stddev_ms = if calls > 0.0 { (squares / calls).sqrt() } else { 0.0 };
        Cumulative { calls, total_ms: total, mean_ms: mean, stddev_ms }
    }

    proptest! {
        #[test]
        fn the_interval_is_recovered_from_two_cumulative_readings(
            before in prop::collection::vec(0.01f64..1_000.0, 0..200),
            after in prop::collection::vec(0.01f64..1_000.0, 1..200),
        ) {
            let all: Vec<f64> = before.iter().chain(&after).copied().collect();
            let moments = between(&cumulative(&before), &cumulative(&all)).unwrap().unwrap();
            let n = after.len() as f64;
            let mean = after.iter().sum::<f64>() / n;
            prop_assert!((moments.mean_ms - mean).abs() <= 1e-9 * mean.max(1.0));
            if let Some(variance) = moments.variance_ms2 {
                let direct = after.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (n - 1.0);
                prop_assert!((variance - direct).abs() <= 0.1 * direct + 1e-6, "{variance} {direct}");
            }
        }
    }

    #[test]
    fn one_huge_outlier_in_the_history_makes_the_variance_unknown_not_wrong() {
        let mut history = vec![1.0; 100_000];
        history.push(4.0 * 3_600_000.0);
        let before = cumulative(&history);
        history.extend([0.9, 1.1, 1.0, 0.95, 1.05]);
        let moments = between(&before, &cumulative(&history)).unwrap().unwrap();
        assert!((moments.mean_ms - 1.0).abs() < 1e-6);
        assert_eq!(moments.variance_ms2, None);
    }

    #[test]
    fn readings_of_different_counters_are_told_apart() {
        let before = Cumulative { calls: 10.0, total_ms: 1_000.0, mean_ms: 100.0, stddev_ms: 90.0 };
        let after = Cumulative { calls: 20.0, total_ms: 2_000.0, mean_ms: 100.0, stddev_ms: 1.0 };
        assert_eq!(between(&before, &after), Err(NotTheSameCounter));
    }
}
