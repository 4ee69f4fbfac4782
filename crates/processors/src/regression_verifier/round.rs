//! What happens when blocks are over and the control is made: trials are judged, findings opened.

use std::collections::BTreeMap;
use std::sync::Arc;

use dbintel_evidence::unprompted::stale_share;
use dbintel_evidence::{Category, Verdict};
use dbintel_model::finding::{FindingKind, FindingNews};
use dbintel_model::{Batch, ChangeKind, Finding, FindingEvent, Record, Timestamp};
use dbintel_pipeline::Output;

use super::hours::SHORTS_REACH;
use super::life::Kept;
use super::report::{self, Place};
use super::{RegressionVerifier, advice, causes};

/// Changes of plan within one hour from which on they may have one cause; of many statements, at least one in this many.
const SIMULTANEOUS_MIN: usize = 10;
const SIMULTANEOUS_SHARE: usize = 20;
/// Regressions among them from which on there is one finding about the server.
const SERVER_WIDE_MIN: usize = 3;
/// Hours for which a few regressions among many simultaneous changes wait for the others.
const SERVER_WIDE_PATIENCE: i64 = 12;
/// Hours of server-wide findings that are remembered.
const SERVER_WIDE_REMEMBERED: usize = 16;

/// A finding that may be opened.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) finding: Finding,
    /// The statement, or a hash of the object.
    pub(super) subject: u64,
    pub(super) cause: Option<super::events::Event>,
    /// What is remembered of the verdict: the step of time and the ratio of work.
    pub(super) regression: Option<(f64, Option<f64>)>,
    /// The hour in which it began, where it is a regression.
    pub(super) hour: Option<i64>,
    /// When the plan before was last seen, where it changed.
    pub(super) old_last_seen: Option<Timestamp>,
    /// What it is made of, where it is about the server.
    pub(super) joined: Option<Joined>,
}

/// Regressions of one hour that are one finding.
#[derive(Debug)]
pub(super) struct Joined {
    hour: i64,
    /// The statements under trial.
    parts: Vec<u64>,
}

impl RegressionVerifier {
    pub(super) fn look_at_trial(&mut self, id: u64, is_new_hour: bool, now: Timestamp) -> Option<Candidate> {
        let closed = self.closed;
        let Some(statement) = self.statements.get(id) else {
            self.end_trial(id, "forgotten");
            return None;
        };
        let trial = self.trials.get_mut(id)?;
        for (place, sums) in statement.shorts.iter() {
            trial.add_short(place, &sums);
        }
        let is_young = trial.flip.is_some() && closed.short < trial.short + SHORTS_REACH;
        if is_young || is_new_hour {
            self.unstored.trial(id);
        }
        if trial.finding.is_some() || !(is_new_hour || is_young) || closed.hour < trial.hour {
            return None;
        }
        let verdict = self.court.judge(trial, statement, &self.controls, &self.clock);
        self.telemetry.judged(&verdict);
        trial.note_verdict(&verdict);
        let hours = closed.hour - trial.hour;
        if verdict.is_regression() {
            return self.candidate(id, &verdict, now);
        }
        if let Some(how) = verdict.end_of_trial(hours, self.clock.hours().blocks_per_day()) {
            if verdict.is_improvement() {
                self.tell_improvement(id, &verdict, now);
            }
            self.end_trial(id, how);
        }
        None
    }

    /// A finding about a statement under trial.
    pub(super) fn candidate(&mut self, id: u64, verdict: &Verdict, now: Timestamp) -> Option<Candidate> {
        let (target, node) = self.place.as_ref()?;
        let (trial, statement) = (self.trials.get(id)?, self.statements.get(id)?);
        let place = Place { server: &target.server, node: node.as_deref(), now };
        let ranked = causes::ranked(trial, &statement.about, verdict, &self.events);
        let kind = match trial.flip {
            Some(_) => FindingKind::PlanRegression,
            None => FindingKind::RegressionWithoutPlanChange,
        };
        let mut finding =
            report::regression(place, kind, (trial, statement), verdict, &ranked, &mut self.clock);
        finding.for_review = verdict.is_for_review(self.court.thresholds());
        Some(Candidate {
            finding,
            subject: id,
            cause: advice::first_known(&ranked).cloned(),
            regression: verdict.numbers.log_step.map(|step| (step, verdict.numbers.work_ratio)),
            hour: Some(trial.hour),
            old_last_seen: trial.flip.as_ref().map(|flip| flip.old_last_seen),
            joined: None,
        })
    }

    /// Opens what may be opened, the costliest first.
    pub(super) fn open_findings(&mut self, mut candidates: Vec<Candidate>, now: Timestamp) {
        let lost =
            |candidate: &Candidate| candidate.finding.time_lost.and_then(|lost| lost.low).unwrap_or(0.0);
        candidates.sort_by(|a, b| lost(b).total_cmp(&lost(a)).then(a.subject.cmp(&b.subject)));
        let mut opened = 0;
        for candidate in self.join_simultaneous(candidates, now) {
            let kind = candidate.finding.kind;
            match self.may_open(&candidate, opened, now) {
                Err(why) => self.telemetry.suppressed(why),
                Ok(()) => {
                    opened += 1;
                    let stale = (kind == FindingKind::PlanRegression)
                        .then(|| self.stale_statistics(&candidate, now))
                        .flatten();
                    self.open_finding(candidate, now);
                    if let Some(stale) = stale {
                        match self.may_open(&stale, opened, now) {
                            Err(why) => self.telemetry.suppressed(why),
                            Ok(()) => {
                                opened += 1;
                                self.open_finding(stale, now);
                            }
                        }
                    }
                }
            }
        }
    }

    fn may_open(&mut self, candidate: &Candidate, opened: usize, now: Timestamp) -> Result<(), &'static str> {
        let Candidate { finding, subject, cause, .. } = candidate;
        self.findings.may_open(finding, (*subject, cause.as_ref()), opened, now)
    }

    fn open_finding(&mut self, candidate: Candidate, now: Timestamp) {
        let Candidate { finding, subject, cause, regression, joined, .. } = candidate;
        let finding = self.told(finding);
        if let Some(joined) = joined {
            self.merge(joined);
        }
        if regression.is_some()
            && let Some(trial) = self.trials.get_mut(subject)
        {
            (trial.finding, trial.regression) = (Some(finding.id), regression);
            self.unstored.trial(subject);
        }
        self.unstored.finding(finding.id);
        self.findings.open(Kept { finding, subject, cause }, now);
    }

    /// Every finding is told by this and no other way, so that none lacks the mark of accelerated time, and none has the id
    /// of another one. Gives it as it was told.
    pub(super) fn told(&mut self, finding: Finding) -> Finding {
        let mut finding = self.finished(finding);
        finding.id = self.findings.free_id(finding.id);
        self.telemetry.opened(&finding);
        self.pending.push(FindingEvent { news: FindingNews::Opened, finding: finding.clone() });
        finding
    }

    /// A finding with the mark of accelerated time, if it is, and within its bounds.
    pub(super) fn finished(&self, mut finding: Finding) -> Finding {
        if self.config.is_accelerated() {
            report::mark_accelerated(&mut finding, self.config.settings().acceleration);
        }
        finding.trim();
        finding
    }

    /// Of many changes of plan in one hour, the regressions become one finding about the server; so do as many regressions
    /// of one hour without a known change.
    fn join_simultaneous(&mut self, candidates: Vec<Candidate>, now: Timestamp) -> Vec<Candidate> {
        let mut flips: BTreeMap<i64, usize> = BTreeMap::new();
        for trial in self.trials.iter().filter(|trial| trial.flip.is_some()) {
            *flips.entry(trial.hour).or_default() += 1;
        }
        let many = SIMULTANEOUS_MIN.max(self.statements.len() / SIMULTANEOUS_SHARE);
        let mut steps: BTreeMap<i64, usize> = BTreeMap::new();
        for hour in candidates.iter().filter_map(|candidate| candidate.hour) {
            *steps.entry(hour).or_default() += 1;
        }
        let is_one_of_many =
            |hour: i64| [&flips, &steps].iter().any(|of| of.get(&hour).is_some_and(|count| *count >= many));
        let (mut single, mut joined): (Vec<Candidate>, BTreeMap<i64, Vec<Candidate>>) = Default::default();
        for candidate in candidates {
            match candidate.hour {
                Some(hour) if self.is_server_wide(hour, now) => self.merge_part(candidate.subject),
                Some(hour) if is_one_of_many(hour) => {
                    joined.entry(hour).or_default().push(candidate);
                }
                _ => single.push(candidate),
            }
        }
        for (hour, parts) in joined {
            if parts.len() >= SERVER_WIDE_MIN {
                single.extend(self.join(hour, &parts, now));
            } else if self.closed.hour - hour >= SERVER_WIDE_PATIENCE {
                single.extend(parts);
            }
        }
        single
    }

    fn join(&mut self, hour: i64, parts: &[Candidate], now: Timestamp) -> Option<Candidate> {
        let (target, node) = self.place.as_ref()?;
        let place = Place { server: &target.server, node: node.as_deref(), now };
        let findings: Vec<Finding> = parts.iter().map(|part| part.finding.clone()).collect();
        let finding = report::server_wide(place, &findings, self.clock.hour_begins(hour));
        let (cause, old_last_seen) =
            parts.first().map(|part| (part.cause.clone(), part.old_last_seen)).unwrap_or_default();
        // Each hour of this kind is a subject of its own.
        let subject = hour.cast_unsigned();
        let joined = Some(Joined { hour, parts: parts.iter().map(|part| part.subject).collect() });
        Some(Candidate { finding, subject, cause, regression: None, hour: None, old_last_seen, joined })
    }

    /// Whether there is a finding about the server for this hour, or was before this process began.
    fn is_server_wide(&self, hour: i64, now: Timestamp) -> bool {
        let kinds = [FindingKind::PlanRegression, FindingKind::RegressionWithoutPlanChange];
        let subject = hour.cast_unsigned();
        self.server_wide.contains(&hour)
            || kinds
                .iter()
                .any(|kind| self.findings.has(*kind, subject) || self.findings.is_told(*kind, subject, now))
    }

    /// A finding about the server is opened: only now its parts are no candidates of their own any more.
    fn merge(&mut self, joined: Joined) {
        joined.parts.into_iter().for_each(|part| self.merge_part(part));
        if self.server_wide.len() >= SERVER_WIDE_REMEMBERED {
            self.server_wide.pop_front();
        }
        self.server_wide.push_back(joined.hour);
    }

    fn merge_part(&mut self, statement: u64) {
        self.telemetry.suppressed("merged");
        self.end_trial(statement, "merged");
    }

    /// A plan that changed when the statistics of a table had become stale, or after an analysis that came too late: then they were before.
    fn stale_statistics(&self, candidate: &Candidate, now: Timestamp) -> Option<Candidate> {
        // What was stale before, while the old plan ran, is named as a cause and no news.
        let event = candidate.cause.as_ref().filter(|event| match event.kind {
            ChangeKind::Analyze => true,
            ChangeKind::StatisticsStale => candidate.old_last_seen.is_some_and(|last| event.at >= last),
            _ => false,
        })?;
        let (modified, rows) = (event.modified?, event.rows?);
        let share = stale_share(modified, rows)?;
        let (database, table) = (event.database.clone()?, event.table.clone()?);
        let (target, node) = self.place.as_ref()?;
        let place = Place { server: &target.server, node: node.as_deref(), now };
        let subject = xxhash_rust::xxh3::xxh3_64(format!("{database}\0{table}").as_bytes());
        let kind = FindingKind::StatisticsStale;
        let mut finding =
            report::about_object(place, kind, (database, table.clone()), event.at, Category::Careful);
        report::stale(&mut finding, event.kind, (modified, rows, share), &table);
        let advice = advice::analyze_more_often(event);
        (finding.scripts, finding.questions) = (advice.scripts, advice.questions);
        finding.failure_modes = advice.failure_modes;
        // What an analysis answers is what is stale now.
        let cause = Some(event).filter(|event| event.kind == ChangeKind::StatisticsStale).cloned();
        Some(Candidate { cause, ..Candidate::of(finding, subject) })
    }

    /// Gives out what was opened and what changed, in a batch of its own.
    pub(super) fn send(&mut self, now: Timestamp, server_clock: Timestamp, out: &mut Output) {
        if self.pending.is_empty() {
            return;
        }
        let Some((target, node)) = &self.place else { return };
        let findings = std::mem::take(&mut self.pending);
        out.emit(Batch {
            target: Arc::clone(target),
            node: node.clone(),
            observed_at: now,
            server_clock: Some(server_clock),
            records: findings.into_iter().map(|finding| Record::Finding(Box::new(finding))).collect(),
        });
    }
}
