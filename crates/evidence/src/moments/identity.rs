//! Whether two readings are of one entry that was not reset, evicted or born again in between.
//!
//! A reading that does not continue the one before is no interval: it enters no evidence, and the baseline of the entry
//! begins anew. A row that is missing is unknown, never zero calls.

use super::{Interval, Reading};

/// By how much a sum of many times can be off, as a share of it: so far may the mean of an interval lie outside the entry's extremes.
const ROUNDING_OF_SUM: f64 = 1e-9;

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
    /// The squared deviations are negative beyond rounding: not the same counter.
    NegativeVariance,
}

pub(super) fn counters_continue(first: &Reading<'_>, second: &Reading<'_>) -> Result<(), Discontinuity> {
    use Discontinuity as D;
    if !(numbers_are_sound(first) && numbers_are_sound(second)) {
        return Err(D::NotANumber);
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
    // What was not known before may be known now, not the other way round.
    let grew = |(before, now): (&f64, &f64)| before.is_nan() || now >= before;
    let fell = first.counters.iter().zip(second.counters).position(|both| !grew(both));
    if let Some(place) = fell {
        return Err(D::CounterFell(place));
    }
    extremes_continue(first, second)
}

fn extremes_continue(first: &Reading<'_>, second: &Reading<'_>) -> Result<(), Discontinuity> {
    // The extremes of an entry without calls are zero and say nothing.
    if first.calls == 0.0 {
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

pub(super) fn interval_is_plausible(second: &Reading<'_>, interval: &Interval) -> Result<(), Discontinuity> {
    let mean = interval.moments.mean;
    let slack = ROUNDING_OF_SUM * second.total_ms / interval.moments.count;
    if mean < second.min_ms - slack || mean > second.max_ms + slack {
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

fn numbers_are_sound(reading: &Reading<'_>) -> bool {
    let is_sound = |value: f64| value.is_finite() && value >= 0.0;
    let is_sound_if_known = |value: f64| value.is_nan() || is_sound(value);
    [reading.calls, reading.total_ms, reading.mean_ms, reading.stddev_ms].into_iter().all(is_sound)
        && [reading.min_ms, reading.max_ms].into_iter().all(is_sound_if_known)
}
