use std::sync::Arc;

use dbintel_model::{ManualClock, Number, Timestamp};
use serde_json::{Value, json};

use super::*;
use crate::harness::{batch, context, counts, gap, numbered, point, sampled, server, start_with, until};
use dbintel_config::{Complaint, Validated};

fn config(settings: Value) -> Result<Validated<Config>, Vec<Complaint>> {
    validate(&serde_json::from_value(settings).unwrap())
}

fn shown(verbosity: Verbosity, delivery: &Delivery) -> Vec<String> {
    let mut lines = Vec::new();
    format::lines(verbosity, delivery, &mut |write| lines.push(write()));
    lines
}

#[test]
fn shows_more_with_every_verbosity() {
    let labels = dbintel_model::Labels {
        resource: Vec::new(),
        point: vec![dbintel_model::Attribute::new("db.namespace", "orders")],
    };
    let records = vec![point("postgresql.commits", labels, Number::Int(7)), gap("a \"lock\"\nheld")];
    let batch = batch(&server(), records);
    let weight = batch.weight_bytes();
    let delivery = Delivery::new(Arc::new(batch), Signals::ALL, weight);
    assert_eq!(
        shown(Verbosity::Basic, &delivery),
        ["db.example:5432: 1 metric points, 1 log records, observed at 1970-01-01T00:00:02.000000Z"]
    );
    let commits = "postgresql.commits 7 1 db.namespace=\"orders\"";
    assert_eq!(
        shown(Verbosity::Normal, &delivery),
        [commits, "dbintel.gap dbintel.gap.what=\"statements\" dbintel.gap.reason=\"lock_timeout\""]
    );
    assert_eq!(
        shown(Verbosity::Detailed, &delivery),
        [
            commits,
            "dbintel.gap dbintel.gap.what=\"statements\" dbintel.gap.reason=\"lock_timeout\" \
             dbintel.gap.detail=\"a \\\"lock\\\"\\nheld\" dbintel.interval.end=\"1970-01-01T00:00:00.000000Z\"",
        ]
    );
}

#[test]
fn what_a_sampler_has_left_out_is_not_shown() {
    let batch = batch(&server(), vec![sampled(1, false), sampled(2, true)]);
    let delivery = Delivery::new(Arc::new(batch), Signals::ALL, 0);
    assert!(shown(Verbosity::Basic, &delivery)[0].contains(" 1 log records"));
    assert_eq!(shown(Verbosity::Normal, &delivery), ["db.server.query_sample postgresql.pid=2"]);
}

#[test]
fn long_texts_are_cut() {
    let batch = batch(&server(), vec![gap(&"ä".repeat(100_000))]);
    let delivery = Delivery::new(Arc::new(batch), Signals::ALL, 0);
    let lines = shown(Verbosity::Detailed, &delivery);
    assert!(lines[0].chars().count() < 800 && lines[0].contains("ä…"));
}

#[test]
fn lines_are_bounded_per_second_and_the_rest_is_counted() {
    let start = Monotonic::default();
    let mut budget = Budget::new(3, start);
    let permitted = (0..10).filter(|_| budget.permit()).count();
    assert_eq!((permitted, budget.begin_second(start)), (3, None));
    assert_eq!(budget.begin_second(start.plus(Duration::from_secs(1))), Some(7));
    assert!(budget.permit());
    assert_eq!(budget.begin_second(start.plus(Duration::from_secs(5))), None);
}

#[tokio::test]
async fn everything_is_counted_as_sent_and_what_was_not_shown_as_a_limit() {
    let clock = ManualClock::at(Timestamp::from_nanos(1));
    let config = config(json!({"verbosity": "normal", "lines_per_second": 5})).unwrap().config;
    let exporter = start_with(DebugExporter::new(config), context(Arc::new(clock.clone())));
    exporter.push(numbered(&server(), 0, 10, 10));
    until("taken", || exporter.cx.input.is_empty()).await;
    clock.advance(Duration::from_secs(1));
    exporter.push(numbered(&server(), 1, 1, 0));
    let cx = exporter.finish().await;
    assert_eq!((counts(&cx).sent(), counts(&cx).lost()), (21, 0));
    let labels = [("exporter", "test"), ("limit", "debug_lines")];
    assert_eq!(cx.registry.value("dbintel_limit_reached_total", &labels), Some(15.0));
}

#[test]
fn settings() {
    assert_eq!(config(json!({})).unwrap().config.verbosity, Verbosity::Basic);
    let notices =
        config(json!({"sampling_initial": 2, "sampling_thereafter": 1, "use_internal_logger": false}));
    assert_eq!(notices.unwrap().notices.len(), 3);
    let wrong = config(json!({"lines_per_second": 0, "output_paths": ["stdout"]})).unwrap_err();
    assert_eq!(
        wrong.iter().map(|error| error.field.as_str()).collect::<Vec<_>>(),
        ["lines_per_second", "output_paths"]
    );
    assert!(serde_json::from_value::<Settings>(json!({"verbosity": "loud"})).is_err());
}
