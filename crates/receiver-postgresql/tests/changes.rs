//! What happened to the server is told once, with what it was before and what it is now, and without secrets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, which clippy sees only in functions marked as such"
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use dbintel_model::{Batch, Change, ChangeKind, Value};
use dbintel_testkit::postgres::{Cluster, Major, Options};
use support::settings::{cluster, yaml};
use support::{Watched, changes, value};

const ORDERS: [(&str, &str); 2] = [("db.namespace", "postgres|public"), ("db.collection.name", "orders")];

async fn told(watched: &mut Watched, kind: ChangeKind, subject: &str) -> Change {
    let find = |batches: &[Arc<Batch>]| {
        changes(batches)
            .find(|change| change.kind == kind && change.subject.as_deref() == Some(subject))
            .cloned()
    };
    watched.until(&format!("{} of {subject}", kind.as_str()), find).await
}

async fn set(cluster: &Cluster, name: &str, value: &str) {
    cluster.execute("postgres", &format!("ALTER SYSTEM SET {name} = '{value}'")).await;
    cluster.execute("postgres", "SELECT pg_reload_conf()").await;
}

/// A setting is told with its values before and after, also one that our own sessions override; one that can hold a secret
/// or a command is told without them.
async fn settings(major: Major) {
    let cluster = cluster(major, Options::new()).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[]));
    watched.still_delivers("postgresql.rows", &ORDERS).await;
    let check = [
        ("work_mem", "64MB", "4096 kB", "65536 kB"),
        ("statement_timeout", "45s", "0 ms", "45000 ms"),
        ("lock_timeout", "7s", "0 ms", "7000 ms"),
        ("random_page_cost", "1.1", "4", "1.1"),
        ("primary_conninfo", "host=a password=canary-1", "[redacted]", "[redacted]"),
        ("archive_command", "curl https://me:canary-2@archive/%f", "[redacted]", "[redacted]"),
    ];
    for (name, value, before, after) in check {
        set(&cluster, name, value).await;
        let change = told(&mut watched, ChangeKind::Setting, name).await;
        assert_eq!(
            (change.before.as_deref(), change.after.as_deref()),
            (Some(before), Some(after)),
            "{name}"
        );
        assert_eq!(change.database, None);
    }
    let number = changes(watched.batches()).filter(|change| change.kind == ChangeKind::Setting).count();
    assert_eq!(number, check.len(), "{:?}", changes(watched.batches()).collect::<Vec<_>>());
    assert!(!format!("{:?}", watched.batches()).contains("canary"));
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_are_told_before_and_after_and_without_secrets() {
    tokio::join!(settings(Major::V13), settings(Major::V18));
}

fn number(change: &Change, key: &str) -> f64 {
    let fact = change.facts.iter().find(|fact| &*fact.key == key).expect("a fact");
    match fact.value {
        Value::Int(int) => int as f64,
        Value::Double(double) => double,
        _ => panic!("{fact:?} is no number"),
    }
}

/// Statistics arrive when the session that made them is gone, perhaps after the analysis that should have cleared them.
async fn until_analyzed(cluster: &Cluster) {
    let inserted = "SELECT n_tup_ins = 1000 FROM pg_stat_user_tables WHERE relname = 'orders'";
    let unchanged = "SELECT n_mod_since_analyze = 0 FROM pg_stat_user_tables WHERE relname = 'orders'";
    let analyzed = async {
        while !cluster.scalar::<bool>("postgres", inserted).await {}
        while !cluster.scalar::<bool>("postgres", unchanged).await {
            cluster.execute("postgres", "ANALYZE orders").await;
            tokio::time::sleep(Duration::from_millis(600)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), analyzed).await.expect("an analysis clears the count");
}

/// ANALYZE, VACUUM and TRUNCATE of a table are told with its size before and after, and with how much had changed.
async fn maintenance(major: Major) {
    let cluster = cluster(major, Options::new().setting("autovacuum", "off")).await;
    until_analyzed(&cluster).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[]));
    watched.still_delivers("postgresql.rows", &ORDERS).await;
    cluster.execute("postgres", "DELETE FROM orders WHERE id <= 400").await;
    let modified = |batches: &[Arc<Batch>]| {
        value(batches, "postgresql.table.modified_since_analyze", &ORDERS).filter(|rows| *rows == 400.0)
    };
    watched.until("the deleted rows", modified).await;
    watched.still_delivers("postgresql.rows", &ORDERS).await;
    watched.still_delivers("postgresql.rows", &ORDERS).await;
    cluster.execute("postgres", "ANALYZE orders").await;
    let analyzed = told(&mut watched, ChangeKind::Analyze, "public.orders").await;
    assert_eq!(analyzed.database.as_deref(), Some("postgres"));
    assert!(analyzed.at.is_some());
    assert_eq!(number(&analyzed, "postgresql.table.modified_since_analyze"), 400.0);
    assert_eq!(number(&analyzed, "postgresql.table.reltuples"), 600.0);
    let file = number(&analyzed, "postgresql.table.relfilenode");
    cluster.execute("postgres", "VACUUM orders").await;
    let vacuumed = told(&mut watched, ChangeKind::Vacuum, "public.orders").await;
    assert!(vacuumed.at > analyzed.at && number(&vacuumed, "postgresql.table.relpages") > 0.0);
    cluster.execute("postgres", "TRUNCATE orders").await;
    let rewritten = told(&mut watched, ChangeKind::TableRewrite, "public.orders").await;
    assert_ne!(number(&rewritten, "postgresql.table.relfilenode"), file);
    assert_eq!(changes(watched.batches()).count(), 3, "{:?}", changes(watched.batches()).collect::<Vec<_>>());
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maintenance_of_tables_is_told_with_its_facts() {
    tokio::join!(maintenance(Major::V13), maintenance(Major::V17));
}

/// A reset of a database's statistics is told with its time; the first use of a database is none.
async fn resets(major: Major) {
    let cluster = cluster(major, Options::new()).await;
    cluster.create_database("other").await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[]));
    watched.still_delivers("postgresql.rows", &ORDERS).await;
    watched.readings(2).await;
    let is_reset = |change: &&Change| change.kind == ChangeKind::StatisticsReset;
    assert_eq!(changes(watched.batches()).filter(is_reset).count(), 0);
    cluster.execute("postgres", "SELECT pg_stat_reset()").await;
    let reset = told(&mut watched, ChangeKind::StatisticsReset, "pg_stat_database postgres").await;
    assert!(reset.at.is_some());
    watched.readings(2).await;
    assert_eq!(changes(watched.batches()).filter(is_reset).count(), 1);
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resets_of_the_statistics_of_databases_are_told() {
    tokio::join!(resets(Major::V13), resets(Major::V18));
}

/// An extension that comes or goes is told, in any database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn extensions_that_come_and_go_are_told() {
    let cluster = cluster(Major::V17, Options::new()).await;
    cluster.create_database("other").await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[]));
    watched.still_delivers("postgresql.rows", &ORDERS).await;
    cluster.create_extension("postgres", "hstore").await;
    let created = told(&mut watched, ChangeKind::Extension, "hstore").await;
    assert_eq!((created.before, created.database.as_deref()), (None, Some("postgres")));
    let version = created.after.unwrap();
    watched.forget();
    cluster.execute("postgres", "DROP EXTENSION hstore").await;
    let dropped = told(&mut watched, ChangeKind::Extension, "hstore").await;
    assert_eq!((dropped.before, dropped.after), (Some(version), None));
    cluster.create_extension("other", "citext").await;
    let elsewhere = told(&mut watched, ChangeKind::Extension, "citext").await;
    assert_eq!(elsewhere.database.as_deref(), Some("other"));
    watched.stop().await;
}
