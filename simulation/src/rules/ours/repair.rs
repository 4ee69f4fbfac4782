//! A repair that does nothing, made while a finding was open, measured as `regression_verifier` measures it: from the sixth
//! hour on, until the outcome is clear, for three days.

use dbintel_evidence::{
    Case, GONE_HOURS, Gone, Path, Repair, RepairOutcome, TimeScale, Verdict, confirm, gone,
};

use super::Ours;
use crate::rule::Repaired;

/// Hours after the flip within which the finding has to be opened.
const FOUND_HOURS: usize = 24;

/// What comes of a repair made `delay` hours after the statement was found slower. `None`: there is no open finding by then.
pub(super) fn judge(ours: &mut Ours, delay: usize) -> Option<Repaired> {
    let (opened, mut found) = (1..=FOUND_HOURS)
        .find_map(|hour| Some((hour, ours.verdict(hour))).filter(|(_, found)| found.is_regression()))?;
    let repair_at = opened + delay;
    for hour in opened + 1..=repair_at {
        // More has been seen: the finding gets the numbers as they are now.
        let verdict = ours.verdict(hour);
        if verdict.is_regression() && is_more(&verdict, &found) {
            found = verdict;
        }
        if is_gone(ours, &found, hour as i64) {
            return None;
        }
    }
    Some(measure(ours, repair_at as i64))
}

/// As the processor decides it.
fn is_more(verdict: &Verdict, held: &Verdict) -> bool {
    let was_early = held.path == Path::ShortBlocks;
    verdict.category > held.category
        || was_early && verdict.path == Path::Blocks && verdict.category == held.category
}

fn is_gone(ours: &Ours, found: &Verdict, now: i64) -> bool {
    let since = (now - GONE_HOURS).max(0);
    let recent = Case {
        control: ours.hours.control_until(now),
        ..Case::new(&ours.hours.before, ours.hours.after_between(since, now), since)
    };
    gone(&recent, found, ours.judge.thresholds()) == Gone::Yes
}

fn measure(ours: &Ours, repair_at: i64) -> Repaired {
    let mut now = repair_at + dbintel_evidence::MEASURED_FROM_HOURS;
    loop {
        let repair = Repair {
            baseline: &ours.hours.before,
            // The hour of the repair has both in it.
            regressed: ours.hours.after_between(0, repair_at - 1),
            repaired: ours.hours.after_between(repair_at, now),
            repair_at,
            control: ours.hours.control_until(now),
            scale: TimeScale::HOURLY,
        };
        let found = confirm(&repair, ours.judge.thresholds());
        if found.is_final(now - repair_at) {
            return match found.outcome {
                RepairOutcome::Confirmed => Repaired::Confirmed,
                RepairOutcome::NoEffect => Repaired::NoEffect,
                RepairOutcome::Harmful => Repaired::Harmful,
                RepairOutcome::Inconclusive => Repaired::Inconclusive,
            };
        }
        now += 1;
    }
}
