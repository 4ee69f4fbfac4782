//! Plans as text, and what changed between two of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, which clippy sees only in functions marked as such"
)]

use dbintel_plan::{Budget, MAX_DIFF_LINE_BYTES, MAX_DIFF_LINES, diff, parse_postgresql, tree::Plan};

fn plan(json: &str) -> Plan<'_> {
    let parsed = parse_postgresql(json.as_bytes(), &mut Budget::unlimited());
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
    parsed.plan
}

const HASHED: &str = r#"[{"Plan": {"Node Type": "Hash Join", "Join Type": "Inner", "Total Cost": 100, "Plan Rows": 5,
  "Hash Cond": "(o.customer_id = c.id)", "Plans": [
    {"Node Type": "Index Scan", "Parent Relationship": "Outer", "Scan Direction": "Backward", "Relation Name": "orders", "Schema": "public",
      "Alias": "o", "Index Name": "orders_at_idx", "Index Cond": "(at > 'zqSECRETqz'::date)", "Total Cost": 80, "Plan Rows": 50},
    {"Node Type": "Hash", "Parent Relationship": "Inner", "Total Cost": 10, "Plan Rows": 3, "Plans": [
      {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "customers", "Alias": "c", "Total Cost": 10,
        "Filter": "(name = 'zqSECRETqz'::text)"}]}]}}]"#;

const NESTED: &str = r#"[{"Plan": {"Node Type": "Limit", "Plans": [{"Node Type": "Sort", "Sort Key": ["o.at DESC"], "Parent Relationship": "Outer", "Plans": [
  {"Node Type": "Nested Loop", "Join Type": "Inner", "Parent Relationship": "Outer", "Plans": [
    {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "customers", "Alias": "c"},
    {"Node Type": "Bitmap Heap Scan", "Parent Relationship": "Inner", "Relation Name": "orders", "Alias": "o", "Plans": [
      {"Node Type": "Bitmap Index Scan", "Parent Relationship": "Outer", "Index Name": "orders_customer_idx", "Index Cond": "(customer_id = c.id)"}]}]}]}]}}]"#;

#[test]
fn a_plan_as_text() {
    let expected = "\
Hash Join  cost 100  rows 5  << 10 % of cost
    hash condition: (o.customer_id = c.id)
  -> Index Scan Backward using orders_at_idx on public.orders o  cost 80  rows 50  << 80 % of cost
      index condition: (at > ?::date)
  -> Hash  cost 10  rows 3
    -> Seq Scan on customers c  cost 10  << 10 % of cost
        filter: (name = ?::text)
";
    assert_eq!(plan(HASHED).render(), expected);
}

#[test]
fn a_measured_plan_as_text() {
    let json = r#"[{"Plan": {"Node Type": "Nested Loop", "Join Type": "Left", "Actual Rows": 2, "Actual Loops": 1, "Actual Total Time": 10, "Plans": [
      {"Node Type": "Values Scan", "Alias": "*VALUES*", "Parallel Aware": true, "Actual Rows": 1.5, "Actual Loops": 2, "Actual Total Time": 4.5},
      {"Node Type": "Aggregate", "Strategy": "Hashed", "Partial Mode": "Finalize", "Group Key": ["a", "b"], "Subplan Name": "SubPlan 1", "Actual Rows": 0, "Actual Loops": 0}]}}]"#;
    let expected = "\
Nested Loop Left  actual rows 2  10 ms  << 10 % of time
  -> Parallel Values Scan on *VALUES*  actual rows 1.5  loops 2  9 ms  << 90 % of time
  -> [SubPlan 1] Finalize Hashed Aggregate  never executed
      group key: a, b
";
    assert_eq!(plan(json).render(), expected);
}

#[test]
fn what_changed() {
    let lines = diff(&plan(HASHED), &plan(NESTED));
    let expected = [
        "orders: Index Scan Backward using orders_at_idx by ( at > ? ) -> Bitmap Heap Scan and Bitmap Index Scan using orders_customer_idx by ( customer_id = customers . id )",
        "join of customers, orders: Hash Join Inner of (orders) with (customers) on ( orders . customer_id = customers . id ) -> Nested Loop Inner of (customers) with (orders)",
        "sorting and grouping: new: Sort by orders . at DESC",
        "other steps: new: Limit",
    ];
    assert_eq!(lines, expected);
    assert_eq!(diff(&plan(HASHED), &plan(HASHED)), [""; 0]);
}

#[test]
fn differences_are_bounded() {
    let scans: Vec<String> = (0..200)
        .map(|n| format!(r#"{{"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "t{n}{}", "Alias": "t{n}"}}"#, "y".repeat(n)))
        .collect();
    let json = format!(r#"[{{"Plan": {{"Node Type": "Result", "Plans": [{}]}}}}]"#, scans.join(","));
    let lines = diff(&Plan::default(), &plan(&json));
    assert_eq!(lines.len(), MAX_DIFF_LINES);
    assert!(lines.iter().all(|line| line.len() <= MAX_DIFF_LINE_BYTES));
    assert_eq!(lines.last().unwrap(), "... and 178 more changes");
}
