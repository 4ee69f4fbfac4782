//! Exporters: what ships records, and the queues before them.
//!
//! A lane never waits for an exporter. Batches wait in the exporter's input, encoded requests in its [`ExportQueue`];
//! both are bounded in bytes, drop the oldest first and findings last, and count every lost record with its reason.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dbintel_model::{Batch, Clock, Record, Signal, Text};
use tokio_util::sync::CancellationToken;

use crate::memory::MemoryAccounts;
use crate::status::StatusHandle;
use crate::telemetry::{Counter, Registry, SelfMetric, definitions};
use crate::{ComponentError, PushError, QueueLimits, Weighed, WeightedQueue};

/// Bytes of batches that may wait to be encoded by one exporter. Batches are shared between exporters, so memory grows
/// by less than this per exporter.
pub const EXPORTER_INPUT_MAX_BYTES: usize = 32 * 1024 * 1024;
/// Batches that may wait to be encoded by one exporter.
pub const EXPORTER_INPUT_MAX_BATCHES: usize = 1_024;

/// Ships records to one backend.
#[async_trait]
pub trait Exporter: Send {
    /// Runs until its input is closed and everything taken from it is shipped or counted as lost. After `cx.abort` is
    /// cancelled it must end at once, counting what it still holds as lost.
    ///
    /// # Errors
    /// [`ComponentError`] for what makes going on pointless; the supervisor restarts the exporter with back-off.
    async fn run(self: Box<Self>, cx: ExporterContext) -> Result<(), ComponentError>;
}

/// Where an exporter gets its batches from.
pub type ExporterInput = Arc<WeightedQueue<Delivery>>;

/// What an exporter is given.
#[derive(Clone, Debug)]
pub struct ExporterContext {
    /// Its id in the configuration.
    pub id: Text,
    /// Batches to ship; closed when the exporter shall flush and end.
    pub input: ExporterInput,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Self-metrics.
    pub registry: Registry,
    /// Counts what was sent and what was lost.
    pub telemetry: ExporterTelemetry,
    /// Where it says how many bytes its queues hold.
    pub accounts: MemoryAccounts,
    /// Its entry on the status board.
    pub status: StatusHandle,
    /// Cancelled when the shutdown deadline has passed.
    pub abort: CancellationToken,
}

/// A batch on its way to one exporter.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The batch, shared with the other exporters of the lane.
    pub batch: Arc<Batch>,
    /// Which of its signals this exporter gets.
    pub signals: Signals,
    weight_bytes: usize,
    precious: bool,
}

/// A set of signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Signals {
    /// Metrics are in the set.
    pub metrics: bool,
    /// Logs are in the set.
    pub logs: bool,
    /// Traces are in the set.
    pub traces: bool,
}

/// An encoded request, ready for the wire.
#[derive(Clone, Debug)]
pub struct Payload {
    /// The signal it carries.
    pub signal: Signal,
    /// The request body, compressed as the exporter is set to.
    pub body: Bytes,
    /// Points or records inside.
    pub items: u32,
    /// Size before compression, in bytes.
    pub uncompressed_bytes: usize,
    /// Whether a finding is inside, so that it is dropped last.
    pub precious: bool,
}

/// Where encoded requests wait for the backend.
#[async_trait]
pub trait ExportQueue: Send + Sync + std::fmt::Debug {
    /// Takes a payload, and gives back those that had to go to make room for it.
    ///
    /// # Errors
    /// The payload itself, with the reason, if there can be no room for it.
    fn push(&self, payload: Payload) -> Result<Vec<Payload>, (PushError, Payload)>;

    /// Waits for the oldest payload; `None` once the queue is closed and empty.
    async fn pop(&self) -> Option<Payload>;

    /// Says that the payload was delivered or counted as lost, so that a durable queue can forget it.
    fn finished(&self, _payload: &Payload) {}

    /// Refuses further payloads.
    fn close(&self);

    /// Payloads held now.
    fn len(&self) -> usize;

    /// Whether nothing is held.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes held now.
    fn len_bytes(&self) -> usize;

    /// The bounds.
    fn limits(&self) -> QueueLimits;
}

/// An [`ExportQueue`] in memory.
#[derive(Debug)]
pub struct MemoryQueue(WeightedQueue<Payload>);

/// Why a record was lost on its way to a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LossReason {
    /// The input of the exporter was full: it could not encode fast enough.
    InputFull,
    /// The export queue was full: the backend was down or slow for too long.
    QueueFull,
    /// The record alone is larger than a request may be.
    TooLarge,
    /// The backend refused it for good.
    PermanentError,
    /// The backend accepted the request but not this record.
    PartialSuccess,
    /// Retries went on for as long as they may.
    RetryExhausted,
    /// The exporter, or the whole process, ended before it could be delivered.
    Shutdown,
    /// It came while the exporter was stopped.
    Stopped,
    /// The exporter panicked with it.
    Panic,
    /// The file or socket could not be written.
    WriteFailed,
    /// A person has switched the exporter off for a while.
    Bypassed,
}

/// Counts what an exporter sent and lost.
#[derive(Clone, Debug)]
pub struct ExporterTelemetry {
    registry: Registry,
    exporter: Text,
    sent_metric_points: Counter,
    sent_log_records: Counter,
}

// === impl Signals ===

impl Signals {
    /// Every signal.
    pub const ALL: Self = Self { metrics: true, logs: true, traces: true };

    /// The set with this signal alone.
    #[must_use]
    pub const fn only(signal: Signal) -> Self {
        Self {
            metrics: matches!(signal, Signal::Metrics),
            logs: matches!(signal, Signal::Logs),
            traces: matches!(signal, Signal::Traces),
        }
    }

    /// What is in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self {
            metrics: self.metrics || other.metrics,
            logs: self.logs || other.logs,
            traces: self.traces || other.traces,
        }
    }

    /// What is in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self {
            metrics: self.metrics && other.metrics,
            logs: self.logs && other.logs,
            traces: self.traces && other.traces,
        }
    }

    /// Whether the signal is in the set.
    #[must_use]
    pub const fn contains(self, signal: Signal) -> bool {
        match signal {
            Signal::Metrics => self.metrics,
            Signal::Logs => self.logs,
            Signal::Traces => self.traces,
        }
    }

    /// Whether the record leaves, and by a signal of the set.
    #[must_use]
    pub fn admit(self, record: &Record) -> bool {
        self.contains(record.signal()) && record.leaves()
    }
}

// === impl Delivery ===

impl Delivery {
    /// A batch of known weight on its way.
    #[must_use]
    pub fn new(batch: Arc<Batch>, signals: Signals, weight_bytes: usize) -> Self {
        let precious = batch.records.iter().any(|record| record.is_precious() && signals.admit(record));
        Self { batch, signals, weight_bytes, precious }
    }

    /// Records of each signal that would leave by this delivery: metric points, log records.
    #[must_use]
    pub fn items(&self) -> (u64, u64) {
        let leaving = self.batch.records.iter().filter(|record| self.signals.admit(record));
        leaving.fold((0, 0), |(points, logs), record| match record.signal() {
            Signal::Metrics => (points + 1, logs),
            Signal::Logs | Signal::Traces => (points, logs + 1),
        })
    }
}

impl Weighed for Delivery {
    fn weight_bytes(&self) -> usize {
        self.weight_bytes
    }

    fn is_precious(&self) -> bool {
        self.precious
    }
}

// === impl Payload ===

impl Weighed for Payload {
    fn weight_bytes(&self) -> usize {
        size_of::<Self>() + self.body.len()
    }

    fn is_precious(&self) -> bool {
        self.precious
    }
}

// === impl MemoryQueue ===

impl MemoryQueue {
    /// An empty queue.
    #[must_use]
    pub fn new(limits: QueueLimits) -> Self {
        Self(WeightedQueue::new(limits))
    }
}

#[async_trait]
impl ExportQueue for MemoryQueue {
    fn push(&self, payload: Payload) -> Result<Vec<Payload>, (PushError, Payload)> {
        self.0.push_evicting(payload)
    }

    async fn pop(&self) -> Option<Payload> {
        self.0.pop().await
    }

    fn close(&self) {
        self.0.close();
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn len_bytes(&self) -> usize {
        self.0.len_bytes()
    }

    fn limits(&self) -> QueueLimits {
        self.0.limits()
    }
}

// === impl LossReason ===

impl LossReason {
    /// The reason as a label: closed set, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InputFull => "input_full",
            Self::QueueFull => "queue_full",
            Self::TooLarge => "too_large",
            Self::PermanentError => "permanent_error",
            Self::PartialSuccess => "partial_success",
            Self::RetryExhausted => "retry_exhausted",
            Self::Shutdown => "shutdown",
            Self::Stopped => "stopped",
            Self::Panic => "panic",
            Self::WriteFailed => "write_failed",
            Self::Bypassed => "bypassed",
        }
    }

    /// Whether the loss happened before the record had left a queue of ours.
    const fn is_enqueue(self) -> bool {
        matches!(self, Self::InputFull | Self::QueueFull | Self::TooLarge | Self::Stopped | Self::Bypassed)
    }
}

// === impl ExporterTelemetry ===

impl ExporterTelemetry {
    /// For the exporter with this id.
    #[must_use]
    pub fn new(registry: Registry, exporter: Text) -> Self {
        let labels = || vec![("exporter", exporter.clone())];
        let sent_metric_points = registry.counter(&definitions::EXPORTER_SENT_METRIC_POINTS, labels());
        let sent_log_records = registry.counter(&definitions::EXPORTER_SENT_LOG_RECORDS, labels());
        Self { registry, exporter, sent_metric_points, sent_log_records }
    }

    /// The exporter's id.
    #[must_use]
    pub const fn exporter(&self) -> &Text {
        &self.exporter
    }

    /// Counts records the backend accepted.
    pub fn sent(&self, signal: Signal, items: u64) {
        match signal {
            Signal::Metrics => self.sent_metric_points.add(items),
            Signal::Logs | Signal::Traces => self.sent_log_records.add(items),
        }
    }

    /// Counts log records that a sampler had marked as not to be kept. This is no loss: somebody decided it.
    pub fn sampled_out(&self, items: u64) {
        if items > 0 {
            let labels = vec![("exporter", self.exporter.clone()), ("reason", "sampled".into())];
            self.registry.counter(&definitions::EXPORTER_WITHHELD_LOG_RECORDS, labels).add(items);
        }
    }

    /// Counts lost records.
    pub fn lost(&self, signal: Signal, items: u64, reason: LossReason) {
        if items == 0 {
            return;
        }
        let metric: &'static SelfMetric = match (signal, reason.is_enqueue()) {
            (Signal::Metrics, true) => &definitions::EXPORTER_ENQUEUE_FAILED_METRIC_POINTS,
            (Signal::Metrics, false) => &definitions::EXPORTER_FAILED_METRIC_POINTS,
            (Signal::Logs | Signal::Traces, true) => &definitions::EXPORTER_ENQUEUE_FAILED_LOG_RECORDS,
            (Signal::Logs | Signal::Traces, false) => &definitions::EXPORTER_FAILED_LOG_RECORDS,
        };
        let labels = vec![("exporter", self.exporter.clone()), ("reason", reason.as_str().into())];
        self.registry.counter(metric, labels).add(items);
    }

    /// Counts the records of a delivery that will not be encoded.
    pub fn lost_delivery(&self, delivery: &Delivery, reason: LossReason) {
        let (points, logs) = delivery.items();
        self.lost(Signal::Metrics, points, reason);
        self.lost(Signal::Logs, logs, reason);
    }

    /// Counts the records of a payload.
    pub fn lost_payload(&self, payload: &Payload, reason: LossReason) {
        self.lost(payload.signal, u64::from(payload.items), reason);
    }
}

#[cfg(test)]
mod tests {
    use dbintel_model::finding::{Category, FindingKind, FindingNews, Identity, Subject};
    use dbintel_model::{Change, ChangeKind, Finding, FindingEvent, Server, Target, Timestamp};

    use super::*;

    #[test]
    fn an_input_that_is_full_keeps_the_delivery_of_a_finding() {
        let server = Arc::new(Server {
            receiver: "postgresql".into(),
            system: "postgresql".into(),
            address: "db".into(),
            port: 5432,
            resource: Vec::new(),
        });
        let subject = Subject::of_server(&server, None);
        let kind = FindingKind::StatisticsStale;
        let id = Identity { kind, subject: &subject, plan: None }.at(Timestamp::default()).id;
        let finding = Finding::new(id, kind, Category::Careful, subject, Timestamp::default());
        let finding = FindingEvent { news: FindingNews::Opened, finding };
        let change = || Record::Change(Box::new(Change::new(ChangeKind::Restart)));
        let delivery = |record, signals| {
            let batch = Batch {
                target: Arc::new(Target::server(Arc::clone(&server))),
                node: None,
                observed_at: Timestamp::default(),
                server_clock: None,
                records: vec![change(), record],
            };
            Delivery::new(Arc::new(batch), signals, 1)
        };
        let record = || Record::Finding(Box::new(finding.clone()));
        // An exporter of metrics does not get the finding.
        assert!(!delivery(record(), Signals::only(Signal::Metrics)).is_precious());
        let input = ExporterInput::new(WeightedQueue::new(QueueLimits { max_bytes: 100, max_items: 2 }));
        let evicted: Vec<bool> = [record(), change(), change(), change()]
            .into_iter()
            .flat_map(|record| input.push_evicting(delivery(record, Signals::ALL)).unwrap())
            .map(|evicted| evicted.is_precious())
            .collect();
        assert_eq!(evicted, [false, false]);
        assert!(input.try_pop().unwrap().is_precious());
    }
}
