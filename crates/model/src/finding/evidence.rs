//! By what a finding can be checked: numbers, locks, courses, causes.

use serde::{Deserialize, Serialize};

use super::closed_set;
use crate::{Text, Timestamp};

/// The most numbers a finding lists.
pub const MAX_EVIDENCE: usize = 64;
/// The most locks a finding lists.
pub const MAX_LOCKS: usize = 32;
/// The most charts of a finding.
pub const MAX_CHARTS: usize = 4;
/// The most points of a chart on either side: ten days of hours.
pub const MAX_CHART_POINTS: usize = 240;
/// The most causes a finding lists.
pub const MAX_FINDING_CAUSES: usize = 16;
/// The most ways to be wrong that a finding lists.
pub const MAX_FAILURE_MODES: usize = 16;

closed_set! {
    /// Where a number comes from.
    Source {
        /// The database counted or timed it.
        Measured = "measured",
        /// The planner's estimate.
        Planner = "planner",
        /// Somebody set it.
        Configured = "configured",
        /// The result of a formula over other numbers.
        Computed = "computed",
    }
}

closed_set! {
    /// Whether a change of the plan is held responsible for what was measured.
    Attribution {
        /// The new plan was seen to run, and what it does more is of the size its plan says.
        Attributed = "attributed",
        /// Both happened in the same interval.
        Coincident = "coincident",
        /// Nothing joins the two.
        Unattributed = "unattributed",
    }
}

/// One number of the evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What it is: lower case, words joined by `_`, such as `blocks_per_call_before`.
    pub name: Text,
    /// The number; absent where it is not known.
    #[serde(default)]
    pub value: Option<f64>,
    /// Its unit in UCUM, as the catalogue writes units: `ms`, `s`, `1`, `{call}`.
    pub unit: Text,
    /// Where it comes from.
    pub source: Source,
    /// What exactly: the column and the span, or the formula; of a number that is not known, why.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub detail: Text,
}

/// A condition under which a category stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lock {
    /// Its name: lower case, words joined by `_`.
    pub name: Text,
    /// What was found.
    #[serde(default)]
    pub value: Option<f64>,
    /// What it is compared with.
    #[serde(default)]
    pub threshold: Option<f64>,
    /// Whether it holds; absent where it could not be tested, which lowers the category like one that does not hold.
    #[serde(default)]
    pub passed: Option<bool>,
    /// The category that it lowers to when it does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caps_at: Option<super::Category>,
    /// All of this in words.
    pub sentence: Text,
}

/// The course of one measured value before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chart {
    /// What it shows.
    pub name: Text,
    /// Unit of the values, in UCUM.
    pub unit: Text,
    /// Points before, the oldest first, at most [`MAX_CHART_POINTS`].
    pub before: Vec<ChartPoint>,
    /// Points since, the oldest first, at most [`MAX_CHART_POINTS`].
    pub after: Vec<ChartPoint>,
}

/// One interval of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChartPoint {
    /// Start of the interval, by the server's clock.
    pub start: Timestamp,
    /// End of the interval.
    pub end: Timestamp,
    /// Mean.
    #[serde(default)]
    pub mean: Option<f64>,
    /// The value that a tenth is below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p10: Option<f64>,
    /// The value that a tenth is above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p90: Option<f64>,
}

/// How large an effect is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// Mean time of one execution before, in milliseconds.
    #[serde(default)]
    pub before_ms: Option<f64>,
    /// Mean time of one execution since, in milliseconds.
    #[serde(default)]
    pub after_ms: Option<f64>,
    /// The time since, divided by the time before.
    #[serde(default)]
    pub ratio: Option<f64>,
    /// Lower bound of the ratio.
    #[serde(default)]
    pub ratio_low: Option<f64>,
    /// Upper bound of the ratio.
    #[serde(default)]
    pub ratio_high: Option<f64>,
    /// The t statistic.
    #[serde(default)]
    pub t: Option<f64>,
    /// Its degrees of freedom.
    #[serde(default)]
    pub degrees_of_freedom: Option<f64>,
    /// Executions before.
    #[serde(default)]
    pub calls_before: Option<f64>,
    /// Executions since.
    #[serde(default)]
    pub calls_after: Option<f64>,
}

/// Time that is lost per day, or gained where it is negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TimeLost {
    /// The estimate, in seconds per day.
    #[serde(default)]
    pub seconds_per_day: Option<f64>,
    /// Lower bound.
    #[serde(default)]
    pub low: Option<f64>,
    /// Upper bound.
    #[serde(default)]
    pub high: Option<f64>,
    /// Confidence of the interval between the bounds, from 0 to 1.
    #[serde(default)]
    pub confidence: Option<f64>,
}

/// Something that may be the cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// What it was: a kind of `dbintel.change`, `plan_change`, or a word of the verifier's own.
    pub kind: Text,
    /// When it happened, by the server's clock, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The object or setting concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<Text>,
    /// How well it explains what was measured, from 0 to 1. Only for the order: it is no probability.
    #[serde(default)]
    pub score: Option<f64>,
    /// In words.
    pub sentence: Text,
}

// === impl Evidence ===

impl Evidence {
    /// A number; one that is not finite is not known.
    #[must_use]
    pub fn new(
        name: &'static str,
        value: Option<f64>,
        unit: &'static str,
        source: Source,
        detail: impl Into<Text>,
    ) -> Self {
        let value = value.filter(|value| value.is_finite());
        Self { name: name.into(), value, unit: unit.into(), source, detail: detail.into() }
    }

    pub(super) fn weight_bytes(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.unit.len() + self.detail.len()
    }
}

// === impl Lock ===

impl Lock {
    pub(super) fn weight_bytes(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.sentence.len()
    }
}

// === impl Chart ===

impl Chart {
    /// Leaves out the points farthest from the change, beyond [`MAX_CHART_POINTS`] on either side. Says how many.
    pub(super) fn trim(&mut self) -> usize {
        let early = self.before.len().saturating_sub(MAX_CHART_POINTS);
        self.before.drain(..early);
        let late = self.after.len().saturating_sub(MAX_CHART_POINTS);
        self.after.truncate(MAX_CHART_POINTS);
        early + late
    }

    pub(super) fn weight_bytes(&self) -> usize {
        let points = self.before.len() + self.after.len();
        size_of::<Self>() + self.name.len() + self.unit.len() + points * size_of::<ChartPoint>()
    }
}

// === impl Cause ===

impl Cause {
    pub(super) fn weight_bytes(&self) -> usize {
        let object = self.object.as_ref().map_or(0, |object| object.len());
        size_of::<Self>() + self.kind.len() + object + self.sentence.len()
    }
}
