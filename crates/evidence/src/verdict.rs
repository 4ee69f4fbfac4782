//! A verdict and everything it rests on.

use crate::arms::Pairing;
use crate::attribution::Attribution;
use crate::locks::{Category, Lock, LockName};
use crate::ratio::Bounds;
use crate::scale::TimeScale;
use crate::side_by_side::SideBySide;
use crate::waits::Waited;

/// Hours after which a statement that got no slower is no longer under trial.
const SETTLED_HOURS: i64 = 24;
/// Days after which a trial without a finding ends.
const TRIAL_DAYS: i64 = 3;
/// A finding belongs into the review queue where t is above the first and at most the second. Thresholds that are made stricter move
/// neither: they would make the queue longer.
const REVIEW_T_ABOVE: f64 = 10.0;
const REVIEW_T_MAX: f64 = 100.0;

/// Which way it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Direction {
    /// A call takes longer, or as long.
    #[default]
    Slower,
    /// A call takes less time.
    Faster,
}

/// By which blocks it was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Path {
    /// By the blocks of the week before and those since.
    #[default]
    Blocks,
    /// By short blocks around the change.
    ShortBlocks,
}

/// What the verdict says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Conclusion {
    /// Too little was seen, or what was seen is too unsteady.
    #[default]
    NotEnoughEvidence,
    /// The bounds of the ratio are so near to one that nothing worth a verdict happened.
    Unchanged,
    /// Slower and doing more work since the plan changed.
    Regressed,
    /// Slower at the same work since the plan changed, and not waiting for locks, input or output: the processor is what is left.
    CpuBound,
    /// Slower and doing more work, and nothing says that the plan changed.
    RegressedWithoutPlanChange,
    /// Faster and doing less work since the plan changed.
    Improved,
    /// Faster and doing less work, and nothing says that the plan changed.
    ImprovedWithoutPlanChange,
    /// Slower, at the same work, and waiting more: locks, input and output, load.
    WaitingMore,
    /// Another time at the same work, and nothing tells why.
    CauseNotSeparable,
    /// Another number of rows per call: another question is asked.
    QuestionChanged,
    /// It began before the change, or later.
    NotAtTheChange,
}

/// A verdict on what a change did to a statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// How far the evidence goes.
    pub category: Category,
    /// How far t alone would have gone.
    pub ceiling: Category,
    /// What it says.
    pub conclusion: Conclusion,
    /// Which way it went.
    pub direction: Direction,
    /// By which blocks it was judged. `numbers` and `locks` are of these.
    pub path: Path,
    /// Whether it is the change of plan that did it.
    pub attribution: Attribution,
    /// Every lock with what it saw.
    pub locks: Vec<Lock>,
    /// The early verdict's locks, where short blocks were given and did not decide; the others', where they did.
    pub other_path: Vec<Lock>,
    /// Every input, and what every formula gave.
    pub numbers: Numbers,
    /// What is missing, and when it can exist.
    pub missing: Vec<Missing>,
    /// The length of blocks, and the acceleration, which marks a verdict that was made under it.
    pub scale: TimeScale,
}

/// Something there is too little of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Missing {
    /// Which lock asks for it.
    pub lock: LockName,
    /// How much there is.
    pub have: f64,
    /// How much is needed.
    pub need: f64,
    /// The block at whose beginning there can be enough, if things go on as they do; `None` where nothing says when.
    pub earliest: Option<i64>,
    /// Whether this change can have it. The past of a change does not grow: what is missing there, a later change can have.
    pub for_this_change: bool,
}

/// Every input, and what every formula gave. Times are in milliseconds; ratios are slower by faster if the direction is
/// [`Direction::Slower`], and the inverse if it is [`Direction::Faster`].
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Numbers {
    /// Blocks that were left out because they were no blocks.
    pub rejected_blocks: usize,
    /// How many of the given blocks make one of those compared.
    pub merged: i64,
    /// Hours that a block compared lasts.
    pub block_hours: f64,
    /// With what the blocks after were compared.
    pub pairing: Pairing,
    /// Days seen before.
    pub baseline_days: f64,
    /// Blocks before.
    pub blocks_before: usize,
    /// Blocks before at the hours of day seen after.
    pub same_hour_blocks: usize,
    /// Blocks after.
    pub blocks_after: usize,
    /// Hours since the change.
    pub hours_after: f64,
    /// Executions at the same hours before.
    pub executions_before: f64,
    /// Executions after.
    pub executions_after: f64,
    /// Whether the control was divided out.
    pub controlled: bool,
    /// Statements behind the control, in the block that has most.
    pub control_statements: Option<u32>,
    /// How far the rest of the server moved, as a ratio.
    pub control_ratio: Option<f64>,
    /// Mean time before, at the same hours.
    pub mean_before_ms: Option<f64>,
    /// Mean time after.
    pub mean_after_ms: Option<f64>,
    /// Deviation of single executions before, where known.
    pub deviation_before_ms: Option<f64>,
    /// Deviation of single executions after, where known.
    pub deviation_after_ms: Option<f64>,
    /// Coefficient of variation of single executions before.
    pub variation_before: Option<f64>,
    /// Welch's t.
    pub t: Option<f64>,
    /// Its degrees of freedom.
    pub freedom: Option<f64>,
    /// Whether t rests on the differences between blocks, because the deviation of executions is not known in an arm.
    pub t_of_blocks: bool,
    /// The step of the medians, as a logarithm.
    pub log_step: Option<f64>,
    /// Its standard error.
    pub log_step_error: Option<f64>,
    /// The one divided by the other.
    pub block_t: Option<f64>,
    /// Autocorrelation of neighbouring blocks, before and after.
    pub autocorrelation: Option<(f64, f64)>,
    /// How many independent blocks there are, before and after.
    pub effective_blocks: Option<(f64, f64)>,
    /// Ratio of the medians with its bounds.
    pub ratio: Option<Bounds>,
    /// Ratio of the means with the bounds of the delta method, from single executions or blocks as t is.
    pub ratio_delta: Option<Bounds>,
    /// The same with Fieller's bounds.
    pub ratio_fieller: Option<Bounds>,
    /// The slowest tenth before and the fastest tenth after, as ratios to what is usual at the hour.
    pub time_tenths: Option<(f64, f64)>,
    /// Ratio of work per call.
    pub work_ratio: Option<f64>,
    /// The most working tenth before and the least working tenth after, as ratios to what is usual at the hour.
    pub work_tenths: Option<(f64, f64)>,
    /// The step of work in its standard errors.
    pub work_t: Option<f64>,
    /// Ratio of rows per call, after by before.
    pub rows_ratio: Option<f64>,
    /// Ratio of the fastest executions, where known, and whether their tenths do not overlap.
    pub minimum_ratio: Option<(f64, bool)>,
    /// Share of the step that was there before the change.
    pub onset_before: Option<f64>,
    /// Share of the step that was there right after the change.
    pub onset_after: Option<f64>,
    /// The jumps of time and of work between the short blocks beside the change, in units of the farthest of the day before.
    pub near_jumps: Option<(f64, f64)>,
    /// What executions took with either plan, where they are timed plan by plan.
    pub side_by_side: Option<SideBySide>,
    /// How long a typical call waited before the change and since, where enough sessions were sampled.
    pub waited: Option<Waited>,
    /// Calls per day since the change.
    pub calls_per_day: Option<f64>,
    /// Time lost (or saved) per day.
    pub lost_ms_per_day: Option<Bounds>,
}

// === impl Verdict ===

impl Verdict {
    /// The lock of that name, where the path has it.
    #[must_use]
    pub fn lock(&self, name: LockName) -> Option<&Lock> {
        self.locks.iter().find(|lock| lock.name == name)
    }

    /// Whether it says that the statement got slower and that this is worth a finding.
    #[must_use]
    pub fn is_regression(&self) -> bool {
        let slower = [Conclusion::Regressed, Conclusion::CpuBound, Conclusion::RegressedWithoutPlanChange];
        self.category >= Category::Careful && slower.contains(&self.conclusion)
    }

    /// Whether it says that something got faster, by as much as would be enough for a finding were it slower.
    #[must_use]
    pub fn is_improvement(&self) -> bool {
        matches!(self.conclusion, Conclusion::Improved | Conclusion::ImprovedWithoutPlanChange)
            && self.category >= Category::Careful
    }

    /// How the trial of a statement without a finding ends, so many hours after the change; `None` as long as it goes on.
    #[must_use]
    pub fn end_of_trial(&self, hours: i64, per_day: i64) -> Option<&'static str> {
        match self.conclusion {
            _ if self.is_improvement() && hours >= SETTLED_HOURS => Some("improved"),
            Conclusion::Unchanged if hours >= SETTLED_HOURS => Some("unchanged"),
            _ => (hours >= TRIAL_DAYS * per_day).then_some("expired"),
        }
    }

    /// Whether time did not run as it is: a verdict of a test or a demonstration.
    #[must_use]
    pub fn is_accelerated(&self) -> bool {
        self.scale.acceleration().is_on()
    }

    /// Whether it belongs into the review queue: it costs enough per day, and t is neither too small to say anything nor so large that it
    /// speaks for itself.
    #[must_use]
    pub fn is_for_review(&self, thresholds: &crate::Thresholds) -> bool {
        let lost = self.numbers.lost_ms_per_day.map_or(0.0, |lost| lost.low);
        let is_between = self.numbers.t.is_some_and(|t| t > REVIEW_T_ABOVE && t <= REVIEW_T_MAX);
        self.category > Category::Insufficient && is_between && lost >= thresholds.review_ms_per_day_min
    }

    /// One plain sentence per lock that failed, in the order of the locks.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        self.locks.iter().filter(|lock| lock.failed()).map(|lock| self.sentence(lock)).collect()
    }

    /// The verdict in one sentence.
    #[must_use]
    pub fn headline(&self) -> String {
        let said = self.conclusion.as_sentence();
        if self.conclusion != Conclusion::NotEnoughEvidence {
            return said.to_owned();
        }
        let lowest = self.locks.iter().find(|lock| lock.cap() == Category::Insufficient);
        lowest.map_or_else(|| said.to_owned(), |lock| format!("{said}: {}", self.sentence(lock)))
    }
}

// === impl Conclusion ===

impl Conclusion {
    /// As it is called in telemetry.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotEnoughEvidence => "not_enough_evidence",
            Self::Unchanged => "unchanged",
            Self::Regressed => "regressed",
            Self::CpuBound => "cpu_bound",
            Self::RegressedWithoutPlanChange => "regressed_without_plan_change",
            Self::Improved => "improved",
            Self::ImprovedWithoutPlanChange => "improved_without_plan_change",
            Self::WaitingMore => "waiting_more",
            Self::CauseNotSeparable => "cause_not_separable",
            Self::QuestionChanged => "question_changed",
            Self::NotAtTheChange => "not_at_the_change",
        }
    }

    fn as_sentence(self) -> &'static str {
        match self {
            Self::NotEnoughEvidence => "Not enough evidence",
            Self::Unchanged => "No change worth a verdict.",
            Self::Regressed => "Slower and doing more work since the plan changed.",
            Self::CpuBound => {
                "Slower at the same work since the plan changed, and most of it is not waiting: processor time."
            }
            Self::RegressedWithoutPlanChange => "Slower and doing more work; no change of plan is known.",
            Self::Improved => "Faster and doing less work since the plan changed.",
            Self::ImprovedWithoutPlanChange => "Faster and doing less work; no change of plan is known.",
            Self::WaitingMore => {
                "Slower, but not doing more work, and waiting more: look at locks, input and output, load."
            }
            Self::CauseNotSeparable => "Another time at the same work: the cause is not separable.",
            Self::QuestionChanged => "The question changed: another number of rows per call.",
            Self::NotAtTheChange => "It did not begin at the plan change.",
        }
    }
}

#[cfg(test)]
mod tests;
