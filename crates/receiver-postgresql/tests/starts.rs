//! Start times of cumulative sums are the server's own: when the statistics they are read from were last reset.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, which clippy sees only in functions marked as such"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dbintel_model::catalogue::METRICS;
use dbintel_model::{Batch, MetricPoint};
use dbintel_testkit::postgres::{Cluster, Major, Options};
use support::settings::{cluster, yaml};
use support::{Watched, points, texts_of};

/// Families whose views say when they were reset.
const DATED: [&str; 6] = ["database", "bgwriter", "wal", "archiver", "io", "slru"];

/// The row whose `stats_reset` dates the point, as the view's documentation has it.
fn dated_by(major: Major, point: &MetricPoint) -> String {
    let texts = texts_of(point);
    let of = |name: &str| texts.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    match point.metric.family {
        "database" => format!("pg_stat_database WHERE datname = '{}'", of("db.namespace")),
        "slru" => format!("pg_stat_slru WHERE name = '{}'", of("postgresql.slru.name")),
        "bgwriter" => background(major, point.metric.name, of("source")).to_owned(),
        "io" => "pg_stat_io LIMIT 1".to_owned(),
        family => format!("pg_stat_{family}"),
    }
}

/// From 17 on, what the one view had is in three.
fn background(major: Major, metric: &str, source: &str) -> &'static str {
    let of_the_writer = metric.contains("allocated") || metric.contains("maxwritten") || source == "bgwriter";
    match source {
        _ if major < Major::V17 || of_the_writer => "pg_stat_bgwriter",
        "backend" | "backend_fsync" => "pg_stat_io LIMIT 1",
        _ => "pg_stat_checkpointer",
    }
}

/// What resets all of it.
fn resets(major: Major) -> Vec<String> {
    let mut shared = vec!["archiver", "bgwriter"];
    let since = [(Major::V14, "wal"), (Major::V16, "io"), (Major::V17, "checkpointer")];
    shared.extend(since.iter().filter(|(first, _)| major >= *first).map(|(_, what)| *what));
    let mut all = vec!["pg_stat_reset()".to_owned(), "pg_stat_reset_slru(NULL)".to_owned()];
    all.extend(shared.iter().map(|what| format!("pg_stat_reset_shared('{what}')")));
    all
}

async fn reset(cluster: &Cluster, function: &str) {
    cluster.execute("postgres", &format!("SELECT {function}")).await;
}

/// Whole microseconds, without the rounding of a double.
async fn told_by(cluster: &Cluster, row: &str) -> u64 {
    let sql = format!(
        "SELECT (SELECT extract(epoch FROM date_trunc('second', stats_reset))::int8 * 1000000 \
         + extract(microseconds FROM stats_reset)::int8 % 1000000 FROM {row})"
    );
    let told: Option<i64> = cluster.scalar("postgres", &sql).await;
    u64::try_from(told.unwrap_or_else(|| panic!("{row} was reset"))).unwrap()
}

/// Until the views show a reset that came after this time. Before 15 a process of its own keeps them, a little behind.
async fn until_shown(cluster: &Cluster, rows: BTreeSet<String>, after: u64) -> BTreeMap<String, u64> {
    let mut shown = BTreeMap::new();
    for row in rows {
        while told_by(cluster, &row).await < after {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let told = told_by(cluster, &row).await;
        shown.insert(row, told);
    }
    shown
}

async fn now(cluster: &Cluster) -> u64 {
    let sql = "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000000)::int8";
    u64::try_from(cluster.scalar::<i64>("postgres", sql).await).unwrap()
}

/// A receiver with every metric switched on.
fn watch(cluster: &Cluster) -> Watched {
    let on: Vec<_> = METRICS.iter().map(|metric| format!("{}: {{enabled: true}}", metric.name)).collect();
    let metrics = format!("{{{}}}", on.join(", "));
    Watched::start(&yaml(cluster.port(), &[("metrics", &metrics)]))
}

/// The points of dated sums that were read after this time, one for each series.
async fn sums(watched: &mut Watched, after: u64) -> BTreeMap<String, MetricPoint> {
    let wanted: Vec<_> = METRICS
        .iter()
        .filter(|metric| DATED.contains(&metric.family) && metric.is_monotonic() && metric.contrib)
        .map(|metric| metric.name)
        .collect();
    let find = |batches: &[Arc<Batch>]| {
        let dated = points(batches).filter(|point| {
            DATED.contains(&point.metric.family)
                && point.metric.is_monotonic()
                && point.time.as_micros() >= after
        });
        let sums: BTreeMap<_, _> = dated
            .map(|point| (format!("{} {:?}", point.metric.name, texts_of(point)), point.clone()))
            .collect();
        let complete = wanted.iter().all(|name| sums.values().any(|point| point.metric.name == *name));
        complete.then_some(sums)
    };
    watched.until("all sums with a date", find).await
}

/// Every such sum begins when the server says, and again after each reset.
async fn starts(major: Major) {
    let cluster = cluster(major, Options::new()).await;
    let begun = now(&cluster).await;
    for function in resets(major) {
        reset(&cluster, &function).await;
    }
    let mut watched = watch(&cluster);
    let mut before = BTreeMap::new();
    for (round, since) in [(1, begun), (2, now(&cluster).await)] {
        if round == 2 {
            for function in resets(major) {
                reset(&cluster, &function).await;
            }
        }
        let rows: BTreeSet<_> =
            sums(&mut watched, 0).await.values().map(|point| dated_by(major, point)).collect();
        let told = until_shown(&cluster, rows, since).await;
        let sums = sums(&mut watched, now(&cluster).await).await;
        let families: Vec<_> = sums.values().map(|point| point.metric.family).collect();
        assert!(families.contains(&"database") && families.contains(&"slru"), "{families:?}");
        for (name, point) in &sums {
            let start = point.start.unwrap().as_micros();
            assert_eq!(start, told[&dated_by(major, point)], "round {round}: {name}");
            assert!(start >= since, "round {round}: {name}");
            assert!(before.insert(name.clone(), start).is_none_or(|before| before < start), "{name}");
        }
    }
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sums_begin_when_the_server_last_reset_them() {
    tokio::join!(starts(Major::V13), starts(Major::V16), starts(Major::V17), starts(Major::V18));
}

/// A view that is reset alone moves the starts of what is read from it, and of nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_of_one_view_moves_no_other_start() {
    let cluster = cluster(Major::V18, Options::new()).await;
    let mut watched = watch(&cluster);
    let first = sums(&mut watched, 0).await;
    for function in ["pg_stat_reset_shared('checkpointer')", "pg_stat_reset_shared('bgwriter')"] {
        reset(&cluster, function).await;
        let reset_view =
            if function.contains("bgwriter") { "pg_stat_bgwriter" } else { "pg_stat_checkpointer" };
        let sums = sums(&mut watched, now(&cluster).await).await;
        let told = told_by(&cluster, reset_view).await;
        for (name, point) in &sums {
            let row = dated_by(Major::V18, point);
            let start = point.start.unwrap().as_micros();
            assert_eq!(start == told, row == reset_view, "{name} after {function}");
            if !["pg_stat_bgwriter", "pg_stat_checkpointer"].contains(&row.as_str()) {
                assert_eq!(point.start, first[name].start, "{name} after {function}");
            }
        }
    }
    watched.stop().await;
}
