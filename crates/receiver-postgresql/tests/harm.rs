//! What happens when the server is in trouble, or when we are: nothing is made worse, every part that can be read is
//! read, and every part that cannot has a reason in the records, on the status board and in self-metrics.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests, which clippy sees only in functions marked as such"
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use dbintel_model::{Batch, ChangeKind, GapReason};
use dbintel_testkit::postgres::{Cluster, Major, Options};
use dbintel_testkit::workload::distinct_statements_of_size;
use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions as _, Connection as _};
use support::client::{mark, marker_id, send};
use support::settings::{SAMPLES, cluster, orders, yaml};
use support::{Watched, calls, changes, gaps, queries, value};

const ORDERS: [(&str, &str); 2] = [("db.namespace", "postgres|public"), ("db.collection.name", "orders")];
const FREE: [(&str, &str); 2] = [("db.namespace", "postgres|public"), ("db.collection.name", "free")];
const SECOND: [(&str, &str); 2] = [("db.namespace", "second|public"), ("db.collection.name", "orders")];

/// How often a superuser tries to get a slot that is reserved for him, a fifth of a second apart: within one poll.
const SUPERUSER_ATTEMPTS: usize = 5;
/// One place for each loop.
const THREE: (&str, &str) = ("connection_pool", "{max_open: 3}");

async fn with_second_database(major: Major) -> Cluster {
    let cluster = cluster(major, Options::new()).await;
    cluster.execute("postgres", "CREATE TABLE public.free (id int PRIMARY KEY)").await;
    // A copy: its tables have the same object ids.
    cluster.execute("postgres", "CREATE DATABASE second TEMPLATE postgres").await;
    cluster
}

/// A table that is locked ACCESS EXCLUSIVE for the whole test hides its own size and nothing else: not its other
/// numbers, not the sizes of other tables, not anything of another database. The reason is told everywhere.
async fn locked_table(major: Major) {
    let cluster = with_second_database(major).await;
    let mut locker = cluster.connect("postgres").await;
    send(&mut locker, "BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[]));
    for part in ["table_size", "index_size"] {
        let gap = watched.gap_because(part, GapReason::LockTimeout).await;
        assert_eq!(gap.database.as_deref(), Some("postgres"));
        assert!(gap.detail.contains("locked"), "{}", gap.detail);
    }
    for _ in 0..2 {
        watched.still_delivers("postgresql.table.size", &FREE).await;
        watched.still_delivers("postgresql.table.size", &SECOND).await;
        assert_eq!(watched.still_delivers("postgresql.rows", &ORDERS).await, 1000.0);
        watched.still_delivers("postgresql.backends", &[]).await;
        assert_eq!(value(watched.batches(), "postgresql.table.size", &ORDERS), None);
    }
    assert_eq!(watched.missing("postgres: table_size").unwrap().reason, "lock_timeout");
    assert!(watched.missing("second: table_size").is_none());
    let counted = [("part", "table_size"), ("reason", "lock_timeout")];
    assert!(watched.own("dbintel_gaps_total", &counted).is_some_and(|count| count >= 1.0));
    send(&mut locker, "ROLLBACK").await;
    assert!(watched.still_delivers("postgresql.table.size", &ORDERS).await > 0.0);
    watched.until_not_missing("postgres: table_size").await;
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_table_hides_only_its_own_size() {
    tokio::join!(locked_table(Major::V13), locked_table(Major::V18));
}

/// A database whose catalogue is locked gives no data and a reason, costs no more than one waiting backend, and does
/// not keep the others from being read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_whose_catalogue_is_locked_does_not_stop_the_others() {
    let cluster = with_second_database(Major::V17).await;
    let mut locker = cluster.connect("postgres").await;
    // Functions cannot be looked up: not even `SELECT pg_backend_pid()` goes through.
    let mut watched = Watched::start(&yaml(cluster.port(), &[("databases", "[postgres, second]")]));
    watched.still_delivers("postgresql.rows", &SECOND).await;
    let mut in_second = cluster.connect("second").await;
    send(&mut in_second, "BEGIN; LOCK TABLE pg_catalog.pg_proc IN ACCESS EXCLUSIVE MODE").await;
    let ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
        WHERE application_name = 'dbintel' AND datname = 'second'";
    send(&mut locker, ours).await;
    let of_second = |batches: &[Arc<Batch>]| {
        gaps(batches)
            .find(|gap| gap.database.as_deref() == Some("second") && gap.reason == GapReason::LockTimeout)
            .cloned()
    };
    watched.until("the reason", of_second).await;
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dbintel' AND datname = 'second'";
    for _ in 0..3 {
        watched.still_delivers("postgresql.rows", &ORDERS).await;
        assert!(cluster.scalar::<i64>("postgres", waiting).await <= 1);
    }
    send(&mut in_second, "ROLLBACK").await;
    watched.still_delivers("postgresql.rows", &SECOND).await;
    watched.until_not_missing("second: database").await;
    watched.stop().await;
}

/// Connections to a port as the kernel has them at the server's end: those the server has not accepted yet, and those
/// that we closed and it has not noticed, are among them.
fn connections_to(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux");
    let open = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let local = fields[1].rsplit(':').next().and_then(|port| u16::from_str_radix(port, 16).ok());
        local == Some(port) && (fields[3] == "01" || fields[3] == "08")
    };
    table.lines().skip(1).filter(open).count()
}

/// A server that hangs (here: SIGSTOP) ends no poll late, is told as a gap, and never sees more connections than
/// `max_open`, however long it hangs. When it goes on, so do the data.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_is_not_given_more_connections() {
    let cluster = cluster(Major::V17, Options::new()).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[("timeout", "1s"), THREE, SAMPLES]));
    watched.still_delivers("postgresql.rows", &ORDERS).await;
    watched.until_own("dbintel_connections", &[("state", "open")], |open| open == 3.0).await;
    watched.forget();
    cluster.sigstop();
    for part in ["server", "database", "sessions"] {
        watched.gap_because(part, GapReason::DeadlineExceeded).await;
    }
    watched.until_own("dbintel_connections", &[("state", "held")], |held| held == 3.0).await;
    // Polls go on and end while the server still hangs.
    for name in ["server", "databases", "sessions"] {
        let polls = watched.own("dbintel_polls_total", &[("loop", name)]).unwrap();
        watched.until_own("dbintel_polls_total", &[("loop", name)], |now| now >= polls + 2.0).await;
    }
    assert_eq!(connections_to(cluster.port()), 3);
    // By now its breaker is open, and most polls send nothing.
    let reason = watched.missing("server").unwrap().reason;
    assert!(["deadline_exceeded", "not_admitted"].contains(&reason), "{reason}");
    cluster.sigcont();
    watched.still_delivers("postgresql.backends", &[]).await;
    watched.still_delivers("postgresql.rows", &ORDERS).await;
    watched.until_own("dbintel_connections", &[("state", "held")], |held| held == 0.0).await;
    watched.until_own("dbintel_connections", &[("state", "open")], |open| open == 3.0).await;
    watched.until_not_missing("server").await;
    let ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dbintel'";
    while cluster.scalar::<i64>("postgres", ours).await > 3 {
        watched.next().await;
    }
    watched.stop().await;
}

/// A server that hangs while we connect is not given one more connection per poll either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_at_the_first_connection_is_not_given_more() {
    let cluster = cluster(Major::V17, Options::new()).await;
    cluster.sigstop();
    let mut watched = Watched::start(&yaml(cluster.port(), &[THREE, SAMPLES]));
    watched.gap_because("server", GapReason::DeadlineExceeded).await;
    watched.until_own("dbintel_polls_total", &[("loop", "server")], |polls| polls >= 4.0).await;
    assert!(connections_to(cluster.port()) <= 3, "{}", connections_to(cluster.port()));
    cluster.sigcont();
    watched.still_delivers("postgresql.rows", &ORDERS).await;
    watched.until_own("dbintel_connections", &[("state", "held")], |held| held == 0.0).await;
    watched.stop().await;
}

async fn fill(cluster: &Cluster, crowd: &mut Vec<PgConnection>) {
    while let Ok(client) = cluster.socket_options("crowd", "postgres").connect().await {
        crowd.push(client);
    }
}

/// While the server refuses an attempt of ours it has a slot for it, so a superuser can find none for that moment. Of one attempt
/// a poll that is not to happen again and again.
async fn superuser(cluster: &Cluster) -> PgConnection {
    for _ in 0..SUPERUSER_ATTEMPTS {
        match cluster.socket_options("postgres", "postgres").connect().await {
            Ok(connection) => return connection,
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
    panic!("no reserved slot was free in {SUPERUSER_ATTEMPTS} attempts");
}

/// When every slot of the server is taken, that is told, the slots that are reserved for superusers stay free, however often we
/// try, but for the moment of a refusal, and everything is read again when others leave. What we have is given back if a poll
/// finds the breaker open, and goes on working if it does not.
async fn no_free_slots(major: Major) {
    let cluster = cluster(major, Options::new().setting("max_connections", "12")).await;
    cluster.execute("postgres", "CREATE ROLE crowd LOGIN").await;
    for database in ["second", "third"] {
        cluster.create_database(database).await;
        orders(&cluster, database).await;
    }
    // Three databases and two places for them: one is kept, the others are connected to for their visit only.
    let mut watched = Watched::start(&yaml(cluster.port(), &[THREE]));
    watched.still_delivers("postgresql.rows", &SECOND).await;
    let mut crowd = Vec::new();
    let crowding = async {
        loop {
            fill(&cluster, &mut crowd).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let gap = tokio::select! {
        gap = watched.gap_because("database", GapReason::TooManyConnections) => gap,
        () = crowding => unreachable!("it goes on until it is dropped"),
    };
    assert!(gap.detail.contains("reserved"), "{}", gap.detail);
    let mut superusers = Vec::new();
    for _ in 0..3 {
        superusers.push(superuser(&cluster).await);
        let of_databases = [("loop", "databases")];
        let polls = watched.own("dbintel_polls_total", &of_databases).unwrap();
        watched.until_own("dbintel_polls_total", &of_databases, |now| now >= polls + 2.0).await;
    }
    let counted = [("part", "database"), ("reason", "too_many_connections")];
    assert!(watched.own("dbintel_gaps_total", &counted).is_some_and(|count| count >= 1.0));
    for client in crowd.into_iter().chain(superusers) {
        client.close().await.unwrap();
    }
    watched.still_delivers("postgresql.rows", &SECOND).await;
    for database in ["postgres", "second", "third"] {
        watched.until_not_missing(&format!("{database}: database")).await;
    }
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_free_slots_we_take_none_of_the_reserved() {
    tokio::join!(no_free_slots(Major::V13), no_free_slots(Major::V17));
}

/// Fifty megabytes of statement texts are read within the deadlines; what is kept of them is bounded, masked and cut.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_megabytes_of_texts_are_read_within_bounds() {
    let cluster = cluster(Major::V17, Options::new().setting("pg_stat_statements.max", "20000")).await;
    distinct_statements_of_size(&cluster, "postgres", 0..5_200, 10 << 10).await;
    let text_bytes = "SELECT sum(length(query)) FROM pg_stat_statements";
    assert!(cluster.scalar::<i64>("postgres", text_bytes).await > 50 << 20);
    // Our side masks twenty megabytes meanwhile, unoptimised and beside other tests.
    let mut watched = Watched::start(&yaml(cluster.port(), &[("timeout", "30s")]));
    watched.still_delivers("postgresql.statements.count", &[]).await;
    watched.until_own("dbintel_text_cache_bytes", &[], |bytes| bytes > 12e6).await;
    distinct_statements_of_size(&cluster, "postgres", 0..20, 10 << 10).await;
    let query = watched.query("FROM distinct_source WHERE").await;
    let text = query.text.as_ref().unwrap();
    assert!(text.truncated && text.masked.as_ref().unwrap().len() <= 4096, "{text:?}");
    let (held, max) = (
        watched.own("dbintel_text_cache_bytes", &[]).unwrap(),
        watched.own("dbintel_text_cache_bytes_max", &[]).unwrap(),
    );
    assert!(held <= max, "{held} of {max}");
    let unread: Vec<_> =
        gaps(watched.batches()).filter(|gap| gap.what.as_str().starts_with("statement")).collect();
    assert!(unread.is_empty(), "{unread:?}");
    watched.stop().await;
}

/// What the lane refuses is neither lost nor counted twice, whichever poll is refused: after the pressure the sum of
/// all differences is what was executed, and every change has been told once.
async fn refusals(major: Major) {
    let cluster = cluster(major, Options::new()).await;
    let id = marker_id(&cluster).await;
    // Statements every third poll: a refused reading is followed by polls without one.
    let slow_statements = ("top_query_collection", "{collection_interval: 3s}");
    let mut watched = Watched::start(&yaml(cluster.port(), &[slow_statements]));
    watched.baseline().await;
    let mut client = cluster.connect("postgres").await;
    for round in 0..2 {
        watched.refuse(true);
        mark(&mut client, 20).await;
        cluster.execute("postgres", &format!("ALTER SYSTEM SET work_mem = '{}MB'", 10 + round)).await;
        cluster.execute("postgres", "SELECT pg_reload_conf()").await;
        // Long enough for a reading of the statements and several of the settings to be refused.
        tokio::time::sleep(Duration::from_millis(3_500)).await;
        watched.refuse(false);
        mark(&mut client, 5).await;
        let told = |batches: &[Arc<Batch>]| (settings_told(batches) > round).then_some(());
        watched.until("the change", told).await;
        tokio::time::sleep(Duration::from_millis(1_200)).await;
    }
    watched.until("every call", |batches| (calls(batches, id) >= 50).then_some(())).await;
    watched.readings(2).await;
    assert_eq!(calls(watched.batches(), id), 50);
    assert_eq!(settings_told(watched.batches()), 2);
    watched.stop().await;
}

fn settings_told(batches: &[Arc<Batch>]) -> usize {
    let of_work_mem = |change: &&dbintel_model::Change| {
        change.kind == ChangeKind::Setting && change.subject.as_deref() == Some("work_mem")
    };
    changes(batches).filter(of_work_mem).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_lane_refuses_is_counted_once_later() {
    tokio::join!(refusals(Major::V13), refusals(Major::V17));
}

/// A query of ours that the server cancels at `statement_timeout`, poll after poll, is a gap of its own; what is read
/// after it is still read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_always_times_out_does_not_starve_the_others() {
    let cluster = cluster(Major::V17, Options::new()).await;
    let mut locker = cluster.connect("postgres").await;
    // Only the view of sequences needs this table; it is longer locked than the statement may last.
    send(&mut locker, "BEGIN; LOCK TABLE pg_catalog.pg_sequence IN ACCESS EXCLUSIVE MODE").await;
    let limits = [("timeout", "300ms"), ("lock_timeout", "5s")];
    let mut watched = Watched::start(&yaml(cluster.port(), &limits));
    let gap = watched.gap_because("sequence", GapReason::StatementTimeout).await;
    assert_eq!(gap.database.as_deref(), Some("postgres"));
    assert_eq!(watched.missing("postgres: sequence").unwrap().reason, "statement_timeout");
    watched.still_delivers("postgresql.rows", &ORDERS).await;
    watched.still_delivers("postgresql.rows", &ORDERS).await;
    // Maintenance of tables is read after all families.
    cluster.execute("postgres", "ANALYZE orders").await;
    let analyzed =
        |batches: &[Arc<Batch>]| changes(batches).find(|change| change.kind == ChangeKind::Analyze).cloned();
    watched.until("the analysis", analyzed).await;
    assert!(watched.missing("postgres: database").is_none());
    send(&mut locker, "ROLLBACK").await;
    watched.until_not_missing("postgres: sequence").await;
    assert_eq!(queries(watched.batches()).filter(|query| query.calls < 0).count(), 0);
    watched.stop().await;
}
