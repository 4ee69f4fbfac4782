//! The questions of the locks, in groups.

use super::near::Near;
use crate::arms::{Comparison, Jump};
use crate::attribution::Attribution;
use crate::case::{Case, EvidenceClass, Waits};
use crate::locks::{Category, Lock, LockName};
use crate::measure::{Channels, Measured};
use crate::thresholds::Thresholds;
use crate::verdict::Direction;

/// A verdict has about this many locks.
const LOCKS: usize = 32;

/// What the locks are asked about.
pub(super) struct Inquiry<'a> {
    pub(super) case: &'a Case<'a>,
    pub(super) thresholds: &'a Thresholds,
    pub(super) measured: &'a Measured,
    pub(super) channels: &'a Channels,
    pub(super) near: Option<Near>,
    /// Time is judged without work to show for it, because the processor is what is left.
    pub(super) processor: bool,
}

/// The ceiling and whether there is enough data.
pub(super) fn begin(measured: &Measured, thresholds: &Thresholds) -> Vec<Lock> {
    let mut locks = Vec::with_capacity(LOCKS);
    locks.push(ceiling(measured, thresholds));
    let numbers = &measured.numbers;
    let least = Category::Insufficient;
    let seen_after = numbers.blocks_after as f64;
    locks.push(Lock::at_least(LockName::BlocksAfter, seen_after, thresholds.blocks_after_min, least));
    let executions = numbers.executions_after;
    locks.push(Lock::at_least(LockName::Executions, executions, thresholds.executions_min, least));
    locks.push(if measured.compares_hours() {
        let blocks = numbers.same_hour_blocks as f64;
        Lock::at_least(LockName::SameHourBlocks, blocks, thresholds.same_hour_blocks_min, least)
    } else {
        let blocks = numbers.blocks_before as f64;
        Lock::at_least(LockName::BlocksBefore, blocks, thresholds.blocks_after_min, least)
    });
    locks
}

pub(super) fn ceiling(measured: &Measured, thresholds: &Thresholds) -> Lock {
    let t = measured.numbers.t.unwrap_or(f64::NAN);
    let steps = [
        (Category::Careful, thresholds.t_careful),
        (Category::Manual, thresholds.t_manual),
        (Category::Auto, thresholds.t_auto),
    ];
    Lock::steps(LockName::Ceiling, t, |value, least| value > least, Category::Insufficient, &steps)
}

pub(super) fn acceleration(case: &Case<'_>) -> Lock {
    let factor = case.acceleration().factor();
    Lock::at_most(LockName::Acceleration, factor, 1.0, Category::Careful)
}

/// The step against the farthest the statement went by itself: as many neighbouring blocks of the week before.
pub(super) fn never_before(telling: &Comparison, thresholds: &Thresholds) -> Lock {
    let farthest = telling.excursion.up.max(f64::MIN_POSITIVE);
    let least = Category::Insufficient;
    Lock::at_least(LockName::NeverBefore, telling.step / farthest, thresholds.excursions_min, least)
}

/// The lock of time lost per day; a floor of 0 asks nothing.
pub(super) fn lost_time(measured: &Measured, thresholds: &Thresholds) -> Lock {
    let floor = thresholds.lost_ms_per_day_min;
    let lost = measured.numbers.lost_ms_per_day.map_or(f64::NAN, |lost| lost.low);
    Lock::asks(LockName::LostTime, lost, floor, floor <= 0.0 || lost >= floor, Category::Insufficient)
}

/// Whether the nearest tenths of the arms in time are apart.
pub(super) fn no_overlap(time: &Comparison) -> Lock {
    let (before, after) = (time.before.nine_tenths.exp(), time.after.tenth.exp());
    Lock::asks(LockName::NoOverlap, after, before, time.is_apart(), Category::Insufficient)
}

pub(super) fn rank(class: EvidenceClass) -> f64 {
    match class {
        EvidenceClass::None => 0.0,
        EvidenceClass::Generic => 1.0,
        EvidenceClass::Actual => 2.0,
        EvidenceClass::PerPlan => 3.0,
    }
}

// === impl Inquiry ===

impl<'a> Inquiry<'a> {
    pub(super) fn new(
        case: &'a Case<'a>,
        measured: &'a Measured,
        channels: &'a Channels,
        near: Option<Near>,
        thresholds: &'a Thresholds,
    ) -> Self {
        let inquiry = Self { case, thresholds, measured, channels, near, processor: false };
        let more_work = inquiry.more_work().iter().all(|lock| lock.cap() > Category::Insufficient);
        Self { processor: !more_work && inquiry.only_the_processor_is_left(), ..inquiry }
    }

    /// The channel in which the step is looked for: work, unless time has to do without it.
    pub(super) fn telling(&self) -> &Comparison {
        if self.processor { &self.channels.time } else { &self.channels.work }
    }

    /// The control is divided out, the plan changed, and most of the added time is not waiting.
    pub(super) fn only_the_processor_is_left(&self) -> bool {
        self.case.plan.class != EvidenceClass::None
            && self.case.waits(self.measured.direction) == Waits::NoRise
            && self.measured.numbers.controlled
            && self.executions_are_alike()
    }

    /// A statement whose executions differ enormously, waits or does something else in some of them at all times.
    fn executions_are_alike(&self) -> bool {
        let variation = self.measured.numbers.variation_before;
        variation.is_some_and(|variation| variation <= self.thresholds.processor_variation_max)
    }

    pub(super) fn server_and_error(&self, locks: &mut Vec<Lock>) {
        let (numbers, thresholds) = (&self.measured.numbers, self.thresholds);
        let careful = Category::Careful;
        let days = numbers.baseline_days;
        locks.push(Lock::at_least(LockName::BaselineDays, days, thresholds.baseline_days_min, careful));
        let statements = numbers.control_statements.map_or(0.0, f64::from);
        let needed = thresholds.control_statements_min;
        locks.push(Lock::asks(LockName::Control, statements, needed, numbers.controlled, careful));
        let time = &self.channels.time;
        // Where work says nothing, this is what tells a step from a swing.
        let apart = no_overlap(time);
        locks.push(if self.processor { apart } else { apart.noted() });
        let left = careful_if(self.near.is_some_and(|near| self.stands_out(&near.time, time)));
        locks.push(Lock::at_least(LockName::ErrorBar, time.t, thresholds.block_t_min, left));
        let blocks = time.effective_before.min(time.effective_after);
        let needed = thresholds.effective_blocks_min;
        locks.push(Lock::at_least(LockName::IndependentBlocks, blocks, needed, careful));
    }

    pub(super) fn effect(&self, locks: &mut Vec<Lock>) {
        let thresholds = self.thresholds;
        let low = self.measured.numbers.ratio.map_or(f64::NAN, |ratio| ratio.low);
        let steps = [
            (Category::Careful, thresholds.effect_careful),
            (Category::Manual, thresholds.effect_manual),
            (Category::Auto, thresholds.effect_auto),
        ];
        let left = careful_if(self.near.is_some_and(|near| near.time.low() >= thresholds.effect_careful));
        locks.push(Lock::steps(LockName::Effect, low, |value, least| value >= least, left, &steps));
        locks.push(lost_time(self.measured, thresholds));
    }

    pub(super) fn work_and_rows(&self, locks: &mut Vec<Lock>) {
        let (numbers, thresholds) = (&self.measured.numbers, self.thresholds);
        if self.processor {
            locks.extend(self.more_work().map(Lock::noted));
            locks.push(self.cause());
        } else {
            locks.extend(self.more_work());
        }
        let change = (numbers.rows_ratio.unwrap_or(f64::NAN) - 1.0).abs();
        let least = Category::Insufficient;
        locks.push(Lock::at_most(LockName::Rows, change, thresholds.rows_change_max, least));
        let lifted = numbers
            .minimum_ratio
            .is_some_and(|(ratio, apart)| apart && ratio >= thresholds.minimum_ratio_min);
        locks.push(Lock::asks(
            LockName::ParameterSensitivity,
            numbers.variation_before.unwrap_or(f64::NAN),
            thresholds.variation_max,
            lifted || !self.measured.is_sensitive(thresholds),
            Category::Careful,
        ));
    }

    /// A step that the blocks of the week do not show clearly enough may stand out between the short blocks beside the change.
    /// They must show it as well, though less clearly.
    fn stands_out(&self, jump: &Jump, comparison: &Comparison) -> bool {
        jump.stands_out() >= self.thresholds.jumps_min && comparison.t >= self.thresholds.jump_t_min
    }

    /// A step of work must be there; how clear it is, the week shows, or else the short blocks beside the change.
    fn more_work(&self) -> [Lock; 3] {
        let (work, thresholds) = (&self.channels.work, self.thresholds);
        let left = careful_if(self.near.is_some_and(|near| self.stands_out(&near.work, work)));
        let (before, after) = (work.before.nine_tenths.exp(), work.after.tenth.exp());
        let (ratio, needed) = (work.step.exp(), thresholds.work_ratio_min);
        [
            Lock::at_least(LockName::Work, ratio, needed, Category::Insufficient),
            Lock::asks(LockName::WorkNoOverlap, after, before, work.is_apart(), left),
            Lock::at_least(LockName::WorkErrorBar, work.t, thresholds.block_t_min, left),
        ]
    }

    /// Without more work to show, an hour of bad luck at the change looks the same; only time tells it apart, and nothing lifts
    /// it above `careful`.
    fn cause(&self) -> Lock {
        let (hours, needed) = (self.measured.numbers.hours_after, self.thresholds.patience_manual_hours);
        Lock::asks(LockName::Cause, hours, needed, false, careful_if(hours >= needed))
    }

    pub(super) fn onset(&self, locks: &mut Vec<Lock>, onset: Option<(f64, f64)>) {
        let least = Category::Insufficient;
        let (before, after) = onset.unwrap_or((f64::NAN, f64::NAN));
        let (most, needed) = (self.thresholds.onset_before_max, self.thresholds.onset_after_min);
        locks.push(Lock::at_most(LockName::OnsetBefore, before, most, least));
        locks.push(Lock::at_least(LockName::OnsetAfter, after, needed, least));
    }

    /// Whether the step lies between the short blocks beside the change, where those are known.
    pub(super) fn onset_near(&self) -> Option<Lock> {
        let near = self.near?;
        let jump = if self.processor { near.time } else { near.work };
        let share = jump.here / self.telling().step;
        let needed = self.thresholds.onset_after_min;
        Some(Lock::at_least(LockName::OnsetNear, share, needed, Category::Insufficient))
    }

    /// Whether the plans themselves show the step, where their executions are timed singly. It lowers only where they show that
    /// they do not: too few executions, or plans that are near each other, say nothing.
    pub(super) fn side_by_side(&self) -> Option<Lock> {
        let ratio = self.case.side_by_side?.ratio?;
        // The new plan ran later than the old one, when the whole server may have been slower or faster.
        let moved = self.measured.numbers.control_ratio.filter(|moved| *moved > 0.0).unwrap_or(1.0);
        let (low, high) = (ratio.low / moved, ratio.high / moved);
        // As the step is seen: slower by faster. A lower bound that is not above zero bounds nothing.
        let (least, most) = match self.measured.direction {
            Direction::Slower => (low, high),
            Direction::Faster if low > 0.0 => (high.recip(), low.recip()),
            Direction::Faster => (high.recip(), f64::INFINITY),
        };
        let needed = self.thresholds.effect_careful;
        let lock = Lock::at_least(LockName::SideBySide, most, needed, Category::Careful);
        let is_shown = least > 1.0;
        Some(if lock.failed() || is_shown { lock } else { lock.unclear() })
    }

    pub(super) fn is_at_the_change(&self, onset: Option<(f64, f64)>) -> bool {
        onset.is_some_and(|(before, after)| {
            before <= self.thresholds.onset_before_max && after >= self.thresholds.onset_after_min
        })
    }

    pub(super) fn what_only_time_shows(&self, locks: &mut Vec<Lock>, attribution: Attribution) {
        let (case, thresholds) = (self.case, self.thresholds);
        let steps = [
            (Category::Manual, thresholds.patience_manual_hours),
            (Category::Auto, thresholds.patience_auto_hours),
        ];
        let hours = self.measured.numbers.hours_after;
        let reached = |value, least| value >= least;
        locks.push(Lock::steps(LockName::Patience, hours, reached, Category::Careful, &steps));
        // Only a plan that was seen running, and a change that is tied to the step, lets anybody act.
        let (class, needed) = (case.plan.class, EvidenceClass::Actual);
        let known = class >= needed && attribution > Attribution::Unattributed;
        let careful = Category::Careful;
        locks.push(Lock::asks(LockName::PlanEvidence, rank(class), rank(needed), known, careful));
        let overlap = &case.overlap;
        let interleaved = f64::from(overlap.interleaved_blocks);
        let seen = interleaved >= thresholds.interleaved_blocks_min
            || f64::from(overlap.episodes) >= thresholds.episodes_min
            || overlap.verified_trial;
        locks.push(Lock::asks(
            LockName::SwitchBack,
            interleaved,
            thresholds.interleaved_blocks_min,
            seen && !overlap.other_change_in_the_block,
            Category::Manual,
        ));
    }
}

/// What a lock leaves where something else has answered its question in part.
fn careful_if(answered: bool) -> Category {
    if answered { Category::Careful } else { Category::Insufficient }
}
