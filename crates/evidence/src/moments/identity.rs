//! Whether two readings are of one entry that was not reset, evicted or born again in between.
//!
//! A reading that does not continue the one before is no interval: it enters no evidence, and the baseline of the entry
//! begins anew. A row that is missing is unknown, never zero calls.

use super::{Interval, Reading};

/// The mean of an interval may lie outside the entry's extremes by this share, which is rounding.
const MEAN_TOLERANCE: f64 = 1e-9;

/// After an eviction, an interval whose calls differ from the usual by more than this factor is not trusted.
const CALLS_FACTOR_MAX: f64 = 5.0;

/// Why the second reading does not continue the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discontinuity {
    /// A number is not finite, or negative where that cannot be.
    NotANumber,
    /// `calls` is smaller than before.
    CallsFell,
    /// `total_exec_time` is smaller than before.
    TotalFell,
    /// One of the other counters is smaller than before; its place in [`Reading::counters`].
    CounterFell(usize),
    /// The readings have different numbers of counters.
    OtherCounters,
    /// `min_exec_time` rose: minima only fall inside one entry.
    MinimumRose,
    /// `max_exec_time` fell: maxima only rise inside one entry.
    MaximumFell,
    /// The mean of the interval is outside the extremes of the entry.
    MeanOutsideExtremes,
    /// `stats_since` of the entry moved.
    EntryBegunAnew,
    /// `stats_reset` of `pg_stat_statements_info` moved.
    StatisticsReset,
    /// The server began again without the statistics it had.
    ServerRestarted,
    /// Entries were evicted, and this one's calls do not fit the intervals beside it.
    PerhapsEvicted,
    /// The squared deviations are negative beyond rounding: not the same counter.
    NegativeVariance,
}

/// What is known besides the two rows.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Surroundings {
    /// `stats_reset` of `pg_stat_statements_info` differs between the readings.
    pub statistics_were_reset: bool,
    /// The server started between the readings and did not load what it had saved.
    pub restarted_without_statistics: bool,
    /// `dealloc` rose between the readings, and this entry is near the line of eviction.
    pub evictions_nearby: bool,
    /// Calls per interval of this length in the intervals beside this one.
    pub usual_calls: Option<f64>,
}

pub(super) fn counters_continue(
    first: &Reading<'_>,
    second: &Reading<'_>,
    around: &Surroundings,
) -> Result<(), Discontinuity> {
    use Discontinuity as D;
    if !(numbers_are_sound(first) && numbers_are_sound(second)) {
        return Err(D::NotANumber);
    }
    if around.statistics_were_reset {
        return Err(D::StatisticsReset);
    }
    if around.restarted_without_statistics {
        return Err(D::ServerRestarted);
    }
    if first.stats_since != second.stats_since {
        return Err(D::EntryBegunAnew);
    }
    if second.calls < first.calls {
        return Err(D::CallsFell);
    }
    if second.total_ms < first.total_ms {
        return Err(D::TotalFell);
    }
    if first.counters.len() != second.counters.len() {
        return Err(D::OtherCounters);
    }
    let fell = first.counters.iter().zip(second.counters).position(|(before, now)| now < before);
    if let Some(place) = fell {
        return Err(D::CounterFell(place));
    }
    extremes_continue(first, second)
}

fn extremes_continue(first: &Reading<'_>, second: &Reading<'_>) -> Result<(), Discontinuity> {
    // The extremes of an entry without calls are zero and say nothing, and 17 can reset them alone.
    if first.calls == 0 || first.minmax_stats_since != second.minmax_stats_since {
        return Ok(());
    }
    if second.min_ms > first.min_ms {
        return Err(Discontinuity::MinimumRose);
    }
    if second.max_ms < first.max_ms {
        return Err(Discontinuity::MaximumFell);
    }
    Ok(())
}

pub(super) fn interval_is_plausible(
    first: &Reading<'_>,
    second: &Reading<'_>,
    interval: &Interval,
) -> Result<(), Discontinuity> {
    let mean = interval.moments.mean;
    let slack = MEAN_TOLERANCE * second.max_ms.abs().max(mean.abs());
    let extremes_cover_the_interval = first.minmax_stats_since == second.minmax_stats_since;
    if extremes_cover_the_interval && (mean < second.min_ms - slack || mean > second.max_ms + slack) {
        return Err(Discontinuity::MeanOutsideExtremes);
    }
    if interval.squared_deviations_raw.is_nan() || interval.rounding_bound.is_nan() {
        return Err(Discontinuity::NotANumber);
    }
    if interval.squared_deviations_raw < -interval.rounding_bound {
        return Err(Discontinuity::NegativeVariance);
    }
    Ok(())
}

pub(super) fn not_a_reborn_entry(around: &Surroundings, calls: f64) -> Result<(), Discontinuity> {
    if !around.evictions_nearby {
        return Ok(());
    }
    let fits = around
        .usual_calls
        .is_some_and(|usual| calls <= usual * CALLS_FACTOR_MAX && calls * CALLS_FACTOR_MAX >= usual);
    if fits { Ok(()) } else { Err(Discontinuity::PerhapsEvicted) }
}

fn numbers_are_sound(reading: &Reading<'_>) -> bool {
    let sound = |value: f64| value.is_finite() && value >= 0.0;
    [reading.total_ms, reading.mean_ms, reading.stddev_ms, reading.min_ms, reading.max_ms]
        .into_iter()
        .chain(reading.counters.iter().copied())
        .all(sound)
}
