//! Pipelines that make no sense together, and the telemetry of a Collector configuration.

use std::path::{Path, PathBuf};

use super::telemetry::*;
use super::*;
use crate::component::Section;
use crate::document::{Document, LoadOptions};
use crate::values::Address;

const COMPONENTS: &str = "
receivers: {postgresql: , postgresql/b: }
processors: {sampler: , limiter: }
exporters: {otlp: , debug: }
extensions: {zpages: }
";

struct OneFile(String);

impl crate::Environment for OneFile {
    fn variable(&self, _: &str) -> Result<String, std::env::VarError> {
        Ok("CANARY".to_owned())
    }

    fn read_file(&self, _: &Path, _: usize) -> std::io::Result<Vec<u8>> {
        Ok(self.0.clone().into_bytes())
    }
}

fn load(text: &str) -> Document {
    let options = LoadOptions { files: vec![PathBuf::from("t.yaml")], ..LoadOptions::default() };
    Document::load(&options, &OneFile(text.to_owned())).unwrap().document
}

/// The errors and then the warnings of the section, one per line.
fn checked(service: &str) -> String {
    let document = load(&format!("{service}{COMPONENTS}"));
    let mut warnings = Warnings::default();
    let config = document.service(&mut warnings).unwrap();
    let errors = super::check(&document, &config, &Defined::of(&document), &mut warnings);
    let errors: Vec<String> = errors.err().into_iter().map(|errors| errors.to_string()).collect();
    errors.into_iter().chain(warnings.iter().map(ToString::to_string)).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn check(service: &str, expect: &str) {
    assert_eq!(checked(service), expect, "{service}");
}

/// A service that uses everything, with one pipeline more.
fn service_with(pipeline: &str) -> String {
    format!(
        "service:\n  extensions: [zpages]\n  pipelines:\n    all: {{receivers: [postgresql, postgresql/b], processors: [sampler, limiter], exporters: [otlp, debug]}}\n    {pipeline}\n"
    )
}

#[test]
fn a_complete_service_is_fine() {
    check(
        &service_with(
            "metrics: {receivers: [postgresql], processors: [sampler, limiter], exporters: [otlp]}",
        ),
        "",
    );
}

#[test]
fn references_must_be_defined() {
    check(
        &service_with(
            "logs: {receivers: [postgresq], processors: [sampler, limitr], exporters: [otlp, zzz]}",
        ),
        "t.yaml:5:24: service.pipelines.logs.receivers.0: receiver `postgresq` is not defined; did you mean `postgresql`?\n\
         t.yaml:5:58: service.pipelines.logs.processors.1: processor `limitr` is not defined; did you mean `limiter`?\n\
         t.yaml:5:85: service.pipelines.logs.exporters.1: exporter `zzz` is not defined",
    );
    check(
        &service_with("").replace("[zpages]", "[zpages, zpage]"),
        "t.yaml:2:24: service.extensions.1: extension `zpage` is not defined; did you mean `zpages`?",
    );
}

#[test]
fn a_reference_from_the_environment_is_not_shown() {
    check(
        &service_with("logs/a.b: {receivers: ['${R}'], processors: [sampler, limiter], exporters: [otlp]}"),
        "t.yaml:5:28: service.pipelines.logs/a.b.receivers.0: receiver `${R}` is not defined",
    );
}

#[test]
fn an_id_is_named_once_in_a_list() {
    check(
        &service_with(
            "logs: {receivers: [postgresql/b, postgresql/b], processors: [sampler, limiter], exporters: [otlp]}",
        ),
        "t.yaml:5:38: service.pipelines.logs.receivers.1: `postgresql/b` is named twice in this list",
    );
}

#[test]
fn pipelines_need_receivers_and_exporters() {
    check(
        &service_with("logs/a.b: {processors: []}"),
        "t.yaml:5:5: service.pipelines.logs/a.b: no receivers; a pipeline needs at least one receiver\n\
         t.yaml:5:5: service.pipelines.logs/a.b: no exporters; a pipeline needs at least one exporter",
    );
}

#[test]
fn a_service_needs_a_pipeline() {
    let expect = "service.pipelines: no pipeline; a collector needs one with receivers and exporters, such as \
                  `metrics: {receivers: [postgresql], exporters: [otlp]}`";
    assert!(checked("service: {pipelines: }\n").starts_with(&format!("t.yaml:1:11: {expect}")));
    assert!(checked("").starts_with(expect));
}

#[test]
fn a_receiver_feeds_one_chain() {
    let message = |first: &str| {
        format!(
            "receiver `postgresql` is also in pipeline `{first}`, with other processors; a receiver polls once and feeds \
             one chain, so give both pipelines the same processors, or define a second receiver `postgresql/…`"
        )
    };
    check(
        &service_with(
            "metrics: {receivers: [postgresql], processors: [limiter, sampler], exporters: [otlp]}",
        ),
        &format!("t.yaml:5:40: service.pipelines.metrics.processors: {}", message("all")),
    );
    check(
        &service_with("metrics: {receivers: [postgresql], exporters: [otlp]}"),
        &format!("t.yaml:5:5: service.pipelines.metrics.processors: {}", message("all")),
    );
}

#[test]
fn no_processors_and_none_are_different_chains() {
    let config = |text: &str| {
        load(text)
            .service(&mut Warnings::default())
            .unwrap()
            .pipelines
            .into_values()
            .next()
            .unwrap()
            .processors
    };
    assert_eq!(config("service: {pipelines: {metrics: {}}}"), None);
    assert_eq!(config("service: {pipelines: {metrics: {processors: }}}"), None);
    assert_eq!(config("service: {pipelines: {metrics: {processors: []}}}"), Some(Vec::new()));
}

#[test]
fn what_is_defined_and_not_used_is_a_warning() {
    check(
        "service:\n  pipelines:\n    metrics: {receivers: [postgresql], exporters: [otlp]}\n",
        "t.yaml:5:27: receivers.postgresql/b: warning: defined but used by no pipeline; it does not run\n\
         t.yaml:6:14: processors.sampler: warning: defined but used by no pipeline; it does not run\n\
         t.yaml:6:25: processors.limiter: warning: defined but used by no pipeline; it does not run\n\
         t.yaml:7:21: exporters.debug: warning: defined but used by no pipeline; it does not run",
    );
}

#[test]
fn names_of_pipelines_say_what_they_carry() {
    let carries = |text: &str| {
        let id: PipelineId = text.parse().unwrap();
        Signal::ALL.into_iter().filter(|signal| id.carries(*signal)).map(Signal::name).collect::<Vec<_>>()
    };
    assert_eq!(carries("metrics"), ["metrics"]);
    assert_eq!(carries("logs/audit"), ["logs"]);
    assert_eq!(carries("traces/x"), ["traces"]);
    assert_eq!(carries("databases"), ["metrics", "logs", "traces"]);
    check(
        &service_with("metric: {receivers: [postgresql], processors: [sampler, limiter], exporters: [otlp]}"),
        "t.yaml:5:5: service.pipelines.metric: warning: a pipeline named `metric` carries all signals; did you mean `metrics`?",
    );
    check(
        &service_with(
            "profiles: {receivers: [postgresql], processors: [sampler, limiter], exporters: [otlp]}",
        ),
        "t.yaml:5:5: service.pipelines.profiles: dbintel has no profiles; it has metrics, logs and traces",
    );
}

#[test]
fn built_in_components_may_be_added() {
    let document =
        load(&format!("{}{COMPONENTS}", service_with("").replace("[sampler,", "[sampler, plan_extractor,")));
    let config = document.service(&mut Warnings::default()).unwrap();
    let mut defined = Defined::of(&document);
    assert!(super::check(&document, &config, &defined, &mut Warnings::default()).is_err());
    defined.add(Section::Processors, "plan_extractor".parse().unwrap());
    assert!(super::check(&document, &config, &defined, &mut Warnings::default()).is_ok());
}

#[test]
fn errors_in_the_section_have_places() {
    let error = |text: &str| load(text).service(&mut Warnings::default()).unwrap_err().to_string();
    assert_eq!(
        error(
            "service:\n  pipeline: {}\n  extensions: [a b]\n  pipelines: {1: {}, metrics: {reciever: []}}\n"
        ),
        "t.yaml:2:3: service.pipeline: unknown key; did you mean `pipelines`? (valid keys: extensions, pipelines, telemetry)\n\
         t.yaml:3:16: service.extensions.0: expected a component id whose type has letters, digits and `_`, such as otlphttp/backup, found the text \"a b\"\n\
         t.yaml:4:15: service.pipelines.1: expected the name of a pipeline such as metrics, logs/audit or databases, found the text \"1\"\n\
         t.yaml:4:32: service.pipelines.metrics.reciever: unknown key; did you mean `receivers`? (valid keys: receivers, processors, exporters)"
    );
}

const COLLECTOR_TELEMETRY: &str = "
service:
  telemetry:
    logs:
      level: debug
      encoding: json
      sampling: {enabled: true, tick: 10s}
      initial_fields: {a: b}
      processors:
        - batch: {exporter: {otlp: {protocol: http/protobuf, endpoint: https://x:4318}}}
    metrics:
      level: detailed
      address: 0.0.0.0:8888
      views: [{selector: {}}]
      readers:
        - pull:
            exporter:
              prometheus: {host: 0.0.0.0, port: 9999, without_units: true}
        - periodic:
            interval: 5000
            exporter:
              otlp:
                protocol: grpc
                endpoint: http://localhost:4317
                insecure: true
                compression: gzip
                certificate: /etc/ca.pem
                temporality_preference: delta
                headers: [{name: api-key, value: CANARY}]
        - periodic: {interval: 10s, exporter: {console: {}}}
    traces:
      propagators: [tracecontext]
      sampler: {always_on: }
      processors:
        - batch:
            schedule_delay: 1000
            max_queue_size: 10
            exporter: {otlp: {protocol: http/protobuf, endpoint: 'localhost:4318'}}
        - simple: {exporter: {console: {}}}
    resource:
      schema_url: x
      attributes: [{name: service.name, value: dbintel}, {name: zone, value: 7}]
";

#[test]
fn telemetry_of_a_collector_is_read() {
    let telemetry = load(COLLECTOR_TELEMETRY).service(&mut Warnings::default()).unwrap().telemetry;
    assert_eq!((telemetry.logs.level, telemetry.logs.encoding), (LogLevel::Debug, LogEncoding::Json));
    assert_eq!(telemetry.metrics.level, MetricsLevel::Detailed);
    assert_eq!(telemetry.metrics.address.unwrap().to_string(), "0.0.0.0:8888");
    let readers = telemetry.metrics.readers.unwrap();
    let [Some(ReaderConfig::Pull(pull)), Some(ReaderConfig::Periodic(periodic)), None] = readers.as_slice()
    else {
        panic!("{readers:?}")
    };
    let PullExporter::Prometheus(prometheus) = &pull.exporter;
    assert_eq!((prometheus.host.as_str(), prometheus.port), ("0.0.0.0", 9999));
    assert_eq!((periodic.interval.get().as_secs(), periodic.timeout), (5, None));
    let PushExporter::Otlp(otlp) = &periodic.exporter;
    assert_eq!((otlp.protocol, otlp.insecure, otlp.headers.len()), (OtlpProtocol::Grpc, true, 1));
    assert_eq!(otlp.endpoint, "http://localhost:4317".parse::<Address>().unwrap());
    let [Some(SpanProcessor::Batch(batch)), None] = telemetry.traces.processors.as_slice() else { panic!() };
    assert_eq!((batch.schedule_delay.get().as_secs(), batch.max_queue_size), (1, 10));
    let resource: Vec<_> =
        telemetry.resource.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
    assert_eq!(resource, [("service.name", Some("dbintel")), ("zone", Some("7"))]);
}

#[test]
fn what_only_the_collector_has_is_answered_by_name() {
    let mut warnings = Warnings::default();
    load(COLLECTOR_TELEMETRY).service(&mut warnings).unwrap();
    let no_effect = "warning: the Collector has this setting, dbintel does not; it has no effect";
    let mut expect: Vec<String> = [
        "30:48: service.telemetry.metrics.readers.2.periodic.exporter.console",
        "39:11: service.telemetry.traces.processors.1.simple",
        "8:7: service.telemetry.logs.initial_fields",
        "9:7: service.telemetry.logs.processors",
        "7:7: service.telemetry.logs.sampling",
        "14:7: service.telemetry.metrics.views",
        "18:55: service.telemetry.metrics.readers.0.pull.exporter.prometheus.without_units",
        "32:7: service.telemetry.traces.propagators",
        "33:7: service.telemetry.traces.sampler",
        "41:7: service.telemetry.resource.schema_url",
        "27:17: service.telemetry.metrics.readers.1.periodic.exporter.otlp.certificate",
        "26:17: service.telemetry.metrics.readers.1.periodic.exporter.otlp.compression",
        "28:17: service.telemetry.metrics.readers.1.periodic.exporter.otlp.temporality_preference",
    ]
    .map(|place| format!("t.yaml:{place}: {no_effect}"))
    .into();
    expect.push(
        "t.yaml:29:50: service.telemetry.metrics.readers.1.periodic.exporter.otlp.headers.0.value: warning: a secret is \
         written inline; write a reference, `${env:NAME}` or `${file:/path}`"
            .to_owned(),
    );
    assert_eq!(warnings.iter().map(ToString::to_string).collect::<Vec<_>>(), expect);
}

#[test]
fn defaults_are_those_of_the_collector() {
    let telemetry = load("service: {telemetry: }").service(&mut Warnings::default()).unwrap().telemetry;
    assert_eq!(telemetry, TelemetryConfig::default());
    assert_eq!((telemetry.logs.level, telemetry.metrics.level), (LogLevel::Info, MetricsLevel::Normal));
    assert_eq!(PrometheusPull::default(), PrometheusPull { host: "127.0.0.1".to_owned(), port: 8888 });
}

#[test]
fn other_keys_of_telemetry_are_errors() {
    let error = |text: &str| load(text).service(&mut Warnings::default()).unwrap_err().to_string();
    assert_eq!(
        error(
            "service: {telemetry: {logs: {levl: info}, metrics: {readers: [{pull: {exporter: {otlp: {}}}}]}}}"
        ),
        "t.yaml:1:30: service.telemetry.logs.levl: unknown key; did you mean `level`? (valid keys: level, encoding)\n\
         t.yaml:1:82: service.telemetry.metrics.readers.0.pull.exporter.otlp: unknown value `otlp`; valid values: prometheus"
    );
    let metrics = |metrics: &str| error(&format!("service: {{telemetry: {{metrics: {{{metrics}}}}}}}"));
    for (reader, expect) in [
        (
            "{}",
            "43: service.telemetry.metrics.readers.0: expected one of pull, periodic, found the map {...}",
        ),
        (
            "{pull: {exporter: {prometheus: }}, periodic: {exporter: {otlp: {endpoint: 'x:1'}}}}",
            "43: service.telemetry.metrics.readers.0: expected one of pull, periodic, found the map {...}",
        ),
        ("{periodic: {}}", "44: service.telemetry.metrics.readers.0.periodic: missing key `exporter`"),
        (
            "{periodic: {exporter: {otlp: {}}}}",
            "66: service.telemetry.metrics.readers.0.periodic.exporter.otlp: missing key `endpoint`",
        ),
        (
            "{periodic: {exporter: {otlp_http: {endpoint: 'x:1'}}}}",
            "66: service.telemetry.metrics.readers.0.periodic.exporter.otlp_http: unknown value `otlp_http`; did you mean `otlp`? (valid values: otlp)",
        ),
        (
            "{periodic: {interval: -5, exporter: {otlp: {endpoint: 'x:1'}}}}",
            "65: service.telemetry.metrics.readers.0.periodic.interval: expected a duration such as 10s, or a number of milliseconds, found the number -5",
        ),
        // What was taken out counts: the path is the one of the file.
        (
            "{periodic: {exporter: {console: }}}, {pull: {}}",
            "81: service.telemetry.metrics.readers.1.pull: missing key `exporter`",
        ),
    ] {
        assert_eq!(metrics(&format!("readers: [{reader}]")), format!("t.yaml:1:{expect}"));
    }
}

#[test]
fn a_resource_attribute_may_be_taken_away() {
    let telemetry = load("service: {telemetry: {resource: {host.name: , a: b}}}")
        .service(&mut Warnings::default())
        .unwrap();
    assert_eq!(telemetry.telemetry.resource.get("host.name"), Some(&None));
}
