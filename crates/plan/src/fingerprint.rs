//! When two plans are the same: two hashes over what a plan does, without what it costs.
//!
//! `docs/plan-fingerprint.md` defines both in words and says what they deliberately do not see. Fingerprints are stored
//! and compared across versions of this program, so a change of the definition is a breaking change; the vectors in
//! `tests/data/` pin it down.

mod encode;
mod expression;
mod names;
mod partition;

use std::{fmt, str::FromStr};

pub(crate) use self::{expression::Canonical, names::Names, partition::index_name};
use crate::tree::Plan;

/// The identity of a plan at one of two levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanFingerprint(u128);

impl PlanFingerprint {
    /// The fingerprint with this value, as read back from a store.
    #[must_use]
    pub const fn from_u128(value: u128) -> Self {
        Self(value)
    }

    /// The value to store or compare.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

/// Thirty-two lower-case hexadecimal digits.
impl fmt::Display for PlanFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A text is not a fingerprint as [`PlanFingerprint`] displays it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a plan fingerprint is 32 lower-case hexadecimal digits")]
pub struct ParsePlanFingerprintError;

impl FromStr for PlanFingerprint {
    type Err = ParsePlanFingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let well_formed = text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !well_formed {
            return Err(ParsePlanFingerprintError);
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| ParsePlanFingerprintError)
    }
}

/// The identity of a plan at both levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprints {
    /// Operators, relations and how they are joined, without the names of indexes.
    pub shape: PlanFingerprint,
    /// The shape with indexes, sort and group keys, and the shapes of join and index conditions.
    pub exact: PlanFingerprint,
}

impl Plan<'_> {
    /// The identity of this plan at both levels.
    #[must_use]
    pub fn fingerprints(&self) -> Fingerprints {
        let names = Names::of(self);
        let (shape, exact) = encode::hashes(self, &names);
        Fingerprints { shape: PlanFingerprint(shape), exact: PlanFingerprint(exact) }
    }
}
