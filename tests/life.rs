//! The life of the program beside a real database and a real backend: health, outages, memory, the end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use dbintel_testkit::otlp_sink::{OtlpSink, Received};
use dbintel_testkit::postgres::{Cluster, Major, Options, OwnStatements, StopMode};
use dbintel_testkit::process::{Dbintel, Launch};
use dbintel_tests::AdminPorts;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);
/// How long the backend is down.
const OUTAGE: Duration = Duration::from_secs(120);

async fn cluster() -> Cluster {
    let cluster = Cluster::start(Major::V16, Options::new()).await;
    cluster.create_monitor_role(OwnStatements::Untracked).await;
    cluster.create_extension("postgres", "pg_stat_statements").await;
    cluster
}

fn config(port: u16, exporter: &str) -> String {
    format!(
        "receivers:\n  postgresql:\n    endpoint: 127.0.0.1:{port}\n    username: dbintel\n    \
         password: monitor-of-the-test\n    tls: {{insecure: true}}\n    collection_interval: 1s\n    initial_delay: 0\n    \
         top_query_collection: {{collection_interval: 1s}}\n\
         processors:\n  circuit_breaker: {{limits: {{budget: 60s}}}}\n{exporter}\
         service:\n  pipelines:\n    databases:\n      receivers: [postgresql]\n      exporters: [otlphttp]\n"
    )
}

fn exporter(endpoint: &str, more: &str) -> String {
    format!("exporters:\n  otlphttp:\n    endpoint: {endpoint}\n{more}")
}

async fn health(program: &Dbintel, ports: &AdminPorts, path: &str) -> (u16, Value) {
    let (status, body) = program.http_get(ports.health(), path).await.unwrap();
    (status.as_u16(), serde_json::from_str(&body).unwrap_or(Value::Null))
}

/// The value of a self-metric, summed over its series.
async fn metric(program: &Dbintel, ports: &AdminPorts, name: &str) -> f64 {
    let (_, body) = program.http_get(ports.metrics(), "/metrics").await.unwrap();
    let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
    body.lines().filter(of_name).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

async fn lost(program: &Dbintel, ports: &AdminPorts) -> f64 {
    let mut sum = 0.0;
    for kind in ["send_failed", "enqueue_failed"] {
        for signal in ["metric_points", "log_records"] {
            sum += metric(program, ports, &format!("otelcol_exporter_{kind}_{signal}")).await;
        }
    }
    sum
}

async fn sent(program: &Dbintel, ports: &AdminPorts) -> f64 {
    metric(program, ports, "otelcol_exporter_sent_metric_points").await
        + metric(program, ports, "otelcol_exporter_sent_log_records").await
}

fn items(received: &Received) -> usize {
    received.data_points() + received.log_records().count()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{what} did not happen");
}

/// A database or a backend that is down is `degraded` with its reason; the probes stay 200, so that the sidecar never
/// takes the application's pod out of service. SIGTERM ends the program in order, and everything read is delivered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outages_degrade_health_and_never_fail_the_probes() {
    let mut cluster = cluster().await;
    let sink = OtlpSink::start().await;
    let ports = AdminPorts::default();
    let exporter = exporter(
        &sink.http_endpoint(),
        "    retry_on_failure: {initial_interval: 100ms, max_interval: 500ms}\n",
    );
    let mut program = ports.apply(Launch::run(&config(cluster.port(), &exporter))).start();
    program.wait_until_ready(ports.health(), "/health/ready", PATIENCE).await;
    sink.wait_for(PATIENCE, |received| received.data_points() > 0).await;
    let (status, body) = health(&program, &ports, "/health").await;
    assert_eq!((status, &body["healthy"]), (200, &Value::Bool(true)), "{body:#}");
    cluster.stop(StopMode::Fast).await;
    until("the receiver is degraded", async || {
        let (status, body) = health(&program, &ports, "/health").await;
        assert_eq!(status, 200);
        body.to_string().contains("connection_failed")
    })
    .await;
    for path in ["/health/live", "/health/ready", "/"] {
        assert_eq!(program.http_get(ports.health(), path).await.unwrap().0.as_u16(), 200, "{path}");
    }
    let (_, page) = program.http_get(ports.pages(), "/debug/pipelinez").await.unwrap();
    assert!(page.contains("connection_failed") && page.contains("postgresql"), "{page}");
    cluster.start_again().await;
    until("the receiver is well again", async || {
        health(&program, &ports, "/health").await.1["components"].to_string().contains("\"ok\"")
            && !health(&program, &ports, "/health").await.1.to_string().contains("degraded")
    })
    .await;
    let probe = ["health", "ready", "--endpoint", &format!("127.0.0.1:{}", ports.health())];
    assert!(Launch::command(&probe).output().await.status.success());
    assert!(program.stop(Duration::from_secs(30)).await.success(), "{}", program.stderr());
    assert!(!Launch::command(&probe).output().await.status.success());
    sink.received().assert_no_violations();
    sink.stop().await;
}

/// While the backend is down for two minutes nothing is lost, as the queue has room; what was read before, during and
/// after the outage arrives, each record once. Retries and queue are as they are by default.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_comes_back_gets_everything() {
    let cluster = cluster().await;
    let sink = OtlpSink::start().await;
    let ports = AdminPorts::default();
    let exporter = exporter(&sink.http_endpoint(), "");
    let mut program = ports.apply(Launch::run(&config(cluster.port(), &exporter))).start();
    sink.wait_for(PATIENCE, |received| received.data_points() > 0).await;
    sink.stop().await;
    let before = metric(&program, &ports, "otelcol_receiver_accepted_metric_points").await;
    tokio::time::sleep(OUTAGE).await;
    let accepted = metric(&program, &ports, "otelcol_receiver_accepted_metric_points").await;
    assert!(accepted > before * 10.0, "read before the outage: {before}, with it: {accepted}");
    assert_eq!(lost(&program, &ports).await, 0.0);
    sink.start_again().await;
    until("the queue is empty again", async || {
        sent(&program, &ports).await > before
            && metric(&program, &ports, "otelcol_exporter_queue_size").await == 0.0
    })
    .await;
    // Nothing new comes while the figures are compared.
    cluster.sigstop();
    let points = async |name: &str| metric(&program, &ports, &format!("otelcol_{name}_metric_points")).await;
    let logs = async |name: &str| metric(&program, &ports, &format!("otelcol_{name}_log_records")).await;
    until("what was accepted has arrived", async || {
        let received = sink.received();
        points("receiver_accepted").await == received.data_points() as f64
            && points("exporter_sent").await == received.data_points() as f64
            && logs("exporter_sent").await == received.log_records().count() as f64
    })
    .await;
    assert_eq!(lost(&program, &ports).await, 0.0);
    cluster.sigcont();
    program.terminate();
    assert!(program.wait(Duration::from_secs(30)).await.success(), "{}", program.stderr());
    let received = sink.received();
    received.assert_no_violations();
    assert_eq!(received.duplicates(), 0, "a record arrived twice");
}

/// Beyond the queue's room the oldest are lost, and each loss is counted: what was accepted is sent, waiting or lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_the_queue_each_loss_is_counted() {
    let cluster = cluster().await;
    let sink = OtlpSink::start().await;
    let ports = AdminPorts::default();
    let exporter = exporter(
        &sink.http_endpoint(),
        "    retry_on_failure: {initial_interval: 100ms, max_interval: 300ms, max_elapsed_time: 0}\n    \
         sending_queue: {sizer: requests, queue_size: 3}\n",
    );
    let mut program = ports.apply(Launch::run(&config(cluster.port(), &exporter))).start();
    sink.wait_for(PATIENCE, |received| received.data_points() > 0).await;
    sink.stop().await;
    until("records are lost", async || lost(&program, &ports).await > 200.0).await;
    sink.start_again().await;
    let before = sent(&program, &ports).await;
    until("records are sent again", async || sent(&program, &ports).await > before).await;
    // Ask while it still runs: the figures end with the program.
    cluster.sigstop();
    until("the queue is empty", async || {
        metric(&program, &ports, "otelcol_exporter_queue_size").await == 0.0
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (sent, lost) = (sent(&program, &ports).await, lost(&program, &ports).await);
    let accepted = metric(&program, &ports, "otelcol_receiver_accepted_metric_points").await;
    let mut points = metric(&program, &ports, "otelcol_exporter_sent_metric_points").await;
    for kind in ["send_failed", "enqueue_failed"] {
        points += metric(&program, &ports, &format!("otelcol_exporter_{kind}_metric_points")).await;
    }
    assert_eq!(points, accepted, "points accepted, and sent or counted as lost");
    assert!(lost > 0.0);
    assert_eq!(items(&sink.received()) as f64, sent, "what is counted as sent has arrived");
    cluster.sigcont();
    assert!(program.stop(Duration::from_secs(30)).await.success(), "{}", program.stderr());
}

/// A memory limit below what the process needs makes the door refuse; a limit above lets everything through. What is
/// refused is not lost: the next reading covers it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn above_the_soft_limit_the_door_refuses_and_says_so() {
    let cluster = cluster().await;
    let sink = OtlpSink::start().await;
    let ports = AdminPorts::default();
    let limited = config(cluster.port(), &exporter(&sink.http_endpoint(), ""))
        .replace(
            "processors:\n",
            "processors:\n  memory_limiter: {check_interval: 100ms, soft_limit: 1MiB, hard_limit: 500MiB}\n",
        )
        .replace(
            "      exporters: [",
            "      processors: [memory_limiter, circuit_breaker]\n      exporters: [",
        );
    let mut program = ports.apply(Launch::run(&limited)).start();
    program.wait_until_ready(ports.health(), "/health/ready", PATIENCE).await;
    until("records are refused", async || {
        metric(&program, &ports, "otelcol_receiver_refused_metric_points").await > 0.0
    })
    .await;
    assert_eq!(metric(&program, &ports, "dbintel_memory_limiter_refusing").await, 1.0);
    let (_, page) = program.http_get(ports.pages(), "/debug/pipelinez").await.unwrap();
    assert!(page.contains("memory_limiter"), "{page}");
    assert!(program.stop(Duration::from_secs(30)).await.success(), "{}", program.stderr());
}
