//! Whether it is the change of plan that did it.
//!
//! Asked are: (a) the new plan is nearly all that is seen after, and hardly seen before; (b) the step of work lies at the
//! first sight of the new plan; (c) the step goes the way the plans themselves say, and is of their rough size. Other
//! changes in the same hour (DDL, ANALYZE, settings, growth) do not acquit the plan; they are the probable trigger, which
//! the caller prints and which chooses the advice.

use crate::case::{EvidenceClass, PlanEvidence};

/// The new plan's share after the change.
const SHARE_AFTER_MIN: f64 = 0.8;

/// The new plan's share before the change.
const SHARE_BEFORE_MAX: f64 = 0.2;

/// Rough size: the plans' own ratio and the one that was measured differ by at most this factor.
const ROUGH_FACTOR: f64 = 10.0;

/// How firmly the change of plan is tied to what was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Attribution {
    /// Not tied.
    #[default]
    Unattributed,
    /// At the same time, and no more is known.
    Coincident,
    /// At the same time, in the direction and size the plans say, and the plans were seen running.
    Attributed,
}

/// How firmly a step of this ratio of work is tied to the change of plan.
#[must_use]
pub fn attribute(plan: &PlanEvidence, step_is_at_the_change: bool, work_ratio: f64) -> Attribution {
    let dominates = plan.new_share_after.is_some_and(|share| share >= SHARE_AFTER_MIN)
        && plan.new_share_before.is_some_and(|share| share <= SHARE_BEFORE_MAX);
    if plan.class == EvidenceClass::None || !dominates || !step_is_at_the_change {
        return Attribution::Unattributed;
    }
    let seen_running = matches!(plan.class, EvidenceClass::Actual | EvidenceClass::PerPlan);
    let as_the_plans_say =
        plan.expected_ratio.is_some_and(|expected| is_the_same_way_and_size(expected, work_ratio));
    if seen_running && as_the_plans_say { Attribution::Attributed } else { Attribution::Coincident }
}

fn is_the_same_way_and_size(expected: f64, measured: f64) -> bool {
    let (expected, measured) = (expected.ln(), measured.ln());
    expected * measured > 0.0 && (expected - measured).abs() <= ROUGH_FACTOR.ln()
}

// === impl Attribution ===

impl Attribution {
    /// As it is called in telemetry.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attributed => "attributed",
            Self::Coincident => "coincident",
            Self::Unattributed => "unattributed",
        }
    }
}

#[cfg(test)]
mod tests;
