//! What may be the cause, the most probable first.
//!
//! All of it happened in the time in which the plan changed, or is what was measured since; none of it is proven. The score is for the order
//! only. What can be undone by itself comes before what cannot, and what names an object before what is general.

use std::time::Duration;

use dbintel_evidence::{Conclusion, Verdict, Waited, Waits};
use dbintel_model::finding::Cause;
use dbintel_model::{ChangeKind, PlanCause, Text, Timestamp};

use super::events::{Event, Events};
use super::statement::About;
use super::trial::{Flip, Trial};

/// A table that grew by this factor between two analyses may have made the planner choose anew.
const GROWTH_MIN: f64 = 1.5;
/// The rest of the server got slower by this factor: load.
const LOAD_MIN: f64 = 1.2;
/// Calls an hour rose by this factor: concurrency.
const CALLS_RISE_MIN: f64 = 2.0;
/// How long after the new plan was obtained a reading may show what it was made from.
const NOTICED_WITHIN: Duration = Duration::from_secs(3_600);
/// Statistics that were stale already while the old plan was seen explain less than anything that happened since, and more than the plan itself.
const STALE_BEFORE: f64 = 0.42;
/// For how many hours statistics are remembered as stale. An analysis while the collector was away is known from nothing.
const STALE_REMEMBERED_HOURS: u32 = 24;
/// Hours from a change of plan in which a load that brought it is noticed, and from the beginning of a step without one in which what may have
/// caused it is.
const NOTICED_HOURS: u32 = 2;
/// Changes that are named for such a step, at most.
const EVENTS_NAMED_MAX: usize = 8;

/// A cause with the change behind it, where it is known.
#[derive(Clone, Debug)]
pub(super) struct Ranked<'a> {
    pub(super) cause: Cause,
    pub(super) event: Option<&'a Event>,
}

/// What may be the cause, the most probable first.
pub(super) fn ranked<'a>(
    trial: &Trial,
    about: &About,
    verdict: &Verdict,
    events: &'a Events,
) -> Vec<Ranked<'a>> {
    let mut all = of_the_plan(trial, about, verdict, events);
    if trial.flip.is_none() {
        happened_then(trial, about, verdict, events, &mut all);
    }
    forget_what_was_analysed(events, &mut all);
    measured_since(verdict, &mut all);
    sort(&mut all);
    all
}

/// The same, of the change of plan alone, where there was one.
pub(super) fn of_the_plan<'a>(
    trial: &Trial,
    about: &About,
    verdict: &Verdict,
    events: &'a Events,
) -> Vec<Ranked<'a>> {
    let mut all = Vec::new();
    if let Some(flip) = &trial.flip {
        told_with_the_plan(flip, about, trial.at, events, &mut all);
        stale_then(flip, about, (trial.at, hour(verdict)), events, &mut all);
        all.push(plan_itself(flip, trial.at));
    }
    sort(&mut all);
    all
}

/// A stable order: the receiver's own comes first among equals.
fn sort(all: &mut [Ranked<'_>]) {
    all.sort_by(|a, b| b.cause.score.unwrap_or(0.0).total_cmp(&a.cause.score.unwrap_or(0.0)));
}

/// An hour, as long as it lasts where time is accelerated.
fn hour(verdict: &Verdict) -> Duration {
    Duration::from_secs_f64(3_600.0 / verdict.scale.acceleration().factor())
}

/// How well a kind of change explains another plan.
fn weight(kind: &str) -> f64 {
    match kind {
        "ddl" => 0.9,
        "setting" | "plan_setting" => 0.85,
        "analyze" => 0.8,
        "statistics_stale" => 0.78,
        "table_rewrite" => 0.75,
        "version" => 0.7,
        "extension" => 0.65,
        "growth" => 0.6,
        "failover" => 0.5,
        "vacuum" => 0.45,
        "restart" => 0.3,
        _ => 0.2,
    }
}

fn told_with_the_plan<'a>(
    flip: &Flip,
    about: &About,
    at: Timestamp,
    events: &'a Events,
    all: &mut Vec<Ranked<'a>>,
) {
    for told in &flip.causes {
        let is_it = |event: &&Event| {
            let subject = event.subject.as_deref();
            // The same setting of another database is told in the same words.
            event.kind.as_str() == told.kind.as_str()
                && event.is_of(&about.key)
                && subject.is_none_or(|subject| told.description.contains(subject))
        };
        // What is noticed at all is noticed after the plan, whose change waited for it.
        let said = |event: &&Event| is_it(event) && told.description.starts_with(&event.said());
        let noticed = events.between(flip.old_last_seen, at.plus(NOTICED_WITHIN)).find(said);
        let event = noticed.or_else(|| events.between(flip.old_last_seen, at).find(is_it));
        let cause = Cause {
            kind: told.kind.clone(),
            at: event.map(|event| event.at),
            object: event.and_then(|event| event.subject.clone()),
            score: Some(weight(&told.kind) + event.map_or(0.0, named_better) + taken_up(told, flip)),
            sentence: sentence(&told.description, " before the new plan was first seen"),
        };
        all.push(Ranked { cause, event });
        if let Some(event) = event {
            all.extend(growth(event, events));
        }
    }
}

/// Tables of the statement whose statistics were stale when it got another plan, as far as that is not told with the plan.
///
/// Rows are counted as modified when they are committed, and the planner sees that a table grows while it is loaded: such a change is noticed
/// after the plan that it brought. And a session keeps a plan that it has prepared, so that it can be the next session that gets another one, hours
/// after the load. What lies between the two plans was told with the change, or is of a table that neither of them has.
fn stale_then<'a>(
    flip: &Flip,
    about: &About,
    (first_seen, hour): (Timestamp, Duration),
    events: &'a Events,
    all: &mut Vec<Ranked<'a>>,
) {
    let Some(text) = about.text.as_deref() else { return };
    let since = Timestamp::from_nanos(
        first_seen
            .as_nanos()
            .saturating_sub(u64::try_from((hour * STALE_REMEMBERED_HOURS).as_nanos()).unwrap_or(u64::MAX)),
    );
    let stale = events
        .between(since, first_seen.plus(hour * NOTICED_HOURS))
        .filter(|event| event.kind == ChangeKind::StatisticsStale && event.is_of(&about.key))
        .filter(|event| event.at < flip.old_last_seen || event.at > first_seen)
        .filter(|event| event.is_table_of(text) && !events.is_analysed_between(event, first_seen));
    for event in stale {
        let is_it = |known: &Event| known.explains_statistics() && event.is_of_same_table(known);
        if all.iter().any(|known| known.event.is_some_and(is_it)) {
            continue;
        }
        let (score, when) = if event.at < flip.old_last_seen {
            (STALE_BEFORE, ", and the table was not analysed until the new plan was seen")
        } else {
            let when = ", soon after the new plan was first seen: a load counts when it is committed";
            (weight(event.kind.as_str()), when)
        };
        let how = event.after.as_deref().unwrap_or("most rows modified");
        let said = format!("{}: now {how}, noticed at {}", event.said(), event.at.to_rfc3339().as_str());
        let cause = Cause {
            kind: Text::Static(event.kind.as_str()),
            at: Some(event.at),
            object: event.subject.clone(),
            score: Some(score),
            sentence: sentence(&said, when),
        };
        all.push(Ranked { cause, event: Some(event) });
    }
}

/// A table that was analysed in the meantime is stale no more: that is said, and neither advised nor waited for.
fn forget_what_was_analysed(events: &Events, all: &mut [Ranked<'_>]) {
    for ranked in all {
        let stale = ranked.event.filter(|event| event.kind == ChangeKind::StatisticsStale);
        if stale.is_some_and(|event| events.is_analysed_between(event, Timestamp::from_nanos(u64::MAX))) {
            ranked.event = None;
            ranked.cause.sentence = format!("{} The table was analysed since.", ranked.cause.sentence).into();
        }
    }
}

/// Among changes of one kind: what takes a way away from the planner explains more than what gives it one.
fn named_better(event: &Event) -> f64 {
    if event.is_index("dropped") { 0.05 } else { 0.0 }
}

/// Among settings: the one that the plans themselves have taken up, told by who set it for whom.
fn taken_up(told: &PlanCause, flip: &Flip) -> f64 {
    let name = |cause: &PlanCause| cause.description.split(' ').nth(1).map(str::to_owned);
    let is_it = |of_plan: &PlanCause| &*of_plan.kind == "plan_setting" && name(of_plan) == name(told);
    if &*told.kind == "setting" && flip.causes.iter().any(is_it) { 0.02 } else { 0.0 }
}

fn growth<'a>(event: &'a Event, events: &Events) -> Option<Ranked<'a>> {
    let factor = events.growth(event).filter(|factor| *factor >= GROWTH_MIN)?;
    let table = event.subject.clone()?;
    let cause = Cause {
        kind: "growth".into(),
        at: Some(event.at),
        score: Some(weight("growth")),
        sentence: format!("{table} had {factor:.1} times as many rows as at the analysis before.").into(),
        object: Some(table),
    };
    Some(Ranked { cause, event: Some(event) })
}

fn plan_itself<'a>(flip: &Flip, at: Timestamp) -> Ranked<'a> {
    let level = if flip.old.shape == flip.new.shape {
        "another index, key or condition"
    } else {
        "other operators or another order of joins"
    };
    let first = flip.difference.lines().next().filter(|line| !line.is_empty());
    let detail = first.map_or_else(String::new, |line| format!(": {line}"));
    let cause = Cause {
        kind: "plan_change".into(),
        at: Some(at),
        object: None,
        score: Some(0.4),
        sentence: sentence(&format!("the new plan has {level}{detail}"), ""),
    };
    Ranked { cause, event: None }
}

/// Without a change of plan, what happened when it began may have a part in it, if it can reach the statement at all: the nearest first.
fn happened_then<'a>(
    trial: &Trial,
    about: &About,
    verdict: &Verdict,
    events: &'a Events,
    all: &mut Vec<Ranked<'a>>,
) {
    let hour = hour(verdict);
    // What happened late in an hour shows in the next one, and what is noticed at all is noticed after it happened.
    let before = trial.at.as_nanos().saturating_sub(u64::try_from(hour.as_nanos()).unwrap_or(u64::MAX));
    let (first, last) = (Timestamp::from_nanos(before), trial.at.plus(hour * NOTICED_HOURS));
    let reaches = |event: &&Event| event.kind != ChangeKind::StatisticsReset && event.is_of(&about.key);
    let mut near: Vec<&Event> = events.between(first, last).filter(reaches).collect();
    near.sort_by_key(|event| event.at.since(trial.at).max(trial.at.since(event.at)));
    for event in near.into_iter().take(EVENTS_NAMED_MAX) {
        // A view hides its tables, so what the statement does not name is told as well, after everything else.
        let is_named = event.may_be_named_in(about.text.as_deref());
        let share = if is_named { 0.5 } else { 0.2 };
        let cause = Cause {
            kind: Text::Static(event.kind.as_str()),
            at: Some(event.at),
            object: event.subject.clone(),
            score: Some(weight(event.kind.as_str()) * share),
            sentence: sentence(&event.said(), ", about when it began"),
        };
        all.push(Ranked { cause, event: Some(event) });
        all.extend(growth(event, events).filter(|_| is_named));
    }
}

fn measured_since<'a>(verdict: &Verdict, all: &mut Vec<Ranked<'a>>) {
    let mut push = |kind: &'static str, score: f64, sentence: String| {
        let cause = Cause {
            kind: kind.into(),
            at: None,
            object: None,
            score: Some(score),
            sentence: sentence.into(),
        };
        all.push(Ranked { cause, event: None });
    };
    let numbers = &verdict.numbers;
    let rose = |waited: &Waited| waited.waits(verdict.direction) == Waits::Rose;
    if let Some(Waited { before, since }) = numbers.waited.filter(rose) {
        let is_locks = since.waits.locks > since.waits.io;
        let (kind, what) = if is_locks { ("locks", "locks") } else { ("cache_and_io", "input and output") };
        push(
            kind,
            0.55,
            format!(
                "Most of the added time is waiting, mostly for {what}: by the sampled sessions, {:.2} of the {:.2} ms of a typical call \
                 before, {:.2} of {:.2} ms since.",
                before.waiting_ms(),
                before.call_ms,
                since.waiting_ms(),
                since.call_ms
            ),
        );
    }
    if let Some(ratio) = numbers.control_ratio.filter(|ratio| *ratio >= LOAD_MIN) {
        push(
            "load",
            0.3,
            format!(
                "The rest of the server is at {ratio:.2} times its usual time as well; that is divided out."
            ),
        );
    }
    let per_hour = |calls: f64, hours: f64| (hours > 0.0).then(|| calls / hours);
    let hours_before = numbers.same_hour_blocks as f64 * numbers.block_hours;
    let rates = per_hour(numbers.executions_before, hours_before)
        .zip(per_hour(numbers.executions_after, numbers.hours_after));
    if let Some((before, after)) =
        rates.filter(|(before, after)| *before > 0.0 && after / before >= CALLS_RISE_MIN)
    {
        push("concurrency", 0.35, format!("It is called {:.1} times as often as before.", after / before));
    }
    if verdict.conclusion == Conclusion::CpuBound {
        push("processor", 0.5, "Work per call is the same: the time is processor time.".to_owned());
    }
}

/// A sentence of words that began with a small letter.
fn sentence(text: &str, more: &str) -> Text {
    if let Some(rest) = text.strip_prefix("ddl ") {
        return format!("DDL: {rest}{more}.").into();
    }
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}{more}.", chars.as_str()).into()
}

#[cfg(test)]
mod tests;
