//! What one plan costs that was not seen before, run by run: what criterion does not tell is how long the slow ones take.
//!
//! Reading, summary, fingerprints and redaction, one after the other on one core. Every run gets bytes of its own, so that
//! no run can profit from what the one before has left in the processor's predictions.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use dbintel_plan::{Budget, parse_postgresql, parse_sql_server, redact_postgresql, redact_sql_server};
use fastrand::Rng;
use serde::Serialize;

use crate::scenario::Extent;

/// As auto_explain logs it with `log_analyze`, `log_verbose`, `log_buffers` and `log_settings`.
const PLAN: &[u8] = include_bytes!("../data/plan-10k.json");
/// Of a large showplan.
const MEBIBYTE: usize = 1 << 20;
/// Runs before those that count.
const WARM_UP_RUNS: usize = 200;
/// Whatever is measured, the plans are the same.
const SEED: u64 = 1;

/// Single runs.
#[derive(Clone, Debug, Serialize)]
pub struct Runs {
    /// Bytes of the plan.
    pub bytes: usize,
    /// Runs.
    pub runs: usize,
    /// Half of them were shorter.
    pub median_us: f64,
    /// One in a hundred was longer.
    pub p99_us: f64,
    /// The longest.
    pub worst_us: f64,
}

/// Both engines.
#[derive(Clone, Debug, Serialize)]
pub struct Plans {
    /// A plan of PostgreSQL of about 10 KiB.
    pub postgresql: Runs,
    /// A showplan of SQL Server of a mebibyte.
    pub sql_server: Runs,
}

/// Measures both.
#[must_use]
pub fn measure(extent: Extent) -> Plans {
    let mut random = Rng::with_seed(SEED);
    let postgresql =
        time_each(extent.choose(20_000, 100_000), || other_numbers(PLAN, &mut random), of_postgresql);
    let xml = showplan(MEBIBYTE);
    let sql_server =
        time_each(extent.choose(200, 1_000), || other_numbers(xml.as_bytes(), &mut random), of_sql_server);
    Plans { postgresql, sql_server }
}

fn time_each(runs: usize, mut next: impl FnMut() -> Vec<u8>, work: fn(&[u8]) -> usize) -> Runs {
    for _ in 0..WARM_UP_RUNS.min(runs) {
        black_box(work(&next()));
    }
    let mut times_us = Vec::with_capacity(runs);
    let mut bytes = 0;
    for _ in 0..runs {
        let plan = next();
        bytes = plan.len();
        let begun = Instant::now();
        black_box(work(black_box(&plan)));
        times_us.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    times_us.sort_by(f64::total_cmp);
    Runs {
        bytes,
        runs,
        median_us: times_us[runs / 2],
        p99_us: times_us[runs * 99 / 100],
        worst_us: times_us[runs - 1],
    }
}

fn of_postgresql(bytes: &[u8]) -> usize {
    let parsed = parse_postgresql(bytes, &mut Budget::unlimited());
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
    black_box((parsed.plan.summary(), parsed.plan.fingerprints()));
    redact_postgresql(bytes, &mut Budget::unlimited()).json.len()
}

fn of_sql_server(bytes: &[u8]) -> usize {
    let parsed = parse_sql_server(bytes, &mut Budget::unlimited());
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
    black_box((parsed.plan.summary(), parsed.plan.fingerprints()));
    redact_sql_server(bytes, &mut Budget::unlimited()).xml.len()
}

/// The plan with another digit in each place behind the first of a number. Names with digits get others as well.
fn other_numbers(plan: &[u8], random: &mut Rng) -> Vec<u8> {
    let mut plan = plan.to_vec();
    for at in 1..plan.len() {
        let behind_a_digit = plan[at - 1].is_ascii_digit() || plan[at - 1] == b'.';
        if plan[at].is_ascii_digit() && behind_a_digit {
            plan[at] = random.digit(10) as u8;
        }
    }
    plan
}

/// A showplan of at least this many bytes, in the form of the published schema: joins over seeks and lookups, with counters
/// of two threads.
#[must_use]
pub fn showplan(bytes: usize) -> String {
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
