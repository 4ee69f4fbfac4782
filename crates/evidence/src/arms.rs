//! Before and after, brought to blocks that can be compared.
//!
//! Blocks are merged with their neighbours until they hold about ten calls, counted from the change outwards, so that no block
//! has both plans in it and all have one length. Each block after the change is compared with the blocks of the same hour
//! of day before it; where those are enough, each hour has its own usual value, and what is left of the blocks before is
//! how far they were from theirs.

mod compare;
mod gather;

pub(crate) use compare::{Comparison, Jump, Window, compare};
use gather::Unit;

use crate::case::{Block, ControlPoint};
use crate::moments::Moments;
use crate::scale::TimeScale;
use crate::series::Sums;

/// A block should hold this many calls.
const CALLS_PER_BLOCK: f64 = 10.0;

/// A block with fewer calls is left out.
const CALLS_MIN: f64 = 5.0;

/// An hour of day has its own usual value where it was seen at least this often, on average.
const BLOCKS_PER_HOUR_OF_DAY_MIN: usize = 4;

/// The control counts where it covers at least this share of the blocks of each arm.
const CONTROL_COVERAGE_MIN: f64 = 0.9;

/// The variance of single executions counts where it is known for at least this share of the calls.
const VARIANCE_COVERAGE_MIN: f64 = 0.9;

/// What is taken apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Material<'a> {
    pub(crate) before: &'a [Block],
    pub(crate) after: &'a [Block],
    pub(crate) flip: i64,
    pub(crate) control: &'a [ControlPoint],
    pub(crate) scale: TimeScale,
    pub(crate) control_statements_min: f64,
    pub(crate) pairing: Pairing,
}

/// With what a block after the change is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Pairing {
    /// With the median of the same hour of day.
    EachHour,
    /// With the median of all blocks at hours of day that were seen after the change.
    #[default]
    SameHours,
    /// With the median of all blocks before.
    All,
}

/// One channel of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Time,
    Work,
    Rows,
}

/// Logarithms of what a call of the block took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Values {
    time: f64,
    work: f64,
    rows: f64,
}

/// A block that can be compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    /// Its place, counted in merged blocks from the change.
    pub(crate) place: i64,
    /// Its hour of day, in merged blocks.
    phase: usize,
    pub(crate) moments: Moments,
    values: Values,
    pub(crate) minimum: Option<f64>,
    control: Option<f64>,
}

/// What is usual at one hour of day.
#[derive(Clone, Copy, Debug, Default)]
struct Phase {
    seen_after: bool,
    blocks_before: usize,
    usual: Values,
}

/// The arms and what was found while making them. Kept from case to case for its memory.
#[derive(Debug, Default)]
pub(crate) struct Arms {
    units: Vec<Unit>,
    /// All blocks before.
    pub(crate) before: Vec<Point>,
    /// The blocks after that have something to be compared with.
    pub(crate) after: Vec<Point>,
    phases: Vec<Phase>,
    order: Vec<(usize, Values)>,
    values: Vec<f64>,
    scratch: Vec<f64>,
    series: Vec<(i64, f64)>,
    pub(crate) facts: Facts,
}

/// What was found while the arms were made.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Facts {
    /// Blocks that were no blocks: numbers that are not finite, negative, or too far away.
    pub(crate) rejected: usize,
    /// How many blocks make one.
    pub(crate) merged: i64,
    pub(crate) pairing: Pairing,
    /// Blocks from the first one before to the change.
    pub(crate) span_before: i64,
    /// Blocks from the change to the last one after.
    pub(crate) span_after: i64,
    /// Blocks before at hours of day seen after.
    pub(crate) same_hour: usize,
    /// Hours of day seen in both.
    pub(crate) hours: usize,
    /// All executions after the change, also those of blocks that were left out.
    pub(crate) executions_after: f64,
    pub(crate) controlled: bool,
    /// The most statements behind the control in any block.
    pub(crate) control_statements: Option<u32>,
    /// How far the control moved, in logarithms.
    pub(crate) control_step: Option<f64>,
}

// === impl Values ===

impl Values {
    pub(crate) fn of(&self, channel: Channel) -> f64 {
        match channel {
            Channel::Time => self.time,
            Channel::Work => self.work,
            Channel::Rows => self.rows,
        }
    }

    fn set(&mut self, channel: Channel, value: f64) {
        match channel {
            Channel::Time => self.time = value,
            Channel::Work => self.work = value,
            Channel::Rows => self.rows = value,
        }
    }
}

const CHANNELS: [Channel; 3] = [Channel::Time, Channel::Work, Channel::Rows];

// === impl Point ===

impl Point {
    pub(crate) fn value(&self, channel: Channel) -> f64 {
        self.values.of(channel)
    }
}

// === impl Arms ===

impl Arms {
    /// Makes the arms of a case; what they held before is gone.
    pub(crate) fn build(&mut self, material: &Material<'_>) {
        self.facts = Facts::default();
        self.gather(material);
        let per_day = material.scale.blocks_per_day();
        self.facts.merged = self.merge_factor(per_day);
        self.group(material, per_day);
        self.divide_by_control();
        self.mark_hours(per_day, material.pairing);
        self.find_usual();
        self.facts.control_step = self.control_step();
    }

    /// Whether the block before is at an hour of day that was seen after.
    pub(crate) fn is_same_hour(&self, point: &Point) -> bool {
        self.phases.get(point.phase).is_some_and(|phase| phase.seen_after)
    }

    /// The moments of single executions over some blocks, where their deviations are known for nearly all calls.
    pub(crate) fn executions<'p>(points: impl Iterator<Item = &'p Point>) -> Moments {
        let (mut all, mut known) = (Moments::default(), Moments::default());
        for point in points {
            all = all.merge(Moments { squared_deviations: None, ..point.moments });
            if point.moments.squared_deviations.is_some() {
                known = known.merge(point.moments);
            }
        }
        let covered = all.count > 0.0 && known.count >= VARIANCE_COVERAGE_MIN * all.count;
        let variance = known.variance().filter(|_| covered);
        Moments { squared_deviations: variance.map(|variance| variance * (all.count - 1.0)), ..all }
    }

    /// Calls and time of a block, the time as a ratio to what is usual at its hour.
    pub(crate) fn comparable_sums(&self, point: &Point) -> Sums {
        let calls = point.moments.count;
        Sums { calls, total: calls * self.distance(point, Channel::Time).exp() }
    }

    /// How far a block is from what is usual at its hour of day.
    fn distance(&self, point: &Point, channel: Channel) -> f64 {
        let usual = self.phases.get(point.phase).map_or(0.0, |phase| phase.usual.of(channel));
        point.value(channel) - usual
    }

    fn divide_by_control(&mut self) {
        let covered = |points: &[Point]| {
            let with = points.iter().filter(|point| point.control.is_some()).count() as f64;
            !points.is_empty() && with >= CONTROL_COVERAGE_MIN * points.len() as f64
        };
        if !(covered(&self.before) && covered(&self.after)) {
            return;
        }
        self.facts.controlled = true;
        for points in [&mut self.before, &mut self.after] {
            points.retain_mut(|point| match point.control {
                Some(log_ratio) => {
                    point.values.time -= log_ratio;
                    true
                }
                None => false,
            });
        }
    }

    fn mark_hours(&mut self, per_day: i64, wish: Pairing) {
        let phases = usize::try_from((per_day / self.facts.merged).max(1)).unwrap_or(1);
        self.phases.clear();
        self.phases.resize(phases, Phase::default());
        for point in &self.before {
            if let Some(phase) = self.phases.get_mut(point.phase) {
                phase.blocks_before += 1;
            }
        }
        if wish == Pairing::All {
            for phase in &mut self.phases {
                phase.seen_after = true;
            }
        } else {
            let seen = &mut self.phases;
            self.after.retain(|point| match seen.get_mut(point.phase) {
                Some(phase) if phase.blocks_before > 0 => {
                    phase.seen_after = true;
                    true
                }
                _ => false,
            });
        }
        let shared = self.phases.iter().filter(|phase| phase.seen_after && phase.blocks_before > 0);
        self.facts.hours = shared.clone().count();
        self.facts.same_hour = shared.map(|phase| phase.blocks_before).sum();
        let enough = self.facts.same_hour >= BLOCKS_PER_HOUR_OF_DAY_MIN * self.facts.hours;
        self.facts.pairing = match wish {
            Pairing::All => Pairing::All,
            _ if enough && self.facts.hours > 0 => Pairing::EachHour,
            _ => Pairing::SameHours,
        };
    }

    fn find_usual(&mut self) {
        if self.facts.pairing == Pairing::EachHour {
            self.find_usual_of_each_hour();
        } else {
            self.find_usual_of_all();
        }
    }

    fn find_usual_of_each_hour(&mut self) {
        self.order.clear();
        self.order.extend(self.before.iter().map(|point| (point.phase, point.values)));
        self.order.sort_unstable_by_key(|(phase, _)| *phase);
        for run in self.order.chunk_by(|a, b| a.0 == b.0) {
            let Some(phase) = run.first().and_then(|(phase, _)| self.phases.get_mut(*phase)) else {
                continue;
            };
            for channel in CHANNELS {
                self.scratch.clear();
                self.scratch.extend(run.iter().map(|(_, values)| values.of(channel)));
                crate::series::sort(&mut self.scratch);
                phase.usual.set(channel, crate::series::median(&self.scratch).unwrap_or(0.0));
            }
        }
    }

    fn find_usual_of_all(&mut self) {
        let mut usual = Values::default();
        for channel in CHANNELS {
            self.scratch.clear();
            for point in &self.before {
                if self.phases.get(point.phase).is_some_and(|phase| phase.seen_after) {
                    self.scratch.push(point.value(channel));
                }
            }
            crate::series::sort(&mut self.scratch);
            usual.set(channel, crate::series::median(&self.scratch).unwrap_or(0.0));
        }
        for phase in &mut self.phases {
            phase.usual = usual;
        }
    }

    fn control_step(&mut self) -> Option<f64> {
        if !self.facts.controlled {
            return None;
        }
        let mut median_of = |points: &[Point]| {
            self.scratch.clear();
            self.scratch.extend(points.iter().filter_map(|point| point.control));
            crate::series::sort(&mut self.scratch);
            crate::series::median(&self.scratch)
        };
        Some(median_of(&self.after)? - median_of(&self.before)?)
    }
}

impl Arms {
    /// The end of the block with which enough blocks before are at hours of day seen after, if all coming blocks are seen.
    /// `None` where the blocks before will never be enough.
    pub(crate) fn same_hours_at(&self, need: f64, flip: i64) -> Option<i64> {
        let phases = i64::try_from(self.phases.len()).ok()?;
        let mut have = self.facts.same_hour as f64;
        let first = self.facts.span_after.div_euclid(self.facts.merged);
        let origin = self.phase_of_the_change(flip)?;
        for place in first..first.saturating_add(phases) {
            if have >= need {
                return flip.checked_add(place.checked_mul(self.facts.merged)?);
            }
            let phase = usize::try_from((origin + place).rem_euclid(phases)).ok()?;
            let coming = self.phases.get(phase).filter(|phase| !phase.seen_after);
            have += coming.map_or(0.0, |phase| phase.blocks_before as f64);
        }
        let last = first.checked_add(phases)?.checked_mul(self.facts.merged)?;
        (have >= need).then(|| flip.saturating_add(last))
    }

    fn phase_of_the_change(&self, flip: i64) -> Option<i64> {
        let phases = i64::try_from(self.phases.len()).ok()?;
        Some(flip.rem_euclid(phases.checked_mul(self.facts.merged)?) / self.facts.merged)
    }
}
