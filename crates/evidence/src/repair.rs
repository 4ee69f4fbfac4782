//! Whether a repair helped, and whether a regression went away.
//!
//! The same locks are asked the other way up, of the regressed period as "before" and the time since the repair as "after";
//! and the time since the repair is held against the time before the regression, at the same hours of day, so that a fall
//! that is only the evening is not taken for a repair.

use crate::case::{Block, Case, ControlPoint};
use crate::locks::Category;
use crate::ratio::Bounds;
use crate::rule::Judge;
use crate::scale::TimeScale;
use crate::thresholds::Thresholds;
use crate::verdict::{Conclusion, Direction, Verdict};

/// Without effect: the bounds of the ratio lie within these.
const NO_EFFECT: (f64, f64) = (0.9, 1.1);

/// Returned: at most this share of the regression's step (as a logarithm) is left.
const STEP_LEFT_MAX: f64 = 0.5;

/// The time before the regression is known from at least so many blocks at the hours of day since the repair: as many as there have to be since it.
/// It says where to return to; how sure it is that something changed is said by the comparison with the regressed blocks.
const BASELINE_BLOCKS_MIN: usize = 6;

/// The last hours, by which it is told whether a regression went away by itself.
pub const GONE_HOURS: i64 = 12;
/// Hours after which something that was done is measured for the first time.
pub const MEASURED_FROM_HOURS: i64 = 6;
/// Hours after which it counts as not measurable.
const MEASURED_TO_HOURS: i64 = 72;

/// A repair with the three periods around it.
#[derive(Clone, Copy, Debug)]
pub struct Repair<'a> {
    /// The blocks of the week before the regression. Where they are not known, nothing is `Confirmed`.
    pub baseline: &'a [Block],
    /// The blocks between the regression and the repair.
    pub regressed: &'a [Block],
    /// The blocks since the repair.
    pub repaired: &'a [Block],
    /// The first block wholly after the repair.
    pub repair_at: i64,
    /// The control over all of it, sorted by block.
    pub control: &'a [ControlPoint],
    /// The length of the blocks.
    pub scale: TimeScale,
}

/// What a repair did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RepairOutcome {
    /// Faster and doing less work since, and near to what it was before the regression.
    Confirmed,
    /// As before the repair, within a tenth.
    NoEffect,
    /// Slower and doing more work since.
    Harmful,
    /// Not enough evidence for any of these.
    Inconclusive,
}

/// What a repair did, and what that rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirmation {
    /// What it did.
    pub outcome: RepairOutcome,
    /// The regressed period against the time since the repair.
    pub against_regressed: Verdict,
    /// The time before the regression against the time since the repair, where that is known.
    pub against_baseline: Option<Verdict>,
    /// The ratio of time per call since the repair to that of the regressed period.
    pub ratio: Option<Bounds>,
    /// The share of the regression's step that is left, where enough of the baseline is known.
    pub step_left: Option<f64>,
}

/// Whether a regression went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gone {
    /// Time and work per call are back: even the upper bound is below half of the step.
    Yes,
    /// Still there: even the lower bound is above half of the step.
    No,
    /// Not enough was seen to tell.
    Unclear,
}

/// What a repair did.
#[must_use]
pub fn confirm(repair: &Repair<'_>, thresholds: &Thresholds) -> Confirmation {
    let mut judge = Judge::new(thresholds);
    let regressed = Case {
        control: repair.control,
        scale: repair.scale,
        ..Case::new(repair.regressed, repair.repaired, repair.repair_at)
    };
    let against_regressed = judge.judge_repair(&regressed);
    let baseline = Case { before: repair.baseline, ..regressed };
    let usable = !repair.baseline.is_empty();
    let against_baseline = usable.then(|| judge.judge(&baseline));
    let step_left = against_baseline
        .as_ref()
        .filter(|verdict| lacks_hours(verdict).is_none())
        .and_then(|verdict| left(verdict, &against_regressed));
    let ratio = untouched(&against_regressed);
    let outcome = outcome(&against_regressed, ratio.as_ref(), step_left);
    Confirmation { outcome, against_regressed, against_baseline, ratio, step_left }
}

/// Whether a regression went away: `recent` has the regression's baseline as `before`, and as `after` only the blocks since it
/// may have gone.
#[must_use]
pub fn gone(recent: &Case<'_>, regression: &Verdict, thresholds: &Thresholds) -> Gone {
    let now = Judge::new(thresholds).judge(recent);
    let numbers = &now.numbers;
    let enough = numbers.blocks_after as f64 >= thresholds.blocks_after_min
        && numbers.same_hour_blocks as f64 >= thresholds.same_hour_blocks_min;
    let step = regression.numbers.log_step.filter(|step| *step > 0.0);
    let Some(((ratio, work), half)) = untouched(&now)
        .zip(work_step(&now))
        .zip(step.map(|step| step * STEP_LEFT_MAX))
        .filter(|_| enough && regression.direction == Direction::Slower)
    else {
        return Gone::Unclear;
    };
    let work_half = regression.numbers.work_ratio.map_or(f64::INFINITY, |ratio| ratio.ln() * STEP_LEFT_MAX);
    let work_is_back = work_half <= 0.0 || work <= work_half;
    if ratio.high.ln() < half && work_is_back {
        Gone::Yes
    } else if ratio.low.ln() > half {
        Gone::No
    } else {
        Gone::Unclear
    }
}

fn outcome(against_regressed: &Verdict, ratio: Option<&Bounds>, step_left: Option<f64>) -> RepairOutcome {
    let returned = step_left.is_some_and(|left| left <= STEP_LEFT_MAX);
    match against_regressed.direction {
        Direction::Slower if is_clear(against_regressed) => RepairOutcome::Harmful,
        Direction::Faster if is_clear(against_regressed) && returned => RepairOutcome::Confirmed,
        _ if ratio.is_some_and(|ratio| ratio.low >= NO_EFFECT.0 && ratio.high <= NO_EFFECT.1) => {
            RepairOutcome::NoEffect
        }
        _ => RepairOutcome::Inconclusive,
    }
}

fn is_clear(against_regressed: &Verdict) -> bool {
    against_regressed.category >= Category::Careful
}

/// How many blocks of the baseline at these hours of day are known, where they are too few.
fn lacks_hours(against_baseline: &Verdict) -> Option<usize> {
    let known = against_baseline.numbers.same_hour_blocks;
    (known < BASELINE_BLOCKS_MIN).then_some(known)
}

/// The share of the step that is left: how far it is from the baseline now, of how far it was. `None` where it was nowhere.
fn left(against_baseline: &Verdict, against_regressed: &Verdict) -> Option<f64> {
    let now = untouched(against_baseline)?.estimate.ln();
    let returned = -untouched(against_regressed)?.estimate.ln();
    let was = now + returned;
    (was > 0.0).then(|| (now / was).max(0.0))
}

/// The ratio after by before, whichever way the verdict is turned.
fn untouched(verdict: &Verdict) -> Option<Bounds> {
    let ratio = verdict.numbers.ratio?;
    Some(match verdict.direction {
        Direction::Slower => ratio,
        Direction::Faster => {
            Bounds { low: 1.0 / ratio.high, estimate: 1.0 / ratio.estimate, high: 1.0 / ratio.low }
        }
    })
}

fn work_step(verdict: &Verdict) -> Option<f64> {
    let step = verdict.numbers.work_ratio?.ln();
    Some(match verdict.direction {
        Direction::Slower => step,
        Direction::Faster => -step,
    })
}

// === impl RepairOutcome ===

impl RepairOutcome {
    /// As it is called in telemetry.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::NoEffect => "no_effect",
            Self::Harmful => "harmful",
            Self::Inconclusive => "inconclusive",
        }
    }
}

impl Confirmation {
    /// Whether this is told `hours` after the repair. What is not clear yet is measured again an hour later, for three days.
    #[must_use]
    pub fn is_final(&self, hours: i64) -> bool {
        hours >= MEASURED_FROM_HOURS
            && (self.outcome != RepairOutcome::Inconclusive || hours >= MEASURED_TO_HOURS)
    }

    /// Why a repair since which the statement is faster and does less work is not confirmed, in a plain sentence.
    #[must_use]
    pub fn why_not_confirmed(&self) -> Option<String> {
        let is_faster = self.against_regressed.direction == Direction::Faster;
        if self.outcome != RepairOutcome::Inconclusive || !is_faster || !is_clear(&self.against_regressed) {
            return None;
        }
        if let Some(left) = self.step_left {
            let (left, most) = (left * 100.0, STEP_LEFT_MAX * 100.0);
            return Some(format!(
                "It is faster, but {left:.0} % of the way back to the time before the regression is left, at most {most:.0} % may be."
            ));
        }
        let lacks = match &self.against_baseline {
            None => "nothing is known of the time before the regression".to_owned(),
            Some(verdict) => match lacks_hours(verdict) {
                Some(known) => format!(
                    "of the time before the regression only {known} of {BASELINE_BLOCKS_MIN} blocks at the same hours of day are known"
                ),
                None => "the regression was no slower than what is known of the time before it".to_owned(),
            },
        };
        Some(format!("It is faster, but {lacks}: whether it is back there cannot be said."))
    }

    /// Whether too little was seen for any outcome.
    #[must_use]
    pub fn lacks_evidence(&self) -> bool {
        self.outcome == RepairOutcome::Inconclusive
            && self.against_regressed.conclusion == Conclusion::NotEnoughEvidence
    }
}

#[cfg(test)]
mod tests;
