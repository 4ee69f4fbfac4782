//! Pairs of plans that are the same, and pairs that are not.

use super::{fingerprints, fixture, with_values};

/// Replaces the values of an attribute everywhere.
fn with(xml: &str, attribute: &str, value: &str) -> String {
    let out = with_values(xml, attribute, value);
    assert_ne!(out, xml, "{attribute} is not there");
    out
}

/// Leaves out the elements of a kind with their content.
fn without(xml: &str, element: &str) -> String {
    let mut out = xml.to_owned();
    while let Some(from) = out.find(&format!("<{element}>")) {
        let end = format!("</{element}>");
        let to = out[from..].find(&end).unwrap() + from + end.len();
        out.replace_range(from..to, "");
    }
    assert_ne!(out, xml, "{element} is not there");
    out
}

fn replaced(xml: &str, from: &str, to: &str) -> String {
    let out = xml.replace(from, to);
    assert_ne!(out, xml, "{from} is not there");
    out
}

type Change = Box<dyn Fn(&str) -> String>;

fn set(attribute: &'static str, value: &'static str) -> Change {
    Box::new(move |xml| with(xml, attribute, value))
}

fn drop(element: &'static str) -> Change {
    Box::new(move |xml| without(xml, element))
}

fn replace(from: &'static str, to: &'static str) -> Change {
    Box::new(move |xml| replaced(xml, from, to))
}

#[test]
fn the_same() {
    let pairs: Vec<(&str, &str, Change)> = vec![
        ("another literal", "2016_heap_scan", replace("'new'", "'archived long ago'")),
        ("a literal of another type", "2016_heap_scan", replace("'new'", "(17)")),
        ("a parameter for a literal", "2016_key_lookup", replace("(77)", "[@1]")),
        ("costs", "2017_hash_join", set("EstimatedTotalSubtreeCost", "9000.25")),
        ("growth", "2017_hash_join", set("EstimateRows", "7e+09")),
        ("sizes of tables", "2017_merge_join", set("TableCardinality", "123456789")),
        ("sizes of rows", "2017_merge_join", set("AvgRowSize", "4000")),
        ("threads", "2019_parallel_aggregate", set("DegreeOfParallelism", "32")),
        ("alias", "2016_key_lookup", replace("[o]", "[ord]")),
        (
            "both aliases",
            "2017_hash_join",
            Box::new(|xml| replaced(&replaced(xml, "[o]", "[x]"), "[c]", "[o]")),
        ),
        ("the second of two equal aliases", "2016_union_all", replace("as [o].[state]", "as [z].[state]")),
        ("the server's hashes", "2019_sort_spill", set("QueryPlanHash", "0xFFFFFFFFFFFFFFFF")),
        ("an estimated plan", "2019_sort_spill", drop("RunTimeInformation")),
        ("warnings", "2019_sort_spill", drop("Warnings")),
        ("proposed indexes", "2016_key_lookup", drop("MissingIndexes")),
        ("another build", "2016_row_number", set("Build", "16.0.4003.1")),
        ("another cardinality model", "2016_row_number", set("CardinalityEstimationModelVersion", "160")),
        ("numbers of computed columns", "2016_row_number", replace("Expr1001", "Expr1077")),
        ("another database", "2017_update", replace("[Shop]", "[Shop_eu]")),
        ("values of parameters", "2019_parameter_sniffing", set("ParameterRuntimeValue", "(5)")),
        ("numbers of nodes", "2022_adaptive_join", set("NodeId", "7")),
        ("options of the session", "2016_insert", set("ARITHABORT", "false")),
        ("memory", "2019_excessive_grant", set("GrantedMemory", "17")),
    ];
    assert!(pairs.len() >= 10);
    for (what, name, change) in pairs {
        let xml = fixture(name);
        assert_eq!(fingerprints(&xml), fingerprints(&change(&xml)), "{what} in {name}");
    }
}

#[test]
fn the_same_without_a_prefix_and_in_any_encoding() {
    let xml = fixture("2019_prefixed");
    let plain = xml.replace("<p:", "<").replace("</p:", "</").replace("xmlns:p=", "xmlns=");
    assert_eq!(fingerprints(&xml), fingerprints(&plain));
    let mut wide = vec![0xfe, 0xff];
    wide.extend(plain.encode_utf16().flat_map(u16::to_be_bytes));
    for bytes in [wide.clone(), wide.split_off(2)] {
        let parsed = crate::parse_sql_server(&bytes, &mut crate::Budget::unlimited());
        assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
        assert_eq!(parsed.plan.fingerprints(), fingerprints(&plain));
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Level {
    /// Both differ.
    Shape,
    /// Only the exact one differs.
    Exact,
}

#[test]
fn not_the_same() {
    use Level::{Exact, Shape};
    let pairs: Vec<(&str, Level, &str, Change)> = vec![
        (
            "another index",
            Exact,
            "2016_key_lookup",
            replace("IX_orders_customer", "IX_orders_customer_state"),
        ),
        ("a scan for a seek", Shape, "2016_key_lookup", replace("\"Index Seek\"", "\"Index Scan\"")),
        ("no lookup", Shape, "2016_key_lookup", set("Lookup", "0")),
        ("another kind of join", Shape, "2017_hash_join", set("PhysicalOp", "Merge Join")),
        ("an outer join", Shape, "2017_hash_join", replace("Inner Join", "Left Outer Join")),
        ("another table", Shape, "2016_heap_scan", replace("import_rows", "export_rows")),
        ("a descending sort", Exact, "2017_merge_join", set("Ascending", "0")),
        (
            "a sort that stops early",
            Shape,
            "2019_sort_spill",
            replace("LogicalOp=\"Sort\"", "LogicalOp=\"TopN Sort\""),
        ),
        ("another direction", Exact, "2016_top_backward", set("ScanDirection", "FORWARD")),
        ("another group key", Exact, "2019_columnstore", replace("Column=\"region\"", "Column=\"country\"")),
        (
            "aggregation in order",
            Shape,
            "2019_columnstore",
            replace("\"Hash Match\"", "\"Stream Aggregate\""),
        ),
        ("no gathering", Shape, "2019_parallel_aggregate", replace("Gather Streams", "Distribute Streams")),
        ("another hash key", Exact, "2017_hash_join", replace("\"customer_id\"", "\"payer_id\"")),
        ("another column of the index", Exact, "2016_range_seek", replace("\"placed_at\"", "\"shipped_at\"")),
        ("another comparison", Exact, "2016_range_seek", replace("\"GE\"", "\"GT\"")),
        ("a columnstore", Shape, "2016_heap_scan", replace("RowStore", "ColumnStore")),
        ("another change", Shape, "2017_update", replace("\"Update\"", "\"Delete\"")),
        ("another spool", Shape, "2016_index_spool", replace("Eager Spool", "Lazy Spool")),
        (
            "another table under the same alias",
            Shape,
            "2016_union_all",
            replace("orders_archive", "orders_2025"),
        ),
        (
            "exchanged inputs",
            Shape,
            "2017_hash_join",
            Box::new(|xml| {
                replaced(
                    &replaced(&replaced(xml, "customers", "tmp"), "orders", "customers"),
                    "tmp",
                    "orders",
                )
            }),
        ),
        ("an unknown operator", Shape, "2016_row_number", replace("\"Segment\"", "\"Segment 2\"")),
    ];
    assert!(pairs.len() >= 10);
    for (what, level, name, change) in pairs {
        let (old, new) = (fingerprints(&fixture(name)), fingerprints(&change(&fixture(name))));
        assert_ne!(old.exact, new.exact, "{what} in {name}");
        assert_eq!(old.shape != new.shape, level == Shape, "{what} in {name}");
    }
}

#[test]
fn the_hash_of_the_server_is_reported() {
    let xml = fixture("2016_heap_scan");
    let plan = super::parse(&xml).plan;
    assert_eq!(plan.query_hash, Some(0x1F2E_3D4C_5B6A_7988));
    assert_eq!(plan.query_plan_hash, Some(0xA1B2_C3D4_E5F6_0718));
}
