//! `/debug/pipelinez`: the flow from receivers to exporters, what is missing and why, and what it costs the databases.
//!
//! First what is wrong now, then every receiver and every exporter in one row each, then details of at most
//! [`DETAILS_MAX`] receivers, those in trouble first; the details of any other one are a link away.

mod receiver;

use dbintel_model::{Text, Timestamp};
use dbintel_pipeline::status::{ComponentKind, ComponentStatus, State};

use super::ask::LaneReplies;
use super::format;
use super::html::{Cell, Page, Tone};
use super::series::SeriesIndex;
use super::servicez;
use super::source::PipelineView;
use crate::AdminContext;

/// Receivers whose details are on the page.
pub const DETAILS_MAX: usize = 10;
/// Lines about what is wrong.
const PROBLEMS_MAX: usize = 50;

/// What the page is made from, read once.
struct View {
    pipelines: Vec<PipelineView>,
    components: Vec<ComponentStatus>,
    series: SeriesIndex,
}

/// One line about what is wrong.
struct Problem {
    severity: Severity,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    Failed,
    Degraded,
    PartMissing,
}

pub(super) async fn page(cx: &AdminContext, wanted: Option<&str>) -> String {
    let view = View::of(cx);
    let details = view.details(wanted);
    let replies = ask(cx, &details).await;
    let subtitle = format!(
        "receiver → lane of that server → processors → exporters; {}. Counts are since the start of dbintel.",
        format::clock_time(cx.clock.now())
    );
    let mut page = Page::begin(cx, "pipelinez", "Pipelines", &subtitle);
    view.problems(&mut page, cx);
    view.receivers(&mut page, cx);
    view.exporters(&mut page);
    for (pipeline, replies) in details.iter().zip(&replies) {
        receiver::details(&mut page, cx, &view, pipeline, replies.as_ref());
    }
    let hidden = view.pipelines.len() - details.len();
    if hidden > 0 {
        let sentence =
            format!("Details of {hidden} more receivers: follow the link of a receiver in the table above.");
        page.sentence(&sentence);
    }
    page.finish()
}

async fn ask(cx: &AdminContext, details: &[&PipelineView]) -> Vec<Option<LaneReplies>> {
    let lanes: Vec<Text> = details.iter().map(|pipeline| pipeline.receiver.clone()).collect();
    match cx.pages.lanes() {
        Some(asker) => asker.show(&lanes).await,
        None => vec![None; lanes.len()],
    }
}

// === impl View ===

impl View {
    fn of(cx: &AdminContext) -> Self {
        Self {
            pipelines: cx.pages.pipelines(),
            components: cx.board.components(),
            series: SeriesIndex::of(&cx.registry),
        }
    }

    fn status(&self, kind: ComponentKind, id: &str) -> Option<&ComponentStatus> {
        self.components.iter().find(|component| component.kind == kind && component.id.as_str() == id)
    }

    /// The receivers whose details are shown: the one asked for, or those in trouble and then the others.
    fn details(&self, wanted: Option<&str>) -> Vec<&PipelineView> {
        if let Some(wanted) = wanted {
            let found = self.pipelines.iter().find(|pipeline| pipeline.receiver.as_str() == wanted);
            return found.into_iter().collect();
        }
        let mut pipelines: Vec<_> = self.pipelines.iter().collect();
        pipelines.sort_by_key(|pipeline| !self.is_in_trouble(pipeline));
        pipelines.truncate(DETAILS_MAX);
        pipelines
    }

    fn is_in_trouble(&self, pipeline: &PipelineView) -> bool {
        let kinds = [ComponentKind::Receiver, ComponentKind::Lane];
        kinds.iter().any(|kind| {
            self.status(*kind, &pipeline.receiver)
                .is_some_and(|status| status.state.reason().is_some() || !status.missing.is_empty())
        })
    }

    /// Failed components first, then degraded ones, then those that work without a part.
    fn problems(&self, page: &mut Page, cx: &AdminContext) {
        page.section("What is wrong now");
        let now = cx.clock.now();
        let mut problems: Vec<_> =
            self.components.iter().filter_map(|component| Problem::of(component, now)).collect();
        problems.sort_by_key(|problem| problem.severity);
        if problems.is_empty() {
            page.news(Tone::Good, "Nothing that dbintel knows of.");
            return;
        }
        let further = problems.len().saturating_sub(PROBLEMS_MAX);
        page.list(problems.iter().take(PROBLEMS_MAX).map(Problem::cell));
        if further > 0 {
            page.sentence(&format!("And {further} more."));
        }
    }

    fn receivers(&self, page: &mut Page, cx: &AdminContext) {
        page.section("Receivers");
        if self.pipelines.is_empty() {
            page.sentence("None is configured.");
            return;
        }
        let heads = [
            "receiver",
            "server",
            "state",
            "last success",
            "#waiting in lane",
            "#accepted",
            "#refused",
            "#lost",
            "#missing parts",
            "#database time",
        ];
        page.table(heads, self.pipelines.iter().map(|pipeline| self.row(cx, pipeline)));
    }

    fn row(&self, cx: &AdminContext, pipeline: &PipelineView) -> [Cell; 10] {
        let id = pipeline.receiver.as_str();
        let status = self.status(ComponentKind::Receiver, id);
        let now = cx.clock.now();
        let last_success = status
            .and_then(|status| status.last_success)
            .map_or_else(|| "never".to_owned(), |at| format!("{} ago", format::ago(at, now)));
        let count = |names: &[&str]| Cell::number(format::count_or_unknown(self.sum(names, id)));
        // A counter of what goes wrong appears with the first time it does.
        let events = |names: &[&str]| Cell::number(format::count(self.sum(names, id).unwrap_or_default()));
        let missing = status.map_or(0, |status| status.missing.len());
        let time = self.series.sum("dbintel_database_time_seconds_total", id);
        [
            Cell::link("pipelinez", &[("receiver", id)], id),
            Cell::text(&pipeline.server),
            status.map_or_else(|| Cell::text("not on the board"), |status| servicez::state(&status.state)),
            Cell::text(last_success),
            count(&["dbintel_lane_queue_batches"]),
            count(&["otelcol_receiver_accepted_metric_points", "otelcol_receiver_accepted_log_records"]),
            events(&["otelcol_receiver_refused_metric_points", "otelcol_receiver_refused_log_records"]),
            events(&["dbintel_lane_lost_records_total"]),
            Cell::number(missing.to_string()),
            Cell::number(time.map_or_else(|| format::UNKNOWN.to_owned(), format::seconds)),
        ]
    }

    fn exporters(&self, page: &mut Page) {
        page.section("Exporters");
        let exporters: Vec<_> =
            self.components.iter().filter(|component| component.kind == ComponentKind::Exporter).collect();
        if exporters.is_empty() {
            page.sentence("None is configured.");
            return;
        }
        let heads = ["exporter", "state", "#waiting requests", "#waiting bytes", "#sent", "#not sent", "why"];
        page.table(heads, exporters.iter().map(|exporter| self.exporter_row(exporter)));
    }

    fn exporter_row(&self, exporter: &ComponentStatus) -> [Cell; 7] {
        let id = exporter.id.as_str();
        let of = |used: &str, max: &str, format: fn(f64) -> String| match (
            self.series.sum(used, id),
            self.series.sum(max, id),
        ) {
            (Some(used), Some(max)) => format!("{} of {}", format(used), format(max)),
            (Some(used), None) => format(used),
            (None, _) => format::UNKNOWN.to_owned(),
        };
        let sent = ["otelcol_exporter_sent_metric_points", "otelcol_exporter_sent_log_records"];
        let failed = [
            "otelcol_exporter_send_failed_metric_points",
            "otelcol_exporter_send_failed_log_records",
            "otelcol_exporter_enqueue_failed_metric_points",
            "otelcol_exporter_enqueue_failed_log_records",
        ];
        [
            Cell::text(id),
            servicez::state(&exporter.state),
            Cell::number(of("otelcol_exporter_queue_size", "otelcol_exporter_queue_capacity", format::count)),
            Cell::number(of(
                "dbintel_exporter_queue_bytes",
                "dbintel_exporter_queue_bytes_max",
                format::bytes,
            )),
            Cell::number(format::count_or_unknown(self.sum(&sent, id))),
            Cell::number(format::count(self.sum(&failed, id).unwrap_or_default())),
            Cell::text(self.by_label(&failed, id, "reason")),
        ]
    }

    fn sum(&self, metrics: &[&str], id: &str) -> Option<f64> {
        let known = metrics.iter().filter_map(|metric| self.series.sum(metric, id));
        known.reduce(|sum, value| sum + value)
    }

    /// `12 queue_full, 3 shutdown`: the sums of these metrics by a label, largest first.
    fn by_label(&self, metrics: &[&str], id: &str, label: &str) -> String {
        let mut sums: Vec<(&str, f64)> = Vec::new();
        for sample in metrics.iter().flat_map(|metric| self.series.samples(metric, id)) {
            let value = sample.label(label).unwrap_or("unknown");
            match sums.iter_mut().find(|(held, _)| *held == value) {
                Some((_, sum)) => *sum += sample.value,
                None => sums.push((value, sample.value)),
            }
        }
        sums.retain(|(_, sum)| *sum > 0.0);
        sums.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        let texts = sums.iter().map(|(value, sum)| format!("{} {value}", format::count(*sum)));
        texts.collect::<Vec<_>>().join(", ")
    }
}

// === impl Problem ===

impl Problem {
    fn of(component: &ComponentStatus, now: Timestamp) -> Option<Self> {
        let name = format!("{} {}", component.kind.as_str(), component.id);
        if let Some(reason) = component.state.reason() {
            let (state, since) = (component.state.as_str(), format::ago(component.since, now));
            let severity = match component.state {
                State::Failed(_) => Severity::Failed,
                _ => Severity::Degraded,
            };
            let text = format!("{name} is {state} for {since}: {reason}");
            return Some(Self { severity, text });
        }
        let missing = component.missing.iter();
        let parts: Vec<_> = missing.map(|(part, missing)| format!("{part} ({})", missing.reason)).collect();
        (!parts.is_empty()).then(|| Self {
            severity: Severity::PartMissing,
            text: format!("{name} works, without {}", parts.join(", ")),
        })
    }

    fn cell(&self) -> Cell {
        match self.severity {
            Severity::Failed => Cell::toned(Tone::Bad, &self.text),
            Severity::Degraded | Severity::PartMissing => Cell::toned(Tone::Warn, &self.text),
        }
    }
}
