//! The early verdict: a large step, seen in short blocks within hours.
//!
//! Short blocks after the change are compared with short blocks of the last day before it, and never with longer ones. In
//! exchange for being early it asks for much more: the median time at least two and a half times the one before, hardly any
//! block after with as little work as any block before, and the whole hours there are above the same hours of the week. It
//! is never above `careful`.

use super::ask::{self, Inquiry};
use super::near::Near;
use super::{Examination, untouched_ratio};
use crate::arms::{Arms, Comparison, Material, Pairing};
use crate::attribution::attribute;
use crate::case::{Case, EvidenceClass, ShortBlocks};
use crate::locks::{Category, Lock, LockName};
use crate::measure::{Channels, Measured, measure};
use crate::thresholds::Thresholds;

/// The whole hours after the change are compared with at least this many of the week before.
const SAME_HOUR_BLOCKS_MIN: usize = 5;

/// What the short blocks show. `None` where there is nothing to compare.
pub(super) fn measured(
    arms: &mut Arms,
    case: &Case<'_>,
    short: &ShortBlocks<'_>,
    thresholds: &Thresholds,
) -> Option<Measured> {
    // Another acceleration for the same statement is a mistake of the caller, and no evidence.
    if short.scale.acceleration() != case.scale.acceleration() {
        return None;
    }
    let material = Material {
        before: short.before,
        after: short.after,
        flip: short.flip,
        control: short.control,
        scale: short.scale,
        control_statements_min: thresholds.control_statements_min,
        pairing: Pairing::All,
    };
    let measured = measure(arms, &material, thresholds);
    measured.channels.is_some().then_some(measured)
}

/// The early verdict on what the short blocks show.
pub(super) fn examine(
    mut measured: Measured,
    case: &Case<'_>,
    hours: &Examination,
    thresholds: &Thresholds,
) -> Option<Examination> {
    let short = case.trial.as_ref()?;
    let channels = measured.channels?;
    // The week knows better than a day how much single executions differ.
    measured.numbers.variation_before = hours.measured.numbers.variation_before;
    let near = Near::of(&measured, measured.direction);
    measured.numbers.near_jumps = near.map(|near| (near.time.stands_out(), near.work.stands_out()));
    let early = early(thresholds);
    let step = large_step(&channels, &measured, thresholds);
    let mut inquiry = Inquiry::new(case, &measured, &channels, near, &early);
    let about_work = |lock: &Lock| matches!(lock.name, LockName::TrialWork | LockName::TrialGap);
    let no_work = step.iter().any(|lock| about_work(lock) && lock.failed());
    inquiry.processor = no_work && inquiry.only_the_processor_is_left();
    let onset = Measured::onset(inquiry.telling(), true);
    let attribution = attribute(
        &case.plan,
        inquiry.is_at_the_change(onset),
        untouched_ratio(&measured, inquiry.telling().step),
    );
    let mut locks = ask::begin(&measured, &early);
    locks.push(Lock::asks(LockName::TrialEarly, 1.0, 0.0, false, Category::Careful));
    enough_before(&mut locks, &measured, short, thresholds);
    error_and_effect(&mut locks, &channels, &measured, thresholds);
    for lock in step {
        locks.push(if inquiry.processor && about_work(&lock) { lock.noted() } else { lock });
    }
    locks.push(history(&measured, hours, inquiry.processor));
    locks.push(never_before_in_the_week(&measured, hours, inquiry.processor, thresholds));
    inquiry.work_and_rows(&mut locks);
    inquiry.onset(&mut locks, onset);
    let (class, needed) = (case.plan.class, EvidenceClass::Generic);
    let known = class >= needed;
    let least = Category::Insufficient;
    locks.push(Lock::asks(LockName::PlanEvidence, ask::rank(class), ask::rank(needed), known, least));
    locks.push(ask::acceleration(case));
    let processor = inquiry.processor;
    (measured.numbers.onset_before, measured.numbers.onset_after) = onset.unzip();
    Some(Examination { measured, locks, attribution, processor })
}

/// The thresholds of an early verdict: its own counts, and no patience.
fn early(thresholds: &Thresholds) -> Thresholds {
    Thresholds {
        blocks_after_min: thresholds.trial.blocks_min,
        executions_min: thresholds.trial.executions_min,
        patience_manual_hours: 0.0,
        ..*thresholds
    }
}

fn enough_before(
    locks: &mut Vec<Lock>,
    measured: &Measured,
    short: &ShortBlocks<'_>,
    thresholds: &Thresholds,
) {
    let least = Category::Insufficient;
    let trial = &thresholds.trial;
    let blocks = i64::try_from(measured.numbers.blocks_before).unwrap_or(i64::MAX);
    let hours = short.scale.hours(blocks.saturating_mul(measured.facts.merged));
    locks.extend([
        Lock::at_most(LockName::TrialHours, measured.numbers.hours_after, trial.hours_max, least),
        Lock::at_least(LockName::TrialBefore, hours, trial.before_hours_min, least),
    ]);
}

fn error_and_effect(
    locks: &mut Vec<Lock>,
    channels: &Channels,
    measured: &Measured,
    thresholds: &Thresholds,
) {
    let least = Category::Insufficient;
    let trial = &thresholds.trial;
    let time = &channels.time;
    let stands_out = time.jump.stands_out() >= trial.jumps_min;
    let low = measured.numbers.ratio.map_or(f64::NAN, |ratio| ratio.low);
    let effect_min = trial.effect_min.max(thresholds.effect_careful);
    let certain = time.t >= thresholds.block_t_min || stands_out;
    locks.extend([
        ask::no_overlap(time),
        Lock::asks(LockName::ErrorBar, time.t, thresholds.block_t_min, certain, least),
        Lock::at_least(LockName::Effect, low.max(time.jump.low()), effect_min, least),
        ask::lost_time(measured, thresholds),
    ]);
}

/// How large the step is, and how far it stands out of everything of the day before.
fn large_step(channels: &Channels, measured: &Measured, thresholds: &Thresholds) -> [Lock; 4] {
    let least = Category::Insufficient;
    let trial = &thresholds.trial;
    let (work_ratio, work_gap) = if measured.is_sensitive(thresholds) {
        (trial.work_ratio_sensitive_min, trial.work_gap_sensitive_min)
    } else {
        (trial.work_ratio_min, trial.work_gap_min)
    };
    let Channels { time, work, .. } = channels;
    let gap = (work.after.least - work.before.most).exp();
    let stands_out = work.jump.stands_out() >= trial.jumps_min;
    [
        Lock::at_least(LockName::TrialTime, time.step.exp(), trial.time_ratio_min, least),
        Lock::at_least(LockName::TrialJump, time.jump.stands_out(), trial.jumps_min, least),
        Lock::at_least(LockName::TrialWork, work.step.exp(), work_ratio, least),
        Lock::asks(LockName::TrialGap, gap, work_gap, gap >= work_gap || stands_out, least),
    ]
}

/// The whole hours after the change are above all of the same hours before, in time and in work.
fn history(measured: &Measured, hours: &Examination, processor: bool) -> Lock {
    let found = hours.measured.channels.as_ref().filter(|_| {
        hours.measured.direction == measured.direction
            && hours.measured.facts.same_hour >= SAME_HOUR_BLOCKS_MIN
    });
    let gap = found.map_or(f64::NAN, |channels| {
        let above = |channel: &Comparison| channel.after.median - channel.before.most;
        let time = above(&channels.time);
        if processor { time.exp() } else { time.min(above(&channels.work)).exp() }
    });
    Lock::at_least(LockName::TrialHistory, gap, 1.0, Category::Insufficient)
}

/// What went as far by itself at any hour of the week, for as many hours, may do so again.
fn never_before_in_the_week(
    measured: &Measured,
    hours: &Examination,
    processor: bool,
    thresholds: &Thresholds,
) -> Lock {
    let same_direction = hours.measured.direction == measured.direction;
    let channels = hours.measured.channels.as_ref().filter(|_| same_direction);
    let telling = channels.map(|channels| if processor { &channels.time } else { &channels.work });
    telling.map_or_else(
        || Lock::at_least(LockName::NeverBefore, f64::NAN, thresholds.excursions_min, Category::Insufficient),
        |telling| ask::never_before(telling, thresholds),
    )
}
