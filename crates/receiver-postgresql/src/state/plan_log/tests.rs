use std::borrow::Cow;

use dbintel_model::QueryKey;
use dbintel_plan::log::LogRecord;

use super::*;

const TEXT: &str = "SELECT * FROM t WHERE a = 'canary'";

fn candidate(query_id: i64, user: &'static str, text: &str) -> Candidate {
    let key = QueryKey {
        system: "postgresql",
        database: "app".into(),
        database_id: 5,
        user: user.into(),
        user_id: 10,
        query_id,
        toplevel: None,
    };
    Candidate { key, text: Some(Arc::new(query_text(text, false))) }
}

fn round() -> LogRound {
    LogRound::of(vec![
        candidate(7, "web", "SELECT * FROM t WHERE a = $1"),
        candidate(8, "web", "SELECT b FROM u"),
        candidate(7, "batch", "SELECT * FROM t WHERE a = $1"),
    ])
}

fn plan(text: &str, node: &str, own: Option<i64>) -> String {
    let own = own.map_or_else(String::new, |id| format!(",\n  \"Query Identifier\": {id}"));
    format!(
        "duration: 0.020 ms  plan:\n{{\n  \"Query Text\": \"{text}\",\n  \"Plan\": {{\n    \"Node Type\": \"{node}\",\n    \
         \"Relation Name\": \"t\"\n  }}{own}\n}}"
    )
}

fn record(message: String, query_id: i64) -> LogRecord<'static> {
    LogRecord {
        user: Some("web".into()),
        database: Some("app".into()),
        query_id: Some(query_id).filter(|id| *id != 0),
        message: Cow::Owned(message),
        time_micros: Some(1_000_000),
        ..LogRecord::default()
    }
}

/// What becomes of one record.
fn fate(record: &LogRecord<'_>) -> Option<Fate> {
    let mut round = round();
    round.take(record);
    assert!(round.fates.len() <= 1);
    round.fates.into_keys().next()
}

#[test]
fn a_plan_is_of_the_statement_that_its_line_and_its_text_name() {
    let mut round = round();
    round.take(&record(plan(TEXT, "Seq Scan", None), 7));
    let found = round.found.first().unwrap();
    assert_eq!((found.candidate.key.query_id, &*found.candidate.key.user), (7, "web"));
    // It was logged when it had taken 20 µs: a change that came meanwhile came after this plan.
    assert_eq!((found.identity, found.at), (PlanIdentity::Proven, Some(Timestamp::from_micros(999_980))));
    assert!(!String::from_utf8_lossy(&found.raw).contains("canary"));
    // One of several statements.
    let several = format!("BEGIN; {TEXT}; COMMIT");
    assert_eq!(fate(&record(plan(&several, "Seq Scan", None), 7)), Some(Fate::Taken));
    // The line names what the session runs now, the plan is of what it ran before.
    assert_eq!(fate(&record(plan(TEXT, "Seq Scan", None), 8)), Some(Fate::OtherStatement));
}

#[test]
fn the_identifier_in_a_plan_is_stronger_than_that_of_its_line() {
    let mut round = round();
    let mut within = record(plan("anything", "Seq Scan", Some(7)), 8);
    within.has_context = true;
    round.take(&within);
    assert_eq!(round.found.first().unwrap().candidate.key.query_id, 7);
    let mut within = record(plan(TEXT, "Seq Scan", None), 7);
    within.has_context = true;
    assert_eq!(fate(&within), Some(Fate::WithinFunction));
}

#[test]
fn what_cannot_be_told_to_a_statement_says_why() {
    let whole = || record(plan(TEXT, "Seq Scan", None), 7);
    assert_eq!(fate(&record(plan(TEXT, "Seq Scan", None), 0)), Some(Fate::NoIdentifier));
    assert_eq!(fate(&LogRecord { user: None, ..whole() }), Some(Fate::NoIdentifier));
    assert_eq!(fate(&LogRecord { user: Some("dba".into()), ..whole() }), Some(Fate::UnknownStatement));
    assert_eq!(fate(&LogRecord { database: Some("b".into()), ..whole() }), Some(Fate::UnknownStatement));
    let message = |message: &'static str| LogRecord { message: message.into(), ..whole() };
    assert_eq!(fate(&message("duration: 1 ms  plan:\nQuery Text: x")), Some(Fate::OtherFormat));
    assert_eq!(fate(&message("duration: 1 ms  plan:\n{")), Some(Fate::Unreadable));
    let without_nodes =
        "duration: 1 ms  plan:\n{\"Query Text\": \"SELECT * FROM t WHERE a = 1\", \"Plan\": {]}";
    assert_eq!(fate(&message(without_nodes)), Some(Fate::Unreadable));
    assert_eq!(fate(&message("statement: SELECT 1")), None);
    let mut round = round();
    assert!(!round.is_all(Fate::OtherFormat));
    round.take(&message("duration: 1 ms  plan:\nQuery Text: x"));
    assert!(round.is_all(Fate::OtherFormat));
    round.take(&whole());
    assert!(!round.is_all(Fate::OtherFormat));
}

#[test]
fn the_same_plan_is_kept_once_and_of_different_ones_a_few() {
    let mut round = round();
    let nodes = ["Seq Scan", "Index Scan", "Bitmap Heap Scan", "Index Only Scan", "Tid Scan", "Sample Scan"];
    for node in nodes {
        for _ in 0..3 {
            round.take(&record(plan(TEXT, node, None), 7));
        }
    }
    let count = |fate| round.fates.get(&fate).copied().unwrap_or(0);
    assert_eq!(count(Fate::Taken), MAX_PLANS_PER_STATEMENT as u64);
    assert_eq!(count(Fate::Repeated), 2 * MAX_PLANS_PER_STATEMENT as u64);
    assert_eq!(count(Fate::LimitReached), 3 * (nodes.len() - MAX_PLANS_PER_STATEMENT) as u64);
    assert_eq!(round.found.len(), MAX_PLANS_PER_STATEMENT);
}

#[test]
fn a_round_is_bounded() {
    let statements =
        (0..2 * MAX_PLANS as i64).map(|id| candidate(id + 1, "web", "SELECT * FROM t WHERE a = $1"));
    let mut round = LogRound::of(statements.collect());
    for id in 0..2 * MAX_PLANS as i64 {
        round.take(&record(plan(TEXT, "Seq Scan", None), id + 1));
    }
    assert_eq!(round.found.len(), MAX_PLANS);
    let filter = "x".repeat(MAX_PLAN_BYTES / 4);
    let statements = (1..=9).map(|id| candidate(id, "web", "SELECT * FROM t WHERE a = $1")).collect();
    let mut round = LogRound::of(statements);
    for id in 1..=9 {
        round.take(&record(plan(TEXT, &format!("Seq Scan\", \"Filter\": \"{filter}"), None), id));
    }
    assert_eq!(round.found.len(), 3);
    assert_eq!(round.fates[&Fate::LimitReached], 6);
}

#[test]
fn fates_are_documented() {
    let docs = include_str!("../../../../../docs/plans.md");
    for fate in Fate::ALL {
        let row = format!("| `{}` | {} |", fate.as_str(), fate.description());
        assert!(docs.contains(&row), "docs/plans.md lacks: {row}");
    }
}
