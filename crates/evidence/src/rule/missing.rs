//! What is missing, and when it can exist.

use super::Examination;
use crate::arms::Arms;
use crate::case::Case;
use crate::locks::{Lock, LockName};
use crate::verdict::{Missing, Path};

/// What the locks that failed for want of data ask for. Of an early verdict nothing is missing: it is made or it is not.
pub(super) fn missing(seen: &Examination, case: &Case<'_>, arms: &Arms, path: Path) -> Vec<Missing> {
    if path == Path::ShortBlocks {
        return Vec::new();
    }
    seen.locks.iter().filter(|lock| lock.failed()).filter_map(|lock| of(lock, seen, case, arms)).collect()
}

fn of(lock: &Lock, seen: &Examination, case: &Case<'_>, arms: &Arms) -> Option<Missing> {
    let (have, need) = lock.value.zip(lock.threshold)?;
    let (earliest, for_this_change) = match lock.name {
        LockName::Executions => (executions(have, need, seen, case), true),
        LockName::BlocksAfter => (blocks_after(have, need, seen, case), true),
        LockName::SameHourBlocks => (arms.same_hours_at(need, case.flip), true),
        LockName::Patience => (after_hours(need, case), true),
        LockName::BaselineDays => (baseline(need, seen, case), false),
        LockName::Control => (None, true),
        _ => return None,
    };
    Some(Missing { lock: lock.name, have, need, earliest, for_this_change })
}

fn executions(have: f64, need: f64, seen: &Examination, case: &Case<'_>) -> Option<i64> {
    let blocks = need / have * seen.measured.facts.span_after as f64;
    is_a_time(blocks).then(|| case.flip.saturating_add(blocks.ceil() as i64))
}

fn blocks_after(have: f64, need: f64, seen: &Examination, case: &Case<'_>) -> Option<i64> {
    let facts = &seen.measured.facts;
    let more = (need - have).ceil() * facts.merged as f64;
    is_a_time(more).then(|| {
        // Whole merged blocks are counted from the change.
        let whole = facts.span_after - facts.span_after.rem_euclid(facts.merged);
        case.flip.saturating_add(whole).saturating_add(more as i64)
    })
}

fn after_hours(hours: f64, case: &Case<'_>) -> Option<i64> {
    is_a_time(hours).then(|| case.flip.saturating_add(case.scale.blocks_in(hours)))
}

/// The past of this change does not grow; a change at this block or later has enough of it.
fn baseline(need: f64, seen: &Examination, case: &Case<'_>) -> Option<i64> {
    let blocks = need * case.scale.blocks_per_day() as f64;
    is_a_time(blocks).then(|| {
        case.flip.saturating_sub(seen.measured.facts.span_before).saturating_add(blocks.ceil() as i64)
    })
}

/// Whether a number of blocks can be added to a time at all.
fn is_a_time(blocks: f64) -> bool {
    blocks.is_finite() && blocks.abs() < 1e12
}
