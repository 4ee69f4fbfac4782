//! What leaves and what does not.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::redact;
use crate::postgresql::key::{Key, Rule};

/// A text that is in no plan.
const CANARY: &str = "zqCANARYqz";

#[test]
fn conditions_keep_their_shape() {
    let cases = [
        ("(id = 42)", "(id = ?)"),
        ("(name = 'O''Neil'::text)", "(name = ?::text)"),
        ("((a.x)::numeric > 1.5e3)", "((a.x)::numeric > ?)"),
        ("(id = ANY ('{1,2,3}'::integer[]))", "(id = ANY (?::integer[]))"),
        ("(id = $1)", "(id = $1)"),
        ("(doc ? 'colour'::text)", "(doc ? ?::text)"),
        ("(a || E'\\'x' || $q$y$q$)", "(a || ? || ?)"),
        ("(\"Home Town\" IS NOT NULL)", "(\"Home Town\" IS NOT NULL)"),
        ("(a = 'never closed", "(a = ?"),
        ("(a = 1) /* for bob */", "(a = ?)"),
        ("(flag = true)", "(flag = true)"),
        ("a=5", "a= ?"),
        ("generate_series(1, 10)", "generate_series(?, ?)"),
    ];
    for (condition, expected) in cases {
        let plan = json!([{"Plan": {"Node Type": "Seq Scan", "Filter": condition}}]).to_string();
        let redacted: Value = serde_json::from_str(&redact(&plan)).unwrap();
        assert_eq!(redacted[0]["Plan"]["Filter"], *expected, "{condition}");
    }
}

#[test]
fn everything_else_is_copied_or_masked_by_what_it_is() {
    let plan = json!({
        "Query Text": "SELECT * FROM t WHERE name = 'bob'",
        "Query Parameters": "$1 = 'bob'",
        "Query Identifier": -5,
        "Plan": {
            "Node Type": "Foreign Scan", "Relation Name": "t", "Alias": "Odd \"Alias\"", "Plan Rows": 3.0,
            "Parallel Aware": false, "Output": ["a", "'bob'::text"], "Foreign File": "/home/bob/x", "Sort Method": "quicksort",
            "Join Type": "bob", "Plan Width": "bob", "Remote SQL": "SELECT a FROM t WHERE ((b = 'bob'))",
            "Grouping Sets": [{"Group Keys": [["a", "'bob'"], []]}], "Bob": "bob",
            "Workers": [{"Worker Number": 0, "Bob": 1}], "Plans": [{"Node Type": "Result"}],
        },
        "Settings": {"work_mem": "64kB", "search_path": "bob", "bob.setting": "bob", "jit": "bob's", "geqo": {"a": "bob"}},
    });
    let redacted: Value = serde_json::from_str(&redact(&plan.to_string())).unwrap();
    let expected = json!({
        "Query Text": "SELECT * FROM t WHERE name = ?",
        "Query Parameters": "?",
        "Query Identifier": -5,
        "Plan": {
            "Node Type": "Foreign Scan", "Relation Name": "t", "Alias": "Odd \"Alias\"", "Plan Rows": 3.0,
            "Parallel Aware": false, "Output": ["a", "?::text"], "Foreign File": "?", "Sort Method": "quicksort",
            "Join Type": "?", "Remote SQL": "SELECT a FROM t WHERE ((b = ?))",
            "Grouping Sets": [{"Group Keys": [["a", "?"], []]}],
            "Workers": [{"Worker Number": 0}], "Plans": [{"Node Type": "Result"}],
        },
        "Settings": {"work_mem": "64kB", "search_path": "?", "jit": "?"},
    });
    assert_eq!(redacted, expected);
}

#[test]
fn the_text_of_a_statement_that_may_not_leave_does_not() {
    assert_eq!(redact(r#"{"Query Text": "ALTER ROLE bob PASSWORD 'x'"}"#), r#"{"Query Text":"?"}"#);
}

#[test]
fn what_breaks_off_is_closed() {
    let cut = r#"[{"Plan": {"Node Type": "Append", "Plans": [{"Node Type": "Result", "Output": ["a", "b"#;
    assert_eq!(
        redact(cut),
        r#"[{"Plan":{"Node Type":"Append","Plans":[{"Node Type":"Result","Output":["a"]}]}}]"#
    );
    assert_eq!(redact(""), "null");
    assert_eq!(redact("\"zqCANARYqz\""), "null");
}

proptest! {
    /// Whatever the JSON, a literal is not in the output, and the output has the structure of the input.
    #[test]
    fn no_canary_survives_in_any_json(value in value(5)) {
        let redacted = redact(&value.to_string());
        prop_assert!(!redacted.contains(CANARY), "{value}\n{redacted}");
        let redacted: Value = serde_json::from_str(&redacted).unwrap();
        if value.is_object() || value.is_array() {
            prop_assert!(is_part_of(&redacted, &value), "{value}\n{redacted}");
        }
    }
}

/// Whether everything in `part` is in `whole` in the same place with the same type. Elements may be missing.
fn is_part_of(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(key, value)| whole.get(key).is_some_and(|whole| is_part_of(value, whole)))
        }
        (Value::Array(part), Value::Array(whole)) => {
            let mut rest = whole.iter();
            part.iter().all(|value| rest.any(|whole| is_part_of(value, whole)))
        }
        (Value::String(_), Value::String(_)) => true,
        (part, whole) => part == whole,
    }
}

/// JSON with the server's keys and others. The canary is everywhere but where identifiers belong: as it is, or as a
/// literal where an expression belongs.
fn value(depth: u32) -> BoxedStrategy<Value> {
    let plain = prop_oneof![
        Just(json!(CANARY)),
        Just(json!({CANARY: CANARY})),
        Just(json!([CANARY, 1])),
        Just(json!(7.5)),
        Just(json!(true)),
        Just(Value::Null),
    ];
    if depth == 0 {
        return plain.boxed();
    }
    let object = proptest::collection::vec(member(depth - 1), 0..6)
        .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>()));
    let array = proptest::collection::vec(value(depth - 1), 0..4).prop_map(Value::Array);
    prop_oneof![1 => plain, 4 => object, 2 => array].boxed()
}

fn member(depth: u32) -> impl Strategy<Value = (String, Value)> {
    let keys = [
        "Plan",
        "Plans",
        "Plan",
        "Plans",
        "Workers",
        "Query Text",
        "Query Parameters",
        "Settings",
        "Node Type",
        "Join Type",
        "Plan Rows",
        "Parallel Aware",
        "Filter",
        "Sort Key",
        "Output",
        "Group Keys",
        "Grouping Sets",
        "Generation",
        "JIT",
        "Foreign File",
        "Remote SQL",
        "Alias",
        "Function Name",
        "Triggers",
        "Subplan Name",
        "zqCANARYqz",
        "New Key",
        "work_mem",
    ];
    (prop::sample::select(keys.to_vec()), value(depth), 0..3).prop_map(|(key, value, form)| {
        let rule = Key::lookup(key).map(Key::rule);
        let value = match (rule, form) {
            (Some(Rule::Name), _) => json!("an identifier"),
            (Some(Rule::Expression), 0) => json!(format!("(a = '{CANARY}'::text)")),
            (Some(Rule::Expression), 1) => {
                json!([format!("f('{CANARY}', \"x\")"), [format!("$${CANARY}$$")], {CANARY: CANARY}])
            }
            (Some(Rule::Expression), _) => json!({CANARY: [CANARY]}),
            (Some(Rule::Statement), _) => json!(format!("SELECT '{CANARY}' -- {CANARY}")),
            (Some(Rule::Settings), 0) => {
                json!({"work_mem": format!("{CANARY}!"), CANARY: "on", "search_path": CANARY})
            }
            _ => value,
        };
        (key.to_owned(), value)
    })
}
