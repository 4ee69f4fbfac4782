//! A user of OpenTelemetry contrib's `postgresql` receiver finds what they know: the same file runs unchanged, and an
//! OTLP receiver that is not ours sees every default-on metric of contrib with the same unit, type, monotonicity and
//! temporality, and the same events.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dbintel_testkit::oracle::Oracle;
use dbintel_testkit::postgres::{Cluster, Major, Options, OwnStatements};
use dbintel_testkit::process::Launch;
use dbintel_testkit::workload::{Shop, Size, Traffic};
use dbintel_tests::{AdminPorts, Arrived, events, metrics};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(90);
/// Where a server is polled every second, the usual budget of database time would stretch the intervals.
const EXPORTERS: &str = "processors:\n  circuit_breaker: {limits: {budget: 60s}}\nexporters:";

/// Contrib's metrics, copied from its metadata.
fn contrib() -> BTreeMap<String, Value> {
    let text = include_str!("data/contrib-postgresql-metrics.json");
    let data: Value = serde_json::from_str(text).unwrap();
    data["metrics"].as_object().unwrap().clone().into_iter().collect()
}

/// Differences from contrib on purpose, each with its reason. Empty: where names are the same, everything is.
const CORRECTIONS: [(&str, &str); 0] = [];

struct World {
    cluster: Cluster,
    /// Kept so that there is a replica.
    _standby: Cluster,
    _traffic: Traffic,
    oracle: Oracle,
}

/// A primary with a replica, archiving and traffic: everything contrib's default-on metrics need.
async fn world() -> World {
    let options = Options::new()
        .setting("archive_mode", "on")
        .setting("archive_command", "/bin/true")
        .setting("track_functions", "all");
    let cluster = Cluster::start(Major::V17, options).await;
    cluster.create_monitor_role(OwnStatements::Untracked).await;
    cluster.create_extension("postgres", "pg_stat_statements").await;
    let shop = Shop::install(&cluster, Size::SMALL).await;
    let standby = cluster.standby().await;
    cluster.wait_for_standby(&standby).await;
    cluster.execute("postgres", "SELECT pg_switch_wal()").await;
    let traffic = Traffic::start(&cluster, &shop, 100.0, 7);
    World { cluster, _standby: standby, _traffic: traffic, oracle: Oracle::start().await }
}

/// The file as a user of the Collector writes it.
fn minimal(world: &World, interval: &str, pipeline: &str) -> String {
    format!(
        "receivers:\n  postgresql:\n    endpoint: 127.0.0.1:{}\n    username: dbintel\n    \
         password: monitor-of-the-test\n    tls:\n      insecure: true\n    collection_interval: {interval}\n\
         exporters:\n  otlphttp:\n    endpoint: {}\n\
         service:\n  pipelines:\n    {pipeline}:\n      receivers: [postgresql]\n      exporters: [otlphttp]\n",
        world.cluster.port(),
        world.oracle.http_endpoint()
    )
}

fn identity(arrived: &Arrived) -> (String, String, String, Option<bool>, Option<bool>) {
    (
        arrived.unit.clone(),
        arrived.kind.clone(),
        arrived.number.clone(),
        arrived.monotonic,
        arrived.cumulative,
    )
}

fn expected(metric: &Value) -> (String, String, String, Option<bool>, Option<bool>) {
    let text = |key: &str| metric[key].as_str().unwrap_or_default().to_owned();
    let is_sum = metric["kind"] == "sum";
    let cumulative = is_sum.then(|| metric["aggregation_temporality"] == "cumulative");
    (
        text("unit"),
        text("kind"),
        text("value_type"),
        metric["monotonic"].as_bool().filter(|_| is_sum),
        cumulative,
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_minimal_file_of_a_collector_user_gives_every_default_metric_of_contrib() {
    let world = world().await;
    let mut program = Launch::run(&minimal(&world, "10s", "metrics")).start();
    let contrib: BTreeMap<_, _> =
        contrib().into_iter().filter(|(_, metric)| metric["enabled"] == true).collect();
    let all = |requests: &[Value]| {
        let arrived = metrics(requests);
        contrib.keys().all(|name| arrived.contains_key(name))
    };
    let requests = world.oracle.wait_for(PATIENCE, all).await;
    let arrived = metrics(&requests);
    for (name, metric) in &contrib {
        if CORRECTIONS.iter().any(|(corrected, _)| corrected == name) {
            continue;
        }
        let found = &arrived[name];
        assert_eq!(identity(found), expected(metric), "{name}");
        let wanted: BTreeSet<String> = metric["attributes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key.as_str().unwrap().to_owned())
            .collect();
        assert_eq!(found.attributes, wanted, "attributes of {name}");
        assert!(found.resource.is_superset(
            &["server.address", "server.port", "service.instance.id"].map(str::to_owned).into()
        ));
    }
    assert!(events(&requests).is_empty(), "a metrics pipeline carries no logs");
    assert!(program.stop(Duration::from_secs(30)).await.success(), "{}", program.stderr());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_of_contrib_and_both_events_with_the_contrib_layout() {
    let world = world().await;
    let switches: String =
        contrib().keys().map(|name| format!("      {name}:\n        enabled: true\n")).collect();
    let more = format!(
        "    resource_layout: contrib\n    initial_delay: 0\n    object_collection: {{collection_interval: 1s}}\n    events:\n      db.server.query_sample:\n        \
         enabled: true\n    top_query_collection:\n      collection_interval: 1s\n    metrics:\n{switches}"
    );
    let config = minimal(&world, "1s", "databases").replacen("exporters:", &format!("{more}{EXPORTERS}"), 1);
    let ports = AdminPorts::default();
    let mut program = ports.apply(Launch::run(&config)).start();
    // What a healthy primary cannot show: conflicts are counted on standbys only for rows with databases, so they are
    // there as zeros; every metric of contrib arrives.
    let all = |requests: &[Value]| {
        let (arrived, events) = (metrics(requests), events(requests));
        let event = |name: &str, key: &str| {
            events.iter().any(|(found, attributes)| found == name && attributes.contains_key(key))
        };
        contrib().keys().all(|name| arrived.contains_key(name))
            && event("db.server.top_query", "db.query.text")
            && event("db.server.query_sample", "postgresql.total_exec_time")
    };
    let requests = world.oracle.wait_for(PATIENCE, all).await;
    let arrived = metrics(&requests);
    for (name, metric) in &contrib() {
        let found = &arrived[name];
        assert_eq!(identity(found), expected(metric), "{name}");
        let moved = [
            ("db.namespace", "postgresql.database.name"),
            ("db.collection.name", "postgresql.table.name"),
            ("postgresql.index.name", "postgresql.index.name"),
        ];
        let mut stays = BTreeSet::new();
        for key in metric["attributes"].as_array().unwrap().iter().map(|key| key.as_str().unwrap()) {
            match moved.iter().find(|(from, _)| *from == key) {
                Some((_, to)) => assert!(found.resource.contains(*to), "{name}: {key}"),
                None => drop(stays.insert(key.to_owned())),
            }
        }
        assert_eq!(found.attributes, stays, "attributes of {name}");
    }
    check_events(&requests);
    assert!(program.stop(Duration::from_secs(30)).await.success(), "{}", program.stderr());
}

/// The shortest command line, the default layout, all signals in one pipeline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_events_with_the_default_layout() {
    let world = world().await;
    let more = "    initial_delay: 0\n    events:\n      db.server.query_sample:\n        enabled: true\n    \
                top_query_collection:\n      collection_interval: 1s\n";
    let config = minimal(&world, "1s", "databases").replacen("exporters:", &format!("{more}{EXPORTERS}"), 1);
    let launch = Launch::command(&[]);
    let file = launch.write_file("dbintel.yaml", &config);
    let ports = AdminPorts::default();
    let mut program = ports.apply(launch.argument("--config").argument(file)).start();
    let both = |requests: &[Value]| {
        let events = events(requests);
        let event = |name: &str, key: &str| {
            events.iter().any(|(found, attributes)| found == name && attributes.contains_key(key))
        };
        event("db.server.top_query", "db.query.text")
            && event("db.server.query_sample", "postgresql.total_exec_time")
    };
    check_events(&world.oracle.wait_for(PATIENCE, both).await);
    assert!(program.stop(Duration::from_secs(30)).await.success(), "{}", program.stderr());
}

/// Attributes that contrib's events have: a session that never ran anything has no time of execution.
fn check_events(requests: &[Value]) {
    let events = events(requests);
    let attributes = |name: &str| {
        let of_name = events.iter().filter(|(found, _)| found == name);
        of_name.flat_map(|(_, attributes)| attributes.keys().cloned()).collect::<BTreeSet<String>>()
    };
    let top_query = [
        "db.system.name",
        "db.namespace",
        "db.query.text",
        "postgresql.calls",
        "postgresql.rows",
        "postgresql.shared_blks_dirtied",
        "postgresql.shared_blks_hit",
        "postgresql.shared_blks_read",
        "postgresql.shared_blks_written",
        "postgresql.temp_blks_read",
        "postgresql.temp_blks_written",
        "postgresql.queryid",
        "postgresql.rolname",
        "postgresql.total_exec_time",
        "postgresql.total_plan_time",
    ];
    let query_sample = [
        "db.system.name",
        "db.namespace",
        "db.query.text",
        "user.name",
        "postgresql.state",
        "postgresql.pid",
        "postgresql.query_start",
        "postgresql.query_id",
        "postgresql.total_exec_time",
    ];
    let missing = |name: &str, wanted: &[&str]| {
        let found = attributes(name);
        wanted.iter().filter(|key| !found.contains(**key)).map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(missing("db.server.top_query", &top_query), Vec::<String>::new());
    assert_eq!(missing("db.server.query_sample", &query_sample), Vec::<String>::new());
    let (_, first) = events.iter().find(|(name, _)| name == "db.server.top_query").unwrap();
    assert!(
        first["postgresql.queryid"]["stringValue"].as_str().unwrap().parse::<i64>().is_ok(),
        "ids are strings"
    );
}
