//! What is found without a change of plan: a step of time and work, a statement that is slow with its only plan, a
//! statement that goes back and forth between plans.
//!
//! Once an hour every statement is looked at with a cheap question; only what stands out goes before the judge.

use dbintel_evidence::{Category, series};
use dbintel_model::Timestamp;
use dbintel_model::finding::{Evidence, FindingKind, Source};

use super::RegressionVerifier;
use super::report::{self, Place};
use super::round::{Candidate, is_regression};
use super::statement::Statement;
use super::stored;
use super::sums::Sums;
use super::vanished;

/// Hours in a row that have to stand out.
const RECENT_HOURS: usize = 6;
/// By this factor, in time and in work.
const TIME_STANDS_OUT: f64 = 1.3;
const WORK_STANDS_OUT: f64 = 1.2;
/// How far back the beginning of a step is looked for.
const STEP_HOURS_MAX: i64 = 72;
/// Hours of the same time of day that a usual value needs.
const SAME_HOURS_MIN: usize = 3;
/// An hour with fewer calls says nothing.
const CALLS_MIN: f64 = 5.0;
/// Statements that go before the judge each hour, at most: those that take the most time.
const JUDGED_PER_HOUR: usize = 64;
/// Days a statement has to be known with its one plan before that is called slow.
const SINGLE_PLAN_DAYS: i64 = 7;
/// How many standard errors its mean has to be above the limit.
const SLOW_T_MIN: f64 = 10.0;

impl RegressionVerifier {
    pub(super) fn look_unprompted(&mut self, now: Timestamp, candidates: &mut Vec<Candidate>) {
        let mut stepped: Vec<(f64, u64, i64)> = Vec::new();
        let (per_day, closed) = (self.clock.hours().blocks_per_day(), self.closed.hour);
        let mut hours = Vec::new();
        for statement in self.statements.iter().filter(|statement| !statement.is_under_trial) {
            hours.clear();
            hours.extend(statement.hours.iter());
            if let Some(first) = step(&hours, per_day, closed) {
                stepped.push((statement.weight_ms, statement.id, first));
            }
        }
        stepped.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let beyond = stepped.len().saturating_sub(JUDGED_PER_HOUR);
        self.telemetry.limit("verifier_steps", beyond as u64);
        for (_, id, first) in stepped.into_iter().take(JUDGED_PER_HOUR) {
            candidates.extend(self.look_at_step(id, first, now));
        }
        self.look_at_plans(now, candidates);
    }

    /// Judges a step that began with this hour. What is no regression leaves no trial behind.
    fn look_at_step(&mut self, id: u64, first: i64, now: Timestamp) -> Option<Candidate> {
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
        self.open_trial(id, None, at, None);
        let (trial, statement) = (self.trials.get(id)?, self.statements.get(id)?);
        let verdict = self.court.judge(trial, statement, &self.controls, &self.clock);
        self.telemetry.judged(&verdict);
        if let Some(trial) = self.trials.get_mut(id) {
            trial.note_verdict(&verdict);
        }
        if !is_regression(&verdict) {
            self.end_trial(id, "unconfirmed");
            return None;
        }
        self.candidate(id, &verdict, now)
    }

    fn look_at_plans(&mut self, now: Timestamp, candidates: &mut Vec<Candidate>) {
        let Some((target, node)) = &self.place else { return };
        let place = Place { server: &target.server, node: node.as_deref(), now };
        let settings = self.config.settings();
        let limit_ms = settings.slow_statement.get().as_secs_f64() * 1e3;
        let lost_min = self.court.thresholds().lost_ms_per_day_min;
        let (per_day, day) = (self.clock.hours().blocks_per_day(), stored::day_of(self.closed.hour));
        let began = self.clock.hour_begins(self.closed.hour);
        for statement in self.statements.iter_mut() {
            let changes = statement.plans.recent_changes(day);
            if changes >= settings.flapping_changes_per_day {
                let mut finding = report::about_statement(
                    place,
                    FindingKind::PlanFlapping,
                    statement,
                    began,
                    None,
                    Category::Careful,
                );
                report::flapping(&mut finding, statement, changes, settings.flapping_changes_per_day);
                candidates.push(Candidate::of(finding, statement.id));
            }
            if let Some(finding) = vanished::look(statement, place, (per_day, self.closed.hour), began) {
                candidates.push(Candidate::of(finding, statement.id));
            }
            let Some(slow) = slow(statement, per_day, limit_ms, lost_min) else { continue };
            let kind = FindingKind::SlowSinglePlan;
            let mut finding = report::about_statement(place, kind, statement, began, None, Category::Careful);
            let (mean, low, t, calls) = (slow.mean, slow.low, slow.t, slow.calls);
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
                    slow.per_day / 1e3,
                    "s/d",
                    Source::Computed,
                    "time it takes, not time that could be saved",
                ),
            ];
            finding.failure_modes.push(
                "It may have to take that long: nothing faster was ever seen, so nothing says what could be saved.".into(),
            );
            candidates.push(Candidate::of(finding, statement.id));
        }
    }

    pub(super) fn is_no_longer_slow(&self, id: u64) -> bool {
        let limit_ms = self.config.settings().slow_statement.get().as_secs_f64() * 1e3;
        let Some(statement) = self.statements.get(id) else { return true };
        let per_day = self.clock.hours().blocks_per_day();
        let recent = statement.hours.iter().filter(|(place, _)| *place >= self.closed.hour - per_day);
        let (calls, total) =
            recent.fold((0.0, 0.0), |(calls, total), (_, sums)| (calls + sums.calls, total + sums.total_ms));
        statement.plans.changed_at.is_some() || (calls >= 30.0 && total / calls < limit_ms)
    }
}

impl Candidate {
    fn of(finding: dbintel_model::Finding, subject: u64) -> Self {
        Self { finding, subject, cause: None, regression: None, hour: None }
    }
}

/// The first hour of a step in time and work that the last hours are on.
fn step(hours: &[(i64, Sums)], per_day: i64, closed: i64) -> Option<i64> {
    let (latest, _) = hours.last()?;
    if closed - latest > 2 {
        return None;
    }
    let stands_out = |(place, sums): &(i64, Sums)| {
        if sums.calls < CALLS_MIN {
            return None;
        }
        let same = |(other, sums): &&(i64, Sums)| {
            (place - other).rem_euclid(per_day) == 0 && place - other >= per_day && sums.calls >= CALLS_MIN
        };
        let usual = |value: fn(&Sums) -> f64| {
            let mut values: Vec<f64> =
                hours.iter().filter(same).map(|(_, sums)| value(sums) / sums.calls).collect();
            series::sort(&mut values);
            series::median(&values).filter(|_| values.len() >= SAME_HOURS_MIN)
        };
        let time = usual(|sums| sums.total_ms)?;
        if sums.total_ms / sums.calls < time * TIME_STANDS_OUT {
            return Some(false);
        }
        let work = usual(|sums| sums.work)?;
        Some(sums.work / sums.calls >= work * WORK_STANDS_OUT)
    };
    let mut first = None;
    let mut count = 0;
    for hour in hours.iter().rev().take_while(|(place, _)| closed - place <= STEP_HOURS_MAX) {
        if stands_out(hour) != Some(true) {
            break;
        }
        (first, count) = (Some(hour.0), count + 1);
    }
    first.filter(|_| count >= RECENT_HOURS)
}

struct Slow {
    mean: f64,
    low: f64,
    t: f64,
    calls: f64,
    per_day: f64,
}

/// Whether a statement with one plan is slow beyond doubt, and takes enough time for it to matter.
fn slow(statement: &Statement, per_day: i64, limit_ms: f64, lost_min: f64) -> Option<Slow> {
    let has_one = statement.plans.last != 0 && statement.plans.changed_at.is_none();
    let (first, last) = statement.hours.span().filter(|_| has_one && !statement.is_under_trial)?;
    let days = (last + 1 - first) as f64 / per_day as f64;
    if last + 1 - first < SINGLE_PLAN_DAYS * per_day {
        return None;
    }
    let blocks: Vec<(i64, series::Sums)> = statement
        .hours
        .iter()
        .map(|(place, sums)| (place, series::Sums { calls: sums.calls, total: sums.total_ms }))
        .collect();
    let (calls, total) =
        blocks.iter().fold((0.0, 0.0), |(calls, total), (_, sums)| (calls + sums.calls, total + sums.total));
    // The cheap question first: most statements are far from slow.
    if calls < 30.0 || total / calls <= limit_ms || total / days < lost_min {
        return None;
    }
    let found = series::block_mean(&blocks)?;
    let error = found.variance.sqrt().max(f64::MIN_POSITIVE);
    let t = (found.mean - limit_ms) / error;
    (t > SLOW_T_MIN).then_some(Slow {
        mean: found.mean,
        low: (found.mean - 3.0 * error).max(0.0),
        t,
        calls,
        per_day: total / days,
    })
}
