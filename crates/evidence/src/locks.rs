//! Locks: each asks one question that t alone cannot answer, and can only lower the category.

mod words;

use std::fmt;

/// What may be done about it: how far the evidence goes. Never what is done; a category acts on nothing by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Category {
    /// Not enough evidence. This too is a verdict, and it says what is missing.
    #[default]
    Insufficient,
    /// Enough to look at it with care.
    Careful,
    /// Enough for a person to act.
    Manual,
    /// Enough to act without a person, where somebody has allowed that.
    Auto,
}

/// The question a lock asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockName {
    /// Is t large enough? Not a lock but the ceiling that the locks lower.
    Ceiling,
    /// Were there enough executions after the change?
    Executions,
    /// Were enough blocks seen after the change?
    BlocksAfter,
    /// Were enough blocks seen before it? Asked where hours of day are not compared.
    BlocksBefore,
    /// Were enough blocks seen before it, at the same hours of day?
    SameHourBlocks,
    /// Was the time before it long enough?
    BaselineDays,
    /// Can the load of the server be divided out?
    Control,
    /// Is the fastest tenth after slower than the slowest tenth before? Printed; a lock only where work is flat.
    NoOverlap,
    /// Is the step many times larger than its error?
    ErrorBar,
    /// Are there enough blocks that are independent of each other?
    IndependentBlocks,
    /// Is it at least so much slower?
    Effect,
    /// Does it cost at least so much time per day?
    LostTime,
    /// Does a call do more work?
    Work,
    /// Does hardly any block after do as little work as the blocks before?
    WorkNoOverlap,
    /// Is the step of work many times larger than its error?
    WorkErrorBar,
    /// Is it still the same question: as many rows per call?
    Rows,
    /// Is a single execution much like another?
    ParameterSensitivity,
    /// Did it never go nearly as far by itself in the week before?
    NeverBefore,
    /// Was it still at its usual level before the change?
    OnsetBefore,
    /// Was it at its new level right after the change?
    OnsetAfter,
    /// Did it step between the short blocks right before and right after the change?
    OnsetNear,
    /// Was it watched for long enough?
    Patience,
    /// Were the old and the new plan seen side by side?
    SwitchBack,
    /// Do executions with the new plan take longer than those with the old one? Asked where they are timed plan by plan.
    SideBySide,
    /// Is the change of plan itself well known?
    PlanEvidence,
    /// Slower at the same work: is the processor the only thing left?
    Cause,
    /// Does time run as it is?
    Acceleration,
    /// Early verdict: it is one, and so never above `careful`.
    TrialEarly,
    /// Early verdict: is it early?
    TrialHours,
    /// Early verdict: were enough short blocks seen before?
    TrialBefore,
    /// Early verdict: are the medians of time far apart?
    TrialTime,
    /// Early verdict: is the jump of time at the change far above any of the day before?
    TrialJump,
    /// Early verdict: are the medians of work far apart?
    TrialWork,
    /// Early verdict: is the least work after far above the most before?
    TrialGap,
    /// Early verdict: is it above the same hours of the week before, in time and work?
    TrialHistory,
}

/// What a lock did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It found what it asks for.
    Passed,
    /// It did not, and the category is at most this.
    Capped(Category),
    /// It is printed and lowers nothing: it found what it asks for, or not.
    Noted(bool),
    /// It could not ask, because an earlier lock failed.
    NotAsked,
}

/// One lock with what it saw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lock {
    /// Its question.
    pub name: LockName,
    /// What it saw, where there was something to see.
    pub value: Option<f64>,
    /// What it compared with, where it asked. Of several steps, the next one that was not reached.
    pub threshold: Option<f64>,
    /// What it did.
    pub outcome: Outcome,
}

// === impl Category ===

impl Category {
    /// As it is called in telemetry.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Insufficient => "insufficient",
            Self::Careful => "careful",
            Self::Manual => "manual",
            Self::Auto => "auto",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Lock ===

impl Lock {
    /// A lock that asks for at least this much.
    pub(crate) fn at_least(name: LockName, value: f64, threshold: f64, otherwise: Category) -> Self {
        Self::asks(name, value, threshold, value >= threshold, otherwise)
    }

    /// A lock that asks for at most this much.
    pub(crate) fn at_most(name: LockName, value: f64, threshold: f64, otherwise: Category) -> Self {
        Self::asks(name, value, threshold, value <= threshold, otherwise)
    }

    /// A lock whose question is already answered.
    pub(crate) fn asks(name: LockName, value: f64, threshold: f64, found: bool, otherwise: Category) -> Self {
        let outcome = if found { Outcome::Passed } else { Outcome::Capped(otherwise) };
        Self { name, value: finite(value), threshold: finite(threshold), outcome }
    }

    /// A lock with a step for each category above the lowest; `lowest` is what is left below the first step.
    pub(crate) fn steps(
        name: LockName,
        value: f64,
        reached: fn(f64, f64) -> bool,
        lowest: Category,
        steps: &[(Category, f64)],
    ) -> Self {
        let mut allowed = lowest;
        for (category, threshold) in steps {
            if !reached(value, *threshold) {
                return Self::asks(name, value, *threshold, false, allowed);
            }
            allowed = *category;
        }
        let threshold = steps.last().map_or(f64::NAN, |(_, threshold)| *threshold);
        Self::asks(name, value, threshold, true, allowed)
    }

    /// A lock that could not ask.
    pub(crate) fn not_asked(name: LockName) -> Self {
        Self { name, value: None, threshold: None, outcome: Outcome::NotAsked }
    }

    /// The same, printed only.
    pub(crate) fn noted(self) -> Self {
        let found = self.outcome == Outcome::Passed;
        Self { outcome: Outcome::Noted(found), ..self }
    }

    /// The same, where what was found decides nothing.
    pub(crate) fn unclear(self) -> Self {
        Self { outcome: Outcome::Noted(false), ..self }
    }

    /// The highest category this lock leaves.
    #[must_use]
    pub fn cap(&self) -> Category {
        match self.outcome {
            Outcome::Capped(category) => category,
            Outcome::Passed | Outcome::Noted(_) | Outcome::NotAsked => Category::Auto,
        }
    }

    /// Whether it lowered anything.
    #[must_use]
    pub fn failed(&self) -> bool {
        matches!(self.outcome, Outcome::Capped(_))
    }
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

// === impl LockName ===

impl LockName {
    /// As it is called in telemetry and documentation.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ceiling => "ceiling",
            Self::Executions => "executions",
            Self::BlocksAfter => "blocks_after",
            Self::BlocksBefore => "blocks_before",
            Self::SameHourBlocks => "same_hour_blocks",
            Self::BaselineDays => "baseline_days",
            Self::Control => "control",
            Self::NoOverlap => "no_overlap",
            Self::ErrorBar => "error_bar",
            Self::IndependentBlocks => "independent_blocks",
            Self::Effect => "effect",
            Self::LostTime => "lost_time",
            Self::Work => "work",
            Self::WorkNoOverlap => "work_no_overlap",
            Self::WorkErrorBar => "work_error_bar",
            Self::Rows => "rows",
            Self::ParameterSensitivity => "parameter_sensitivity",
            Self::NeverBefore => "never_before",
            Self::OnsetBefore => "onset_before",
            Self::OnsetAfter => "onset_after",
            Self::OnsetNear => "onset_near",
            Self::Patience => "patience",
            Self::SwitchBack => "switch_back",
            Self::SideBySide => "side_by_side",
            Self::PlanEvidence => "plan_evidence",
            Self::Cause => "cause",
            Self::Acceleration => "acceleration",
            Self::TrialEarly => "trial_early",
            Self::TrialHours => "trial_hours",
            Self::TrialBefore => "trial_before",
            Self::TrialTime => "trial_time",
            Self::TrialJump => "trial_jump",
            Self::TrialWork => "trial_work",
            Self::TrialGap => "trial_gap",
            Self::TrialHistory => "trial_history",
        }
    }
}
