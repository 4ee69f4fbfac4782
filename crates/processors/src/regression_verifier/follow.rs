//! Findings on their way to their end: answered, measured, gone by themselves, expired.
//!
//! That something was done is detected and never assumed: an index on the table again, another value of the setting, a new analysis, or another
//! plan that came with such a change. Then its effect is measured.

use dbintel_evidence::{Confirmation, GONE_HOURS, Gone, LockName, MEASURED_FROM_HOURS, Path, RepairOutcome};
use dbintel_model::finding::{Applied, FindingKind, FindingNews, FindingState, Outcome, TimeLost, Verdict};
use dbintel_model::{ChangeKind, FindingEvent, FindingId, PlanChange, Text, Timestamp};

use super::life::Kept;
use super::report::category;
use super::trial::Repaired;
use super::{RegressionVerifier, stored};

/// Hours within which what was done is noticed after the plan that it brought, where it is not known since when it can have happened.
const NOTICED_HOURS: i64 = 2;
/// Kinds of causes of another plan that somebody brought about.
const DONE_BY_SOMEBODY: [&str; 5] = ["ddl", "setting", "plan_setting", "analyze", "extension"];

impl RegressionVerifier {
    /// The plan of a statement with a finding changed again.
    pub(super) fn changed_again(&mut self, id: u64, change: &PlanChange, now: Timestamp) {
        let repaired = self.repaired(change.old_span.last, change.at);
        let Some(trial) = self.trials.get_mut(id) else { return };
        self.unstored.trial(id);
        let Some(finding) = trial.finding else { return };
        let is_applied =
            self.findings.get(finding).is_some_and(|kept| kept.finding.state == FindingState::Applied);
        if is_applied {
            // What is being measured is what was done first.
            return;
        }
        // The plan that ran while it began was seen late: it explains the finding, and repairs nothing.
        if trial.flip.is_none() && change.old_span.last <= trial.at {
            return;
        }
        let is_back = trial.flip.as_ref().is_some_and(|flip| flip.new.exact == change.new.exact);
        trial.repair = (!is_back).then_some(repaired);
        if is_back {
            return;
        }
        let cause = change.causes.iter().find(|cause| DONE_BY_SOMEBODY.contains(&&*cause.kind));
        if let Some(cause) = cause {
            let how = format!("the plan changed to {} after: {}", change.new, cause.description);
            self.apply(finding, Applied { at: change.at, how: how.into() }, now);
        }
    }

    /// What happened between two times, of which only these are known.
    fn repaired(&mut self, not_before: Timestamp, at: Timestamp) -> Repaired {
        Repaired { until: self.clock.places(not_before.min(at)).hour, from: self.clock.from(at).hour }
    }

    /// Whether the change that was noted last answers a finding.
    pub(super) fn answered(&mut self, not_before: Option<Timestamp>, now: Timestamp) {
        let Some(event) = self.events.iter().next_back().cloned() else { return };
        let answers = |kept: &&Kept| {
            // What is set for another role reaches no session of this one.
            let reaches = event.role.is_none() || event.role == kept.finding.subject.role;
            // An analysis is no answer to a step without a change of plan: the server makes them all the time.
            let is_about_plans = kept.finding.flip.is_some()
                || kept.finding.kind == FindingKind::StatisticsStale
                || event.kind != ChangeKind::Analyze;
            reaches
                && is_about_plans
                && event.at > kept.cause.as_ref().map_or(event.at, |cause| cause.at)
                && kept.cause.as_ref().is_some_and(|cause| event.answers(cause))
        };
        let answered: Vec<(FindingId, u64)> =
            self.findings.iter().filter(answers).map(|kept| (kept.finding.id, kept.subject)).collect();
        for (finding, subject) in answered {
            if self.findings.get(finding).is_some_and(|of| of.finding.kind == FindingKind::StatisticsStale) {
                // There is no statement whose time could be measured, and nothing is stale any more.
                self.end(finding, now, |finding| finding.resolve(now).ok());
                continue;
            }
            // Only what follows a statement can measure what came of it: the others stay open until a person decides.
            if self.trials.get(subject).is_none_or(|trial| trial.finding != Some(finding)) {
                continue;
            }
            let applied = Applied { at: event.at, how: Text::from(event.said()) };
            if !self.apply(finding, applied, now) {
                continue;
            }
            let noticed = self.repaired(not_before.unwrap_or(event.at), event.at);
            if let Some(trial) = self.trials.get_mut(subject) {
                // What is noticed at all is noticed after it happened; a plan that came in between dates it better.
                let may_be_of_it = |seen: &Repaired| match not_before {
                    Some(_) => seen.from > noticed.until,
                    None => noticed.from - seen.from <= NOTICED_HOURS,
                };
                let seen = trial.repair.filter(may_be_of_it);
                trial.repair = Some(seen.map_or(noticed, |seen| seen.narrowed_by(noticed)));
                self.unstored.trial(subject);
            }
        }
    }

    /// Says whether the finding was in a state in which something could be done about it.
    fn apply(&mut self, id: FindingId, applied: Applied, now: Timestamp) -> bool {
        let Some(kept) = self.findings.get_mut(id) else { return false };
        let Ok(from) = kept.finding.apply(applied, now) else { return false };
        self.changed(id, from);
        true
    }

    /// Lets findings expire, and says which ones are open: each of them is looked at once an hour.
    pub(super) fn findings_to_follow(&mut self, now: Timestamp) -> Vec<FindingId> {
        for id in self.findings.expired(now) {
            self.end(id, now, |finding| finding.expire(now).ok());
        }
        self.end_unfollowed(now);
        self.findings.iter().map(|kept| kept.finding.id).collect()
    }

    /// What was done about a finding is measured by the trial that follows it. One that has lost its trial is not measured any more, and would
    /// keep the same from being told for good.
    fn end_unfollowed(&mut self, now: Timestamp) {
        let is_followed = |kept: &Kept| {
            self.trials.get(kept.subject).is_some_and(|trial| trial.finding == Some(kept.finding.id))
        };
        let applied = self.findings.iter().filter(|kept| !is_followed(kept));
        let applied = applied.filter(|kept| kept.finding.state == FindingState::Applied);
        let lost: Vec<_> =
            applied.filter_map(|kept| Some((kept.finding.id, kept.finding.applied.as_ref()?.at))).collect();
        for (id, applied_at) in lost {
            let span = (applied_at, self.server_clock.max(applied_at));
            let sentence = "What followed the statement was lost before it was measured: what was kept of it was \
                 damaged or incomplete, or there was no room for it any more (max_statements, max_trials).";
            let outcome = unmeasured(now, span, sentence.into());
            self.end(id, now, |finding| finding.measure(outcome).ok());
        }
    }

    pub(super) fn follow(&mut self, id: FindingId, now: Timestamp) {
        let Some(kept) = self.findings.get(id) else { return };
        let (kind, state, subject) = (kept.finding.kind, kept.finding.state, kept.subject);
        let follows = self.trials.get(subject).is_some_and(|trial| trial.finding == Some(id));
        if follows && state == FindingState::Applied {
            return self.measure(id, subject, now);
        }
        if follows {
            self.raise(id, subject, now);
        }
        if self.is_gone(id, kind, subject, follows) {
            self.end(id, now, |finding| finding.resolve(now).ok());
        }
    }

    /// More has been seen: where that allows a higher category, or whole hours instead of an early verdict, the finding gets all numbers
    /// as they are now. Its category never gets lower, and what was decided stays.
    fn raise(&mut self, id: FindingId, subject: u64, now: Timestamp) {
        let (Some(trial), Some(statement)) = (self.trials.get(subject), self.statements.get(subject)) else {
            return;
        };
        if trial.repair.is_some() {
            return;
        }
        let verdict = self.court.judge(trial, statement, &self.controls, &self.clock);
        self.telemetry.judged(&verdict);
        let Some(kept) = self.findings.get(id) else { return };
        let allows = category(verdict.category);
        let was_early = kept.finding.locks.iter().any(|lock| *lock.name == *LockName::TrialHours.as_str());
        let is_more = allows > kept.finding.category
            || was_early && verdict.path == Path::Blocks && allows == kept.finding.category;
        if !verdict.is_regression() || !is_more {
            return;
        }
        let Some(candidate) = self.candidate(subject, &verdict, now) else { return };
        let renewed = self.finished(candidate.finding);
        let Some(kept) = self.findings.get_mut(id) else { return };
        let held = std::mem::replace(&mut kept.finding, renewed);
        let finding = &mut kept.finding;
        (finding.id, finding.state, finding.opened_at) = (held.id, held.state, held.opened_at);
        (finding.decisions, finding.updated_at) = (held.decisions, now);
        let state = held.state;
        if let Some(trial) = self.trials.get_mut(subject) {
            trial.regression = candidate.regression;
            trial.note_verdict(&verdict);
        }
        self.changed(id, state);
    }

    fn is_gone(&mut self, id: FindingId, kind: FindingKind, subject: u64, follows: bool) -> bool {
        let closed = self.closed.hour;
        match kind {
            FindingKind::PlanRegression | FindingKind::RegressionWithoutPlanChange if follows => {
                let (Some(trial), Some(statement)) = (self.trials.get(subject), self.statements.get(subject))
                else {
                    return false;
                };
                let since = trial.repair.map_or(closed - GONE_HOURS, |repair| repair.from);
                self.court.gone(trial, statement, &self.controls, &self.clock, since) == Gone::Yes
            }
            FindingKind::PlanFlapping => {
                let day = stored::day_of(closed);
                self.statements.get_mut(subject).is_none_or(|of| of.plans.seen.is_steady(day))
            }
            FindingKind::SlowSinglePlan => self.is_no_longer_slow(subject),
            FindingKind::StatementVanished => {
                let hours = self.known_hours();
                self.statements.get(subject).is_none_or(|of| hours.is_back(of))
            }
            _ => {
                debug_assert!(self.findings.get(id).is_some());
                false
            }
        }
    }

    fn measure(&mut self, id: FindingId, subject: u64, now: Timestamp) {
        let closed = self.closed.hour;
        let (Some(trial), Some(statement)) = (self.trials.get(subject), self.statements.get(subject)) else {
            return;
        };
        let Some(repair) = trial.repair.filter(|repair| closed - repair.from >= MEASURED_FROM_HOURS) else {
            return;
        };
        let found = self.court.confirm(trial, statement, &self.controls, &self.clock, repair);
        if !found.is_final(closed - repair.from) {
            return;
        }
        let (from, to) = (self.clock.hour_begins(repair.from), self.clock.hour_begins(closed));
        let outcome = outcome(&found, now, (from, to));
        if outcome.verdict == Verdict::Confirmed {
            let first = trial.before.span().map_or(trial.hour, |(_, last)| last + 1);
            self.note_cured(subject, first, repair.from);
        }
        self.end(id, now, |finding| finding.measure(outcome).ok());
    }

    /// What these hours were is not usual: the same may come back and has to be told again.
    fn note_cured(&mut self, id: u64, first: i64, end: i64) {
        let Some(statement) = self.statements.get_mut(id) else { return };
        statement.cured.get_or_insert_default().note(first, end);
        self.unstored.about(statement);
    }

    /// A finding has come to its end.
    pub(super) fn end(
        &mut self,
        id: FindingId,
        now: Timestamp,
        step: impl FnOnce(&mut dbintel_model::Finding) -> Option<FindingState>,
    ) {
        let Some(kept) = self.findings.get_mut(id) else { return };
        let subject = kept.subject;
        if let Some(from) = step(&mut kept.finding) {
            self.changed(id, from);
        }
        self.unstored.ended(&self.findings, id);
        self.findings.close(id, now);
        self.telemetry.limit("verifier_ended", self.findings.take_ended_forgotten());
        if self.trials.get(subject).is_some_and(|trial| trial.finding == Some(id)) {
            self.end_trial(subject, "finding");
        }
    }

    pub(super) fn changed(&mut self, id: FindingId, from: FindingState) {
        let Some(kept) = self.findings.get(id) else { return };
        let finding = kept.finding.clone();
        self.unstored.finding(id);
        self.pending.push(FindingEvent { news: FindingNews::Changed { from }, finding });
    }
}

/// The outcome of what cannot be measured.
pub(super) fn unmeasured(now: Timestamp, (from, to): (Timestamp, Timestamp), sentence: Text) -> Outcome {
    Outcome {
        verdict: Verdict::Inconclusive,
        at: now,
        measured_from: from,
        measured_to: to,
        ratio: None,
        ratio_low: None,
        ratio_high: None,
        time_lost: None,
        sentence,
    }
}

fn outcome(found: &Confirmation, now: Timestamp, (from, to): (Timestamp, Timestamp)) -> Outcome {
    let verdict = match found.outcome {
        RepairOutcome::Confirmed => Verdict::Confirmed,
        RepairOutcome::NoEffect => Verdict::NoEffect,
        RepairOutcome::Harmful => Verdict::Harmful,
        RepairOutcome::Inconclusive => Verdict::Inconclusive,
    };
    let said = match verdict {
        Verdict::Confirmed => "It helped: faster and doing less work since",
        Verdict::NoEffect => "It changed nothing",
        Verdict::Harmful => "It made things worse: slower and doing more work since",
        Verdict::Inconclusive => "Not to be told from what was measured",
    };
    let ratio = found.ratio;
    let by = ratio.map_or_else(String::new, |ratio| {
        format!(", at {:.2} times the time per call before it", ratio.estimate)
    });
    let why = found.why_not_confirmed().map_or_else(String::new, |why| format!(" {why}"));
    let lost = found.against_regressed.numbers.lost_ms_per_day;
    let sign = match found.against_regressed.direction {
        dbintel_evidence::Direction::Faster => -1e-3,
        dbintel_evidence::Direction::Slower => 1e-3,
    };
    Outcome {
        verdict,
        at: now,
        measured_from: from,
        measured_to: to,
        ratio: ratio.map(|ratio| ratio.estimate),
        ratio_low: ratio.map(|ratio| ratio.low),
        ratio_high: ratio.map(|ratio| ratio.high).filter(|high| high.is_finite()),
        time_lost: lost
            .map(|lost| TimeLost { seconds_per_day: Some(lost.estimate * sign), ..TimeLost::default() }),
        sentence: format!("{said}{by}.{why}").into(),
    }
}
