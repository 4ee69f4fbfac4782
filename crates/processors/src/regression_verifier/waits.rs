//! What the sampled sessions of a statement waited for, from sessions and into the store. What follows from it is decided in the crate
//! `evidence` ([`dbintel_evidence::Waited`]).

use dbintel_evidence::{WAIT_HOURS_MAX, WaitCounts, WaitHours, WaitShares};
use dbintel_model::Session;

use crate::codec::{Damaged, Reader, Writer};

/// A session that was seen running the statement.
pub(super) fn counted(session: &Session) -> WaitCounts {
    let waits_for = session.wait_event_type.as_deref();
    WaitCounts {
        samples: 1,
        locks: u16::from(waits_for == Some("Lock")),
        io: u16::from(waits_for == Some("IO")),
    }
}

pub(super) fn write(hours: &WaitHours, out: &mut Writer) {
    let (hour, WaitCounts { samples, locks, io }, kept, next) = hours.kept();
    out.i64(hour);
    [samples, locks, io].into_iter().for_each(|count| out.u16(count));
    out.u8(kept.len() as u8);
    out.u8(next);
    for shares in kept {
        out.u8(shares.locks);
        out.u8(shares.io);
    }
}

pub(super) fn read(from: &mut Reader<'_>) -> Result<WaitHours, Damaged> {
    let hour = super::hours::read_place(from)?;
    let open = WaitCounts { samples: from.u16()?, locks: from.u16()?, io: from.u16()? };
    let (len, next) = (from.u8()?, from.u8()?);
    let mut kept = [WaitShares::default(); WAIT_HOURS_MAX];
    let kept = kept.get_mut(..usize::from(len)).ok_or(Damaged)?;
    for shares in &mut *kept {
        *shares = WaitShares { locks: from.u8()?, io: from.u8()? };
    }
    WaitHours::from_kept(hour, open, kept, next).ok_or(Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_wait_for_locks_for_input_and_output_or_for_nothing_that_counts() {
        let of = |waits_for: Option<&'static str>| {
            let WaitCounts { samples, locks, io } =
                counted(&Session { wait_event_type: waits_for.map(Into::into), ..Session::default() });
            [samples, locks, io]
        };
        assert_eq!([Some("Lock"), Some("IO")].map(of), [[1, 1, 0], [1, 0, 1]]);
        assert_eq!([None, Some("Client"), Some("LWLock")].map(of), [[1, 0, 0]; 3]);
    }

    #[test]
    fn what_was_written_is_read_and_what_is_damaged_is_not() {
        for hours in [0, 3, 24, 40] {
            let mut written = WaitHours::default();
            for hour in 0..hours {
                written.note(hour, WaitCounts { samples: 7, locks: 2, io: 1 });
            }
            let mut out = Writer::default();
            write(&written, &mut out);
            assert_eq!(read(&mut Reader(&out.0)), Ok(written));
            for end in 0..out.0.len() {
                assert_eq!(read(&mut Reader(&out.0[..end])), Err(Damaged), "{end}");
            }
            // More waiting than there are samples; more hours than there is room for.
            for (place, value) in [(11, 200), (14, 25)] {
                let mut bytes = out.0.clone();
                bytes[place] = value;
                assert_eq!(read(&mut Reader(&bytes)), Err(Damaged), "{place}");
            }
        }
    }
}
