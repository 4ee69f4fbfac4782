//! What reading, redaction and fingerprints of plans promise for every input, as checks that panic. The tests here and
//! the fuzz targets share them.

pub mod fingerprints;
pub mod showplan;

use crate::{
    Budget, MAX_DIFF_LINE_BYTES, MAX_DIFF_LINES, MAX_FINDINGS, MAX_PLAN_DEPTH, MAX_PLAN_NODES, MAX_PROBLEMS,
    MAX_RENDERED_BYTES, MAX_SUMMARY_FILTERS, MAX_SUMMARY_SCANS, Parsed, ProblemKind, diff, parse_postgresql,
    redact_postgresql,
    sql::{DEFAULT_MAX_TEXT_BYTES, mask_expression, pieces},
    tree::Plan,
};

/// A text that no fuzzer writes by itself, put into places where it must not come out.
const SECRET: &str = "zqSECRETqz";

/// The last line of a cut rendering, and a node that is a little longer than usual.
const LAST_LINE_BYTES: usize = 64;

/// Checks everything that is promised for any bytes whatsoever.
///
/// # Panics
///
/// If a promise is broken.
pub fn check(bytes: &[u8]) {
    let parsed = parse_postgresql(bytes, &mut Budget::unlimited());
    check_tree(&parsed);
    check_views(&parsed.plan);
    check_budgets(bytes);
    check_redaction(bytes, &parsed);
}

/// Checks that literals in the expressions and texts of a plan do not come out. `text` becomes a part of each.
///
/// # Panics
///
/// If one does.
pub fn check_literals(text: &str) {
    let mut masked = String::new();
    mask_expression(text, &mut masked);
    check_masked(text, &masked);
    if masked.contains(SECRET) || text.contains(SECRET) {
        return;
    }
    for literal in
        [format!("'{SECRET}'"), format!("E'\\'{SECRET}'"), format!("$q${SECRET}$q$"), format!("'{SECRET}")]
    {
        let expression = quoted(&format!("{masked} {literal}"));
        let secret = quoted(SECRET);
        let json = format!(
            r#"{{"Query Text": {}, "Query Parameters": {secret}, "Settings": {{"work_mem": {secret}, {secret}: "on"}},
            {secret}: {secret}, "Plan": {{"Node Type": "Seq Scan", "Filter": {expression}, "Sort Key": [{expression}],
            "Grouping Sets": [{{"Group Keys": [[{expression}], []]}}], "Plan Rows": {secret}, "Join Type": {secret},
            "Foreign File": {secret}, "Plans": [{secret}, [{secret}]], "Output": {{"a": {secret}}}}}}}"#,
            quoted(&format!("SELECT * FROM t WHERE {literal}")),
        );
        let redacted = redact_postgresql(json.as_bytes(), &mut Budget::unlimited());
        assert!(!redacted.json.contains(SECRET), "a literal leaked: {json}\n{}", redacted.json);
        let plan = parse_postgresql(json.as_bytes(), &mut Budget::unlimited()).plan;
        assert!(!plan.render().contains(SECRET), "a literal leaked: {json}\n{}", plan.render());
        let nothing = Plan::default();
        let difference = diff(&nothing, &plan);
        assert!(!difference.join("\n").contains(SECRET), "a literal leaked: {json}\n{difference:?}");
    }
}

/// A masked expression masks to itself and has the pieces of the original.
fn check_masked(text: &str, masked: &str) {
    let mut again = String::new();
    mask_expression(masked, &mut again);
    assert_eq!(again, masked, "not stable: {text:?}");
    assert!(!masked.contains('\n'), "more than one line: {text:?}");
    let kinds = |text| pieces(text).map(|piece| piece.kind).collect::<Vec<_>>();
    assert_eq!(kinds(text), kinds(masked), "{text:?} became {masked:?}");
}

fn check_tree(parsed: &Parsed<'_>) {
    let nodes = parsed.plan.nodes();
    assert!(nodes.len() <= MAX_PLAN_NODES);
    assert!(parsed.problems.list().len() <= MAX_PROBLEMS);
    assert_eq!(
        nodes.is_empty(),
        parsed.problems.contains(ProblemKind::NoPlan) || parsed.problems.not_listed() > 0 && nodes.is_empty()
    );
    for (id, node) in parsed.plan.ids().zip(nodes) {
        assert!((node.depth as usize) < MAX_PLAN_DEPTH);
        assert_eq!(node.parent.is_none(), id.index() == 0, "only the root has no parent");
        for child in parsed.plan.children(id) {
            let child = &parsed.plan.nodes().get(child.index());
            assert_eq!(child.and_then(|child| child.parent), Some(id));
            assert_eq!(child.map(|child| child.depth), Some(node.depth + 1));
        }
    }
    let reached =
        parsed.plan.root().map_or(0, |_| parsed.plan.subtree(crate::tree::NodeId::default()).count());
    assert_eq!(reached, nodes.len(), "every node is below the root");
}

/// Everything that is made of a plan is bounded and depends on nothing but the plan.
fn check_views(plan: &Plan<'_>) {
    let summary = plan.summary();
    assert!(summary.scans.len() <= MAX_SUMMARY_SCANS);
    assert!(summary.wasteful_filters.len() <= MAX_SUMMARY_FILTERS);
    assert!(summary.findings.len() <= MAX_FINDINGS);
    let rendered = plan.render();
    assert!(rendered.len() <= MAX_RENDERED_BYTES + LAST_LINE_BYTES);
    let owned = plan.clone().into_owned();
    assert_eq!(owned.fingerprints(), plan.fingerprints());
    assert_eq!(diff(plan, &owned), Vec::<String>::new());
    let all = diff(&Plan::default(), plan);
    assert!(all.len() <= MAX_DIFF_LINES && all.iter().all(|line| line.len() <= MAX_DIFF_LINE_BYTES));
}

/// A budget ends the work where it runs out, and what was read before is the beginning of the same plan.
fn check_budgets(bytes: &[u8]) {
    for steps in [0, 1, 10, 100] {
        let mut budget = Budget::steps(steps);
        let parsed = parse_postgresql(bytes, &mut budget);
        assert!(budget.steps_left() <= steps);
        check_tree(&parsed);
        let redacted = redact_postgresql(bytes, &mut Budget::steps(steps));
        check_is_json(&redacted.json);
    }
}

fn check_redaction(bytes: &[u8], parsed: &Parsed<'_>) {
    let redacted = redact_postgresql(bytes, &mut Budget::unlimited());
    check_is_json(&redacted.json);
    // A text of a statement that is cut within a list, or before the next statement, is masked further when it is read
    // again. Every byte that is no character becomes one of three bytes.
    if bytes.len().saturating_mul(3) < DEFAULT_MAX_TEXT_BYTES {
        let again = redact_postgresql(redacted.json.as_bytes(), &mut Budget::unlimited());
        assert_eq!(again.json, redacted.json, "redaction is not stable");
    }
    let reparsed = parse_postgresql(redacted.json.as_bytes(), &mut Budget::unlimited());
    if parsed.problems.is_empty() {
        assert_eq!(reparsed.plan.nodes().len(), parsed.plan.nodes().len());
    }
}

/// What redaction writes can be read to its end.
fn check_is_json(json: &str) {
    let mut budget = Budget::unlimited();
    let mut reader = crate::json::Reader::new(json, &mut budget);
    let read = reader.value().and_then(|value| skip_all(&mut reader, &value));
    assert!(read.is_ok() && reader.is_at_end(), "not JSON: {json}");
}

/// Reads past a value of any depth.
fn skip_all<'a>(
    reader: &mut crate::json::Reader<'a, '_>,
    value: &crate::json::Value<'a>,
) -> Result<(), crate::json::Stop> {
    use crate::json::Value;
    let mut open = vec![value.clone()];
    while let Some(container) = open.last() {
        let more = match container {
            Value::Object => reader.member()?.is_some(),
            Value::Array => reader.element()?,
            _ => false,
        };
        if !more {
            open.pop();
            continue;
        }
        let value = reader.value()?;
        if matches!(value, Value::Object | Value::Array) {
            open.push(value);
        }
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    let mut json = String::new();
    crate::json::write_string(text, &mut json);
    json
}
