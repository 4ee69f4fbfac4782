//! The rule of `reference/statistics.md` 2.6, locks 0 to 10, on hourly blocks, as the text says it: the column that a better
//! rule is compared with.
//!
//! What the text leaves open is decided like this:
//!
//! * *Same hour*: hours are counted from the flip. Each hour after it is compared with the hours 24, 48 … hours earlier, all
//!   of them together.
//! * *Autocorrelation* is that of all hours of the baseline in their order, divided by the control; two hours with a hole
//!   between them are no pair.
//! * *Lock 9*: "at baseline work" means that the median of the last 12 hours has made less than half the step. The step is the
//!   one in work per call.
//! * *Without a control* of at least 20 statements nothing is divided, and the cap is `careful`.
//! * The floor of lost time is off, lock 11 is not there, the interval minimum is not used: PostgreSQL's interval has none.

use super::naive::level_of;
use super::welch::Arms;
use crate::history::{Block, History, Hours};
use crate::rule::{Level, Rule};

/// Calls below which an hour is ignored.
const HOUR_CALLS_MIN: u64 = 5;
/// Other statements that a control needs.
const CONTROL_MIN: u32 = 20;
/// Lock 1: executions and hours after the flip, hours before it.
const CALLS_AFTER_MIN: f64 = 30.0;
const AFTER_MIN: usize = 6;
const BEFORE_MIN: usize = 20;
/// Lock 4: the least t of blocks.
const T_BLOCK_MIN: f64 = 5.0;
/// Lock 5: deviations below the estimate at which the effect is read, and the least effect per level.
const Z: f64 = 3.0;
const EFFECTS: [(f64, Level); 3] = [(1.5, Level::Auto), (1.3, Level::Manual), (1.2, Level::Careful)];
/// Lock 6: the least ratio of work per call.
const WORK_MIN: f64 = 1.2;
/// Lock 7: how much rows per call may change.
const ROWS_CHANGE_MAX: f64 = 0.25;
/// Lock 8: the most variation of a single execution for more than `careful`.
const VARIATION_MAX: f64 = 1.5;
/// Lock 9: hours before the flip, hours after it, and the part of the step that parts them.
const CALM_HOURS: usize = 12;
const STEP_HOURS: usize = 6;
const STEP_PART: f64 = 0.5;
/// Lock 10: hours per level.
const PATIENCE: [(usize, Level); 2] = [(24, Level::Auto), (12, Level::Manual)];
/// Part of a sample at each end that the locks 3 and 6 leave out.
const TENTH: f64 = 0.1;
/// Makes the median absolute deviation a standard deviation.
const MAD_TO_SD: f64 = 1.4826;
/// Standard error of a median, in units of that of a mean.
const MEDIAN_ERROR: f64 = 1.2533;
/// Least deviation of the logarithm that is believed.
const SD_MIN: f64 = 0.001;
/// Most autocorrelation that is believed.
const CORRELATION_MAX: f64 = 0.95;

/// The rule, and what it knows of the history at hand.
#[derive(Debug, Default)]
pub struct Reference {
    arms: Arms,
    before: Vec<Option<Point>>,
    after: Vec<Option<Point>>,
    correlation: f64,
    variation: f64,
    controlled: bool,
}

/// One hour as the locks see it.
#[derive(Clone, Copy, Debug)]
struct Point {
    /// ln(time per call), divided by the control.
    time: f64,
    /// ln(blocks per call).
    work: f64,
    rows: f64,
}

/// Two samples of one quantity, sorted.
struct Samples {
    before: Vec<f64>,
    after: Vec<f64>,
}

// === impl Reference ===

impl Rule for Reference {
    fn name(&self) -> &'static str {
        "reference"
    }

    fn start(&mut self, case: &History) {
        let hours = case.hours();
        self.controlled = is_controlled(&hours);
        let point = |hour: &Option<Block>| hour.as_ref().and_then(|hour| Point::new(hour, self.controlled));
        self.before = hours.before.iter().map(point).collect();
        self.after = hours.after.iter().map(point).collect();
        self.arms = Arms::new(&hours);
        self.variation = self.arms.before.variation();
        self.correlation = correlation(&self.before);
    }

    fn judge(&mut self, _: &History, now_hour: usize) -> Level {
        self.level(now_hour).unwrap_or_default()
    }
}

impl Reference {
    /// `None`: a lock holds.
    fn level(&self, now_hour: usize) -> Option<Level> {
        let level = level_of(self.arms.t(now_hour)?);
        if level == Level::Insufficient || self.arms.after(now_hour).calls() < CALLS_AFTER_MIN {
            return None;
        }
        let after = self.after.get(..now_hour).unwrap_or(&self.after);
        if after.iter().flatten().count() < AFTER_MIN {
            return None;
        }
        let time = self.samples(after, |point| point.time);
        if time.before.len() < BEFORE_MIN || time.overlap() {
            return None;
        }
        let effect = self.effect(after, &time)?;
        let work = self.samples(after, |point| point.work);
        if work.step() < WORK_MIN.ln() || work.overlap() || !self.began_at_flip(&work) {
            return None;
        }
        let rows = self.samples(after, |point| point.rows);
        let change = median(&rows.after) / median(&rows.before);
        // No rows before and none after is the same question as well.
        if (change - 1.0).abs() > ROWS_CHANGE_MAX {
            return None;
        }
        let careful = self.variation > VARIATION_MAX || !self.controlled;
        let cap = if careful { Level::Careful } else { Level::Auto };
        Some(level.min(effect).min(patience(now_hour)).min(cap))
    }

    /// Values of hours after the flip, and of the same hours of the days before.
    fn samples(&self, after: &[Option<Point>], of: impl Fn(&Point) -> f64) -> Samples {
        let mut slots = [false; 24];
        for (slot, point) in slots.iter_mut().zip(after) {
            *slot |= point.is_some();
        }
        let first_slot = (24 - self.before.len() % 24) % 24;
        let same = self.before.iter().zip(slots.iter().cycle().skip(first_slot));
        let before = same.filter(|(_, included)| **included).filter_map(|(point, _)| point.as_ref());
        Samples::new(before.map(&of).collect(), after.iter().flatten().map(&of).collect())
    }

    /// Locks 4 and 5.
    fn effect(&self, after: &[Option<Point>], time: &Samples) -> Option<Level> {
        let correlation = self.correlation.max(correlation(after));
        let effective = |count: usize| (count as f64 * (1.0 - correlation) / (1.0 + correlation)).max(2.0);
        let part = |sample: &[f64]| robust_sd(sample).powi(2) / effective(sample.len());
        let error = MEDIAN_ERROR * (part(&time.before) + part(&time.after)).sqrt();
        let step = time.step();
        if step / error < T_BLOCK_MIN {
            return None;
        }
        let ratio = (step - Z * error).exp();
        EFFECTS.iter().find(|(limit, _)| ratio >= *limit).map(|(_, level)| *level)
    }

    /// Lock 9.
    fn began_at_flip(&self, work: &Samples) -> bool {
        let usual = median(&work.before);
        let limit = usual + STEP_PART * work.step();
        let of = |points: &mut dyn Iterator<Item = &Option<Point>>| -> Vec<f64> {
            let mut values: Vec<f64> = points.flatten().map(|point| point.work).collect();
            values.sort_unstable_by(f64::total_cmp);
            values
        };
        let calm = of(&mut self.before.iter().rev().take(CALM_HOURS));
        let first = of(&mut self.after.iter().take(STEP_HOURS));
        !calm.is_empty() && median(&calm) < limit && !first.is_empty() && median(&first) >= limit
    }
}

/// Lock 10.
fn patience(now_hour: usize) -> Level {
    PATIENCE.iter().find(|(hours, _)| now_hour >= *hours).map_or(Level::Careful, |(_, level)| *level)
}

fn is_controlled(hours: &Hours) -> bool {
    let mut known = hours.before.iter().chain(&hours.after).flatten().peekable();
    known.peek().is_some()
        && known.all(|hour| hour.control.is_some_and(|control| control.statements >= CONTROL_MIN))
}

/// Correlation of neighbours, within its bounds.
fn correlation(points: &[Option<Point>]) -> f64 {
    let known = points.iter().flatten();
    let count = known.clone().count() as f64;
    let mean = known.clone().map(|point| point.time).sum::<f64>() / count;
    let square: f64 = known.map(|point| (point.time - mean).powi(2)).sum();
    let pairs = points.iter().zip(points.iter().skip(1));
    let product: f64 =
        pairs.filter_map(|(a, b)| Some((a.as_ref()?.time - mean) * (b.as_ref()?.time - mean))).sum();
    if square > 0.0 { (product / square).clamp(0.0, CORRELATION_MAX) } else { 0.0 }
}

// === impl Point ===

impl Point {
    fn new(hour: &Block, controlled: bool) -> Option<Self> {
        if hour.calls < HOUR_CALLS_MIN || hour.total_ms <= 0.0 {
            return None;
        }
        let calls = hour.calls as f64;
        let control = hour.control.filter(|_| controlled).map_or(0.0, |control| control.log_ratio);
        Some(Self {
            time: (hour.total_ms / calls).ln() - control,
            work: (hour.touched? / calls).max(f64::MIN_POSITIVE).ln(),
            rows: hour.rows? / calls,
        })
    }
}

// === impl Samples ===

impl Samples {
    fn new(mut before: Vec<f64>, mut after: Vec<f64>) -> Self {
        before.sort_unstable_by(f64::total_cmp);
        after.sort_unstable_by(f64::total_cmp);
        Self { before, after }
    }

    fn step(&self) -> f64 {
        median(&self.after) - median(&self.before)
    }

    /// The lowest tenth after is not above the highest tenth before.
    fn overlap(&self) -> bool {
        quantile(&self.after, TENTH) <= quantile(&self.before, 1.0 - TENTH)
    }
}

fn median(sorted: &[f64]) -> f64 {
    quantile(sorted, 0.5)
}

/// Interpolated between the values around it.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let place = part * sorted.len().saturating_sub(1) as f64;
    let low = sorted.get(place as usize).copied().unwrap_or(f64::NAN);
    let high = sorted.get(place as usize + 1).copied().unwrap_or(low);
    low + (high - low) * place.fract()
}

/// Of a sorted sample: by its median absolute deviation, but at least half of the ordinary one.
fn robust_sd(sorted: &[f64]) -> f64 {
    let (middle, count) = (median(sorted), sorted.len() as f64);
    let mut distances: Vec<f64> = sorted.iter().map(|value| (value - middle).abs()).collect();
    distances.sort_unstable_by(f64::total_cmp);
    let mean = sorted.iter().sum::<f64>() / count;
    let square: f64 = sorted.iter().map(|value| (value - mean).powi(2)).sum();
    let sd = (square / (count - 1.0).max(1.0)).sqrt();
    (MAD_TO_SD * median(&distances)).max(0.5 * sd).max(SD_MIN)
}

#[cfg(test)]
mod tests;
