//! Who answers, and since when: whatever happens to the server or to the way that leads to it, no work is counted twice,
//! nothing is subtracted across nodes or incarnations, and what happened is told.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, which clippy sees only in functions marked as such"
)]

mod support;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;

use dbintel_model::catalogue::METRICS;
use dbintel_model::{Batch, Change, ChangeKind, GapReason, ValueRef};
use dbintel_testkit::postgres::{Cluster, Major, Options};
use dbintel_testkit::workload::distinct_statements;
use support::client::{mark, marker_id, pid};
use support::proxy::Proxy;
use support::settings::{SAMPLES, cluster, yaml};
use support::{Watched, calls, changes, gaps, queries, value};

fn changed(kind: ChangeKind) -> impl FnMut(&[Arc<Batch>]) -> Option<Change> {
    move |batches| changes(batches).find(|change| change.kind == kind).cloned()
}

fn nothing_negative(watched: &Watched) {
    for query in queries(watched.batches()) {
        assert!(query.calls >= 0 && query.total_time_ms >= 0.0, "{query:?}");
        query.counters.for_each_attribute(&mut |name, value| match value {
            ValueRef::Int(value) => assert!(value >= 0, "{name} of {query:?}"),
            ValueRef::Double(value) => assert!(value >= 0.0, "{name} of {query:?}"),
            _ => {}
        });
    }
}

/// A restart is told, its first reading is a baseline, and nothing that was counted before it is counted again, although
/// the server keeps its statistics.
async fn restart(major: Major) {
    let mut cluster = cluster(major, Options::new()).await;
    let id = marker_id(&cluster).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[]));
    watched.baseline().await;
    mark(&mut cluster.connect("postgres").await, 30).await;
    watched.until("the calls before", |batches| (calls(batches, id) == 30).then_some(())).await;
    cluster.restart().await;
    let told = watched.until("the restart", changed(ChangeKind::Restart)).await;
    let started: i64 = cluster
        .scalar("postgres", "SELECT (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8")
        .await;
    assert_eq!(told.at.unwrap().as_micros(), u64::try_from(started).unwrap());
    watched.readings(1).await;
    mark(&mut cluster.connect("postgres").await, 7).await;
    watched.until("the calls after", |batches| (calls(batches, id) == 37).then_some(())).await;
    watched.readings(1).await;
    assert_eq!(calls(watched.batches(), id), 37);
    assert_eq!(changes(watched.batches()).filter(|change| change.kind == ChangeKind::Restart).count(), 1);
    assert!(gaps(watched.batches()).any(|gap| gap.reason == GapReason::NodeChanged));
    nothing_negative(&watched);
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_is_a_baseline_on_13_and_17() {
    tokio::join!(restart(Major::V13), restart(Major::V17));
}

/// After `pg_stat_statements_reset` what is new is counted from zero, and where the server dates resets, the reset is told.
async fn reset(major: Major) {
    let cluster = cluster(major, Options::new()).await;
    let id = marker_id(&cluster).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[]));
    watched.baseline().await;
    let mut client = cluster.connect("postgres").await;
    mark(&mut client, 30).await;
    watched.until("the calls before", |batches| (calls(batches, id) == 30).then_some(())).await;
    cluster.execute("postgres", "SELECT pg_stat_statements_reset()").await;
    mark(&mut client, 9).await;
    watched.until("the calls after", |batches| (calls(batches, id) == 39).then_some(())).await;
    watched.readings(1).await;
    assert_eq!(calls(watched.batches(), id), 39);
    if major >= Major::V14 {
        let told = watched.until("the reset", changed(ChangeKind::StatisticsReset)).await;
        assert!(told.at.is_some());
    }
    nothing_negative(&watched);
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_begins_anew_on_13_and_18() {
    tokio::join!(reset(Major::V13), reset(Major::V18));
}

/// Ten times as many statements as the server keeps: evictions are told, and no statement is ever said to have run more
/// often than it did.
async fn eviction_storm(major: Major) {
    const ROUNDS: i64 = 3;
    let cluster = cluster(major, Options::new().setting("pg_stat_statements.max", "100")).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[]));
    watched.baseline().await;
    for _ in 0..ROUNDS {
        distinct_statements(&cluster, "postgres", 0..1_000).await;
        watched.readings(1).await;
    }
    // It is no longer among what is missing as soon as a poll has seen no eviction.
    let told = watched.gap_because("evicted statements", GapReason::Evicted).await;
    assert!(told.detail.contains("pg_stat_statements.max"), "{told:?}");
    watched.readings(1).await;
    let mut said: BTreeMap<i64, i64> = BTreeMap::new();
    for query in
        queries(watched.batches()).filter(|query| support::text_of(query).contains("distinct_source"))
    {
        *said.entry(query.key.query_id).or_default() += query.calls;
    }
    assert!(said.len() >= 50, "{}", said.len());
    let too_often: Vec<_> = said.iter().filter(|(_, calls)| **calls > ROUNDS).collect();
    assert!(too_often.is_empty(), "{too_often:?}");
    nothing_negative(&watched);
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_eviction_storm_is_told_and_never_overcounted() {
    tokio::join!(eviction_storm(Major::V13), eviction_storm(Major::V15), eviction_storm(Major::V18));
}

/// A standby is read like a primary: nothing fails there, with every metric and session samples switched on.
async fn standby(major: Major) {
    let primary = cluster(major, Options::new()).await;
    let standby = primary.standby().await;
    let id = marker_id(&primary).await;
    let metrics: Vec<_> =
        METRICS.iter().map(|metric| format!("{}: {{enabled: true}}", metric.name)).collect();
    let metrics = format!("{{{}}}", metrics.join(", "));
    let mut watched = Watched::start(&yaml(standby.port(), &[("metrics", &metrics), SAMPLES]));
    watched.baseline().await;
    mark(&mut standby.connect("postgres").await, 12).await;
    watched.until("the calls", |batches| (calls(batches, id) == 12).then_some(())).await;
    let orders = [("db.namespace", "postgres|public"), ("db.collection.name", "orders")];
    watched.until("a table", |batches| value(batches, "postgresql.table.size", &orders)).await;
    assert_eq!(value(watched.batches(), "postgresql.in_recovery", &[]), Some(1.0));
    assert_eq!(value(watched.batches(), "postgresql.recovery.replay_backlog", &[]), Some(0.0));
    let unexpected: Vec<_> =
        gaps(watched.batches()).filter(|gap| gap.reason != GapReason::NotInThisVersion).collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
    watched.stop().await;
    // The primary, for its part, sees the standby.
    let mut watched = Watched::start(&yaml(primary.port(), &[("metrics", &metrics)]));
    let behind = |batches: &[Arc<Batch>]| value(batches, "postgresql.replication.data_delay", &[]);
    assert!(watched.until("the standby", behind).await >= 0.0);
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_is_read_like_a_primary() {
    tokio::join!(standby(Major::V13), standby(Major::V18));
}

/// The standby has executed the statement far more often than the primary.
async fn with_busy_standby(major: Major) -> (Cluster, Cluster, i64) {
    let primary = cluster(major, Options::new()).await;
    let standby = primary.standby().await;
    let id = marker_id(&primary).await;
    mark(&mut primary.connect("postgres").await, 9).await;
    mark(&mut standby.connect("postgres").await, 500).await;
    (primary, standby, id)
}

/// The address moves to the standby, which is promoted: a failover is told with both nodes, the first reading of the new
/// primary is a baseline, and what it had executed before is never reported.
async fn failover(major: Major) {
    let (mut primary, standby, id) = with_busy_standby(major).await;
    let proxy = Proxy::start(&[primary.port()]).await;
    let mut watched = Watched::start(&yaml(proxy.port(), &[]));
    watched.baseline().await;
    mark(&mut primary.connect("postgres").await, 4).await;
    watched.until("the calls before", |batches| (calls(batches, id) == 4).then_some(())).await;
    primary.stop(dbintel_testkit::postgres::StopMode::Immediate).await;
    standby.promote().await;
    proxy.lead_to(&[standby.port()]);
    let told = watched.until("the failover", changed(ChangeKind::Failover)).await;
    let (before, after) = (told.before.unwrap(), told.after.unwrap());
    assert!(before.contains(&primary.port().to_string()) && before.contains("timeline 1"), "{before}");
    assert!(after.contains(&standby.port().to_string()) && after.starts_with("primary"), "{after}");
    watched.gap_because("statement differences", GapReason::NodeChanged).await;
    watched.readings(1).await;
    mark(&mut standby.connect("postgres").await, 6).await;
    watched.until("the calls after", |batches| (calls(batches, id) >= 10).then_some(())).await;
    watched.readings(1).await;
    assert_eq!(calls(watched.batches(), id), 10);
    nothing_negative(&watched);
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_is_told_and_nothing_is_subtracted_across_nodes() {
    tokio::join!(failover(Major::V14), failover(Major::V18));
}

/// An endpoint that leads to another node at every connection, and connections that break all the time: each node is
/// recognised, and what either has executed before is never reported.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_alternates_between_nodes_gives_no_false_work() {
    let (primary, standby, id) = with_busy_standby(Major::V16).await;
    let proxy = Proxy::start(&[primary.port(), standby.port()]).await;
    let mut watched = Watched::start(&yaml(proxy.port(), &[]));
    watched.baseline().await;
    let failovers = |batches: &[Arc<Batch>]| {
        changes(batches).filter(|change| change.kind == ChangeKind::Failover).count()
    };
    for round in 1.. {
        watched.readings(1).await;
        if failovers(watched.batches()) >= 3 {
            break;
        }
        assert!(round < 30, "{:?}", changes(watched.batches()).collect::<Vec<_>>());
        // How many connections are opened in a round is the machine's business, so the turn is made here.
        proxy.lead_to(&[if round % 2 == 0 { primary.port() } else { standby.port() }]);
        proxy.cut();
    }
    let nodes: std::collections::BTreeSet<_> = watched
        .batches()
        .iter()
        .filter_map(|batch| batch.node.as_ref()?.address.as_ref().map(ToString::to_string))
        .collect();
    assert_eq!(nodes.len(), 2, "{nodes:?}");
    assert_eq!(calls(watched.batches(), id), 0);
    nothing_negative(&watched);
    watched.stop().await;
}

/// A backend that is killed makes the server forget its statistics without starting anew: no work is counted that was not
/// done, and what is done afterwards is.
async fn crash(major: Major) {
    let cluster = cluster(major, Options::new()).await;
    let id = marker_id(&cluster).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[]));
    watched.baseline().await;
    mark(&mut cluster.connect("postgres").await, 30).await;
    watched.until("the calls before", |batches| (calls(batches, id) == 30).then_some(())).await;
    let started = "SELECT pg_postmaster_start_time()::text";
    let before: String = cluster.scalar("postgres", started).await;
    let mut victim = cluster.connect("postgres").await;
    let pid = pid(&mut victim).await.to_string();
    assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
    watched.gap_because("server", GapReason::ConnectionFailed).await;
    watched.until_not_missing("server").await;
    assert_eq!(cluster.scalar::<String>("postgres", started).await, before);
    watched.readings(1).await;
    mark(&mut cluster.connect("postgres").await, 40).await;
    // Before 14 nothing tells the incarnations apart if the counters have grown beyond the old ones: a lower bound.
    let expected = if major >= Major::V14 { 70 } else { 40 };
    watched.until("the calls after", |batches| (calls(batches, id) >= expected).then_some(())).await;
    watched.readings(2).await;
    assert!(calls(watched.batches(), id) <= 70, "{}", calls(watched.batches(), id));
    nothing_negative(&watched);
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_gives_no_false_counts() {
    tokio::join!(crash(Major::V13), crash(Major::V17));
}
