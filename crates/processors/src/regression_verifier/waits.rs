//! What the sampled sessions of a statement waited for, from sessions and into the store. What follows from it is decided in the crate
//! `evidence` ([`dbintel_evidence::Waited`]).

use dbintel_evidence::{WAIT_HOURS, WaitCounts, WaitHours, WaitShares};
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
    let (hour, WaitCounts { samples, locks, io }, kept) = hours.kept();
    out.i64(hour);
    [samples, locks, io].into_iter().for_each(|count| out.u16(count));
    // Which hours of day are known, a bit each.
    let bits = kept.iter().enumerate().map(|(hour, shares)| u32::from(shares.is_some()) << hour);
    out.u32(bits.sum());
    for shares in kept.iter().flatten() {
        out.u8(shares.locks);
        out.u8(shares.io);
    }
}

pub(super) fn read(from: &mut Reader<'_>) -> Result<WaitHours, Damaged> {
    let hour = super::hours::read_place(from)?;
    let open = WaitCounts { samples: from.u16()?, locks: from.u16()?, io: from.u16()? };
    let bits = from.u32()?;
    let mut kept = [None; WAIT_HOURS];
    for (hour, shares) in kept.iter_mut().enumerate() {
        if bits >> hour & 1 == 1 {
            *shares = Some(WaitShares { locks: from.u8()?, io: from.u8()? });
        }
    }
    let is_sound = bits >> WAIT_HOURS == 0;
    WaitHours::from_kept(hour, open, kept).filter(|_| is_sound).ok_or(Damaged)
}

/// Passes over them as they were stored before they were kept by hour of day: what a day was like is known again after a day.
pub(super) fn skip_former(from: &mut Reader<'_>) -> Result<(), Damaged> {
    super::hours::read_place(from)?;
    (0..3).try_for_each(|_| from.u16().map(drop))?;
    let len = from.u8()?;
    from.u8()?;
    (0..2 * u32::from(len)).try_for_each(|_| from.u8().map(drop))
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
            // More waiting than there are samples; an hour of day that is none.
            for (place, value) in [(11, 200), (17, 1)] {
                let mut bytes = out.0.clone();
                bytes[place] = value;
                assert_eq!(read(&mut Reader(&bytes)), Err(Damaged), "{place}");
            }
        }
    }
}
