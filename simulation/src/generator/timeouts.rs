//! A statement hour by hour: executions that ended, as its counters show them, and executions that ran into a time-out, as the server's
//! log has them. But for [`TimeOuts::Hangs`] nothing is wrong with it: calls fall by night, on weekends, on holidays, when a deployment
//! asks less of it or retires it, and when counters are lost; time-outs come at rates that have nothing to do with that.

use super::walk::Wander;
use crate::rng::{Rng, Stream};

/// Hours before the first look.
pub const HOURS_BEFORE: usize = 168;
/// Hours of looks: a week.
pub const HOURS_WATCHED: usize = 168;
/// All of them.
const HOURS: usize = HOURS_BEFORE + HOURS_WATCHED;
/// Hours of a day and of a week.
const DAY: usize = 24;
const WEEK: usize = 7 * DAY;
/// Calls an hour: rarer ones than elsewhere, since few calls are what this is about.
const CALLS_PER_HOUR: (f64, f64) = (10.0, 1_000_000.0);
/// How calls wander, and how the rate of time-outs does.
const CALLS_SD: (f64, f64) = (0.02, 0.3);
const TIMED_OUT_SD: (f64, f64) = (0.0, 1.0);
const CORRELATION: (f64, f64) = (0.5, 0.97);
/// Time-outs of a thousandth to a ten-millionth of the executions in half of the statements; so many an hour, whatever is called,
/// in the other half.
const TIMED_OUT_SHARE: (f64, f64) = (1e-7, 1e-2);
const TIMED_OUT_PER_HOUR: (f64, f64) = (0.01, 30.0);
/// Calls on Saturdays and Sundays, as a logarithm: the model's, and those of an office.
const WEEKEND: (f64, f64) = (-1.5, 0.0);
const WEEKEND_OFFICE: (f64, f64) = (-5.0, -1.5);
/// Calls outside the office's hours, as a logarithm.
const NIGHT_OFFICE: (f64, f64) = (-5.0, -1.5);
/// Share of statements of an office, and its hours.
const OFFICE: f64 = 0.25;
const OFFICE_HOURS: std::ops::Range<usize> = 8..18;
/// Share of weeks with a holiday.
const HOLIDAY: f64 = 0.1;
/// Share of statements with hours of more time-outs than usual, how long and how many times as many: locks, a slow disk.
const INCIDENT: f64 = 0.2;
const INCIDENT_HOURS: (f64, f64) = (1.0, 24.0);
const INCIDENT_TIMES: (f64, f64) = (3.0, 100.0);
/// Share of statements with a deployment; of these, those that it retires. What is left of the calls of the others.
const DEPLOY: f64 = 0.1;
const RETIRES: f64 = 0.3;
const DEPLOY_LEFT: (f64, f64) = (0.05, 1.0);
/// Within so many hours a deployment has reached every client. In half of them statements wait for a migration meanwhile.
const DEPLOY_HOURS: (f64, f64) = (1.0, 6.0);
/// Share of statements whose counters are reset or lost now and then, for how long, and most times of each.
const LOSSES: f64 = 0.1;
const LOST_HOURS: (f64, f64) = (1.0, 24.0);
const LOSSES_MAX: u64 = 6;
/// Share of statements whose collector is restarted: it does not know the time-outs of before.
const RESTART: f64 = 0.2;
/// For how many hours a statement hangs, what is left of its calls then, and time-outs in each of these hours.
const HANGS_HOURS: (f64, f64) = (8.0, 48.0);
const HANGS_LEFT: (f64, f64) = (0.001, 0.3);
const HANGS_TIMED_OUT: (f64, f64) = (10.0, 4_000.0);

/// Which statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeOuts {
    /// All of the above at their shares.
    Usual,
    /// All are an office's: nearly no calls by night and on weekends.
    Office,
    /// A deployment in all of them.
    Deploys,
    /// Counters are reset or lost in all of them.
    Losses,
    /// The collector is restarted in all of them.
    Restarts,
    /// Executions run into time-outs instead of ending, for 8 to 48 hours.
    Hangs,
}

/// One hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hour {
    /// Executions that ended, as far as the counters show them.
    pub calls: u64,
    /// Executions that were timed out.
    pub timed_out: u64,
}

/// One statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// The hours, from a full hour of some day on.
    pub hours: Vec<Hour>,
    /// The collector begins anew with this hour.
    pub restart: Option<usize>,
    /// The first hour in which it hangs.
    pub hangs_from: Option<usize>,
}

/// Factors of an hour, as logarithms.
#[derive(Clone, Copy, Debug, Default)]
struct Change {
    calls: f64,
    timed_out: f64,
    /// The part of the calls that the counters show.
    seen: f64,
}

// === impl TimeOuts ===

impl TimeOuts {
    /// Statement `number`.
    #[must_use]
    pub fn make(self, seed: u64, number: u64) -> Statement {
        let mut rng = Rng::new(seed, number, Stream::TimeOuts);
        let share = |of: Self, share: f64| if self == of { 1.0 } else { share };
        let mut changes = vec![Change::default(); HOURS];
        rhythm(&mut rng, share(Self::Office, OFFICE), &mut changes);
        if rng.chance(INCIDENT) {
            let (from, times) = (rng.below(HOURS as u64) as usize, rng.log_between(INCIDENT_TIMES));
            let more = Change { timed_out: times.ln(), ..Change::default() };
            add(&mut changes, from, rng.log_between(INCIDENT_HOURS), more);
        }
        if rng.chance(share(Self::Deploys, DEPLOY)) {
            deploy(&mut rng, &mut changes);
        }
        if rng.chance(share(Self::Losses, LOSSES)) {
            lose(&mut rng, &mut changes);
        }
        let restarts = rng.chance(share(Self::Restarts, RESTART));
        let restart = restarts.then(|| HOURS_BEFORE + rng.below(HOURS_WATCHED as u64) as usize);
        let mut hours = hours(&mut rng, &changes);
        let hangs_from = (self == Self::Hangs).then(|| hang(&mut rng, &mut hours));
        Statement { hours, restart, hangs_from }
    }
}

fn add(changes: &mut [Change], from: usize, hours: f64, change: Change) {
    for level in changes.iter_mut().skip(from).take(hours.ceil() as usize) {
        level.calls += change.calls;
        level.timed_out += change.timed_out;
        level.seen += change.seen;
    }
}

/// Days and weeks.
fn rhythm(rng: &mut Rng, office: f64, changes: &mut [Change]) {
    let is_office = rng.chance(office);
    let (swing, peak) = (rng.between((0.0, 1.0)), rng.between((9.0, 20.0)));
    let weekend = rng.between(if is_office { WEEKEND_OFFICE } else { WEEKEND });
    let night = if is_office { rng.between(NIGHT_OFFICE) } else { 0.0 };
    let first = rng.below(WEEK as u64) as usize;
    let holidays = [rng.chance(HOLIDAY), rng.chance(HOLIDAY)].map(|is| is.then(|| rng.below(5) as usize));
    for (number, change) in changes.iter_mut().enumerate() {
        let place = first + number;
        let (hour, weekday) = (place % DAY, place / DAY % 7);
        let is_holiday = holidays.get(place / WEEK).is_some_and(|of| *of == Some(weekday));
        change.calls += swing * ((hour as f64 - peak) / DAY as f64 * std::f64::consts::TAU).cos();
        change.calls += if weekday >= 5 || is_holiday { weekend } else { 0.0 };
        change.calls += if OFFICE_HOURS.contains(&hour) { 0.0 } else { night };
    }
}

/// Less is asked of the statement from then on, or nothing any more.
fn deploy(rng: &mut Rng, changes: &mut [Change]) {
    let from = rng.below(HOURS as u64) as usize;
    let lasts = rng.log_between(DEPLOY_HOURS);
    let left = if rng.chance(RETIRES) { 0.0 } else { rng.log_between(DEPLOY_LEFT) };
    if rng.chance(0.5) {
        let more = Change { timed_out: rng.log_between(INCIDENT_TIMES).ln(), ..Change::default() };
        add(changes, from, lasts, more);
    }
    for (number, change) in changes.iter_mut().skip(from).enumerate() {
        let reached = ((number as f64 + 1.0) / lasts).min(1.0);
        change.calls += (1.0 - reached * (1.0 - left)).max(0.0).ln();
    }
}

/// Resets, after which an hour shows a part of its calls, and evictions, of which nothing is seen. The log knows nothing of that.
fn lose(rng: &mut Rng, changes: &mut [Change]) {
    for _ in 0..rng.below(LOSSES_MAX) {
        let part = Change { seen: rng.between((0.05, 1.0)).ln(), ..Change::default() };
        add(changes, rng.below(HOURS as u64) as usize, 1.0, part);
    }
    for _ in 0..rng.below(LOSSES_MAX) {
        let lost = Change { seen: f64::NEG_INFINITY, ..Change::default() };
        let from = rng.below(HOURS as u64) as usize;
        add(changes, from, rng.log_between(LOST_HOURS), lost);
    }
}

fn hours(rng: &mut Rng, changes: &[Change]) -> Vec<Hour> {
    let calls = rng.log_between(CALLS_PER_HOUR);
    let by_calls = rng.chance(0.5);
    let (share, per_hour) = (rng.log_between(TIMED_OUT_SHARE), rng.log_between(TIMED_OUT_PER_HOUR));
    let mut calls_walk = Wander::draw(rng, CALLS_SD, CORRELATION).begin(rng, 1);
    let mut timed_out_walk = Wander::draw(rng, TIMED_OUT_SD, CORRELATION).begin(rng, 1);
    changes
        .iter()
        .map(|change| {
            let expected = calls * (change.calls + calls_walk.next(rng)).exp();
            let rate = if by_calls { share * expected } else { per_hour };
            // Nobody asks: nothing is timed out either.
            let asked = change.calls > f64::NEG_INFINITY;
            let rate = if asked { rate * (change.timed_out + timed_out_walk.next(rng)).exp() } else { 0.0 };
            Hour { calls: rng.count(expected * change.seen.exp()), timed_out: rng.count(rate) }
        })
        .collect()
}

/// Executions are timed out instead of ending.
fn hang(rng: &mut Rng, hours: &mut [Hour]) -> usize {
    let lasts = rng.log_between(HANGS_HOURS);
    let from = HOURS_BEFORE + rng.below(HOURS_WATCHED as u64 - lasts as u64) as usize;
    let (left, timed_out) = (rng.log_between(HANGS_LEFT), rng.log_between(HANGS_TIMED_OUT));
    for hour in hours.iter_mut().skip(from).take(lasts as usize) {
        let lost = rng.share(hour.calls, 1.0 - left);
        hour.calls -= lost;
        // A session that waits for a time-out asks nothing else meanwhile: there are fewer of these than calls are lost.
        hour.timed_out += rng.count(timed_out).min(lost);
    }
    from
}

#[cfg(test)]
mod tests;
