//! What stands between us and a server, on real ones: breakers open where the trouble is and nowhere else, recover by
//! themselves, and the budget of database time is held as the server itself measures it. Each test prints what the breakers
//! did and when and what it cost; another server is watched beside, and must not notice.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, which clippy sees only in functions marked as such"
)]

mod support;

use std::time::Duration;

use dbintel_admission::{FailureClass, Level, NodeTransition, State};
use dbintel_model::{ChangeKind, GapReason};
use dbintel_testkit::postgres::{Cluster, Major, Options, OwnStatements, StopMode};
use dbintel_testkit::workload::distinct_statements_of_size;
use sqlx::ConnectOptions as _;
use support::client::{mark, marker_id};
use support::load::Starved;
use support::proxy::Proxy;
use support::sent::{listed, logged, sent, unlisted};
use support::settings::{SAMPLES, cluster, orders, yaml};
use support::trial::{IMPATIENT, Trial};
use support::world::World;
use support::{Watched, calls, changes, queries, value};
use tokio::time::Instant;

const ORDERS: [(&str, &str); 2] = [("db.namespace", "postgres|public"), ("db.collection.name", "orders")];
const SHOP: [(&str, &str); 2] = [("db.namespace", "shop|public"), ("db.collection.name", "orders")];
/// Waits of minutes, as by default.
const PATIENT: &str = "{limits: {budget: 6s}, success_threshold: 1}";

/// A second database of the server.
async fn with_shop(cluster: &Cluster) {
    cluster.create_database("shop").await;
    orders(cluster, "shop").await;
}

/// Statements admitted so far.
fn admitted(watched: &Watched) -> u64 {
    watched.guard.view().nodes.iter().map(|node| node.admitted).sum()
}

/// Nothing is sent while the breaker is open, but for the one probe; what is missing is said, and when the server goes on
/// it is found out without anybody's help.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_opens_its_breaker_and_recovers() {
    let cluster = cluster(Major::V17, Options::new()).await;
    let config = yaml(cluster.port(), &[("timeout", "1s"), SAMPLES]);
    let mut trial = Trial::start("server stopped by SIGSTOP", &config, IMPATIENT).await;
    trial.watched.still_delivers("postgresql.rows", &ORDERS).await;
    cluster.sigstop();
    trial.until_server(State::Open).await;
    trial.watched.gap_because("server", GapReason::NotAdmitted).await;
    let half_opens =
        |trial: &Trial| trial.wide().iter().filter(|done| done.transition.to == State::HalfOpen).count();
    let (probes, before) = (half_opens(&trial), admitted(&trial.watched));
    trial.others_go_on().await;
    trial.until(|_| half_opens(&trial) > probes).await;
    // Read in the order that makes the bound safe: a probe is counted after it half-opened the breaker.
    let sent = admitted(&trial.watched) - before;
    assert!(sent <= (half_opens(&trial) - probes) as u64, "{sent} statements while it was open");
    cluster.sigcont();
    trial.until_server(State::Closed).await;
    trial.watched.still_delivers("postgresql.rows", &ORDERS).await;
    trial.watched.still_delivers("postgresql.backends", &[]).await;
    let trips = [("server", "server"), ("database", "")];
    assert!(trial.watched.own("circuit_breaker_trips_total", &trips).is_some_and(|trips| trips >= 1.0));
    assert!(trial.opened_by().contains(&FailureClass::ConnectionLost), "{:?}", trial.opened_by());
    trial.end().await;
}

/// A restart opens and closes the breaker of the server; what was read before is not counted again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_down_is_probed_and_not_stormed() {
    let mut cluster = cluster(Major::V17, Options::new()).await;
    let mut trial = Trial::start("restart", &yaml(cluster.port(), &[]), IMPATIENT).await;
    trial.watched.still_delivers("postgresql.rows", &ORDERS).await;
    cluster.stop(StopMode::Immediate).await;
    trial.until_server(State::Open).await;
    trial.others_go_on().await;
    cluster.start_again().await;
    trial.until_server(State::Closed).await;
    trial.watched.still_delivers("postgresql.rows", &ORDERS).await;
    let expected = [FailureClass::ConnectionLost, FailureClass::ServerStartingOrStopping];
    assert!(trial.opened_by().iter().all(|class| expected.contains(class)), "{:?}", trial.opened_by());
    assert!(trial.wide().iter().all(|done| done.level == Level::Server), "{:#?}", trial.wide());
    trial.end().await;
}

/// The primary dies, its standby is promoted, and the address leads there: the breaker of the server opens, a probe finds
/// the new primary, and no call is counted twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_opens_the_server_until_the_new_primary_answers() {
    let mut primary = cluster(Major::V17, Options::new()).await;
    let standby = primary.standby().await;
    let id = marker_id(&primary).await;
    mark(&mut standby.connect("postgres").await, 500).await;
    let proxy = Proxy::start(&[primary.port()]).await;
    let config = yaml(proxy.port(), &[]);
    let mut trial = Trial::start("failover to a standby that is promoted", &config, IMPATIENT).await;
    trial.watched.baseline().await;
    mark(&mut primary.connect("postgres").await, 4).await;
    trial.watched.until("the calls before", |batches| (calls(batches, id) == 4).then_some(())).await;
    primary.stop(StopMode::Immediate).await;
    trial.until_server(State::Open).await;
    trial.others_go_on().await;
    standby.promote().await;
    proxy.lead_to(&[standby.port()]);
    let told = trial
        .watched
        .until("the failover", |batches| {
            changes(batches).find(|change| change.kind == ChangeKind::Failover).cloned()
        })
        .await;
    assert!(told.after.is_some_and(|after| after.starts_with("primary")));
    trial.until_server(State::Closed).await;
    trial.watched.gap_because("statement differences", GapReason::NodeChanged).await;
    trial.watched.readings(1).await;
    mark(&mut standby.connect("postgres").await, 6).await;
    trial.watched.until("the calls after", |batches| (calls(batches, id) >= 10).then_some(())).await;
    trial.watched.readings(2).await;
    assert_eq!(calls(trial.watched.batches(), id), 10);
    assert!(queries(trial.watched.batches()).all(|query| query.calls >= 0 && query.total_time_ms >= 0.0));
    assert!(trial.opened_by().contains(&FailureClass::ConnectionLost), "{:?}", trial.opened_by());
    assert!(trial.wide().iter().all(|done| done.level == Level::Server), "{:#?}", trial.wide());
    trial.watched.still_delivers("postgresql.rows", &ORDERS).await;
    trial.end().await;
}

/// A privilege that is missing for one query gives up that query, and neither its database nor any other query. Once it
/// is granted the query is tried again at once, although its wait is of minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_privilege_disables_one_query_only_until_it_is_granted() {
    let cluster = cluster(Major::V17, Options::new()).await;
    with_shop(&cluster).await;
    let config = yaml(cluster.port(), &[]);
    let mut trial = Trial::start("privilege on one view revoked", &config, PATIENT).await;
    trial.watched.still_delivers("postgresql.bgwriter.maxwritten", &[]).await;
    cluster.execute("postgres", "REVOKE SELECT ON pg_catalog.pg_stat_bgwriter FROM PUBLIC").await;
    trial.watched.gap_because("bgwriter", GapReason::InsufficientPrivilege).await;
    trial.watched.gap_because("bgwriter", GapReason::NotAdmitted).await;
    // Two queries read the view.
    let both = |done: &[NodeTransition]| {
        done.iter().all(|done| {
            done.feature.as_deref().is_some_and(|feature| ["bgwriter", "resets"].contains(&feature))
                && done.database.is_none()
        })
    };
    let done = trial.watched.guard.transitions();
    assert!(both(&done), "{done:#?}");
    trial.others_go_on().await;
    trial.watched.still_delivers("postgresql.rows", &ORDERS).await;
    trial.watched.still_delivers("postgresql.rows", &SHOP).await;
    trial.watched.still_delivers("postgresql.commits", &[("db.namespace", "postgres")]).await;
    assert_eq!(value(trial.watched.batches(), "postgresql.bgwriter.maxwritten", &[]), None);
    cluster.execute("postgres", "GRANT SELECT ON pg_catalog.pg_stat_bgwriter TO PUBLIC").await;
    trial.watched.still_delivers("postgresql.bgwriter.maxwritten", &[]).await;
    trial
        .until(|watched| {
            watched.guard.view().nodes[0].features.iter().all(|f| f.breaker.state == State::Closed)
        })
        .await;
    let opened = trial.of_feature("bgwriter");
    let waits = opened.iter().find_map(|done| done.transition.wait).unwrap();
    let closed = opened.iter().find_map(|done| done.transition.open_for).unwrap();
    assert!(closed < waits, "after {closed:?}, without the GRANT after {waits:?}");
    ["postgres", "shop"].into_iter().for_each(|database| trial.keeps_cadence(database));
    trial.end().await;
}

/// The same in a database that only the loop of the databases visits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_privilege_granted_in_another_database_is_noticed_there() {
    let cluster = cluster(Major::V17, Options::new()).await;
    with_shop(&cluster).await;
    cluster
        .execute(
            "shop",
            "REVOKE SELECT ON pg_catalog.pg_sequences FROM PUBLIC; CREATE SEQUENCE s MAXVALUE 10; SELECT setval('s', 8); GRANT SELECT ON s TO PUBLIC",
        )
        .await;
    let metrics = ("metrics", "{postgresql.sequence.used: {enabled: true}}");
    let config = yaml(cluster.port(), &[metrics]);
    let mut trial = Trial::start("privilege in another database", &config, PATIENT).await;
    trial.watched.gap_because("sequence", GapReason::InsufficientPrivilege).await;
    trial.watched.still_delivers("postgresql.rows", &SHOP).await;
    assert!(trial.of_feature("sequence").iter().all(|done| done.database.as_deref() == Some("shop")));
    cluster.execute("shop", "GRANT SELECT ON pg_catalog.pg_sequences TO PUBLIC").await;
    trial.watched.still_delivers("postgresql.sequence.used", &[]).await;
    trial.others_go_on().await;
    ["postgres", "shop"].into_iter().for_each(|database| trial.keeps_cadence(database));
    trial.end().await;
}

/// An extension that is dropped while we run takes its statements with it, and nothing else; it is noticed when it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_extension_that_is_dropped_takes_only_its_statements() {
    let cluster = cluster(Major::V17, Options::new()).await;
    with_shop(&cluster).await;
    let mut trial = Trial::start("extension dropped", &yaml(cluster.port(), &[]), PATIENT).await;
    trial.watched.baseline().await;
    cluster.execute("postgres", "DROP EXTENSION pg_stat_statements").await;
    trial.watched.gap_because("statements", GapReason::ExtensionMissing).await;
    trial.others_go_on().await;
    trial.watched.still_delivers("postgresql.rows", &ORDERS).await;
    trial.watched.still_delivers("postgresql.rows", &SHOP).await;
    assert_eq!(trial.wide(), []);
    trial.watched.forget();
    cluster.create_extension("postgres", "pg_stat_statements").await;
    trial.watched.baseline().await;
    ["postgres", "shop"].into_iter().for_each(|database| trial.keeps_cadence(database));
    trial.end().await;
}

/// A view that is gone is looked for anew, and read again once it is back, whatever the wait of its query.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_that_goes_and_comes_back_is_looked_for() {
    let options = Options::new().setting("allow_system_table_mods", "on");
    let cluster = cluster(Major::V17, options).await;
    let config = yaml(cluster.port(), &[]);
    let mut trial = Trial::start("a view goes and comes back", &config, PATIENT).await;
    trial.watched.still_delivers("postgresql.bgwriter.maxwritten", &[]).await;
    let rename = |from: &str, to: &str| format!("ALTER VIEW pg_catalog.{from} RENAME TO {to}");
    cluster.execute("postgres", &rename("pg_stat_bgwriter", "pg_stat_elsewhere")).await;
    // First the query fails; then the metric is known not to be there, without a query.
    trial.watched.gap_because("postgresql.bgwriter.maxwritten", GapReason::NotInThisVersion).await;
    trial.watched.still_delivers("postgresql.rows", &ORDERS).await;
    cluster.execute("postgres", &rename("pg_stat_elsewhere", "pg_stat_bgwriter")).await;
    // What is there is looked at when a connection is opened.
    cluster
        .execute(
            "postgres",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'dbintel'",
        )
        .await;
    trial.watched.still_delivers("postgresql.bgwriter.maxwritten", &[]).await;
    trial.until_server(State::Closed).await;
    trial.others_go_on().await;
    trial.keeps_cadence("postgres");
    trial.end().await;
}

/// With few slots left nothing is sent, and our own are given back to the clients of the database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_slots_are_left_to_others() {
    let cluster = cluster(Major::V17, Options::new().setting("max_connections", "12")).await;
    cluster.execute("postgres", "CREATE ROLE crowd LOGIN").await;
    let mut superuser = cluster.connect("postgres").await;
    let config = yaml(cluster.port(), &[]);
    let mut trial = Trial::start("connections exhausted", &config, IMPATIENT).await;
    trial.watched.still_delivers("postgresql.rows", &ORDERS).await;
    let mut crowd = Vec::new();
    let ours = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'dbintel'";
    for _ in 0..600 {
        while let Ok(client) = cluster.socket_options("crowd", "postgres").connect().await {
            crowd.push(client);
        }
        let left: i64 = sqlx::query_scalar(ours).fetch_one(&mut superuser).await.unwrap();
        if left == 0 && trial.watched.guard.view().breaker.state != State::Closed {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let left: i64 = sqlx::query_scalar(ours).fetch_one(&mut superuser).await.unwrap();
    assert!(left <= 1, "{left} connections of ours are left, where one probe may be");
    trial.others_go_on().await;
    let classes = [FailureClass::DistressSlots, FailureClass::TooManyConnections];
    let opened = trial.opened_by();
    assert!(!opened.is_empty() && opened.iter().all(|class| classes.contains(class)), "{opened:?}");
    assert!(trial.wide().iter().all(|done| done.level == Level::Server), "{:#?}", trial.wide());
    drop(crowd);
    trial.until_server(State::Closed).await;
    trial.watched.forget();
    trial.watched.still_delivers("postgresql.rows", &ORDERS).await;
    trial.end().await;
}

/// Half a dozen slots are few where a dozen were asked for: the threshold of the configuration closes our connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_connections_are_closed_at_the_configured_number_of_free_slots() {
    let cluster = cluster(Major::V17, Options::new().setting("max_connections", "20")).await;
    let mut superuser = cluster.connect("postgres").await;
    let mut trial = Trial::start(
        "fewer free slots than configured",
        &yaml(cluster.port(), &[]),
        "{limits: {budget: 6s}, free_slots_min: 12, max_backoff: 20s}",
    )
    .await;
    trial.watched.still_delivers("postgresql.rows", &ORDERS).await;
    let mut crowd = Vec::new();
    for _ in 0..6 {
        crowd.push(cluster.connect("postgres").await);
    }
    trial.until_server(State::Open).await;
    let ours = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'dbintel'";
    while sqlx::query_scalar::<_, i64>(ours).fetch_one(&mut superuser).await.unwrap() > 0 {
        assert_eq!(trial.watched.guard.view().breaker.state, State::Open, "they are closed while it is open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(trial.opened_by(), [FailureClass::DistressSlots]);
    trial.others_go_on().await;
    drop(crowd);
    trial.until_server(State::Closed).await;
    trial.end().await;
}

/// A view whose planning takes most of a second: the server calls its execution fast, and the breaker of its database
/// opens all the same; once it is as it was, the database is read as before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_planning_opens_the_breaker_of_its_database_only() {
    let options = Options::new().setting("allow_system_table_mods", "on");
    let cluster = cluster(Major::V17, options).await;
    with_shop(&cluster).await;
    // The planner evaluates an immutable function of constants.
    let slow = "CREATE FUNCTION public.plan() RETURNS bool LANGUAGE plpgsql IMMUTABLE \
        AS 'BEGIN PERFORM pg_sleep(0.7); RETURN true; END'";
    cluster.execute("shop", slow).await;
    let definition: String =
        cluster.scalar("shop", "SELECT pg_get_viewdef('pg_catalog.pg_sequences'::regclass)").await;
    let definition = definition.trim_end().trim_end_matches(';').to_owned();
    let replace = |condition: &str| {
        let columns = "schemaname, sequencename, sequenceowner, data_type, start_value, min_value, max_value, \
            increment_by, cycle, cache_size, last_value";
        format!(
            "CREATE OR REPLACE VIEW pg_catalog.pg_sequences AS SELECT {columns} FROM ({definition}) v{condition}"
        )
    };
    let changes = [("timeout", "5s"), ("metrics", "{postgresql.sequence.used: {enabled: true}}")];
    let config = yaml(cluster.port(), &changes);
    let mut trial = Trial::start("planning is slow", &config, IMPATIENT).await;
    trial.watched.still_delivers("postgresql.rows", &SHOP).await;
    cluster.execute("shop", &replace(" WHERE public.plan()")).await;
    let shop = |watched: &Watched| {
        let view = watched.guard.view();
        view.nodes.iter().find(|node| node.database.as_deref() == Some("shop")).unwrap().clone()
    };
    trial.until(|watched| shop(watched).breaker.state == State::Open).await;
    let opened = trial.wide();
    assert!(opened.iter().all(|done| done.database.as_deref() == Some("shop")), "{opened:#?}");
    assert_eq!(opened[0].transition.class, Some(FailureClass::DistressPlanning));
    trial.watched.still_delivers("postgresql.rows", &ORDERS).await;
    trial.others_go_on().await;
    cluster.execute("shop", &replace("")).await;
    trial.until(|watched| shop(watched).breaker.state == State::Closed).await;
    trial.watched.still_delivers("postgresql.rows", &SHOP).await;
    // The breaker may have opened once more for what was planned before.
    trial.until(|watched| shop(watched).breaker.state == State::Closed).await;
    trial.keeps_cadence("postgres");
    trial.end().await;
}

/// A statement of ours that waits for a lock is a sign that its database has trouble with locks: nothing more is sent there,
/// long before it would fail, and the other databases are read as before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_wait_for_a_lock_opens_the_breaker_of_its_database_only() {
    let cluster = cluster(Major::V17, Options::new()).await;
    with_shop(&cluster).await;
    let metrics = ("metrics", "{postgresql.sequence.used: {enabled: true}}");
    // The wait is to be seen, so it is longer than two polls.
    let config = yaml(cluster.port(), &[("lock_timeout", "5s"), metrics]);
    let mut trial = Trial::start("our own statement waits for a lock", &config, IMPATIENT).await;
    trial.watched.still_delivers("postgresql.rows", &SHOP).await;
    let mut holder = cluster.connect("shop").await;
    sqlx::raw_sql("BEGIN; LOCK TABLE pg_catalog.pg_sequence IN ACCESS EXCLUSIVE MODE")
        .execute(&mut holder)
        .await
        .unwrap();
    trial.until(|watched| has_opened(watched, FailureClass::DistressLocks)).await;
    assert!(trial.wide().iter().all(|done| done.database.as_deref() == Some("shop")), "{:#?}", trial.wide());
    trial.watched.still_delivers("postgresql.commits", &[("db.namespace", "postgres")]).await;
    trial.others_go_on().await;
    sqlx::raw_sql("COMMIT").execute(&mut holder).await.unwrap();
    trial.until(|watched| watched.guard.view().nodes.iter().all(|n| n.breaker.state == State::Closed)).await;
    trial.watched.still_delivers("postgresql.rows", &SHOP).await;
    trial.watched.still_delivers("postgresql.rows", &ORDERS).await;
    trial.end().await;
}

/// A query that has come to take longer is given more time by the server itself, up to the maximum, and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_out_on_the_server_follows_what_a_query_takes() {
    const BASE_MS: u64 = 400;
    const MAX_MS: u64 = 900;
    let options = logged(Options::new().setting("allow_system_table_mods", "on"));
    let cluster = cluster(Major::V17, options).await;
    let metrics = ("metrics", "{postgresql.sequence.used: {enabled: true}}");
    let config = yaml(cluster.port(), &[("timeout", "400ms"), metrics]);
    let guard = "{limits: {budget: 60s}, max_timeout: 900ms, max_backoff: 2s}";
    let mut trial = Trial::start("a query takes longer", &config, guard).await;
    trial.watched.still_delivers("postgresql.rows", &ORDERS).await;
    let set = |log: &str| -> Vec<u64> {
        let values = log.split("SET LOCAL statement_timeout = '").skip(1);
        values
            .map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap())
            .collect()
    };
    assert!(set(&cluster.log()).iter().all(|ms| *ms <= BASE_MS), "{:?}", set(&cluster.log()));
    let definition: String =
        cluster.scalar("postgres", "SELECT pg_get_viewdef('pg_catalog.pg_sequences'::regclass)").await;
    let definition = definition.trim_end().trim_end_matches(';').to_owned();
    let slower = |seconds: f64| {
        format!(
            "CREATE OR REPLACE VIEW pg_catalog.pg_sequences AS SELECT v.* FROM ({definition}) v, \
             (SELECT pg_sleep({seconds}) AS slept) s WHERE slept::text = ''"
        )
    };
    let sequence = "CREATE SEQUENCE s MAXVALUE 10; SELECT setval('s', 8); GRANT SELECT ON s TO PUBLIC";
    cluster.execute("postgres", sequence).await;
    trial.watched.still_delivers("postgresql.sequence.used", &[]).await;
    cluster.execute("postgres", &slower(0.25)).await;
    // Three times a quarter of a second, by the measured percentile.
    let risen = async {
        while !set(&cluster.log()).iter().any(|ms| *ms >= 750) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), risen).await.expect("it follows");
    // Longer than the maximum: the server ends it.
    cluster.execute("postgres", &slower(5.0)).await;
    trial.watched.gap_because("sequence", GapReason::StatementTimeout).await;
    assert!(set(&cluster.log()).iter().all(|ms| *ms <= MAX_MS), "{:?}", set(&cluster.log()));
    cluster.execute("postgres", &slower(0.0)).await;
    trial.until(|watched| watched.guard.view().nodes.iter().all(|n| n.breaker.state == State::Closed)).await;
    trial.watched.still_delivers("postgresql.rows", &ORDERS).await;
    trial.end().await;
    // What went out meanwhile is in the list that people read before they let us in.
    let (listed, log) = (listed(&config).await, cluster.log());
    let unknown = unlisted(&sent(&log), &listed);
    assert!(unknown.is_empty(), "sent and not listed: {unknown:#?}");
}

/// A server that has hardly any processor time left: statements run into their time-outs and open breakers, or what they
/// cost closes the gate of the budget and stretches the cadence, whichever comes first; and nobody has to do anything when
/// the load is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_processor_time_is_spared() {
    let cluster = cluster(Major::V17, Options::new().setting("pg_stat_statements.max", "10000")).await;
    distinct_statements_of_size(&cluster, "postgres", 0..5_000, 500).await;
    let config = yaml(cluster.port(), &[("timeout", "250ms")]);
    let guard = "{limits: {budget: 1s}, max_timeout: 500ms, slow_threshold: 250ms, max_backoff: 2s}";
    let mut trial = Trial::start("every statement slowed by CPU load", &config, guard).await;
    trial.watched.baseline().await;
    let load = Starved::start(&cluster);
    let is_spared = |watched: &Watched| {
        let view = watched.guard.view();
        let nodes = view.nodes.iter();
        !watched.guard.transitions().is_empty() || nodes.into_iter().any(|node| node.pressure.gate_closed)
    };
    trial.until(is_spared).await;
    trial.others_go_on().await;
    let expected = [
        FailureClass::StatementTimeout,
        FailureClass::DeadlineExceeded,
        FailureClass::Slow,
        FailureClass::ConnectionLost,
        FailureClass::DistressPlanning,
    ];
    let opened = trial.opened_by();
    assert!(opened.iter().all(|class| expected.contains(class)), "{opened:?}");
    drop(load);
    // The cadence is decided once a minute; what it cost is forgotten after as long.
    if opened.is_empty() {
        trial
            .until(|watched| watched.guard.view().nodes.iter().any(|node| node.pressure.stretch > 1.0))
            .await;
    }
    let well = |watched: &Watched| {
        let view = watched.guard.view();
        let nodes = view.nodes.iter();
        view.breaker.state == State::Closed
            && nodes.into_iter().all(|node| node.breaker.state == State::Closed && !node.pressure.gate_closed)
    };
    trial.until(well).await;
    trial.watched.still_delivers("postgresql.rows", &ORDERS).await;
    trial.watched.readings(1).await;
    trial.end().await;
}

/// Polled every second, a server with many statements costs no more than the budget in any minute, as the server itself
/// has booked it; the cadence stretches, and data keep coming.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_budget_is_held_as_the_server_measures_it() {
    const BUDGET_MS: f64 = 200.0;
    const MINUTE: Duration = Duration::from_secs(60);
    let options = Options::new()
        .setting("pg_stat_statements.max", "10000")
        .setting("pg_stat_statements.track_planning", "on");
    let cluster = Cluster::start(Major::V17, options).await;
    cluster.create_monitor_role(OwnStatements::Tracked).await;
    cluster.create_extension("postgres", "pg_stat_statements").await;
    orders(&cluster, "postgres").await;
    distinct_statements_of_size(&cluster, "postgres", 0..5_000, 500).await;
    let config = yaml(cluster.port(), &[]);
    let own = "FROM pg_stat_statements(false) s JOIN pg_roles r ON r.oid = s.userid WHERE r.rolname = 'dbintel' AND s.toplevel";
    let (sum, max) = (
        format!("SELECT coalesce(sum(s.total_exec_time), 0) {own}"),
        format!("SELECT max(s.max_exec_time) {own}"),
    );
    let read = async || {
        let begun = Instant::now();
        let booked: f64 = cluster.scalar("postgres", &sum).await;
        (begun, booked, Instant::now())
    };
    let mut readings = vec![read().await];
    let mut trial =
        Trial::start("budget at five thousand statements", &config, "{limits: {budget: 200ms}}").await;
    while readings[0].0.elapsed() < MINUTE + Duration::from_secs(5) {
        readings.push(read().await);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    trial.others_go_on().await;
    readings.push(read().await);
    let watched = &trial.watched;
    let view = watched.guard.view();
    let largest: f64 = cluster.scalar("postgres", &max).await;
    // Two nodes with a budget each: the server as a whole, and the one database; a statement more in each of them.
    let bound = 2.0 * (BUDGET_MS + largest);
    let within = |from: &(Instant, f64, Instant), to: &(Instant, f64, Instant)| to.2 - from.0 <= MINUTE;
    let minutes = readings.iter().enumerate().flat_map(|(index, from)| {
        readings.iter().skip(index).filter(|to| within(from, to)).map(|to| to.1 - from.1)
    });
    let worst = minutes.fold(0.0, f64::max);
    assert!(worst > 0.0 && worst <= bound, "{worst} ms of {bound}: {:#?}", watched.guard.describe());
    let whole = &view.nodes[0];
    assert!(whole.pressure.stretch > 1.0 || whole.pressure.gate_closed, "{:#?}", watched.guard.describe());
    assert!(watched.own("dbintel_polls_total", &[("loop", "server")]).unwrap() >= 5.0);
    trial.end().await;
}

/// A database whose own account is over its budget is visited as often as that says, which is seen by visits that were tried, not
/// only by those that were let through; the server and its other database keep their cadence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_over_its_budget_is_visited_less_often() {
    const LOOK: Duration = Duration::from_secs(20);
    let cluster = cluster(Major::V17, Options::new()).await;
    with_shop(&cluster).await;
    for part in 0..4 {
        let tables = format!(
            "DO $$ BEGIN FOR n IN 1..1000 LOOP EXECUTE format('CREATE TABLE t_{part}_%s (id int PRIMARY KEY)', n); \
             END LOOP; END $$"
        );
        cluster.execute("shop", &tables).await;
    }
    let config = yaml(cluster.port(), &[]);
    let mut trial = Trial::start("a database over its budget", &config, "{limits: {budget: 2s}}").await;
    let stretch_of = |watched: &Watched, database: &str| {
        let view = watched.guard.view();
        let of = |node: &&dbintel_admission::NodeView| node.database.as_deref() == Some(database);
        view.nodes.iter().find(of).map_or(1.0, |node| node.pressure.stretch)
    };
    trial.until(|watched| stretch_of(watched, "shop") >= 2.0).await;
    let stretch = stretch_of(&trial.watched, "shop");
    let refused = |watched: &Watched| {
        let labels = [("part", "database"), ("reason", "not_admitted")];
        watched.own("dbintel_gaps_total", &labels).unwrap_or_default()
    };
    let before = refused(&trial.watched);
    trial.watched.forget();
    tokio::time::sleep(LOOK).await;
    trial.watched.catch_up().await;
    let visits = |database: &str| {
        let of = |batch: &&std::sync::Arc<dbintel_model::Batch>| {
            batch.target.database.as_deref() == Some(database)
        };
        let times = trial.watched.batches().iter().filter(of).map(|batch| batch.observed_at);
        times.collect::<std::collections::BTreeSet<_>>().len()
    };
    let tried = visits("shop") as f64 + refused(&trial.watched) - before;
    // At the interval of a second it would be as many as there are seconds; a refusal may be another database's.
    let most = LOOK.as_secs_f64() * 0.75;
    assert!(tried <= most, "{tried} visits of shop at a stretch of {stretch}");
    assert!(visits("postgres") >= 10, "{} visits of postgres", visits("postgres"));
    trial.keeps_cadence("postgres");
    trial.end().await;
}

fn has_opened(watched: &Watched, class: FailureClass) -> bool {
    let opened =
        |done: &NodeTransition| done.transition.to == State::Open && done.transition.class == Some(class);
    watched.guard.transitions().iter().any(opened)
}

/// On a standby, replay that falls behind opens the breaker of the server, at whatever interval it is looked at; replay that
/// somebody has paused opens nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_whose_replay_falls_behind_is_left_alone() {
    let mut world = World::start(Major::V17).await;
    world.configure_standby(&[("max_standby_streaming_delay", "-1")]).await;
    world.write().await;
    let mut trial = Trial::start("replay falls behind", &yaml(world.standby.port(), &[]), IMPATIENT).await;
    trial.watched.still_delivers("postgresql.rows", &ORDERS).await;
    world.standby.execute("postgres", "SELECT pg_wal_replay_pause()").await;
    let delay = "SELECT extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8";
    while world.standby.scalar::<f64>("postgres", delay).await < 12.0 {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(!trial.opened_by().contains(&FailureClass::DistressReplay), "{:?}", trial.opened_by());
    world.standby.execute("postgres", "SELECT pg_wal_replay_resume()").await;
    // Somebody's snapshot needs rows that the primary has removed.
    world.hold_on_standby().await;
    world.primary.execute("postgres", "DELETE FROM orders WHERE id <= 500").await;
    // One that runs beside a snapshot of the writer's, taken before, removes nothing.
    for _ in 0..10 {
        world.primary.execute("postgres", "VACUUM orders").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    trial.until(|watched| has_opened(watched, FailureClass::DistressReplay)).await;
    world.let_go();
    trial.until_server(State::Closed).await;
    trial.watched.still_delivers("postgresql.backends", &[]).await;
    trial.end().await;
}
