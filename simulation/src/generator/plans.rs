//! What is reported of the plans of one statement, in the order in which it arrives. An interval bears the plan that was obtained last.
//!
//! Where plans do not depend on values, one is asked for about every hour. Where they do, they come from the log or from samples of
//! values: between once and 288 times a day, and which one comes is a matter of the values.

use crate::rng::{Rng, Stream};

/// Hours of reports before the first look.
pub const HOURS_BEFORE: usize = 48;
/// Hours of looks: a week.
pub const HOURS_WATCHED: usize = 168;
/// How far from its hour a plan is asked for.
const ASKED_LATE: f64 = 0.5;
/// Shares of statements with two plans by values, and with three to five; the others have up to [`PLANS_MAX`].
const TWO_PLANS: f64 = 0.6;
const FEW_PLANS: f64 = 0.3;
/// Most plans by values: one for each partition, say.
const PLANS_MAX: f64 = 50.0;
/// How often plans by values are obtained in a day.
const OBTAINED_PER_DAY: (f64, f64) = (1.0, 288.0);
/// Weights of the plans by values of one statement.
const PLAN_WEIGHT: (f64, f64) = (0.01, 1.0);
/// Days between two flips where one told late is looked at.
const FLIP_DAYS: f64 = 7.0;
/// For how many hours a statement goes to and fro, and how long each plan lasts then.
const TO_AND_FRO_HOURS: (f64, f64) = (24.0, 72.0);
const TO_AND_FRO_EACH: (f64, f64) = (1.0, 4.0);

/// What is done to the reports of a statement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Plans {
    /// One plan, and every report is right.
    Steady,
    /// Several at the same time, by the values of the parameters. Every report is right.
    ByValues,
    /// The plan becomes another for good, at random, once in so many days.
    Flips(f64),
    /// One plan; a report that names another one, once in so many days. The next is right.
    Wrong(f64),
    /// The plan becomes another once in a week; each report is late by an exponential time with this mean, in hours.
    Late(f64),
    /// The statement goes to and fro between two plans for one to three days, with one to four hours of each.
    ToAndFro,
}

/// A plan that is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// When, in hours since a midnight.
    pub at: f64,
    /// Which plan.
    pub plan: u128,
    /// Whether it was obtained in a way in which plans depend on values.
    pub by_values: bool,
}

/// All reports of one statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Reports {
    /// The first look is made at the end of this hour.
    pub first_look: i64,
    /// As they arrive.
    pub reports: Vec<Report>,
    /// When it begins to go to and fro, where it does.
    pub to_and_fro: Option<f64>,
}

// === impl Plans ===

impl Plans {
    /// The reports of statement `number`.
    #[must_use]
    pub fn make(self, seed: u64, number: u64) -> Reports {
        let mut rng = Rng::new(seed, number, Stream::Plans);
        let begins = rng.below(24) as f64;
        let first_look = begins as i64 + HOURS_BEFORE as i64;
        let hours = (HOURS_BEFORE + HOURS_WATCHED) as f64;
        let mut to_and_fro = None;
        let reports = match self {
            Self::Steady => asked(&mut rng, begins, hours, |_, _| 1),
            Self::ByValues => by_values(&mut rng, begins, hours),
            Self::Flips(days) => flipping(&mut rng, begins, hours, days),
            Self::Wrong(days) => asked(&mut rng, begins, hours, |rng, _| {
                if rng.chance(1.0 / (24.0 * days)) { 2 + u128::from(rng.bits() >> 1) } else { 1 }
            }),
            Self::Late(mean_hours) => {
                let mut reports = flipping(&mut rng, begins, hours, FLIP_DAYS);
                for report in &mut reports {
                    report.at -= mean_hours * (1.0 - rng.uniform()).ln();
                }
                reports.sort_by(|a, b| a.at.total_cmp(&b.at));
                reports
            }
            Self::ToAndFro => {
                let lasts = rng.log_between(TO_AND_FRO_HOURS);
                let from = first_look as f64 + rng.between((0.0, HOURS_WATCHED as f64 - lasts));
                let each = rng.log_between(TO_AND_FRO_EACH);
                to_and_fro = Some(from);
                asked(&mut rng, begins, hours, |_, at| {
                    let turn = if (from..from + lasts).contains(&at) { (at - from) / each } else { 0.0 };
                    1 + (turn as u128) % 2
                })
            }
        };
        Reports { first_look, reports, to_and_fro }
    }
}

/// A plan asked for about every hour.
fn asked(rng: &mut Rng, begins: f64, hours: f64, mut plan: impl FnMut(&mut Rng, f64) -> u128) -> Vec<Report> {
    (0..hours as usize)
        .map(|hour| {
            let at = begins + hour as f64 + rng.between((0.0, ASKED_LATE));
            Report { at, plan: plan(rng, at), by_values: false }
        })
        .collect()
}

/// The same, of a plan that becomes another once in so many days.
fn flipping(rng: &mut Rng, begins: f64, hours: f64, days: f64) -> Vec<Report> {
    let mut plan = 1;
    asked(rng, begins, hours, |rng, _| {
        plan += u128::from(rng.chance(1.0 / (24.0 * days)));
        plan
    })
}

fn by_values(rng: &mut Rng, begins: f64, hours: f64) -> Vec<Report> {
    let kind = rng.uniform();
    let plans = if kind < TWO_PLANS {
        2
    } else if kind < TWO_PLANS + FEW_PLANS {
        3 + rng.below(3)
    } else {
        rng.log_between((6.0, PLANS_MAX)) as u64
    };
    let weights: Vec<f64> = (0..plans).map(|_| rng.log_between(PLAN_WEIGHT)).collect();
    let all: f64 = weights.iter().sum();
    let mean_hours = 24.0 / rng.log_between(OBTAINED_PER_DAY);
    let (mut at, mut reports) = (begins, Vec::new());
    loop {
        at += mean_hours * rng.between((0.5, 1.5));
        if at >= begins + hours {
            return reports;
        }
        let mut left = rng.uniform() * all;
        let is_it = |weight: &f64| {
            left -= weight;
            left < 0.0
        };
        let plan = weights.iter().position(is_it).unwrap_or_default();
        reports.push(Report { at, plan: plan as u128 + 1, by_values: true });
    }
}

#[cfg(test)]
mod tests;
