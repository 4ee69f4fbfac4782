//! `make demo`: a private PostgreSQL with a live workload, the collector beside it, what it sees, live, and what comes of
//! an index that somebody drops.
//!
//! With a time limit it fails unless the story came to its end within it: the regression was found, is on the page of findings, was repaired,
//! and the repair was confirmed.
//!
//! Everything is on loopback and below one temporary directory, which is removed at the end. The collector is the real
//! program; this program is only the database's users and the OTLP backend.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::exit,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a program for people to look at, not part of the product"
)]

mod attributes;
mod story;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dbintel_testkit::otlp_sink::{OtlpSink, Received};
use dbintel_testkit::postgres::{Cluster, Major, Options, OwnStatements};
use dbintel_testkit::process::{Dbintel, Launch};
use dbintel_testkit::workload::{Shop, Size, Traffic};
use opentelemetry_proto::tonic::logs::v1::LogRecord;

use self::attributes::{double, int, text};
use self::story::{Program, Story};

/// How often the summary is printed.
const EVERY: Duration = Duration::from_secs(5);
/// Statements of the workload per second.
const STATEMENTS_PER_SECOND: f64 = 200.0;
/// Statements in the summary.
const SHOWN: usize = 8;
/// Characters of a statement in the summary.
const TEXT_CHARS: usize = 60;

#[derive(Default)]
struct Statement {
    calls: i64,
    seconds: f64,
    text: String,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let end = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    println!("starting a private PostgreSQL {} with a workload …", Major::V17.number());
    let cluster = Cluster::start(Major::V17, Options::new().setting("track_io_timing", "on")).await;
    let role = cluster.create_monitor_role(OwnStatements::Untracked).await;
    cluster.execute("postgres", &format!("GRANT pg_read_all_data TO {}", role.name)).await;
    cluster.create_extension("postgres", "pg_stat_statements").await;
    let shop = Shop::install(&cluster, Size::SMALL).await;
    let traffic = Traffic::start(&cluster, &shop, STATEMENTS_PER_SECOND, 1);
    let backend = OtlpSink::start().await;
    let config = std::fs::read_to_string("config/demo.yaml").expect("run from the root of the project");
    let kept = tempfile::tempdir().expect("a temporary directory");
    let program = Program {
        config: kept.path().join("demo.yaml"),
        environment: vec![
            ("DEMO_POSTGRESQL", format!("127.0.0.1:{}", cluster.port())),
            ("DEMO_PASSWORD", role.password.clone()),
            ("DEMO_OTLP", backend.grpc_endpoint()),
            ("DEMO_STORE", kept.path().join("store.db").to_string_lossy().into_owned()),
        ],
    };
    std::fs::write(&program.config, &config).expect("own directory");
    let mut launch = Launch::run(&config);
    for (name, value) in &program.environment {
        launch = launch.env(name, value);
    }
    let mut collector = launch.start();
    collector.wait_until_ready(13_133, "/health/ready", Duration::from_secs(10)).await;
    print_where_to_look();
    let mut story = Story::new(&cluster, shop.database(), &program);
    let mut told = 0;
    loop {
        let wait = end.map_or(EVERY, |end| EVERY.min(end.saturating_duration_since(Instant::now())));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = tokio::signal::ctrl_c() => break,
        }
        if !collector.is_running() {
            println!("the collector ended:\n{}", collector.stderr());
            std::process::exit(1);
        }
        let received = backend.received();
        summarise(&received, &collector).await;
        told = tell_plan_changes(&received, told);
        story.go_on(&received, &collector).await;
        if end.is_some_and(|end| Instant::now() >= end) {
            break;
        }
    }
    let log = collector.stderr();
    let ended = collector.stop(Duration::from_secs(30)).await;
    let report = traffic.stop().await;
    let received = backend.received();
    println!("\nthe workload sent {} statements; the collector ended with {ended}", report.succeeded());
    println!(
        "the backend received {} points and {} events",
        received.data_points(),
        received.log_records().count()
    );
    received.assert_no_violations();
    println!("the story: {}", story.ending());
    for (chapter, lasted) in story.chapters() {
        println!("  {:>4.0} s {chapter}", lasted.as_secs_f64());
    }
    let problems: Vec<&str> =
        log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect();
    if !problems.is_empty() {
        println!("the collector's log has {} warnings, the first: {}", problems.len(), problems[0]);
    }
    assert!(ended.success() && received.data_points() > 0, "the demo did not work");
    assert!(end.is_none() || story.is_over(), "the story did not come to its end within the time given");
}

fn print_where_to_look() {
    println!(
        "the collector runs. Look at, while this goes on:\n  \
         http://127.0.0.1:55679/debug/pipelinez   what flows, what is missing, what it costs the database\n  \
         http://127.0.0.1:55679/debug/findingz    what was concluded, and on what it rests\n  \
         http://127.0.0.1:55679/debug/queryz      statements by time lost, with their hours\n  \
         http://127.0.0.1:55679/debug/planz       the plan of each statement, and why some have none\n  \
         http://127.0.0.1:13133/health            health of every component\n  \
         http://127.0.0.1:8888/metrics            the collector about itself\n  \
         http://127.0.0.1:9464/metrics            the database, for Prometheus\n"
    );
}

async fn summarise(received: &Received, collector: &Dbintel) {
    let mut statements: BTreeMap<String, Statement> = BTreeMap::new();
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for record in received.log_records() {
        *kinds.entry(record.event_name.clone()).or_default() += 1;
        if record.event_name == "db.server.top_query" {
            let statement = statements.entry(text(record, "postgresql.queryid")).or_default();
            statement.calls += int(record, "postgresql.calls");
            statement.seconds += double(record, "postgresql.total_exec_time");
            statement.text = text(record, "db.query.text");
        }
    }
    let mut top: Vec<&Statement> = statements.values().collect();
    top.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    println!("    calls   total ms    mean ms  statement");
    for statement in top.iter().take(SHOWN) {
        let mean = statement.seconds * 1e3 / statement.calls.max(1) as f64;
        let text: String = statement.text.chars().take(TEXT_CHARS).collect();
        println!("{:>9} {:>10.1} {:>10.3}  {text}", statement.calls, statement.seconds * 1e3, mean);
    }
    let events: Vec<String> = kinds.iter().map(|(name, count)| format!("{count} {name}")).collect();
    println!("  received: {} points; {}", received.data_points(), events.join(", "));
    println!("  own cost: {}\n", own_cost(collector).await);
}

/// Prints each change of a plan once. Says how many there are.
fn tell_plan_changes(received: &Received, told: usize) -> usize {
    let changes: Vec<&LogRecord> =
        received.log_records().filter(|record| record.event_name == "dbintel.plan.change").collect();
    for change in changes.iter().skip(told) {
        println!(
            "  ANOTHER PLAN for: {}\n    cost {:.2} -> {:.2} ({})",
            text(change, "db.query.text"),
            double(change, "dbintel.plan.old.cost"),
            double(change, "dbintel.plan.cost"),
            text(change, "dbintel.plan.rung"),
        );
        for line in text(change, "dbintel.plan.change.difference").lines() {
            println!("    {line}");
        }
        println!(
            "    at that time: {}\n",
            text(change, "dbintel.plan.change.causes").replace('\n', "\n      ")
        );
    }
    changes.len()
}

/// Database time by purpose, and the process' own resources.
async fn own_cost(collector: &Dbintel) -> String {
    let figures = collector.figures();
    let metrics = collector.http_get(8_888, "/metrics").await.map(|(_, body)| body).unwrap_or_default();
    let seconds: f64 = metrics
        .lines()
        .filter(|line| line.starts_with("dbintel_database_time_seconds_total{"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum();
    format!(
        "{:.0} ms of statements on the database in all; {} MiB resident, {:.2} s of CPU",
        seconds * 1e3,
        figures.rss_bytes >> 20,
        figures.cpu_time.as_secs_f64()
    )
}
