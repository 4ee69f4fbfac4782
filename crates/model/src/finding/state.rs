//! The life of a finding as a state machine without side effects.
//!
//! ```text
//! open ──► accepted ──► applied ──► confirmed | no_effect | harmful | inconclusive
//!   │          │           ▲
//!   ├──────────┼───────────┘ also without having been accepted: it is detected, not assumed
//!   └──────────┴──► rejected | expired | resolved
//! ```
//!
//! A step that is not in the picture is an error, never ignored: two persons who decide at once both learn what happened.

use super::closed_set;

closed_set! {
    /// Where a finding is in its life.
    FindingState {
        /// Nobody has decided.
        Open = "open",
        /// A person wants it done.
        Accepted = "accepted",
        /// A person does not want it done. Final.
        Rejected = "rejected",
        /// Nobody decided or did anything in time. Final.
        Expired = "expired",
        /// What it is about went away, or nothing has to be done about it. Final.
        Resolved = "resolved",
        /// It was done, as the database shows; the effect is being measured.
        Applied = "applied",
        /// Measured: it helped. Final.
        Confirmed = "confirmed",
        /// Measured: it changed nothing. Final.
        NoEffect = "no_effect",
        /// Measured: it made things worse. Final.
        Harmful = "harmful",
        /// It could not be measured well enough in time. Final.
        Inconclusive = "inconclusive",
    }
}

closed_set! {
    /// What measuring an applied finding came to.
    Verdict {
        /// It helped.
        Confirmed = "confirmed",
        /// It changed nothing.
        NoEffect = "no_effect",
        /// It made things worse.
        Harmful = "harmful",
        /// Not to be told from what was measured.
        Inconclusive = "inconclusive",
    }
}

/// What can happen to a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// A person accepts it.
    Accept,
    /// A person rejects it.
    Reject,
    /// Its time is over.
    Expire,
    /// What it is about is gone by itself.
    Resolve,
    /// It was found to be done.
    Apply,
    /// Its effect was measured.
    Measure(Verdict),
}

/// A step that the state does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a finding that is {state} cannot be {}; {}", step.participle(), Possible(*state))]
pub struct IllegalStep {
    /// The state it is in.
    pub state: FindingState,
    /// What was to happen.
    pub step: Step,
}

/// The possible steps of a state, in words.
struct Possible(FindingState);

// === impl FindingState ===

impl FindingState {
    /// The state after a step.
    ///
    /// # Errors
    /// [`IllegalStep`] if the step is not possible in this state.
    pub const fn transition(self, step: Step) -> Result<Self, IllegalStep> {
        let next = match (self, step) {
            (Self::Open, Step::Accept) => Self::Accepted,
            (Self::Open | Self::Accepted, Step::Reject) => Self::Rejected,
            (Self::Open | Self::Accepted, Step::Expire) => Self::Expired,
            (Self::Open | Self::Accepted, Step::Resolve) => Self::Resolved,
            (Self::Open | Self::Accepted, Step::Apply) => Self::Applied,
            (Self::Applied, Step::Measure(verdict)) => verdict.state(),
            _ => return Err(IllegalStep { state: self, step }),
        };
        Ok(next)
    }

    /// Whether nothing happens to it any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Open | Self::Accepted | Self::Applied)
    }
}

// === impl Verdict ===

impl Verdict {
    /// The state of a finding that was measured so.
    #[must_use]
    pub const fn state(self) -> FindingState {
        match self {
            Self::Confirmed => FindingState::Confirmed,
            Self::NoEffect => FindingState::NoEffect,
            Self::Harmful => FindingState::Harmful,
            Self::Inconclusive => FindingState::Inconclusive,
        }
    }
}

// === impl Step ===

impl Step {
    /// Every step.
    pub const ALL: [Self; 9] = [
        Self::Accept,
        Self::Reject,
        Self::Expire,
        Self::Resolve,
        Self::Apply,
        Self::Measure(Verdict::Confirmed),
        Self::Measure(Verdict::NoEffect),
        Self::Measure(Verdict::Harmful),
        Self::Measure(Verdict::Inconclusive),
    ];

    const fn participle(self) -> &'static str {
        match self {
            Self::Accept => "accepted",
            Self::Reject => "rejected",
            Self::Expire => "expired",
            Self::Resolve => "resolved",
            Self::Apply => "applied",
            Self::Measure(_) => "measured",
        }
    }
}

// === impl Possible ===

impl std::fmt::Display for Possible {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut possible: Vec<&str> = Step::ALL
            .into_iter()
            .filter(|step| self.0.transition(*step).is_ok())
            .map(Step::participle)
            .collect();
        possible.dedup();
        if possible.is_empty() {
            return f.write_str("this is its final state");
        }
        write!(f, "it can be {}", possible.join(", "))
    }
}
