//! When the plan of a statement changed lately, for charts, and that a trial of it was given up. What is judged goes by
//! [`super::statement::Plans`].

use dbintel_model::Timestamp;

use crate::codec::{Damaged, Reader, Writer};

/// Changes of the plan of one statement whose times are remembered: the last ones.
pub const CHANGES_REMEMBERED: usize = 6;

/// Seconds since 1970, the oldest first; a zero is no change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ChangeTimes {
    seconds: [u32; CHANGES_REMEMBERED],
    /// The last trial that was given up. It is stored by itself.
    pub(super) given_up: Option<GivenUp>,
}

/// A trial that was given up for want of room. Seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GivenUp {
    since: u32,
    at: u32,
    /// Trials that were kept.
    pub(super) others: u32,
}

fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.as_secs()).unwrap_or(u32::MAX)
}

fn time(seconds: u32) -> Timestamp {
    Timestamp::from_nanos(u64::from(seconds).saturating_mul(1_000_000_000))
}

// === impl ChangeTimes ===

impl ChangeTimes {
    pub(super) fn note(&mut self, at: Timestamp) {
        let seconds = seconds(at);
        if self.seconds.last().is_some_and(|last| *last < seconds) {
            self.seconds.rotate_left(1);
            if let Some(last) = self.seconds.last_mut() {
                *last = seconds;
            }
        }
    }

    /// The oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = Timestamp> + '_ {
        self.seconds.iter().filter(|seconds| **seconds > 0).map(|seconds| time(*seconds))
    }

    pub(super) fn write(&self, out: &mut Writer) {
        self.seconds.iter().for_each(|seconds| out.u32(*seconds));
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let mut times = Self::default();
        for seconds in &mut times.seconds {
            *seconds = from.u32()?;
        }
        if times.seconds.is_sorted() { Ok(times) } else { Err(Damaged) }
    }
}

// === impl GivenUp ===

impl GivenUp {
    pub(super) fn new(since: Timestamp, at: Timestamp, others: usize) -> Self {
        Self { since: seconds(since), at: seconds(at), others: u32::try_from(others).unwrap_or(u32::MAX) }
    }

    /// When what it was about happened.
    pub(super) fn since(&self) -> Timestamp {
        time(self.since)
    }

    /// When it was given up.
    pub(super) fn at(&self) -> Timestamp {
        time(self.at)
    }

    pub(super) fn said(&self) -> String {
        let Self { others, .. } = self;
        format!(
            "Its trial since {} was given up at {}, because {others} others lost more time, as far as was known, or had a finding",
            self.since(),
            self.at()
        )
    }

    pub(super) fn write(self, out: &mut Writer) {
        [self.since, self.at, self.others].into_iter().for_each(|value| out.u32(value));
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(Self { since: from.u32()?, at: from.u32()?, others: from.u32()? })
    }
}
