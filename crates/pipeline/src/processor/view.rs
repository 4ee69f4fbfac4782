//! What a processor shows of findings and statements, for a page. The processor bounds each list and says how much it left out.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use dbintel_model::finding::{
    Category, Effect, FindingKind, FindingState, SimilarCase, TimeLost, TrackRecord,
};
use dbintel_model::{Finding, FindingId, Text, Timestamp};

/// The findings of a server that have not come to their end, and the statements that may lead to more.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FindingsView {
    /// Findings in full, the most urgent first; the one that was asked for alone.
    pub findings: Vec<Finding>,
    /// The less urgent ones in a line each.
    pub further: Vec<FindingLine>,
    /// Statements that lose time without a finding, those that lose the most first.
    pub watched: Vec<WatchedView>,
    /// Watched statements that are not listed.
    pub watched_further: usize,
    /// Past findings that resemble those in full, by their ids: context, never evidence. The store has them.
    pub similar: BTreeMap<FindingId, Vec<SimilarCase>>,
    /// What came of what was done about findings of any server, by kind. The store has it.
    pub records: Vec<TrackRecord>,
    /// Why the store could not be asked what persons decided, and what to do about it.
    pub store_trouble: Option<Text>,
}

/// A finding in a line.
#[derive(Clone, Debug, PartialEq)]
pub struct FindingLine {
    /// Its id.
    pub id: FindingId,
    /// What it says.
    pub kind: FindingKind,
    /// Where it is in its life.
    pub state: FindingState,
    /// How much may be concluded.
    pub category: Category,
    /// Whether it waits for a person.
    pub for_review: bool,
    /// What it costs.
    pub time_lost: Option<TimeLost>,
    /// Database.
    pub database: Option<Text>,
    /// What happened.
    pub summary: Text,
}

/// A statement that loses time without a finding: too little, too short a time, or too uncertain.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchedView {
    /// Database.
    pub database: Text,
    /// Role.
    pub user: Text,
    /// Query identifier, as the server prints it.
    pub query_id: Text,
    /// The masked text, or the statement in short, where they are known and may leave.
    pub text: Option<Text>,
    /// What is looked at began then, by the server's clock.
    pub since: Timestamp,
    /// Whether it has another plan since.
    pub has_other_plan: bool,
    /// What was concluded last.
    pub conclusion: &'static str,
    /// How much that allows.
    pub category: &'static str,
    /// How large the effect is.
    pub effect: Effect,
    /// What it costs.
    pub time_lost: TimeLost,
}

/// The statements of a server that lose, or take, the most time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatementsView {
    /// The statements: those that lose the most time per day, then those that take the most.
    pub statements: Vec<StatementView>,
    /// Statements that are not listed.
    pub further: usize,
    /// Seconds of an hour; fewer where time is accelerated.
    pub hour_seconds: f64,
}

/// What one statement did lately.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatementView {
    /// Database.
    pub database: Text,
    /// Role.
    pub user: Text,
    /// Query identifier, as the server prints it.
    pub query_id: Text,
    /// The masked text, or the statement in short, where they are known and may leave.
    pub text: Option<Text>,
    /// What it loses per day, where something was judged.
    pub time_lost: Option<TimeLost>,
    /// The finding about it that has not come to its end.
    pub finding: Option<FindingId>,
    /// The trial of it that was given up within its hours, where one was.
    pub trial_given_up: Option<GivenUpView>,
    /// Executions in an hour on the average of the last day; `None` before an hour was whole.
    pub calls_per_hour: Option<f64>,
    /// Mean time of an execution in the last day.
    pub mean_ms: Option<f64>,
    /// Time it took in the last day.
    pub seconds_last_day: f64,
    /// When its plan changed, as far as that is remembered, the oldest first, by the server's clock.
    pub plan_changes: Vec<Timestamp>,
    /// Its hours, the oldest first; those in which it did not run are missing. The last one may not be over.
    pub hours: Vec<HourView>,
}

/// A trial that was given up, because there was no room for so many and the others seemed to lose more time, or had a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenUpView {
    /// What was looked at began then, by the server's clock.
    pub since: Timestamp,
    /// When it was given up, by the server's clock.
    pub at: Timestamp,
    /// How many others were kept.
    pub others: u32,
}

/// One hour of a statement.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HourView {
    /// When it begins, by the server's clock.
    pub start: Timestamp,
    /// Executions.
    pub calls: f64,
    /// Mean time of one.
    pub mean_ms: f64,
    /// Standard deviation of single executions, where it is known.
    pub deviation_ms: Option<f64>,
}

// === impl FindingLine ===

impl FindingLine {
    /// A finding in a line.
    #[must_use]
    pub fn of(finding: &Finding) -> Self {
        Self {
            id: finding.id,
            kind: finding.kind,
            state: finding.state,
            category: finding.category,
            for_review: finding.for_review,
            time_lost: finding.time_lost,
            database: finding.subject.database.clone(),
            summary: finding.summary.clone(),
        }
    }

    /// The order of the review queue: what nobody has decided about comes first, then what loses the most time.
    #[must_use]
    pub fn by_urgency(&self, other: &Self) -> Ordering {
        let least = |line: &Self| line.time_lost.map_or(0.0, |lost| lost.least());
        let lost = || least(other).total_cmp(&least(self));
        self.waits().cmp(&other.waits()).then_with(lost).then_with(|| self.id.cmp(&other.id))
    }

    /// How far it is from needing a decision.
    const fn waits(&self) -> u8 {
        match self.state {
            FindingState::Open => 0,
            FindingState::Accepted => 1,
            FindingState::Applied => 2,
            _ => 3,
        }
    }
}
