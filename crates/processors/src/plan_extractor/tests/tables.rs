//! What the receiver says of the tables beside a plan: their sizes, and what they are partitions of.

use dbintel_model::{PlanTable, QueryText};

use super::*;

fn table(
    schema: &'static str,
    name: &'static str,
    rows: Option<f64>,
    parent: Option<&'static str>,
) -> PlanTable {
    let pages = rows.map(|rows| rows as i64 / 100);
    PlanTable { schema: schema.into(), name: name.into(), rows, pages, parent: parent.map(Text::from) }
}

/// A scan of this table of schema `public`, or of a common table expression of this name.
fn scan(operator: &str, table: &str, rows: u32) -> String {
    let name = match operator {
        "CTE Scan" => format!(r#""CTE Name":"{table}""#),
        _ => format!(r#""Schema":"public","Relation Name":"{table}""#),
    };
    format!(
        r#"[{{"Plan":{{"Node Type":"{operator}",{name},"Alias":"a","Startup Cost":0.5,"Total Cost":9.5,"Plan Rows":{rows},"Plan Width":8}}}}]"#
    )
}

fn of_tables(raw: &str, at: Timestamp, tables: Vec<PlanTable>) -> Record {
    let Record::Plan(mut plan) = observation(1, PlanRung::Generic, raw, at) else { panic!("a plan") };
    plan.tables = tables.into();
    Record::Plan(plan)
}

fn tree(fixture: &mut Fixture) -> String {
    let list = show(&mut fixture.processor, None);
    let details = show(&mut fixture.processor, Some(list[0].statement.clone()));
    details[0].details.as_ref().unwrap().tree.to_string()
}

fn show(processor: &mut PlanExtractor, statement: Option<Text>) -> Vec<dbintel_pipeline::PlanView> {
    let mut random = fastrand::Rng::with_seed(1);
    let mut cx = Context { now: NOW, monotonic: ManualClock::at(NOW).monotonic(), random: &mut random };
    processor.command(&mut cx, &Command::Plans { statement }, &mut Output::default()).plans
}

#[test]
fn a_scan_has_the_size_of_its_table_and_nothing_else_has() {
    let known =
        || vec![table("sales", "orders", Some(7.0), None), table("public", "orders", Some(1e6), None)];
    let told = "(1000000 rows in 10000 pages by pg_class)";
    let check = |operator: &str, tables: Vec<PlanTable>, expected: Option<&str>| {
        let mut fixture = fixture("{}");
        let records = fixture.run(vec![of_tables(&scan(operator, "orders", 3), NOW, tables)]);
        let Record::QueryPlan(plan) = &records[0] else { panic!("{records:?}") };
        let tree = tree(&mut fixture);
        match expected {
            Some(told) => {
                assert!(plan.summary.ends_with(told), "{}", plan.summary);
                assert!(tree.contains("table of 1000000 rows"), "{tree}");
            }
            None => {
                assert!(!format!("{}{tree}", plan.summary).contains("pg_class"), "{} {tree}", plan.summary);
            }
        }
    };
    check("Seq Scan", known(), Some(told));
    check("CTE Scan", known(), None);
    check("Seq Scan", vec![table("sales", "orders", Some(7.0), None)], None);
    check("Seq Scan", vec![table("public", "orders", None, None)], None);
    check("Seq Scan", Vec::new(), None);
}

#[test]
fn sizes_are_those_of_the_last_time_also_where_the_plan_is_not_read_again() {
    let mut fixture = fixture("{}");
    for (rows, size) in [(3, 1e6), (4, 2e6)] {
        let plan = scan("Seq Scan", "orders", rows);
        fixture.run(vec![of_tables(&plan, NOW, vec![table("public", "orders", Some(size), None)])]);
    }
    assert!(tree(&mut fixture).contains("table of 2000000 rows in 20000 pages by pg_class"));
}

/// Causes of going from a scan of one partition to an index scan of it, after analyses of these tables.
fn causes(analyzed: [&'static str; 4], tables: &[PlanTable], text: Option<&str>) -> Vec<String> {
    let mut fixture = fixture("{}");
    let seen = |operator: &str, at: u64| {
        let at = NOW.plus(Duration::from_secs(at));
        let Record::Plan(mut plan) = of_tables(&scan(operator, "day_1", 3), at, tables.to_vec()) else {
            panic!("a plan")
        };
        plan.text = text.map(|text| {
            Arc::new(QueryText {
                masked: Some(text.into()),
                fingerprint: 1,
                kind: "select",
                operation: None,
                summary: None,
                truncated: false,
            })
        });
        Record::Plan(plan)
    };
    fixture.run(vec![seen("Seq Scan", 1)]);
    fixture.run(analyzed.map(|name| lane::change(ChangeKind::Analyze, name, None)).into());
    let records = fixture.run(vec![seen("Index Scan", 60)]);
    let change = records.iter().find_map(|record| match record {
        Record::PlanChange(change) => Some(change),
        _ => None,
    });
    let names =
        change.unwrap().causes.iter().map(|cause| cause.description.split([' ', ',']).nth(1).unwrap());
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    names
}

#[test]
fn what_is_done_to_what_a_table_is_a_partition_of_is_a_cause() {
    let analyzed = ["public.year", "public.month", "other.month", "public.day_2"];
    let tables = [
        table("public", "year", None, None),
        table("public", "month", None, Some("public.year")),
        table("public", "day_1", Some(1.0), Some("public.month")),
        table("public", "day_2", Some(1.0), Some("public.month")),
    ];
    assert_eq!(causes(analyzed, &tables, None), ["public.month", "public.year"]);
    let circle =
        [table("public", "day_1", None, Some("public.day_1")), table("public", "x", None, Some("public.y"))];
    assert_eq!(causes(analyzed, &circle, None), [""; 0]);
    // Where nobody looked, it is what the statement names.
    assert_eq!(
        causes(analyzed, &[], Some("SELECT * FROM Year y WHERE month = ?")),
        ["other.month", "public.month", "public.year"]
    );
    assert_eq!(causes(analyzed, &[], None), [""; 0]);
}
