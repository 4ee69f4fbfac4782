//! What stands out by itself, without any change of plan: cheap questions that are asked of every statement once an hour. A step goes
//! before the judge; a statement that is slow with its only plan, goes back and forth between plans, or no longer ends is told as it is.

mod plans;
mod stale;
mod vanished;

pub use plans::{PlanSeen, PlansSeen};
pub use stale::stale_share;
pub use vanished::{RECENT_HOURS as VANISHED_RECENT_HOURS, TimedOut, Vanished, Watched};

use crate::series;

/// Hours in a row that have to stand out.
const RECENT_HOURS: usize = 6;
/// By this factor, in time and in work.
const TIME_STANDS_OUT: f64 = 1.3;
const WORK_STANDS_OUT: f64 = 1.2;
/// How far back the beginning of a step is looked for.
const STEP_HOURS_MAX: i64 = 72;
/// Hours by which the latest hour may lie before the one that closed last.
const SILENT_HOURS_MAX: i64 = 2;
/// Hours of the same time of day that a usual value needs.
const SAME_HOURS_MIN: usize = 3;
/// An hour with fewer calls says nothing.
const CALLS_MIN: f64 = 5.0;
/// Days a statement has to be known with its one plan before that is called slow.
const SINGLE_PLAN_DAYS: i64 = 7;
/// How many standard errors its mean has to be above the limit.
const SLOW_T_MIN: f64 = 10.0;
/// Executions behind a mean that is called slow, or slow no longer.
const SLOW_EXECUTIONS_MIN: f64 = 30.0;

/// What one statement did in one hour.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Hour {
    /// Its place: hours since any fixed time.
    pub place: i64,
    /// Finished executions.
    pub calls: f64,
    /// Their time.
    pub total_ms: f64,
    /// Blocks they touched.
    pub work: f64,
}

/// A statement that is slow beyond doubt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slow {
    /// Mean time of an execution.
    pub mean_ms: f64,
    /// Three standard errors below.
    pub mean_low_ms: f64,
    /// How many standard errors the mean is above the limit.
    pub t: f64,
    /// Executions behind it.
    pub calls: f64,
    /// Time it takes per day.
    pub ms_per_day: f64,
}

/// The first hour of a step in time and work that the last hours are on. `hours` are in their order, `per_day` of them are a day,
/// and `closed` is the first that is not over.
#[must_use]
pub fn step(hours: &[Hour], per_day: i64, closed: i64) -> Option<i64> {
    let latest = hours.last()?.place;
    if closed - latest > SILENT_HOURS_MAX {
        return None;
    }
    let (mut first, mut count) = (None, 0);
    for hour in hours.iter().rev().take_while(|hour| closed - hour.place <= STEP_HOURS_MAX) {
        if stands_out(hour, hours, per_day) != Some(true) {
            break;
        }
        (first, count) = (Some(hour.place), count + 1);
    }
    first.filter(|_| count >= RECENT_HOURS)
}

/// Whether an hour takes more time and does more work than the same hours of the days before. `None`: nothing says so.
fn stands_out(hour: &Hour, hours: &[Hour], per_day: i64) -> Option<bool> {
    if hour.calls < CALLS_MIN {
        return None;
    }
    let is_same = |other: &&Hour| {
        let distance = hour.place - other.place;
        distance.rem_euclid(per_day) == 0 && distance >= per_day && other.calls >= CALLS_MIN
    };
    let usual = |value: fn(&Hour) -> f64| {
        let mut values: Vec<f64> =
            hours.iter().filter(is_same).map(|other| value(other) / other.calls).collect();
        series::sort(&mut values);
        series::median(&values).filter(|_| values.len() >= SAME_HOURS_MIN)
    };
    let time = usual(|hour| hour.total_ms)?;
    if hour.total_ms / hour.calls < time * TIME_STANDS_OUT {
        return Some(false);
    }
    let work = usual(|hour| hour.work)?;
    Some(hour.work / hour.calls >= work * WORK_STANDS_OUT)
}

/// Whether a statement with one plan is slow beyond doubt, slower than `limit_ms` per execution, and takes at least
/// `per_day_min_ms` of time per day. One that has stopped is not: `closed` is the first hour that is not over.
#[must_use]
pub fn slow(hours: &[Hour], per_day: i64, closed: i64, limit_ms: f64, per_day_min_ms: f64) -> Option<Slow> {
    let latest = hours.last()?.place;
    let known = latest + 1 - hours.first()?.place;
    if known < SINGLE_PLAN_DAYS * per_day || has_stopped(latest, per_day, closed) {
        return None;
    }
    let days = known as f64 / per_day as f64;
    let (calls, total_ms) = sums(hours.iter().copied());
    // The cheap question first: most statements are far from slow.
    if calls < SLOW_EXECUTIONS_MIN || total_ms / calls <= limit_ms || total_ms / days < per_day_min_ms {
        return None;
    }
    let blocks: Vec<(i64, series::Sums)> = hours
        .iter()
        .map(|hour| (hour.place, series::Sums { calls: hour.calls, total: hour.total_ms }))
        .collect();
    let found = series::block_mean(&blocks)?;
    let error = found.variance.sqrt().max(f64::MIN_POSITIVE);
    let t = (found.mean - limit_ms) / error;
    (t > SLOW_T_MIN).then_some(Slow {
        mean_ms: found.mean,
        mean_low_ms: (found.mean - 3.0 * error).max(0.0),
        t,
        calls,
        ms_per_day: total_ms / days,
    })
}

/// Whether a statement whose latest hour is this one has not run for a day. What runs once a day runs somewhat later on some days.
#[must_use]
pub fn has_stopped(latest: i64, per_day: i64, closed: i64) -> bool {
    closed - latest > per_day + SILENT_HOURS_MAX
}

/// Whether what was slow is so no longer, by the `recent` hours: those of the last day.
#[must_use]
pub fn is_slow_no_longer(recent: impl Iterator<Item = Hour>, limit_ms: f64) -> bool {
    let (calls, total_ms) = sums(recent);
    calls >= SLOW_EXECUTIONS_MIN && total_ms / calls < limit_ms
}

/// Executions and their time.
fn sums(hours: impl Iterator<Item = Hour>) -> (f64, f64) {
    hours.fold((0.0, 0.0), |(calls, total_ms), hour| (calls + hour.calls, total_ms + hour.total_ms))
}

#[cfg(test)]
mod tests;
