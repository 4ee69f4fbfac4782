//! Whether the server's clock is to be believed.
//!
//! All evidence is dated by the server's clock, and one that is wrong for a few readings would date it years away: what is kept of a week would
//! make room for it, or nothing would be looked at until time gets there. So it is held against our own clock, not by what it says, since the two
//! may always differ, but by how far it went since the batch before. Where the two differ by more than an hour in that, batches are no
//! evidence, until the server's clock is as it was, or has gone on with ours for an hour: then it was set.
//! The first one that a process sees is believed.
//!
//! A batch has two times of ours, when it was read and when it is processed. One that waited while the machine slept differs in one of them, as
//! does what is replayed; a wrong clock differs in both.

use std::time::Duration;

use dbintel_model::Timestamp;

/// By so much the two may differ from one batch to the next, and for so long they have to agree again.
const HOUR: Duration = Duration::from_secs(3_600);
/// The same under acceleration, where an hour can be a second.
const ACCELERATED_MIN: Duration = Duration::from_secs(60);

/// How the server's clock and ours are to each other.
#[derive(Debug)]
pub(super) struct ServerClock {
    hour: Duration,
    /// By how much it was ahead of each of our times in the last batch that was believed.
    ahead: Option<[i128; 2]>,
    /// The same in those since that were not, and when the first of these was processed.
    doubted: Option<([i128; 2], Timestamp)>,
}

/// What a batch says about the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It goes as ours does.
    Believed,
    /// It went another way than ours.
    Doubted,
    /// It did, and has gone on with ours since.
    Set,
}

// === impl ServerClock ===

impl ServerClock {
    pub(super) fn new(acceleration: f64) -> Self {
        let hour = HOUR.div_f64(acceleration.max(1.0)).max(ACCELERATED_MIN);
        Self { hour, ahead: None, doubted: None }
    }

    /// A batch has this time of the server, was read at the first of ours, and is processed at the second.
    pub(super) fn see(&mut self, server: Timestamp, read: Timestamp, now: Timestamp) -> Said {
        let nanos = |at: Timestamp| i128::from(at.as_nanos());
        let ahead = [read, now].map(|own| nanos(server) - nanos(own));
        let agrees = |with: [i128; 2]| {
            let apart = with.iter().zip(&ahead).map(|(one, other)| one.abs_diff(*other));
            apart.min().is_none_or(|least| least <= self.hour.as_nanos())
        };
        if self.ahead.is_none_or(agrees) {
            (self.ahead, self.doubted) = (Some(ahead), None);
            return Said::Believed;
        }
        match self.doubted.filter(|(with, _)| agrees(*with)) {
            Some((_, since)) if now.since(since) >= self.hour => {
                (self.ahead, self.doubted) = (Some(ahead), None);
                Said::Set
            }
            Some((_, since)) => {
                self.doubted = Some((ahead, since));
                Said::Doubted
            }
            None => {
                self.doubted = Some((ahead, now));
                Said::Doubted
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: u64) -> Timestamp {
        Timestamp::from_nanos(1_795_236_205_000_000_000).plus(Duration::from_secs(60 * minutes))
    }

    /// What is said of batches with the server's time, and ours when they were read and processed, in minutes.
    fn said(acceleration: f64, batches: &[(u64, u64, u64)]) -> Vec<Said> {
        let mut clock = ServerClock::new(acceleration);
        let see = |(server, read, now): &(u64, u64, u64)| clock.see(at(*server), at(*read), at(*now));
        batches.iter().map(see).collect()
    }

    #[test]
    fn only_what_differs_from_both_of_our_times_is_doubted() {
        use Said::{Believed, Doubted};
        // It is five hours ahead, always; a pause; a batch that waited for two hours; what is replayed; slowly another one.
        for last in [(301, 1, 1), (900, 600, 600), (302, 2, 120), (900, 2, 600), (361, 1, 1)] {
            assert_eq!(said(1.0, &[(300, 0, 0), last]), [Believed, Believed], "{last:?}");
        }
        for last in [(362, 1, 1), (239, 0, 0)] {
            let after = (303, 3, 3);
            let found = said(1.0, &[(300, 0, 0), last, after]);
            assert_eq!(found, [Believed, Doubted, Believed], "{last:?}");
        }
    }

    #[test]
    fn a_clock_that_goes_on_with_ours_for_an_hour_was_set() {
        use Said::{Believed, Doubted, Set};
        let batches = [(300, 0, 0), (901, 1, 1), (930, 30, 30), (961, 61, 61), (962, 62, 62)];
        assert_eq!(said(1.0, &batches), [Believed, Doubted, Doubted, Set, Believed]);
        // Another jump begins the hour anew.
        let batches = [(300, 0, 0), (901, 1, 1), (2_000, 30, 30), (2_031, 61, 61), (2_060, 90, 90)];
        assert_eq!(said(1.0, &batches), [Believed, Doubted, Doubted, Doubted, Set]);
        let batches = [(300, 0, 0), (901, 1, 1), (902, 2, 2)];
        assert_eq!(said(60.0, &batches), [Believed, Doubted, Set]);
        assert_eq!(said(3_600.0, &[(300, 0, 0), (302, 1, 1)]), [Believed, Believed]);
    }
}
