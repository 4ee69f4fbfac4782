//! The rule: t as a ceiling, locks that lower it.

mod conclude;
mod missing;
mod trial;

use crate::arms::{Arms, Comparison, Jump, Material, Pairing};
use crate::attribution::{Attribution, attribute};
use crate::case::{Case, EvidenceClass, Waits};
use crate::locks::{Category, Lock, LockName};
use crate::measure::{Channels, Measured, measure};
use crate::thresholds::Thresholds;
use crate::verdict::{Path, Verdict};

/// A verdict has about this many locks.
const LOCKS: usize = 24;

/// What is asked once there is enough data.
const ASKED_OF_ENOUGH_DATA: [LockName; 18] = [
    LockName::BaselineDays,
    LockName::Control,
    LockName::NoOverlap,
    LockName::ErrorBar,
    LockName::IndependentBlocks,
    LockName::Effect,
    LockName::LostTime,
    LockName::Work,
    LockName::WorkNoOverlap,
    LockName::WorkErrorBar,
    LockName::Rows,
    LockName::ParameterSensitivity,
    LockName::NeverBefore,
    LockName::OnsetBefore,
    LockName::OnsetAfter,
    LockName::Patience,
    LockName::PlanEvidence,
    LockName::SwitchBack,
];

/// Judges cases, and keeps its memory from one to the next.
#[derive(Debug, Default)]
pub struct Judge {
    thresholds: Thresholds,
    arms: Arms,
    short_arms: Arms,
}

/// What one path came to.
#[derive(Clone, Debug)]
struct Examination {
    measured: Measured,
    locks: Vec<Lock>,
    attribution: Attribution,
    /// Slower at the same work, and the processor is what is left.
    processor: bool,
}

/// Judges one case. What is laxer in the thresholds than the measured rule counts as the measured rule.
#[must_use]
pub fn judge(case: &Case<'_>, thresholds: &Thresholds) -> Verdict {
    Judge::new(thresholds).judge(case)
}

// === impl Judge ===

impl Judge {
    /// A judge with these thresholds. What is laxer than the measured rule counts as the measured rule.
    #[must_use]
    pub fn new(thresholds: &Thresholds) -> Self {
        Self { thresholds: thresholds.enforced(), ..Self::default() }
    }

    /// The thresholds it judges by.
    #[must_use]
    pub fn thresholds(&self) -> &Thresholds {
        &self.thresholds
    }

    /// Judges one case.
    pub fn judge(&mut self, case: &Case<'_>) -> Verdict {
        self.judge_paired(case, Pairing::EachHour)
    }

    /// Judges what a repair did to a regressed period, which is seldom long enough to know its hours of day.
    pub(crate) fn judge_repair(&mut self, case: &Case<'_>) -> Verdict {
        self.judge_paired(case, Pairing::All)
    }

    fn judge_paired(&mut self, case: &Case<'_>, pairing: Pairing) -> Verdict {
        let short = case
            .trial
            .and_then(|short| trial::measured(&mut self.short_arms, case, &short, &self.thresholds));
        let blocks = self.examine(case, pairing, short.as_ref());
        let early = short.and_then(|measured| trial::examine(measured, case, &blocks, &self.thresholds));
        let (path, decides, other) = match early {
            Some(early) if early.category() > blocks.category() => (Path::ShortBlocks, early, Some(blocks)),
            early => (Path::Blocks, blocks, early),
        };
        let conclusion = conclude::conclude(&decides, case, &self.thresholds);
        let missing = missing::missing(&decides, case, &self.arms, path);
        let scale = match (path, &case.trial) {
            (Path::ShortBlocks, Some(short)) => short.scale,
            _ => case.scale,
        };
        Verdict {
            category: decides.category(),
            ceiling: decides.ceiling(&self.thresholds),
            conclusion,
            direction: decides.measured.direction,
            path,
            attribution: decides.attribution,
            locks: decides.locks,
            other_path: other.map(|other| other.locks).unwrap_or_default(),
            numbers: decides.measured.numbers,
            missing,
            scale,
        }
    }

    fn examine(&mut self, case: &Case<'_>, pairing: Pairing, short: Option<&Measured>) -> Examination {
        let thresholds = &self.thresholds;
        let material = Material {
            before: case.before,
            after: case.after,
            flip: case.flip,
            control: case.control,
            scale: case.scale,
            control_statements_min: thresholds.control_statements_min,
            pairing,
        };
        let mut measured = measure(&mut self.arms, &material, thresholds);
        let mut locks = Vec::with_capacity(LOCKS);
        locks.push(ceiling(&measured, thresholds));
        enough_data(&mut locks, &measured, thresholds);
        let complete = locks.iter().skip(1).all(|lock| !lock.failed());
        let Some(channels) = measured.channels.filter(|_| complete) else {
            locks.extend(ASKED_OF_ENOUGH_DATA.map(Lock::not_asked));
            locks.push(acceleration(case));
            return Examination { measured, locks, attribution: Attribution::default(), processor: false };
        };
        let near = Near::of(short, measured.direction);
        let processor = is_processor_bound(&channels, &near, &measured, case, thresholds);
        let telling = if processor { &channels.time } else { &channels.work };
        let onset = Measured::onset(telling, near.0.is_none());
        (measured.numbers.onset_before, measured.numbers.onset_after) = onset.unzip();
        let at_the_change = is_at_the_change(onset, thresholds);
        let attribution = attribute(&case.plan, at_the_change, untouched_ratio(&measured, telling.step));
        server_and_error(&mut locks, &channels, &near, &measured, processor, thresholds);
        effect(&mut locks, &near, &measured, thresholds);
        work_and_rows(&mut locks, &channels, &near, &measured, processor, thresholds);
        locks.push(never_before(telling, thresholds));
        onset_locks(&mut locks, onset, thresholds);
        if let Some(jumps) = near.0 {
            let jump = if processor { jumps.0 } else { jumps.1 };
            locks.push(Lock::at_least(
                LockName::OnsetNear,
                jump.here / telling.step,
                thresholds.onset_after_min,
                Category::Insufficient,
            ));
        }
        what_only_time_shows(&mut locks, case, &measured, attribution, thresholds);
        locks.push(acceleration(case));
        Examination { measured, locks, attribution, processor }
    }
}

/// The jumps of time and work in short blocks right beside the change, where those are known.
#[derive(Clone, Copy, Debug)]
struct Near(Option<(Jump, Jump)>);

impl Near {
    fn of(short: Option<&Measured>, direction: crate::Direction) -> Self {
        Self(short.and_then(|short| {
            let channels = short.channels.as_ref()?;
            let jumps = (channels.time.jump, channels.work.jump);
            Some(if short.direction == direction { jumps } else { (jumps.0.mirrored(), jumps.1.mirrored()) })
        }))
    }

    fn time_stands_out(&self, thresholds: &Thresholds) -> bool {
        self.0.is_some_and(|(time, _)| time.stands_out() >= thresholds.jumps_min)
    }

    fn work_stands_out(&self, thresholds: &Thresholds) -> bool {
        self.0.is_some_and(|(_, work)| work.stands_out() >= thresholds.jumps_min)
    }
}

/// The ratio after by before, whichever way the verdict is turned.
fn untouched_ratio(measured: &Measured, step: f64) -> f64 {
    match measured.direction {
        crate::Direction::Slower => step.exp(),
        crate::Direction::Faster => (-step).exp(),
    }
}

fn ceiling(measured: &Measured, thresholds: &Thresholds) -> Lock {
    let t = measured.numbers.t.unwrap_or(f64::NAN);
    Lock::steps(
        LockName::Ceiling,
        t,
        |value, least| value > least,
        Category::Insufficient,
        &[
            (Category::Careful, thresholds.t_careful),
            (Category::Manual, thresholds.t_manual),
            (Category::Auto, thresholds.t_auto),
        ],
    )
}

fn enough_data(locks: &mut Vec<Lock>, measured: &Measured, thresholds: &Thresholds) {
    let numbers = &measured.numbers;
    let least = Category::Insufficient;
    locks.extend([
        Lock::at_least(
            LockName::BlocksAfter,
            numbers.blocks_after as f64,
            thresholds.blocks_after_min,
            least,
        ),
        Lock::at_least(LockName::Executions, numbers.executions_after, thresholds.executions_min, least),
    ]);
    if measured.compares_hours() {
        locks.push(Lock::at_least(
            LockName::SameHourBlocks,
            numbers.same_hour_blocks as f64,
            thresholds.same_hour_blocks_min,
            least,
        ));
    } else {
        locks.push(Lock::at_least(
            LockName::BlocksBefore,
            numbers.blocks_before as f64,
            thresholds.blocks_after_min,
            least,
        ));
    }
}

fn server_and_error(
    locks: &mut Vec<Lock>,
    channels: &Channels,
    near: &Near,
    measured: &Measured,
    processor: bool,
    thresholds: &Thresholds,
) {
    let numbers = &measured.numbers;
    let careful = Category::Careful;
    locks.push(Lock::at_least(
        LockName::BaselineDays,
        numbers.baseline_days,
        thresholds.baseline_days_min,
        careful,
    ));
    let statements = numbers.control_statements.map_or(0.0, f64::from);
    locks.push(Lock::asks(
        LockName::Control,
        statements,
        thresholds.control_statements_min,
        numbers.controlled,
        careful,
    ));
    let time = &channels.time;
    let apart = Lock::asks(
        LockName::NoOverlap,
        time.after.tenth.exp(),
        time.before.nine_tenths.exp(),
        time.is_apart(),
        Category::Insufficient,
    );
    // Where work says nothing, this is what tells a step from a swing.
    locks.push(if processor { apart } else { apart.noted() });
    let left = if near.time_stands_out(thresholds) { Category::Careful } else { Category::Insufficient };
    locks.push(Lock::at_least(LockName::ErrorBar, time.t, thresholds.block_t_min, left));
    locks.push(Lock::at_least(
        LockName::IndependentBlocks,
        time.effective_before.min(time.effective_after),
        thresholds.effective_blocks_min,
        careful,
    ));
}

fn effect(locks: &mut Vec<Lock>, near: &Near, measured: &Measured, thresholds: &Thresholds) {
    let numbers = &measured.numbers;
    let low = numbers.ratio.map_or(f64::NAN, |ratio| ratio.low);
    let least_jump = near.0.map_or(f64::NAN, |(time, _)| (time.here - time.farthest).exp());
    let left =
        if least_jump >= thresholds.effect_careful { Category::Careful } else { Category::Insufficient };
    locks.push(Lock::steps(
        LockName::Effect,
        low,
        |value, least| value >= least,
        left,
        &[
            (Category::Careful, thresholds.effect_careful),
            (Category::Manual, thresholds.effect_manual),
            (Category::Auto, thresholds.effect_auto),
        ],
    ));
    let floor = thresholds.lost_ms_per_day_min;
    let lost = numbers.lost_ms_per_day.map_or(f64::NAN, |lost| lost.low);
    locks.push(Lock::asks(
        LockName::LostTime,
        lost,
        floor,
        floor <= 0.0 || lost >= floor,
        Category::Insufficient,
    ));
}

/// Another time without more work to show for it, and with what makes the processor the only thing left: the control is
/// divided out, the plan changed, and the sessions do not wait more.
fn is_processor_bound(
    channels: &Channels,
    near: &Near,
    measured: &Measured,
    case: &Case<'_>,
    thresholds: &Thresholds,
) -> bool {
    let more_work = work_locks(channels, near, thresholds).iter().all(|lock| !lock.failed());
    !more_work
        && case.plan.class != EvidenceClass::None
        && case.waits == Waits::NoRise
        && measured.numbers.controlled
}

fn work_locks(channels: &Channels, near: &Near, thresholds: &Thresholds) -> [Lock; 3] {
    let work = &channels.work;
    let least = Category::Insufficient;
    let jumped = near.work_stands_out(thresholds);
    [
        Lock::at_least(LockName::Work, work.step.exp(), thresholds.work_ratio_min, least),
        Lock::asks(
            LockName::WorkNoOverlap,
            work.after.tenth.exp(),
            work.before.nine_tenths.exp(),
            work.is_apart() || jumped,
            least,
        ),
        Lock::asks(
            LockName::WorkErrorBar,
            work.t,
            thresholds.block_t_min,
            work.t >= thresholds.block_t_min || jumped,
            least,
        ),
    ]
}

fn work_and_rows(
    locks: &mut Vec<Lock>,
    channels: &Channels,
    near: &Near,
    measured: &Measured,
    processor: bool,
    thresholds: &Thresholds,
) {
    let more_work = work_locks(channels, near, thresholds);
    if processor {
        locks.extend(more_work.map(Lock::noted));
        locks.push(cause(measured, thresholds));
    } else {
        locks.extend(more_work);
    }
    let change = (measured.numbers.rows_ratio.unwrap_or(f64::NAN) - 1.0).abs();
    locks.push(Lock::at_most(LockName::Rows, change, thresholds.rows_change_max, Category::Insufficient));
    let lifted = measured
        .numbers
        .minimum_ratio
        .is_some_and(|(ratio, apart)| apart && ratio >= thresholds.minimum_ratio_min);
    locks.push(Lock::asks(
        LockName::ParameterSensitivity,
        measured.numbers.variation_before.unwrap_or(f64::NAN),
        thresholds.variation_max,
        lifted || !measured.is_sensitive(thresholds),
        Category::Careful,
    ));
}

/// Without more work to show, an hour of bad luck at the change looks the same; only time tells it apart, and nothing lifts it
/// above `careful`.
fn cause(measured: &Measured, thresholds: &Thresholds) -> Lock {
    let hours = measured.numbers.hours_after;
    let long_enough = hours >= thresholds.patience_manual_hours;
    let left = if long_enough { Category::Careful } else { Category::Insufficient };
    Lock::asks(LockName::Cause, hours, thresholds.patience_manual_hours, false, left)
}

/// The step against the farthest the statement went by itself: as many neighbouring blocks of the week before.
fn never_before(telling: &Comparison, thresholds: &Thresholds) -> Lock {
    let least = Category::Insufficient;
    Lock::at_least(
        LockName::NeverBefore,
        telling.step / telling.excursion.up.max(f64::MIN_POSITIVE),
        thresholds.excursions_min,
        least,
    )
}

fn onset_locks(locks: &mut Vec<Lock>, onset: Option<(f64, f64)>, thresholds: &Thresholds) {
    let least = Category::Insufficient;
    let (before, after) = onset.unwrap_or((f64::NAN, f64::NAN));
    locks.extend([
        Lock::at_most(LockName::OnsetBefore, before, thresholds.onset_before_max, least),
        Lock::at_least(LockName::OnsetAfter, after, thresholds.onset_after_min, least),
    ]);
}

fn is_at_the_change(onset: Option<(f64, f64)>, thresholds: &Thresholds) -> bool {
    onset.is_some_and(|(before, after)| {
        before <= thresholds.onset_before_max && after >= thresholds.onset_after_min
    })
}

fn what_only_time_shows(
    locks: &mut Vec<Lock>,
    case: &Case<'_>,
    measured: &Measured,
    attribution: Attribution,
    thresholds: &Thresholds,
) {
    locks.push(Lock::steps(
        LockName::Patience,
        measured.numbers.hours_after,
        |value, least| value >= least,
        Category::Careful,
        &[
            (Category::Manual, thresholds.patience_manual_hours),
            (Category::Auto, thresholds.patience_auto_hours),
        ],
    ));
    locks.push(plan_evidence(case, attribution));
    let overlap = &case.overlap;
    let seen = f64::from(overlap.interleaved_blocks) >= thresholds.interleaved_blocks_min
        || f64::from(overlap.episodes) >= thresholds.episodes_min
        || overlap.verified_trial;
    locks.push(Lock::asks(
        LockName::SwitchBack,
        f64::from(overlap.interleaved_blocks),
        thresholds.interleaved_blocks_min,
        seen && !overlap.other_change_in_the_block,
        Category::Manual,
    ));
}

/// Only a plan that was seen running, and a change that is tied to the step, lets anybody act.
fn plan_evidence(case: &Case<'_>, attribution: Attribution) -> Lock {
    let tied = attribution > Attribution::Unattributed;
    Lock::asks(
        LockName::PlanEvidence,
        class_rank(case.plan.class),
        class_rank(EvidenceClass::Actual),
        tied && case.plan.class >= EvidenceClass::Actual,
        Category::Careful,
    )
}

fn class_rank(class: EvidenceClass) -> f64 {
    match class {
        EvidenceClass::None => 0.0,
        EvidenceClass::Generic => 1.0,
        EvidenceClass::Actual => 2.0,
        EvidenceClass::PerPlan => 3.0,
    }
}

fn acceleration(case: &Case<'_>) -> Lock {
    let factor = case.acceleration().factor();
    Lock::at_most(LockName::Acceleration, factor, 1.0, Category::Careful)
}

// === impl Examination ===

impl Examination {
    fn category(&self) -> Category {
        let lowest = self.locks.iter().map(Lock::cap).min().unwrap_or(Category::Insufficient);
        let nothing_to_judge = self.measured.channels.is_none();
        if nothing_to_judge { Category::Insufficient } else { lowest }
    }

    fn ceiling(&self, thresholds: &Thresholds) -> Category {
        ceiling(&self.measured, thresholds).cap()
    }

    fn failed(&self, name: LockName) -> bool {
        self.locks.iter().any(|lock| lock.name == name && lock.cap() == Category::Insufficient)
    }
}

#[cfg(test)]
mod tests;
