//! What every supported major version gives, on real servers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests, which clippy sees only in functions marked as such"
)]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use dbintel_model::catalogue::METRICS;
use dbintel_model::{ChangeKind, Exactness, GapReason};
use dbintel_testkit::postgres::{Cluster, Major, Options, OwnStatements};
use support::world::World;
use support::{Watched, changes, gaps, points, queries, value};

const FAST: &str = "\ncollection_interval: 1s\ninitial_delay: 0\ntls: {insecure: true}\n\
    top_query_collection: {collection_interval: 1s}\nobject_collection: {collection_interval: 1s}\nsize_collection: {collection_interval: 1s}";

const FUNCTION_AND_SEQUENCE: &str = "CREATE FUNCTION public.twice(n int) RETURNS int LANGUAGE plpgsql \
    AS 'BEGIN RETURN 2 * n; END'; SELECT twice(21); \
    CREATE SEQUENCE public.nearly AS smallint; SELECT setval('nearly', 30000)";

async fn cluster(major: Major) -> Cluster {
    let cluster = Cluster::start(major, Options::new().setting("track_functions", "all")).await;
    cluster.create_monitor_role(OwnStatements::Untracked).await;
    cluster.create_extension("postgres", "pg_stat_statements").await;
    let schema = "CREATE TABLE public.orders (id int PRIMARY KEY, note text); \
        INSERT INTO orders SELECT n, 'note' FROM generate_series(1, 1000) n; \
        ANALYZE orders";
    cluster.execute("postgres", schema).await;
    cluster
}

fn yaml(cluster: &Cluster, more: &str) -> String {
    format!(
        "endpoint: 127.0.0.1:{}\nusername: dbintel\npassword: monitor-of-the-test{FAST}{more}",
        cluster.port()
    )
}

/// Switches every metric of the catalogue on.
fn everything() -> String {
    let names: Vec<_> =
        METRICS.iter().map(|metric| format!("  {}: {{enabled: true}}", metric.name)).collect();
    format!("\nmetrics:\n{}", names.join("\n"))
}

/// Metrics whose views, columns or functions a version lacks.
fn not_in_this_version(major: Major) -> BTreeSet<&'static str> {
    let mut missing = BTreeSet::new();
    let number = major.number();
    if number < 14 {
        missing.extend(["postgresql.session.time", "postgresql.sessions", "postgresql.sessions.terminated"]);
        missing.extend(["postgresql.statements.coverage", "postgresql.statements.evicted"]);
        missing.extend(["postgresql.wal.buffers_full", "postgresql.wal.bytes"]);
        missing.extend(["postgresql.wal.full_page_images", "postgresql.wal.records"]);
    }
    if number < 16 {
        missing.extend(["postgresql.io.buffers", "postgresql.io.operations", "postgresql.io.size"]);
        missing.extend(["postgresql.io.time", "postgresql.table.newpage_updates"]);
    }
    if number < 17 {
        missing.insert("postgresql.restartpoint.count");
    }
    if number < 18 {
        missing.extend(["postgresql.parallel_workers", "postgresql.table.maintenance.time"]);
    }
    missing
}

/// A server on which every metric of its version has something to say, and its standby.
async fn world(major: Major) -> World {
    let mut world = World::start(major).await;
    let schema = format!("{FUNCTION_AND_SEQUENCE}; GRANT SELECT ON SEQUENCE public.nearly TO dbintel");
    world.primary.execute("postgres", &schema).await;
    world.archive().await;
    world.hold().await;
    world.build_index().await;
    world.write().await;
    world
}

async fn every_metric(major: Major) {
    let world = world(major).await;
    let cluster = &world.primary;
    eprintln!("PostgreSQL {}", cluster.versions().await.server_version);
    let mut watched = Watched::start(&yaml(cluster, &everything()));
    let mut on_standby = Watched::start(&yaml(&world.standby, &everything()));
    let expected: BTreeSet<&str> = METRICS
        .iter()
        .map(|metric| metric.name)
        .filter(|name| !not_in_this_version(major).contains(name))
        // From files and not from the server: see log_errors.rs.
        .filter(|name| *name != "postgresql.log.errors")
        .collect();
    let mut missing = BTreeSet::new();
    let mut client = cluster.connect("postgres").await;
    let complete = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            // Something must be active between two polls for the coverage to be known.
            sqlx::query("SELECT pg_sleep(0.05)").execute(&mut client).await.unwrap();
            let names: BTreeSet<&str> = [&watched, &on_standby]
                .into_iter()
                .flat_map(|server| points(server.batches()))
                .map(|point| point.metric.name)
                .collect();
            missing = expected.difference(&names).copied().collect();
            if missing.is_empty() {
                break;
            }
            watched.next().await;
            on_standby.next().await;
        }
    })
    .await;
    assert!(
        complete.is_ok(),
        "missing on {major:?}: {missing:?}; gaps: {:#?}",
        gaps(watched.batches()).collect::<Vec<_>>()
    );
    let orders = [("db.namespace", "postgres|public"), ("db.collection.name", "orders")];
    assert_eq!(value(watched.batches(), "postgresql.rows", &orders), Some(1000.0));
    let all_gaps = [&watched, &on_standby].into_iter().flat_map(|server| gaps(server.batches()));
    let unexpected: Vec<_> = all_gaps
        .filter(|gap| !matches!(gap.reason, GapReason::NotInThisVersion))
        .map(|gap| (gap.what.clone(), gap.reason, gap.detail.clone()))
        .collect();
    assert_eq!(unexpected, [], "gaps on {major:?}");
    watched.stop().await;
    on_standby.stop().await;
}

async fn statement_deltas(major: Major) {
    let cluster = cluster(major).await;
    let mut watched = Watched::start(&yaml(&cluster, ""));
    let rows = |batches: &[_]| value(batches, "postgresql.statements.count", &[]);
    watched.until("a baseline", rows).await;
    let mut client = cluster.connect("postgres").await;
    for n in 0..25 {
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("SELECT note FROM orders WHERE id = {n}")))
            .execute(&mut client)
            .await
            .unwrap();
    }
    let query = watched.query("FROM orders WHERE id =").await;
    let total = |batches: &[std::sync::Arc<dbintel_model::Batch>]| {
        let mine = queries(batches).filter(|found| found.key == query.key);
        let (calls, rows) = mine
            .fold((0, 0.0), |sum, found| (sum.0 + found.calls, sum.1 + found.counters.get("rows").unwrap()));
        (calls == 25).then_some(rows)
    };
    assert_eq!(watched.until("all calls", total).await, 24.0);
    let text = query.text.as_ref().unwrap();
    assert_eq!((text.kind, text.operation, text.truncated), ("select", Some("SELECT"), false));
    assert_eq!(query.key.toplevel.is_some(), major.number() >= 14);
    assert_eq!(query.exactness, Exactness::LowerBound, "what it did before, if it was removed, is unknown");
    assert!(query.moments.unwrap().mean_ms > 0.0 && query.rank.is_some());
    watched.forget();
    sqlx::raw_sql("SELECT note FROM orders WHERE id = 25").execute(&mut client).await.unwrap();
    let again = |batches: &[std::sync::Arc<dbintel_model::Batch>]| {
        queries(batches).find(|found| found.key == query.key).map(|found| (found.calls, found.exactness))
    };
    let exactness = if major.number() >= 17 { Exactness::Exact } else { Exactness::LowerBound };
    assert_eq!(watched.until("one more call", again).await, (1, exactness));
    // Nothing of ours is among the statements, and no transaction id is used.
    let ours = "SELECT count(*) FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid WHERE rolname = 'dbintel'";
    assert_eq!(cluster.scalar::<i64>("postgres", ours).await, 0);
    let before: i64 = cluster.scalar("postgres", "SELECT txid_snapshot_xmax(txid_current_snapshot())").await;
    watched.forget();
    watched.until("one more poll", rows).await;
    watched.forget();
    watched.until("and one more", rows).await;
    let after: i64 = cluster.scalar("postgres", "SELECT txid_snapshot_xmax(txid_current_snapshot())").await;
    assert_eq!(before, after, "the collector used transaction ids");
    cluster.execute("postgres", "SELECT pg_stat_statements_reset()").await;
    if major.number() >= 14 {
        let reset = |batches: &[_]| {
            changes(batches).find(|change| change.kind == ChangeKind::StatisticsReset).cloned()
        };
        watched.until("the reset", reset).await;
    }
    watched.stop().await;
}

macro_rules! on_every_major {
    ($($major:ident: $metrics:ident, $statements:ident;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $metrics() {
                every_metric(Major::$major).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $statements() {
                statement_deltas(Major::$major).await;
            }
        )*
    };
}

on_every_major! {
    V13: every_metric_of_the_catalogue_on_13, statements_on_13;
    V14: every_metric_of_the_catalogue_on_14, statements_on_14;
    V15: every_metric_of_the_catalogue_on_15, statements_on_15;
    V16: every_metric_of_the_catalogue_on_16, statements_on_16;
    V17: every_metric_of_the_catalogue_on_17, statements_on_17;
    V18: every_metric_of_the_catalogue_on_18, statements_on_18;
}
