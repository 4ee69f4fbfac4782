//! What a verdict says, from the locks that failed.

use super::Examination;
use crate::case::{Case, EvidenceClass, Waits};
use crate::locks::{Category, LockName};
use crate::thresholds::Thresholds;
use crate::verdict::{Conclusion, Direction};

/// Locks without which nothing can be said.
const DATA: [LockName; 5] = [
    LockName::Executions,
    LockName::BlocksAfter,
    LockName::BlocksBefore,
    LockName::SameHourBlocks,
    LockName::TrialBefore,
];

/// Locks that ask whether anything happened at all.
const HAPPENED: [LockName; 8] = [
    LockName::Ceiling,
    LockName::ErrorBar,
    LockName::Effect,
    LockName::NoOverlap,
    LockName::LostTime,
    LockName::TrialTime,
    LockName::TrialJump,
    LockName::TrialHistory,
];

pub(super) fn conclude(seen: &Examination, case: &Case<'_>, thresholds: &Thresholds) -> Conclusion {
    let failed = |names: &[LockName]| names.iter().any(|name| seen.failed(*name));
    if seen.measured.channels.is_none() || failed(&DATA) {
        return Conclusion::NotEnoughEvidence;
    }
    if is_unchanged(seen, thresholds) {
        return Conclusion::Unchanged;
    }
    if failed(&HAPPENED) {
        return Conclusion::NotEnoughEvidence;
    }
    if seen.failed(LockName::Rows) {
        return Conclusion::QuestionChanged;
    }
    if seen.failed(LockName::Work) {
        return other_time_at_the_same_work(seen, case);
    }
    if failed(&[LockName::OnsetBefore, LockName::OnsetAfter, LockName::OnsetNear]) {
        return Conclusion::NotAtTheChange;
    }
    if seen.category() == Category::Insufficient {
        return Conclusion::NotEnoughEvidence;
    }
    let plan_changed = case.plan.class != EvidenceClass::None;
    match (seen.measured.direction, plan_changed) {
        (Direction::Slower, _) if seen.processor => Conclusion::CpuBound,
        (Direction::Slower, true) => Conclusion::Regressed,
        (Direction::Slower, false) => Conclusion::RegressedWithoutPlanChange,
        (Direction::Faster, true) => Conclusion::Improved,
        (Direction::Faster, false) => Conclusion::ImprovedWithoutPlanChange,
    }
}

fn other_time_at_the_same_work(seen: &Examination, case: &Case<'_>) -> Conclusion {
    if case.waits(seen.measured.direction) == Waits::Rose {
        Conclusion::WaitingMore
    } else {
        Conclusion::CauseNotSeparable
    }
}

/// Even the upper bound is below what would be worth a verdict.
fn is_unchanged(seen: &Examination, thresholds: &Thresholds) -> bool {
    seen.measured.numbers.ratio.is_some_and(|ratio| {
        ratio.high < thresholds.effect_careful && ratio.low > 1.0 / thresholds.effect_careful
    })
}
