//! The exporters `otlp` (gRPC) and `otlphttp`: everything that leaves, to any OTLP backend.
//!
//! ```text
//!                                                 ┌─► queue of metrics ─► num_consumers senders, each with back-off
//! input ─► encode: records → requests ─► compress ─┤
//!                                                 └─► queue of logs ────► num_consumers senders, each with back-off
//! ```
//!
//! Promises:
//! * a request is sent when it is full or its first record has waited for `flush_timeout`;
//! * a queue drops the oldest first, findings last; in flight beside it are at most `num_consumers` requests;
//! * signals do not wait for each other: a backend that takes metrics and refuses logs gets its metrics;
//! * what may succeed later is tried again with growing waits, not before the backend's own hint, until
//!   `max_elapsed_time`; a partial success is never sent again;
//! * once the input is closed everything is sent, with short waits, until the context's abort says that time is up;
//! * sent + lost = taken from the input, also through panics and cancellation; after a panic the queues go on
//!   where they were, if [`OtlpExporter::with_queues`] was given some that outlive the run.
//!
//! All of it is one task: encoding takes microseconds per record, compression is on the blocking pool, and senders
//! wait. The client has its own tasks for TLS and HTTP.

mod config;
mod encode;
mod health;
mod retry;
mod send;

use std::sync::Arc;

use async_trait::async_trait;
use dbintel_model::Signal;
use dbintel_otlp::transport::Client;
use dbintel_pipeline::memory::MemoryAccount;
use dbintel_pipeline::status::State;
use dbintel_pipeline::telemetry::definitions;
use dbintel_pipeline::{
    ComponentError, ExportQueue, Exporter, ExporterContext, ExporterTelemetry, LossReason, MemoryQueue,
    Signals,
};
use futures_util::FutureExt as _;
use futures_util::future::{join, join_all};

pub use self::config::{
    CompressionName, CompressionParams, Encoding, OtlpConfig, OtlpHttpSettings, OtlpSettings, validate,
    validate_http,
};
use self::encode::Encode;
use self::health::Health;
pub use self::retry::{Retry, RetryPolicy};
use self::send::Sender;
use crate::ledger::{Ledger, LeftInInput};

/// The signals these exporters take.
pub const SIGNALS: Signals = Signals { metrics: true, logs: true, traces: false };

/// Ships records to an OTLP backend.
#[derive(Debug)]
pub struct OtlpExporter {
    config: OtlpConfig,
    queues: Queues,
    queues_outlive: bool,
}

/// Where requests wait: one queue per signal, each as large as configured.
#[derive(Clone, Debug)]
pub struct Queues {
    /// For requests with metrics.
    pub metrics: Arc<dyn ExportQueue>,
    /// For requests with logs.
    pub logs: Arc<dyn ExportQueue>,
}

/// Counts what is left in the queues when a run ends early. After a panic it leaves them to the next run, if they
/// outlive this one.
struct LeftInQueues {
    queues: Queues,
    outlive: bool,
    telemetry: ExporterTelemetry,
}

// === impl OtlpExporter ===

impl OtlpExporter {
    /// An exporter with queues of its own, which end with it.
    #[must_use]
    pub fn new(config: OtlpConfig) -> Self {
        let queues = Queues::in_memory(&config);
        Self { config, queues, queues_outlive: false }
    }

    /// An exporter with queues that outlive it: the next one goes on with them after a panic.
    #[must_use]
    pub const fn with_queues(config: OtlpConfig, queues: Queues) -> Self {
        Self { config, queues, queues_outlive: true }
    }
}

// === impl Queues ===

impl Queues {
    /// Queues as configured, in memory.
    #[must_use]
    pub fn in_memory(config: &OtlpConfig) -> Self {
        let limits = config.queueing.limits;
        Self { metrics: Arc::new(MemoryQueue::new(limits)), logs: Arc::new(MemoryQueue::new(limits)) }
    }

    fn of(&self, signal: Signal) -> &Arc<dyn ExportQueue> {
        match signal {
            Signal::Metrics => &self.metrics,
            Signal::Logs | Signal::Traces => &self.logs,
        }
    }

    fn close(&self) {
        self.metrics.close();
        self.logs.close();
    }
}

#[async_trait]
impl Exporter for OtlpExporter {
    async fn run(self: Box<Self>, cx: ExporterContext) -> Result<(), ComponentError> {
        let Self { config, queues, queues_outlive: outlive } = *self;
        observe(&cx, &queues);
        let _accounts = [Signal::Metrics, Signal::Logs].map(|signal| account(&cx, &queues, signal));
        let client = client(&config, &cx)?;
        let health = Health::new(&cx);
        // Dropped in the reverse order: first what is in hand is counted, then what is left in the queues.
        let _input = LeftInInput::new(&cx);
        let _queues = LeftInQueues { queues: queues.clone(), outlive, telemetry: cx.telemetry.clone() };
        let ledger = Ledger::new(cx.telemetry.clone());
        cx.status.set(State::Ok, cx.clock.now());
        let mut encode = Encode::new(&config, &cx, &queues, &ledger, &health);
        let sender = Sender::new(&config, &cx, &client, &ledger, &health);
        let encoding = async {
            encode.run().await;
            queues.close();
            sender.drain();
        };
        let consumers = |queue| std::iter::repeat_n(queue, config.queueing.consumers);
        let consumed = consumers(&*queues.metrics).chain(consumers(&*queues.logs));
        let sending = join_all(consumed.map(|queue| sender.run(queue)));
        tokio::select! {
            _ = join(encoding, sending) => {}
            () = cx.abort.cancelled() => {}
        }
        Ok(())
    }
}

fn client(config: &OtlpConfig, cx: &ExporterContext) -> Result<Client, ComponentError> {
    Client::new(config.transport.clone(), Arc::clone(&cx.clock)).map_err(|error| {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(source) = cause {
            text = format!("{text}: {source}");
            cause = source.source();
        }
        ComponentError(text.into())
    })
}

fn observe(cx: &ExporterContext, queues: &Queues) {
    let (input, registry) = (Arc::clone(&cx.input), &cx.registry);
    let labels = vec![("exporter", cx.id.clone())];
    registry.observe(&definitions::EXPORTER_INBOX_BYTES, labels, move || as_f64(input.len_bytes()));
    for signal in [Signal::Metrics, Signal::Logs] {
        let queue = queues.of(signal);
        let (limits, requests, bytes) = (queue.limits(), Arc::clone(queue), Arc::clone(queue));
        let labels = || vec![("exporter", cx.id.clone()), ("data_type", signal.as_str().into())];
        registry.observe(&definitions::EXPORTER_QUEUE_SIZE, labels(), move || as_f64(requests.len()));
        registry.observe(&definitions::EXPORTER_QUEUE_BYTES, labels(), move || as_f64(bytes.len_bytes()));
        registry.observe(&definitions::EXPORTER_QUEUE_CAPACITY, labels(), move || as_f64(limits.max_items));
        registry.observe(&definitions::EXPORTER_QUEUE_BYTES_MAX, labels(), move || as_f64(limits.max_bytes));
    }
}

/// Shows the bytes of a queue for as long as the exporter runs.
fn account(cx: &ExporterContext, queues: &Queues, signal: Signal) -> MemoryAccount {
    let queue = Arc::clone(queues.of(signal));
    let name = format!("exporter {} {} queue", cx.id, signal.as_str());
    cx.accounts.open(name.into(), move || queue.len_bytes())
}

#[allow(clippy::cast_precision_loss, clippy::unnecessary_wraps, reason = "a length, for display")]
const fn as_f64(length: usize) -> Option<f64> {
    Some(length as f64)
}

// === impl LeftInQueues ===

impl Drop for LeftInQueues {
    fn drop(&mut self) {
        let reason = match (std::thread::panicking(), self.outlive) {
            (true, true) => return,
            (true, false) => LossReason::Panic,
            (false, _) => LossReason::Shutdown,
        };
        // A closed queue gives what it holds without waiting.
        self.queues.close();
        for queue in [&self.queues.metrics, &self.queues.logs] {
            while let Some(Some(payload)) = queue.pop().now_or_never() {
                self.telemetry.lost_payload(&payload, reason);
                queue.finished(&payload);
            }
        }
    }
}

#[cfg(test)]
mod tests;
