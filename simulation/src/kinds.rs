//! Kinds of findings whose inputs no history has: `plan_flapping`, `statistics_stale`, `statement_vanished`. Each population is made by
//! its generator and judged by the product's function, and is a line of the table.

use std::ops::Range;

use crate::generator::plans::Plans;
use crate::generator::tables::Tables;
use crate::generator::timeouts::TimeOuts;
use crate::plan::Extent;
use crate::rules::ours::{flapping, stale, vanished};

/// Goes back and forth between plans.
pub const FLAPPING: &str = "plan_flapping";
/// A plan got worse with an analysis that came too late.
pub const STALE: &str = "statistics_stale";
/// Executions no longer end.
pub const VANISHED: &str = "statement_vanished";
/// Bits of a number that are the index within a population; those above are the population's.
const INDEX_BITS: u32 = 40;
/// Days of looks at a statement.
const WATCHED_DAYS: u64 = 7;
/// Hours after the beginning of a true event within which a finding about it has to begin.
const FOUND_HOURS: f64 = 72.0;

/// What a finding in a population is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meaning {
    /// Wrong: the inputs are what they should be, and nothing happened.
    False,
    /// Wrong, and so are the inputs, as stated.
    FalseOfWrong,
    /// Wrong, in so many of the flips with a finding about the plan.
    FalseOfFlips,
    /// Right, in so many events.
    True,
}

/// A population, and what was found in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The kind.
    pub kind: &'static str,
    /// The population.
    pub what: &'static str,
    /// What its findings are.
    pub meaning: Meaning,
    /// Statement-days, flips or events.
    pub of: u64,
    /// Findings that began; of events, those that were found.
    pub found: u64,
}

/// Who is in a population.
#[derive(Clone, Copy, Debug)]
enum Population {
    Plans(Plans),
    Tables(Tables),
    TimeOuts(TimeOuts),
}

/// A population on the way to a line.
struct Part {
    what: &'static str,
    meaning: Meaning,
    population: Population,
}

/// How much of each population is judged.
#[derive(Clone, Copy, Debug)]
struct Many {
    /// Statement-days of those that tell most: plans by values, and time-outs as usual.
    days: u64,
    /// Statement-days of the others. There are as many flips, and an event in the watched days of each statement.
    others: u64,
}

/// All populations. Which numbers one has depends on its place alone.
const PARTS: &[Part] = &[
    Part::new("one plan", Meaning::False, Population::Plans(Plans::Steady)),
    Part::new("several plans by values", Meaning::False, Population::Plans(Plans::ByValues)),
    Part::flips("a true flip in 30 days", Plans::Flips(30.0)),
    Part::flips("a true flip in 7 days", Plans::Flips(7.0)),
    Part::flips("a true flip in 2 days", Plans::Flips(2.0)),
    Part::flips("a wrong report in 30 days", Plans::Wrong(30.0)),
    Part::flips("a wrong report in 14 days", Plans::Wrong(14.0)),
    Part::flips("a wrong report in 6 days", Plans::Wrong(6.0)),
    Part::flips("a wrong report in 2 days", Plans::Wrong(2.0)),
    Part::flips("a true flip in 7 days, reports 10 minutes late", Plans::Late(1.0 / 6.0)),
    Part::flips("a true flip in 7 days, reports 1 hour late", Plans::Late(1.0)),
    Part::flips("a true flip in 7 days, reports 6 hours late", Plans::Late(6.0)),
    Part::new("to and fro for 1 to 3 days", Meaning::True, Population::Plans(Plans::ToAndFro)),
    Part::new("flips unrelated to any analysis", Meaning::FalseOfFlips, Population::Tables(Tables::Usual)),
    Part::new(
        "the same, tables of 10 to 1,000 rows",
        Meaning::FalseOfFlips,
        Population::Tables(Tables::Small),
    ),
    Part::new(
        "loaded to 3 to 21 times its rows, analysed, then the flip",
        Meaning::True,
        Population::Tables(Tables::Loaded),
    ),
    Part::new(
        "loaded to 3 to 21 times its rows, then the flip",
        Meaning::True,
        Population::Tables(Tables::LoadedAlone),
    ),
    Part::new("all that happens, at its share", Meaning::False, Population::TimeOuts(TimeOuts::Usual)),
    Part::new("offices: empty nights and weekends", Meaning::False, Population::TimeOuts(TimeOuts::Office)),
    Part::new(
        "a deployment in each, a third retires it",
        Meaning::False,
        Population::TimeOuts(TimeOuts::Deploys),
    ),
    Part::new("counters reset or lost in each", Meaning::False, Population::TimeOuts(TimeOuts::Losses)),
    Part::new("the collector restarted in each", Meaning::False, Population::TimeOuts(TimeOuts::Restarts)),
    Part::new("timed out for 8 to 48 hours", Meaning::True, Population::TimeOuts(TimeOuts::Hangs)),
];

/// Judges all populations.
#[must_use]
pub fn judge(extent: Extent, seed: u64) -> Vec<Line> {
    let many = match extent {
        Extent::Quick => Many { days: 14_000, others: 3_500 },
        Extent::Full | Extent::Rates => Many { days: 1_000_000, others: 140_000 },
    };
    (1_u64..).zip(PARTS).map(|(id, part)| part.judge(seed, id << INDEX_BITS, many)).collect()
}

// === impl Part ===

impl Part {
    const fn new(what: &'static str, meaning: Meaning, population: Population) -> Self {
        Self { what, meaning, population }
    }

    const fn flips(what: &'static str, plans: Plans) -> Self {
        Self::new(what, Meaning::FalseOfWrong, Population::Plans(plans))
    }

    fn judge(&self, seed: u64, first: u64, many: Many) -> Line {
        let is_main = matches!(
            self.population,
            Population::Plans(Plans::ByValues) | Population::TimeOuts(TimeOuts::Usual)
        );
        let statements = (if is_main { many.days } else { many.others }).div_ceil(WATCHED_DAYS);
        let (count, of) = match self.meaning {
            Meaning::False | Meaning::FalseOfWrong => (statements, statements * WATCHED_DAYS),
            Meaning::FalseOfFlips => (many.others, many.others),
            Meaning::True => (statements, statements),
        };
        let found = self.population.found(seed, first..first + count);
        Line { kind: self.population.kind(), what: self.what, meaning: self.meaning, of, found }
    }
}

// === impl Population ===

impl Population {
    fn kind(self) -> &'static str {
        match self {
            Self::Plans(_) => FLAPPING,
            Self::Tables(_) => STALE,
            Self::TimeOuts(_) => VANISHED,
        }
    }

    fn found(self, seed: u64, numbers: Range<u64>) -> u64 {
        numbers.map(|number| self.found_in(seed, number)).sum()
    }

    /// Findings in one of them; where there is an event, whether it was found.
    fn found_in(self, seed: u64, number: u64) -> u64 {
        match self {
            Self::Plans(plans) => {
                let reports = plans.make(seed, number);
                let begun = flapping::begun(&reports).into_iter().map(|hour| hour as f64);
                count(begun, reports.to_and_fro)
            }
            Self::Tables(tables) => u64::from(stale::is_told(&tables.make(seed, number))),
            Self::TimeOuts(timeouts) => {
                let watched = timeouts.make(seed, number);
                let begun = vanished::begun(&watched).into_iter().map(|hour| hour as f64);
                count(begun, watched.hangs_from.map(|hour| hour as f64))
            }
        }
    }
}

/// All that began; or, where there was an event, whether something began with it.
fn count(mut begun: impl Iterator<Item = f64>, event: Option<f64>) -> u64 {
    match event {
        Some(from) => u64::from(begun.any(|hour| (from..=from + FOUND_HOURS).contains(&hour))),
        None => begun.count() as u64,
    }
}

#[cfg(test)]
mod tests;
