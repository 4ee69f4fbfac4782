//! Every rule, at what makes it apply and just below, and the counts of a summary.

use std::collections::BTreeSet;

use super::{PlanRule, Summary};
use crate::{Budget, parse_postgresql, tree::Operator};

fn summary(json: &str) -> Summary {
    let parsed = parse_postgresql(json.as_bytes(), &mut Budget::unlimited());
    assert!(parsed.problems.is_empty(), "{json}: {:?}", parsed.problems);
    parsed.plan.summary()
}

fn rules(json: &str) -> Vec<PlanRule> {
    summary(json).findings.iter().map(|finding| finding.rule).collect()
}

/// A plan of one measured node.
fn measured(node: &str, rest: &str) -> String {
    format!(r#"{{"Plan": {{"Actual Loops": 1, {node}}}, "Execution Time": 100{rest}}}"#)
}

/// A rule, a plan it applies to and one it does not.
fn cases() -> Vec<(PlanRule, String, String)> {
    let scan = |removed: u32| {
        measured(
            &format!(r#""Node Type": "Seq Scan", "Actual Rows": 10, "Rows Removed by Filter": {removed}"#),
            "",
        )
    };
    let index = |removed: u32| {
        measured(
            &format!(r#""Node Type": "Index Scan", "Actual Rows": 10, "Rows Removed by Filter": {removed}"#),
            "",
        )
    };
    let join = |removed: u32| {
        measured(
            &format!(
                r#""Node Type": "Hash Join", "Actual Rows": 10, "Rows Removed by Join Filter": {removed}"#
            ),
            "",
        )
    };
    let rows = |rows: u32| {
        measured(&format!(r#""Node Type": "Seq Scan", "Plan Rows": 1000, "Actual Rows": {rows}"#), "")
    };
    let sort = |space: &str| {
        measured(
            &format!(
                r#""Node Type": "Sort", "Actual Rows": 1, "Sort Space Used": 5, "Sort Space Type": "{space}""#
            ),
            "",
        )
    };
    let hash = |batches: u32| {
        measured(&format!(r#""Node Type": "Hash", "Actual Rows": 1, "Hash Batches": {batches}"#), "")
    };
    let repeated = |outer: u32, condition: &str| {
        format!(
            r#"{{"Plan": {{"Node Type": "Nested Loop", "Plan Rows": 20000 {condition}, "Plans": [
            {{"Node Type": "Index Scan", "Parent Relationship": "Outer", "Plan Rows": {outer}}},
            {{"Node Type": "Seq Scan", "Parent Relationship": "Inner", "Plan Rows": 200}}]}}}}"#
        )
    };
    let lossy = |blocks: u32| {
        measured(
            &format!(r#""Node Type": "Bitmap Heap Scan", "Actual Rows": 1, "Lossy Heap Blocks": {blocks}"#),
            "",
        )
    };
    let heap = |fetches: u32| {
        measured(
            &format!(r#""Node Type": "Index Only Scan", "Actual Rows": 10000, "Heap Fetches": {fetches}"#),
            "",
        )
    };
    let workers = |launched: u32| {
        measured(
            &format!(
                r#""Node Type": "Gather", "Actual Rows": 1, "Workers Planned": 2, "Workers Launched": {launched}"#
            ),
            "",
        )
    };
    let result = r#""Node Type": "Result", "Actual Rows": 1"#;
    let jit =
        |ms: u32| measured(result, &format!(r#", "JIT": {{"Functions": 1, "Timing": {{"Total": {ms}}}}}"#));
    let planning = |ms: u32| measured(result, &format!(r#", "Planning Time": {ms}"#));
    let triggers =
        |ms: u32| measured(result, &format!(r#", "Triggers": [{{"Trigger Name": "t", "Time": {ms}}}]"#));
    let append = |inputs: usize| {
        let inputs = vec![r#"{"Node Type": "Seq Scan"}"#; inputs].join(",");
        format!(r#"{{"Plan": {{"Node Type": "Append", "Plans": [{inputs}]}}}}"#)
    };
    let subplan = |rows: u32| {
        format!(
            r#"{{"Plan": {{"Node Type": "Seq Scan", "Plan Rows": {rows}, "Filter": "((SubPlan 1) > 3)",
            "Plans": [{{"Node Type": "Aggregate", "Parent Relationship": "SubPlan", "Total Cost": 3}}]}}}}"#
        )
    };
    let memoize = |evictions: u32| {
        measured(
            &format!(
                r#""Node Type": "Memoize", "Actual Rows": 1, "Cache Hits": 10, "Cache Evictions": {evictions}"#
            ),
            "",
        )
    };
    let cte = |rows: u32| {
        format!(
            r#"{{"Plan": {{"Node Type": "CTE Scan", "CTE Name": "a", "Plan Rows": {rows}, "Filter": "(id = 1)",
            "Plans": [{{"Node Type": "Seq Scan", "Parent Relationship": "InitPlan", "Subplan Name": "CTE a", "Plan Rows": 20000}}]}}}}"#
        )
    };
    let disabled = |flag: bool| format!(r#"{{"Plan": {{"Node Type": "Seq Scan", "Disabled": {flag}}}}}"#);
    let result_if = |condition: &str| {
        format!(r#"{{"Plan": {{"Node Type": "Result", "One-Time Filter": "{condition}"}}}}"#)
    };
    vec![
        (PlanRule::SeqScanDiscardsRows, scan(10_000), scan(9_999)),
        (PlanRule::IndexScanDiscardsRows, index(10_000), index(9_999)),
        (PlanRule::JoinFilterDiscardsRows, join(10_000), join(9_999)),
        (PlanRule::EstimateFarOff, rows(10_000), rows(9_999)),
        (PlanRule::EstimateFarOff, rows(100), rows(101)),
        (PlanRule::SortSpills, sort("Disk"), sort("Memory")),
        (PlanRule::HashSpills, hash(2), hash(1)),
        (PlanRule::NestedLoopOverSeqScan, repeated(500, ""), repeated(499, "")),
        (PlanRule::JoinWithoutCondition, repeated(10, ""), repeated(10, r#", "Join Filter": "(a.x > b.y)""#)),
        (PlanRule::LossyBitmap, lossy(1), lossy(0)),
        (PlanRule::IndexOnlyScanReadsTable, heap(1_001), heap(1_000)),
        (PlanRule::WorkersMissing, workers(1), workers(2)),
        (PlanRule::JitDominates, jit(25), jit(24)),
        (PlanRule::PlanningDominates, planning(101), planning(100)),
        (PlanRule::TriggersDominate, triggers(25), triggers(24)),
        (PlanRule::ManyPartitions, append(100), append(99)),
        (PlanRule::SubplanPerRow, subplan(1_000), subplan(999)),
        (PlanRule::MemoizeThrashes, memoize(11), memoize(10)),
        (PlanRule::FilterAboveCte, cte(2_000), cte(3_000)),
        (PlanRule::DisabledOperator, disabled(true), disabled(false)),
        (
            PlanRule::DisabledOperator,
            r#"{"Plan": {"Node Type": "Sort", "Total Cost": 10000000009.5}}"#.into(),
            r#"{"Plan": {"Node Type": "Sort", "Total Cost": 999999.5}}"#.into(),
        ),
        (PlanRule::EmptyPlan, result_if("false"), result_if("(now() > $1)")),
        (
            PlanRule::EmptyPlan,
            r#"{"Plan": {"Node Type": "Append", "Subplans Removed": 500}}"#.into(),
            append(1),
        ),
    ]
}

#[test]
fn rules_apply_where_they_should_and_not_just_below() {
    for (rule, applies, does_not) in cases() {
        assert!(rules(&applies).contains(&rule), "{rule:?} does not apply to {applies}");
        assert!(!rules(&does_not).contains(&rule), "{rule:?} applies to {does_not}");
    }
}

/// Rules that only plans of SQL Server show; `showplan/tests/rules.rs` and the fixtures test them.
const OF_SQL_SERVER: [PlanRule; 13] = [
    PlanRule::ImplicitConversion,
    PlanRule::KeyLookup,
    PlanRule::ParameterSniffing,
    PlanRule::MissingStatistics,
    PlanRule::StaleStatistics,
    PlanRule::UnmatchedIndexes,
    PlanRule::MissingIndex,
    PlanRule::SpillsToTempdb,
    PlanRule::ExcessiveGrant,
    PlanRule::GrantTooSmall,
    PlanRule::MemoryGrantWait,
    PlanRule::ForcedSerial,
    PlanRule::OptimizerGaveUp,
];

#[test]
fn every_rule_is_tested_and_says_what_to_look_at() {
    let tested = cases().into_iter().map(|(rule, ..)| rule).chain(OF_SQL_SERVER);
    assert_eq!(tested.collect::<BTreeSet<_>>(), PlanRule::ALL.iter().copied().collect());
    let names: BTreeSet<&str> = PlanRule::ALL.iter().map(|rule| rule.as_str()).collect();
    assert_eq!(names.len(), PlanRule::ALL.len());
    assert!(PlanRule::ALL.iter().all(|rule| rule.check_next().len() > 20));
}

#[test]
fn findings_rest_on_numbers() {
    let (_, applies, _) = &cases()[0];
    let finding = &summary(applies).findings[0];
    let evidence: Vec<_> = finding.evidence.iter().map(|evidence| (evidence.name, evidence.value)).collect();
    assert_eq!(evidence, [("dropped_rows", 10_000.0), ("kept_rows", 10.0)]);
}

#[test]
fn nodes_that_are_stopped_early_are_no_wrong_estimates() {
    let below = |above: &str, relationship: &str| {
        format!(
            r#"{{"Plan": {{"Node Type": "{above}", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1, "Join Type": "Inner", "Plans": [
            {{"Node Type": "Seq Scan", "Parent Relationship": "{relationship}", "Plan Rows": 100000, "Actual Rows": 1, "Actual Loops": 1}}]}}}}"#
        )
    };
    assert_eq!(rules(&below("Limit", "Outer")), []);
    assert_eq!(rules(&below("Sort", "Outer")), [PlanRule::EstimateFarOff]);
    assert_eq!(rules(&below("Nested Loop", "Inner")), [PlanRule::EstimateFarOff]);
    let widest = summary(&below("Sort", "Outer")).widest_error.unwrap();
    assert_eq!((widest.node.index(), widest.factor), (1, 100_000.0));
}

#[test]
fn counts() {
    let summary = summary(
        r#"[{"Plan": {"Node Type": "Gather", "Total Cost": 9.5, "Plan Rows": 7, "Workers Planned": 2, "Workers Launched": 2,
        "Actual Rows": 3, "Actual Loops": 1, "Plans": [
          {"Node Type": "Hash Join", "Join Type": "Left", "Actual Rows": 3, "Actual Loops": 2, "Plans": [
            {"Node Type": "Append", "Subplans Removed": 4, "Actual Rows": 3, "Actual Loops": 2, "Plans": [
              {"Node Type": "Seq Scan", "Relation Name": "p1", "Schema": "s", "Plan Rows": 5, "Actual Rows": 3, "Actual Loops": 2, "Rows Removed by Filter": 30},
              {"Node Type": "Seq Scan", "Relation Name": "p1", "Schema": "s", "Plan Rows": 6, "Actual Rows": 1, "Actual Loops": 2, "Rows Removed by Filter": 1}]},
            {"Node Type": "Sort", "Sort Space Type": "Disk", "Sort Space Used": 11, "Actual Rows": 3, "Actual Loops": 2, "Plans": [
              {"Node Type": "Index Scan", "Relation Name": "q", "Index Name": "i"}]}]}]},
        "Planning Time": 1.5, "Execution Time": 2.5}]"#,
    );
    assert_eq!((summary.nodes, summary.depth, summary.scan_nodes), (7, 4, 3));
    assert_eq!(
        (summary.total_cost, summary.estimated_rows, summary.actual_rows),
        (Some(9.5), Some(7.0), Some(3.0))
    );
    assert_eq!((summary.joins.hash, summary.joins.outer, summary.joins.nested_loop), (1, 1, 0));
    assert_eq!((summary.sorts.full, summary.sorts.spilled, summary.sorts.spilled_kib), (1, 1, 11.0));
    assert_eq!(
        (summary.partitions.appends, summary.partitions.inputs, summary.partitions.removed),
        (1, 2, 4)
    );
    assert_eq!(
        (summary.parallel.gathers, summary.parallel.planned, summary.parallel.launched),
        (1, 2, Some(2))
    );
    let scans: Vec<_> =
        summary.scans.iter().map(|scan| (scan.operator, scan.relation.as_deref(), scan.nodes)).collect();
    assert_eq!(scans, [(Operator::SeqScan, Some("p1"), 2), (Operator::IndexScan, Some("q"), 1)]);
    assert_eq!((summary.scans[0].estimated_rows, summary.scans[0].actual_rows), (11.0, Some(8.0)));
    assert_eq!(summary.wasteful_filters.len(), 1);
    assert_eq!((summary.wasteful_filters[0].dropped, summary.wasteful_filters[0].kept), (60.0, 6.0));
}

#[test]
fn lists_are_bounded() {
    let scans: Vec<String> = (0..100)
        .map(|n| {
            format!(
                r#"{{"Node Type": "Seq Scan", "Relation Name": "t{n}", "Actual Rows": 1, "Actual Loops": 1, "Rows Removed by Filter": {}}}"#,
                20_000 + n
            )
        })
        .collect();
    let summary =
        summary(&format!(r#"{{"Plan": {{"Node Type": "Append", "Plans": [{}]}}}}"#, scans.join(",")));
    assert_eq!((summary.scans.len(), summary.scan_nodes), (super::MAX_SUMMARY_SCANS, 100));
    assert_eq!(
        (summary.wasteful_filters.len(), summary.wasteful_filter_nodes),
        (super::MAX_SUMMARY_FILTERS, 100)
    );
    assert_eq!(summary.wasteful_filters[0].dropped, 20_099.0);
    assert_eq!(summary.findings.len() as u32 + summary.findings_not_listed, 101);
}
