use std::fs;

use dbintel_pipeline::status::State;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use serde_json::{Value, json};

use super::*;
use crate::harness::{batch, counts, numbered, sampled, server, start, state, until};
use dbintel_config::{Complaint, Validated};

fn config(settings: Value) -> Result<Validated<Config>, Vec<Complaint>> {
    validate(&serde_json::from_value(settings).unwrap())
}

#[tokio::test]
async fn writes_lines_that_are_otlp_requests() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.json");
    let exporter =
        start(FileExporter::new(config(json!({"path": path, "flush_interval": "10ms"})).unwrap().config));
    exporter.push(numbered(&server(), 0, 10, 5));
    until("flushed", || fs::read_to_string(&path).is_ok_and(|text| text.lines().count() == 2)).await;
    exporter.push(numbered(&server(), 1, 10, 0));
    let cx = exporter.finish().await;
    assert_eq!((counts(&cx).sent(), counts(&cx).lost(), state(&cx)), (25, 0, State::Ok));
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    let metrics: ExportMetricsServiceRequest = serde_json::from_str(lines[0]).unwrap();
    let logs: ExportLogsServiceRequest = serde_json::from_str(lines[1]).unwrap();
    assert_eq!(metrics.resource_metrics.len(), 1);
    assert_eq!(logs.resource_logs[0].scope_logs[0].log_records.len(), 5);
}

#[tokio::test]
async fn what_a_sampler_has_left_out_is_not_written_and_what_it_kept_says_how_likely_that_was() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.json");
    let exporter = start(FileExporter::new(config(json!({"path": path})).unwrap().config));
    exporter.push(batch(&server(), vec![sampled(1, false), sampled(2, true), sampled(3, false)]));
    let cx = exporter.finish().await;
    assert_eq!((counts(&cx).sent(), counts(&cx).lost()), (1, 0));
    let line: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let attributes = &line["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["attributes"];
    let value = |key: &str| {
        let mut attributes = attributes.as_array().unwrap().iter();
        attributes.find(|attribute| attribute["key"] == key).map(|attribute| attribute["value"].clone())
    };
    assert_eq!(value("postgresql.pid"), Some(json!({"intValue": "2"})));
    assert_eq!(value("dbintel.sampling.probability"), Some(json!({"doubleValue": 0.25})));
    assert_eq!(value("dbintel.sampling.suppressed"), Some(json!({"intValue": "1"})));
}

#[tokio::test]
async fn what_cannot_be_written_is_counted_and_the_next_line_is_tried() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("later/out.json");
    let exporter =
        start(FileExporter::new(config(json!({"path": path, "flush_interval": "10ms"})).unwrap().config));
    exporter.push(numbered(&server(), 0, 3, 0));
    until("lost", || counts(&exporter.cx).lost_by("write_failed") == 3).await;
    let State::Degraded(reason) = state(&exporter.cx) else { panic!() };
    assert!(reason.contains("later/out.json: No such file"), "{reason}");
    fs::create_dir(path.parent().unwrap()).unwrap();
    exporter.push(numbered(&server(), 1, 4, 0));
    let cx = exporter.finish().await;
    assert_eq!((counts(&cx).sent(), counts(&cx).lost(), state(&cx)), (4, 3, State::Ok));
}

/// A lane's records must not be gone because the exporter was started again after a panic.
#[tokio::test]
async fn a_file_that_is_not_continued_is_emptied_once_for_each_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.json");
    fs::write(&path, "of the process before\n").unwrap();
    let exporter = FileExporter::new(config(json!({"path": path, "append": false})).unwrap().config);
    for number in 0..2 {
        let running = start(exporter.clone());
        running.push(numbered(&server(), number, 3, 0));
        running.finish().await;
    }
    let text = fs::read_to_string(&path).unwrap();
    let holds = |words: &str| text.lines().filter(|line| line.contains(words)).count();
    assert_eq!((text.lines().count(), holds("0/0"), holds("1/0")), (2, 1, 1), "{text}");
}

#[tokio::test]
async fn what_waits_when_time_is_up_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.json");
    let exporter =
        start(FileExporter::new(config(json!({"path": path, "flush_interval": "1m"})).unwrap().config));
    exporter.push(numbered(&server(), 0, 3, 2));
    until("taken", || exporter.cx.input.is_empty()).await;
    exporter.cx.abort.cancel();
    let cx = exporter.finish().await;
    assert_eq!((counts(&cx).sent(), counts(&cx).lost_by("shutdown"), counts(&cx).lost()), (0, 5, 5));
}

#[test]
fn settings_are_bounded_and_the_rest_is_answered_by_name() {
    let validated = config(json!({"path": "/var/log/dbintel.json"})).unwrap();
    assert_eq!((validated.config.max_bytes, validated.config.max_backups), (100_000_000, 10));
    assert!(validated.config.append && validated.notices.is_empty());
    let notices = config(json!({"path": "a", "rotation": {"localtime": true}})).unwrap().notices;
    assert_eq!(notices[0].field, "rotation.localtime");
    let wrong = json!({
        "path": "/", "format": "proto", "compression": "zstd", "encoding": "x", "group_by": {}, "flush_interval": "0s",
        "directory_permissions": "0755", "rotation": {"max_megabytes": 0, "max_backups": 5000, "max_days": 3},
    });
    let mut fields: Vec<String> = config(wrong).unwrap_err().into_iter().map(|error| error.field).collect();
    fields.sort();
    let expected = [
        "compression",
        "directory_permissions",
        "encoding",
        "flush_interval",
        "format",
        "group_by",
        "path",
        "rotation.max_backups",
        "rotation.max_days",
        "rotation.max_megabytes",
    ];
    assert_eq!(fields, expected);
    assert!(serde_json::from_value::<Settings>(json!({"path": "a", "paht": "b"})).is_err());
}
