//! Documents that list things are generated from code: `docs/telemetry.md` lists every metric, event and self-metric.
//! `make docs` rewrites it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fmt::Write as _;

use dbintel_model::Instrument;
use dbintel_model::catalogue::{EVENTS, METRICS};
use dbintel_pipeline::telemetry::{SelfMetricKind, definitions};

fn telemetry() -> String {
    let mut text = String::from(
        "# Telemetry\n\nGenerated from the catalogue (`crates/model/catalogue/`) and from the code by `make docs`.\n\n\
         ## Metrics of PostgreSQL\n\nA metric marked *contrib* has the name, unit and type of OpenTelemetry contrib's \
         `postgresqlreceiver`. All sums are cumulative. Switch a metric on or off with \
         `receivers.postgresql.metrics.<name>.enabled`.\n\n| metric | unit | type | attributes | default | contrib | meaning |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for metric in &METRICS {
        let kind = match metric.instrument {
            Instrument::Counter => "sum, monotonic",
            Instrument::UpDownCounter => "sum",
            Instrument::Gauge => "gauge",
        };
        let number = format!("{:?}", metric.number).to_lowercase();
        let attributes: Vec<String> = metric.attributes.iter().map(|key| format!("`{key}`")).collect();
        let (enabled, contrib) =
            (if metric.enabled { "on" } else { "off" }, if metric.contrib { "yes" } else { "" });
        writeln!(
            text,
            "| `{}` | `{}` | {kind} ({number}) | {} | {enabled} | {contrib} | {} |",
            metric.name,
            metric.unit,
            attributes.join(", "),
            metric.description
        )
        .unwrap();
    }
    for event in EVENTS {
        write!(
            text,
            "\n## Event `{}`\n\n{} Severity number {}.\n\n| attribute | meaning |\n|---|---|\n",
            event.name, event.description, event.severity
        )
        .unwrap();
        for (key, meaning) in event.attributes {
            writeln!(text, "| `{key}` | {meaning} |").unwrap();
        }
    }
    text.push_str(
        "\n## Self-metrics\n\nOn `127.0.0.1:8888/metrics`.\n\n| metric | type | meaning |\n|---|---|---|\n",
    );
    let own = [definitions::ALL, dbintel_admin::definitions::ALL, dbintel_processors::definitions::ALL];
    for metric in own.into_iter().flatten() {
        let kind = match metric.kind {
            SelfMetricKind::Counter => "counter",
            SelfMetricKind::Gauge => "gauge",
        };
        writeln!(text, "| `{}` | {kind} | {} |", metric.name, metric.help).unwrap();
    }
    text
}

#[test]
fn the_telemetry_document_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/telemetry.md");
    let text = telemetry();
    if std::env::vars().any(|(name, _)| name == "DBINTEL_UPDATE") {
        std::fs::write(path, &text).unwrap();
    }
    let held = std::fs::read_to_string(path).unwrap_or_default();
    assert!(held == text, "docs/telemetry.md is out of date; run: make docs");
}
