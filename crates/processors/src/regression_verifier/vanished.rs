//! A statement whose executions no longer end, as a finding.

use dbintel_evidence::Category;
use dbintel_evidence::unprompted::{VANISHED_RECENT_HOURS as RECENT_HOURS, Vanished, Watched};
use dbintel_model::finding::{Evidence, FindingKind, Source};
use dbintel_model::{Finding, Timestamp};

use super::report::{self, Place};
use super::statement::Statement;

/// Which hours there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hours {
    pub(super) per_day: i64,
    /// The first that is not over.
    pub(super) closed: i64,
    /// The first of which all time-outs are known.
    pub(super) known_since: i64,
}

/// A finding, if there is one.
pub(super) fn look(
    statement: &Statement,
    place: Place<'_>,
    hours: Hours,
    began: Timestamp,
) -> Option<Finding> {
    let Vanished { calls, usual, timed_out, before } = hours.watched(statement)?.vanished()?;
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
            "the same, the 18 hours before, as far as they are known",
        ),
    ];
    finding.failure_modes.push(
        "Its mean time says nothing: only executions that ended are in it. Fewer calls can also be fewer users.".into(),
    );
    Some(finding)
}

// === impl Hours ===

impl Hours {
    /// Whether what was told is so no longer.
    pub(super) fn is_back(self, statement: &Statement) -> bool {
        // One that began with this process does not know of time-outs that came before it.
        let is_known = self.closed.saturating_sub(RECENT_HOURS) >= self.known_since;
        self.watched(statement).map_or(is_known, |watched| watched.is_back())
    }

    fn watched(self, statement: &Statement) -> Option<Watched<'_, impl Iterator<Item = (i64, f64)> + Clone>> {
        let Self { per_day, closed, known_since } = self;
        let calls = statement.hours.iter().map(|(place, sums)| (place, sums.calls));
        Some(Watched { timed_out: statement.timed_out.as_deref()?, calls, per_day, closed, known_since })
    }
}
