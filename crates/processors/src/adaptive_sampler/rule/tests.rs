//! How values are compared, and which rule is found.

use dbintel_model::{Attribute, Blocking, Session};
use proptest::prelude::*;

use super::super::config::{Condition, Rate};
use super::*;

fn literal(json: &str) -> Literal {
    serde_json::from_str(json).unwrap()
}

fn test(operator: Operator, value: &str) -> Test {
    Test::try_new(operator, Some(&literal(value))).unwrap()
}

#[test]
fn values_are_compared_as_promised() {
    use Operator::*;
    use ValueRef::{Bool, Double, Int, Text};
    let check = |value, operator, with, expect| {
        assert_eq!(test(operator, with).holds(value), expect, "{value:?} {operator:?} {with}");
    };
    check(Text("Lock"), Eq, r#""Lock""#, true);
    check(Text("lock"), Eq, r#""Lock""#, false);
    check(Text("42"), Eq, "42", true);
    check(Text("42.0"), Eq, "42", false);
    check(Text("-8423906781932849876"), Eq, "-8423906781932849876", true);
    check(Int(9_007_199_254_740_993), Eq, "9007199254740992", false);
    check(Int(42), Eq, r#""42""#, true);
    check(Int(42), Eq, "42.0", true);
    check(Double(0.5), Eq, "0.5", true);
    check(Bool(true), Eq, "true", true);
    check(Bool(true), Eq, r#""true""#, true);
    check(Bool(true), Eq, "1", false);
    check(Text("Lock"), Ne, r#""IO""#, true);
    check(Text("Lock"), Ne, r#""Lock""#, false);
    check(Double(2_000.0), Gte, "2000", true);
    check(Double(2_000.0), Gt, "2000", false);
    check(Double(1_999.9), Lt, r#""2000""#, true);
    check(Int(2_000), Lte, "2000", true);
    check(Int(2_001), Lte, "2000", false);
    check(Text("3000"), Gt, "2000", false);
    check(Double(f64::NAN), Gt, "0", false);
    check(Double(f64::NAN), Ne, "0", true);
    check(Text("idle in transaction (aborted)"), Contains, r#""transaction""#, true);
    check(Int(12), Contains, "1", false);
    check(Text("billing-3"), Regex, r#""^billing-\\d+$""#, true);
    check(Text("rebilling-3"), Regex, r#""^billing-\\d+$""#, false);
    check(Int(3), Regex, r#""3""#, false);
    check(Text(""), Exists, "true", true);
    check(Text("x"), Exists, "false", false);
}

#[test]
fn a_pattern_looks_at_a_bounded_part_of_a_text_and_never_splits_a_character() {
    let pattern = test(Operator::Regex, r#""end$|é$""#);
    let with = |filling: usize, end: &str| format!("{}{end}", "x".repeat(filling));
    assert!(pattern.holds(ValueRef::Text(&with(HAYSTACK_BYTES_MAX - 3, "end"))));
    assert!(!pattern.holds(ValueRef::Text(&with(HAYSTACK_BYTES_MAX - 2, "end"))));
    assert!(!pattern.holds(ValueRef::Text(&with(HAYSTACK_BYTES_MAX - 1, "é"))));
}

proptest! {
    /// A pattern that backtracking engines choke on takes linear time here, and no text makes it panic.
    #[test]
    fn patterns_are_harmless(text in prop::collection::vec(any::<char>(), 0..5_000)) {
        let text: String = text.into_iter().chain("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".chars()).collect();
        test(Operator::Regex, r#""(a+)+$|(a|aa)+b""#).holds(ValueRef::Text(&text));
    }
}

fn rule(name: &'static str, conditions: &[(&'static str, Operator, &str)]) -> Rule {
    let conditions = conditions.iter().map(|(attribute, operator, value)| Condition {
        attribute: (*attribute).into(),
        test: test(*operator, value),
    });
    let conditions = conditions.collect();
    Rule { name: name.into(), critical: false, rate: Rate::Adaptive, max_per_minute: None, conditions }
}

#[test]
fn the_first_rule_with_all_conditions_fulfilled_is_found() {
    let rules = [
        rule("blocked", &[("postgresql.blocking.pids", Operator::Exists, "true")]),
        rule(
            "orders_slow",
            &[
                ("db.namespace", Operator::Eq, r#""orders""#),
                ("postgresql.total_exec_time", Operator::Gt, "1000"),
                ("postgresql.wait_event", Operator::Exists, "false"),
            ],
        ),
        rule("not_orders", &[("db.namespace", Operator::Ne, r#""orders""#)]),
        rule("tagged", &[("team", Operator::Eq, r#""payments""#)]),
    ];
    let mut matcher = Matcher::new(&rules);
    let server = |team: &'static str| Server {
        receiver: "postgresql".into(),
        system: "postgresql".into(),
        address: "localhost".into(),
        port: 5432,
        resource: vec![Attribute::new("team", team)],
    };
    matcher.begin(&server("search"));
    let mut check = |session: Session, expect: usize| {
        let record = Record::Session(Box::new(session));
        assert_eq!(matcher.first_match(&record), expect, "{record:?}");
    };
    let orders = |running_ms: f64| Session {
        database: Some("orders".into()),
        running_ms: Some(running_ms),
        ..Session::default()
    };
    check(orders(1_001.0), 1);
    check(orders(1_000.0), 4);
    check(Session { wait_event: Some("ClientRead".into()), ..orders(1_001.0) }, 4);
    let blocked = Some(Box::new(Blocking { pids: vec![7], ..Blocking::default() }));
    check(Session { blocking: blocked, ..orders(1_001.0) }, 0);
    check(Session { database: Some("billing".into()), ..Session::default() }, 2);
    // An absent database is not another database.
    check(Session::default(), 4);
    matcher.begin(&server("payments"));
    assert_eq!(matcher.first_match(&Record::Session(Box::default())), 3);
}

#[test]
fn without_rules_none_matches_and_without_conditions_all_do() {
    let record = Record::Session(Box::default());
    assert_eq!(Matcher::new(&[]).first_match(&record), 0);
    assert_eq!(Matcher::new(&[rule("all", &[])]).first_match(&record), 0);
}
