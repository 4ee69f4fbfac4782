//! The test vectors of plan fingerprints: pairs of plans that must have equal fingerprints and pairs that must not, and
//! the values themselves, so that the definition in `docs/plan-fingerprint.md` cannot change unnoticed.
//!
//! `plan-fingerprints.jsonl` comes from real servers (`receiver-postgresql/tests/plan_vectors.rs` writes it);
//! `plan-fingerprints-edited.jsonl` was edited by hand, because no server at hand writes such plans.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, which clippy sees only in functions marked as such"
)]

use dbintel_plan::{Budget, Fingerprints, diff, parse_postgresql, redact_postgresql};
use serde_json::Value;

/// The fewest pairs of each kind.
const MIN_PAIRS: usize = 50;

const MEASURED: &str = include_str!("data/plan-fingerprints.jsonl");
const EDITED: &str = include_str!("data/plan-fingerprints-edited.jsonl");

fn vectors(file: &'static str) -> impl Iterator<Item = Value> {
    file.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
}

fn fingerprints(plan: &Value) -> Fingerprints {
    parse_postgresql(plan.to_string().as_bytes(), &mut Budget::unlimited()).plan.fingerprints()
}

#[test]
fn pairs_are_equal_or_differ_as_they_must() {
    let (mut equal, mut different) = (0, 0);
    for vector in vectors(MEASURED).chain(vectors(EDITED)) {
        let (left, right) = (fingerprints(&vector["left"]), fingerprints(&vector["right"]));
        let name = &vector["name"];
        match vector["expect"].as_str().unwrap() {
            "equal" => assert_eq!(left, right, "{name}"),
            "same shape" => {
                assert_eq!(left.shape, right.shape, "{name}");
                assert_ne!(left.exact, right.exact, "{name}");
            }
            _ => {
                assert_ne!(left.shape, right.shape, "{name}");
                assert_ne!(left.exact, right.exact, "{name}");
            }
        }
        if left == right { equal += 1 } else { different += 1 }
    }
    println!("{equal} pairs are equal, {different} differ");
    assert!(equal >= MIN_PAIRS && different >= MIN_PAIRS, "{equal} {different}");
}

#[test]
fn the_definition_has_not_changed() {
    for vector in vectors(MEASURED) {
        let left = fingerprints(&vector["left"]);
        assert_eq!(vector["shape"], left.shape.to_string(), "{}", vector["name"]);
        assert_eq!(vector["exact"], left.exact.to_string(), "{}", vector["name"]);
        assert_eq!(left.exact.to_string().parse(), Ok(left.exact));
    }
}

#[test]
fn redaction_keeps_fingerprints_and_all_that_viewers_need() {
    for vector in vectors(MEASURED) {
        let redacted = redact_postgresql(vector["left"].to_string().as_bytes(), &mut Budget::unlimited());
        assert!(redacted.problems.is_empty(), "{}: {:?}", vector["name"], redacted.problems);
        let json: Value = serde_json::from_str(&redacted.json).unwrap();
        assert_eq!(fingerprints(&json), fingerprints(&vector["left"]), "{}", vector["name"]);
        same_structure(&json, &vector["left"]);
    }
}

/// Every member and element is there, with the type it had.
fn same_structure(redacted: &Value, original: &Value) {
    match (redacted, original) {
        (Value::Object(redacted), Value::Object(original)) => {
            assert_eq!(redacted.keys().collect::<Vec<_>>(), original.keys().collect::<Vec<_>>());
            redacted.iter().for_each(|(key, value)| same_structure(value, &original[key]));
        }
        (Value::Array(redacted), Value::Array(original)) => {
            assert_eq!(redacted.len(), original.len());
            redacted.iter().zip(original).for_each(|(redacted, original)| same_structure(redacted, original));
        }
        (Value::String(_), Value::String(_)) => {}
        (redacted, original) => assert_eq!(redacted, original),
    }
}

#[test]
fn a_difference_is_named_where_shapes_differ_and_only_where_plans_do() {
    for vector in vectors(MEASURED) {
        let (left, right) = (vector["left"].to_string(), vector["right"].to_string());
        let left = parse_postgresql(left.as_bytes(), &mut Budget::unlimited()).plan;
        let right = parse_postgresql(right.as_bytes(), &mut Budget::unlimited()).plan;
        let lines = diff(&left, &right);
        match vector["expect"].as_str().unwrap() {
            "equal" => assert_eq!(lines, Vec::<String>::new(), "{}", vector["name"]),
            _ => assert!(!lines.is_empty(), "{}\n{}\n{}", vector["name"], left.render(), right.render()),
        }
    }
}
