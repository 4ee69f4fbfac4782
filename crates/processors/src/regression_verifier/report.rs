//! A finding from a verdict: every number with its source, every lock with its sentence, what it costs, what may be the cause,
//! what can be done.

mod numbers;

use dbintel_evidence::{
    Attribution as Tied, Category as Risk, Conclusion, Direction, LockName, Outcome, Verdict,
};
use dbintel_model::finding::{
    Attribution, Category, Cause, Chart, ChartPoint, Effect, Evidence, FindingKind, Identity, Lock, PlanFlip,
    Source, Subject, TimeLost,
};
use dbintel_model::{ChangeKind, Finding, Node, Server, Text, Timestamp};

use super::advice::{Advice, advise};
use super::causes::Ranked;
use super::clock::BlockClock;
use super::hours::{History, Hour};
use super::statement::Statement;
use super::trial::{Flip, Trial};

/// Which server a finding is about.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) server: &'a Server,
    pub(super) node: Option<&'a Node>,
    /// When it is opened, by our clock.
    pub(super) now: Timestamp,
}

/// A finding about one statement, from what was judged.
pub(super) fn regression(
    place: Place<'_>,
    kind: FindingKind,
    (trial, statement): (&Trial, &Statement),
    verdict: &Verdict,
    ranked: &[Ranked<'_>],
    clock: &mut BlockClock,
) -> Finding {
    let mut finding =
        about_statement(place, kind, statement, trial.at, trial.flip.as_deref(), verdict.category);
    let worth = worth(verdict);
    let Advice { scripts, questions, mut failure_modes } = advise(&statement.about, ranked, &worth);
    failure_modes.extend(given_up(trial, statement, clock));
    failure_modes.extend(modes(verdict, trial));
    finding.ceiling = category(verdict.ceiling);
    finding.summary = summary(statement, trial, verdict).into();
    finding.effect = Some(effect(verdict));
    finding.time_lost = Some(time_lost(verdict));
    finding.attribution = trial.flip.as_ref().map(|_| attribution(verdict.attribution));
    finding.evidence = numbers::of(verdict, trial, statement, clock);
    finding.locks = locks(verdict);
    finding.charts = charts(trial, &statement.hours, clock);
    finding.causes = ranked.iter().map(|ranked| ranked.cause.clone()).collect();
    finding.failure_modes = failure_modes;
    (finding.scripts, finding.questions) = (scripts, questions);
    finding
}

/// A finding about one statement that got faster.
pub(super) fn improvement(
    place: Place<'_>,
    (trial, statement): (&Trial, &Statement),
    verdict: &Verdict,
    causes: &[Ranked<'_>],
    clock: &mut BlockClock,
) -> Finding {
    let kind = FindingKind::PlanImprovement;
    let mut finding =
        about_statement(place, kind, statement, trial.at, trial.flip.as_deref(), verdict.category);
    finding.ceiling = category(verdict.ceiling);
    finding.effect = Some(effect(verdict));
    finding.time_lost = Some(time_lost(verdict));
    let number = |value: Option<f64>| value.map_or_else(|| "?".to_owned(), |value| format!("{value:.2}"));
    let numbers = &verdict.numbers;
    finding.summary = format!(
        "Query {} takes {} ms per call instead of {} ms since its plan changed at {}: at most {} times as long.",
        statement.about.key.query_id,
        number(numbers.mean_after_ms),
        number(numbers.mean_before_ms),
        trial.at,
        number(finding.effect.and_then(|effect| effect.ratio_high)),
    )
    .into();
    finding.evidence = numbers::of(verdict, trial, statement, clock);
    finding.locks = locks(verdict);
    finding.charts = charts(trial, &statement.hours, clock);
    finding.causes = causes.iter().map(|ranked| ranked.cause.clone()).collect();
    finding
}

/// Says, first of all, that time was accelerated, wherever a finding is read: in its summary, its numbers and how it may be wrong.
/// Nothing is concluded from it but that it can be looked at.
pub(super) fn mark_accelerated(finding: &mut Finding, factor: f64) {
    finding.category = finding.category.min(Category::Careful);
    finding.summary = format!("[accelerated {factor} times] {}", finding.summary).into();
    let mode = "Time was accelerated: this is a demonstration and no evidence about a server.";
    finding.failure_modes.insert(0, mode.into());
    let detail = "hours, days and patience are divided by it";
    let number = Evidence::new("acceleration", Some(factor), "1", Source::Configured, detail);
    finding.evidence.insert(0, number);
}

/// A finding about a statement with nothing in it yet.
pub(super) fn about_statement(
    place: Place<'_>,
    kind: FindingKind,
    statement: &Statement,
    began: Timestamp,
    flip: Option<&Flip>,
    risk: Risk,
) -> Finding {
    let about = &statement.about;
    let mut subject = Subject::of_query(place.server, place.node, &about.key, about.text.as_deref());
    subject.fingerprint = about.fingerprint;
    let identity = Identity { kind, subject: &subject, plan: flip.map(|flip| flip.new.exact) };
    let mut finding = Finding::new(identity.at(began).id, kind, category(risk), subject, place.now);
    finding.flip = flip.map(|flip| PlanFlip { at: began, rung: flip.rung, old: flip.old, new: flip.new });
    finding
}

/// A finding about an object.
pub(super) fn about_object(
    place: Place<'_>,
    kind: FindingKind,
    (database, object): (Text, Text),
    began: Timestamp,
    risk: Risk,
) -> Finding {
    let subject = Subject::of_object(place.server, place.node, database, object);
    let id = Identity { kind, subject: &subject, plan: None }.at(began).id;
    Finding::new(id, kind, category(risk), subject, place.now)
}

/// Many changes of plan at once: one finding about the server.
pub(super) fn server_wide(place: Place<'_>, parts: &[Finding], began: Timestamp) -> Finding {
    let has_flips = parts.iter().any(|part| part.flip.is_some());
    let (kind, words) = if has_flips {
        (
            FindingKind::PlanRegression,
            "when their plans changed within the same hour: look for one cause, such as a version, a setting or an analysis",
        )
    } else {
        let words = "within the same hour, without a known change of plan: look for one cause, such as a setting, a version or the machine";
        (FindingKind::RegressionWithoutPlanChange, words)
    };
    let subject = Subject::of_server(place.server, place.node);
    // Each hour is a subject of its own, also of the same day.
    let hour = Subject { object: Some(began.to_string().into()), ..subject.clone() };
    let id = Identity { kind, subject: &hour, plan: None }.at(began).id;
    let least = parts.iter().map(|part| part.category).min().unwrap_or(Category::Insufficient);
    // A change that many plans share is not the fault of one of them.
    let mut finding = Finding::new(id, kind, least.min(Category::Careful), subject, place.now);
    let sum = |of: fn(&TimeLost) -> Option<f64>| {
        parts.iter().map(|part| part.time_lost.as_ref().and_then(of)).sum::<Option<f64>>()
    };
    finding.time_lost = Some(TimeLost {
        seconds_per_day: sum(|lost| lost.seconds_per_day),
        low: sum(|lost| lost.low),
        high: None,
        confidence: None,
    });
    finding.summary = format!("{} statements got slower {words}.", parts.len()).into();
    finding.evidence.push(Evidence::new(
        "statements",
        Some(parts.len() as f64),
        "{statement}",
        Source::Computed,
        "statements with a regression of their own in this hour",
    ));
    for part in parts {
        let id = part.subject.query_id.map_or_else(|| "?".to_owned(), |id| id.to_string());
        let detail = format!("of query {id}: {}", part.summary);
        let ratio = part.effect.and_then(|effect| effect.ratio);
        finding.evidence.push(Evidence::new("ratio", ratio, "1", Source::Computed, detail));
    }
    finding.causes = shared_causes(parts);
    finding.failure_modes.push("What all of them share was not proven to be the cause.".into());
    finding
}

/// Causes that several of them name, the most named first.
fn shared_causes(parts: &[Finding]) -> Vec<Cause> {
    let mut causes: Vec<(Cause, usize)> = Vec::new();
    for cause in parts.iter().flat_map(|part| &part.causes).filter(|cause| &*cause.kind != "plan_change") {
        match causes.iter_mut().find(|(known, _)| known.kind == cause.kind && known.object == cause.object) {
            Some((_, times)) => *times += 1,
            None => causes.push((cause.clone(), 1)),
        }
    }
    causes.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
    causes.into_iter().map(|(cause, _)| cause).collect()
}

pub(super) fn category(risk: Risk) -> Category {
    match risk {
        Risk::Insufficient => Category::Insufficient,
        Risk::Careful => Category::Careful,
        Risk::Manual => Category::Manual,
        Risk::Auto => Category::Auto,
    }
}

fn attribution(tied: Tied) -> Attribution {
    match tied {
        Tied::Attributed => Attribution::Attributed,
        Tied::Coincident => Attribution::Coincident,
        Tied::Unattributed => Attribution::Unattributed,
    }
}

pub(super) fn effect(verdict: &Verdict) -> Effect {
    let numbers = &verdict.numbers;
    // A verdict has the slower by the faster, a finding what is since by what was before.
    let [ratio, low, high] = match verdict.direction {
        Direction::Slower => numbers.ratio.map(|ratio| [ratio.estimate, ratio.low, ratio.high]),
        Direction::Faster => {
            numbers.ratio.map(|ratio| [ratio.estimate, ratio.high, ratio.low].map(f64::recip))
        }
    }
    .map_or([None; 3], |bounds| bounds.map(Some));
    Effect {
        before_ms: numbers.mean_before_ms,
        after_ms: numbers.mean_after_ms,
        ratio,
        ratio_low: low,
        ratio_high: high.filter(|high| high.is_finite()),
        t: numbers.t,
        degrees_of_freedom: numbers.freedom,
        calls_before: Some(numbers.executions_before),
        calls_after: Some(numbers.executions_after),
    }
}

/// What is gained is lost with another sign.
pub(super) fn time_lost(verdict: &Verdict) -> TimeLost {
    let lost = verdict.numbers.lost_ms_per_day;
    let [estimate, low, high] = match verdict.direction {
        Direction::Slower => lost.map(|lost| [lost.estimate, lost.low, lost.high]),
        Direction::Faster => lost.map(|lost| [-lost.estimate, -lost.high, -lost.low]),
    }
    .map_or([None; 3], |bounds| {
        bounds.map(|millis| Some(millis / 1e3).filter(|seconds| seconds.is_finite()))
    });
    TimeLost {
        seconds_per_day: estimate,
        low,
        high,
        // Three standard errors on either side.
        confidence: lost.map(|_| 0.997),
    }
}

fn locks(verdict: &Verdict) -> Vec<Lock> {
    // Time lost is in seconds wherever a finding has it.
    let number = |lock: &dbintel_evidence::Lock, number: Option<f64>| {
        let unit = if lock.name == LockName::LostTime { 1e3 } else { 1.0 };
        number.filter(|number| number.is_finite()).map(|number| number / unit)
    };
    let lock = |lock: &dbintel_evidence::Lock| Lock {
        name: Text::Static(lock.name.as_str()),
        value: number(lock, lock.value),
        threshold: number(lock, lock.threshold),
        passed: match lock.outcome {
            Outcome::Passed => Some(true),
            Outcome::Noted(found) => Some(found),
            Outcome::Capped(_) => Some(false),
            Outcome::NotAsked => None,
        },
        caps_at: match lock.outcome {
            Outcome::Capped(risk) => Some(category(risk)),
            _ => None,
        },
        sentence: words(verdict, lock).into(),
    };
    verdict.locks.iter().map(lock).collect()
}

/// A lock in words. The sentences of `evidence` say why one failed, and would say the contrary of one that holds.
fn words(verdict: &Verdict, lock: &dbintel_evidence::Lock) -> String {
    let name = lock.name.as_str().replace('_', " ");
    let number =
        |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), |value| format!("{value:.2}"));
    let numbers = format!("{} against {}", number(lock.value), number(lock.threshold));
    match lock.outcome {
        Outcome::Capped(_) => verdict.sentence(lock),
        Outcome::Passed | Outcome::Noted(true) => format!("The question of {name} holds: {numbers}."),
        Outcome::Noted(false) => {
            format!("The question of {name} does not hold, and nothing depends on it: {numbers}.")
        }
        Outcome::NotAsked => format!("The question of {name} was not asked: too little was seen."),
    }
}

fn charts(trial: &Trial, hours: &History<Hour>, clock: &mut BlockClock) -> Vec<Chart> {
    let seconds = clock.hours().block_seconds();
    let mut chart = |name: &'static str, unit: &'static str, value: fn(&super::sums::Sums) -> f64| {
        let mut point = |(place, sums): (i64, super::sums::Sums)| {
            let start = clock.hour_begins(place);
            let end = start.plus(std::time::Duration::from_secs_f64(seconds));
            ChartPoint { start, end, mean: Some(value(&sums) / sums.calls), p10: None, p90: None }
        };
        let before = trial.before.iter().map(&mut point).collect();
        let after = hours.iter().filter(|(place, _)| *place >= trial.hour).map(&mut point).collect();
        Chart { name: name.into(), unit: unit.into(), before, after }
    };
    vec![
        chart("time_per_call", "ms", |sums| sums.total_ms),
        chart("work_per_call", "{block}", |sums| sums.work),
    ]
}

fn summary(statement: &Statement, trial: &Trial, verdict: &Verdict) -> String {
    let numbers = &verdict.numbers;
    let number = |value: Option<f64>, digits: usize| {
        value.map_or_else(|| "?".to_owned(), |value| format!("{value:.digits$}"))
    };
    let since = match &trial.flip {
        Some(_) => format!("since its plan changed at {}", trial.at),
        None => format!("since {}, without a known change of plan", trial.at),
    };
    format!(
        "Query {} takes {} ms per call instead of {} ms {since}: at least {} times as long, at {} times the work.",
        statement.about.key.query_id,
        number(numbers.mean_after_ms, 2),
        number(numbers.mean_before_ms, 2),
        number(numbers.ratio.map(|ratio| ratio.low), 2),
        number(numbers.work_ratio, 2),
    )
}

fn worth(verdict: &Verdict) -> String {
    let lost = verdict.numbers.lost_ms_per_day;
    lost.map_or_else(
        || "What is lost per day is not known.".to_owned(),
        |lost| {
            let minutes = |millis: f64| millis / 60_000.0;
            format!(
                "At least {:.1} minutes are lost per day, about {:.1}.",
                minutes(lost.low),
                minutes(lost.estimate)
            )
        },
    )
}

/// How the verdict itself may be wrong.
fn modes(verdict: &Verdict, trial: &Trial) -> Vec<Text> {
    let mut modes = verdict.sentences();
    if trial.flip.as_ref().is_some_and(|flip| flip.was_seen_before) {
        modes.push("The new plan was seen before the old one as well: it may alternate.".to_owned());
    }
    if verdict.conclusion == Conclusion::CpuBound {
        modes.push("Nothing measures processor time per statement here; it is what is left.".to_owned());
    }
    modes.into_iter().map(Text::from).collect()
}

/// What nobody judged is among the hours that are held to be usual.
fn given_up(trial: &Trial, statement: &Statement, clock: &mut BlockClock) -> Option<Text> {
    let (first, _) = trial.before.span()?;
    let given_up = statement.given_up().filter(|of| of.at() >= clock.hour_begins(first))?;
    Some(
        format!("{}: what happened then was not judged, and is among the hours before.", given_up.said())
            .into(),
    )
}

/// What is said of a table whose statistics were stale when a plan changed, or refreshed only after most of it had changed.
pub(super) fn stale(
    finding: &mut Finding,
    kind: ChangeKind,
    (modified, rows, share): (f64, f64, f64),
    table: &str,
) {
    let is_refreshed = kind == ChangeKind::Analyze;
    let share_percent = share * 100.0;
    finding.summary = if is_refreshed {
        format!(
            "{table} was analysed only after {modified:.0} rows had changed, {share_percent:.0} % of the {rows:.0} it has; a plan got \
             slower with the new statistics."
        )
    } else {
        format!(
            "{modified:.0} rows of {table} have changed since its last analysis, {share_percent:.0} % of the {rows:.0} its statistics \
             know of; a plan got slower with them."
        )
    }
    .into();
    let add = |name, value, unit, source, detail: &'static str| {
        Evidence::new(name, Some(value), unit, source, detail)
    };
    finding.evidence = vec![
        add(
            "modified_since_analyze",
            modified,
            "{row}",
            Source::Measured,
            if is_refreshed { "n_mod_since_analyze before the analysis" } else { "n_mod_since_analyze" },
        ),
        add(
            "rows",
            rows,
            "{row}",
            Source::Measured,
            if is_refreshed { "reltuples after the analysis" } else { "reltuples" },
        ),
        add("share", share, "1", Source::Computed, "modified_since_analyze / rows"),
    ];
}

/// What is said of a statement that goes back and forth between plans.
pub(super) fn flapping(finding: &mut Finding, statement: &Statement, changes: u32, limit: u32) {
    finding.summary = format!(
        "Query {} was seen with another plan than before {changes} times within two days.",
        statement.about.key.query_id
    )
    .into();
    finding.evidence = vec![
        Evidence::new(
            "changes",
            Some(changes.into()),
            "{change}",
            Source::Measured,
            "today and the day before",
        ),
        Evidence::new(
            "limit",
            Some(limit.into()),
            "{change}",
            Source::Configured,
            "flapping_changes_per_day",
        ),
    ];
    finding.failure_modes.push(
        "Plans that are right for different parameters alternate without harm; see whether time per call alternates as well.".into(),
    );
}
