//! What the tests of the exporters share: an exporter under test, and batches to give it.

use std::sync::Arc;
use std::time::Duration;

use dbintel_model::catalogue::{self, MetricDefinition};
use dbintel_model::{
    Attribute, Batch, Clock, Gap, GapReason, Labels, MetricPoint, Number, Record, Sampling, Server, Session,
    SystemClock, Target, Text, Timestamp,
};
use dbintel_pipeline::memory::MemoryAccounts;
use dbintel_pipeline::status::{ComponentKind, State, StatusBoard, StatusHandle};
use dbintel_pipeline::telemetry::Registry;
use dbintel_pipeline::{
    ComponentError, Delivery, Exporter, ExporterContext, ExporterInput, ExporterTelemetry, QueueLimits,
    Signals, WeightedQueue,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longest a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// An exporter that runs.
pub(crate) struct Running {
    pub(crate) cx: ExporterContext,
    pub(crate) task: JoinHandle<Result<(), ComponentError>>,
}

/// What the supervisor would give an exporter called `test`.
pub(crate) fn context(clock: Arc<dyn Clock>) -> ExporterContext {
    let registry = Registry::default();
    let limits = QueueLimits { max_bytes: 64 << 20, max_items: 10_000 };
    let id = Text::from("test");
    let status: StatusHandle =
        StatusBoard::default().register(ComponentKind::Exporter, id.clone(), clock.now());
    ExporterContext {
        telemetry: ExporterTelemetry::new(registry.clone(), id.clone()),
        id,
        input: ExporterInput::new(WeightedQueue::new(limits)),
        clock,
        accounts: MemoryAccounts::new(registry.clone()),
        registry,
        status,
        abort: CancellationToken::new(),
    }
}

/// Starts it on the machine's clock.
pub(crate) fn start(exporter: impl Exporter + 'static) -> Running {
    start_with(exporter, context(Arc::new(SystemClock::default())))
}

#[allow(clippy::disallowed_methods, reason = "a test waits for the task itself")]
pub(crate) fn start_with(exporter: impl Exporter + 'static, cx: ExporterContext) -> Running {
    let task = tokio::spawn(Box::new(exporter).run(cx.clone()));
    Running { cx, task }
}

impl Running {
    pub(crate) fn push(&self, batch: Batch) {
        push(&self.cx.input, batch);
    }

    /// Closes the input and waits for the end.
    pub(crate) async fn finish(self) -> ExporterContext {
        self.cx.input.close();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
        self.cx
    }
}

pub(crate) fn push(input: &ExporterInput, batch: Batch) {
    let weight = batch.weight_bytes();
    input.try_push(Delivery::new(Arc::new(batch), Signals::ALL, weight)).unwrap();
}

/// Waits until the condition holds.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "waited in vain: {what}");
}

/// Records sent and lost so far, of both signals, and lost by this reason.
pub(crate) struct Counts<'a>(pub(crate) &'a Registry);

impl Counts<'_> {
    pub(crate) fn sent(&self) -> u64 {
        self.sum("otelcol_exporter_sent_", None)
    }

    pub(crate) fn lost(&self) -> u64 {
        self.sum("otelcol_exporter_send_failed_", None) + self.sum("otelcol_exporter_enqueue_failed_", None)
    }

    pub(crate) fn lost_by(&self, reason: &str) -> u64 {
        self.sum("otelcol_exporter_send_failed_", Some(reason))
            + self.sum("otelcol_exporter_enqueue_failed_", Some(reason))
    }

    fn sum(&self, prefix: &str, reason: Option<&str>) -> u64 {
        let readings = self.0.read();
        let series = readings.iter().filter(|reading| reading.metric.name.starts_with(prefix));
        let values = series.flat_map(|reading| &reading.series).filter(|(labels, _)| {
            reason.is_none_or(|reason| {
                labels.iter().any(|(name, value)| *name == "reason" && value.as_str() == reason)
            })
        });
        values.map(|(_, value)| *value as u64).sum()
    }
}

pub(crate) fn counts(cx: &ExporterContext) -> Counts<'_> {
    Counts(&cx.registry)
}

pub(crate) fn state(cx: &ExporterContext) -> State {
    cx.status.status().unwrap().state
}

pub(crate) fn server() -> Arc<Server> {
    Arc::new(Server {
        receiver: Text::Static("postgresql/orders"),
        system: Text::Static("postgresql"),
        address: Text::Static("db.example"),
        port: 5432,
        resource: vec![
            Attribute::new("service.name", "orders"),
            Attribute::new("server.address", "db.example"),
            Attribute::new("server.port", 5432),
        ],
    })
}

pub(crate) fn batch(server: &Arc<Server>, records: Vec<Record>) -> Batch {
    Batch {
        target: Arc::new(Target::server(Arc::clone(server))),
        node: None,
        observed_at: Timestamp::from_nanos(2_000_000_000),
        server_clock: None,
        records,
    }
}

pub(crate) fn gap(detail: &str) -> Record {
    Record::Gap(Box::new(Gap {
        what: Text::Static("statements"),
        database: None,
        from: None,
        to: Timestamp::from_nanos(1),
        reason: GapReason::LockTimeout,
        detail: detail.to_owned().into(),
    }))
}

/// A session that a sampler has seen.
pub(crate) fn sampled(pid: i64, keep: bool) -> Record {
    let sampling = Some(Sampling { keep, probability: 0.25, suppressed: u32::from(keep) });
    Record::Session(Box::new(Session { pid, sampling, ..Session::default() }))
}

pub(crate) fn point(name: &str, labels: Labels, value: Number) -> Record {
    let metric: &'static MetricDefinition = catalogue::metric(name).unwrap();
    Record::Metric(MetricPoint {
        metric,
        labels: Arc::new(labels),
        fixed: &[],
        value,
        start: Some(Timestamp::from_nanos(1)),
        time: Timestamp::from_nanos(1_500_000_000),
    })
}

/// A batch of `points` points and `logs` log records that differ from those of other numbers.
pub(crate) fn numbered(server: &Arc<Server>, number: usize, points: usize, logs: usize) -> Batch {
    let points = (0..points).map(|index| {
        let labels = Labels {
            resource: Vec::new(),
            point: vec![Attribute::new("db.namespace", format!("{number}/{index}"))],
        };
        point("postgresql.commits", labels, Number::Int(1))
    });
    let logs = (0..logs).map(|index| gap(&format!("{number}/{index}")));
    batch(server, points.chain(logs).collect())
}
