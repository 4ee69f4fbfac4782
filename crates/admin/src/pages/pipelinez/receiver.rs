//! One receiver in detail.

use dbintel_pipeline::Reply;
use dbintel_pipeline::status::ComponentKind;

use super::View;
use crate::AdminContext;
use crate::pages::ask::LaneReplies;
use crate::pages::format::{self, UNKNOWN};
use crate::pages::html::{Cell, Page, Tone};
use crate::pages::series::Sample;
use crate::pages::source::PipelineView;

pub(super) fn details(
    page: &mut Page,
    cx: &AdminContext,
    view: &View,
    pipeline: &PipelineView,
    replies: Option<&LaneReplies>,
) {
    page.section(&format!("Receiver {}", pipeline.receiver));
    page.sentence(&flow(view, pipeline));
    if !pipeline.pipelines.is_empty() {
        page.sentence(&format!("In the pipelines {}.", pipeline.pipelines.join(", ")));
    }
    state(page, cx, view, pipeline);
    missing(page, cx, view, pipeline);
    refused(page, view, pipeline);
    processors(page, cx, view, pipeline, replies);
    cost(page, cx, view, pipeline);
}

/// `db:5432 → postgresql → lane (0 batches, 0 B of 16 MiB waiting) → memory_limiter → otlp (metrics, logs)`.
fn flow(view: &View, pipeline: &PipelineView) -> String {
    let id = pipeline.receiver.as_str();
    let value = |metric: &str| view.series.sum(metric, id);
    let lane = match (value("dbintel_lane_queue_batches"), value("dbintel_lane_queue_bytes")) {
        (Some(batches), Some(bytes)) => format!(
            "lane ({} batches, {} of {} waiting)",
            format::count(batches),
            format::bytes(bytes),
            value("dbintel_lane_queue_bytes_max").map_or_else(|| UNKNOWN.to_owned(), format::bytes)
        ),
        _ => "lane (not running)".to_owned(),
    };
    let mut steps = vec![format!("{} {}", pipeline.system, pipeline.server), id.to_owned(), lane];
    steps.extend(pipeline.processors.iter().map(ToString::to_string));
    let exporters = pipeline.exporters.iter().map(|link| format!("{} ({})", link.id, link.signals));
    steps.push(exporters.collect::<Vec<_>>().join(" and "));
    steps.join(" → ")
}

fn state(page: &mut Page, cx: &AdminContext, view: &View, pipeline: &PipelineView) {
    let now = cx.clock.now();
    for kind in [ComponentKind::Receiver, ComponentKind::Lane] {
        let Some(status) = view.status(kind, &pipeline.receiver) else {
            continue;
        };
        if let Some(reason) = status.state.reason() {
            let since = format::moment(status.since, now);
            let text = format!("The {} is {} since {since}: {reason}", kind.as_str(), status.state.as_str());
            page.news(Tone::Warn, &text);
        }
    }
}

fn missing(page: &mut Page, cx: &AdminContext, view: &View, pipeline: &PipelineView) {
    let Some(status) = view.status(ComponentKind::Receiver, &pipeline.receiver) else {
        return;
    };
    if status.missing.is_empty() {
        page.sentence("Nothing is missing: every part of every poll is delivered.");
        return;
    }
    page.part("What is missing");
    let now = cx.clock.now();
    page.table(
        ["part", "reason", "what happened and what to do", "since"],
        status.missing.iter().map(|(part, missing)| {
            [
                Cell::text(part),
                Cell::toned(Tone::Warn, missing.reason),
                Cell::text(&missing.detail),
                Cell::text(format::moment(missing.since, now)),
            ]
        }),
    );
}

fn refused(page: &mut Page, view: &View, pipeline: &PipelineView) {
    let id = pipeline.receiver.as_str();
    let refused = ["otelcol_receiver_refused_metric_points", "otelcol_receiver_refused_log_records"];
    let refused = view.by_label(&refused, id, "reason");
    if !refused.is_empty() {
        let text = format!(
            "Records refused at the door, by reason: {refused}. The next polls covered their intervals."
        );
        page.sentence(&text);
    }
    let lost = view.by_label(&["dbintel_lane_lost_records_total"], id, "reason");
    if !lost.is_empty() {
        page.news(Tone::Bad, &format!("Records lost in the lane, by reason: {lost}."));
    }
}

fn processors(
    page: &mut Page,
    cx: &AdminContext,
    view: &View,
    pipeline: &PipelineView,
    replies: Option<&LaneReplies>,
) {
    page.part("Processors");
    if pipeline.processors.is_empty() {
        page.sentence("None.");
        return;
    }
    let rows = pipeline.processors.iter().map(|processor| processor_row(view, &pipeline.receiver, processor));
    page.table(["processor", "#records in", "#records out", "#time", "#time per record"], rows);
    match replies {
        Some(replies) => {
            for (processor, reply) in replies {
                shown(page, processor, reply);
            }
        }
        None if cx.pages.lanes().is_some() => {
            let text = "The lane gave no answer within a second: it is busy with a batch, it is stuck, or dbintel is \
                        starting or ending.";
            page.news(Tone::Warn, text);
        }
        None => {}
    }
}

fn processor_row(view: &View, receiver: &str, processor: &str) -> [Cell; 5] {
    let value = |metric: &str| {
        let samples = view.series.samples(metric, receiver);
        let of_processor = |sample: &&Sample| sample.label("processor") == Some(processor);
        samples.iter().find(of_processor).map(|sample| sample.value)
    };
    let incoming = value("otelcol_processor_incoming_items");
    let seconds = value("otelcol_processor_internal_duration_seconds");
    let each = seconds
        .zip(incoming)
        .filter(|(_, records)| *records > 0.0)
        .map(|(seconds, records)| seconds / records);
    let time = |value: Option<f64>| Cell::number(value.map_or_else(|| UNKNOWN.to_owned(), format::seconds));
    [
        Cell::text(processor),
        Cell::number(format::count_or_unknown(incoming)),
        Cell::number(format::count_or_unknown(value("otelcol_processor_outgoing_items"))),
        time(seconds),
        time(each),
    ]
}

fn shown(page: &mut Page, processor: &str, reply: &Reply) {
    if reply.lines.is_empty() {
        return;
    }
    page.part(&format!("{processor} says"));
    let lines = reply.lines.iter();
    page.facts(lines.map(|(name, value)| (name.to_string(), Cell::text(value))));
}

/// What our statements cost the database, by purpose.
fn cost(page: &mut Page, cx: &AdminContext, view: &View, pipeline: &PipelineView) {
    let id = pipeline.receiver.as_str();
    let statements = view.series.samples("dbintel_database_statements_total", id);
    let times = view.series.samples("dbintel_database_time_seconds_total", id);
    if statements.is_empty() {
        return;
    }
    page.part("What it costs the database");
    let uptime = cx.monitor.sample().uptime.as_secs_f64();
    let total: f64 = times.iter().map(|sample| sample.value).sum();
    let text = format!(
        "{} in {}: on average {} of one backend.",
        format::seconds(total),
        format::seconds(uptime),
        if uptime > 0.0 { format!("{:.3} %", total / uptime * 100.0) } else { UNKNOWN.to_owned() }
    );
    page.sentence(&text);
    let mut purposes: Vec<&str> = statements.iter().filter_map(|sample| sample.label("purpose")).collect();
    purposes.sort_unstable();
    purposes.dedup();
    page.table(
        ["purpose", "#statements", "how they ended", "#time", "#time each", "measured by"],
        purposes.into_iter().map(|purpose| cost_row(purpose, statements, times)),
    );
}

fn cost_row(purpose: &str, statements: &[Sample], times: &[Sample]) -> [Cell; 6] {
    let of_purpose = |sample: &&Sample| sample.label("purpose") == Some(purpose);
    let outcomes: Vec<_> = statements.iter().filter(of_purpose).collect();
    let times: Vec<_> = times.iter().filter(of_purpose).collect();
    let number: f64 = outcomes.iter().map(|sample| sample.value).sum();
    let seconds: f64 = times.iter().map(|sample| sample.value).sum();
    let ended = outcomes
        .iter()
        .map(|sample| format!("{} {}", format::count(sample.value), sample.label("outcome").unwrap_or("?")));
    let sources = times.iter().filter_map(|sample| sample.label("source"));
    let sources = sources.map(|source| match source {
        "statement" => "the database",
        "wall" => "dbintel, with the network",
        other => other,
    });
    [
        Cell::text(purpose),
        Cell::number(format::count(number)),
        Cell::text(ended.collect::<Vec<_>>().join(", ")),
        Cell::number(format::seconds(seconds)),
        Cell::number(if number > 0.0 { format::seconds(seconds / number) } else { UNKNOWN.to_owned() }),
        Cell::text(sources.collect::<Vec<_>>().join(" and ")),
    ]
}
