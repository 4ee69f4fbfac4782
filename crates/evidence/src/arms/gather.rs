//! From blocks as they were given to blocks of one length with enough calls.

use super::{Arms, CALLS_MIN, CALLS_PER_BLOCK, Material, Point, Values};
use crate::case::{Block, ControlPoint};
use crate::moments::Moments;

/// Blocks further from the change than this are left out: more than a year of ten-minute blocks.
const DISTANCE_MAX: i64 = 65_536;

/// An arm has at most this many blocks; of more, those nearest to the change count.
const BLOCKS_MAX: usize = 8_192;

/// A sum beyond this is no sum of a block.
const SUM_MAX: f64 = 1e18;

/// A control further from the usual than this (in logarithms) is no control.
const CONTROL_MAX: f64 = 50.0;

/// Time per call is at least this: a nanosecond, below what any server resolves.
const TIME_MIN_MS: f64 = 1e-6;

/// Work per call is at least this many blocks, so that a call that touches none has a logarithm.
const WORK_MIN: f64 = 0.05;

/// Rows per call are at least this many, for the same reason.
const ROWS_MIN: f64 = 0.05;

/// A block that can be computed with, placed from the change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unit {
    place: i64,
    moments: Moments,
    work: f64,
    rows: f64,
    minimum: Option<f64>,
    control: Option<(f64, u32)>,
}

impl Arms {
    pub(super) fn gather(&mut self, material: &Material<'_>) {
        self.units.clear();
        let oldest_first = material.before.len().saturating_sub(BLOCKS_MAX);
        let before = material.before.get(oldest_first..).unwrap_or_default();
        let after = material.after.get(..BLOCKS_MAX).unwrap_or(material.after);
        self.facts.rejected = material.before.len() - before.len() + material.after.len() - after.len();
        for (blocks, is_before) in [(before, true), (after, false)] {
            for block in blocks {
                match unit(block, material, is_before) {
                    Some(unit) => self.units.push(unit),
                    None => self.facts.rejected += 1,
                }
            }
        }
        if !self.units.is_sorted_by_key(|unit| unit.place) {
            self.units.sort_by_key(|unit| unit.place);
        }
        self.facts.span_before = self.units.first().map_or(0, |unit| (-unit.place).max(0));
        self.facts.span_after = self.units.last().map_or(0, |unit| (unit.place + 1).max(0));
        let after = self.units.iter().filter(|unit| unit.place >= 0);
        self.facts.executions_after = after.map(|unit| unit.moments.count).sum();
    }

    /// The smallest number of blocks that holds enough calls in both arms and divides the day; at most a day.
    pub(super) fn merge_factor(&self, per_day: i64) -> i64 {
        let calls_before: f64 =
            self.units.iter().filter(|unit| unit.place < 0).map(|unit| unit.moments.count).sum();
        let rate = |calls: f64, span: i64| if span > 0 { calls / span as f64 } else { f64::INFINITY };
        let slower = rate(calls_before, self.facts.span_before)
            .min(rate(self.facts.executions_after, self.facts.span_after));
        let enough = |merged: i64| slower * merged as f64 >= CALLS_PER_BLOCK;
        (1..per_day).find(|merged| per_day % merged == 0 && enough(*merged)).unwrap_or(per_day)
    }

    pub(super) fn group(&mut self, material: &Material<'_>, per_day: i64) {
        self.before.clear();
        self.after.clear();
        let merged = self.facts.merged;
        let (first, end) = (-self.facts.span_before, self.facts.span_after);
        for run in self.units.chunk_by(|a, b| a.place.div_euclid(merged) == b.place.div_euclid(merged)) {
            let Some(place) = run.first().map(|unit| unit.place.div_euclid(merged)) else { continue };
            let begins = place.saturating_mul(merged);
            // A merged block that was not wholly seen would be shorter than the others.
            let unfinished = place >= 0 && begins.saturating_add(merged) > end;
            if begins < first || unfinished {
                continue;
            }
            let phase = material.flip.rem_euclid(per_day) + begins.rem_euclid(per_day);
            let phase = usize::try_from(phase.rem_euclid(per_day) / merged).unwrap_or(0);
            let Some((point, statements)) = point(run, place, phase, material.control_statements_min) else {
                continue;
            };
            self.facts.control_statements = self.facts.control_statements.max(statements);
            if place < 0 { self.before.push(point) } else { self.after.push(point) }
        }
    }
}

fn unit(block: &Block, material: &Material<'_>, is_before: bool) -> Option<Unit> {
    let place = block.start.checked_sub(material.flip)?;
    let right_side = (place < 0) == is_before && place.abs() <= DISTANCE_MAX;
    let sums = [block.calls, block.total_ms, block.work, block.rows];
    let sound = sums.iter().all(|sum| sum.is_finite() && (0.0..=SUM_MAX).contains(sum));
    if !(right_side && sound) {
        return None;
    }
    let mean = if block.calls > 0.0 { block.total_ms / block.calls } else { 0.0 };
    let non_negative = |value: f64| (value.is_finite() && value >= 0.0).then_some(value);
    let squared_deviations =
        block.squared_deviations.and_then(non_negative).filter(|squares| *squares <= SUM_MAX * SUM_MAX);
    Some(Unit {
        place,
        moments: Moments { count: block.calls, mean, squared_deviations },
        work: block.work,
        rows: block.rows,
        minimum: block.min_ms.and_then(non_negative),
        control: control_at(material.control, block.start),
    })
}

fn control_at(control: &[ControlPoint], block: i64) -> Option<(f64, u32)> {
    let place = control.binary_search_by_key(&block, |point| point.block).ok()?;
    let point = control.get(place)?;
    let sound = point.log_ratio.is_finite() && point.log_ratio.abs() <= CONTROL_MAX;
    sound.then_some((point.log_ratio, point.statements))
}

/// One merged block, and how many statements are behind its control.
fn point(run: &[Unit], place: i64, phase: usize, statements_min: f64) -> Option<(Point, Option<u32>)> {
    let mut moments = Moments::default();
    let (mut work, mut rows) = (0.0, 0.0);
    let mut minimum = Some(f64::INFINITY);
    let mut control = Some((0.0, u32::MAX));
    for unit in run.iter().filter(|unit| unit.moments.count > 0.0) {
        moments = moments.merge(unit.moments);
        work += unit.work;
        rows += unit.rows;
        minimum = minimum.zip(unit.minimum).map(|(least, next)| least.min(next));
        control = control.zip(unit.control).map(|((sum, least), (log_ratio, statements))| {
            (sum + log_ratio * unit.moments.count, least.min(statements))
        });
    }
    if moments.count < CALLS_MIN {
        return None;
    }
    let values = Values {
        time: moments.mean.max(TIME_MIN_MS).ln(),
        work: (work / moments.count).max(WORK_MIN).ln(),
        rows: (rows / moments.count).max(ROWS_MIN).ln(),
    };
    let statements = control.map(|(_, least)| least);
    let control =
        control.filter(|(_, least)| f64::from(*least) >= statements_min).map(|(sum, _)| sum / moments.count);
    let minimum = minimum.map(|least| least.max(TIME_MIN_MS).ln());
    Some((Point { place, phase, moments, values, minimum, control }, statements))
}
