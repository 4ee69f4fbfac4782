//! What an operator is told about a configuration.

use std::env::VarError;
use std::io;
use std::path::{Path, PathBuf};

use super::*;

/// One file, and no variables.
struct OneFile(String);

impl Environment for OneFile {
    fn variable(&self, _: &str) -> Result<String, VarError> {
        Err(VarError::NotPresent)
    }

    fn read_file(&self, _: &Path, _: usize) -> io::Result<Vec<u8>> {
        Ok(self.0.clone().into_bytes())
    }
}

fn loaded(postgresql: &str, service: &str) -> Result<Checked, ConfigErrors> {
    let text = format!(
        "\
receivers:
  postgresql: {{endpoint: 'db:5432', username: u, {postgresql}}}
exporters: {{debug: }}
service:
  pipelines: {{metrics: {{receivers: [postgresql], exporters: [debug]}}}}
  {service}
"
    );
    load(vec![PathBuf::from("t.yaml")], Vec::new(), None, &OneFile(text))
}

#[track_caller]
fn check(postgresql: &str, service: &str, expect: &str) {
    assert_eq!(loaded(postgresql, service).err().unwrap().to_string(), expect);
}

#[test]
fn everything_that_is_wrong_is_told_together() {
    check(
        "password: '${env:NOPE}', collection_interval: '${env:NOPE}', foo: 1",
        "telemetry: {metrics: {level: loud}}",
        "t.yaml:2:60: receivers.postgresql.password: environment variable `NOPE` is not set; set it, or give a default: `${env:NOPE:-default}`\n\
         t.yaml:2:96: receivers.postgresql.collection_interval: environment variable `NOPE` is not set; set it, or give a default: `${env:NOPE:-default}`\n\
         t.yaml:2:111: receivers.postgresql.foo: unknown key\n\
         t.yaml:6:32: service.telemetry.metrics.level: unknown value `loud`; valid values: none, basic, normal, detailed",
    );
}

#[test]
fn own_telemetry_is_read_once_and_its_errors_have_places() {
    check(
        "password: '${file:/p}'",
        "telemetry: {metrics: {readers: [{periodic: {exporter: {console: }}}, {periodic: {interval: 10, exporter: {otlp: {protocol: grpc, endpoint: 'http://x:1'}}}}]}}",
        "t.yaml:6:94: service.telemetry.metrics.readers.1.periodic.interval: expected an interval of at least 1000 milliseconds\n\
         t.yaml:6:126: service.telemetry.metrics.readers.1.periodic.exporter.otlp.protocol: the OpenTelemetry Collector has this setting, dbintel does not: own telemetry is sent with http/protobuf; write that, and the port for it (usually 4318)",
    );
    let service =
        "telemetry: {logs: {level: debug, sampling: {}}, metrics: {readers: []}, traces: {sampler: {}}}";
    let checked = loaded("password: '${file:/p}'", service).ok().unwrap();
    let telemetry = &checked.assembly.telemetry;
    assert_eq!(telemetry.log_level, dbintel_config::service::telemetry::LogLevel::Debug);
    assert_eq!((&telemetry.metrics_listen, checked.assembly.admin.metrics()), (&None, None));
    let warnings: Vec<&str> = checked.warnings.iter().map(dbintel_config::Warning::path).collect();
    assert_eq!(warnings, ["service.telemetry.logs.sampling", "service.telemetry.traces.sampler"]);
}

#[test]
fn a_samplers_templates_are_written_out_in_what_is_printed_and_errors_keep_their_places() {
    let load_with = |rule: &str| {
        let text = format!(
            "\
receivers:
  postgresql: {{endpoint: 'db:5432', username: u, password: '${{file:/p}}'}}
processors:
  adaptive_sampler:
    rules:
      - template: slow_queries
        sample_rate: 0.5
      - {rule}
  adaptive_sampler/bare:
exporters: {{debug: }}
service:
  pipelines:
    all: {{receivers: [postgresql], processors: [adaptive_sampler, adaptive_sampler/bare], exporters: [debug]}}
"
        );
        load(vec![PathBuf::from("t.yaml")], Vec::new(), None, &OneFile(text))
    };
    let checked = load_with("template: blocked_sessions").ok().unwrap();
    let printed = checked.document.to_yaml(&components::schemas());
    let slow = "      - name: slow_queries\n        priority: 600\n        critical: false\n        sample_rate: 0.5\n";
    assert!(printed.contains(slow) && !printed.contains("template"), "{printed}");
    assert_eq!(printed.matches("name: blocked_sessions").count(), 2, "{printed}");
    assert_eq!(printed.matches("name: everything_else").count(), 1, "{printed}");
    let chain_of = |checked: &Checked| checked.assembly.lanes.values().next().unwrap().chain.clone();
    let chain = chain_of(&checked);
    assert!(
        chain.iter().all(|(_, plan)| matches!(plan, ProcessorPlan::AdaptiveSampler(_))) && chain.len() == 2
    );
    let again = load(vec![PathBuf::from("t.yaml")], Vec::new(), None, &OneFile(printed)).ok().unwrap();
    assert_eq!(chain_of(&again), chain, "what is printed can be loaded and is the same");

    let error = load_with("{name: x, conditions: [], sample_rate: 2}").err().unwrap().to_string();
    assert_eq!(error, "t.yaml:8:48: processors.adaptive_sampler.rules.1.sample_rate: must be from 0 to 1");
}

#[test]
fn verification_is_in_the_default_chain_and_must_be_last() {
    let chain = |checked: Checked| {
        let lane = checked.assembly.lanes.into_values().next().unwrap();
        lane.chain.into_iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>()
    };
    let default = loaded("password: '${file:/p}'", "extensions: []").ok().unwrap();
    assert_eq!(
        chain(default),
        ["memory_limiter", "circuit_breaker", "plan_extractor", "regression_verifier", "verification"]
    );
    let with = |processors: &str| {
        let text = format!(
            "{{receivers: {{postgresql: {{endpoint: 'db:5432', username: u, password: '${{file:/p}}'}}}}, exporters: {{debug: }},
              processors: {{verification: {{privacy: {{detectors: [email]}}}}}},
              service: {{pipelines: {{all: {{receivers: [postgresql], exporters: [debug], processors: {processors}}}}}}}}}"
        );
        load(vec![PathBuf::from("t.yaml")], Vec::new(), None, &OneFile(text))
    };
    let batched = with("[memory_limiter, verification, batch]").map_err(|errors| errors.to_string());
    assert_eq!(chain(batched.ok().unwrap()), ["memory_limiter", "verification", "batch"]);
    let error = with("[verification, memory_limiter]").err().unwrap().to_string();
    assert_eq!(
        error,
        "service.pipelines.all.processors: `verification` is not the last processor; put it last, since it looks at what is about to leave"
    );
}
