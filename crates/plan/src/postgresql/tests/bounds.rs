//! Named bounds and any bytes.

use proptest::prelude::*;

use super::{parse, redact};
use crate::{
    Budget, MAX_PLAN_BYTES, MAX_PLAN_DEPTH, MAX_PLAN_NODES, MAX_PROBLEMS, MAX_SETTINGS, MAX_TRIGGERS,
    MAX_UNKNOWN_KEYS, ProblemKind, invariants, parse_postgresql, redact_postgresql,
};

fn nested(depth: usize) -> String {
    let mut json = "[{\"Plan\": ".to_owned();
    for _ in 0..depth {
        json.push_str("{\"Node Type\": \"Limit\", \"Plans\": [");
    }
    for _ in 0..depth {
        json.push_str("]}");
    }
    json + "}]"
}

#[test]
fn depth() {
    assert_eq!(parse(&nested(MAX_PLAN_DEPTH)).plan.nodes().len(), MAX_PLAN_DEPTH);
    assert!(parse(&nested(MAX_PLAN_DEPTH)).problems.is_empty());
    let deeper = nested(MAX_PLAN_DEPTH + 1);
    let parsed = parse(&deeper);
    assert!(parsed.problems.contains(ProblemKind::TooDeep));
    assert_eq!(parsed.plan.nodes().len(), MAX_PLAN_DEPTH);
    invariants::check(deeper.as_bytes());
    invariants::check(nested(20_000).as_bytes());
    let brackets = "[".repeat(1_000_000);
    assert!(
        redact_postgresql(brackets.as_bytes(), &mut Budget::unlimited())
            .problems
            .contains(ProblemKind::TooDeep)
    );
}

#[test]
fn nodes() {
    let children = vec!["{\"Node Type\": \"Result\"}"; MAX_PLAN_NODES].join(",");
    let json = format!("[{{\"Plan\": {{\"Node Type\": \"Append\", \"Plans\": [{children}]}}}}]");
    let parsed = parse(&json);
    assert!(parsed.problems.contains(ProblemKind::TooManyNodes));
    assert_eq!(parsed.plan.nodes().len(), MAX_PLAN_NODES);
    assert_eq!(parsed.plan.children(Default::default()).count(), MAX_PLAN_NODES - 1);
    assert!(parsed.plan.render().len() < crate::MAX_RENDERED_BYTES + 100);
}

#[test]
fn bytes() {
    let long = format!("[{{\"Plan\": {{\"Node Type\": \"Result\"}}}}]{}", " ".repeat(MAX_PLAN_BYTES));
    let parsed = parse_postgresql(long.as_bytes(), &mut Budget::unlimited());
    assert!(parsed.problems.contains(ProblemKind::TooLong) && parsed.plan.nodes().is_empty());
    assert_eq!(redact(&long), "null");
}

#[test]
fn problems_and_unknown_keys() {
    let members: Vec<String> = (0..100).map(|n| format!("\"key {n}\": {n}")).collect();
    let json = format!("[{{\"Plan\": {{\"Node Type\": \"Result\", {}}}}}]", members.join(","));
    let problems = parse(&json).problems;
    assert_eq!(problems.list().len(), MAX_PROBLEMS);
    assert_eq!(problems.not_listed() as usize, 100 - MAX_PROBLEMS);
    assert_eq!(problems.unknown_keys().len(), MAX_UNKNOWN_KEYS);
    assert_eq!(problems.unknown_keys_not_listed() as usize, 100 - MAX_UNKNOWN_KEYS);
}

#[test]
fn settings_and_triggers() {
    let settings: Vec<String> = (0..=MAX_SETTINGS).map(|n| format!("\"s{n}\": \"on\"")).collect();
    let triggers = vec!["{\"Trigger Name\": \"t\", \"Calls\": 1}"; MAX_TRIGGERS + 1].join(",");
    let json = format!(
        "[{{\"Plan\": {{\"Node Type\": \"Result\"}}, \"Settings\": {{{}}}, \"Triggers\": [{triggers}]}}]",
        settings.join(",")
    );
    let parsed = parse(&json);
    assert_eq!((parsed.plan.settings.len(), parsed.plan.triggers.len()), (MAX_SETTINGS, MAX_TRIGGERS));
    assert!(parsed.problems.contains(ProblemKind::TooManySettings));
    assert!(parsed.problems.contains(ProblemKind::TooManyTriggers));
}

#[test]
fn a_budget_ends_the_work() {
    let json = nested(100);
    let mut budget = Budget::steps(50);
    let parsed = parse_postgresql(json.as_bytes(), &mut budget);
    assert!(parsed.problems.contains(ProblemKind::BudgetExhausted));
    assert!((5..50).contains(&parsed.plan.nodes().len()), "{}", parsed.plan.nodes().len());
    assert_eq!(budget.steps_left(), 0);
    let mut ample = Budget::steps(10_000);
    assert!(parse_postgresql(json.as_bytes(), &mut ample).problems.is_empty());
    assert!(ample.steps_left() > 9_000);
}

proptest! {
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        invariants::check(&bytes);
    }

    #[test]
    fn any_text_that_looks_like_a_plan(pieces in proptest::collection::vec(piece(), 0..60)) {
        invariants::check(pieces.concat().as_bytes());
    }

    #[test]
    fn a_plan_with_something_cut_out(from in 0_usize..400, length in 0_usize..40) {
        let json = r#"[{"Plan": {"Node Type": "Append", "Plan Rows": 1, "Plans": [{"Node Type": "Seq Scan", "Parent Relationship": "Member",
            "Alias": "o_1", "Relation Name": "orders_1", "Filter": "(a = 'x'::text)"}, {"Node Type": "Index Scan", "Parent Relationship":
            "Member", "Alias": "o_2", "Relation Name": "orders_2", "Index Cond": "(o_2.a = ANY ('{1,2}'::int[]))"}]}, "Settings": {"jit": "on"}}]"#;
        let from = from.min(json.len());
        let to = (from + length).min(json.len());
        invariants::check([&json.as_bytes()[..from], &json.as_bytes()[to..]].concat().as_slice());
    }

    #[test]
    fn any_expression(text in "[ a-c'\"$?.:,()\\[\\]=<>+*/0-9E{}\\\\-]{0,30}") {
        invariants::check_literals(&text);
    }

    #[test]
    fn any_expression_of_any_characters(text in any::<String>()) {
        invariants::check_literals(&text);
    }
}

fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "{",
        "}",
        ",",
        ":",
        "\"Plan\"",
        "\"Plans\"",
        "\"Plans\":[{",
        "\"Node Type\":\"Append\"",
        "\"Node Type\":\"Seq Scan\"",
        "\"Workers\":[{",
        "\"Settings\"",
        "\"Filter\":\"(a = 1)\"",
        "\"Alias\":\"t_1\"",
        "\"Relation Name\":\"t_p1\"",
        "\"Grouping Sets\":[{\"Group Keys\":[[\"a\"]]}]",
        "\"Plan Rows\":3",
        "\"Output\"",
        "\"x\"",
        "1",
        "true",
        "null",
        "\"\\u0041\"",
        "\"Sort Key\":[\"a\"]",
        "\"Subplans Removed\":2",
        "\"JIT\":{",
        "\"Timing\":{",
        "\"Generation\"",
        "[{\"Plan\":{",
    ])
}
