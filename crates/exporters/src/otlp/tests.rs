//! Against the testkit's backend, a real server on loopback, on real time with short intervals.

mod losses;

use std::sync::Arc;
use std::time::Duration;

use dbintel_pipeline::ExportQueue;
use dbintel_pipeline::status::State;
use dbintel_testkit::otlp_sink::{Behaviour, Encoding, Options, OtlpSink, Outcome, RetryHint, Signal};
use serde_json::{Value, json};

use super::*;
use crate::harness::{Running, batch, counts, numbered, sampled, server, start, state, until};

const PATIENCE: Duration = Duration::from_secs(20);

/// Settings with short intervals, merged with `more`.
fn settings(endpoint: &str, more: &Value) -> Value {
    let mut settings = json!({
        "endpoint": endpoint,
        "timeout": "5s",
        "retry_on_failure": {
            "initial_interval": "20ms", "max_interval": "50ms", "randomization_factor": 0, "max_elapsed_time": "1m",
        },
        "sending_queue": {"batch": {"flush_timeout": "20ms"}},
    });
    for (key, value) in more.as_object().unwrap() {
        settings[key] = value.clone();
    }
    settings
}

#[allow(clippy::needless_pass_by_value, reason = "callers write json!() in place")]
fn grpc(sink: &OtlpSink, more: Value) -> OtlpConfig {
    let settings: OtlpSettings = serde_json::from_value(settings(&sink.grpc_endpoint(), &more)).unwrap();
    validate(&settings).unwrap().config
}

#[allow(clippy::needless_pass_by_value, reason = "callers write json!() in place")]
fn http(sink: &OtlpSink, more: Value) -> OtlpConfig {
    let settings: OtlpHttpSettings = serde_json::from_value(settings(&sink.http_endpoint(), &more)).unwrap();
    validate_http(&settings).unwrap().config
}

fn both(sink: &OtlpSink) -> [OtlpConfig; 2] {
    [grpc(sink, json!({})), http(sink, json!({}))]
}

fn run(config: OtlpConfig) -> Running {
    start(OtlpExporter::new(config))
}

#[tokio::test]
async fn ships_both_signals_by_every_protocol_and_compression() {
    let sink = OtlpSink::start().await;
    let variants = [
        (grpc(&sink, json!({"compression": "gzip"})), Encoding::Gzip),
        (grpc(&sink, json!({"compression": "zstd"})), Encoding::Zstd),
        (http(&sink, json!({"compression": "none"})), Encoding::Identity),
        (http(&sink, json!({"compression": "zstd", "encoding": "json"})), Encoding::Zstd),
    ];
    for (config, encoding) in variants {
        sink.forget();
        let exporter = run(config);
        for number in 0..10 {
            exporter.push(numbered(&server(), number, 100, 50));
        }
        let cx = exporter.finish().await;
        assert_eq!((counts(&cx).sent(), counts(&cx).lost()), (1_500, 0));
        let received = sink.received();
        assert_eq!((received.data_points(), received.log_records().count()), (1_000, 500));
        assert!(received.attempts.iter().all(|attempt| attempt.encoding == encoding));
        assert_eq!(received.duplicates(), 0);
        received.assert_no_violations();
    }
}

#[tokio::test]
async fn the_accounts_of_the_queues_grow_while_the_backend_is_down_and_go_back() {
    let sink = OtlpSink::start().await;
    sink.always(Behaviour::unavailable());
    let batch = json!({"batch": {"flush_timeout": "20ms", "sizer": "bytes", "max_size": 16_384}});
    let exporter = run(http(&sink, json!({"sending_queue": batch})));
    let registry = exporter.cx.registry.clone();
    let bytes = |signal: &str| {
        let name = format!("exporter test {signal} queue");
        registry.value("dbintel_memory_account_bytes", &[("account", &name)])
    };
    // Each sender has one request in hand; the others wait.
    for number in 0..20 {
        exporter.push(numbered(&server(), number, 1_000, 1_000));
    }
    until("both queues hold bytes", || ["metrics", "logs"].iter().all(|signal| bytes(signal) > Some(0.0)))
        .await;
    sink.always(Behaviour::Accept);
    until("both queues are empty", || ["metrics", "logs"].iter().all(|signal| bytes(signal) == Some(0.0)))
        .await;
    exporter.finish().await;
    assert_eq!((bytes("metrics"), bytes("logs")), (None, None));
}

#[tokio::test]
async fn what_a_sampler_has_left_out_is_not_sent_and_is_no_loss() {
    let sink = OtlpSink::start().await;
    for config in both(&sink) {
        sink.forget();
        let exporter = run(config);
        exporter.push(batch(&server(), vec![sampled(1, false), sampled(2, true), sampled(3, false)]));
        exporter.push(batch(&server(), vec![sampled(4, false)]));
        let cx = exporter.finish().await;
        assert_eq!((counts(&cx).sent(), counts(&cx).lost()), (1, 0));
        let received = sink.received();
        let attributes: Vec<_> = received.log_records().flat_map(|record| &record.attributes).collect();
        let keys: Vec<&str> = attributes.iter().map(|attribute| attribute.key.as_str()).collect();
        let sampling = ["dbintel.sampling.probability", "dbintel.sampling.suppressed"];
        assert_eq!(keys, [&["db.system.name", "postgresql.pid"], &sampling[..]].concat());
        received.assert_no_violations();
    }
}

#[tokio::test]
async fn records_are_sent_after_the_flush_timeout_and_before_when_a_request_is_full() {
    let sink = OtlpSink::start().await;
    let exporter = run(http(&sink, json!({})));
    exporter.push(numbered(&server(), 0, 1, 0));
    sink.wait_for(PATIENCE, |received| received.accepted() == 1).await;

    let batch = json!({"batch": {"flush_timeout": "60s", "sizer": "bytes", "max_size": 16_384}});
    let patient = run(http(&sink, json!({"sending_queue": batch})));
    patient.push(numbered(&server(), 0, 1_000, 0));
    let received = sink.wait_for(PATIENCE, |received| received.accepted() >= 3).await;
    assert!(received.attempts.iter().all(|attempt| attempt.message_bytes <= 16_384));
    assert!(received.data_points() < 1_001);
    patient.finish().await;
    exporter.finish().await;
    assert_eq!(sink.received().data_points(), 1_001);
}

#[tokio::test]
async fn nothing_is_lost_while_the_backend_is_away_and_the_queue_has_room() {
    let sink = OtlpSink::start().await;
    for config in both(&sink) {
        sink.forget();
        let exporter = run(config);
        exporter.push(numbered(&server(), 0, 10, 10));
        sink.wait_for(PATIENCE, |received| received.totals.accepted_items == 20).await;
        sink.stop().await;
        for number in 1..20 {
            exporter.push(numbered(&server(), number, 10, 10));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        until("degraded", || matches!(state(&exporter.cx), State::Degraded(_))).await;
        sink.start_again().await;
        until("recovered", || state(&exporter.cx) == State::Ok).await;
        let cx = exporter.finish().await;
        assert_eq!((counts(&cx).sent(), counts(&cx).lost()), (400, 0));
        let received = sink.received();
        assert_eq!((received.totals.accepted_items, received.duplicates()), (400, 0));
    }
}

/// Whatever the backend answers on the way, every record arrives once.
#[tokio::test]
async fn what_may_succeed_later_is_tried_again() {
    let sink = OtlpSink::start().await;
    for config in both(&sink) {
        sink.forget();
        for behaviour in [
            Behaviour::unavailable(),
            Behaviour::DropConnection,
            Behaviour::exhausted(RetryHint::After(Duration::from_millis(10))),
            Behaviour::refuse_http(502),
            Behaviour::throttle(RetryHint::Nonsense("soon".to_owned())),
        ] {
            sink.next(behaviour);
        }
        let exporter = run(config);
        exporter.push(numbered(&server(), 0, 10, 10));
        let cx = exporter.finish().await;
        assert_eq!((counts(&cx).sent(), counts(&cx).lost()), (20, 0));
        assert_eq!((sink.received().totals.accepted_items, sink.received().duplicates()), (20, 0));
    }
}

#[tokio::test]
async fn the_backends_hint_is_obeyed() {
    let sink = OtlpSink::start().await;
    let hint = Duration::from_secs(1);
    for config in both(&sink) {
        sink.forget();
        sink.next(Behaviour::throttle(RetryHint::After(hint)));
        let exporter = run(config);
        exporter.push(numbered(&server(), 0, 1, 0));
        exporter.finish().await;
        let attempts = sink.received().attempts;
        assert_eq!(attempts.len(), 2);
        assert!(attempts[1].at - attempts[0].at >= hint);
    }
}

/// A deadline may be near when the exporter is to end; a long back-off does not let it pass.
#[tokio::test]
async fn waits_are_short_once_the_exporter_is_to_end() {
    let sink = OtlpSink::start().await;
    let retry = json!({"initial_interval": "1m", "max_interval": "1m", "max_elapsed_time": "0s"});
    for config in
        [grpc(&sink, json!({"retry_on_failure": retry})), http(&sink, json!({"retry_on_failure": retry}))]
    {
        sink.forget();
        sink.next_times(2, &Behaviour::unavailable());
        let exporter = run(config);
        exporter.push(numbered(&server(), 0, 1, 1));
        sink.wait_for(PATIENCE, |received| received.attempts.len() == 2).await;
        let cx = exporter.finish().await;
        assert_eq!((counts(&cx).sent(), counts(&cx).lost()), (2, 0));
    }
}

#[tokio::test]
async fn certificates_come_from_the_settings() {
    let sink = OtlpSink::start_with(Options::new().mutual_tls()).await;
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let identity = sink.authority().client("dbintel");
    let right = json!({"tls": {
        "ca_file": file("ca.pem", &sink.authority().certificate_pem()),
        "cert_file": file("client.pem", &identity.certificate_pem),
        "key_file": file("client.key", &identity.key_pem),
    }});
    let stranger = dbintel_testkit::tls::Authority::new();
    let wrong = json!({"tls": {"ca_file": file("wrong.pem", &stranger.certificate_pem())}});
    for (right, wrong) in [
        (grpc(&sink, right.clone()), grpc(&sink, wrong.clone())),
        (http(&sink, right.clone()), http(&sink, wrong.clone())),
    ] {
        let exporter = run(right);
        exporter.push(numbered(&server(), 0, 1, 0));
        assert_eq!(counts(&exporter.finish().await).sent(), 1);

        let exporter = run(wrong);
        exporter.push(numbered(&server(), 0, 1, 0));
        until("degraded", || matches!(state(&exporter.cx), State::Degraded(_))).await;
        let State::Degraded(reason) = state(&exporter.cx) else { unreachable!() };
        assert!(reason.starts_with("metrics: tls: invalid peer certificate"), "{reason}");
        exporter.cx.abort.cancel();
        assert_eq!(counts(&exporter.finish().await).lost_by("shutdown"), 1);
    }
}

#[tokio::test]
async fn a_certificate_that_cannot_be_read_fails_the_component_by_name() {
    let settings = json!({"endpoint": "localhost:4317", "tls": {"ca_file": "/nowhere/ca.pem"}});
    let settings: OtlpSettings = serde_json::from_value(settings).unwrap();
    let exporter = run(validate(&settings).unwrap().config);
    let error = exporter.task.await.unwrap().unwrap_err();
    assert!(error.to_string().starts_with("cannot read /nowhere/ca.pem: No such file"), "{error}");
}

#[tokio::test]
async fn the_queue_and_the_requests_are_counted() {
    const LOGS: [(&str, &str); 2] = [("exporter", "test"), ("data_type", "logs")];
    let sink = OtlpSink::start().await;
    sink.always_for(Signal::Logs, Behaviour::unavailable());
    let exporter = run(http(&sink, json!({})));
    exporter.push(numbered(&server(), 0, 1, 1));
    let registry = exporter.cx.registry.clone();
    let value = |name, labels: &[(&str, &str)]| registry.value(name, labels).unwrap_or_default();
    until("both outcomes", || {
        let outcome =
            |outcome| value("dbintel_exporter_requests_total", &[("exporter", "test"), ("outcome", outcome)]);
        outcome("delivered") == 1.0 && outcome("unavailable") > 1.0
    })
    .await;
    assert!(value("dbintel_exporter_sent_bytes_total", &[("exporter", "test")]) > 100.0);
    assert_eq!(value("otelcol_exporter_queue_capacity", &LOGS), 1_000.0);
    assert_eq!(value("dbintel_exporter_queue_bytes_max", &LOGS), f64::from(16 << 20));
    sink.always(Behaviour::Accept);
    exporter.finish().await;
}
