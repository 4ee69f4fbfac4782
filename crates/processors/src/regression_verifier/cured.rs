//! Hours of regressions whose repair was confirmed. They are no part of what is usual: the same regression that comes back within a week
//! would otherwise be nothing that was never there before.
//!
//! Only what a measured repair has ended counts. What went away by itself may be how the statement is.

use super::hours::{HOURS_REACH, read_place};
use crate::codec::{Damaged, Reader, Writer};

/// Such spans that are remembered of one statement: the last ones. What is older is part of what is usual again.
pub const CURED_MAX: usize = 4;

/// Spans of hours, the oldest first: the first hour, and the one after the last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cured(Vec<(i64, i64)>);

// === impl Cured ===

impl Cured {
    /// Remembers a span. What lies before all that is kept of the statement is forgotten.
    pub(super) fn note(&mut self, first: i64, end: i64) {
        if first >= end {
            return;
        }
        self.0.retain(|(_, earlier)| *earlier > end.saturating_sub(HOURS_REACH));
        if self.0.len() >= CURED_MAX {
            self.0.remove(0);
        }
        self.0.push((first, end));
    }

    pub(super) fn has(&self, hour: i64) -> bool {
        self.0.iter().any(|(first, end)| (*first..*end).contains(&hour))
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.0.capacity() * size_of::<(i64, i64)>()
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.u8(self.0.len() as u8);
        self.0.iter().flat_map(|(first, end)| [first, end]).for_each(|hour| out.i64(*hour));
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let count = usize::from(from.u8()?);
        if count > CURED_MAX {
            return Err(Damaged);
        }
        let spans = (0..count).map(|_| Ok((read_place(from)?, read_place(from)?)));
        Ok(Self(spans.collect::<Result<_, Damaged>>()?))
    }
}
