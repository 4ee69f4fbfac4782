//! What the doctor says of the server's log as a source of plans: each obstacle once, with SQL that removes it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, which clippy sees only in functions marked as such"
)]

mod support;

use dbintel_model::PlanRung;
use dbintel_receiver_postgresql::config::{Settings, validate};
use dbintel_receiver_postgresql::{Advice, examine};
use dbintel_testkit::postgres::{Cluster, Major, Options};
use support::Watched;
use support::client::send;
use support::settings::{cluster, yaml};

/// Stands in what is said of the log, and in nothing else.
const OF_LOG: [&str; 6] = [
    "log_not_reachable",
    "no plan",
    "log_destination",
    "logging_collector",
    "log_line_prefix",
    "compute_query_id",
];

fn plans(cluster: &Cluster, file: Option<&str>) -> String {
    let log = file.map(|file| format!(", log: {{include: ['{}']}}", cluster.data_dir().join(file).display()));
    let plans = format!(
        "{{enabled: true, explain: {}, collection_interval: 1s{}}}",
        file.is_none(),
        log.unwrap_or_default()
    );
    yaml(cluster.port(), &[("plan_collection", &plans)])
}

async fn advice(config: &str) -> Vec<Advice> {
    let settings: Settings = dbintel_config::from_yaml(config).unwrap();
    let all = examine(&validate(&settings).unwrap().config).await.unwrap().advice;
    let of_log = |advice: &Advice| {
        OF_LOG.iter().chain(&["auto_explain", "jsonlog"]).any(|part| advice.what.contains(part))
    };
    all.into_iter().filter(of_log).collect()
}

/// The first words of what is said.
fn subjects(all: &[Advice]) -> Vec<&str> {
    all.iter().map(|advice| advice.what.split([' ', ':']).next().unwrap()).collect()
}

/// Does what is said, statement by statement, in a session each.
async fn follow(cluster: &mut Cluster, all: &[Advice]) {
    for sql in all.iter().filter_map(|advice| advice.sql.as_deref()) {
        let mut client = cluster.connect("postgres").await;
        for statement in sql.lines() {
            send(&mut client, statement).await;
        }
    }
    let now: String = cluster.scalar("postgres", "SELECT clock_timestamp()::text").await;
    cluster.execute("postgres", "SELECT pg_reload_conf()").await;
    // The postmaster takes a moment to read it, and then every new session has it.
    while !cluster.scalar::<bool>("postgres", &format!("SELECT pg_conf_load_time() > '{now}'")).await {}
    if all.iter().any(|advice| advice.sql.as_deref().is_some_and(|sql| sql.contains("restart the server"))) {
        cluster.restart().await;
    }
}

/// From a server without any of it to one whose plans come, by what the doctor says alone.
async fn followed(major: Major, file: &str, expected: &[&str]) {
    let options = Options::new().setting("compute_query_id", "off").setting("log_filename", "pg.log");
    let mut cluster = cluster(major, options).await;
    let config = plans(&cluster, Some(file));
    let all = advice(&config).await;
    assert_eq!(subjects(&all), expected, "{major} {file}: {all:#?}");
    follow(&mut cluster, &all).await;
    // What the server writes now can show what else is missing.
    for _ in 0..3 {
        let more = advice(&config).await;
        follow(&mut cluster, &more).await;
    }
    let left = advice(&config).await;
    assert!(left.len() == 1 && left[0].what.contains("only slow executions are logged"), "{left:#?}");
    assert_eq!(left[0].sql, None, "{major} {file}");
    cluster.execute("postgres", "ALTER ROLE postgres SET auto_explain.log_min_duration = 0").await;
    let mut watched = Watched::start(&config);
    watched.baseline().await;
    let mut client = cluster.connect("postgres").await;
    send(&mut client, "SELECT note FROM orders WHERE id > 0").await;
    watched.query("FROM orders").await;
    send(&mut client, "SELECT note FROM orders WHERE id > 0").await;
    assert_eq!(watched.plan("FROM orders").await.rung, PlanRung::Actual);
    watched.stop().await;
}

const MODULE: [&str; 3] = ["auto_explain", "auto_explain.log_min_duration", "auto_explain.log_format"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn following_the_advice_gives_plans() {
    let of = |before: &[&'static str], after: &[&'static str]| [before, &MODULE, after].concat();
    let json = of(
        &["log_not_reachable", "log_destination", "logging_collector", "compute_query_id"],
        &["auto_explain.log_verbose"],
    );
    let csv = of(&["log_not_reachable", "log_destination", "logging_collector", "compute_query_id"], &[]);
    tokio::join!(followed(Major::V18, "log/pg.json", &json), followed(Major::V14, "log/pg.csv", &csv));
}

/// A server that logs on standard error into files, with a prefix that says nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_prefix_is_looked_at_where_it_is_needed() {
    let options = Options::new()
        .auto_explain()
        .setting("logging_collector", "on")
        .setting("log_filename", "pg.log")
        .setting("log_destination", "stderr")
        .setting("log_line_prefix", "%m ")
        .setting("auto_explain.log_min_duration", "0")
        .setting("auto_explain.log_verbose", "on")
        .setting("auto_explain.log_format", "json");
    let cluster = cluster(Major::V16, options).await;
    let config = plans(&cluster, Some("log/pg.log"));
    for (prefix, part) in [
        ("%m ", Some("lacks %u, %d or %Q")),
        ("%u%d %Q ", Some("nothing after it")),
        ("%m [%p] %q%u@%d %Q ", Some("lacks %e")),
        ("%m [%p] %e %q%u@%d %Q ", None),
    ] {
        cluster.execute("postgres", &format!("ALTER SYSTEM SET log_line_prefix = '{prefix}'")).await;
        cluster.execute("postgres", "SELECT pg_reload_conf()").await;
        // The postmaster takes a moment to read it, and then every new session has it.
        while cluster.scalar::<String>("postgres", "SELECT current_setting('log_line_prefix')").await
            != prefix
        {}
        let all = advice(&config).await;
        match part {
            Some(part) => assert!(all.len() == 1 && all[0].what.contains(part), "{prefix}: {all:#?}"),
            None => assert!(all.is_empty(), "{all:#?}"),
        }
    }
    let csv = advice(&plans(&cluster, Some("log/pg.csv"))).await;
    assert_eq!(subjects(&csv), ["log_not_reachable", "log_destination"], "{csv:#?}");
}

/// Where nothing can be done it is said, once, and nothing is proposed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_had_is_said_without_sql() {
    let (old, new) = tokio::join!(cluster(Major::V13, Options::new()), cluster(Major::V17, Options::new()));
    let old = advice(&plans(&old, Some("log/pg.csv"))).await;
    assert!(
        old.len() == 1 && old[0].what.contains("from PostgreSQL 14 on") && old[0].sql.is_none(),
        "{old:#?}"
    );
    let without = advice(&plans(&new, None)).await;
    assert!(without.len() == 1 && without[0].what.contains("plan_collection.log.include"), "{without:#?}");
    assert_eq!(without[0].sql, None);
    new.execute("postgres", "CREATE ROLE rds_superuser").await;
    for file in [None, Some("log/pg.json")] {
        let managed = advice(&plans(&new, file)).await;
        assert!(managed.len() == 1 && managed[0].what.contains("rds_superuser"), "{managed:#?}");
        assert_eq!(managed[0].sql, None);
    }
    let quiet = advice(&yaml(new.port(), &[])).await;
    assert_eq!(quiet, [], "nobody wants plans");
}
