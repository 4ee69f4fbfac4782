//! Counts of what rules said.

use std::collections::BTreeMap;

use crate::history::{History, Shift};
use crate::kinds::Line;
use crate::rule::{Level, Repaired};

/// Histories of a row and rule that are kept by name, to be looked at.
pub const EXAMPLES_MAX: usize = 20;
/// "Soon" in the tables of power.
pub const SOON_HOURS: usize = 3;
/// Rate from which a statement is a busy one.
pub const BUSY: f64 = 1_000.0;

/// A row of the tables.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    /// Neutral flips of a class that the gate counts.
    Neutral(String),
    /// Neutral flips that are printed apart.
    Apart(String),
    /// True regressions.
    Found(Section, u32),
}

/// Which regressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Not of a mixture, and with added blocks.
    Outside,
    /// Of a mixture, and with added blocks.
    Inside,
    /// No added blocks.
    NoBlocks,
    /// 100 to 1,000 calls an hour, with added blocks.
    Quiet,
    /// 1,000 calls an hour and more, with added blocks.
    Busy,
    /// Whatever they are.
    All,
    /// One, two, four days of baseline, all of them.
    Days(u32),
    /// Put into recorded histories.
    Recorded,
}

/// How one rule did in one row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Histories.
    pub histories: u64,
    /// Of them, those that reached each level of [`Level::SAID`] within [`SOON_HOURS`].
    pub soon: [u64; 3],
    /// The same at any look.
    pub ever: [u64; 3],
    /// Names of some that reached `careful`.
    pub examples: Vec<String>,
}

/// The first hour at which each level of [`Level::SAID`] was reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    first: [Option<usize>; 3],
}

/// What one rule found without a flip.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// Statement-days at which it looked.
    pub days: f64,
    /// Findings that began in them, by kind.
    pub begun: BTreeMap<&'static str, u64>,
    /// Of these, those that began soon after something had shifted for good.
    pub after_shift: BTreeMap<(&'static str, Shift), u64>,
    /// Of the others, those of mixtures, whose shares wander.
    pub of_mixtures: BTreeMap<&'static str, u64>,
    /// What shifted for good in these days.
    pub shifts: BTreeMap<Shift, u64>,
}

/// What one rule said of repairs that had no effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// Histories, found slower or not.
    pub histories: u64,
    /// Repairs made while a finding was open, by what was said of them.
    pub said: BTreeMap<Repaired, u64>,
    /// Names of some of which it was said that they had an effect.
    pub examples: Vec<String>,
}

/// Counts by row and rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    rows: BTreeMap<Row, Vec<Counts>>,
    findings: Vec<Findings>,
    repairs: BTreeMap<String, Vec<Repairs>>,
    /// Kinds with inputs of their own, of the product's rule.
    pub kinds: Vec<Line>,
}

// === impl Reached ===

impl Reached {
    /// The rule said `level` at `hour`.
    pub fn note(&mut self, level: Level, hour: usize) {
        for (first, said) in self.first.iter_mut().zip(Level::SAID) {
            if level >= said && first.is_none() {
                *first = Some(hour);
            }
        }
    }

    /// Nothing more can be reached.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.first.iter().all(Option::is_some)
    }
}

// === impl Section ===

impl Section {
    /// The sections that a regression belongs to.
    pub fn of(history: &History) -> impl Iterator<Item = Self> {
        let truth = &history.truth;
        let adds = truth.work_exponent > 0.0;
        let place = if truth.mixture { Self::Inside } else { Self::Outside };
        let rate = if history.calls_per_hour() >= BUSY { Self::Busy } else { Self::Quiet };
        let kinds = if adds { [place, rate] } else { [Self::NoBlocks, Self::NoBlocks] };
        let count = if adds { 2 } else { 1 };
        kinds.into_iter().take(count).chain([Self::All])
    }

    /// In the tables.
    #[must_use]
    pub fn label(self) -> String {
        match self {
            Self::Outside => "outside mixtures".to_owned(),
            Self::Inside => "inside mixtures".to_owned(),
            Self::NoBlocks => "no added blocks".to_owned(),
            Self::Quiet => "below 1,000 calls an hour".to_owned(),
            Self::Busy => "1,000 calls an hour and more".to_owned(),
            Self::All => "all regressions".to_owned(),
            Self::Days(1) => "baseline of 1 day".to_owned(),
            Self::Days(days) => format!("baseline of {days} days"),
            Self::Recorded => "put into recorded histories".to_owned(),
        }
    }
}

// === impl Counts ===

impl Counts {
    fn add(&mut self, reached: &Reached, name: &str) {
        self.histories += 1;
        for ((soon, ever), first) in self.soon.iter_mut().zip(&mut self.ever).zip(reached.first) {
            *ever += u64::from(first.is_some());
            *soon += u64::from(first.is_some_and(|hour| hour <= SOON_HOURS));
        }
        if reached.first.iter().any(Option::is_some) && self.examples.len() < EXAMPLES_MAX {
            self.examples.push(name.to_owned());
        }
    }

    /// Both together.
    pub fn merge(&mut self, other: &Self) {
        self.histories += other.histories;
        for (mine, theirs) in self.soon.iter_mut().zip(other.soon).chain(self.ever.iter_mut().zip(other.ever))
        {
            *mine += theirs;
        }
        merge_examples(&mut self.examples, &other.examples);
    }
}

/// Threads end in any order; the table must not depend on it. Shorter names have smaller numbers.
fn merge_examples(mine: &mut Vec<String>, theirs: &[String]) {
    mine.extend(theirs.iter().cloned());
    mine.sort_unstable_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    mine.truncate(EXAMPLES_MAX);
}

// === impl Findings ===

impl Findings {
    fn merge(&mut self, other: &Self) {
        self.days += other.days;
        for (kind, count) in &other.begun {
            *self.begun.entry(kind).or_default() += count;
        }
        for (of, count) in &other.after_shift {
            *self.after_shift.entry(*of).or_default() += count;
        }
        for (kind, count) in &other.of_mixtures {
            *self.of_mixtures.entry(kind).or_default() += count;
        }
        for (shift, count) in &other.shifts {
            *self.shifts.entry(*shift).or_default() += count;
        }
    }
}

// === impl Repairs ===

impl Repairs {
    /// Repairs that were made.
    #[must_use]
    pub fn made(&self) -> u64 {
        self.said.values().sum()
    }

    /// Of them, those of which it was said that they had an effect.
    #[must_use]
    pub fn wrong(&self) -> u64 {
        self.said.iter().filter(|(said, _)| said.is_effect()).map(|(_, count)| count).sum()
    }

    fn add(&mut self, repaired: Option<Repaired>, name: &str) {
        self.histories += 1;
        let Some(said) = repaired else { return };
        *self.said.entry(said).or_default() += 1;
        if said.is_effect() && self.examples.len() < EXAMPLES_MAX {
            self.examples.push(name.to_owned());
        }
    }

    fn merge(&mut self, other: &Self) {
        self.histories += other.histories;
        for (said, count) in &other.said {
            *self.said.entry(*said).or_default() += count;
        }
        merge_examples(&mut self.examples, &other.examples);
    }
}

// === impl Tally ===

impl Tally {
    /// A history of `row`, and what each rule reached.
    pub fn add(&mut self, row: Row, reached: &[Reached], name: &str) {
        let counts = self.rows.entry(row).or_default();
        counts.resize_with(reached.len(), Counts::default);
        for (counts, reached) in counts.iter_mut().zip(reached) {
            counts.add(reached, name);
        }
    }

    /// What each rule found in a statement without a flip.
    pub fn add_without_flip(&mut self, found: &[Findings]) {
        self.findings.resize_with(self.findings.len().max(found.len()), Findings::default);
        self.findings.iter_mut().zip(found).for_each(|(mine, theirs)| mine.merge(theirs));
    }

    /// A history of a class with a repair that has no effect, and what each rule said of that.
    pub fn add_repair(&mut self, class: &str, said: &[Option<Repaired>], name: &str) {
        let repairs = self.repairs.entry(class.to_owned()).or_default();
        repairs.resize_with(said.len(), Repairs::default);
        repairs.iter_mut().zip(said).for_each(|(mine, said)| mine.add(*said, name));
    }

    /// Both together.
    pub fn merge(&mut self, other: &Self) {
        for (row, theirs) in &other.rows {
            let mine = self.rows.entry(row.clone()).or_default();
            mine.resize_with(theirs.len(), Counts::default);
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| mine.merge(theirs));
        }
        self.add_without_flip(&other.findings);
        self.kinds.extend(other.kinds.iter().cloned());
        for (class, theirs) in &other.repairs {
            let mine = self.repairs.entry(class.clone()).or_default();
            mine.resize_with(theirs.len(), Repairs::default);
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| mine.merge(theirs));
        }
    }

    /// Rows in their order, with the counts of one rule.
    pub fn rows(&self, rule: usize) -> impl Iterator<Item = (&Row, &Counts)> {
        self.rows.iter().filter_map(move |(row, counts)| Some((row, counts.get(rule)?)))
    }

    /// One row of one rule.
    #[must_use]
    pub fn row(&self, row: &Row, rule: usize) -> Counts {
        self.rows.get(row).and_then(|counts| counts.get(rule)).cloned().unwrap_or_default()
    }

    /// All neutral flips that the gate counts.
    #[must_use]
    pub fn pooled(&self, rule: usize) -> Counts {
        let mut sum = Counts::default();
        for (row, counts) in self.rows(rule) {
            if matches!(row, Row::Neutral(_)) {
                sum.merge(counts);
            }
        }
        sum
    }

    /// Repairs without effect by class, with the counts of one rule.
    pub fn repairs(&self, rule: usize) -> impl Iterator<Item = (&str, &Repairs)> {
        self.repairs.iter().filter_map(move |(class, repairs)| Some((class.as_str(), repairs.get(rule)?)))
    }

    /// All of them.
    #[must_use]
    pub fn all_repairs(&self, rule: usize) -> Repairs {
        let mut sum = Repairs::default();
        self.repairs(rule).for_each(|(_, repairs)| sum.merge(repairs));
        sum
    }

    /// What one rule found without a flip.
    #[must_use]
    pub fn findings(&self, rule: usize) -> Findings {
        self.findings.get(rule).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
