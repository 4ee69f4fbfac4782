//! Judging: every history of a source, by every rule, on as many threads as there are cores.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::files::Problem;
use crate::history::{History, Shift};
use crate::rule::{Repaired, Rule};
use crate::rules::Entry;
use crate::tally::{Findings, Reached, Row, Tally};

/// Problems that are kept; the others are only counted.
pub const PROBLEMS_MAX: usize = 100;
/// A finding that begins within so many hours of a lasting shift is one of that shift.
pub const SHIFT_HOURS: f64 = 72.0;
/// Histories that a thread takes at once.
const CHUNK: u64 = 32;

/// Where histories come from.
pub trait Source: Sync {
    /// How many there are.
    fn len(&self) -> u64;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number `index`: one case, or several made of it.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn cases(&self, index: u64) -> Result<Vec<Case>, Problem>;
}

/// A history, and what to do with it.
#[derive(Clone, Debug)]
pub struct Case {
    /// The history.
    pub history: History,
    /// Hours after the flip at which it is looked at.
    pub looks: Vec<usize>,
    /// Why.
    pub purpose: Purpose,
}

/// What a case is for.
#[derive(Clone, Debug)]
pub enum Purpose {
    /// A plan flipped; what is said counts in these rows.
    Flip(Vec<Row>),
    /// None did; every hour after the beginning is looked at.
    WithoutFlip,
    /// A plan flipped and made the statement slower; so many hours after it was found, a repair without effect is made.
    Repair {
        /// Hours from the finding to the repair.
        delay_hours: usize,
    },
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Judged {
    /// Counts.
    pub tally: Tally,
    /// The first [`PROBLEMS_MAX`] problems.
    pub problems: Vec<Problem>,
    /// All problems.
    pub problem_count: u64,
}

// === impl Judged ===

impl Judged {
    /// Both together.
    pub fn merge(&mut self, other: Self) {
        self.tally.merge(&other.tally);
        self.problem_count += other.problem_count;
        self.problems.extend(other.problems);
        self.problems.sort_unstable_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        self.problems.truncate(PROBLEMS_MAX);
    }

    fn problem(&mut self, problem: Problem) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }
}

/// Judges all of `source`. The result does not depend on the number of threads.
#[must_use]
pub fn judge(source: &dyn Source, entries: &[Entry], threads: usize) -> Judged {
    let next = AtomicU64::new(0);
    let mut judged = Judged::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads.max(1)).map(|_| scope.spawn(|| work(source, entries, &next))).collect();
        for worker in workers {
            match worker.join() {
                Ok(part) => judged.merge(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    judged
}

fn work(source: &dyn Source, entries: &[Entry], next: &AtomicU64) -> Judged {
    let mut rules: Vec<Box<dyn Rule>> = entries.iter().map(|entry| (entry.make)()).collect();
    let mut judged = Judged::default();
    loop {
        let from = next.fetch_add(CHUNK, Ordering::Relaxed);
        if from >= source.len() {
            return judged;
        }
        for index in from..(from + CHUNK).min(source.len()) {
            match source.cases(index) {
                Ok(cases) => cases.iter().for_each(|case| case.judge(&mut rules, &mut judged.tally)),
                Err(problem) => judged.problem(problem),
            }
        }
    }
}

// === impl Case ===

impl Case {
    fn judge(&self, rules: &mut [Box<dyn Rule>], tally: &mut Tally) {
        let history = &self.history;
        match &self.purpose {
            Purpose::Flip(rows) => {
                let reached: Vec<Reached> =
                    rules.iter_mut().map(|rule| reached(rule.as_mut(), self)).collect();
                rows.iter().for_each(|row| tally.add(row.clone(), &reached, &history.name));
            }
            Purpose::WithoutFlip => {
                let days = history.hours_after() as f64 / 24.0;
                let found =
                    |rule: &mut Box<dyn Rule>| findings(rule.as_mut(), history, days).unwrap_or_default();
                let found: Vec<Findings> = rules.iter_mut().map(found).collect();
                tally.add_without_flip(&found);
            }
            Purpose::Repair { delay_hours } => {
                let repaired = |rule: &mut Box<dyn Rule>| {
                    rule.start(history);
                    rule.judge_repair(history, *delay_hours)
                };
                let repaired: Vec<Option<Repaired>> = rules.iter_mut().map(repaired).collect();
                tally.add_repair(&history.truth.class, &repaired, &history.name);
            }
        }
    }
}

/// The first hour of each level. A rule that could be more careful later is still taken by its first word: somebody may
/// have acted on it.
fn reached(rule: &mut dyn Rule, case: &Case) -> Reached {
    let mut reached = Reached::default();
    rule.start(&case.history);
    for &hour in &case.looks {
        reached.note(rule.judge(&case.history, hour), hour);
        if reached.is_complete() {
            break;
        }
    }
    reached
}

/// Findings that began: those of a look that the look before did not have. `None` if the rule does not look.
fn findings(rule: &mut dyn Rule, history: &History, days: f64) -> Option<Findings> {
    let begun = rule.kinds_without_flip().iter().map(|kind| (*kind, 0)).collect();
    let mut found = Findings { days, begun, ..Findings::default() };
    let mut last = BTreeSet::new();
    let looked_at = 0.0..history.hours_after() as f64;
    for (shift, _) in history.truth.shifts().filter(|(_, hours)| looked_at.contains(hours)) {
        *found.shifts.entry(shift).or_default() += 1;
    }
    rule.start(history);
    for hour in 1..=history.hours_after() {
        let now: BTreeSet<_> = rule.judge_without_flip(history, hour)?.into_iter().collect();
        for kind in now.difference(&last) {
            *found.begun.entry(*kind).or_default() += 1;
            if let Some(shift) = shifted_before(history, hour as f64) {
                *found.after_shift.entry((*kind, shift)).or_default() += 1;
            } else if history.truth.mixture {
                *found.of_mixtures.entry(*kind).or_default() += 1;
            }
        }
        last = now;
    }
    Some(found)
}

/// What shifted for good in the hours before this one: the mixture, where both did.
fn shifted_before(history: &History, hour: f64) -> Option<Shift> {
    let is_near = |at: f64| (hour - SHIFT_HOURS..hour).contains(&at);
    history.truth.shifts().find(|(_, at)| is_near(*at)).map(|(shift, _)| shift)
}

#[cfg(test)]
mod tests;
