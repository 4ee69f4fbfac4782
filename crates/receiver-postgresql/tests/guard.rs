//! What stands between us and a server, on real ones: breakers open where the trouble is and nowhere else, recover by
//! themselves, and the budget of database time is held as the server itself measures it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, which clippy sees only in functions marked as such"
)]

mod support;

use std::time::Duration;

use dbintel_admission::{FailureClass, State};
use dbintel_model::GapReason;
use dbintel_testkit::postgres::{Cluster, Major, Options, OwnStatements, StopMode};
use dbintel_testkit::workload::distinct_statements_of_size;
use sqlx::ConnectOptions as _;
use support::Watched;
use support::settings::{SAMPLES, cluster, orders, yaml};

/// The usual guard, with waits that a test can wait for.
const IMPATIENT: &str = "{limits: {budget: 60s}, max_backoff: 2s}";
const ORDERS: [(&str, &str); 2] = [("db.namespace", "postgres|public"), ("db.collection.name", "orders")];

/// Waits until the server's breaker is in this state.
async fn until_server(watched: &Watched, state: State) {
    for _ in 0..600 {
        if watched.guard.view().breaker.state == state {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the breaker of the server did not become {state:?}: {:#?}", watched.guard.describe());
}

/// Nothing is sent while the breaker is open, but for the one probe; what is missing is said, and when the server goes on
/// it is found out without anybody's help.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_opens_its_breaker_and_recovers() {
    let cluster = cluster(Major::V17, Options::new()).await;
    let config = yaml(cluster.port(), &[("timeout", "1s"), SAMPLES]);
    let mut watched = Watched::start_guarded(&config, IMPATIENT);
    watched.still_delivers("postgresql.rows", &ORDERS).await;
    cluster.sigstop();
    until_server(&watched, State::Open).await;
    watched.gap_because("server", GapReason::NotAdmitted).await;
    cluster.sigcont();
    until_server(&watched, State::Closed).await;
    watched.still_delivers("postgresql.rows", &ORDERS).await;
    watched.still_delivers("postgresql.backends", &[]).await;
    assert!(
        watched
            .own("circuit_breaker_trips_total", &[("server", "server"), ("database", "")])
            .is_some_and(|trips| trips >= 1.0)
    );
    watched.stop().await;
}

/// A restart opens and closes the breaker of the server; what was read before is not counted again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_down_is_probed_and_not_stormed() {
    let mut cluster = cluster(Major::V17, Options::new()).await;
    let mut watched = Watched::start_guarded(&yaml(cluster.port(), &[]), IMPATIENT);
    watched.still_delivers("postgresql.rows", &ORDERS).await;
    cluster.stop(StopMode::Immediate).await;
    until_server(&watched, State::Open).await;
    cluster.start_again().await;
    until_server(&watched, State::Closed).await;
    watched.still_delivers("postgresql.rows", &ORDERS).await;
    watched.stop().await;
}

/// A privilege that is missing for one query gives up that query, and neither its database nor any other query.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_privilege_disables_one_query_only() {
    let cluster = cluster(Major::V17, Options::new()).await;
    let mut watched = Watched::start_guarded(&yaml(cluster.port(), &[]), IMPATIENT);
    watched.still_delivers("postgresql.bgwriter.maxwritten", &[]).await;
    cluster.execute("postgres", "REVOKE SELECT ON pg_catalog.pg_stat_bgwriter FROM PUBLIC").await;
    watched.gap_because("bgwriter", GapReason::InsufficientPrivilege).await;
    watched.gap_because("bgwriter", GapReason::NotAdmitted).await;
    let view = watched.guard.view();
    // Two queries read the view.
    let open: Vec<_> = view
        .nodes
        .iter()
        .flat_map(|node| &node.features)
        .filter(|feature| feature.breaker.state != State::Closed)
        .collect();
    assert!(
        open.iter().all(|feature| ["bgwriter", "resets"].contains(&feature.feature.as_str())),
        "{open:?}"
    );
    assert!(view.nodes.iter().all(|node| node.breaker.state == State::Closed), "{view:#?}");
    watched.still_delivers("postgresql.rows", &ORDERS).await;
    watched.still_delivers("postgresql.commits", &[("db.namespace", "postgres")]).await;
    cluster.execute("postgres", "GRANT SELECT ON pg_catalog.pg_stat_bgwriter TO PUBLIC").await;
    watched.still_delivers("postgresql.bgwriter.maxwritten", &[]).await;
    watched.stop().await;
}

/// An extension that is dropped while we run takes its statements with it, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_extension_that_is_dropped_takes_only_its_statements() {
    let cluster = cluster(Major::V17, Options::new()).await;
    let mut watched = Watched::start_guarded(&yaml(cluster.port(), &[]), IMPATIENT);
    watched.baseline().await;
    cluster.execute("postgres", "DROP EXTENSION pg_stat_statements").await;
    watched.gap_because("statements", GapReason::ExtensionMissing).await;
    watched.still_delivers("postgresql.rows", &ORDERS).await;
    cluster.create_extension("postgres", "pg_stat_statements").await;
    watched.baseline().await;
    watched.stop().await;
}

/// With few slots left nothing is sent, and our own are given back to the clients of the database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_slots_are_left_to_others() {
    let cluster = cluster(Major::V17, Options::new().setting("max_connections", "12")).await;
    cluster.execute("postgres", "CREATE ROLE crowd LOGIN").await;
    let mut superuser = cluster.connect("postgres").await;
    let mut watched = Watched::start_guarded(&yaml(cluster.port(), &[]), IMPATIENT);
    watched.still_delivers("postgresql.rows", &ORDERS).await;
    let mut crowd = Vec::new();
    let ours = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'dbintel'";
    for _ in 0..600 {
        while let Ok(client) = cluster.socket_options("crowd", "postgres").connect().await {
            crowd.push(client);
        }
        let left: i64 = sqlx::query_scalar(ours).fetch_one(&mut superuser).await.unwrap();
        if left == 0 && watched.guard.view().breaker.state != State::Closed {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let left: i64 = sqlx::query_scalar(ours).fetch_one(&mut superuser).await.unwrap();
    assert!(left <= 1, "{left} connections of ours are left, where one probe may be");
    let class = watched.guard.view().breaker.class;
    let classes = [Some(FailureClass::DistressSlots), Some(FailureClass::TooManyConnections)];
    assert!(classes.contains(&class), "{class:?}");
    drop(crowd);
    until_server(&watched, State::Closed).await;
    watched.forget();
    watched.still_delivers("postgresql.rows", &ORDERS).await;
    watched.stop().await;
}

/// Polled every second, a server with many statements costs no more than the budget in any minute, as the server itself
/// has booked it; the cadence stretches, and data keep coming.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_budget_is_held_as_the_server_measures_it() {
    const BUDGET_MS: f64 = 200.0;
    let options = Options::new()
        .setting("pg_stat_statements.max", "10000")
        .setting("pg_stat_statements.track_planning", "on");
    let cluster = Cluster::start(Major::V17, options).await;
    cluster.create_monitor_role(OwnStatements::Tracked).await;
    cluster.create_extension("postgres", "pg_stat_statements").await;
    orders(&cluster, "postgres").await;
    distinct_statements_of_size(&cluster, "postgres", 0..5_000, 500).await;
    let watched = Watched::start_guarded(&yaml(cluster.port(), &[]), "{limits: {budget: 200ms}}");
    tokio::time::sleep(Duration::from_secs(65)).await;
    let view = watched.guard.view();
    let statements = "SELECT sum(s.total_exec_time) FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid \
        WHERE r.rolname = 'dbintel' AND s.toplevel";
    let booked: f64 = cluster.scalar("postgres", statements).await;
    let largest = "SELECT max(s.max_exec_time) FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid \
        WHERE r.rolname = 'dbintel' AND s.toplevel";
    let largest: f64 = cluster.scalar("postgres", largest).await;
    // Two nodes with a budget each: the server as a whole, and the one database; a statement more in each of them. A
    // minute and five seconds are the window and a twelfth.
    let bound = 2.0 * (BUDGET_MS * 65.0 / 60.0 + largest);
    assert!(booked <= bound, "{booked} ms of {bound}: {:#?}", watched.guard.describe());
    let whole = &view.nodes[0];
    assert!(whole.pressure.stretch > 1.0 || whole.pressure.gate_closed, "{:#?}", watched.guard.describe());
    assert!(watched.own("dbintel_polls_total", &[("loop", "server")]).unwrap() >= 5.0);
    watched.stop().await;
}
