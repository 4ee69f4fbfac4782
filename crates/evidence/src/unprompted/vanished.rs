//! A statement whose executions no longer end.
//!
//! The server's statistics count an execution when it has ended well. One that runs into a time-out is in none of them: the
//! calls fall, and the mean of those that are left looks as good as ever. What tells it are time-outs in the server's log, so
//! that without them nothing is concluded.
//!
//! Calls fall for many reasons, and time-outs come by themselves. So both have to turn at the same time: time-outs against the 18
//! hours before, beyond what chance does; calls against the six hours before, each by what is usual at its hour of the day. A
//! weekend, a holiday or a deployment that came earlier is in both and cancels out.

use std::ops::Range;

use crate::series;

/// The last hours, which are compared with what is usual then.
pub const RECENT_HOURS: i64 = 6;
/// The hours before, with which their time-outs are compared.
const BEFORE_HOURS: i64 = 18;
/// Hours of which time-outs are kept: those, and the one that is not over.
const KEPT_HOURS: usize = (RECENT_HOURS + BEFORE_HOURS + 1) as usize;
/// Hours of them with time-outs, at least.
const HOURS_MIN: usize = 3;
/// Time-outs in them, at least.
const TIMED_OUT_MIN: u32 = 10;
/// Time-outs an hour rose by this factor.
const RISE_MIN: f64 = 5.0;
/// By how many errors of a count they are more than before: the square root of a count has an error of a half, whatever the count.
const RISE_ERRORS_MIN: f64 = 4.0;
/// Hours before, of which all time-outs have to be known, at least.
const KNOWN_HOURS_MIN: i64 = 6;
/// Share of the usual calls that is left, at most.
const CALLS_LEFT_MAX: f64 = 0.5;
/// The same, of the share of the hours before.
const FALL_MAX: f64 = 0.3;
/// Hours before, with which that is compared.
const FALL_HOURS: i64 = 6;
/// Days on which an hour was seen, for its usual calls to be known.
const DAYS_MIN: usize = 3;

/// Executions that were timed out, by hour.
#[derive(Clone, Debug)]
pub struct TimedOut {
    latest: i64,
    counts: [u32; KEPT_HOURS],
}

/// A statement whose executions are timed out instead of ending.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vanished {
    /// Executions that ended, in those of the last hours that had time-outs.
    pub calls: f64,
    /// How many are usual then.
    pub usual: f64,
    /// Executions that were timed out in the last hours.
    pub timed_out: u32,
    /// The same of the hours before.
    pub before: u32,
}

/// A statement at the end of an hour.
#[derive(Clone, Copy, Debug)]
pub struct Watched<'a, I> {
    /// Its time-outs.
    pub timed_out: &'a TimedOut,
    /// The hours in which executions ended, with their number.
    pub calls: I,
    /// Hours of a day.
    pub per_day: i64,
    /// The first hour that is not over.
    pub closed: i64,
    /// The first hour of which all time-outs are known.
    pub known_since: i64,
}

/// The last hours in which there were time-outs.
#[derive(Clone, Copy, Debug)]
struct Recent {
    calls: f64,
    usual: f64,
    timed_out: u32,
}

// === impl TimedOut ===

impl TimedOut {
    /// None so far. `hour` is the first of which any can be known.
    #[must_use]
    pub fn new(hour: i64) -> Self {
        Self { latest: hour, counts: [0; KEPT_HOURS] }
    }

    /// Adds executions of an hour. Hours that are too old are left out.
    pub fn note(&mut self, hour: i64, executions: u64) {
        // A clock that was far ahead and has come back: what it dated is of no use.
        if hour.saturating_add(2 * KEPT_HOURS as i64) < self.latest {
            *self = Self::new(hour);
        }
        for stale in (self.latest.saturating_add(1)..=hour).rev().take(KEPT_HOURS) {
            if let Some(count) = self.counts.get_mut(slot(stale)) {
                *count = 0;
            }
        }
        self.latest = self.latest.max(hour);
        if self.latest - hour < KEPT_HOURS as i64
            && let Some(count) = self.counts.get_mut(slot(hour))
        {
            *count = count.saturating_add(u32::try_from(executions).unwrap_or(u32::MAX));
        }
    }

    /// Those of one hour.
    #[must_use]
    pub fn of(&self, hour: i64) -> u32 {
        self.between(hour, hour)
    }

    /// The hours that are kept and have some, the oldest first.
    pub fn hours(&self) -> impl Iterator<Item = (i64, u32)> + '_ {
        let oldest = self.latest.saturating_sub(KEPT_HOURS as i64 - 1);
        let counts = (oldest..=self.latest).filter_map(|hour| Some((hour, *self.counts.get(slot(hour))?)));
        counts.filter(|(_, count)| *count > 0)
    }

    /// Of the hours from `first` to `last`.
    fn between(&self, first: i64, last: i64) -> u32 {
        let oldest = self.latest - KEPT_HOURS as i64 + 1;
        let hours = first.max(oldest)..=last.min(self.latest);
        hours.filter_map(|hour| self.counts.get(slot(hour))).fold(0, |sum, count| sum.saturating_add(*count))
    }
}

fn slot(hour: i64) -> usize {
    usize::try_from(hour.rem_euclid(KEPT_HOURS as i64)).unwrap_or(0)
}

// === impl Watched ===

impl<I: Iterator<Item = (i64, f64)> + Clone> Watched<'_, I> {
    /// Whether its executions began to be timed out instead of ending.
    #[must_use]
    pub fn vanished(&self) -> Option<Vanished> {
        let first = self.closed.saturating_sub(RECENT_HOURS);
        let Recent { calls, usual, timed_out } = self.recent()?;
        let before = self.timed_out.between((first - BEFORE_HOURS).max(self.known_since), first - 1);
        let known = BEFORE_HOURS.min(first.saturating_sub(self.known_since));
        if known < KNOWN_HOURS_MIN || !has_risen(timed_out, before, known) {
            return None;
        }
        let share_before = self.share(first - FALL_HOURS..first)?;
        (calls <= usual * share_before * FALL_MAX).then_some(Vanished { calls, usual, timed_out, before })
    }

    /// Whether what began is so no longer. Of hours of which not all is known nothing is concluded.
    #[must_use]
    pub fn is_back(&self) -> bool {
        self.closed.saturating_sub(RECENT_HOURS) >= self.known_since && self.recent().is_none()
    }

    /// The last hours, where few executions ended and many were timed out in them.
    fn recent(&self) -> Option<Recent> {
        let first = self.closed.saturating_sub(RECENT_HOURS);
        let timed_out = self.timed_out.between(first, self.closed - 1);
        if timed_out < TIMED_OUT_MIN {
            return None;
        }
        // Only hours with time-outs: fewer calls at another time have another reason.
        let has_some = |hour: &i64| self.timed_out.of(*hour) > 0;
        let hours: Vec<i64> = (first..self.closed).filter(has_some).collect();
        if hours.len() < HOURS_MIN {
            return None;
        }
        let usual = hours.iter().map(|hour| self.usual(*hour, first)).sum::<Option<f64>>()?;
        let calls = hours.iter().map(|hour| self.calls_in(*hour)).sum();
        (calls <= usual * CALLS_LEFT_MAX).then_some(Recent { calls, usual, timed_out })
    }

    /// What part of the usual calls some hours had, as far as it is known what is usual then.
    fn share(&self, hours: Range<i64>) -> Option<f64> {
        let (mut calls, mut usual) = (0.0, 0.0);
        for hour in hours.clone() {
            if let Some(usual_then) = self.usual(hour, hours.start) {
                (calls, usual) = (calls + self.calls_in(hour), usual + usual_then);
            }
        }
        (usual > 0.0).then_some(calls / usual)
    }

    /// The median of the calls of this hour of the day on the days before `end`.
    fn usual(&self, hour: i64, end: i64) -> Option<f64> {
        let is_same = |place: i64| place < end && (hour - place).rem_euclid(self.per_day) == 0;
        let same = self.calls.clone().filter(|(place, _)| is_same(*place));
        let mut same: Vec<f64> = same.map(|(_, calls)| calls).collect();
        series::sort(&mut same);
        series::median(&same).filter(|_| same.len() >= DAYS_MIN)
    }

    fn calls_in(&self, hour: i64) -> f64 {
        self.calls.clone().filter(|(place, _)| *place == hour).map(|(_, calls)| calls).sum()
    }
}

/// Whether time-outs of the last hours are more than those of the `known` hours before, and more than by chance.
fn has_risen(timed_out: u32, before: u32, known: i64) -> bool {
    let (now, usual) = (f64::from(timed_out), f64::from(before) * RECENT_HOURS as f64 / known as f64);
    now >= RISE_MIN * usual && 2.0 * (now.sqrt() - usual.sqrt()) >= RISE_ERRORS_MIN
}

#[cfg(test)]
mod tests;
