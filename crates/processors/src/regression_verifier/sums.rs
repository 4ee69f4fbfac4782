//! What one statement did in one block of time, while it is added up.

use dbintel_evidence::Block;
use dbintel_model::{Columns, Query};

/// The spread of a block's executions is known where it is known for at least this share of them.
const SPREAD_COVERAGE_MIN: f64 = 0.9;
/// Rows returned or changed; and the counters whose sum is the work of an execution, in blocks: what was looked at, wherever it was found.
const COLUMNS: [&str; 7] = [
    "rows",
    "shared_blks_hit",
    "shared_blks_read",
    "local_blks_hit",
    "local_blks_read",
    "temp_blks_read",
    "temp_blks_written",
];
/// An interval with a larger number in it is no interval.
const NUMBER_MAX: f64 = 1e15;

/// Sums of a block that is not over.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sums {
    pub(super) calls: f64,
    pub(super) total_ms: f64,
    pub(super) work: f64,
    pub(super) rows: f64,
    /// The part of the calls whose spread is known.
    spread: Spread,
}

/// Reads what sums are made of.
#[derive(Debug)]
pub(super) struct SumReader(Columns<{ COLUMNS.len() }>);

/// Executions with the squares of their distances from their mean.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Spread {
    calls: f64,
    mean: f64,
    squares: f64,
}

// === impl SumReader ===

impl Default for SumReader {
    fn default() -> Self {
        Self(Columns::new(COLUMNS))
    }
}

impl SumReader {
    /// What an interval adds; `None` where a number in it is none, or where the work is not known.
    pub(super) fn read(&mut self, query: &Query) -> Option<Sums> {
        let calls = query.calls as f64;
        let [rows, hit, others @ ..] = self.0.of(&query.counters);
        let (rows, work) = (rows?, hit? + others.into_iter().flatten().sum::<f64>());
        let numbers = [calls, query.total_time_ms, work, rows];
        if calls < 1.0 || !numbers.iter().all(|number| (0.0..=NUMBER_MAX).contains(number)) {
            return None;
        }
        let mean = query.total_time_ms / calls;
        let variance = query.moments.and_then(|moments| moments.variance_ms2);
        let squares = match variance {
            Some(variance) if variance.is_finite() && variance >= 0.0 => Some(variance * (calls - 1.0)),
            // One execution is as far from its mean as can be: not at all.
            _ => (query.calls == 1).then_some(0.0),
        };
        let spread = squares.map_or_else(Spread::default, |squares| Spread { calls, mean, squares });
        Some(Sums { calls, total_ms: query.total_time_ms, work, rows, spread })
    }
}

// === impl Sums ===

impl Sums {
    /// Sums of a block that is over, from its coefficient of variation.
    pub(super) fn closed(calls: f64, total_ms: f64, work: f64, rows: f64, variation: Option<f64>) -> Self {
        let mean = if calls > 0.0 { total_ms / calls } else { 0.0 };
        let spread = variation.map_or_else(Spread::default, |variation| Spread {
            calls,
            mean,
            squares: calls * (variation * mean).powi(2),
        });
        Self { calls, total_ms, work, rows, spread }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.total_ms += other.total_ms;
        self.work += other.work;
        self.rows += other.rows;
        self.spread.merge(&other.spread);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.calls <= 0.0
    }

    /// Coefficient of variation of single executions, where it is known for nearly all of them.
    pub(super) fn variation(&self) -> Option<f64> {
        let Spread { calls, mean, squares } = self.spread;
        let known = calls > 0.0 && calls >= SPREAD_COVERAGE_MIN * self.calls && mean > 0.0;
        known.then(|| (squares / calls).sqrt() / mean)
    }

    /// As the judge takes it.
    pub(super) fn block(&self, start: i64) -> Block {
        let mean = if self.calls > 0.0 { self.total_ms / self.calls } else { 0.0 };
        Block {
            start,
            calls: self.calls,
            total_ms: self.total_ms,
            squared_deviations: self.variation().map(|variation| self.calls * (variation * mean).powi(2)),
            work: self.work,
            rows: self.rows,
            min_ms: None,
        }
    }

    /// The numbers to store, in order.
    pub(super) fn numbers(&self) -> [f64; 7] {
        let Spread { calls, mean, squares } = self.spread;
        [self.calls, self.total_ms, self.work, self.rows, calls, mean, squares]
    }

    /// Sums from stored numbers; `None` where one of them is none.
    pub(super) fn from_numbers(numbers: [f64; 7]) -> Option<Self> {
        let sound = numbers.iter().all(|number| number.is_finite() && *number >= 0.0);
        let [calls, total_ms, work, rows, known, mean, squares] = numbers;
        let spread = Spread { calls: known, mean, squares };
        sound.then_some(Self { calls, total_ms, work, rows, spread })
    }
}

// === impl Spread ===

impl Spread {
    /// Merges two parts (Chan, Golub and LeVeque).
    fn merge(&mut self, other: &Self) {
        let calls = self.calls + other.calls;
        if calls <= 0.0 {
            return;
        }
        let distance = other.mean - self.mean;
        self.squares += other.squares + distance * distance * self.calls * other.calls / calls;
        self.mean += distance * other.calls / calls;
        self.calls = calls;
    }
}
