//! Everything that is computed from the arms before any lock is asked.

use crate::arms::{Arms, Channel, Comparison, Facts, Material, Point, compare};
use crate::arms::{Pairing, Window};
use crate::moments::Moments;
use crate::ratio::{self, Mean};
use crate::series;
use crate::student::{self, MeanError};
use crate::thresholds::Thresholds;
use crate::verdict::{Direction, Numbers};

/// Hours before the change that must still have been at the usual level.
const HOURS_BEFORE: f64 = 12.0;

/// Blocks after the change that must already be at the new level.
const BLOCKS_SOON_AFTER: usize = 6;

/// What was computed.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) facts: Facts,
    pub(crate) numbers: Numbers,
    pub(crate) direction: Direction,
    pub(crate) channels: Option<Channels>,
}

/// The channels, with time and work turned so that a step up is a step in the verdict's direction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Channels {
    pub(crate) time: Comparison,
    pub(crate) work: Comparison,
    /// Not turned.
    pub(crate) rows: Comparison,
}

/// Builds the arms and computes.
pub(crate) fn measure(arms: &mut Arms, material: &Material<'_>, thresholds: &Thresholds) -> Measured {
    arms.build(material);
    let facts = arms.facts;
    let mut numbers = counts(arms, material);
    let channels = channels(arms, material);
    let slower = channels.is_none_or(|channels| channels.time.step >= 0.0);
    let direction = if slower { Direction::Slower } else { Direction::Faster };
    let channels = channels.map(|channels| match direction {
        Direction::Slower => channels,
        Direction::Faster => {
            Channels { time: channels.time.mirrored(), work: channels.work.mirrored(), rows: channels.rows }
        }
    });
    numbers.minimum_ratio = minimum(arms, direction);
    if let Some(channels) = &channels {
        describe_channels(&mut numbers, channels, thresholds);
    }
    describe_means(&mut numbers, arms, direction, thresholds);
    describe_loss(&mut numbers, &facts, material, direction);
    Measured { facts, numbers, direction, channels }
}

fn counts(arms: &Arms, material: &Material<'_>) -> Numbers {
    let facts = &arms.facts;
    let scale = material.scale;
    Numbers {
        rejected_blocks: facts.rejected,
        merged: facts.merged,
        block_hours: scale.hours(facts.merged),
        pairing: facts.pairing,
        baseline_days: facts.span_before as f64 / scale.blocks_per_day() as f64,
        blocks_before: arms.before.len(),
        same_hour_blocks: facts.same_hour,
        blocks_after: arms.after.len(),
        hours_after: scale.hours(facts.span_after),
        executions_after: facts.executions_after,
        controlled: facts.controlled,
        control_statements: facts.control_statements,
        control_ratio: facts.control_step.map(f64::exp),
        ..Numbers::default()
    }
}

fn channels(arms: &mut Arms, material: &Material<'_>) -> Option<Channels> {
    let blocks_before = material.scale.blocks_in(HOURS_BEFORE) / arms.facts.merged;
    let window =
        Window { before: usize::try_from(blocks_before).unwrap_or(1).max(1), after: BLOCKS_SOON_AFTER };
    Some(Channels {
        time: compare(arms, Channel::Time, window)?,
        work: compare(arms, Channel::Work, window)?,
        rows: compare(arms, Channel::Rows, window)?,
    })
}

fn describe_channels(numbers: &mut Numbers, channels: &Channels, thresholds: &Thresholds) {
    let Channels { time, work, rows } = channels;
    numbers.log_step = Some(time.step);
    numbers.log_step_error = Some(time.error);
    numbers.block_t = Some(time.t);
    numbers.autocorrelation = Some((time.autocorrelation_before, time.autocorrelation_after));
    numbers.effective_blocks = Some((time.effective_before, time.effective_after));
    numbers.ratio = ratio::robust(time.step, time.error, thresholds.z);
    numbers.time_tenths = Some((time.before.nine_tenths.exp(), time.after.tenth.exp()));
    numbers.work_ratio = Some(work.step.exp());
    numbers.work_tenths = Some((work.before.nine_tenths.exp(), work.after.tenth.exp()));
    numbers.work_t = Some(work.t);
    numbers.rows_ratio = Some(rows.step.exp());
}

fn describe_means(numbers: &mut Numbers, arms: &Arms, direction: Direction, thresholds: &Thresholds) {
    let same_hours = || arms.before.iter().filter(|point| arms.is_same_hour(point));
    let (before, after) = (Arms::executions(same_hours()), Arms::executions(arms.after.iter()));
    numbers.executions_before = before.count;
    numbers.mean_before_ms = (before.count > 0.0).then_some(before.mean);
    numbers.mean_after_ms = (after.count > 0.0).then_some(after.mean);
    numbers.deviation_before_ms = before.variance().map(f64::sqrt);
    numbers.deviation_after_ms = after.variance().map(f64::sqrt);
    numbers.variation_before = Arms::executions(arms.before.iter()).coefficient_of_variation();
    numbers.t_of_blocks = before.variance().is_none() || after.variance().is_none();
    let errors = mean_error(arms, &before, same_hours()).zip(mean_error(arms, &after, arms.after.iter()));
    let Some((before, after)) = errors else { return };
    let (faster, slower) = match direction {
        Direction::Slower => (before, after),
        Direction::Faster => (after, before),
    };
    let welch = student::welch(&faster, &slower);
    numbers.t = welch.map(|welch| welch.t);
    numbers.freedom = welch.map(|welch| welch.freedom);
    let mean = |error: MeanError| Mean { mean: error.mean, variance: error.variance };
    numbers.ratio_delta = ratio::delta(mean(faster), mean(slower), thresholds.z);
    numbers.ratio_fieller = ratio::fieller(mean(faster), mean(slower), thresholds.z);
}

/// The error of a mean from single executions, or else from the differences between blocks. Those are taken as distances from
/// what is usual at their hour, as a share of the mean: an evening that comes every day is no error.
fn mean_error<'p>(
    arms: &Arms,
    moments: &Moments,
    points: impl Iterator<Item = &'p Point>,
) -> Option<MeanError> {
    MeanError::of_executions(moments).or_else(|| {
        let sums: Vec<_> = points.map(|point| (point.place, arms.comparable_sums(point))).collect();
        let blocks = series::block_mean(&sums)?;
        let share = blocks.variance / (blocks.mean * blocks.mean);
        let variance = share * moments.mean * moments.mean;
        Some(MeanError { mean: moments.mean, variance, freedom: blocks.effective - 1.0 })
    })
}

fn describe_loss(numbers: &mut Numbers, facts: &Facts, material: &Material<'_>, direction: Direction) {
    if facts.span_after <= 0 {
        return;
    }
    let days = facts.span_after as f64 / material.scale.blocks_per_real_day();
    let calls_per_day = facts.executions_after / days;
    numbers.calls_per_day = Some(calls_per_day);
    let slower_mean = match direction {
        Direction::Slower => numbers.mean_after_ms,
        Direction::Faster => numbers.mean_before_ms,
    };
    numbers.lost_ms_per_day = numbers
        .ratio
        .zip(slower_mean)
        .map(|(ratio, slower_mean)| ratio::lost_per_day(&ratio, slower_mean, calls_per_day));
}

/// Ratio of the medians of the fastest executions, and whether their tenths do not overlap. `None` where a block lacks it.
fn minimum(arms: &Arms, direction: Direction) -> Option<(f64, bool)> {
    let sign = match direction {
        Direction::Slower => 1.0,
        Direction::Faster => -1.0,
    };
    let sorted = |points: &mut dyn Iterator<Item = &Point>| -> Option<Vec<f64>> {
        let mut values =
            points.map(|point| point.minimum.map(|minimum| sign * minimum)).collect::<Option<Vec<f64>>>()?;
        series::sort(&mut values);
        Some(values)
    };
    let before = sorted(&mut arms.before.iter().filter(|point| arms.is_same_hour(point)))?;
    let after = sorted(&mut arms.after.iter())?;
    let ratio = (series::median(&after)? - series::median(&before)?).exp();
    Some((ratio, series::quantile(&after, 0.1)? > series::quantile(&before, 0.9)?))
}

// === impl Measured ===

impl Measured {
    /// Shares of the step of a channel that were there before and right after the change; `None` without a step. The few blocks
    /// right beside the change are asked on their own where nothing shorter shows them.
    pub(crate) fn onset(comparison: &Comparison, beside: bool) -> Option<(f64, f64)> {
        let share = |level: f64| (level - comparison.before.median) / comparison.step;
        let onset = &comparison.onset;
        let (long_before, soon_after) = (share(onset.long_before), share(onset.soon_after));
        let shares = if beside {
            (long_before.max(share(onset.right_before)), soon_after.min(share(onset.right_after)))
        } else {
            (long_before, soon_after)
        };
        (comparison.step > 0.0).then_some(shares)
    }

    /// Whether single executions differ so much that a shift of the parameters alone could make the step.
    pub(crate) fn is_sensitive(&self, thresholds: &Thresholds) -> bool {
        !self.numbers.variation_before.is_some_and(|variation| variation <= thresholds.variation_max)
    }

    /// Whether each hour of day could be compared with itself.
    pub(crate) fn compares_hours(&self) -> bool {
        self.facts.pairing != Pairing::All
    }
}
