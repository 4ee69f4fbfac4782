//! How fast showplans of SQL Server are read, summarised, fingerprinted and redacted.
//!
//! `cargo bench -p dbintel-benches --bench showplan`. The plan is made here, in the form of the published schema; the larger
//! one has about a mebibyte.

#![allow(missing_docs, reason = "criterion_group makes undocumented functions")]

use std::{fmt::Write as _, hint::black_box};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dbintel_plan::{Budget, parse_sql_server, redact_sql_server};

/// A plan of at least this many bytes: joins over seeks and lookups, with counters of two threads.
fn showplan(bytes: usize) -> String {
    let mut inputs = String::new();
    for number in 0.. {
        if inputs.len() >= bytes {
            break;
        }
        input(number, &mut inputs);
    }
    format!(
        "<ShowPlanXML xmlns=\"http://schemas.microsoft.com/sqlserver/2004/07/showplan\" Version=\"1.564\" Build=\"16.0.1000.6\">\
         <BatchSequence><Batch><Statements><StmtSimple StatementText=\"SELECT o.id FROM orders o WHERE o.state = 'paid'\" \
         StatementType=\"SELECT\" QueryHash=\"0x1F2E3D4C5B6A7988\" QueryPlanHash=\"0xA1B2C3D4E5F60718\"><QueryPlan DegreeOfParallelism=\"2\">\
         <RelOp NodeId=\"0\" PhysicalOp=\"Concatenation\" LogicalOp=\"Concatenation\" EstimateRows=\"9\"><Concat>{inputs}</Concat></RelOp>\
         </QueryPlan></StmtSimple></Statements></Batch></BatchSequence></ShowPlanXML>"
    )
}

fn input(number: usize, out: &mut String) {
    let table =
        format!("Database=\"[Shop]\" Schema=\"[dbo]\" Table=\"[orders_{}]\" Alias=\"[o]\"", number % 40);
    let _ = write!(
        out,
        "<RelOp NodeId=\"{number}\" PhysicalOp=\"Clustered Index Seek\" LogicalOp=\"Clustered Index Seek\" EstimateRows=\"{number}.5\" \
         EstimateIO=\"0.003125\" EstimateCPU=\"0.0001581\" AvgRowSize=\"27\" EstimatedTotalSubtreeCost=\"0.0065704\" TableCardinality=\"1e+06\" \
         Parallel=\"0\" EstimateRebinds=\"0\" EstimateRewinds=\"0\" EstimatedExecutionMode=\"Row\">\
         <OutputList><ColumnReference {table} Column=\"id\"/><ColumnReference {table} Column=\"total\"/></OutputList>\
         <RunTimeInformation><RunTimeCountersPerThread Thread=\"1\" ActualRows=\"7\" ActualExecutions=\"1\" ActualElapsedms=\"1\"/>\
         <RunTimeCountersPerThread Thread=\"2\" ActualRows=\"9\" ActualExecutions=\"1\" ActualElapsedms=\"1\"/></RunTimeInformation>\
         <IndexScan Ordered=\"1\" ScanDirection=\"FORWARD\" ForcedIndex=\"0\" ForceSeek=\"0\" Storage=\"RowStore\">\
         <DefinedValues><DefinedValue><ColumnReference {table} Column=\"id\"/></DefinedValue></DefinedValues>\
         <Object {table} Index=\"[PK_orders]\" IndexKind=\"Clustered\"/><SeekPredicates><SeekPredicateNew><SeekKeys>\
         <Prefix ScanType=\"EQ\"><RangeColumns><ColumnReference {table} Column=\"id\"/></RangeColumns><RangeExpressions>\
         <ScalarOperator ScalarString=\"({number})\"><Const ConstValue=\"({number})\"/></ScalarOperator></RangeExpressions></Prefix>\
         </SeekKeys></SeekPredicateNew></SeekPredicates><Predicate><ScalarOperator ScalarString=\"[Shop].[dbo].[orders_{0}].[state] as \
         [o].[state]=N'paid' AND [Shop].[dbo].[orders_{0}].[total] as [o].[total]&gt;(1{number}.5)\"><Identifier/></ScalarOperator></Predicate>\
         </IndexScan></RelOp>",
        number % 40
    );
}

fn reading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("showplan");
    for (name, bytes) in [("10KiB", 10 * 1024), ("1MiB", 1024 * 1024)] {
        let xml = showplan(bytes);
        group.throughput(Throughput::Bytes(xml.len() as u64));
        group.bench_function(format!("parse/{name}"), |bench| {
            bench.iter(|| {
                parse_sql_server(black_box(xml.as_bytes()), &mut Budget::unlimited()).plan.nodes().len()
            });
        });
        let parsed = parse_sql_server(xml.as_bytes(), &mut Budget::unlimited());
        assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
        group.bench_function(format!("summary_and_fingerprints/{name}"), |bench| {
            bench.iter(|| (black_box(&parsed.plan).summary().nodes, parsed.plan.fingerprints()));
        });
        group.bench_function(format!("redact/{name}"), |bench| {
            bench.iter(|| redact_sql_server(black_box(xml.as_bytes()), &mut Budget::unlimited()).xml.len());
        });
        group.bench_function(format!("all/{name}"), |bench| {
            bench.iter(|| {
                let bytes = black_box(xml.as_bytes());
                let plan = parse_sql_server(bytes, &mut Budget::unlimited()).plan;
                let redacted = redact_sql_server(bytes, &mut Budget::unlimited());
                (plan.summary().nodes, plan.fingerprints(), redacted.xml.len())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, reading);
criterion_main!(benches);
