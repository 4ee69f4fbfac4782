//! What the tests of this crate share: a context with a clock moved by hand, and a small fleet on the board.

use std::sync::Arc;
use std::time::Duration;

use dbintel_model::{Clock, ManualClock, Text, Timestamp};
use dbintel_pipeline::overrides::{Bypass, Circuit, Overrides};
use dbintel_pipeline::status::{ComponentKind, State, StatusBoard};
use dbintel_pipeline::telemetry::{Counter, Gauge, Registry, SelfMetric, SeriesLabels, definitions};

use crate::control::{CircuitView, Controls};
use crate::pages::{ExporterLink, LaneAsker, PageSource, PipelineView, ServiceView};
use crate::resources::ResourceMonitor;
use crate::{AdminContext, Heartbeat, SpanStore};

/// Pages of whatever was put in.
#[derive(Default)]
pub(crate) struct Wiring {
    pub(crate) service: ServiceView,
    pub(crate) pipelines: Vec<PipelineView>,
    pub(crate) lanes: Option<LaneAsker>,
}

impl PageSource for Wiring {
    fn service(&self) -> ServiceView {
        self.service.clone()
    }

    fn pipelines(&self) -> Vec<PipelineView> {
        self.pipelines.clone()
    }

    fn lanes(&self) -> Option<LaneAsker> {
        self.lanes.clone()
    }
}

/// A program without breakers, all of whose parts may be switched off.
pub(crate) struct NothingToControl;

impl Controls for NothingToControl {
    fn circuits(&self) -> Vec<CircuitView> {
        Vec::new()
    }

    fn hold(&self, _circuit: &Circuit, _reason: &Text, _lasts: Duration) -> Result<(), Text> {
        Err("there is no such breaker".into())
    }

    fn release(&self, _circuit: &Circuit) {}

    fn check(&self, _bypass: &Bypass) -> Result<(), Text> {
        Ok(())
    }
}

/// 2026-11-21 04:43:25 UTC.
pub(crate) fn start_time() -> Timestamp {
    Timestamp::from_nanos(1_795_236_205_000_000_000)
}

/// A context of a process that started just now, with nothing on the board.
pub(crate) fn context(clock: &ManualClock, wiring: Wiring) -> AdminContext {
    let registry = Registry::default();
    let dyn_clock: Arc<dyn Clock> = Arc::new(clock.clone());
    let monitor = ResourceMonitor::new(Arc::clone(&dyn_clock), None);
    AdminContext {
        started_at: clock.now(),
        version: "0.1.0".into(),
        board: StatusBoard::default(),
        heartbeat: Heartbeat::new(clock.monotonic()),
        monitor,
        spans: SpanStore::new(&registry),
        pages: Arc::new(wiring),
        overrides: Overrides::new(Arc::clone(&dyn_clock)),
        controls: Arc::new(NothingToControl),
        clock: dyn_clock,
        registry,
    }
}

pub(crate) fn empty_context() -> (AdminContext, ManualClock) {
    let clock = ManualClock::at(start_time());
    (context(&clock, Wiring::default()), clock)
}

/// Two servers, of which one misses something, an exporter whose backend is down, and some figures.
pub(crate) fn fleet(cx: &AdminContext) {
    let now = cx.clock.now();
    for id in ["postgresql/orders", "postgresql/billing"] {
        let receiver = cx.board.register(ComponentKind::Receiver, id.into(), now);
        receiver.succeeded(now);
        cx.board.register(ComponentKind::Lane, id.into(), now).set(State::Ok, now);
        receiver_figures(&cx.registry, id);
        if id == "postgresql/orders" {
            let detail = "permission denied for view pg_stat_statements; GRANT pg_monitor TO dbintel".into();
            receiver.missing(&"statements".into(), "insufficient_privilege", &detail, now);
        }
    }
    let exporter = cx.board.register(ComponentKind::Exporter, "otlp".into(), now);
    exporter.set(State::Degraded("connection refused, 3 attempts".into()), now);
    let labels = || vec![("exporter", Text::Static("otlp"))];
    count(&cx.registry, &definitions::EXPORTER_SENT_METRIC_POINTS, labels()).add(900);
    let mut lost = labels();
    lost.push(("reason", "queue_full".into()));
    count(&cx.registry, &definitions::EXPORTER_ENQUEUE_FAILED_METRIC_POINTS, lost).add(100);
    gauge(&cx.registry, &definitions::EXPORTER_QUEUE_SIZE, labels()).set(7.0);
    gauge(&cx.registry, &definitions::EXPORTER_QUEUE_CAPACITY, labels()).set(1_000.0);
}

fn receiver_figures(registry: &Registry, id: &'static str) {
    let with = |labels: &[(&'static str, &'static str)]| -> SeriesLabels {
        let receiver = std::iter::once(("receiver", Text::Static(id)));
        receiver.chain(labels.iter().map(|(name, value)| (*name, Text::Static(value)))).collect()
    };
    count(registry, &definitions::RECEIVER_ACCEPTED_METRIC_POINTS, with(&[])).add(1_234_567);
    count(registry, &definitions::RECEIVER_REFUSED_LOG_RECORDS, with(&[("reason", "memory")])).add(40);
    let success = with(&[("purpose", "statements"), ("outcome", "success")]);
    count(registry, &definitions::STATEMENTS, success).add(30);
    let failed = with(&[("purpose", "statements"), ("outcome", "server_error")]);
    count(registry, &definitions::STATEMENTS, failed).add(10);
    let time = with(&[("purpose", "statements"), ("source", "statement")]);
    gauge(registry, &definitions::DATABASE_TIME, time).set(1.6);
    let processor = || with(&[("processor", "memory_limiter")]);
    count(registry, &definitions::PROCESSOR_INCOMING, processor()).add(2_000);
    gauge(registry, &definitions::PROCESSOR_DURATION, processor()).set(0.05);
    gauge(registry, &definitions::LANE_QUEUE_BATCHES, with(&[])).set(2.0);
    gauge(registry, &definitions::LANE_QUEUE_BYTES, with(&[])).set(65_536.0);
    gauge(registry, &definitions::LANE_QUEUE_BYTES_MAX, with(&[])).set(16_777_216.0);
}

fn count(registry: &Registry, metric: &'static SelfMetric, labels: SeriesLabels) -> Counter {
    registry.counter(metric, labels)
}

fn gauge(registry: &Registry, metric: &'static SelfMetric, labels: SeriesLabels) -> Gauge {
    registry.gauge(metric, labels)
}

/// How the fleet is wired.
pub(crate) fn fleet_wiring(lanes: Option<LaneAsker>) -> Wiring {
    let pipeline = |receiver: &'static str, server: &'static str| PipelineView {
        receiver: receiver.into(),
        server: server.into(),
        system: "postgresql".into(),
        pipelines: vec!["metrics".into(), "logs".into()],
        processors: vec!["memory_limiter".into()],
        acceleration: None,
        exporters: vec![ExporterLink { id: "otlp".into(), signals: "metrics, logs".into() }],
    };
    Wiring {
        service: ServiceView {
            build: vec![("commit".into(), "abc1234".into()), ("compiler".into(), "rustc 1.95.0".into())],
            command_line: vec!["dbintel".into(), "run".into(), "--config".into(), "dbintel.yaml".into()],
            config_files: vec!["dbintel.yaml".into(), "production.yaml".into()],
            environment: Some("production".into()),
            warnings: vec!["dbintel.yaml:12:5: receivers.postgresql: a secret is written inline".into()],
        },
        pipelines: vec![
            pipeline("postgresql/billing", "billing.db:5432"),
            pipeline("postgresql/orders", "orders.db:5432"),
        ],
        lanes,
    }
}

/// Lets time pass, with beats.
pub(crate) fn pass(cx: &AdminContext, clock: &ManualClock, time: Duration) {
    clock.advance(time);
    cx.heartbeat.beat(clock.monotonic());
}
