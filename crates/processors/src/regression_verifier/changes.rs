//! When the plan of a statement changed lately, for charts. What is judged goes by [`super::statement::Plans`].

use dbintel_model::Timestamp;

use crate::codec::{Damaged, Reader, Writer};

/// Changes of the plan of one statement whose times are remembered: the last ones.
pub const CHANGES_REMEMBERED: usize = 6;

/// Seconds since 1970, the oldest first; a zero is no change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ChangeTimes([u32; CHANGES_REMEMBERED]);

// === impl ChangeTimes ===

impl ChangeTimes {
    pub(super) fn note(&mut self, at: Timestamp) {
        let seconds = u32::try_from(at.as_secs()).unwrap_or(u32::MAX);
        if self.0.last().is_some_and(|last| *last < seconds) {
            self.0.rotate_left(1);
            if let Some(last) = self.0.last_mut() {
                *last = seconds;
            }
        }
    }

    /// The oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = Timestamp> + '_ {
        self.0.iter().filter(|seconds| **seconds > 0).map(|seconds| {
            let nanos = u64::from(*seconds).saturating_mul(1_000_000_000);
            Timestamp::from_nanos(nanos)
        })
    }

    pub(super) fn write(&self, out: &mut Writer) {
        self.0.iter().for_each(|seconds| out.u32(*seconds));
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let mut times = Self::default();
        for seconds in &mut times.0 {
            *seconds = from.u32()?;
        }
        if times.0.is_sorted() { Ok(times) } else { Err(Damaged) }
    }
}
