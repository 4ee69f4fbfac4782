//! What was spent in one minute, by whom it was measured.

use std::collections::BTreeMap;

use serde::Serialize;

use super::observed::Backends;
use crate::scrape::Page;

/// Everything that only grows, at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    by_purpose_s: BTreeMap<String, f64>,
    wall_s: f64,
    cpu_ns: u64,
    gaps: f64,
    missed_polls: f64,
    stretch: f64,
}

/// One minute.
#[derive(Clone, Debug, Serialize)]
pub struct Minute {
    /// Which one, from 1.
    pub number: u32,
    /// The collector's ledger, in milliseconds by purpose, over all databases.
    pub ledger_ms: BTreeMap<String, f64>,
    /// The part of it that was measured by the collector's clock, not by the database.
    pub wall_ms: f64,
    /// By the server's log, in milliseconds by database of the session: parsing, planning and execution.
    pub log_ms: BTreeMap<String, f64>,
    /// CPU time of the collector's backends, by the kernel.
    pub cpu_ms: f64,
    /// The highest share of its budget that each account had, in any 60 seconds that ended in this minute. The account
    /// without a name is that of the whole server.
    pub ratios: BTreeMap<String, f64>,
    /// What intervals were multiplied with at its end, at most.
    pub stretch: f64,
    /// Parts of polls that were not read.
    pub gaps: f64,
    /// Polls that were left out.
    pub missed_polls: f64,
    /// Resident memory of the collector at its end.
    pub rss_bytes: u64,
}

// === impl Reading ===

impl Reading {
    pub(super) fn of(page: &Page, backends: &Backends) -> Self {
        let spent = "collector_database_time_seconds_total";
        let mut by_purpose_s = page.by(spent, "purpose", &["source=\"statement\""]);
        let by_our_clock = page.by(spent, "purpose", &["source=\"wall\""]);
        by_purpose_s.extend(
            by_our_clock.into_iter().map(|(purpose, spent)| (format!("{purpose} (our clock)"), spent)),
        );
        Self {
            by_purpose_s,
            wall_s: page.sum(spent, &["source=\"wall\""]),
            cpu_ns: backends.total_cpu_ns,
            gaps: page.sum("dbintel_gaps", &[]),
            missed_polls: page.sum("dbintel_polls_missed", &[]),
            stretch: page.max("collector_cadence_stretch_ratio", &[]),
        }
    }
}

// === impl Minute ===

impl Minute {
    pub(super) fn between(
        number: u32,
        before: &Reading,
        after: &Reading,
        ratios: BTreeMap<String, f64>,
        log_ms: BTreeMap<String, f64>,
        rss_bytes: u64,
    ) -> Self {
        let ledger_ms = after.by_purpose_s.iter().map(|(purpose, seconds)| {
            let spent = seconds - before.by_purpose_s.get(purpose).copied().unwrap_or(0.0);
            (purpose.clone(), spent * 1e3)
        });
        Self {
            number,
            ledger_ms: ledger_ms.collect(),
            wall_ms: (after.wall_s - before.wall_s) * 1e3,
            log_ms,
            cpu_ms: (after.cpu_ns - before.cpu_ns) as f64 / 1e6,
            ratios,
            stretch: after.stretch,
            gaps: after.gaps - before.gaps,
            missed_polls: after.missed_polls - before.missed_polls,
            rss_bytes,
        }
    }

    /// Milliseconds in the ledger, over all purposes.
    #[must_use]
    pub fn ledger_total_ms(&self) -> f64 {
        self.ledger_ms.values().fold(0.0, |sum, ms| sum + ms)
    }

    /// Milliseconds by the server's log, over all databases.
    #[must_use]
    pub fn log_total_ms(&self) -> f64 {
        self.log_ms.values().fold(0.0, |sum, ms| sum + ms)
    }

    /// The highest share of a budget.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.ratios.values().copied().fold(0.0, f64::max)
    }

    /// Whether any account was over its budget, or the log shows more than all budgets of the accounts together.
    #[must_use]
    pub fn is_over_budget(&self, budget_ms: f64) -> bool {
        self.ratio() > 1.0 || self.log_total_ms() > budget_ms * self.ratios.len() as f64
    }
}
