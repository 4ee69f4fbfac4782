//! What pages are shown: the queue of findings, what is watched, and the statements that lose or take the most time.
//!
//! An answer is made while the lane waits, and is bounded: in findings by number and by bytes, in everything else by number, each text
//! cut. What is left out is in a shorter list, or counted in the answer.

use std::collections::HashMap;
use std::sync::Arc;

use dbintel_evidence::Direction;
use dbintel_model::finding::TimeLost;
use dbintel_model::{Finding, FindingId, Text, Timestamp};
use dbintel_pipeline::{
    FindingLine, FindingsView, GivenUpView, HourView, StatementView, StatementsView, WatchedView,
};

use super::RegressionVerifier;
use super::hours::HOURS_MAX;
use super::statement::{About, Statement};
use super::sums::Sums;
use super::trial::{Trial, cut};

/// Findings in full in one answer.
pub const FINDINGS_IN_FULL_MAX: usize = 10;
/// Bytes of the findings in full of one answer; one that does not fit is told in a line.
pub const FINDINGS_BYTES_MAX: usize = 512 << 10;
/// Watched statements in one answer.
pub const WATCHED_MAX: usize = 50;
/// Statements in one answer, each with up to [`HOURS_MAX`] hours and the one that is not over.
pub const STATEMENTS_SHOWN_MAX: usize = 20;
/// Bytes of a statement's text, or of a finding's summary, in a list.
pub const TEXT_SHOWN_BYTES_MAX: usize = 1 << 10;

impl RegressionVerifier {
    /// The queue, or one finding of it.
    pub(super) fn findings_view(&self, wanted: Option<FindingId>) -> FindingsView {
        if let Some(wanted) = wanted {
            let (findings, further) = fit(self.findings.get(wanted).into_iter().map(|kept| &kept.finding));
            return FindingsView { findings, further, ..FindingsView::default() };
        }
        let mut queue: Vec<(FindingLine, &Finding)> =
            self.findings.iter().map(|kept| (FindingLine::of(&kept.finding), &kept.finding)).collect();
        queue.sort_by(|(one, _), (other, _)| one.by_urgency(other));
        let (findings, further) = fit(queue.into_iter().map(|(_, finding)| finding));
        let (watched, watched_further) = self.watched();
        FindingsView { findings, further, watched, watched_further, ..FindingsView::default() }
    }

    /// Statements under trial that lose time and have no finding.
    fn watched(&self) -> (Vec<WatchedView>, usize) {
        let mut losing: Vec<(f64, &Trial)> = self
            .trials
            .iter()
            .filter(|trial| trial.finding.is_none())
            .filter_map(|trial| Some((lost(trial)?.seconds_per_day?, trial)))
            .collect();
        losing.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.statement.cmp(&b.1.statement)));
        let further = losing.len().saturating_sub(WATCHED_MAX);
        let watched = losing.into_iter().take(WATCHED_MAX);
        (watched.filter_map(|(_, trial)| self.watched_one(trial)).collect(), further)
    }

    fn watched_one(&self, trial: &Trial) -> Option<WatchedView> {
        let about = &self.statements.get(trial.statement)?.about;
        let judged = trial.judged.as_ref()?;
        let (conclusion, category) = trial.last?;
        Some(WatchedView {
            database: about.key.database.clone(),
            user: about.key.user.clone(),
            query_id: about.key.query_id.to_string().into(),
            text: text(about),
            since: trial.at,
            has_other_plan: trial.flip.is_some(),
            conclusion: conclusion.as_str(),
            category: category.as_str(),
            effect: judged.effect,
            time_lost: judged.time_lost,
        })
    }

    /// The statements that lose the most time per day, then those that take the most.
    pub(super) fn statements_view(&mut self) -> StatementsView {
        let mut losses: HashMap<u64, TimeLost> =
            self.trials.iter().filter_map(|trial| Some((trial.statement, lost(trial)?))).collect();
        let found: HashMap<u64, FindingId> =
            self.findings.iter().map(|kept| (kept.subject, kept.finding.id)).collect();
        // What a finding says is what its page says.
        losses.extend(self.findings.iter().filter_map(|kept| Some((kept.subject, kept.finding.time_lost?))));
        let loses = |id: u64| losses.get(&id).and_then(|lost| lost.seconds_per_day).unwrap_or(0.0);
        let mut top: Vec<(f64, f64, u64)> = self
            .statements
            .iter()
            .map(|statement| (loses(statement.id), statement.weight_ms, statement.id))
            .collect();
        let further = top.len().saturating_sub(STATEMENTS_SHOWN_MAX);
        top.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)).then(a.2.cmp(&b.2)));
        top.truncate(STATEMENTS_SHOWN_MAX);
        let mut statements = Vec::with_capacity(top.len());
        for (_, _, id) in top {
            let view = self.statement_view(id);
            let (time_lost, finding) = (losses.get(&id).copied(), found.get(&id).copied());
            statements.extend(view.map(|view| StatementView { time_lost, finding, ..view }));
        }
        let hour_seconds = self.clock.hours().block_seconds();
        StatementsView { statements, further, hour_seconds }
    }

    fn statement_view(&mut self, id: u64) -> Option<StatementView> {
        let statement = self.statements.get(id)?;
        let hours = hours(statement);
        let per_day = self.clock.hours().blocks_per_day();
        let lately = Lately::of(&hours, self.closed.hour, per_day);
        let mut starts = Vec::with_capacity(hours.len());
        starts.extend(hours.iter().map(|(place, sums)| hour(self.clock.hour_begins(*place), sums)));
        // What was before all that is shown explains nothing of it.
        let given_up =
            statement.given_up().filter(|of| starts.first().is_some_and(|first| first.start <= of.at()));
        Some(StatementView {
            database: statement.about.key.database.clone(),
            user: statement.about.key.user.clone(),
            query_id: statement.about.key.query_id.to_string().into(),
            text: text(&statement.about),
            calls_per_hour: lately.calls_per_hour,
            mean_ms: (lately.calls > 0.0).then(|| lately.total_ms / lately.calls),
            seconds_last_day: lately.total_ms / 1e3,
            trial_given_up: given_up.map(|of| GivenUpView {
                since: of.since(),
                at: of.at(),
                others: of.others,
            }),
            plan_changes: plan_changes(statement),
            hours: starts,
            ..StatementView::default()
        })
    }
}

/// Findings in full as far as there is room, and the others in a line each.
fn fit<'a>(queue: impl Iterator<Item = &'a Finding>) -> (Vec<Finding>, Vec<FindingLine>) {
    let (mut findings, mut further, mut bytes) = (Vec::new(), Vec::new(), 0_usize);
    for finding in queue {
        let more = size_of::<Finding>() + finding.weight_bytes();
        let fits = bytes.saturating_add(more) <= FINDINGS_BYTES_MAX;
        // Those in full are the first ones: after one that does not fit, the order would mislead.
        if further.is_empty() && fits && findings.len() < FINDINGS_IN_FULL_MAX {
            bytes += more;
            findings.push(finding.clone());
        } else {
            let line = FindingLine::of(finding);
            further.push(FindingLine { summary: cut(&line.summary, TEXT_SHOWN_BYTES_MAX), ..line });
        }
    }
    (findings, further)
}

/// What a trial loses per day by its last verdict, where it does.
fn lost(trial: &Trial) -> Option<TimeLost> {
    let judged = trial.judged.as_ref().filter(|judged| judged.direction == Direction::Slower)?;
    judged.time_lost.seconds_per_day.filter(|lost| *lost > 0.0)?;
    Some(judged.time_lost)
}

/// The masked text; of a statement whose text may not leave, what is said of it instead.
fn text(about: &About) -> Option<Text> {
    let known = about.text.as_ref()?;
    let text = known.masked.as_ref().or(known.summary.as_ref())?;
    Some(cut(&Text::Shared(Arc::clone(text)), TEXT_SHOWN_BYTES_MAX))
}

/// Closed hours and the one that is not over, the oldest first.
fn hours(statement: &Statement) -> Vec<(i64, Sums)> {
    let open = (!statement.hour.sums.is_empty()).then_some((statement.hour.place, statement.hour.sums));
    let mut hours = Vec::with_capacity(HOURS_MAX + 1);
    hours.extend(statement.hours.iter().chain(open));
    hours
}

fn hour(start: Timestamp, sums: &Sums) -> HourView {
    let mean_ms = sums.total_ms / sums.calls.max(1.0);
    let deviation_ms = sums.variation().map(|variation| variation * mean_ms);
    HourView { start, calls: sums.calls, mean_ms, deviation_ms }
}

fn plan_changes(statement: &Statement) -> Vec<Timestamp> {
    let remembered: Vec<Timestamp> =
        statement.plan_changes.iter().flat_map(|changes| changes.iter()).collect();
    if remembered.is_empty() { statement.plans.changed_at.into_iter().collect() } else { remembered }
}

/// What a statement did in the last day.
struct Lately {
    calls: f64,
    total_ms: f64,
    calls_per_hour: Option<f64>,
}

// === impl Lately ===

impl Lately {
    /// `closed` is the first hour that is not over.
    fn of(hours: &[(i64, Sums)], closed: i64, per_day: i64) -> Self {
        let first = closed.saturating_sub(per_day);
        let (mut calls, mut total_ms, mut of_closed) = (0.0, 0.0, 0.0);
        for (place, sums) in hours.iter().filter(|(place, _)| *place >= first) {
            calls += sums.calls;
            total_ms += sums.total_ms;
            of_closed += if *place < closed { sums.calls } else { 0.0 };
        }
        // One that was first seen within the day is not known for all of it.
        let known_since = hours.first().map_or(closed, |(place, _)| *place).max(first);
        let whole = closed.saturating_sub(known_since);
        Self { calls, total_ms, calls_per_hour: (whole > 0).then(|| of_closed / whole as f64) }
    }
}
