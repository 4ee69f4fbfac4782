//! When two findings are the same one.
//!
//! The id is the hash of what the finding is about and of the day it began. What goes in, in this order: the kind, the
//! server ([`ServerIdentity`](super::ServerIdentity)), the database, the role, the statement (its own fingerprint; the
//! server's identifier where its text is not known), the object, and the exact fingerprint of the new plan. All of these are
//! the same for two collectors that watch the same server. Times never are: each sees a change when it looks. So the time
//! goes in as the number of a span of [`IDENTITY_BUCKET`].
//!
//! No division of time into spans has the two sides of a border in one span. Two things keep that rare, and harmless:
//!
//! * The borders are at another time of day for each subject, since otherwise all jobs of midnight would fall on one.
//! * Within [`IDENTITY_TOLERANCE`] of a border [`FindingIds::neighbour`] is the id on its other side. Who has a store looks
//!   for both before opening a finding. Without a common store, one change in 1,440 that two collectors see a minute
//!   apart gets two ids.
//!
//! So the same thing that goes away and comes back within its span is the same finding, and is not opened again. Who tells it
//! again all the same, because the period in which it does not is over, gives it [`FindingId::again`].

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::wire::hex_u128;
use super::{FindingKind, Subject};
use crate::Timestamp;

/// How long the same thing is the same finding.
pub const IDENTITY_BUCKET: Duration = Duration::from_secs(24 * 3_600);
/// How far apart two collectors may see the same thing, at most, for [`FindingIds::neighbour`] to find it.
pub const IDENTITY_TOLERANCE: Duration = Duration::from_secs(3_600);

/// First bytes of what is hashed. A change of the definition above gets another number.
const DOMAIN: &[u8] = b"dbintel finding 1";
/// The same, of the id that follows one.
const AGAIN: &[u8] = b"dbintel finding again 1";

/// Identifies a finding: 128 bits, shown as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FindingId(#[serde(with = "hex_u128")] u128);

/// What makes two findings the same one.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// What it says.
    pub kind: FindingKind,
    /// What it is about.
    pub subject: &'a Subject,
    /// The exact fingerprint of the plan since, where there is one.
    pub plan: Option<u128>,
}

/// The ids under which a finding may be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FindingIds {
    /// Its id.
    pub id: FindingId,
    /// The id another collector may have given it, where the time is close to a border.
    pub neighbour: Option<FindingId>,
}

/// A text that is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of a finding is 32 lower-case hexadecimal digits")]
pub struct ParseFindingIdError;

// === impl Identity ===

impl Identity<'_> {
    /// The ids of a finding that began at this time, by the server's clock.
    #[must_use]
    pub fn at(&self, began: Timestamp) -> FindingIds {
        let subject = self.subject_hash();
        let span = nanos(IDENTITY_BUCKET).max(1);
        // The low half of a good hash, so that borders are spread evenly.
        let shift = u64::try_from(subject & u128::from(u64::MAX)).unwrap_or(0) % span;
        let shifted = began.as_nanos().saturating_add(shift);
        let (number, into) = (shifted / span, shifted % span);
        let id = |number: u64| {
            let mut bytes = [0; 24];
            let (first, second) = bytes.split_at_mut(16);
            first.copy_from_slice(&subject.to_le_bytes());
            second.copy_from_slice(&number.to_le_bytes());
            FindingId(xxh3_128(&bytes))
        };
        let tolerance = nanos(IDENTITY_TOLERANCE);
        let neighbour = if into < tolerance {
            number.checked_sub(1)
        } else if into >= span - tolerance {
            number.checked_add(1)
        } else {
            None
        };
        FindingIds { id: id(number), neighbour: neighbour.map(id) }
    }

    /// The hash of everything but the time.
    fn subject_hash(&self) -> u128 {
        let mut bytes = DOMAIN.to_vec();
        part(&mut bytes, Some(self.kind.as_str().as_bytes()));
        let subject = self.subject;
        part(&mut bytes, Some(subject.server.as_str().as_bytes()));
        part(&mut bytes, subject.database.as_deref().map(str::as_bytes));
        part(&mut bytes, subject.role.as_deref().map(str::as_bytes));
        let statement = match (subject.fingerprint, subject.query_id) {
            (Some(fingerprint), _) => Some([&b"f"[..], &fingerprint.to_le_bytes()].concat()),
            (None, Some(query_id)) => Some([&b"q"[..], &query_id.to_le_bytes()].concat()),
            (None, None) => None,
        };
        part(&mut bytes, statement.as_deref());
        part(&mut bytes, subject.object.as_deref().map(str::as_bytes));
        part(&mut bytes, self.plan.map(u128::to_le_bytes).as_ref().map(<[u8; 16]>::as_slice));
        xxh3_128(&bytes)
    }
}

/// Adds a part with its length, so that no two lists of parts give the same bytes.
fn part(bytes: &mut Vec<u8>, part: Option<&[u8]>) {
    let Some(part) = part else { return bytes.push(0) };
    bytes.push(1);
    bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
    bytes.extend_from_slice(part);
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

// === impl FindingIds ===

impl FindingIds {
    /// Both ids, the own one first.
    pub fn iter(&self) -> impl Iterator<Item = FindingId> {
        std::iter::once(self.id).chain(self.neighbour)
    }
}

// === impl FindingId ===

impl FindingId {
    /// The id with this value, as read back from a store.
    #[must_use]
    pub const fn from_u128(value: u128) -> Self {
        Self(value)
    }

    /// The id of the same thing when it is told again within its span: the same for all who have told it as often.
    #[must_use]
    pub fn again(self) -> Self {
        Self(xxh3_128(&[AGAIN, &self.0.to_le_bytes()].concat()))
    }

    /// The value to store or compare.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

impl fmt::Display for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for FindingId {
    type Err = ParseFindingIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let well_formed = text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !well_formed {
            return Err(ParseFindingIdError);
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| ParseFindingIdError)
    }
}
