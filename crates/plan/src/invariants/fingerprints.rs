//! What fingerprints promise for every plan: what they do not depend on, and what makes another one.

use std::borrow::Cow;

use crate::{
    Budget,
    form::{form, numbers},
    parse_postgresql, parse_sql_server,
    tree::{Estimates, Node, Operator, Plan},
};

/// A name that is in no plan that was read.
const OTHER_NAME: &str = "zq_other_zq";

/// Checks the fingerprints of any bytes as a plan of either engine.
///
/// # Panics
///
/// If a promise is broken.
pub fn check(bytes: &[u8]) {
    let parsed = parse_postgresql(bytes, &mut Budget::unlimited());
    check_plan(&parsed.plan);
    if parsed.problems.is_empty() {
        check_form(bytes, &parsed.plan);
    }
    check_plan(&parse_sql_server(bytes, &mut Budget::unlimited()).plan);
}

/// Bytes of the same form are the same plan.
fn check_form(bytes: &[u8], plan: &Plan<'_>) {
    for number in [b"0".as_slice(), b"-7.25", b"31e2"] {
        let (mut other, mut taken) = (Vec::with_capacity(bytes.len()), 0);
        numbers(bytes, |start, end| {
            other.extend_from_slice(bytes.get(taken..start).unwrap_or_default());
            other.extend_from_slice(number);
            taken = end;
        });
        other.extend_from_slice(bytes.get(taken..).unwrap_or_default());
        assert_eq!(form(&other), form(bytes), "the form has numbers");
        let parsed = parse_postgresql(&other, &mut Budget::unlimited());
        if parsed.problems.is_empty() {
            assert_eq!(parsed.plan.fingerprints(), plan.fingerprints(), "plans of one form differ");
        }
    }
}

fn check_plan(plan: &Plan<'_>) {
    let before = plan.fingerprints();
    let mut grown = plan.clone();
    grown.nodes.iter_mut().for_each(forget_numbers);
    assert_eq!(grown.fingerprints(), before, "numbers count");
    // Partitions of one table are one relation, whatever their names.
    if plan.nodes().iter().any(|node| matches!(node.operator, Operator::Append | Operator::MergeAppend)) {
        return;
    }
    for node in plan.nodes() {
        if let Some(other) = renamed(plan, node.relation.name.as_deref(), |node| &mut node.relation.name) {
            let after = other.fingerprints();
            let counts = after.shape != before.shape && after.exact != before.exact;
            assert!(counts, "a relation does not count: {}", plan.render());
        }
        if let Some(other) = renamed(plan, node.index.as_deref(), |node| &mut node.index) {
            let after = other.fingerprints();
            assert_eq!(after.shape, before.shape, "an index is part of the shape");
            assert!(after.exact != before.exact, "an index does not count: {}", plan.render());
        }
    }
}

/// The plan with another name wherever it has this one; `None` if there is nothing to rename.
fn renamed<'a>(
    plan: &Plan<'a>,
    name: Option<&str>,
    place: impl for<'n> Fn(&'n mut Node<'a>) -> &'n mut Option<Cow<'a, str>>,
) -> Option<Plan<'a>> {
    let name = name.filter(|name| !name.is_empty() && !name.contains(OTHER_NAME))?;
    let mut other = plan.clone();
    for node in &mut other.nodes {
        let held = place(node);
        if held.as_deref() == Some(name) {
            *held = Some(Cow::Borrowed(OTHER_NAME));
        }
    }
    Some(other)
}

/// What the same plan has on other data, under other load, on a larger machine.
fn forget_numbers(node: &mut Node<'_>) {
    node.estimates = Estimates::default();
    node.actuals = None;
    node.rows_removed_by_filter = None;
    node.rows_removed_by_join_filter = None;
    node.rows_removed_by_recheck = None;
    node.workers_planned = None;
    node.workers_launched = None;
    node.workers.clear();
    node.buffers = None;
    node.wal = None;
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");

    #[test]
    fn numbers_do_not_count_and_names_do() {
        let mut plans = 0;
        for file in ["plan-fingerprints.jsonl", "plan-fingerprints-edited.jsonl"] {
            let vectors = std::fs::read_to_string(format!("{DATA}/{file}")).unwrap();
            for vector in vectors.lines() {
                let vector: serde_json::Value = serde_json::from_str(vector).unwrap();
                for side in ["left", "right"] {
                    check(vector[side].to_string().as_bytes());
                    plans += 1;
                }
            }
        }
        for file in std::fs::read_dir(format!("{DATA}/showplan")).unwrap() {
            check(&std::fs::read(file.unwrap().path()).unwrap());
            plans += 1;
        }
        assert!(plans > 100, "{plans}");
    }
}
