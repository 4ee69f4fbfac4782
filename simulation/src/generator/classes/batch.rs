//! The statement is also part of a batch job, which asks heavier questions: every night, once a week, or now and then. While
//! it runs, calls take longer and do more work; in half of the histories they return more rows. A second job, not of this
//! statement, makes the whole server slower at its hours.

use crate::generator::events::{Change, Events};
use crate::generator::{PER_DAY, PER_HOUR};
use crate::rng::Rng;

/// Share of jobs that run once a week.
const WEEKLY: f64 = 0.2;
/// Share of jobs that run now and then.
const IRREGULAR: f64 = 0.2;
/// Chance of a job that runs now and then to run on a day.
const ON_A_DAY: f64 = 0.3;
/// Chance of a nightly job not to run.
const SKIPPED: f64 = 0.1;
/// How far a job starts from its hour, in blocks.
const LATE: f64 = PER_HOUR as f64;
/// Length of a run in blocks.
const LENGTH: (f64, f64) = (PER_HOUR as f64, 6.0 * PER_HOUR as f64);

/// When a job runs.
enum When {
    Nightly,
    Weekly(usize),
    Irregular,
}

pub(super) fn apply(rng: &mut Rng, events: &mut Events) {
    let slower = rng.log_between((1.5, 20.0)).ln();
    let exponent = rng.between((0.3, 1.2));
    let rows = if rng.chance(0.5) { exponent * rng.between((0.3, 1.0)) } else { 0.0 };
    let own = Change {
        time: slower,
        busy: slower,
        work: exponent * slower,
        rows: rows * slower,
        calls: rng.log_between((1.0, 10.0)).ln(),
        ..Change::NONE
    };
    run(rng, events, &own);
    let other = Change::server_waits(rng.log_between((1.1, 3.0)));
    run(rng, events, &other);
}

fn run(rng: &mut Rng, events: &mut Events, change: &Change) {
    let kind = rng.uniform();
    let when = if kind < WEEKLY {
        When::Weekly(rng.below(7) as usize)
    } else if kind < WEEKLY + IRREGULAR {
        When::Irregular
    } else {
        When::Nightly
    };
    let hour = rng.below(PER_DAY as u64) as usize;
    let length = rng.log_between(LENGTH);
    // From the day before, whose run may reach into the first day.
    for day in 0..=events.len() / PER_DAY + 1 {
        let runs = match when {
            When::Nightly => !rng.chance(SKIPPED),
            When::Weekly(weekday) => day % 7 == weekday,
            When::Irregular => rng.chance(ON_A_DAY),
        };
        let start = if let When::Irregular = when { rng.below(PER_DAY as u64) as usize } else { hour };
        if runs {
            let start = (day * PER_DAY + start) as f64 - PER_DAY as f64 + rng.between((0.0, LATE));
            events.add_at(start as i64, length * rng.between((0.8, 1.25)), change);
        }
    }
}
