//! Named bounds and any bytes.

use proptest::prelude::*;

use super::{fixture, parse, redact};
use crate::{
    Budget, MAX_ATTRIBUTES, MAX_LISTED, MAX_OPEN_ELEMENTS, MAX_PLAN_BYTES, MAX_PLAN_DEPTH, MAX_PLAN_NODES,
    MAX_STATEMENTS, MAX_THREADS, ProblemKind, invariants, parse_sql_server,
};

fn nested(depth: usize) -> String {
    let open = "<RelOp PhysicalOp=\"Top\" LogicalOp=\"Top\"><Top>";
    format!("{}{}", open.repeat(depth), "</Top></RelOp>".repeat(depth))
}

#[test]
fn depth() {
    assert_eq!(parse(&nested(MAX_PLAN_DEPTH)).plan.nodes().len(), MAX_PLAN_DEPTH);
    assert!(parse(&nested(MAX_PLAN_DEPTH)).problems.is_empty());
    let deeper = nested(MAX_PLAN_DEPTH + 1);
    let parsed = parse(&deeper);
    assert!(parsed.problems.contains(ProblemKind::TooDeep));
    assert_eq!(parsed.plan.nodes().len(), MAX_PLAN_DEPTH);
    invariants::showplan::check(deeper.as_bytes());
    let elements = "<Batch>".repeat(100_000);
    assert!(parse(&elements).problems.contains(ProblemKind::TooDeep));
    assert_eq!(redact(&elements).matches("<Batch").count(), MAX_OPEN_ELEMENTS);
}

#[test]
fn nodes() {
    let inputs = "<RelOp PhysicalOp=\"Constant Scan\" LogicalOp=\"Constant Scan\"/>".repeat(MAX_PLAN_NODES);
    let xml = format!(
        "<RelOp PhysicalOp=\"Concatenation\" LogicalOp=\"Concatenation\"><Concat>{inputs}</Concat></RelOp>"
    );
    let parsed = parse(&xml);
    assert!(parsed.problems.contains(ProblemKind::TooManyNodes));
    assert_eq!(parsed.plan.nodes().len(), MAX_PLAN_NODES);
}

#[test]
fn bytes() {
    let long = format!("<RelOp PhysicalOp=\"Top\"/>{}", " ".repeat(MAX_PLAN_BYTES));
    assert!(parse(&long).problems.contains(ProblemKind::TooLong));
    assert!(parse(&long).plan.nodes().is_empty());
}

#[test]
fn attributes() {
    let many: String = (0..=MAX_ATTRIBUTES).map(|n| format!(" xmlns:a{n}=\"x\"")).collect();
    let xml = format!("<RelOp{many} PhysicalOp=\"Top\"/>");
    assert!(parse(&xml).problems.contains(ProblemKind::TooManyAttributes));
    assert!(!redact(&xml).contains("Top"));
}

#[test]
fn lists() {
    let repeated = |element: &str, times: usize| element.repeat(times);
    let too_long = |xml: &str| parse(xml).problems.contains(ProblemKind::ListTooLong);
    let parameters = format!(
        "<QueryPlan><ParameterList>{}</ParameterList></QueryPlan>",
        repeated("<ColumnReference Column=\"@p\"/>", MAX_LISTED + 1)
    );
    assert!(too_long(&parameters));
    assert_eq!(parse(&parameters).plan.parameters.len(), MAX_LISTED);
    let keys = format!(
        "<RelOp PhysicalOp=\"Sort\" LogicalOp=\"Sort\"><Sort><OrderBy>{}</OrderBy></Sort></RelOp>",
        repeated("<OrderByColumn><ColumnReference Column=\"c\"/></OrderByColumn>", MAX_LISTED + 1)
    );
    assert!(too_long(&keys));
    assert_eq!(parse(&keys).plan.root().unwrap().conditions.len(), MAX_LISTED);
    let statements = format!("<Statements>{}</Statements>", repeated("<StmtSimple/>", MAX_STATEMENTS + 1));
    assert!(too_long(&statements));
    assert_eq!(parse(&statements).statements.len(), MAX_STATEMENTS);
    let warnings = format!(
        "<QueryPlan><Warnings>{}</Warnings></QueryPlan>",
        repeated("<SpillToTempDb SpillLevel=\"1\"/>", MAX_LISTED + 2)
    );
    assert!(too_long(&warnings));
    let threads: String = (0..MAX_THREADS + 9)
        .map(|n| {
            format!("<RunTimeCountersPerThread Thread=\"{n}\" ActualRows=\"1\" ActualExecutions=\"1\"/>")
        })
        .collect();
    let xml = format!("<RelOp PhysicalOp=\"Top\"><RunTimeInformation>{threads}</RunTimeInformation></RelOp>");
    let plan = parse(&xml).plan;
    assert_eq!(plan.root().unwrap().workers.len(), MAX_THREADS);
    assert_eq!(plan.root().unwrap().actuals.unwrap().rows, (MAX_THREADS + 9) as f64);
}

#[test]
fn tables_that_share_an_alias() {
    let names: String = (0..crate::MAX_QUALIFIERS + 9)
        .map(|n| {
            format!(
                "<RelOp PhysicalOp=\"Table Scan\" LogicalOp=\"Table Scan\"><TableScan>\
                 <Object Table=\"[t{n}]\" Alias=\"[a]\"/></TableScan></RelOp>"
            )
        })
        .collect();
    let xml = format!("<RelOp PhysicalOp=\"Concatenation\"><Concat>{names}</Concat></RelOp>");
    let plan = parse(&xml).plan;
    let mut aliases: Vec<_> = plan.nodes().iter().filter_map(|node| node.relation.alias.as_deref()).collect();
    aliases.sort_unstable();
    aliases.dedup();
    assert_eq!(aliases.len(), crate::MAX_QUALIFIERS);
}

#[test]
fn a_budget_ends_the_work() {
    let xml = nested(100);
    let mut budget = Budget::steps(50);
    let parsed = parse_sql_server(xml.as_bytes(), &mut budget);
    assert!(parsed.problems.contains(ProblemKind::BudgetExhausted));
    assert!((5..50).contains(&parsed.plan.nodes().len()), "{}", parsed.plan.nodes().len());
    assert_eq!(budget.steps_left(), 0);
}

#[test]
fn entities_are_not_expanded() {
    let xml = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;\">]><RelOp PhysicalOp=\"&b;\"/>";
    let parsed = parse(xml);
    assert!(parsed.problems.contains(ProblemKind::DocumentType) && parsed.plan.nodes().is_empty());
    invariants::showplan::check(xml.as_bytes());
}

proptest! {
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        invariants::showplan::check(&bytes);
    }

    #[test]
    fn any_text_that_looks_like_a_showplan(pieces in proptest::collection::vec(piece(), 0..60)) {
        invariants::showplan::check(pieces.concat().as_bytes());
    }

    #[test]
    fn any_cut(place in any::<prop::sample::Index>()) {
        let xml = fixture("2019_sort_spill");
        invariants::showplan::check(&xml.as_bytes()[..place.index(xml.len())]);
    }
}

fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "<ShowPlanXML>",
        "<StmtSimple StatementText=\"SELECT 'x'\">",
        "<QueryPlan DegreeOfParallelism=\"4\">",
        "<RelOp PhysicalOp=\"Hash Match\" LogicalOp=\"Inner Join\" Parallel=\"1\">",
        "<Hash>",
        "<RelOp PhysicalOp=\"Top\">",
        "<Top>",
        "<RelOp PhysicalOp=\"Parallelism\" LogicalOp=\"Gather Streams\">",
        "<Parallelism>",
        "<IndexScan Lookup=\"1\">",
        "<Object Table=\"[t]\" Alias=\"[a]\" Index=\"[i]\"/>",
        "<HashKeysBuild><ColumnReference Table=\"[t]\" Column=\"c\"/></HashKeysBuild>",
        "<Predicate><ScalarOperator ScalarString=\"[a].[b]=(1)\"/></Predicate>",
        "<SeekPredicates><Prefix ScanType=\"EQ\">",
        "<RangeColumns><ColumnReference Column=\"c\"/></RangeColumns>",
        "<Warnings NoJoinPredicate=\"1\">",
        "<SpillToTempDb/>",
        "<RunTimeInformation><RunTimeCountersPerThread Thread=\"1\" ActualRows=\"9\"/></RunTimeInformation>",
        "<New>",
        "</New>",
        "</Hash>",
        "</Top>",
        "</RelOp>",
        "</QueryPlan>",
        "</StmtSimple>",
        "</ShowPlanXML>",
        "</Parallelism>",
        "</IndexScan>",
        "</Warnings>",
        "<",
        ">",
        "/>",
        "\"",
        "&amp;",
        "&#x41;",
        "<!-- x -->",
        "<![CDATA[x]]>",
        "x",
        "<?x?>",
    ])
}
