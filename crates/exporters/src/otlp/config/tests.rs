use dbintel_otlp::encode::Format;
use dbintel_otlp::transport::Protocol;
use serde_json::{Value, json};

use super::*;
use dbintel_config::{Complaint, Validated};

fn grpc(settings: Value) -> Result<Validated<OtlpConfig>, Vec<Complaint>> {
    validate(&serde_json::from_value(settings).unwrap())
}

fn http(settings: Value) -> Result<Validated<OtlpConfig>, Vec<Complaint>> {
    validate_http(&serde_json::from_value(settings).unwrap())
}

#[track_caller]
fn fields(found: Result<Validated<OtlpConfig>, Vec<Complaint>>) -> Vec<String> {
    let errors = found.unwrap_err();
    assert!(errors.iter().all(|error| !error.message.is_empty()));
    errors.into_iter().map(|error| error.field).collect()
}

#[test]
fn the_defaults_are_the_collectors_where_they_can_be() {
    let validated = grpc(json!({"endpoint": "otlp.example:4317"})).unwrap();
    assert_eq!(validated.notices, []);
    let config = validated.config;
    let Protocol::Grpc(endpoint) = &config.transport.protocol else { panic!() };
    assert_eq!(endpoint.to_string(), "https://otlp.example:4317");
    assert_eq!(config.transport.compression.encoding(), Some("gzip"));
    assert_eq!(config.transport.timeout.as_secs(), 5);
    assert_eq!(config.queueing.limits.max_items, 1_000);
    assert_eq!(config.queueing.limits.max_bytes, 16 << 20);
    assert_eq!(config.queueing.flush_timeout.as_millis(), 200);
    assert_eq!(config.queueing.request_bytes.get(), 1 << 20);
    assert_eq!(config.retry.as_ref().unwrap().give_up_after.unwrap().as_secs(), 300);
    assert_eq!(config, grpc(json!({"endpoint": "https://otlp.example:4317"})).unwrap().config);
    assert_ne!(config, grpc(json!({"endpoint": "otlp.example:4318"})).unwrap().config);
}

#[test]
fn http_endpoints_by_base_and_by_signal() {
    let check = |settings: Value, expected: [&str; 2]| {
        let config = http(settings).unwrap().config;
        let Protocol::Http { metrics, logs, format } = config.transport.protocol else { panic!() };
        assert_eq!([metrics.to_string(), logs.to_string()], expected);
        assert_eq!(format, Format::Protobuf);
    };
    let base = "https://otlp.example";
    check(json!({"endpoint": base}), ["https://otlp.example/v1/metrics", "https://otlp.example/v1/logs"]);
    check(
        json!({"endpoint": base, "logs_endpoint": "https://logs.example/in"}),
        ["https://otlp.example/v1/metrics", "https://logs.example/in"],
    );
    check(
        json!({"metrics_endpoint": "https://a/m", "logs_endpoint": "https://a/l"}),
        ["https://a/m", "https://a/l"],
    );
    assert_eq!(fields(http(json!({}))), ["endpoint"]);
    assert_eq!(fields(http(json!({"metrics_endpoint": "https://a/m"}))), ["endpoint"]);
    assert_eq!(fields(http(json!({"endpoint": "localhost:4318"}))), ["endpoint"]);
    assert_eq!(fields(http(json!({"endpoint": base, "logs_endpoint": "x"}))), ["logs_endpoint"]);
    let json = http(json!({"endpoint": base, "encoding": "json"})).unwrap().config;
    assert_eq!(json.transport.protocol.format(), Format::Json);
}

#[test]
fn every_mistake_is_named() {
    let settings = json!({
        "endpoint": "localhost",
        "timeout": "0s",
        "compression": "zstd",
        "compression_params": {"level": 12},
        "headers": {"content-type": "x", "good": "y"},
        "auth": {"authenticator": "x"},
        "tls": {"cert_file": "a", "ca_pem": "x", "min_version": "1.3", "reload_interval": "1m"},
        "retry_on_failure": {"initial_interval": "0s"},
        "sending_queue": {
            "enabled": false, "num_consumers": 0, "sizer": "items", "storage": "file_storage",
            "block_on_overflow": true, "wait_for_result": true, "max_bytes": "1MiB",
            "batch": {"min_size": 8192, "flush_timeout": "0s"},
        },
    });
    let mut found = fields(grpc(settings));
    found.sort();
    let expected = [
        "auth",
        "compression_params.level",
        "endpoint",
        "headers.content-type",
        "retry_on_failure.initial_interval",
        "sending_queue.batch.flush_timeout",
        "sending_queue.batch.sizer",
        "sending_queue.block_on_overflow",
        "sending_queue.enabled",
        "sending_queue.max_bytes",
        "sending_queue.num_consumers",
        "sending_queue.sizer",
        "sending_queue.storage",
        "sending_queue.wait_for_result",
        "timeout",
        "tls.ca_pem",
        "tls.cert_file",
        "tls.min_version",
        "tls.reload_interval",
    ];
    assert_eq!(found, expected);
}

#[test]
fn retries_are_bounded_sensibly() {
    let with = |retry: Value| fields(grpc(json!({"endpoint": "a:1", "retry_on_failure": retry})));
    assert_eq!(with(json!({"max_interval": "1s"})), ["retry_on_failure.max_interval"]);
    assert_eq!(with(json!({"multiplier": 0.5})), ["retry_on_failure.multiplier"]);
    assert_eq!(with(json!({"randomization_factor": 2})), ["retry_on_failure.randomization_factor"]);
    assert_eq!(with(json!({"max_elapsed_time": "1s"})), ["retry_on_failure.max_elapsed_time"]);
    let retry =
        |retry: Value| grpc(json!({"endpoint": "a:1", "retry_on_failure": retry})).unwrap().config.retry;
    assert_eq!(retry(json!({"max_elapsed_time": "0s"})).unwrap().give_up_after, None);
    assert_eq!(retry(json!({"enabled": false})), None);
}

#[test]
fn queues_are_sized_in_requests_or_bytes() {
    let limits = |queue: Value| {
        let config = grpc(json!({"endpoint": "a:1", "sending_queue": queue})).unwrap().config;
        (config.queueing.limits.max_items, config.queueing.limits.max_bytes)
    };
    assert_eq!(limits(json!({"queue_size": 5})), (5, 16 << 20));
    assert_eq!(limits(json!({"queue_size": 5, "max_bytes": "8MiB"})), (5, 8 << 20));
    assert_eq!(limits(json!({"sizer": "bytes", "queue_size": 8 << 20})), (100_000, 8 << 20));
    let batch = json!({"sizer": "bytes", "min_size": 20_000, "max_size": 30_000});
    let config = grpc(json!({"endpoint": "a:1", "sending_queue": {"batch": batch}})).unwrap().config;
    assert_eq!((config.queueing.flush_bytes, config.queueing.request_bytes.get()), (20_000, 30_000));
}

#[test]
fn risks_and_keys_without_effect_are_noted() {
    let notices = |found: Result<Validated<OtlpConfig>, Vec<Complaint>>| -> Vec<String> {
        found.unwrap().notices.into_iter().map(|notice| notice.field).collect()
    };
    let settings = json!({
        "endpoint": "http://localhost:4317", "headers": {"api-key": "x"}, "keepalive": {"time": "30s"},
        "tls": {"insecure_skip_verify": true}, "compression": "none", "compression_params": {"level": 1},
    });
    let mut found = notices(grpc(settings));
    found.sort();
    assert_eq!(found, ["compression_params.level", "headers", "keepalive", "tls.insecure_skip_verify"]);
    let settings =
        json!({"endpoint": "https://a", "headers": {"api-key": "x"}, "traces_endpoint": "https://b"});
    assert_eq!(notices(http(settings)), ["traces_endpoint"]);
}

#[test]
fn secrets_do_not_show() {
    let config = grpc(json!({"endpoint": "a:1", "headers": {"api-key": "topsecret"}})).unwrap().config;
    assert!(!format!("{config:?}").contains("topsecret"));
}

#[test]
fn unknown_keys_are_errors() {
    let unknown = serde_json::from_value::<OtlpSettings>(json!({"endpoint": "a:1", "endpiont": 1}));
    assert!(unknown.unwrap_err().to_string().contains("endpiont"));
}
