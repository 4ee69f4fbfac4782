//! Own telemetry against a real OTLP backend of the testkit.

use std::time::Duration;

use dbintel_config::from_yaml;
use dbintel_model::SystemClock;
use dbintel_pipeline::telemetry::definitions as shared;
use dbintel_testkit::otlp_sink::{Behaviour, Options, OtlpSink};
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;

const SOON: Duration = Duration::from_secs(20);

fn config(endpoint: &str) -> TelemetryConfig {
    let yaml = format!(
        "
metrics: {{readers: [{{periodic: {{interval: 1000, timeout: 5000, exporter: {{otlp: {{
    endpoint: '{endpoint}', headers: {{x-tenant: 'a%2Fb'}}}}}}}}}}]}}
traces: {{processors: [{{batch: {{schedule_delay: 50, exporter: {{otlp: {{endpoint: '{endpoint}'}}}}}}}}]}}
resource: {{deployment.environment.name: test, service.instance.id: }}
"
    );
    TelemetryConfig::from_settings(&from_yaml(&yaml).unwrap()).unwrap()
}

fn context() -> TelemetryExportContext {
    TelemetryExportContext {
        registry: Registry::default(),
        clock: Arc::new(SystemClock::default()),
        board: StatusBoard::default(),
        resource: vec![
            ("service.name".into(), "dbintel".into()),
            ("service.instance.id".into(), "gone".into()),
        ],
    }
}

fn state(cx: &TelemetryExportContext) -> State {
    cx.board.components()[0].state.clone()
}

#[test]
fn nothing_is_started_unless_configured() {
    let export = TelemetryExport::start(&TelemetryConfig::default(), context()).unwrap();
    assert!(export.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_and_reduced_spans_arrive() {
    let (sink, cx) = (OtlpSink::start().await, context());
    let labels = || vec![("exporter", Text::from("otlp"))];
    cx.registry.counter(&shared::EXPORTER_SENT_METRIC_POINTS, labels()).add(42);
    let export = TelemetryExport::start(&config(&sink.http_endpoint()), cx.clone()).unwrap().unwrap();
    let subscriber = tracing_subscriber::registry().with(export.trace_layer());
    tracing::subscriber::with_default(subscriber, || {
        tracing::info_span!(target: "dbintel_x", "poll", receiver = "pg", sql = "SELECT 'canary'").in_scope(
            || {
                tracing::error!(target: "dbintel_x", "went wrong: canary");
            },
        );
        drop(tracing::info_span!(target: "hyper", "foreign"));
    });
    // A metric that appears later is sent too.
    cx.registry.gauge(&shared::EXPORTER_QUEUE_SIZE, labels()).set(7.5);
    let received = sink
        .wait_for(SOON, |received| {
            let text = format!("{received:?}");
            text.contains("otelcol_exporter_queue_size") && text.contains("\"poll\"")
        })
        .await;
    received.assert_no_violations();
    let text = format!("{received:?}");
    for expected in
        ["otelcol_exporter_sent_metric_points", "42.0", "7.5", "deployment.environment.name", "a%2Fb"]
    {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
    for forbidden in ["canary", "foreign", "service.instance.id"] {
        assert!(!text.contains(forbidden), "{forbidden} is in {text}");
    }
    assert_eq!(state(&cx), State::Ok);
    assert!(export.shutdown(SOON).await);
    assert_eq!(state(&cx), State::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_refuses_is_counted_and_shown() {
    let (sink, cx) = (OtlpSink::start().await, context());
    sink.always(Behaviour::invalid());
    cx.registry.gauge(&shared::EXPORTER_QUEUE_SIZE, Vec::new()).set(1.0);
    let export = TelemetryExport::start(&config(&sink.http_endpoint()), cx.clone()).unwrap().unwrap();
    sink.wait_for(SOON, |received| !received.attempts.is_empty()).await;
    let labels = [("signal", "metrics"), ("outcome", "failure")];
    let failed = || cx.registry.value("dbintel_telemetry_exports_total", &labels);
    tokio::time::timeout(SOON, async {
        while failed().is_none() || state(&cx) == State::Ok {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    let reason = state(&cx).reason().unwrap().to_string();
    assert!(reason.contains("own metrics are not sent"), "{reason}");
    drop(export);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_whose_certificate_nobody_vouches_for_gets_nothing() {
    let (sink, cx) = (OtlpSink::start_with(Options::new().tls()).await, context());
    cx.registry.gauge(&shared::EXPORTER_QUEUE_SIZE, Vec::new()).set(1.0);
    let export = TelemetryExport::start(&config(&sink.http_endpoint()), cx.clone()).unwrap().unwrap();
    tokio::time::timeout(SOON, async {
        while state(&cx) == State::Ok {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    let reason = state(&cx).reason().unwrap().to_string();
    assert!(reason.contains("certificate"), "{reason}");
    assert_eq!(sink.totals().attempts, 0);
    drop(export);
}
