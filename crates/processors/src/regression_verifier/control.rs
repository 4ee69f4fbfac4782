//! What the statements without a change of plan do: the load of the server, to be divided out.
//!
//! In every block, the median over these statements of the logarithm of time per call divided by what is usual for the statement: in hours, at
//! the same hour of day. What is usual is taken from everything that is kept of a statement, so each time the whole series is made
//! anew as far as histories reach; what is older stays as it was. That is much work, so it is done in parts.

use std::collections::{BTreeMap, VecDeque};

use dbintel_evidence::{ControlPoint, series};
use dbintel_model::Timestamp;

use super::hours::{HOURS_REACH, SHORTS_REACH};
use super::statement::Statement;
use super::table::Statements;

/// The statements that are asked at most: those that take the most time.
pub const MAX_CONTROL_STATEMENTS: usize = 1_000;
/// What one call does of a series at most: about so many blocks of statements, each looked at twice.
pub const CONTROL_BLOCKS_PER_CALL: usize = 1_024;
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
    making: Making,
    scratch: Scratch,
}

/// A statement that can be a control, with what is known of its time.
pub(super) type Steady = (f64, u64);

/// Series that are being made.
#[derive(Debug, Default)]
struct Making {
    statements: VecDeque<u64>,
    per_day: i64,
    hours: Option<Distances>,
    shorts: Option<Distances>,
}

/// All statements' distances from what is usual, by place, and the medians of those that are done.
#[derive(Debug, Default)]
struct Distances {
    first: Option<i64>,
    left: BTreeMap<i64, Vec<f64>>,
    points: Vec<ControlPoint>,
}

#[derive(Debug, Default)]
struct Scratch {
    /// One statement's blocks: hour of day, place, logarithm of time per call.
    values: Vec<(i64, i64, f64)>,
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

    /// Begins to make the series of hours, of short blocks or both anew, from the statements of these that take the most time.
    pub(super) fn begin(&mut self, mut steady: Vec<Steady>, per_day: i64, [hours, shorts]: [bool; 2]) {
        if steady.len() > MAX_CONTROL_STATEMENTS {
            steady.select_nth_unstable_by(MAX_CONTROL_STATEMENTS, |a, b| {
                b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
            });
            steady.truncate(MAX_CONTROL_STATEMENTS);
        }
        self.making = Making {
            statements: steady.into_iter().map(|(_, id)| id).collect(),
            per_day,
            hours: hours.then(Distances::default),
            shorts: shorts.then(Distances::default),
        };
    }

    /// Does the next part. Says whether the series are made; until then they are as they were.
    pub(super) fn go_on(&mut self, statements: &Statements) -> bool {
        let mut blocks = 0;
        while blocks < CONTROL_BLOCKS_PER_CALL {
            let Some(id) = self.making.statements.pop_front() else { break };
            let Some(statement) = statements.get(id) else { continue };
            let per_day = self.making.per_day;
            if let Some(hours) = &mut self.making.hours {
                blocks +=
                    self.scratch.measure(statement.hours.loads(), |place| place.rem_euclid(per_day), hours);
            }
            if let Some(shorts) = &mut self.making.shorts {
                blocks += self.scratch.measure(statement.shorts.loads(), |_| 0, shorts);
            }
        }
        if !self.making.statements.is_empty() {
            return false;
        }
        for series in [&mut self.making.hours, &mut self.making.shorts].into_iter().flatten() {
            while blocks < CONTROL_BLOCKS_PER_CALL {
                let Some(medians_of) = series.next_median() else { break };
                blocks += medians_of;
            }
        }
        if self.making.series().any(|series| !series.left.is_empty()) {
            return false;
        }
        if let Some(made) = self.making.hours.take() {
            made.put_into(&mut self.hours, HOURS_REACH, HOURS_KEPT);
        }
        if let Some(made) = self.making.shorts.take() {
            made.put_into(&mut self.shorts, SHORTS_REACH, SHORTS_KEPT);
        }
        true
    }

    pub(super) fn restore(&mut self, [hours, shorts]: [Vec<ControlPoint>; 2]) {
        (self.hours, self.shorts) = (hours, shorts);
    }

    pub(super) fn bytes(&self) -> usize {
        let making = self.making.series().flat_map(|series| series.left.values());
        (self.hours.capacity() + self.shorts.capacity()) * size_of::<ControlPoint>()
            + self.scratch.values.capacity() * size_of::<(i64, i64, f64)>()
            + self.scratch.sorted.capacity() * size_of::<f64>()
            + making.map(|values| values.capacity() * size_of::<f64>()).sum::<usize>()
    }
}

/// The statement, if it can be a control: its plan has not changed since then.
pub(super) fn steady(statement: &Statement, unchanged_since: Timestamp) -> Option<Steady> {
    let is_steady =
        !statement.is_under_trial && statement.plans.changed_at.is_none_or(|at| at < unchanged_since);
    is_steady.then_some((statement.weight_ms, statement.id))
}

// === impl Making ===

impl Making {
    fn series(&self) -> impl Iterator<Item = &Distances> {
        self.hours.iter().chain(&self.shorts)
    }
}

// === impl Distances ===

impl Distances {
    fn add(&mut self, place: i64, distance: f64) {
        self.first = Some(self.first.map_or(place, |first| first.min(place)));
        self.left.entry(place).or_default().push(distance);
    }

    /// Makes the median of the oldest block that is left. Says of how many distances.
    fn next_median(&mut self) -> Option<usize> {
        let (place, mut distances) = self.left.pop_first()?;
        series::sort(&mut distances);
        if let Some(log_ratio) = series::median(&distances) {
            let statements = u32::try_from(distances.len()).unwrap_or(u32::MAX);
            self.points.push(ControlPoint { block: place, log_ratio, statements });
        }
        Some(distances.len())
    }

    /// Puts the medians in the place of the end of a series.
    fn put_into(self, series: &mut Vec<ControlPoint>, reach: i64, kept: i64) {
        let Some(last) = self.points.last().map(|point| point.block) else { return };
        let first = self.first.unwrap_or(last).max(last - reach);
        series.retain(|point| point.block < first && point.block > last - kept);
        series.extend(self.points.into_iter().filter(|point| point.block >= first));
    }
}

// === impl Scratch ===

impl Scratch {
    /// Adds the distances of one statement's blocks from what is usual for it. Says how many blocks were looked at.
    fn measure(
        &mut self,
        blocks: impl Iterator<Item = (i64, f64, f64)>,
        hour_of_day: impl Fn(i64) -> i64,
        into: &mut Distances,
    ) -> usize {
        self.values.clear();
        self.values.extend(
            blocks
                .filter(|(_, calls, total_ms)| *calls >= CALLS_MIN && *total_ms > 0.0)
                .map(|(place, calls, total_ms)| (hour_of_day(place), place, (total_ms / calls).ln())),
        );
        self.values.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.cmp(&b.1)));
        for same_hour in self.values.chunk_by(|a, b| a.0 == b.0).filter(|run| run.len() >= USUAL_MIN) {
            self.sorted.clear();
            self.sorted.extend(same_hour.iter().map(|(_, _, value)| *value));
            series::sort(&mut self.sorted);
            let Some(usual) = series::median(&self.sorted) else { continue };
            same_hour.iter().for_each(|(_, place, value)| into.add(*place, value - usual));
        }
        self.values.len()
    }
}
