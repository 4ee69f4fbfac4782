//! Session samples: who runs what, who waits for whom, and nothing of what anybody wrote between quotes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, which clippy sees only in functions marked as such"
)]

mod support;

use std::sync::Arc;

use dbintel_model::{Batch, Blocking, Session};
use dbintel_plan::sql::{MaskLimits, mask};
use dbintel_testkit::postgres::{Cluster, Major, Options};
use support::client::{Busy, pid, query_id, send};
use support::settings::{SAMPLES, cluster, yaml};
use support::{Watched, sessions, value};

/// Waits for a sample of a session that satisfies a condition.
async fn sampled(watched: &mut Watched, pid: i64, wanted: impl Fn(&Session) -> bool) -> Session {
    let find = |batches: &[Arc<Batch>]| {
        sessions(batches).find(|session| session.pid == pid && wanted(session)).cloned()
    };
    watched.until(&format!("session {pid}"), find).await
}

fn blocking(session: &Session) -> Blocking {
    session.blocking.as_deref().cloned().unwrap_or_default()
}

/// An active session comes with its statement's identity (the server's query id from 14 on, our fingerprint always), its
/// wait, its client and its times; a literal or comment of its text is nowhere in what leaves.
async fn active_session(major: Major) {
    const STATEMENT: &str = "SELECT pg_sleep(60), 'canary-literal' /* canary-comment */";
    let cluster = cluster(major, Options::new()).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[SAMPLES]));
    let busy = Busy::start(&cluster, "postgres", "SET application_name = 'the app'", STATEMENT).await;
    let session =
        sampled(&mut watched, busy.pid, |session| session.running_ms.is_some_and(|ms| ms > 500.0)).await;
    let text =
        |text: &Option<dbintel_model::Text>| text.as_deref().map(ToOwned::to_owned).unwrap_or_default();
    assert_eq!(text(&session.state), "active");
    assert_eq!(
        (text(&session.wait_event_type), text(&session.wait_event)),
        ("Timeout".into(), "PgSleep".into())
    );
    assert_eq!((text(&session.database), text(&session.user)), ("postgres".into(), "postgres".into()));
    assert_eq!(
        (text(&session.application), text(&session.client_address)),
        ("the app".into(), "127.0.0.1".into())
    );
    assert!(session.client_port.is_some() && session.backend_start <= session.query_start);
    let masked = session.text.as_ref().unwrap();
    assert_eq!(masked.masked.as_deref(), Some("SELECT pg_sleep(?), ?"));
    assert_eq!(masked.fingerprint, mask(STATEMENT, MaskLimits::default()).fingerprint.as_u64());
    assert_eq!((masked.kind, masked.truncated), ("select", false));
    if major >= Major::V14 {
        cluster.execute("postgres", "SELECT pg_sleep(0), 'x'").await;
        assert_eq!(session.query_id, Some(query_id(&cluster, "SELECT pg_sleep").await));
    } else {
        assert_eq!(session.query_id, None);
    }
    assert!(session.blocking.is_none());
    assert!(!format!("{:?}", watched.batches()).contains("canary"));
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_active_session_is_sampled_without_its_literals() {
    tokio::join!(active_session(Major::V13), active_session(Major::V18));
}

/// Updates one row and keeps the transaction open.
fn hold(id: u32) -> String {
    format!("BEGIN; UPDATE orders SET note = 'canary-{id}' WHERE id = {id}")
}

fn update(id: u32) -> String {
    format!("UPDATE orders SET note = 'canary' WHERE id = {id}")
}

/// A chain of three waiting sessions leads to the idle transaction at its root, each with its depth, its lock, and the
/// number of those that wait behind it.
async fn blocking_tree(major: Major) {
    let cluster = cluster(major, Options::new()).await;
    let mut root = cluster.connect("postgres").await;
    let root_pid = pid(&mut root).await;
    send(&mut root, &hold(1)).await;
    let first = Busy::start(&cluster, "postgres", &hold(2), &update(1)).await;
    let second = Busy::start(&cluster, "postgres", &hold(3), &update(2)).await;
    let third = Busy::start(&cluster, "postgres", "", &update(3)).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[SAMPLES]));
    let deepest = sampled(&mut watched, third.pid, |session| blocking(session).depth == 3).await;
    assert_eq!((blocking(&deepest).root_pid, blocking(&deepest).pids), (Some(root_pid), vec![second.pid]));
    assert_eq!(blocking(&deepest).blocked_sessions, 0);
    for (pid, depth, by, blocked) in [(first.pid, 1, root_pid, 2), (second.pid, 2, first.pid, 1)] {
        let blocking =
            blocking(&sampled(&mut watched, pid, |session| blocking(session).depth == depth).await);
        assert_eq!((blocking.root_pid, blocking.pids), (Some(root_pid), vec![by]));
        assert_eq!(blocking.blocked_sessions, blocked);
        assert_eq!(blocking.lock_type.as_deref(), Some("transactionid"));
        assert_eq!(blocking.lock_mode.as_deref(), Some("ShareLock"));
        assert!(blocking.wait_duration_ms.is_some_and(|ms| ms > 0.0));
        assert_eq!(blocking.wait_start.is_some(), major >= Major::V14);
    }
    let root = sampled(&mut watched, root_pid, |session| blocking(session).blocked_sessions == 3).await;
    assert_eq!(root.state.as_deref(), Some("idle in transaction"));
    assert!(
        root.running_ms.is_none() && root.transaction_start.is_some() && blocking(&root).root_pid.is_none()
    );
    let waiting = sampled(&mut watched, first.pid, |_| true).await;
    assert_eq!(waiting.wait_event_type.as_deref(), Some("Lock"));
    assert_eq!(blocking(&waiting).blocker_transaction_start, root.transaction_start);
    // Waits for the table, that is for all three that have written to it.
    let locker =
        Busy::start(&cluster, "postgres", "BEGIN", "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").await;
    let locking = blocking(&sampled(&mut watched, locker.pid, |session| blocking(session).depth > 0).await);
    assert_eq!(locking.lock_relation.as_deref(), Some("public.orders"));
    assert_eq!(locking.lock_mode.as_deref(), Some("AccessExclusiveLock"));
    assert!(locking.pids.contains(&root_pid) && locking.pids.len() >= 3, "{locking:?}");
    assert_eq!(locking.root_pid, Some(root_pid));
    assert!(!format!("{:?}", watched.batches()).contains("canary"));
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_waiting_sessions_leads_to_its_root() {
    tokio::join!(blocking_tree(Major::V13), blocking_tree(Major::V17));
}

/// A prepared transaction, which has no session, is a root with process id 0; its locks are counted.
async fn prepared_transaction(major: Major) {
    let cluster = cluster(major, Options::new().setting("max_prepared_transactions", "3")).await;
    let mut client = cluster.connect("postgres").await;
    send(&mut client, &format!("{}; PREPARE TRANSACTION 'forgotten'", hold(1))).await;
    let waiting = Busy::start(&cluster, "postgres", "", &update(1)).await;
    let locks = ("metrics", "{postgresql.database.locks: {enabled: true}}");
    let mut watched = Watched::start(&yaml(cluster.port(), &[SAMPLES, locks]));
    let session = sampled(&mut watched, waiting.pid, |session| blocking(session).depth == 1).await;
    assert_eq!((blocking(&session).root_pid, blocking(&session).pids), (Some(0), vec![0]));
    let prepared = |batches: &[Arc<Batch>]| value(batches, "postgresql.prepared_transactions", &[]);
    assert_eq!(watched.until("prepared transactions", prepared).await, 1.0);
    // One lock of the prepared transaction, one of the session that waits for it.
    let locks = [("relation", "orders"), ("mode", "RowExclusiveLock")];
    let locks = |batches: &[Arc<Batch>]| value(batches, "postgresql.database.locks", &locks);
    assert_eq!(watched.until("locks", locks).await, 2.0);
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prepared_transaction_can_be_the_root() {
    tokio::join!(prepared_transaction(Major::V13), prepared_transaction(Major::V18));
}

/// Parallel workers name their leader.
async fn parallel_workers(major: Major) {
    let cluster = cluster(major, Options::new()).await;
    let slow = "CREATE FUNCTION slow(int) RETURNS int LANGUAGE plpgsql PARALLEL SAFE \
        AS 'BEGIN PERFORM pg_sleep(0.1); RETURN $1; END'; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; \
        SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 2";
    let mut watched = Watched::start(&yaml(cluster.port(), &[SAMPLES]));
    let leader =
        Busy::start(&cluster, "postgres", slow, "SELECT count(*) FROM orders WHERE slow(id) > 0").await;
    let worker = |batches: &[Arc<Batch>]| {
        sessions(batches)
            .find(|session| session.leader_pid == Some(leader.pid) && session.pid != leader.pid)
            .cloned()
    };
    let worker = watched.until("a worker", worker).await;
    assert_eq!(worker.text, sampled(&mut watched, leader.pid, |session| session.text.is_some()).await.text);
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_workers_name_their_leader() {
    tokio::join!(parallel_workers(Major::V13), parallel_workers(Major::V18));
}

/// Nothing is sampled unless it is asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_not_sampled_by_default() {
    let cluster = cluster(Major::V17, Options::new()).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[]));
    let _busy = Busy::start(&cluster, "postgres", "", "SELECT pg_sleep(60)").await;
    for _ in 0..2 {
        watched.still_delivers("postgresql.backends", &[]).await;
        assert_eq!(sessions(watched.batches()).count(), 0);
    }
    assert_eq!(watched.own("dbintel_polls_total", &[("loop", "sessions")]), None);
    watched.stop().await;
}

/// A text that the server has cut is marked as such, whatever size it is cut to.
async fn cut_texts(major: Major) {
    let cluster = cluster(major, Options::new().setting("track_activity_query_size", "1000")).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[SAMPLES]));
    let long = format!("SELECT pg_sleep(60) {}", ", 1 AS one".repeat(200));
    let busy = Busy::start(&cluster, "postgres", "", &long).await;
    let session = sampled(&mut watched, busy.pid, |session| session.text.is_some()).await;
    assert!(session.text.unwrap().truncated);
    let short = Busy::start(&cluster, "postgres", "", "SELECT pg_sleep(60), 2").await;
    let session = sampled(&mut watched, short.pid, |session| session.text.is_some()).await;
    assert!(!session.text.unwrap().truncated);
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_that_the_server_has_cut_are_marked() {
    tokio::join!(cut_texts(Major::V13), cut_texts(Major::V17));
}

async fn database_in(cluster: &Cluster, name: &str, encoding: &str) {
    let sql = format!(
        "CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
    );
    cluster.execute("postgres", &sql).await;
}

/// Texts of statistics too: one of several thousand bytes is cut between the bytes of a character, where the database does
/// not know characters.
async fn statement_texts(major: Major, connect_database: &str) {
    let cluster = cluster(major, Options::new()).await;
    database_in(&cluster, "bytes", "SQL_ASCII").await;
    if connect_database != "postgres" {
        cluster.create_extension(connect_database, "pg_stat_statements").await;
    }
    let mut watched = Watched::start(&yaml(cluster.port(), &[("connect_database", connect_database)]));
    watched.baseline().await;
    // The comment's characters of two bytes begin at an odd place, and the limit is even.
    let long = format!("SELECT id /* {} */ FROM orders", "\u{e9}".repeat(6_000));
    cluster.execute("postgres", &long).await;
    let query = watched.query("SELECT id").await;
    assert!(query.text.unwrap().truncated);
    assert!(watched.missing("statement texts").is_none());
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statement_texts_are_cut_anywhere_without_harm() {
    tokio::join!(statement_texts(Major::V13, "bytes"), statement_texts(Major::V18, "postgres"));
}

/// The server shows texts of other databases as they are there. Bytes that are no text here spoil neither the sample nor
/// the masking, in whatever encoding the database is that we are connected to.
async fn other_encodings(major: Major, connect_database: &str) {
    let cluster = cluster(major, Options::new()).await;
    database_in(&cluster, "latin", "LATIN1").await;
    database_in(&cluster, "bytes", "SQL_ASCII").await;
    let connect_database = ("connect_database", connect_database);
    let mut watched = Watched::start(&yaml(cluster.port(), &[SAMPLES, connect_database]));
    for database in ["latin", "bytes", "postgres"] {
        // A byte above 127 in each encoding: in `latin` alone it is not the beginning of UTF-8.
        let busy = Busy::start(&cluster, database, "", "SELECT pg_sleep(60), 'canary-\u{e9}'").await;
        let session =
            sampled(&mut watched, busy.pid, |session| session.state.as_deref() == Some("active")).await;
        assert_eq!(session.text.unwrap().masked.as_deref(), Some("SELECT pg_sleep(?), ?"));
    }
    assert!(watched.missing("sessions").is_none());
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_in_other_encodings_do_not_spoil_the_sample() {
    tokio::join!(
        other_encodings(Major::V13, "postgres"),
        other_encodings(Major::V17, "bytes"),
        other_encodings(Major::V18, "postgres"),
        other_encodings(Major::V18, "latin"),
    );
}
