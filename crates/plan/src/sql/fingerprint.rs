//! The identity of a statement: a hash of its normal form.

use std::{fmt, str::FromStr};

use xxhash_rust::xxh3::xxh3_64;

/// The identity of a statement, equal for all texts that differ only in values, spacing, comments and case.
///
/// It is the XXH3 64-bit hash, seed 0, of the statement's normal form, which `docs/masking.md` defines in words
/// and pins down with test vectors. Fingerprints are stored, so a change of the definition is a breaking change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint with this value, as read back from a store.
    #[must_use]
    pub const fn from_u64(value: u64) -> Self {
        Self(value)
    }

    /// The value to store or compare.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    pub(super) fn of_normal_form(normal_form: &[u8]) -> Self {
        Self(xxh3_64(normal_form))
    }
}

/// Sixteen lower-case hexadecimal digits.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A text is not a fingerprint as [`Fingerprint`] displays it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is 16 lower-case hexadecimal digits")]
pub struct ParseFingerprintError;

impl FromStr for Fingerprint {
    type Err = ParseFingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let well_formed = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !well_formed {
            return Err(ParseFingerprintError);
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| ParseFingerprintError)
    }
}
