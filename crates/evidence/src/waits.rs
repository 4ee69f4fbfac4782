//! Whether what a call takes more since a change is waiting.
//!
//! Decided by time and not by shares of samples: a share that is near one already hardly rises where all of the added time is waiting. The
//! sampled sessions of a statement waited for a lock, input or output in the share `w` of a typical hour's samples, and a typical call
//! takes `m`; so a call waits `w·m`, and the part of the added time that is waiting is
//!
//! ```text
//! p = (w₂·m₂ − w₁·m₁) / (m₂ − m₁)    ± 2·√((m₁·s₁)² + (m₂·s₂)²) / |m₂ − m₁|
//! ```
//!
//! Where even its upper bound is at most a half, most of the added time is not waiting; where even its lower bound is at least a half, most
//! of it is; between, and with too few samples on either side, nothing is said.
//!
//! `w` is the median of the shares of hours and `m` that of the hours' mean times: a sum would be ruled by its worst hour, and one lock storm in
//! the week before would hide that sessions wait more since. Of both sides only the hours of day count that have samples on
//! both: what waits every night is compared with nights. An hour with few samples lasts until it has enough of them, since one
//! sample is no share. The error of a share, `s = max(1.2533·spread/√B, 1/(n+2))` with `B` hours and at least `n` samples, comes from the
//! differences between hours, which have the error of sampling in them; the second term is that of hours that are all alike, as if one more
//! session of the other kind had been seen.

use crate::case::{Block, Waits};
use crate::ratio::Bounds;
use crate::series;
use crate::verdict::Direction;

/// Hours whose shares are kept of a statement: those of a day.
pub const WAIT_HOURS: usize = 24;
/// Samples without which an hour goes on.
const SAMPLES_MIN: u16 = 5;
/// Hours on either side without which nothing is said.
const HOURS_MIN: usize = 4;
/// The part of the added time that parts waiting from the rest.
const PART: f64 = 0.5;
/// Standard errors of the shares.
const ERRORS: f64 = 2.0;
/// Shares are kept in 255ths.
const UNIT: f64 = 255.0;

/// What the sampled sessions of a statement waited for, by hour of day: the latest of each that had enough of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitHours {
    hour: i64,
    open: WaitCounts,
    shares: [Option<WaitShares>; WAIT_HOURS],
}

/// Sampled sessions; 65,535 at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitCounts {
    /// All of them.
    pub samples: u16,
    /// Those that waited for a lock.
    pub locks: u16,
    /// Those that waited for input or output.
    pub io: u16,
}

/// Shares of the samples of one hour, in 255ths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitShares {
    /// That waited for a lock.
    pub locks: u8,
    /// That waited for input or output.
    pub io: u8,
}

/// The samples of a typical hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TypicalWaits {
    /// The share that waited for a lock, input or output.
    pub share: f64,
    /// Its standard error.
    pub error: f64,
    /// The share that waited for a lock.
    pub locks: f64,
    /// The share that waited for input or output.
    pub io: f64,
}

/// Hours of a day.
#[derive(Clone, Copy, Debug)]
struct HoursOfDay([bool; WAIT_HOURS]);

/// A typical call on one side of a change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WaitingCall {
    /// What it takes.
    pub call_ms: f64,
    /// How much of that is waiting.
    pub waits: TypicalWaits,
}

/// A typical call before a change and since.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Waited {
    /// Before.
    pub before: WaitingCall,
    /// Since.
    pub since: WaitingCall,
}

// === impl WaitHours ===

impl WaitHours {
    /// From what was kept. `None` where it cannot have been kept.
    #[must_use]
    pub fn from_kept(hour: i64, open: WaitCounts, shares: [Option<WaitShares>; WAIT_HOURS]) -> Option<Self> {
        let is_sound = u32::from(open.locks) + u32::from(open.io) <= open.samples.into();
        is_sound.then_some(Self { hour, open, shares })
    }

    /// What is to be kept: the hour that is not over and its samples, and the shares of the hours of a day.
    #[must_use]
    pub const fn kept(&self) -> (i64, WaitCounts, &[Option<WaitShares>; WAIT_HOURS]) {
        (self.hour, self.open, &self.shares)
    }

    /// Counts sessions that were seen running the statement in this hour.
    pub fn note(&mut self, hour: i64, seen: WaitCounts) {
        if hour != self.hour {
            self.close();
            self.hour = hour;
        }
        let Some(samples) = self.open.samples.checked_add(seen.samples) else { return };
        self.open = WaitCounts {
            samples,
            locks: self.open.locks.saturating_add(seen.locks),
            io: self.open.io.saturating_add(seen.io),
        };
    }

    fn close(&mut self) {
        let Some(shares) = self.open.shares() else { return };
        if let Some(place) = self.shares.get_mut(hour_of_day(self.hour)) {
            *place = Some(shares);
        }
        self.open = WaitCounts::default();
    }

    /// The shares that are known, with their hours of day: those of the hour that is not over instead of yesterday's.
    fn known(&self) -> impl Iterator<Item = (usize, WaitShares)> + '_ {
        let open = self.open.shares().map(|shares| (hour_of_day(self.hour), shares));
        let is_other = move |hour: &usize| open.is_none_or(|(open, _)| open != *hour);
        let kept = self.shares.iter().enumerate().filter(move |(hour, _)| is_other(hour));
        kept.filter_map(|(hour, shares)| Some((hour, (*shares)?))).chain(open)
    }

    /// What is usual at these hours of day, where enough of them are known.
    fn typical(&self, times: HoursOfDay) -> Option<TypicalWaits> {
        let of_times = self.known().filter(|(hour, _)| times.has(*hour));
        let hours: Vec<WaitShares> = of_times.map(|(_, shares)| shares).collect();
        if hours.len() < HOURS_MIN {
            return None;
        }
        let sorted = |of: fn(&WaitShares) -> u16| {
            let mut shares: Vec<f64> =
                hours.iter().map(|hour| (f64::from(of(hour)) / UNIT).min(1.0)).collect();
            series::sort(&mut shares);
            shares
        };
        let waiting = sorted(|hour| u16::from(hour.locks) + u16::from(hour.io));
        let share = series::median(&waiting)?;
        let count = hours.len() as f64;
        let between = series::spread(&waiting, share, &mut Vec::new()) / count.sqrt();
        let least = 1.0 / (f64::from(SAMPLES_MIN) * count + 2.0);
        Some(TypicalWaits {
            share,
            error: (series::MEDIAN_ERROR * between).max(least),
            locks: series::median(&sorted(|hour| hour.locks.into()))?,
            io: series::median(&sorted(|hour| hour.io.into()))?,
        })
    }
}

/// The hour of day of an hour.
fn hour_of_day(hour: i64) -> usize {
    usize::try_from(hour.rem_euclid(WAIT_HOURS as i64)).unwrap_or(0)
}

// === impl HoursOfDay ===

impl HoursOfDay {
    /// Those of which enough samples are known on both sides.
    fn of_both(before: &WaitHours, since: &WaitHours) -> Self {
        let mut times = Self([false; WAIT_HOURS]);
        for (hour, _) in since.known() {
            if let Some(time) = times.0.get_mut(hour) {
                *time = before.known().any(|(known, _)| known == hour);
            }
        }
        times
    }

    fn has(&self, hour: usize) -> bool {
        self.0.get(hour).is_some_and(|time| *time)
    }
}

// === impl WaitCounts ===

impl WaitCounts {
    fn shares(&self) -> Option<WaitShares> {
        let part = |count: u16| (f64::from(count) / f64::from(self.samples) * UNIT).round() as u8;
        (self.samples >= SAMPLES_MIN).then(|| WaitShares { locks: part(self.locks), io: part(self.io) })
    }
}

// === impl WaitingCall ===

impl WaitingCall {
    /// A typical call of these times of day. `None` with too few samples, or without any call.
    fn of(sampled: &WaitHours, hours: &[Block], times: HoursOfDay) -> Option<Self> {
        let waits = sampled.typical(times)?;
        let of_times = hours.iter().filter(|hour| times.has(hour_of_day(hour.start)));
        let mut means: Vec<f64> = of_times.map(|hour| hour.total_ms / hour.calls).collect();
        means.retain(|mean| mean.is_finite() && *mean > 0.0);
        series::sort(&mut means);
        Some(Self { call_ms: series::median(&means)?, waits })
    }

    /// How long it waits.
    #[must_use]
    pub fn waiting_ms(&self) -> f64 {
        self.waits.share * self.call_ms
    }
}

// === impl Waited ===

impl Waited {
    /// From the sampled sessions and the hours before a change, and those since. `None` where too few hours of day have enough samples on both
    /// sides.
    #[must_use]
    pub fn between(before: (&WaitHours, &[Block]), since: (&WaitHours, &[Block])) -> Option<Self> {
        let times = HoursOfDay::of_both(before.0, since.0);
        let call = |(sampled, hours)| WaitingCall::of(sampled, hours, times);
        Some(Self { before: call(before)?, since: call(since)? })
    }

    /// The part of the added time that is waiting, or of the time that is gone, with its bounds. `None` where a call takes as long as before.
    #[must_use]
    pub fn part(&self) -> Option<Bounds> {
        let Self { before, since } = self;
        let added = since.call_ms - before.call_ms;
        let estimate = (since.waiting_ms() - before.waiting_ms()) / added;
        let error = |call: &WaitingCall| call.waits.error * call.call_ms;
        let error = ERRORS * error(before).hypot(error(since)) / added.abs();
        let bounds = Bounds { low: estimate - error, estimate, high: estimate + error };
        (bounds.low.is_finite() && bounds.high.is_finite()).then_some(bounds)
    }

    /// Whether the statement waits more since. Only of a typical call that went the same way as the verdict anything is said.
    #[must_use]
    pub fn waits(&self, direction: Direction) -> Waits {
        let is_slower = self.since.call_ms > self.before.call_ms;
        match self.part().filter(|_| is_slower == (direction == Direction::Slower)) {
            Some(part) if part.high <= PART => Waits::NoRise,
            Some(part) if is_slower && part.low >= PART => Waits::Rose,
            _ => Waits::Unclear,
        }
    }
}

#[cfg(test)]
mod tests;
