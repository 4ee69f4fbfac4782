//! What happened between two readings of cumulative counters, and merging of such parts.
//!
//! `pg_stat_statements` keeps a mean and a *population* deviation since an entry began. Two readings of the same entry
//! give what happened between them. The mean of the interval is always good; its variance is what is left after two large
//! numbers are subtracted, so it comes with a bound of what rounding alone can make, and counts only where it is ten times
//! that bound.
//!
//! The receiver of PostgreSQL asks [`interval`] for each entry that changed between two readings. Whether the statistics were reset, or the entry
//! evicted or begun anew, it knows from the whole of both readings and what the server tells beside them (`state/statements.rs` there); what two rows
//! by themselves betray is asked here ([`Discontinuity`]).
//!
//! Source of the merge: Chan, Golub, LeVeque, *Algorithms for computing the sample variance* (1983), solved here for the part
//! that is not known.

mod identity;

pub use identity::Discontinuity;

/// Relative distance between 1 and the next number.
const EPSILON: f64 = f64::EPSILON;

/// A variance counts where rounding can have made at most this share of it.
const ROUNDING_SHARE_MAX: f64 = 0.1;

/// One row of `pg_stat_statements`, as far as it takes part in the arithmetic. NaN stands for an extreme or another counter that is not known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading<'a> {
    /// `calls`.
    pub calls: f64,
    /// `total_exec_time`.
    pub total_ms: f64,
    /// `mean_exec_time`.
    pub mean_ms: f64,
    /// `stddev_exec_time`, the deviation of the population.
    pub stddev_ms: f64,
    /// `min_exec_time`; not known as well where extremes can be reset by themselves (17 and later).
    pub min_ms: f64,
    /// `max_exec_time`; the same.
    pub max_ms: f64,
    /// All other cumulative counters of the row, in the same order in both readings.
    pub counters: &'a [f64],
}

/// Number, mean and sum of squared deviations of some executions.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Moments {
    /// How many there are.
    pub count: f64,
    /// Their mean.
    pub mean: f64,
    /// The sum of the squares of their distances from the mean; `None` where it cannot be known well enough.
    pub squared_deviations: Option<f64>,
}

/// What happened between two readings of one entry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Executions, their mean, and their squared deviations where rounding leaves enough of them.
    pub moments: Moments,
    /// The total time of the interval.
    pub total_ms: f64,
    /// What the formula gave for the squared deviations, whether or not it can be used.
    pub squared_deviations_raw: f64,
    /// What rounding alone can have made of it.
    pub rounding_bound: f64,
}

/// What happened between two readings, or why they are not two readings of one entry.
///
/// With `n` new calls of mean `m`, `A = calls · stddev²` and `d = m − mean₁`:
/// `M₂ = A₂ − A₁ − d² · calls₁ · n / calls₂`, and rounding makes at most
/// `4ε(A₁+A₂) + nεA₂ + 4εd²·calls₁n/calls₂ + 2|d|·calls₁n/calls₂·ε·(T₂/n + |mean₁|)` of it.
///
/// # Errors
/// The first sign that the second reading does not continue the first.
pub fn interval(first: &Reading<'_>, second: &Reading<'_>) -> Result<Interval, Discontinuity> {
    identity::counters_continue(first, second)?;
    let new_calls = second.calls - first.calls;
    if new_calls == 0.0 {
        return Ok(Interval::NOTHING);
    }
    let interval = difference(first, second, new_calls);
    identity::interval_is_plausible(second, &interval)?;
    Ok(interval)
}

fn difference(first: &Reading<'_>, second: &Reading<'_>, count: f64) -> Interval {
    let (calls_1, calls_2) = (first.calls, second.calls);
    let total_ms = second.total_ms - first.total_ms;
    let mean = total_ms / count;
    let squares_1 = calls_1 * first.stddev_ms * first.stddev_ms;
    let squares_2 = calls_2 * second.stddev_ms * second.stddev_ms;
    let distance = mean - first.mean_ms;
    let weight = calls_1 * count / calls_2;
    let raw = squares_2 - squares_1 - distance * distance * weight;
    let rounding_bound = 4.0 * EPSILON * (squares_1 + squares_2)
        + count * EPSILON * squares_2
        + 4.0 * EPSILON * distance * distance * weight
        + 2.0 * distance.abs() * weight * EPSILON * (second.total_ms / count + first.mean_ms.abs());
    let resolved = rounding_bound <= ROUNDING_SHARE_MAX * raw.max(f64::MIN_POSITIVE);
    // One execution deviates from its own mean by nothing, whatever rounding says.
    let squared_deviations = if count <= 1.0 { Some(0.0) } else { resolved.then_some(raw.max(0.0)) };
    Interval {
        moments: Moments { count, mean, squared_deviations },
        total_ms,
        squared_deviations_raw: raw,
        rounding_bound,
    }
}

// === impl Moments ===

impl Moments {
    /// From a number of executions, their mean and the deviation of the population, as Query Store gives them.
    ///
    /// Whether Query Store's `stdev_` is of the population or of a sample is not documented; taken as the former it is right
    /// or slightly too large a variance once merged and divided by `n − 1`.
    #[must_use]
    pub fn from_average(count: f64, mean: f64, stddev: f64) -> Self {
        Self { count, mean, squared_deviations: Some(count * stddev * stddev) }
    }

    /// From a number of executions, their sum and the sum of their squares. Loses digits where the deviation is small beside
    /// the mean.
    #[must_use]
    pub fn from_sums(count: f64, sum: f64, sum_of_squares: f64) -> Self {
        if count <= 0.0 {
            return Self::default();
        }
        let mean = sum / count;
        Self { count, mean, squared_deviations: Some((sum_of_squares - sum * mean).max(0.0)) }
    }

    /// Both together, as if they had been measured as one: Chan's merge.
    ///
    /// Query Store keeps several rows for the open interval and several intervals per plan: they are merged with this, never by
    /// the average of averages, and never without the term between the means.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        if self.count <= 0.0 {
            return other;
        }
        if other.count <= 0.0 {
            return self;
        }
        let count = self.count + other.count;
        let distance = other.mean - self.mean;
        let squared_deviations = match (self.squared_deviations, other.squared_deviations) {
            (Some(a), Some(b)) => Some(a + b + distance * distance * (self.count * (other.count / count))),
            _ => None,
        };
        Self { count, mean: self.mean + distance * (other.count / count), squared_deviations }
    }

    /// The variance of a sample (divided by `n − 1`), where the deviations are known and there are two executions.
    #[must_use]
    pub fn variance(&self) -> Option<f64> {
        let squares = self.squared_deviations?;
        (self.count > 1.0).then(|| squares / (self.count - 1.0))
    }

    /// Deviation divided by mean.
    #[must_use]
    pub fn coefficient_of_variation(&self) -> Option<f64> {
        let variance = self.variance()?;
        (self.mean > 0.0).then(|| variance.sqrt() / self.mean)
    }
}

// === impl Interval ===

impl Interval {
    /// No executions between the readings.
    const NOTHING: Self = Self {
        moments: Moments { count: 0.0, mean: 0.0, squared_deviations: Some(0.0) },
        total_ms: 0.0,
        squared_deviations_raw: 0.0,
        rounding_bound: 0.0,
    };
}

#[cfg(test)]
mod tests;
