//! What is done to one event: texts cleaned and cut, values replaced.

use std::sync::Arc;

use dbintel_model::{Labels, QueryKey, QueryText, Record, Session, Text, Value};

use super::cardinality::{Cardinality, Limits, OVERFLOW, text_hash};
use super::detectors::Detectors;
use super::texts::{Seen, Texts, clean_text, cut};

/// Texts of a record, and room for the rest: with each cut to a share of it, every record fits, but for lists.
pub(super) const TEXTS_PER_RECORD: usize = 16;

/// Whether an attribute of a metric point is longer than a text may be.
pub(super) fn has_long_label(labels: &Labels, max_bytes: usize) -> bool {
    let mut attributes = labels.resource.iter().chain(&labels.point);
    attributes.any(|attribute| matches!(&attribute.value, Value::Text(text) if text.len() > max_bytes))
}

/// Masks and cuts the texts of an event.
pub(super) fn clean(record: &mut Record, texts: &mut Texts, detectors: Detectors, max_bytes: usize) -> Seen {
    let mut seen = Seen::default();
    if let Some(text) = shared_text(record)
        && let Some(mut found) = texts.look(text, detectors, max_bytes)
    {
        *text = found.instead.take().unwrap_or_else(|| Arc::clone(text));
        seen = found;
    }
    for_each_text(record, &mut |text| clean_text(text, detectors, max_bytes, &mut seen));
    // A plan cut in the middle would be none. Its own bound is `plan_extractor.max_event_plan_bytes`.
    if let Record::QueryPlan(plan) = record
        && let Some(json) = &mut plan.json
    {
        clean_text(json, detectors, usize::MAX, &mut seen);
    }
    seen
}

/// Replaces values beyond the limit of their attribute.
pub(super) fn limit_values(
    record: &mut Record,
    database: &str,
    values: &mut Cardinality,
    limits: &Limits<'_>,
) {
    let mut limit = |key: &str, text: &mut Text| {
        if !values.admits(limits, database, key, text_hash(text)) {
            *text = Text::Static(OVERFLOW);
        }
    };
    match record {
        Record::Query(query) => limit_key(&mut query.key, &mut limit),
        Record::QueryPlan(plan) => limit_key(&mut plan.key, &mut limit),
        Record::PlanChange(change) => limit_key(&mut change.key, &mut limit),
        Record::PlanSensitivity(sensitivity) => limit_key(&mut sensitivity.key, &mut limit),
        Record::Session(session) => limit_session(session, &mut limit),
        Record::Change(change) => change.database.iter_mut().for_each(|text| limit("db.namespace", text)),
        Record::Gap(gap) => gap.database.iter_mut().for_each(|text| limit("db.namespace", text)),
        // Findings are few by their own caps, and one that does not say which statement it is of is of no use.
        Record::Metric(_) | Record::Plan(_) | Record::NoPlan(_) | Record::Finding(_) => {}
    }
    if let Some(text) = shared_text(record)
        && let Some(summary) = &text.summary
        && !values.admits(limits, database, "db.query.summary", text_hash(summary))
    {
        *text = Arc::new(QueryText { summary: Some(OVERFLOW.into()), ..QueryText::clone(text) });
    }
}

fn limit_key(key: &mut QueryKey, limit: &mut impl FnMut(&str, &mut Text)) {
    limit("db.namespace", &mut key.database);
    limit("postgresql.rolname", &mut key.user);
}

fn limit_session(session: &mut Session, limit: &mut impl FnMut(&str, &mut Text)) {
    let texts = [
        ("db.namespace", &mut session.database),
        ("user.name", &mut session.user),
        ("postgresql.application_name", &mut session.application),
        ("network.peer.address", &mut session.client_address),
        ("postgresql.client_hostname", &mut session.client_hostname),
    ];
    let relation = session.blocking.as_mut().map(|blocking| &mut blocking.lock_relation);
    let relation = relation.map(|relation| ("postgresql.blocking.lock.relation", relation));
    for (key, text) in texts.into_iter().chain(relation) {
        if let Some(text) = text {
            limit(key, text);
        }
    }
}

/// Cuts every text of a record that is too large. Says whether anything was cut.
pub(super) fn shrink(record: &mut Record, max_bytes: usize) -> bool {
    let mut any = remove_plan(record);
    if let Some(text) = shared_text(record) {
        let short = |text: &Option<Arc<str>>| text.as_deref().is_none_or(|text| text.len() <= max_bytes);
        if !short(&text.masked) || !short(&text.summary) {
            let shorten = |text: &Option<Arc<str>>| {
                text.clone()
                    .map(|text| if text.len() > max_bytes { cut(&text, max_bytes).into() } else { text })
            };
            *text = Arc::new(QueryText {
                masked: shorten(&text.masked),
                summary: shorten(&text.summary),
                truncated: true,
                ..**text
            });
            any = true;
        }
    }
    let mut shorten = |text: &mut Text| {
        if text.len() > max_bytes {
            *text = cut(text, max_bytes).into();
            any = true;
        }
    };
    for_each_text(record, &mut shorten);
    any | remove_scripts(record, max_bytes)
}

/// Takes the text out of a statement, and the plan out of the event of a plan, and marks them as cut. Says whether there
/// was anything to take.
pub(super) fn remove_text(record: &mut Record) -> bool {
    let had_plan = remove_plan(record);
    if matches!(record, Record::Session(_)) {
        return false;
    }
    let text = shared_text(record).filter(|text| text.masked.is_some());
    let had_text = text.is_some();
    if let Some(text) = text {
        *text = Arc::new(QueryText { masked: None, truncated: true, ..QueryText::clone(text) });
    }
    had_plan || had_text
}

/// Takes a redacted plan out of its event.
fn remove_plan(record: &mut Record) -> bool {
    let Record::QueryPlan(plan) = record else { return false };
    plan.truncated |= plan.json.is_some();
    plan.json.take().is_some()
}

/// Takes the scripts that are too long out of a finding: a script that is cut would do something else. The store has them.
fn remove_scripts(record: &mut Record, max_bytes: usize) -> bool {
    let Record::Finding(event) = record else { return false };
    let scripts = &mut event.finding.scripts;
    let mut any = false;
    for script in [&mut scripts.forward, &mut scripts.rollback, &mut scripts.check] {
        any |= script.take_if(|script| script.len() > max_bytes).is_some();
    }
    any
}

fn shared_text(record: &mut Record) -> Option<&mut Arc<QueryText>> {
    match record {
        Record::Query(query) => query.text.as_mut(),
        Record::Session(session) => session.text.as_mut(),
        Record::Plan(plan) => plan.text.as_mut(),
        Record::NoPlan(plan) => plan.text.as_mut(),
        Record::QueryPlan(plan) => plan.text.as_mut(),
        Record::PlanChange(change) => change.text.as_mut(),
        Record::PlanSensitivity(sensitivity) => sensitivity.text.as_mut(),
        Record::Metric(_) | Record::Change(_) | Record::Gap(_) | Record::Finding(_) => None,
    }
}

/// Every text of a record that somebody wrote freely.
fn for_each_text(record: &mut Record, visit: &mut impl FnMut(&mut Text)) {
    match record {
        Record::Metric(_)
        | Record::Query(_)
        | Record::Plan(_)
        | Record::NoPlan(_)
        | Record::PlanSensitivity(_) => {}
        Record::Session(session) => {
            session.application.iter_mut().chain(&mut session.client_hostname).for_each(visit);
        }
        Record::Change(change) => {
            let texts = [&mut change.subject, &mut change.before, &mut change.after];
            texts.into_iter().flatten().for_each(&mut *visit);
            for fact in &mut change.facts {
                if let Value::Text(text) = &mut fact.value {
                    visit(text);
                }
            }
        }
        Record::Gap(gap) => visit(&mut gap.detail),
        Record::QueryPlan(plan) => {
            [&mut plan.summary, &mut plan.findings].into_iter().for_each(visit);
        }
        Record::PlanChange(change) => {
            visit(&mut change.difference);
            change.causes.iter_mut().for_each(|cause| visit(&mut cause.description));
        }
        Record::Finding(event) => event.finding.for_each_text(visit),
    }
}
