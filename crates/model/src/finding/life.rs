//! What happens to a finding: decisions, their being carried out, and what came of it.

use serde::{Deserialize, Serialize};

use super::closed_set;
use super::evidence::TimeLost;
use super::state::{FindingState, IllegalStep, Step, Verdict};
use super::{Finding, FindingKind};
use crate::{Text, Timestamp};

/// Bytes of the reason of a decision.
pub const MAX_REASON_BYTES: usize = 4_096;

closed_set! {
    /// What a person can decide.
    DecisionAction {
        /// It shall be done.
        Accept = "accept",
        /// It shall not be done.
        Reject = "reject",
    }
}

/// A decision of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What was decided.
    pub action: DecisionAction,
    /// By whom, as the system that asked knows the person.
    pub by: Text,
    /// When, by our clock.
    pub at: Timestamp,
    /// Why. A rejection always has a reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text>,
}

/// A decision that lacks something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecisionError {
    /// A rejection without a reason.
    #[error("a rejection needs a reason, so that the next person knows it")]
    ReasonMissing,
    /// The reason is too long.
    #[error("a reason has at most {MAX_REASON_BYTES} bytes")]
    ReasonTooLong,
    /// Nobody decided.
    #[error("a decision needs the name of the person")]
    NobodyDecided,
}

/// That something was done about a finding, as the database shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// When it was done, or first seen to be done.
    pub at: Timestamp,
    /// By what it was detected, in words.
    pub how: Text,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// When it was reached, by our clock.
    pub at: Timestamp,
    /// Start of what was measured after it was done.
    pub measured_from: Timestamp,
    /// End of what was measured.
    pub measured_to: Timestamp,
    /// The time of one execution after it was done, divided by the time before; absent where it could not be measured.
    #[serde(default)]
    pub ratio: Option<f64>,
    /// Lower bound of the ratio.
    #[serde(default)]
    pub ratio_low: Option<f64>,
    /// Upper bound of the ratio.
    #[serde(default)]
    pub ratio_high: Option<f64>,
    /// Time gained per day, as a negative loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_lost: Option<TimeLost>,
    /// All of this in words.
    pub sentence: Text,
}

/// What came of what was done about findings of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackRecord {
    /// The kind.
    pub kind: FindingKind,
    /// How often it helped.
    pub confirmed: u64,
    /// How often it changed nothing.
    pub no_effect: u64,
    /// How often it made things worse.
    pub harmful: u64,
    /// How often it could not be told.
    pub inconclusive: u64,
}

// === impl TrackRecord ===

impl TrackRecord {
    /// One with nothing in it yet.
    #[must_use]
    pub const fn new(kind: FindingKind) -> Self {
        Self { kind, confirmed: 0, no_effect: 0, harmful: 0, inconclusive: 0 }
    }

    /// Adds as many of one verdict.
    pub const fn add(&mut self, verdict: Verdict, count: u64) {
        let of = match verdict {
            Verdict::Confirmed => &mut self.confirmed,
            Verdict::NoEffect => &mut self.no_effect,
            Verdict::Harmful => &mut self.harmful,
            Verdict::Inconclusive => &mut self.inconclusive,
        };
        *of = of.saturating_add(count);
    }

    /// The success rate: what helped of all that was measured, also of what could not be told.
    #[must_use]
    pub fn success(&self) -> String {
        let measured = self.measured();
        let percent = self.confirmed.saturating_mul(100).checked_div(measured).unwrap_or_default();
        format!("{percent} % of {measured}")
    }

    const fn measured(&self) -> u64 {
        let told = self.confirmed.saturating_add(self.no_effect).saturating_add(self.harmful);
        told.saturating_add(self.inconclusive)
    }
}

// === impl Decision ===

impl Decision {
    /// A decision that has what it needs.
    ///
    /// # Errors
    /// [`DecisionError`] if it lacks something.
    pub fn try_new(
        action: DecisionAction,
        by: &str,
        at: Timestamp,
        reason: Option<&str>,
    ) -> Result<Self, DecisionError> {
        let (by, reason) = (by.trim(), reason.map(str::trim).filter(|reason| !reason.is_empty()));
        if by.is_empty() {
            return Err(DecisionError::NobodyDecided);
        }
        if action == DecisionAction::Reject && reason.is_none() {
            return Err(DecisionError::ReasonMissing);
        }
        if reason.is_some_and(|reason| reason.len() > MAX_REASON_BYTES) {
            return Err(DecisionError::ReasonTooLong);
        }
        Ok(Self {
            action,
            by: by.to_owned().into(),
            at,
            reason: reason.map(|reason| reason.to_owned().into()),
        })
    }

    pub(super) fn weight_bytes(&self) -> usize {
        size_of::<Self>() + self.by.len() + self.reason.as_ref().map_or(0, |reason| reason.len())
    }
}

// === impl DecisionAction ===

impl DecisionAction {
    /// The step it is.
    #[must_use]
    pub const fn step(self) -> Step {
        match self {
            Self::Accept => Step::Accept,
            Self::Reject => Step::Reject,
        }
    }
}

// === impl Finding ===

impl Finding {
    /// A person decides. Gives the state before.
    ///
    /// # Errors
    /// [`IllegalStep`] if that is not possible now; nothing has changed then.
    pub fn decide(&mut self, decision: Decision) -> Result<FindingState, IllegalStep> {
        let before = self.step(decision.action.step(), decision.at)?;
        self.decisions.push(decision);
        Ok(before)
    }

    /// It was found to be done. Gives the state before.
    ///
    /// # Errors
    /// [`IllegalStep`] if that is not possible now; nothing has changed then.
    pub fn apply(&mut self, applied: Applied, now: Timestamp) -> Result<FindingState, IllegalStep> {
        let before = self.step(Step::Apply, now)?;
        self.applied = Some(applied);
        Ok(before)
    }

    /// Its effect was measured. Gives the state before.
    ///
    /// # Errors
    /// [`IllegalStep`] if that is not possible now; nothing has changed then.
    pub fn measure(&mut self, outcome: Outcome) -> Result<FindingState, IllegalStep> {
        let before = self.step(Step::Measure(outcome.verdict), outcome.at)?;
        self.outcome = Some(outcome);
        Ok(before)
    }

    /// Its time is over. Gives the state before.
    ///
    /// # Errors
    /// [`IllegalStep`] if that is not possible now; nothing has changed then.
    pub fn expire(&mut self, now: Timestamp) -> Result<FindingState, IllegalStep> {
        self.step(Step::Expire, now)
    }

    /// What it is about is gone by itself. Gives the state before.
    ///
    /// # Errors
    /// [`IllegalStep`] if that is not possible now; nothing has changed then.
    pub fn resolve(&mut self, now: Timestamp) -> Result<FindingState, IllegalStep> {
        self.step(Step::Resolve, now)
    }

    fn step(&mut self, step: Step, now: Timestamp) -> Result<FindingState, IllegalStep> {
        let before = self.state;
        self.state = before.transition(step)?;
        // A clock that was set back does not make a finding older than it is.
        self.updated_at = self.updated_at.max(now);
        Ok(before)
    }
}
