//! What the statements without a change of plan do: the load of the server, to be divided out.
//!
//! In every block, the median over these statements of the logarithm of time per call divided by what is usual for the statement: in hours, at
//! the same hour of day. What is usual is taken from everything that is kept of a statement, so each time the whole series is made
//! anew as far as histories reach; what is older stays as it was.

use dbintel_evidence::{ControlPoint, series};
use dbintel_model::Timestamp;

use super::hours::{HOURS_REACH, SHORTS_REACH};
use super::statement::Statement;
use super::sums::Sums;

/// The statements that are asked at most: those that take the most time.
pub const MAX_CONTROL_STATEMENTS: usize = 1_000;
/// Blocks with fewer calls say nothing.
const CALLS_MIN: f64 = 5.0;
/// A usual value is the median of at least this many.
const USUAL_MIN: usize = 3;
/// How far back the series of hours is kept: a week before a change that is two weeks old.
const HOURS_KEPT: i64 = 22 * 24;
/// How far back that of short blocks is kept: a day before a change that is a day old.
const SHORTS_KEPT: i64 = 2 * SHORTS_REACH;

/// The two series.
#[derive(Debug, Default)]
pub(super) struct Controls {
    hours: Vec<ControlPoint>,
    shorts: Vec<ControlPoint>,
    scratch: Scratch,
}

#[derive(Debug, Default)]
struct Scratch {
    /// One statement's blocks: hour of day, place, logarithm of time per call.
    values: Vec<(i64, i64, f64)>,
    /// All statements' distances from what is usual, by place.
    distances: Vec<(i64, f64)>,
    sorted: Vec<f64>,
}

// === impl Controls ===

impl Controls {
    pub(super) fn hours(&self) -> &[ControlPoint] {
        &self.hours
    }

    pub(super) fn shorts(&self) -> &[ControlPoint] {
        &self.shorts
    }

    /// Makes the series of hours anew from statements whose plan did not change since `unchanged_since`.
    pub(super) fn look_at_hours(&mut self, steady: &[&Statement], per_day: i64) {
        self.scratch.distances.clear();
        for statement in steady {
            self.scratch.distances_of(statement.hours.iter(), |place| place.rem_euclid(per_day));
        }
        self.scratch.write(&mut self.hours, HOURS_REACH, HOURS_KEPT);
    }

    /// Makes the series of short blocks anew.
    pub(super) fn look_at_shorts(&mut self, steady: &[&Statement]) {
        self.scratch.distances.clear();
        for statement in steady {
            self.scratch.distances_of(statement.shorts.iter(), |_| 0);
        }
        self.scratch.write(&mut self.shorts, SHORTS_REACH, SHORTS_KEPT);
    }

    pub(super) fn restore(&mut self, [hours, shorts]: [Vec<ControlPoint>; 2]) {
        (self.hours, self.shorts) = (hours, shorts);
    }

    pub(super) fn bytes(&self) -> usize {
        let scratch = &self.scratch;
        (self.hours.capacity() + self.shorts.capacity()) * size_of::<ControlPoint>()
            + scratch.values.capacity() * size_of::<(i64, i64, f64)>()
            + scratch.distances.capacity() * size_of::<(i64, f64)>()
            + scratch.sorted.capacity() * size_of::<f64>()
    }
}

/// The statements that can be a control: those with the most time whose plan has not changed since then.
pub(super) fn steady<'a>(
    statements: impl Iterator<Item = &'a Statement>,
    unchanged_since: Timestamp,
) -> Vec<&'a Statement> {
    let is_steady = |statement: &&Statement| {
        !statement.is_under_trial && statement.plans.changed_at.is_none_or(|at| at < unchanged_since)
    };
    let mut steady: Vec<&Statement> = statements.filter(is_steady).collect();
    if steady.len() > MAX_CONTROL_STATEMENTS {
        steady.select_nth_unstable_by(MAX_CONTROL_STATEMENTS, |a, b| {
            b.weight_ms.total_cmp(&a.weight_ms).then(a.id.cmp(&b.id))
        });
        steady.truncate(MAX_CONTROL_STATEMENTS);
    }
    steady
}

// === impl Scratch ===

impl Scratch {
    fn distances_of(&mut self, blocks: impl Iterator<Item = (i64, Sums)>, hour_of_day: impl Fn(i64) -> i64) {
        self.values.clear();
        self.values.extend(
            blocks
                .filter(|(_, sums)| sums.calls >= CALLS_MIN && sums.total_ms > 0.0)
                .map(|(place, sums)| (hour_of_day(place), place, (sums.total_ms / sums.calls).ln())),
        );
        self.values.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.cmp(&b.1)));
        for same_hour in self.values.chunk_by(|a, b| a.0 == b.0).filter(|run| run.len() >= USUAL_MIN) {
            self.sorted.clear();
            self.sorted.extend(same_hour.iter().map(|(_, _, value)| *value));
            series::sort(&mut self.sorted);
            let Some(usual) = series::median(&self.sorted) else { continue };
            self.distances.extend(same_hour.iter().map(|(_, place, value)| (*place, value - usual)));
        }
    }

    /// Puts the medians in the place of the end of a series.
    fn write(&mut self, series: &mut Vec<ControlPoint>, reach: i64, kept: i64) {
        self.distances.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let Some(last) = self.distances.last().map(|(place, _)| *place) else { return };
        let first = self.distances.first().map_or(last, |(place, _)| *place).max(last - reach);
        series.retain(|point| point.block < first && point.block > last - kept);
        for block in self.distances.chunk_by(|a, b| a.0 == b.0) {
            let Some(place) = block.first().map(|(place, _)| *place).filter(|place| *place >= first) else {
                continue;
            };
            self.sorted.clear();
            self.sorted.extend(block.iter().map(|(_, value)| *value));
            let Some(log_ratio) = series::median(&self.sorted) else { continue };
            let statements = u32::try_from(block.len()).unwrap_or(u32::MAX);
            series.push(ControlPoint { block: place, log_ratio, statements });
        }
    }
}
