//! What is found without a change of plan: a step of time and work, a statement that is slow with its only plan, a
//! statement that goes back and forth between plans.
//!
//! Once an hour every statement is looked at with a cheap question; only what stands out goes before the judge.

use dbintel_evidence::Category;
use dbintel_evidence::unprompted::{Hour, Slow, has_stopped, is_slow_no_longer, slow, step};
use dbintel_model::finding::{Evidence, FindingKind, Source};
use dbintel_model::{Finding, Timestamp};

use super::RegressionVerifier;
use super::report::{self, Place};
use super::round::Candidate;
use super::statement::Statement;
use super::stored;
use super::sums::Sums;
use super::vanished;

/// Statements that go before the judge each hour, at most: those that take the most time.
const JUDGED_PER_HOUR: usize = 64;

/// A step of time and work, to be judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    statement: u64,
    /// The hour it began with.
    first: i64,
    weight_ms: f64,
}

impl RegressionVerifier {
    /// The beginning of a step that the last hours of the statement are on.
    pub(super) fn look_for_step(&self, id: u64) -> Option<Step> {
        let statement = self.statements.get(id).filter(|statement| !statement.is_under_trial)?;
        let mut hours = Vec::new();
        list(statement, &mut hours);
        hours.retain(|hour| !statement.is_cured(hour.place));
        let first = step(&hours, self.clock.hours().blocks_per_day(), self.closed.hour)?;
        Some(Step { statement: id, first, weight_ms: statement.weight_ms })
    }

    /// Those that go before the judge, the one that takes the least time first.
    pub(super) fn choose_steps(&self, mut steps: Vec<Step>) -> Vec<Step> {
        let order =
            |a: &Step, b: &Step| a.weight_ms.total_cmp(&b.weight_ms).then(b.statement.cmp(&a.statement));
        steps.sort_by(order);
        let beyond = steps.len().saturating_sub(JUDGED_PER_HOUR);
        self.telemetry.limit("verifier_steps", beyond as u64);
        steps.split_off(beyond)
    }

    /// Judges a step that began with this hour. What is no regression leaves no trial behind.
    pub(super) fn look_at_step(&mut self, step: &Step, now: Timestamp) -> Option<Candidate> {
        let Step { statement: id, first, .. } = *step;
        if self.findings.has(FindingKind::RegressionWithoutPlanChange, id) {
            return None;
        }
        let at = self.clock.hour_begins(first);
        // A change of plan in the same hours has a trial of its own, or had one.
        let changed = self.statements.get(id)?.plans.changed_at;
        if changed.is_some_and(|changed| changed.plus(self.days(1)) >= at) {
            return None;
        }
        if self.trials.is_full() {
            self.telemetry.limit("verifier_trials", 1);
            return None;
        }
        if self.trials.get(id).is_some() {
            return None;
        }
        self.open_trial(id, None, at, None);
        let (trial, statement) = (self.trials.get(id)?, self.statements.get(id)?);
        let verdict = self.court.judge(trial, statement, &self.controls, &self.clock);
        self.telemetry.judged(&verdict);
        if let Some(trial) = self.trials.get_mut(id) {
            trial.note_verdict(&verdict);
        }
        if !verdict.is_regression() {
            self.end_trial(id, "unconfirmed");
            return None;
        }
        self.candidate(id, &verdict, now)
    }

    /// What the plans of a statement, its time-outs and its time by itself say.
    pub(super) fn look_at_statement(&mut self, id: u64, now: Timestamp, candidates: &mut Vec<Candidate>) {
        let Some((target, node)) = &self.place else { return };
        let place = Place { server: &target.server, node: node.as_deref(), now };
        let settings = self.config.settings();
        let (hours, day) = (self.known_hours(), stored::day_of(self.closed.hour));
        let began = self.clock.hour_begins(self.closed.hour);
        let Some(statement) = self.statements.get_mut(id) else { return };
        if let Some(changes) = statement.plans.seen.flapping(day, settings.flapping_changes_per_day) {
            let kind = FindingKind::PlanFlapping;
            let mut finding = report::about_statement(place, kind, statement, began, None, Category::Careful);
            report::flapping(&mut finding, statement, changes, settings.flapping_changes_per_day);
            candidates.push(Candidate::of(finding, id));
        }
        if let Some(finding) = vanished::look(statement, place, hours, began) {
            candidates.push(Candidate::of(finding, id));
        }
        let has_one = statement.plans.seen.last != 0 && statement.plans.changed_at.is_none();
        if !has_one || statement.is_under_trial {
            return;
        }
        let limit_ms = settings.slow_statement.get().as_secs_f64() * 1e3;
        let lost_min = self.court.thresholds().lost_ms_per_day_min;
        let (per_day, closed, mut hours) = (hours.per_day, hours.closed, Vec::new());
        list(statement, &mut hours);
        if let Some(found) = slow(&hours, per_day, closed, limit_ms, lost_min) {
            candidates.push(Candidate::of(slow_finding(statement, place, began, &found, limit_ms), id));
        }
    }

    /// The hours at which time-outs are looked at.
    pub(super) fn known_hours(&self) -> vanished::Hours {
        let (per_day, closed) = (self.clock.hours().blocks_per_day(), self.closed.hour);
        vanished::Hours { per_day, closed, known_since: self.known_since }
    }

    pub(super) fn is_no_longer_slow(&self, id: u64) -> bool {
        let limit_ms = self.config.settings().slow_statement.get().as_secs_f64() * 1e3;
        let Some(statement) = self.statements.get(id) else { return true };
        let (per_day, closed) = (self.clock.hours().blocks_per_day(), self.closed.hour);
        // One that began within the day does not know whether it ran before.
        let is_known = closed.saturating_sub(per_day) >= self.known_since;
        if is_known && statement.hours.span().is_none_or(|(_, latest)| has_stopped(latest, per_day, closed)) {
            return true;
        }
        let recent = statement.hours.iter().filter(|(place, _)| *place >= closed - per_day);
        let recent = recent.map(|(place, sums)| hour(place, &sums));
        statement.plans.changed_at.is_some() || is_slow_no_longer(recent, limit_ms)
    }
}

impl Candidate {
    /// One that is no regression.
    pub(super) fn of(finding: Finding, subject: u64) -> Self {
        Self {
            finding,
            subject,
            cause: None,
            regression: None,
            hour: None,
            old_last_seen: None,
            joined: None,
        }
    }
}

fn slow_finding(
    statement: &Statement,
    place: Place<'_>,
    began: Timestamp,
    slow: &Slow,
    limit_ms: f64,
) -> Finding {
    let Slow { mean_ms: mean, mean_low_ms: low, t, calls, ms_per_day } = *slow;
    let kind = FindingKind::SlowSinglePlan;
    let mut finding = report::about_statement(place, kind, statement, began, None, Category::Careful);
    finding.summary = format!(
        "Query {} takes {mean:.0} ms per call, at least {low:.0} ms, and was never seen with another plan.",
        statement.about.key.query_id
    )
    .into();
    let add = |name, value, unit, source, detail: &'static str| {
        Evidence::new(name, Some(value), unit, source, detail)
    };
    finding.evidence = vec![
        add("mean", mean, "ms", Source::Measured, "total_exec_time / calls of the hours kept"),
        add(
            "mean_low",
            low,
            "ms",
            Source::Computed,
            "three standard errors below, from the differences between hours",
        ),
        add("limit", limit_ms, "ms", Source::Configured, "slow_statement"),
        add("t", t, "1", Source::Computed, "(mean - limit) / standard error"),
        add("calls", calls, "{call}", Source::Measured, "calls of the hours kept"),
        add(
            "time_per_day",
            ms_per_day / 1e3,
            "s/d",
            Source::Computed,
            "time it takes, not time that could be saved",
        ),
    ];
    finding.failure_modes.push(
        "It may have to take that long: nothing faster was ever seen, so nothing says what could be saved."
            .into(),
    );
    finding
}

fn list(statement: &Statement, into: &mut Vec<Hour>) {
    into.clear();
    into.extend(statement.hours.iter().map(|(place, sums)| hour(place, &sums)));
}

fn hour(place: i64, sums: &Sums) -> Hour {
    Hour { place, calls: sums.calls, total_ms: sums.total_ms, work: sums.work }
}
