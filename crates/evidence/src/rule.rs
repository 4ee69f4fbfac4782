//! The rule: t as a ceiling, locks that lower it.

mod ask;
mod conclude;
mod missing;
mod near;
mod trial;

use self::ask::Inquiry;
use self::near::Near;
use crate::arms::{Arms, Material, Pairing};
use crate::attribution::{Attribution, attribute};
use crate::case::Case;
use crate::locks::{Category, Lock, LockName};
use crate::measure::{Measured, measure};
use crate::thresholds::Thresholds;
use crate::verdict::{Direction, Numbers, Path, Verdict};

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
            numbers: Numbers { waited: case.waited, ..decides.measured.numbers },
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
        measured.numbers.side_by_side = case.side_by_side;
        let mut locks = ask::begin(&measured, thresholds);
        let complete = locks.iter().skip(1).all(|lock| !lock.failed());
        let Some(channels) = measured.channels.filter(|_| complete) else {
            locks.extend(ASKED_OF_ENOUGH_DATA.map(Lock::not_asked));
            locks.push(ask::acceleration(case));
            return Examination { measured, locks, attribution: Attribution::default(), processor: false };
        };
        let near = short.and_then(|short| Near::of(short, measured.direction));
        measured.numbers.near_jumps = near.map(|near| (near.time.stands_out(), near.work.stands_out()));
        let inquiry = Inquiry::new(case, &measured, &channels, near, thresholds);
        let onset = Measured::onset(inquiry.telling(), near.is_none());
        let at_the_change = inquiry.is_at_the_change(onset);
        let attribution =
            attribute(&case.plan, at_the_change, untouched_ratio(&measured, inquiry.telling().step));
        inquiry.server_and_error(&mut locks);
        inquiry.effect(&mut locks);
        inquiry.work_and_rows(&mut locks);
        locks.push(ask::never_before(inquiry.telling(), thresholds));
        inquiry.onset(&mut locks, onset);
        locks.extend(inquiry.onset_near());
        inquiry.what_only_time_shows(&mut locks, attribution);
        locks.extend(inquiry.side_by_side());
        locks.push(ask::acceleration(case));
        let processor = inquiry.processor;
        (measured.numbers.onset_before, measured.numbers.onset_after) = onset.unzip();
        Examination { measured, locks, attribution, processor }
    }
}

/// The ratio after by before, whichever way the verdict is turned.
fn untouched_ratio(measured: &Measured, step: f64) -> f64 {
    match measured.direction {
        Direction::Slower => step.exp(),
        Direction::Faster => (-step).exp(),
    }
}

// === impl Examination ===

impl Examination {
    fn category(&self) -> Category {
        let lowest = self.locks.iter().map(Lock::cap).min().unwrap_or(Category::Insufficient);
        let nothing_to_judge = self.measured.channels.is_none();
        if nothing_to_judge { Category::Insufficient } else { lowest }
    }

    fn ceiling(&self, thresholds: &Thresholds) -> Category {
        ask::ceiling(&self.measured, thresholds).cap()
    }

    fn failed(&self, name: LockName) -> bool {
        self.locks.iter().any(|lock| lock.name == name && lock.cap() == Category::Insufficient)
    }
}

#[cfg(test)]
mod tests;
