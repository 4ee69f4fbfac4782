//! Where in the tree each thing is found.

use super::{fixture, parse};
use crate::{
    ProblemKind,
    tree::{
        ConditionKind, JoinType, NodeId, Operator, ParameterValues, Plan, Relationship, Scalar,
        ScanDirection, WarningKind,
    },
};

fn plan(name: &str) -> Plan<'static> {
    let xml = fixture(name);
    parse(&xml).into_owned().plan
}

#[test]
fn operators_and_their_inputs() {
    let plan = plan("2017_hash_join");
    let join = plan.root().unwrap();
    assert_eq!((join.operator, join.join_type), (Operator::HashJoin, Some(JoinType::Inner)));
    assert_eq!(join.conditions_of(ConditionKind::Hash).collect::<Vec<_>>(), ["c.id = o.customer_id"]);
    let inputs: Vec<_> = plan.children(NodeId::default()).filter_map(|id| plan.node(id)).collect();
    let expected = [(Relationship::Outer, "customers"), (Relationship::Inner, "orders")];
    assert_eq!(inputs.len(), expected.len());
    for (node, (relationship, table)) in inputs.iter().zip(expected) {
        assert_eq!((node.relationship, node.operator), (relationship, Operator::SeqScan));
        assert_eq!(node.relation.name.as_deref(), Some(table));
        assert_eq!(node.relation.schema.as_deref(), Some("dbo"));
        assert_eq!(node.relation.database.as_deref(), Some("Shop"));
    }
    assert_eq!(join.estimates.total_cost, Some(3.1));
    assert_eq!(join.estimates.rows, Some(5000.0));
}

#[test]
fn seeks_lookups_and_directions() {
    let plan = plan("2016_key_lookup");
    let [_, seek, lookup] = plan.nodes() else { panic!() };
    assert_eq!((seek.operator, lookup.operator), (Operator::IndexOnlyScan, Operator::KeyLookup));
    assert_eq!(seek.conditions_of(ConditionKind::Index).collect::<Vec<_>>(), ["o.customer_id = ?"]);
    assert_eq!(seek.index.as_deref(), Some("IX_orders_customer"));
    assert_eq!(seek.extra("Ordered"), Some(&Scalar::Bool(true)));
    let backward = self::plan("2016_top_backward");
    assert_eq!(backward.nodes()[1].scan_direction, Some(ScanDirection::Backward));
    let range = self::plan("2016_range_seek");
    let conditions: Vec<_> = range.root().unwrap().conditions_of(ConditionKind::Index).collect();
    assert_eq!(conditions, ["o.placed_at >= ?", "o.placed_at < ?"]);
}

#[test]
fn rows_of_threads_are_added_up() {
    let plan = plan("2019_parallel_aggregate");
    let scan = plan.nodes().last().unwrap();
    let actuals = scan.actuals.unwrap();
    // Four threads that each ran once shared one execution.
    assert_eq!((actuals.rows, actuals.loops), (100_000.0, 1.0));
    assert_eq!(scan.workers.len(), 4);
    let gather = plan.root().unwrap();
    assert_eq!((gather.operator, gather.workers_planned), (Operator::Gather, Some(4)));

    let sniffed = self::plan("2019_parameter_sniffing");
    let lookup = sniffed.nodes().last().unwrap().actuals.unwrap();
    assert_eq!((lookup.rows * lookup.loops, lookup.loops), (40_000.0, 48_000.0));
}

#[test]
fn dropped_rows_come_from_rows_read() {
    let counters = r#"<RunTimeInformation><RunTimeCountersPerThread Thread="0" ActualRows="10" ActualRowsRead="1010"
        ActualExecutions="1" ActualEndOfScans="1"/></RunTimeInformation>"#;
    let xml = fixture("2016_heap_scan").replace("<TableScan", &format!("{counters}<TableScan"));
    let plan = parse(&xml).plan;
    assert_eq!(plan.root().unwrap().rows_removed_by_filter, Some(1000.0));
}

#[test]
fn what_is_known_of_the_whole_plan() {
    let plan = plan("2019_sort_spill");
    let grant = plan.memory_grant.unwrap();
    assert_eq!((grant.granted_kib, grant.max_used_kib), (Some(1024.0), Some(1024.0)));
    assert_eq!(plan.cardinality_model, Some(150));
    assert_eq!(plan.server_version.as_deref(), Some("15.0.4153.1"));
    assert_eq!((plan.planning_time_ms, plan.execution_time_ms), (Some(3.0), Some(900.0)));
    let details = plan.sql_server.as_deref().unwrap();
    assert_eq!(details.statement_type.as_deref(), Some("SELECT"));
    assert_eq!(details.degree_of_parallelism, Some(1));
    assert_eq!(
        (details.grant_wait_ms, details.grant_feedback.as_deref()),
        (Some(120.0), Some("YesAdjusting"))
    );
    assert_eq!(details.warnings[0].text.as_deref(), Some("Used More Than Granted"));
    let sort = plan.root().unwrap();
    assert_eq!(sort.warnings[0].kind, WarningKind::Spill);
    assert_eq!(sort.extra_number("WritesToTempDb"), Some(3100.0));

    let serial = self::plan("2017_forced_serial").sql_server.unwrap();
    assert_eq!(serial.non_parallel_reason.as_deref(), Some("TSQLUserDefinedFunctionsNotParallelizable"));
    assert_eq!(serial.early_abort_reason.as_deref(), Some("TimeOut"));
    let waits = self::plan("2019_parallel_aggregate").sql_server.unwrap().waits;
    assert_eq!((&*waits[0].kind, waits[0].count, waits[0].time_ms), ("CXPACKET", 8.0, 60.0));
}

#[test]
fn proposed_indexes_and_statistics() {
    let plan = plan("2016_key_lookup");
    let [group] = plan.missing_indexes.as_slice() else { panic!() };
    assert_eq!((group.impact_percent, &*group.table), (Some(87.4), "orders"));
    assert_eq!(group.equality_columns, ["customer_id"]);
    assert_eq!(group.inequality_columns, ["placed_at"]);
    assert_eq!(group.included_columns, ["total", "note"]);
    let statistics = self::plan("2016_missing_statistics").sql_server.unwrap().statistics;
    assert_eq!((&*statistics[0].table, &*statistics[0].name), ("events", "_WA_Sys_00000002_0EA330E9"));
    assert_eq!((statistics[0].modifications, statistics[0].sampling_percent), (Some(90_000.0), Some(12.5)));
    assert_eq!(statistics[0].last_update.as_deref(), Some("2026-05-01T10:00:00.12"));
}

#[test]
fn values_of_parameters_are_compared_and_not_kept() {
    let plan = plan("2019_parameter_sniffing");
    let values: Vec<_> =
        plan.parameters.iter().map(|parameter| (&*parameter.name, parameter.values)).collect();
    assert_eq!(values, [("@since", ParameterValues::Same), ("@customer", ParameterValues::Different)]);
    assert_eq!(plan.parameters[1].data_type.as_deref(), Some("int"));
    assert!(!format!("{plan:?}").contains("2026-01-01"), "a value is kept");
    assert_eq!(self::plan("2016_clustered_seek").parameters[0].values, ParameterValues::Compiled);
}

#[test]
fn a_batch_gives_its_first_plan_and_a_list() {
    let xml = fixture("2019_batch");
    let parsed = parse(&xml);
    let kinds: Vec<_> = parsed.statements.iter().map(|s| (s.kind.as_deref().unwrap(), s.has_plan)).collect();
    assert_eq!(kinds, [("USE DATABASE", false), ("ASSIGN", false), ("SELECT", true), ("SELECT", true)]);
    assert_eq!((parsed.statement, parsed.plan.query_hash), (Some(2), Some(0x21)));
    assert_eq!(parsed.statements[3].query_plan_hash, Some(0x32));
    assert_eq!(parsed.plan.root().unwrap().relation.name.as_deref(), Some("customers"));
}

#[test]
fn what_is_no_word_is_no_name_of_an_operator() {
    let parsed = parse("<RelOp PhysicalOp=\"it's 'bob'\"/>");
    assert!(parsed.problems.contains(ProblemKind::UnknownOperator));
    assert!(!parsed.plan.render().contains("bob"));
}

/// A statement may have a `QueryPlan` without nodes, for instance one that was not compiled.
#[test]
fn what_belongs_to_an_earlier_statement_is_not_mixed_in() {
    let empty = "<StmtSimple StatementText=\"SELECT 0\"><QueryPlan DegreeOfParallelism=\"9\"><ParameterList>\
                 <ColumnReference Column=\"@other\"/></ParameterList></QueryPlan></StmtSimple>";
    let xml = fixture("2016_clustered_seek").replace("<Statements>", &format!("<Statements>{empty}"));
    let parsed = parse(&xml);
    assert_eq!((parsed.statement, parsed.statements.len()), (Some(1), 2));
    let names: Vec<_> = parsed.plan.parameters.iter().map(|parameter| &*parameter.name).collect();
    assert_eq!(names, ["@id"]);
    assert_eq!(parsed.plan.sql_server.as_deref().unwrap().degree_of_parallelism, Some(1));
    assert_eq!(parsed.plan.server_version.as_deref(), Some("13.0.5026.0"));
}

#[test]
fn an_alias_stands_for_one_table() {
    let plan = plan("2016_union_all");
    let aliases: Vec<_> = plan.nodes().iter().map(|node| node.relation.alias.as_deref()).collect();
    assert_eq!(aliases, [None, Some("o"), Some("o_1")]);
    assert_eq!(plan.nodes()[2].conditions[0].text, "o_1.state = ?");
}

#[test]
fn shapes_of_expressions() {
    let cases = [
        ("[Shop].[dbo].[orders].[id] as [o].[id]=(5)", "o.id = ?"),
        ("[Shop].[dbo].[orders].[id]=[@P1]", "orders.id = ?"),
        ("[@t].[id]>(1.5e+3)", "\"@t\".id > ?"),
        ("[a].[b c]=N'it''s' AND [a].[d] IS NOT NULL", "a.\"b c\" = ? AND a.d IS NOT NULL"),
        ("[Expr1004]+[Expr1005]", "Expr + Expr"),
        ("[Shop].[dbo].[tax]([Shop].[dbo].[o].[total],(2))", "tax(o.total, ?)"),
        ("CASE WHEN [a].[x]=($12.50) THEN 0xAB ELSE -(1) END", "CASE WHEN a.x = ? THEN ? ELSE - ? END"),
        ("len([a].[x])", "len(a.x)"),
        ("[a].[x]='cut", "a.x = ?"),
        ("dateadd(day,(-7),getdate())", "dateadd(day, (- ?), getdate())"),
        ("upper('x')", "upper(?)"),
    ];
    for (text, expected) in cases {
        let shape = crate::showplan::condition::shape(text, &mut Default::default());
        assert_eq!(shape, expected, "{text}");
    }
}

#[test]
fn what_is_no_showplan() {
    let cases = [
        ("", ProblemKind::NoPlan),
        ("hello", ProblemKind::NoPlan),
        ("<ShowPlanXML>", ProblemKind::CutShort),
        ("<ShowPlanXML><Batch></ShowPlanXML>", ProblemKind::Malformed),
        ("<!DOCTYPE x [<!ENTITY a \"b\">]><ShowPlanXML/>", ProblemKind::DocumentType),
        ("<ShowPlanXML/><ShowPlanXML/>", ProblemKind::TrailingBytes),
        ("<ShowPlanXML Build=\"&a;\"/>", ProblemKind::UnknownEntity),
        ("<ShowPlanXML New=\"1\"/>", ProblemKind::UnknownKey),
        ("<ShowPlanXML><New/></ShowPlanXML>", ProblemKind::UnknownKey),
        ("<RelOp PhysicalOp=\"Warp\"/>", ProblemKind::UnknownOperator),
        ("<RelOp PhysicalOp=\"Top\" EstimateRows=\"many\"/>", ProblemKind::UnexpectedType),
        ("<ShowPlanXML Build=\"1\" Build=\"2\"/>", ProblemKind::Malformed),
    ];
    for (xml, expected) in cases {
        assert!(parse(xml).problems.contains(expected), "{xml}: {:?}", parse(xml).problems);
    }
    let parsed = crate::parse_sql_server(b"<RelOp PhysicalOp=\"\xff\"/>", &mut crate::Budget::unlimited());
    assert!(parsed.problems.contains(ProblemKind::InvalidUtf8));
}

#[test]
fn an_operation_of_a_version_to_come_keeps_its_inputs() {
    let xml =
        fixture("2016_row_number").replace("<Segment>", "<Segment2>").replace("</Segment>", "</Segment2>");
    let parsed = parse(&xml);
    assert!(parsed.problems.contains(ProblemKind::UnknownKey));
    assert_eq!(parsed.plan.nodes().len(), 5);
}
