//! What our role may do and what the server has installed: what can be read is read, what cannot says what to run, and
//! once that has been run it is read, without a restart of anything.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, which clippy sees only in functions marked as such"
)]

mod support;

use std::sync::Arc;

use dbintel_model::{Batch, ChangeKind, GapReason};
use dbintel_pipeline::status::State;
use dbintel_testkit::postgres::{Cluster, Major, Options, OwnStatements};
use support::client::{Busy, mark, marker_id, send};
use support::settings::{SAMPLES, cluster, orders, yaml};
use support::{Watched, calls, changes, gaps, queries, sessions, value};

const ORDERS: [(&str, &str); 2] = [("db.namespace", "postgres|public"), ("db.collection.name", "orders")];

/// A role without `pg_monitor` gets what everybody may see, and is told what to grant for the rest. Once it is granted the
/// rest comes, and work done before is not taken for new.
async fn without_monitor(major: Major) {
    let cluster = cluster(major, Options::new()).await;
    cluster.execute("postgres", "CREATE ROLE plain LOGIN").await;
    let id = marker_id(&cluster).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[("username", "plain"), SAMPLES]));
    for part in ["statements of other roles", "sessions of other roles", "activity", "xmin"] {
        let gap = watched.gap_because(part, GapReason::InsufficientPrivilege).await;
        assert!(gap.detail.contains("GRANT pg_"), "{}", gap.detail);
    }
    assert_eq!(watched.still_delivers("postgresql.rows", &ORDERS).await, 1000.0);
    watched.still_delivers("postgresql.commits", &[]).await;
    watched.still_delivers("postgresql.db_size", &[("db.namespace", "postgres")]).await;
    assert_eq!(value(watched.batches(), "postgresql.session.count", &[]), None);
    mark(&mut cluster.connect("postgres").await, 50).await;
    watched.readings(2).await;
    cluster.execute("postgres", "GRANT pg_monitor TO plain").await;
    for part in ["statements of other roles", "sessions of other roles", "activity", "xmin"] {
        watched.until_not_missing(part).await;
    }
    watched.readings(2).await;
    let busy = Busy::start(&cluster, "postgres", "", "SELECT pg_sleep(60)").await;
    let sampled =
        |batches: &[Arc<Batch>]| sessions(batches).find(|session| session.pid == busy.pid).map(|_| ());
    watched.until("a session of another role", sampled).await;
    mark(&mut cluster.connect("postgres").await, 5).await;
    watched.until("the calls", |batches| (calls(batches, id) >= 5).then_some(())).await;
    watched.readings(1).await;
    assert_eq!(calls(watched.batches(), id), 5);
    assert!(!changes(watched.batches()).any(|change| change.kind == ChangeKind::Failover));
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_without_monitor_gets_what_it_may_and_says_what_to_grant() {
    tokio::join!(without_monitor(Major::V14), without_monitor(Major::V18));
}

/// Without the extension everything but the statements is read; `CREATE EXTENSION`, as the message says, is enough to read
/// them, and so it is after `DROP EXTENSION`, without a call counted twice.
async fn extension_comes_and_goes(major: Major) {
    let cluster = cluster(major, Options::new()).await;
    cluster.create_database("bare").await;
    let id = marker_id(&cluster).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[("connect_database", "bare")]));
    let gap = watched.gap_because("statements", GapReason::ExtensionMissing).await;
    assert!(gap.detail.contains("bare") && gap.detail.contains("CREATE EXTENSION"), "{}", gap.detail);
    watched.still_delivers("postgresql.rows", &ORDERS).await;
    assert!(watched.missing("server").is_none());
    cluster.create_extension("bare", "pg_stat_statements").await;
    watched.baseline().await;
    watched.until_not_missing("statements").await;
    let mut client = cluster.connect("postgres").await;
    mark(&mut client, 6).await;
    watched.until("the calls", |batches| (calls(batches, id) == 6).then_some(())).await;
    cluster.execute("bare", "DROP EXTENSION pg_stat_statements").await;
    watched.forget();
    watched.gap_because("statements", GapReason::ExtensionMissing).await;
    watched.still_delivers("postgresql.rows", &ORDERS).await;
    mark(&mut client, 4).await;
    cluster.create_extension("bare", "pg_stat_statements").await;
    watched.until_not_missing("statements").await;
    watched.until("the calls since", |batches| (calls(batches, id) == 4).then_some(())).await;
    watched.readings(1).await;
    assert_eq!(calls(watched.batches(), id), 4);
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_are_read_as_soon_as_the_extension_is_there() {
    tokio::join!(extension_comes_and_goes(Major::V13), extension_comes_and_goes(Major::V17));
}

/// A library that is not loaded is told as such, with or without the extension, although the role has a setting of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_library_that_is_not_loaded_is_told_as_such() {
    let cluster = Cluster::start(Major::V17, Options::new().setting("shared_preload_libraries", "")).await;
    cluster.create_monitor_role(OwnStatements::Untracked).await;
    orders(&cluster, "postgres").await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[]));
    let gap = watched.gap_because("statements", GapReason::ExtensionMissing).await;
    assert!(gap.detail.contains("shared_preload_libraries"), "{}", gap.detail);
    watched.forget();
    cluster.create_extension("postgres", "pg_stat_statements").await;
    // The same gap is not told again: the status board shows the newest words.
    let words = async {
        while !watched.missing("statements").is_some_and(|missing| missing.detail.contains("55000")) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), words).await.expect("the server's own words");
    let missing = watched.missing("statements").unwrap();
    assert!(missing.detail.contains("restart the server"), "{}", missing.detail);
    watched.still_delivers("postgresql.rows", &ORDERS).await;
    watched.stop().await;
}

/// An extension may be in any schema, also in one whose name needs quotes; a role that may not use it is told so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_extension_can_be_in_any_schema() {
    let cluster = Cluster::start(Major::V18, Options::new()).await;
    cluster.create_monitor_role(OwnStatements::Untracked).await;
    orders(&cluster, "postgres").await;
    let schema = r#"CREATE SCHEMA "Odd ""one"""; CREATE EXTENSION pg_stat_statements SCHEMA "Odd ""one""""#;
    cluster.execute("postgres", schema).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[]));
    let gap = watched.gap_because("statements", GapReason::InsufficientPrivilege).await;
    let grant = r#"GRANT USAGE ON SCHEMA "Odd ""one""" TO "#;
    assert!(gap.detail.contains(grant), "{}", gap.detail);
    cluster.execute("postgres", &format!("{grant} dbintel")).await;
    watched.baseline().await;
    watched.until_not_missing("statements").await;
    mark(&mut cluster.connect("postgres").await, 3).await;
    let query = watched.query("FROM orders WHERE id =").await;
    assert_eq!(query.calls, 3);
    watched.stop().await;
}

/// A wrong password is told without the password, and the right one is enough to go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_told_without_it() {
    let cluster = cluster(Major::V17, Options::new().scram()).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[("password", "canary-password")]));
    let gap = watched.gap_because("server", GapReason::AuthenticationFailed).await;
    assert!(gap.detail.contains("check username and password"), "{}", gap.detail);
    let state = watched.state();
    assert!(matches!(&state, State::Degraded(reason) if reason.contains("dbintel")), "{state:?}");
    cluster.execute("postgres", "ALTER ROLE dbintel PASSWORD 'canary-password'").await;
    watched.still_delivers("postgresql.rows", &ORDERS).await;
    assert_eq!(watched.state(), State::Ok);
    let told = format!("{:?} {:?} {}", watched.batches(), watched.board, watched.registry.prometheus_text());
    assert!(!told.contains("canary"), "{told}");
    watched.stop().await;
}

/// A filter that names what is not there says so, and what is there is read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_that_are_named_and_not_there_are_told() {
    let cluster = cluster(Major::V17, Options::new()).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[("databases", "[postgres, nowhere]")]));
    let gap = watched.gap("database").await;
    assert_eq!(gap.database.as_deref(), Some("nowhere"));
    assert!(gap.detail.contains("no such database"), "{}", gap.detail);
    watched.still_delivers("postgresql.rows", &ORDERS).await;
    watched.stop().await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[("databases", "[nowhere]")]));
    let gap = watched.gap("databases").await;
    assert!(gap.detail.contains("`databases`"), "{}", gap.detail);
    watched.still_delivers("postgresql.commits", &[]).await;
    cluster.create_database("nowhere").await;
    watched.until_not_missing("nowhere: database").await;
    watched.until_not_missing("databases").await;
    watched.still_delivers("postgresql.table.count", &[("db.namespace", "nowhere")]).await;
    watched.stop().await;
}

/// A database that refuses us is told with what to run; the others are read; and when it is gone, so is the complaint.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_that_refuse_us_are_told_with_what_to_run() {
    let rejected = "host rejected dbintel 127.0.0.1/32 reject";
    let cluster = cluster(Major::V16, Options::new().access(rejected)).await;
    for database in ["closed", "rejected", "zebra"] {
        cluster.create_database(database).await;
    }
    cluster.execute("postgres", "REVOKE CONNECT ON DATABASE closed FROM PUBLIC").await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[]));
    let gap = watched.gap_because("database", GapReason::InsufficientPrivilege).await;
    assert_eq!(gap.database.as_deref(), Some("closed"));
    assert!(gap.detail.contains("GRANT CONNECT ON DATABASE \"closed\""), "{}", gap.detail);
    let gap = watched.gap_because("database", GapReason::AuthenticationFailed).await;
    assert_eq!(gap.database.as_deref(), Some("rejected"));
    assert!(gap.detail.contains("pg_hba.conf"), "{}", gap.detail);
    watched.still_delivers("postgresql.rows", &ORDERS).await;
    // The next one in the order is visited all the same.
    watched.still_delivers("postgresql.table.count", &[("db.namespace", "zebra")]).await;
    cluster.execute("postgres", "GRANT CONNECT ON DATABASE closed TO dbintel").await;
    watched.still_delivers("postgresql.table.count", &[("db.namespace", "closed")]).await;
    watched.until_not_missing("closed: database").await;
    cluster.execute("postgres", "DROP DATABASE rejected").await;
    watched.until_not_missing("rejected: database").await;
    watched.stop().await;
}

async fn with_extension_version(major: Major, version: &str) -> Cluster {
    let cluster = Cluster::start(major, Options::new()).await;
    cluster.create_monitor_role(OwnStatements::Untracked).await;
    orders(&cluster, "postgres").await;
    let create = format!("CREATE EXTENSION pg_stat_statements VERSION '{version}'");
    cluster.execute("postgres", &create).await;
    cluster
}

/// An extension that was not updated with its server is read with the columns it has. Where its update gives entries other
/// identities, it is a baseline: what was counted before is not counted again.
async fn old_extension(major: Major, version: &str) {
    let cluster = with_extension_version(major, version).await;
    let id = marker_id(&cluster).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[]));
    watched.baseline().await;
    let mut client = cluster.connect("postgres").await;
    mark(&mut client, 30).await;
    watched.until("the calls before", |batches| (calls(batches, id) == 30).then_some(())).await;
    let query = queries(watched.batches()).find(|query| query.key.query_id == id).cloned().unwrap();
    assert!(query.total_time_ms > 0.0 && query.moments.is_some(), "{query:?}");
    let told_before = version == "1.10";
    assert_eq!(query.key.toplevel, told_before.then_some(true));
    assert_eq!(query.counters.get("rows"), Some(query.calls as f64));
    assert!(watched.missing("statements").is_none());
    send(&mut client, "ALTER EXTENSION pg_stat_statements UPDATE").await;
    if major >= Major::V14 && !told_before {
        watched.gap_because("statement differences", GapReason::StatisticsReset).await;
    }
    let told = |batches: &[Arc<Batch>]| {
        changes(batches).find(|change| change.kind == ChangeKind::Extension).cloned()
    };
    let told = watched.until("the update", told).await;
    assert_eq!(
        (told.subject.as_deref(), told.before.as_deref()),
        (Some("pg_stat_statements"), Some(version))
    );
    watched.readings(2).await;
    mark(&mut client, 8).await;
    watched.until("the calls after", |batches| (calls(batches, id) >= 38).then_some(())).await;
    watched.readings(1).await;
    assert_eq!(calls(watched.batches(), id), 38);
    let toplevel =
        queries(watched.batches()).filter(|query| query.key.query_id == id).last().unwrap().key.toplevel;
    assert_eq!(toplevel, (major >= Major::V14).then_some(true));
    let resets =
        changes(watched.batches()).filter(|change| change.kind == ChangeKind::StatisticsReset).count();
    assert_eq!(resets, 0, "an update is no reset; gaps: {:?}", gaps(watched.batches()).collect::<Vec<_>>());
    watched.stop().await;
}

/// A view of the name of one of the extension's that the extension did not make: its functions would run with our rights.
async fn foreign_view(major: Major, version: &str) {
    let cluster = with_extension_version(major, version).await;
    let trap = "CREATE FUNCTION public.trap() RETURNS bigint LANGUAGE plpgsql AS \
            'BEGIN PERFORM pg_advisory_lock(4711); RETURN 0; END'; \
        CREATE VIEW public.pg_stat_statements_info AS SELECT public.trap() AS dealloc, now() AS stats_reset; \
        GRANT SELECT ON public.pg_stat_statements_info TO PUBLIC";
    cluster.execute("postgres", trap).await;
    let id = marker_id(&cluster).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[]));
    watched.baseline().await;
    let mut client = cluster.connect("postgres").await;
    mark(&mut client, 3).await;
    watched.until("the calls", |batches| (calls(batches, id) == 3).then_some(())).await;
    let caught = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
    assert_eq!(cluster.scalar::<i64>("postgres", caught).await, 0, "{major}: somebody's function was run");
    assert!(watched.missing("statements").is_none());
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_that_is_not_the_extensions_is_not_read() {
    tokio::join!(foreign_view(Major::V13, "1.8"), foreign_view(Major::V15, "1.8"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_extension_is_read_and_its_update_counts_nothing_twice() {
    tokio::join!(
        old_extension(Major::V13, "1.7"),
        old_extension(Major::V15, "1.8"),
        old_extension(Major::V17, "1.8"),
        old_extension(Major::V17, "1.10"),
        old_extension(Major::V18, "1.4"),
    );
}
