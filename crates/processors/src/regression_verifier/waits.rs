//! What the sampled sessions of a statement waited for, by hour, so that typical hours can be compared.
//!
//! A sum would be ruled by its worst hour: one lock storm in the week before would hide that sessions wait more since. The median of the
//! shares of hours does not know the storm. An hour with few samples lasts until it has enough of them, since one sample is no share.

use dbintel_evidence::Waits;
use dbintel_model::Session;

use crate::codec::{Damaged, Reader, Writer};

/// Hours whose shares are kept of a statement: those of a day.
pub const WAIT_HOURS_MAX: usize = 24;
/// Samples without which an hour goes on.
const SAMPLES_MIN: u16 = 5;
/// Hours on either side without which nothing is said.
const HOURS_MIN: usize = 4;
/// Waiting more: the share of a typical hour's samples that wait rose by more than this.
const RISE_MAX: f64 = 0.1;
/// Shares are kept in 255ths.
const UNIT: f64 = 255.0;

/// What the sampled sessions of a statement waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct WaitHours {
    hour: i64,
    open: Counts,
    /// A ring: `next` is where the next one goes.
    hours: [Share; WAIT_HOURS_MAX],
    len: u8,
    next: u8,
}

/// Samples of one hour; 65,535 at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    samples: u16,
    locks: u16,
    io: u16,
}

/// Shares of the samples of one hour that waited for a lock, and for input or output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Share {
    locks: u8,
    io: u8,
}

/// Shares of a typical hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Typical {
    /// Waiting for a lock, input or output.
    pub(super) waiting: f64,
    pub(super) locks: f64,
    pub(super) io: f64,
}

// === impl WaitHours ===

impl WaitHours {
    /// Counts a session that was seen running the statement in this hour.
    pub(super) fn note(&mut self, session: &Session, hour: i64) {
        if hour != self.hour {
            self.close();
            self.hour = hour;
        }
        let Some(samples) = self.open.samples.checked_add(1) else { return };
        self.open.samples = samples;
        match session.wait_event_type.as_deref() {
            Some("Lock") => self.open.locks += 1,
            Some("IO") => self.open.io += 1,
            _ => {}
        }
    }

    fn close(&mut self) {
        let Some(share) = self.open.share() else { return };
        if let Some(place) = self.hours.get_mut(usize::from(self.next)) {
            *place = share;
        }
        self.next = (self.next + 1) % WAIT_HOURS_MAX as u8;
        self.len = (self.len + 1).min(WAIT_HOURS_MAX as u8);
        self.open = Counts::default();
    }

    /// What is usual, where enough hours are known.
    pub(super) fn typical(&self) -> Option<Typical> {
        let closed = self.hours.iter().take(usize::from(self.len)).copied();
        let shares: Vec<Share> = closed.chain(self.open.share()).collect();
        if shares.len() < HOURS_MIN {
            return None;
        }
        let median = |of: fn(&Share) -> u16| {
            let mut all: Vec<u16> = shares.iter().map(of).collect();
            all.sort_unstable();
            let middle = all.get((all.len() - 1) / 2..=all.len() / 2).unwrap_or_default();
            middle.iter().map(|share| f64::from(*share)).sum::<f64>() / middle.len().max(1) as f64 / UNIT
        };
        Some(Typical {
            waiting: median(|share| u16::from(share.locks) + u16::from(share.io)),
            locks: median(|share| share.locks.into()),
            io: median(|share| share.io.into()),
        })
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.i64(self.hour);
        let Counts { samples, locks, io } = self.open;
        [samples, locks, io].into_iter().for_each(|count| out.u16(count));
        out.u8(self.len);
        out.u8(self.next);
        for share in self.hours.iter().take(usize::from(self.len)) {
            out.u8(share.locks);
            out.u8(share.io);
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let hour = super::hours::read_place(from)?;
        let open = Counts { samples: from.u16()?, locks: from.u16()?, io: from.u16()? };
        let (len, next) = (from.u8()?, from.u8()?);
        let is_ring = usize::from(len) == WAIT_HOURS_MAX || next == len;
        let is_sound = u32::from(open.locks) + u32::from(open.io) <= open.samples.into();
        if usize::from(len.max(next)) > WAIT_HOURS_MAX || !is_ring || !is_sound {
            return Err(Damaged);
        }
        let mut it = Self { hour, open, hours: [Share::default(); WAIT_HOURS_MAX], len, next };
        it.next %= WAIT_HOURS_MAX as u8;
        for share in it.hours.iter_mut().take(len.into()) {
            *share = Share { locks: from.u8()?, io: from.u8()? };
        }
        Ok(it)
    }
}

impl Counts {
    fn share(&self) -> Option<Share> {
        let part = |count: u16| (f64::from(count) / f64::from(self.samples) * UNIT).round() as u8;
        (self.samples >= SAMPLES_MIN).then(|| Share { locks: part(self.locks), io: part(self.io) })
    }
}

/// Whether the statement's sessions wait more than they did.
pub(super) fn waits(before: Option<Typical>, since: Option<Typical>) -> Waits {
    match before.zip(since) {
        None => Waits::NotSampled,
        Some((before, since)) if since.waiting > before.waiting + RISE_MAX => Waits::Rose,
        Some(_) => Waits::NoRise,
    }
}

#[cfg(test)]
mod tests;
