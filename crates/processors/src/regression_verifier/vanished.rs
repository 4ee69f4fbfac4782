//! A statement whose executions no longer end.
//!
//! The server's statistics count an execution when it has ended well. One that runs into a time-out is in none of them: the
//! calls fall, and the mean of those that are left looks as good as ever. What tells it are errors in the server's log, so
//! that without them nothing is concluded. Counts of time-outs begin anew with the process.

use dbintel_evidence::{Category, series};
use dbintel_model::finding::{Evidence, FindingKind, Source};
use dbintel_model::{Finding, Timestamp};

use super::report::{self, Place};
use super::statement::Statement;

/// Hours of which time-outs are kept.
const KEPT_HOURS: usize = 24;
/// The last hours, which are compared with what is usual then.
const RECENT_HOURS: i64 = 6;
/// Hours of them with time-outs, at least.
const HOURS_MIN: usize = 3;
/// Time-outs in them, at least.
const TIMED_OUT_MIN: u32 = 10;
/// Time-outs an hour rose by this factor.
const RISE_MIN: f64 = 2.0;
/// Share of the usual calls that is left, at most.
const CALLS_LEFT_MAX: f64 = 0.5;
/// Days on which an hour was seen, for its usual calls to be known.
const DAYS_MIN: usize = 3;

/// Executions that were timed out, by hour.
#[derive(Clone, Debug)]
pub(super) struct TimedOut {
    latest: i64,
    counts: [u32; KEPT_HOURS],
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Vanished {
    calls: f64,
    usual: f64,
    timed_out: u32,
    before: u32,
}

// === impl TimedOut ===

impl TimedOut {
    pub(super) fn new(hour: i64) -> Self {
        Self { latest: hour, counts: [0; KEPT_HOURS] }
    }

    /// Adds executions of an hour. Hours that are too old are left out.
    pub(super) fn note(&mut self, hour: i64, executions: u64) {
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

/// Whether a statement's executions are timed out instead of ending, as far as the hour `closed` says.
fn vanished(statement: &Statement, per_day: i64, closed: i64) -> Option<Vanished> {
    let counted = statement.timed_out.as_deref()?;
    let first = closed - RECENT_HOURS + 1;
    let (timed_out, before) = (counted.between(first, closed), counted.between(i64::MIN + 1, first - 1));
    let hours_before = (KEPT_HOURS as i64 - RECENT_HOURS) as f64;
    let rose = f64::from(timed_out) / RECENT_HOURS as f64 >= RISE_MIN * f64::from(before) / hours_before;
    if timed_out < TIMED_OUT_MIN || !rose {
        return None;
    }
    // Only hours with time-outs: fewer calls at another time have another reason.
    let hours: Vec<i64> = (first..=closed).filter(|hour| counted.between(*hour, *hour) > 0).collect();
    if hours.len() < HOURS_MIN {
        return None;
    }
    let mut usual = 0.0;
    for hour in &hours {
        let is_same = |place: i64| place < first && (hour - place).rem_euclid(per_day) == 0;
        let mut calls: Vec<f64> =
            statement.hours.iter().filter(|(place, _)| is_same(*place)).map(|(_, sums)| sums.calls).collect();
        if calls.len() < DAYS_MIN {
            return None;
        }
        series::sort(&mut calls);
        usual += series::median(&calls)?;
    }
    let recent = statement.hours.iter().filter(|(place, _)| hours.contains(place));
    let calls: f64 = recent.map(|(_, sums)| sums.calls).sum();
    (calls <= usual * CALLS_LEFT_MAX).then_some(Vanished { calls, usual, timed_out, before })
}

/// A finding, if there is one.
pub(super) fn look(
    statement: &Statement,
    place: Place<'_>,
    (per_day, closed): (i64, i64),
    began: Timestamp,
) -> Option<Finding> {
    let Vanished { calls, usual, timed_out, before } = vanished(statement, per_day, closed)?;
    let kind = FindingKind::StatementVanished;
    let mut finding = report::about_statement(place, kind, statement, began, None, Category::Careful);
    finding.summary = format!(
        "Query {} ended {calls:.0} times in those of the last {RECENT_HOURS} hours in which {timed_out} executions were timed out; {usual:.0} are usual then.",
        statement.about.key.query_id
    )
    .into();
    let add = |name, value: f64, unit, source, detail: &'static str| {
        Evidence::new(name, Some(value), unit, source, detail)
    };
    finding.evidence = vec![
        add(
            "calls",
            calls,
            "{call}",
            Source::Measured,
            "pg_stat_statements, those of the last 6 hours with time-outs",
        ),
        add("calls_usual", usual, "{call}", Source::Computed, "medians of the same hours of day before"),
        add(
            "timed_out",
            timed_out.into(),
            "{execution}",
            Source::Measured,
            "the server's log, the last 6 hours",
        ),
        add(
            "timed_out_before",
            before.into(),
            "{execution}",
            Source::Measured,
            "the same, the 18 hours before",
        ),
    ];
    finding.failure_modes.push(
        "Its mean time says nothing: only executions that ended are in it. Fewer calls can also be fewer users.".into(),
    );
    Some(finding)
}

/// Whether what was told is so no longer.
pub(super) fn is_back(statement: &Statement, per_day: i64, closed: i64) -> bool {
    vanished(statement, per_day, closed).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_kept_for_a_day() {
        let mut counted = TimedOut::new(100);
        for (hour, executions) in [(100, 1), (101, 2), (101, 3), (110, 4), (99, 7)] {
            counted.note(hour, executions);
        }
        assert_eq!((counted.between(100, 101), counted.between(102, 200)), (6, 4));
        assert_eq!(counted.between(i64::MIN + 1, i64::MAX), 17);
        counted.note(124, 5);
        assert_eq!((counted.between(i64::MIN + 1, 100), counted.between(101, 124)), (0, 14));
        // Too old to be kept.
        counted.note(100, 50);
        assert_eq!(counted.between(i64::MIN + 1, i64::MAX), 14);
        counted.note(i64::MAX - 1, u64::MAX);
        assert_eq!(counted.between(i64::MIN + 1, i64::MAX), u32::MAX);
    }
}
