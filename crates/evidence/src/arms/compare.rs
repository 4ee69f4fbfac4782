//! How far one channel of the blocks moved, and how sure that is.

use super::{Arms, Channel, Pairing};
use crate::series;

/// Right before and right after the change, this many blocks are looked at on their own.
const NEAREST: usize = 3;

/// Blocks on each side of a jump.
const JUMP_BLOCKS: usize = 6;

/// Excursions of at most this many blocks are looked for: those of a day, at blocks of an hour.
const EXCURSION_BLOCKS_MAX: usize = 24;

/// The tenth of the blocks that is left out at each end where arms are said not to overlap.
const TAIL: f64 = 0.1;

/// The step of one channel from before to after. All of it logarithms of what a call takes, as distances from what is usual
/// at the hour of day.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub(crate) struct Comparison {
    pub(crate) step: f64,
    pub(crate) error: f64,
    pub(crate) t: f64,
    pub(crate) spread_before: f64,
    pub(crate) spread_after: f64,
    pub(crate) autocorrelation_before: f64,
    pub(crate) autocorrelation_after: f64,
    pub(crate) effective_before: f64,
    pub(crate) effective_after: f64,
    pub(crate) before: Spread,
    pub(crate) after: Spread,
    pub(crate) onset: Onset,
    pub(crate) excursion: Excursion,
    pub(crate) jump: Jump,
}

/// How far the blocks right after the change are from those right before it, and the farthest that as many blocks beside
/// each other were apart at any time before: what wanders slowly is the same on both sides of the change.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub(crate) struct Jump {
    pub(crate) here: f64,
    pub(crate) farthest: f64,
}

/// How far as many neighbouring blocks before, together, were from what is usual: the farthest down and the farthest up.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub(crate) struct Excursion {
    pub(crate) down: f64,
    pub(crate) up: f64,
}

/// Where the blocks of one arm lie.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) tenth: f64,
    pub(crate) median: f64,
    pub(crate) nine_tenths: f64,
    pub(crate) most: f64,
}

/// Medians of the blocks beside the change.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub(crate) struct Onset {
    pub(crate) long_before: f64,
    pub(crate) right_before: f64,
    pub(crate) right_after: f64,
    pub(crate) soon_after: f64,
}

/// How many blocks beside the change are looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) before: usize,
    pub(crate) after: usize,
}

/// Compares the arms in one channel. `None` where one of them is empty.
pub(crate) fn compare(arms: &mut Arms, channel: Channel, window: Window) -> Option<Comparison> {
    let mut values = std::mem::take(&mut arms.values);
    let mut scratch = std::mem::take(&mut arms.scratch);
    let mut series = std::mem::take(&mut arms.series);
    let found = compare_with(
        arms,
        channel,
        window,
        &mut Buffers { values: &mut values, scratch: &mut scratch, series: &mut series },
    );
    (arms.values, arms.scratch, arms.series) = (values, scratch, series);
    found
}

struct Buffers<'b> {
    values: &'b mut Vec<f64>,
    scratch: &'b mut Vec<f64>,
    series: &'b mut Vec<(i64, f64)>,
}

fn compare_with(
    arms: &Arms,
    channel: Channel,
    window: Window,
    buffers: &mut Buffers<'_>,
) -> Option<Comparison> {
    let distance = |point| arms.distance(point, channel);
    buffers.series.clear();
    buffers.series.extend(arms.before.iter().map(|point| (point.place, distance(point))));
    let autocorrelation_before = bounded_autocorrelation(buffers.series);
    let excursion = excursion(buffers.series, arms.after.len());
    let farthest = farthest_jump(buffers.series);
    let level_before = mean_of(buffers.series.iter().rev().take(JUMP_BLOCKS));
    let onset_before = [window.before, NEAREST].map(|count| {
        let nearest = buffers.series.iter().rev().take(count).map(|(_, value)| *value);
        median_of(nearest, buffers.scratch)
    });

    buffers.values.clear();
    buffers.values.extend(arms.before.iter().filter(|point| arms.is_same_hour(point)).map(distance));
    let (before, mut spread_before) = arm(buffers)?;
    spread_before *= arms.lost_freedom();
    let blocks_before = buffers.values.len() as f64;

    buffers.series.clear();
    buffers.series.extend(arms.after.iter().map(|point| (point.place, distance(point))));
    // Few blocks show too little of their autocorrelation; at the same length they have that of the blocks before.
    let autocorrelation_after = bounded_autocorrelation(buffers.series).max(autocorrelation_before);
    let jump = Jump { here: mean_of(buffers.series.iter().take(JUMP_BLOCKS)) - level_before, farthest };
    let onset_after = [NEAREST, window.after].map(|count| {
        let nearest = buffers.series.iter().take(count).map(|(_, value)| *value);
        median_of(nearest, buffers.scratch)
    });
    buffers.values.clear();
    buffers.values.extend(buffers.series.iter().map(|(_, value)| *value));
    let (after, spread_after) = arm(buffers)?;

    let effective_before = series::effective(blocks_before, autocorrelation_before);
    let effective_after = series::effective(buffers.values.len() as f64, autocorrelation_after);
    let step = after.median - before.median;
    let error = series::median_step_error((spread_before, effective_before), (spread_after, effective_after));
    let [long_before, right_before] = onset_before;
    let [right_after, soon_after] = onset_after;
    Some(Comparison {
        step,
        error,
        t: step / error,
        spread_before,
        spread_after,
        autocorrelation_before,
        autocorrelation_after,
        effective_before,
        effective_after,
        before,
        after,
        onset: Onset {
            long_before: long_before?,
            right_before: right_before?,
            right_after: right_after?,
            soon_after: soon_after?,
        },
        excursion,
        jump,
    })
}

/// The farthest means of `length` neighbours, of blocks that are sorted by place.
fn excursion(series: &[(i64, f64)], length: usize) -> Excursion {
    let length = length.clamp(1, EXCURSION_BLOCKS_MAX).min(series.len());
    let mut farthest = Excursion::default();
    let mut sum: f64 = series.iter().take(length).map(|(_, value)| value).sum();
    let leaving = series.iter().map(|(_, value)| value);
    let coming = series.iter().skip(length).map(|(_, value)| value);
    let mut note = |sum: f64| {
        let mean = sum / length as f64;
        farthest = Excursion { down: farthest.down.min(mean), up: farthest.up.max(mean) };
    };
    note(sum);
    for (leaving, coming) in leaving.zip(coming) {
        sum += coming - leaving;
        note(sum);
    }
    farthest
}

/// The farthest apart that the means of [`JUMP_BLOCKS`] on either side of any place were; infinite where there are too few.
fn farthest_jump(series: &[(i64, f64)]) -> f64 {
    let values = || series.iter().map(|(_, value)| value);
    let mut before: f64 = values().take(JUMP_BLOCKS).sum();
    let mut after: f64 = values().skip(JUMP_BLOCKS).take(JUMP_BLOCKS).sum();
    if series.len() < 2 * JUMP_BLOCKS {
        return f64::INFINITY;
    }
    let mut farthest = (after - before).abs();
    let moving = values().zip(values().skip(JUMP_BLOCKS)).zip(values().skip(2 * JUMP_BLOCKS));
    for ((leaving, crossing), coming) in moving {
        before += crossing - leaving;
        after += coming - crossing;
        farthest = farthest.max((after - before).abs());
    }
    farthest / JUMP_BLOCKS as f64
}

fn mean_of<'s>(values: impl Iterator<Item = &'s (i64, f64)>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), (_, value)| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { f64::NAN }
}

/// The quantiles and the spread of the values in the buffer, which end up sorted.
fn arm(buffers: &mut Buffers<'_>) -> Option<(Spread, f64)> {
    series::sort(buffers.values);
    let values: &[f64] = buffers.values;
    let spread = Spread {
        least: *values.first()?,
        tenth: series::quantile(values, TAIL)?,
        median: series::median(values)?,
        nine_tenths: series::quantile(values, 1.0 - TAIL)?,
        most: *values.last()?,
    };
    let width = series::spread(values, spread.median, buffers.scratch);
    Some((spread, width))
}

fn bounded_autocorrelation(series: &[(i64, f64)]) -> f64 {
    series::autocorrelation(series).unwrap_or(0.0).clamp(0.0, series::AUTOCORRELATION_MAX)
}

fn median_of(values: impl Iterator<Item = f64>, scratch: &mut Vec<f64>) -> Option<f64> {
    scratch.clear();
    scratch.extend(values);
    series::sort(scratch);
    series::median(scratch)
}

// === impl Arms ===

impl Arms {
    /// The distances from medians that were found from the same blocks are too small by this factor.
    fn lost_freedom(&self) -> f64 {
        if self.facts.pairing != Pairing::EachHour {
            return 1.0;
        }
        let blocks = self.facts.same_hour as f64;
        let free = blocks - self.facts.hours as f64;
        if free > 0.0 { (blocks / free).sqrt() } else { 1.0 }
    }
}

// === impl Comparison ===

impl Comparison {
    /// The same the other way up: what fell, rose.
    pub(crate) fn mirrored(self) -> Self {
        Self {
            step: -self.step,
            t: -self.t,
            before: self.before.mirrored(),
            after: self.after.mirrored(),
            onset: Onset {
                long_before: -self.onset.long_before,
                right_before: -self.onset.right_before,
                right_after: -self.onset.right_after,
                soon_after: -self.onset.soon_after,
            },
            jump: self.jump.mirrored(),
            excursion: Excursion { down: -self.excursion.up, up: -self.excursion.down },
            ..self
        }
    }

    /// Whether the lowest tenth after is above the highest tenth before.
    pub(crate) fn is_apart(&self) -> bool {
        self.after.tenth > self.before.nine_tenths
    }
}

impl Spread {
    fn mirrored(self) -> Self {
        Self {
            least: -self.most,
            tenth: -self.nine_tenths,
            median: -self.median,
            nine_tenths: -self.tenth,
            most: -self.least,
        }
    }
}

impl Jump {
    /// In units of the farthest there was before.
    pub(crate) fn stands_out(&self) -> f64 {
        self.here / self.farthest.max(f64::MIN_POSITIVE)
    }

    /// How much of it is left, as a ratio, when the farthest there was before is taken off.
    pub(crate) fn low(&self) -> f64 {
        (self.here - self.farthest).exp()
    }

    pub(crate) fn mirrored(self) -> Self {
        Self { here: -self.here, farthest: self.farthest }
    }
}
