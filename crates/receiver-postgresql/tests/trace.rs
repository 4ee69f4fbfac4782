//! What we leave behind on the server: nothing in its statistics where the role is set up as documented, no writes, no
//! resets, no transaction ids, and only statements of a few known kinds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, which clippy sees only in functions marked as such"
)]

mod support;

use std::fs;
use std::path::Path;

use dbintel_admission::{CostSource, Purpose};
use dbintel_model::GapReason;
use dbintel_receiver_postgresql::query::plans::create_script;
use dbintel_receiver_postgresql::query::templates::{SELDOM, Template};
use dbintel_testkit::postgres::{Cluster, Major, Options, OwnStatements};
use support::Watched;
use support::client::Busy;
use support::sent::{is_of, listed, logged, sent, unlisted};
use support::settings::{SAMPLES, cluster, orders, yaml};

const OURS: &str =
    "FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid WHERE r.rolname = 'dbintel'";

/// Waits until every loop has polled a few times more.
async fn poll_on(watched: &Watched) {
    let before = ["server", "sessions", "databases"]
        .map(|name| (name, watched.own("dbintel_polls_total", &[("loop", name)]).unwrap_or(0.0)));
    for (name, polls) in before {
        watched.until_own("dbintel_polls_total", &[("loop", name)], |now| now >= polls + 3.0).await;
    }
}

/// With `ALTER ROLE … SET pg_stat_statements.track = 'none'` nothing of any loop, in any database, is in
/// `pg_stat_statements`.
async fn untracked(major: Major) {
    let cluster = cluster(major, Options::new().setting("pg_stat_statements.track", "all")).await;
    cluster.create_database("second").await;
    orders(&cluster, "second").await;
    let watched = Watched::start(&yaml(cluster.port(), &[SAMPLES]));
    poll_on(&watched).await;
    let found: Vec<String> = texts(&cluster).await;
    assert!(found.is_empty(), "{found:#?}");
    watched.stop().await;
}

async fn texts(cluster: &Cluster) -> Vec<String> {
    let mut client = cluster.connect("postgres").await;
    let text = sqlx::AssertSqlSafe(format!("SELECT s.query {OURS} ORDER BY 1"));
    sqlx::query_scalar(text).fetch_all(&mut client).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_is_not_tracked_leaves_no_statement() {
    tokio::join!(untracked(Major::V13), untracked(Major::V18));
}

/// A role that may switch its tracking off does so first thing in every transaction: only that is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_may_switch_tracking_off_does_so() {
    let cluster = Cluster::start(Major::V17, Options::new()).await;
    cluster.create_monitor_role(OwnStatements::Tracked).await;
    cluster.create_extension("postgres", "pg_stat_statements").await;
    cluster.execute("postgres", "GRANT SET ON PARAMETER pg_stat_statements.track TO dbintel").await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[SAMPLES]));
    watched.baseline().await;
    poll_on(&watched).await;
    cluster.execute("postgres", "SELECT pg_stat_statements_reset()").await;
    poll_on(&watched).await;
    let left = texts(&cluster).await;
    assert!(
        left.iter().all(|text| text.starts_with("BEGIN") || text.contains("pg_stat_statements.track")),
        "{left:#?}"
    );
    watched.stop().await;
}

/// Everything the server sees of us is what `dbintel doctor --statements` lists, and everything it lists is seen, or the list
/// says when it would be. Gives what was listed, and whether it was seen.
async fn templates(major: Major) -> Vec<(bool, Template)> {
    let options = logged(Options::new())
        // Otherwise no text of a session is explained.
        .setting("log_parameter_max_length", "0")
        .setting("pg_stat_statements.track", "top");
    let cluster = cluster(major, options).await;
    let plans = (
        "plan_collection",
        "{enabled: true, collection_interval: 1s, samples: true, parameter_sensitivity: {enabled: true}}",
    );
    let config = yaml(cluster.port(), &[SAMPLES, plans]);
    cluster
        .execute("postgres", "ALTER ROLE postgres SET work_mem = '5MB'; GRANT SELECT ON orders TO dbintel")
        .await;
    for database in ["second", "third"] {
        cluster.create_database(database).await;
        cluster.execute(database, "CREATE TABLE kept (id int)").await;
    }
    cluster.execute("second", &create_script("dbintel")).await;
    cluster.execute("third", "GRANT SELECT ON kept TO dbintel").await;
    let mut watched = Watched::start(&config);
    watched.baseline().await;
    let slept = |seconds: u32| format!("SELECT id, pg_sleep({seconds}) FROM kept ORDER BY 1");
    cluster.execute("second", &format!("INSERT INTO kept VALUES (1); {}", slept(0))).await;
    let _busy = Busy::start(&cluster, "second", "SELECT 1", &slept(600)).await;
    cluster.execute("second", "SELECT count(*) FROM kept").await;
    cluster.execute("second", "SELECT id FROM kept WHERE id = 3").await;
    cluster.execute("third", "SELECT max(id) FROM kept").await;
    cluster.execute("postgres", "CREATE TEMP TABLE gone (id int); SELECT id FROM gone").await;
    cluster.execute("postgres", "SELECT count(*) FROM orders").await;
    cluster.execute("postgres", "SELECT note FROM orders WHERE id = 3").await;
    watched.query("FROM orders").await;
    watched.until_own("dbintel_plans_missing", &[("reason", "object_missing")], |count| count >= 1.0).await;
    watched.plan("count(*) FROM orders").await;
    watched.plan("note FROM orders").await;
    watched.plan("count(*) FROM kept").await;
    watched.plan("FROM kept WHERE").await;
    watched.plan("max(id) FROM kept").await;
    if major >= Major::V14 {
        let sampled = [("rung", "custom"), ("identity", "proven")];
        watched.until_own("dbintel_plans_obtained_total", &sampled, |plans| plans >= 1.0).await;
    }
    poll_on(&watched).await;
    for purpose in ["server", "statements", "sessions", "objects", "sizes", "catalogue"] {
        let measured = [("source", "statement"), ("purpose", purpose)];
        let time = watched.own("dbintel_database_time_seconds_total", &measured);
        assert!(time.is_some_and(|time| time > 0.0), "the server says what {purpose} cost: {time:?}");
    }
    // The function says what an EXPLAIN took, the block that there is without it does not.
    assert_eq!(spent_on_plans(&watched, "third"), [CostSource::Wall]);
    assert!(spent_on_plans(&watched, "second").contains(&CostSource::Statement));
    cluster.execute("postgres", "REVOKE SELECT ON pg_catalog.pg_stat_bgwriter FROM PUBLIC").await;
    watched.gap_because("bgwriter", GapReason::InsufficientPrivilege).await;
    poll_on(&watched).await;
    watched.stop().await;
    let listed = listed(&config).await;
    let log = cluster.log();
    let sent = sent(&log);
    assert!(sent.len() > 20, "{log}");
    let unknown = unlisted(&sent, &listed);
    assert!(unknown.is_empty(), "sent and not listed: {unknown:#?}");
    let seen = |template: &Template| sent.iter().any(|text| is_of(template, text));
    let listed: Vec<_> = listed.into_iter().map(|template| (seen(&template), template)).collect();
    let unseen: Vec<_> = listed.iter().filter(|(seen, template)| !seen && template.when.is_none()).collect();
    assert!(unseen.is_empty(), "{major}: listed and not sent: {unseen:#?}");
    listed
}

/// By whose clock the plans of a database were booked.
fn spent_on_plans(watched: &Watched, database: &str) -> Vec<CostSource> {
    let view = watched.guard.view();
    let node = view.nodes.iter().find(|node| node.database.as_deref() == Some(database)).unwrap();
    let of_plans = node.totals.iter().filter(|(purpose, ..)| *purpose == Purpose::Plans);
    of_plans.map(|(_, source, _)| *source).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_is_what_is_listed() {
    let (old, new) = tokio::join!(templates(Major::V13), templates(Major::V18));
    // What the list has reasons for is in it, and is indeed not sent to one of these.
    for (name, _) in SELDOM {
        let mut listed = old.iter().chain(&new);
        assert!(listed.any(|(seen, template)| template.name == name && !seen), "{name}");
    }
}

/// No SQL of this crate resets, ends, locks, or changes anything.
#[test]
fn no_function_with_side_effects_is_called() {
    const BANNED: [&str; 12] = [
        "_reset(",
        "pg_stat_reset",
        "txid_current(",
        "pg_current_xact_id(",
        "pg_terminate_backend",
        "pg_cancel_backend",
        "pg_reload_conf",
        "pg_advisory",
        "nextval(",
        "setval(",
        "pg_log_backend_memory_contexts",
        "pg_switch_wal",
    ];
    let mut files = 0;
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        files += 1;
        let source = fs::read_to_string(&path).unwrap();
        for line in source.lines().filter(|line| !line.trim_start().starts_with("//")) {
            let found = BANNED.iter().find(|banned| line.contains(*banned));
            assert!(found.is_none(), "{}: {line}", path.display());
        }
    }
    assert!(files > 20, "{files}");
}
