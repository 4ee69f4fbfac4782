use std::time::Duration;

use dbintel_config::from_yaml;
use dbintel_config::service::TelemetryConfig as Settings;
use dbintel_config::service::telemetry::{LogEncoding, LogLevel};

use super::*;

fn health(yaml: &str) -> Result<HealthCheckConfig, Vec<SettingsError>> {
    from_yaml::<HealthCheckSettings>(yaml).unwrap().validate()
}

fn telemetry(yaml: &str) -> Result<TelemetryConfig, Vec<SettingsError>> {
    TelemetryConfig::from_settings(&from_yaml::<Settings>(yaml).unwrap())
}

fn paths<T: std::fmt::Debug>(result: Result<T, Vec<SettingsError>>) -> Vec<String> {
    let errors = result.unwrap_err().into_iter();
    errors.map(|error| error.path).collect()
}

#[test]
fn with_nothing_written_everything_is_on_loopback() {
    let config = AdminConfig::default();
    assert_eq!(config.health().unwrap().listen().to_string(), "127.0.0.1:13133");
    assert_eq!(config.metrics().unwrap().to_string(), "127.0.0.1:8888");
    assert_eq!(config.zpages().unwrap().to_string(), "127.0.0.1:55679");
    assert_eq!(health("{}").unwrap(), HealthCheckConfig::default());
    assert_eq!(ZpagesSettings::default().validate().unwrap(), Listen::loopback(ZPAGES_PORT));
    assert_eq!(telemetry("{}").unwrap(), TelemetryConfig::default());
}

#[test]
fn the_collectors_names_are_understood() {
    let config = health("{endpoint: '0.0.0.0:13134', path: /healthz, response_body: {healthy: ok}}").unwrap();
    assert_eq!((config.listen.to_string().as_str(), config.path.as_str()), ("0.0.0.0:13134", "/healthz"));
    let pull =
        "{metrics: {level: detailed, readers: [{pull: {exporter: {prometheus: {host: 0.0.0.0, port: 9}}}}]}}";
    assert_eq!(telemetry(pull).unwrap().metrics_listen, Some(Listen::new("0.0.0.0", 9)));
    let address = telemetry("{metrics: {address: 'localhost:8889'}}").unwrap();
    assert_eq!(address.metrics_listen, Some(Listen::new("localhost", 8889)));
    let logs = telemetry("{logs: {level: debug, encoding: json}}").unwrap();
    assert_eq!((logs.log_level, logs.log_encoding), (LogLevel::Debug, LogEncoding::Json));
}

#[test]
fn metrics_can_be_switched_off() {
    for yaml in ["{metrics: {level: none}}", "{metrics: {readers: []}}"] {
        assert_eq!(telemetry(yaml).unwrap().metrics_listen, None, "{yaml}");
    }
}

#[test]
fn own_telemetry_is_sent_where_it_is_written() {
    let config = telemetry(
        "
metrics:
  readers:
    - pull: {exporter: {prometheus: {}}}
    - periodic:
        interval: 15000
        timeout: 2s
        exporter: {otlp: {protocol: http/protobuf, endpoint: 'http://gateway:4318', headers: {api-key: k}}}
traces:
  processors:
    - batch: {max_queue_size: 100, exporter: {otlp: {endpoint: 'https://gateway/otlp/v1/traces'}}}
resource: {service.name: mine, service.instance.id: }
",
    )
    .unwrap();
    assert_eq!(config.metrics_listen, Some(Listen::loopback(METRICS_PORT)));
    let metrics = config.metrics_push.unwrap();
    assert_eq!((metrics.interval, metrics.otlp.timeout), (Duration::from_secs(15), Duration::from_secs(2)));
    assert_eq!(metrics.otlp.url.to_string(), "http://gateway:4318/v1/metrics");
    assert_eq!(metrics.otlp.headers.len(), 1);
    let spans = config.spans_push.unwrap();
    assert_eq!(spans.otlp.timeout, Duration::from_secs(10));
    assert_eq!((spans.queue_spans_max, spans.request_spans_max), (100, 100));
    assert_eq!(spans.otlp.url.to_string(), "https://gateway/otlp/v1/traces");
    assert_eq!(config.resource["service.instance.id"], None);
}

#[test]
fn an_endpoint_without_a_scheme_is_https_unless_insecure() {
    let url = |otlp: &str| {
        let yaml = format!("{{traces: {{processors: [{{batch: {{exporter: {{otlp: {otlp}}}}}}}]}}}}");
        telemetry(&yaml).unwrap().spans_push.unwrap().otlp.url.to_string()
    };
    assert_eq!(url("{endpoint: 'x:4318'}"), "https://x:4318/v1/traces");
    assert_eq!(url("{endpoint: 'x:4318', insecure: true}"), "http://x:4318/v1/traces");
    assert_eq!(url("{endpoint: '[::1]:4318', insecure: true}"), "http://[::1]:4318/v1/traces");
    assert_eq!(url("{endpoint: 'https://x', insecure: true}"), "https://x/v1/traces");
}

#[test]
fn what_the_collector_has_and_we_have_not_is_answered_by_name() {
    let check = |errors: Vec<SettingsError>, expected: &[&str]| {
        let mut found = Vec::new();
        for error in errors {
            assert!(matches!(error.problem, SettingsProblem::Unsupported { .. }), "{error:?}");
            assert!(error.to_string().contains("dbintel does not"), "{error}");
            found.push(error.path);
        }
        assert_eq!(found, expected);
    };
    check(
        health("{check_collector_pipeline: {enabled: true}, tls: {cert_file: x}}").unwrap_err(),
        &["check_collector_pipeline", "tls"],
    );
    let zpages = from_yaml::<ZpagesSettings>("{expvar: {enabled: true}}").unwrap();
    check(zpages.validate().unwrap_err(), &["expvar"]);
    let grpc =
        "{metrics: {readers: [{periodic: {exporter: {otlp: {protocol: grpc, endpoint: 'http://x:1'}}}}]}}";
    check(telemetry(grpc).unwrap_err(), &["metrics.readers.0.periodic.exporter.otlp.protocol"]);
}

#[test]
fn nonsense_is_refused_with_its_path() {
    assert_eq!(paths(health("{path: healthz}")), ["path"]);
    assert_eq!(paths(health("{path: '/a?b'}")), ["path"]);
    assert_eq!(paths(health("{path: /health}")), ["path"]);
    assert_eq!(paths(health("{endpoint: /run/health.sock}")), ["endpoint"]);
    let check = |yaml: &str, expected: &[&str]| assert_eq!(paths(telemetry(yaml)), expected, "{yaml}");
    check("{metrics: {address: 'a:1', readers: []}}", &["metrics.address"]);
    check("{metrics: {address: /run/metrics.sock}}", &["metrics.address"]);
    check(
        "{metrics: {readers: [{periodic: {interval: 10, exporter: {otlp: {endpoint: 'http://x:1'}}}}]}}",
        &["metrics.readers.0.periodic.interval"],
    );
    let otlp =
        |otlp: &str| format!("{{metrics: {{readers: [{{periodic: {{exporter: {{otlp: {{{otlp}}}}}}}}}]}}}}");
    let path = "metrics.readers.0.periodic.exporter.otlp";
    check(&otlp("endpoint: /run/otlp.sock"), &[&format!("{path}.endpoint")]);
    check(&otlp("endpoint: 'http://x:1', timeout: 0"), &[&format!("{path}.timeout")]);
    check(
        "{traces: {processors: [{batch: {max_queue_size: 0, exporter: {otlp: {endpoint: 'http://x:1'}}}}]}}",
        &["traces.processors.0.batch.max_queue_size", "traces.processors.0.batch.max_export_batch_size"],
    );
    let pull = "{pull: {exporter: {prometheus: }}}";
    check(&format!("{{metrics: {{readers: [{pull}, null, {pull}]}}}}"), &["metrics.readers.2"]);
    let batch = "{batch: {exporter: {otlp: {endpoint: 'http://x:1'}}}}";
    check(&format!("{{traces: {{processors: [{batch}, {batch}]}}}}"), &["traces.processors.1"]);
    check(
        "{metrics: {readers: [{pull: {exporter: {prometheus: {host: 'a b'}}}}]}}",
        &["metrics.readers.0.pull.exporter.prometheus.host"],
    );
    assert!(from_yaml::<HealthCheckSettings>("{endpiont: 'localhost:1'}").is_err());
}

#[test]
fn two_endpoints_cannot_share_an_address() {
    let check = |metrics: Listen, zpages: Listen, clashes: bool| {
        let config = AdminConfig::try_new(None, Some(metrics), Some(zpages), ControlConfig::default());
        assert_eq!(config.is_err(), clashes, "{config:?}");
    };
    check(Listen::loopback(1), Listen::loopback(1), true);
    check(Listen::loopback(1), Listen::new("localhost", 1), true);
    check(Listen::loopback(1), Listen::new("0.0.0.0", 1), true);
    check(Listen::loopback(1), Listen::loopback(2), false);
    check(Listen::loopback(0), Listen::loopback(0), false);
    let error = AdminConfig::try_new(
        Some(HealthCheckConfig::default()),
        Some(Listen::loopback(HEALTH_PORT)),
        None,
        ControlConfig::default(),
    );
    let text = error.unwrap_err().to_string();
    assert!(text.contains("health_check") && text.contains("127.0.0.1:13133"), "{text}");
}

#[test]
fn schemas_have_what_works_and_no_more() {
    let schema = serde_json::to_string(&schemars::schema_for!(HealthCheckSettings)).unwrap();
    assert!(!schema.contains("check_collector_pipeline"));
}

#[test]
fn a_client_reaches_an_endpoint_on_all_addresses_by_loopback() {
    let check = |host: &str, expected: &str| {
        assert_eq!(Listen::new(host, 7).reached_at().unwrap().to_string(), expected);
    };
    check("0.0.0.0", "127.0.0.1:7");
    check("::", "[::1]:7");
    check("127.0.0.2", "127.0.0.2:7");
    check("localhost", "127.0.0.1:7");
    assert_eq!(Listen::new("::1", 7).to_string(), "[::1]:7");
}
