//! A week has one or two days that are unlike the others: reports on Mondays, a settlement on Fridays. On such a day there
//! are more calls and more load, mixtures have more slow parameters, and in half of the cases each call does more work; all
//! day long, or during office hours. A flip on the morning of such a day looks like a regression to whoever compares it
//! with the days before only.

use crate::generator::events::{Change, Events};
use crate::generator::statement::Statement;
use crate::rng::Rng;

/// Share of histories with a second special day.
const SECOND_DAY: f64 = 0.4;
/// Share of special days on which calls do more work.
const MORE_WORK: f64 = 0.5;
/// Share of those on which they return more rows too.
const MORE_ROWS: f64 = 0.5;
/// Share of special days whose difference is one of office hours.
const OFFICE_HOURS: f64 = 0.5;

/// A special day.
struct Day {
    weekday: i64,
    hours: (f64, f64),
    change: Change,
}

pub(super) fn apply(rng: &mut Rng, statement: &Statement, events: &mut Events) {
    let mut days = vec![Day::draw(rng, statement)];
    if rng.chance(SECOND_DAY) {
        days.push(Day::draw(rng, statement));
    }
    for day in days {
        let includes = |time_s| {
            let hour = Events::hour_of_day(time_s);
            Events::weekday(time_s) == day.weekday && hour >= day.hours.0 && hour < day.hours.1
        };
        let special: Vec<bool> = events.blocks().map(|(time_s, _, _)| includes(time_s)).collect();
        for (block, _) in special.iter().enumerate().filter(|(_, special)| **special) {
            events.add(block, block + 1, &day.change);
        }
    }
}

// === impl Day ===

impl Day {
    fn draw(rng: &mut Rng, statement: &Statement) -> Self {
        let mut change = Change {
            calls: rng.log_between((0.5, 5.0)).ln(),
            server: rng.log_between((1.0, 1.5)).ln(),
            time: rng.log_between((1.0, 1.5)).ln(),
            ..Change::NONE
        };
        if statement.mixture.is_some() {
            change.mixture = rng.log_between((1.0, 4.0)).ln();
        }
        let more = rng.log_between((1.2, 3.0));
        let exponent = rng.between((0.5, 1.2));
        if rng.chance(MORE_WORK) {
            change.time += more.ln();
            change.work += exponent * more.ln();
            change.rows += if rng.chance(MORE_ROWS) { exponent * more.ln() } else { 0.0 };
        }
        let hours = if rng.chance(OFFICE_HOURS) { (8.0, 18.0) } else { (0.0, 24.0) };
        Self { weekday: rng.below(7) as i64, hours, change }
    }
}
