//! What is read from which member.

use super::{parse, plan};
use crate::{
    ProblemKind,
    tree::{ConditionKind, JoinType, NodeId, Operator, Relationship, Scalar, ScanDirection},
};

/// As auto_explain of version 17 logs it, shortened.
const MEASURED: &str = r#"{
  "Query Text": "SELECT * FROM orders o JOIN customers c ON c.id = o.customer_id",
  "Query Parameters": "$1 = 'bob'",
  "Query Identifier": -6162216190157836487,
  "Plan": {
    "Node Type": "Gather", "Parallel Aware": false, "Async Capable": false,
    "Startup Cost": 1.5, "Total Cost": 250.25, "Plan Rows": 100, "Plan Width": 8,
    "Actual Startup Time": 0.5, "Actual Total Time": 12.5, "Actual Rows": 90, "Actual Loops": 1,
    "Workers Planned": 2, "Workers Launched": 1, "Single Copy": false,
    "Shared Hit Blocks": 10, "Shared Read Blocks": 3, "Temp Written Blocks": 7, "Shared I/O Read Time": 1.25,
    "WAL Records": 4, "WAL Bytes": 400,
    "Plans": [
      {
        "Node Type": "Hash Join", "Parent Relationship": "Outer", "Join Type": "Left", "Inner Unique": true,
        "Hash Cond": "(o.customer_id = c.id)", "Rows Removed by Join Filter": 5,
        "Workers": [{"Worker Number": 0, "Actual Rows": 45, "Actual Loops": 1, "Shared Hit Blocks": 2, "Sort Method": "quicksort",
          "JIT": {"Functions": 1}}],
        "Plans": [
          {"Node Type": "Index Scan", "Parent Relationship": "Outer", "Scan Direction": "Backward", "Index Name": "o_idx",
            "Relation Name": "orders", "Schema": "public", "Alias": "o", "Output": ["o.id", "o.note"]},
          {"Node Type": "Hash", "Parent Relationship": "Inner", "Hash Batches": 4, "Plans": [
            {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "customers", "Alias": "c",
              "Filter": "(region = 'eu'::text)", "Rows Removed by Filter": 12}]}
        ]
      }
    ]
  },
  "Settings": {"work_mem": "64kB"},
  "Planning": {"Shared Hit Blocks": 8, "Memory Used": 20, "Memory Allocated": 32},
  "Planning Time": 0.25,
  "Triggers": [{"Trigger Name": "t", "Constraint Name": "fk", "Relation": "orders", "Time": 1.5, "Calls": 3}],
  "JIT": {"Functions": 5, "Options": {"Inlining": true, "Optimization": false, "Expressions": true, "Deforming": true},
    "Timing": {"Generation": {"Deform": 0.1, "Total": 0.4}, "Inlining": 1, "Optimization": 2, "Emission": 3, "Total": 6.4}},
  "Serialization": {"Time": 0.5, "Output Volume": 12, "Format": "text"},
  "Execution Time": 13.5
}"#;

#[test]
fn the_statement_is_read() {
    let parsed = parse(MEASURED);
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
    let plan = parsed.plan;
    assert!(plan.query_text.as_deref().unwrap().starts_with("SELECT"));
    assert_eq!(plan.query_identifier, Some(-6162216190157836487));
    assert_eq!(plan.oldest_version, Some(17));
    assert_eq!(plan.settings, [("work_mem".into(), "64kB".into())]);
    assert_eq!((plan.planning_time_ms, plan.execution_time_ms), (Some(0.25), Some(13.5)));
    assert_eq!(plan.planning_buffers.unwrap().shared_hit, 8.0);
    assert_eq!(plan.planning_memory_used_kib, Some(20.0));
    assert_eq!(plan.triggers[0].calls, Some(3.0));
    assert_eq!(plan.triggers[0].constraint.as_deref(), Some("fk"));
    assert_eq!(plan.serialization.unwrap().output_kib, Some(12.0));
    let jit = plan.jit.unwrap();
    assert_eq!(
        (jit.functions, jit.generation_ms, jit.deform_ms, jit.total_ms),
        (5.0, Some(0.4), Some(0.1), Some(6.4))
    );
    assert_eq!((jit.inlining, jit.optimization, jit.emission_ms), (true, false, Some(3.0)));
}

#[test]
fn the_nodes_are_read() {
    let plan = parse(MEASURED).plan;
    let [gather, join, orders, hash, customers] = plan.nodes() else { panic!("{:?}", plan.nodes()) };
    assert_eq!((gather.operator, gather.relationship), (Operator::Gather, Relationship::Root));
    assert_eq!((gather.workers_planned, gather.workers_launched), (Some(2), Some(1)));
    assert_eq!(gather.estimates.total_cost, Some(250.25));
    assert_eq!(gather.actuals.unwrap().rows, 90.0);
    assert_eq!(gather.buffers.as_ref().unwrap().temp_written, 7.0);
    assert_eq!(gather.buffers.as_ref().unwrap().shared_read_ms, Some(1.25));
    assert_eq!(gather.wal.as_ref().unwrap().bytes, 400.0);
    assert_eq!(gather.extra("Single Copy"), Some(&Scalar::Bool(false)));
    assert_eq!((join.join_type, join.inner_unique), (Some(JoinType::Left), Some(true)));
    assert_eq!(join.rows_removed_by_join_filter, Some(5.0));
    assert_eq!(join.workers[0].actuals.unwrap().rows, 45.0);
    assert_eq!(join.workers[0].buffers.as_ref().unwrap().shared_hit, 2.0);
    assert_eq!(orders.scan_direction, Some(ScanDirection::Backward));
    assert_eq!((orders.index.as_deref(), orders.relation.schema.as_deref()), (Some("o_idx"), Some("public")));
    assert_eq!(orders.conditions_of(ConditionKind::Output).collect::<Vec<_>>(), ["o.id", "o.note"]);
    assert_eq!((hash.extra_number("Hash Batches"), hash.relationship), (Some(4.0), Relationship::Inner));
    assert_eq!((customers.depth, customers.rows_removed_by_filter), (3, Some(12.0)));
    assert_eq!(plan.children(plan.ids().nth(1).unwrap()).map(NodeId::index).collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn grouping_sets_and_sort_groups_are_read() {
    let plan = plan(
        r#"[{"Plan": {"Node Type": "Aggregate", "Strategy": "Mixed", "Partial Mode": "Simple",
        "Grouping Sets": [{"Hash Keys": [["a", "b"], []]}, {"Sort Key": ["c"], "Group Keys": [["c"]]}],
        "Full-sort Groups": {"Group Count": 3, "Sort Methods Used": ["quicksort"],
          "Sort Space Disk": {"Average Sort Space Used": 25, "Peak Sort Space Used": 30}}}}]"#,
    );
    let node = plan.root().unwrap();
    assert_eq!(node.conditions_of(ConditionKind::GroupingSet).collect::<Vec<_>>(), ["a, b", "", "c"]);
    assert_eq!(node.conditions_of(ConditionKind::SortKey).collect::<Vec<_>>(), ["c"]);
    assert_eq!(node.partial_mode, None);
    let peak = node.extras.iter().find(|extra| extra.name == "Peak Sort Space Used").unwrap();
    assert_eq!(peak.group, Some("Sort Space Disk"));
    assert_eq!(plan.summary().sorts.spilled_kib, 30.0);
}

#[test]
fn members_may_stand_after_the_children() {
    let plan = plan(
        r#"[{"Plan": {"Plans": [{"Node Type": "Result"}, {"Node Type": "Limit"}], "Node Type": "Append", "Plan Rows": 3}}]"#,
    );
    assert_eq!(plan.nodes().len(), 3);
    assert_eq!(plan.root().unwrap().estimates.rows, Some(3.0));
}

#[test]
fn unknown_members_are_counted_by_name_and_left_out() {
    let parsed = parse(
        r#"[{"Plan": {"Node Type": "Seq Scan", "New": 1, "Plans": [{"Node Type": "Result", "New": {"a": [1, {}]}, "x'y": 2}]}}]"#,
    );
    let counts: Vec<_> = parsed.problems.unknown_keys().iter().map(|key| (&*key.name, key.count)).collect();
    assert_eq!(counts, [("New", 2), ("other", 1)]);
    assert_eq!(parsed.plan.nodes().len(), 2);
}

#[test]
fn what_is_odd_is_told() {
    let cases = [
        ("", ProblemKind::CutShort),
        ("nonsense", ProblemKind::Malformed),
        ("[]", ProblemKind::NoPlan),
        ("7", ProblemKind::UnexpectedType),
        (r#"[{"Plan": {"Node Type": "Seq Scan"}}] x"#, ProblemKind::TrailingBytes),
        (r#"[{"Plan": {"Node Type": "Seq Scan", "Plans": [{"#, ProblemKind::CutShort),
        (r#"[{"Plan": {"Node Type": "Quantum Scan"}}]"#, ProblemKind::UnknownOperator),
        (r#"[{"Plan": {"Plan Rows": 3}}]"#, ProblemKind::UnknownOperator),
        (r#"[{"Plan": {"Node Type": "Seq Scan", "Plan Rows": "3"}}]"#, ProblemKind::UnexpectedType),
        (r#"[{"Plan": {"Node Type": "Seq Scan", "Plan Rows": 1e999}}]"#, ProblemKind::UnexpectedType),
        (
            r#"[{"Plan": {"Node Type": "Seq Scan"}}, {"Plan": {"Node Type": "Seq Scan"}}]"#,
            ProblemKind::SeveralPlans,
        ),
    ];
    for (json, kind) in cases {
        let problems = parse(json).problems;
        assert!(problems.contains(kind), "{json}: {problems:?}");
    }
    let invalid = crate::parse_postgresql(
        b"[{\"Plan\": {\"Node Type\": \"Seq Scan\", \"Alias\": \"\xff\"}}]",
        &mut crate::Budget::unlimited(),
    );
    assert!(invalid.problems.contains(ProblemKind::InvalidUtf8));
    assert_eq!(invalid.plan.root().unwrap().relation.alias.as_deref(), Some("\u{fffd}"));
}

#[test]
fn what_was_read_before_the_text_breaks_off_is_kept() {
    let cut = MEASURED.find("\"Hash Batches\"").unwrap();
    let parsed = parse(&MEASURED[..cut]);
    assert_eq!(parsed.plan.nodes().len(), 4);
    assert_eq!(parsed.plan.children(Default::default()).count(), 1);
    assert!(parsed.problems.contains(ProblemKind::CutShort));
}
