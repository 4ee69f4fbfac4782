//! From deliveries to requests in the queue.

use std::sync::Arc;
use std::time::Duration;

use dbintel_model::{Record, Signal};
use dbintel_otlp::compress::Compressor;
use dbintel_otlp::encode::{Encoded, LogsEncoder, MetricsEncoder};
use dbintel_pipeline::{
    Delivery, ExporterContext, ExporterInput, ExporterTelemetry, LossReason, Payload, PushError,
};
use tokio::time::{Instant, sleep_until};

use super::Queues;
use super::config::OtlpConfig;
use super::health::Health;
use crate::ledger::Ledger;

/// Takes deliveries, gives requests.
pub(super) struct Encode<'a> {
    input: ExporterInput,
    queues: &'a Queues,
    ledger: &'a Ledger,
    telemetry: ExporterTelemetry,
    health: &'a Health,
    metrics: MetricsEncoder,
    logs: LogsEncoder,
    compressor: Compressor,
    flush_timeout: Duration,
    flush_bytes: usize,
    /// When the records in the encoders are sent at the latest.
    due: Option<Instant>,
}

impl<'a> Encode<'a> {
    pub(super) fn new(
        config: &OtlpConfig,
        cx: &ExporterContext,
        queues: &'a Queues,
        ledger: &'a Ledger,
        health: &'a Health,
    ) -> Self {
        let (format, limit) = (config.transport.protocol.format(), config.queueing.request_bytes);
        Self {
            input: Arc::clone(&cx.input),
            queues,
            ledger,
            telemetry: cx.telemetry.clone(),
            health,
            metrics: MetricsEncoder::new(format, limit),
            logs: LogsEncoder::new(format, limit),
            compressor: Compressor::new(config.transport.compression),
            flush_timeout: config.queueing.flush_timeout,
            flush_bytes: config.queueing.flush_bytes,
            due: None,
        }
    }

    /// Works until the input is closed and empty, and leaves nothing in the encoders.
    pub(super) async fn run(&mut self) {
        loop {
            // Without records there is nothing to wait for but the next delivery.
            let due = self.due;
            let flush = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                delivery = self.input.pop() => match delivery {
                    Some(delivery) => {
                        self.take(&delivery).await;
                        // A queue that is never empty never waits, and the senders run in the same task.
                        tokio::task::yield_now().await;
                    }
                    None => break,
                },
                () = flush => self.flush().await,
            }
        }
        self.flush().await;
    }

    async fn take(&mut self, delivery: &Delivery) {
        self.ledger.take_delivery(delivery);
        let admit = |record: &Record| delivery.signals.admit(record);
        let (mut metrics, mut logs) = (Vec::new(), Vec::new());
        let pushed = self.metrics.push_batch(&delivery.batch, admit, &mut metrics);
        self.too_large(Signal::Metrics, pushed.too_large);
        let pushed = self.logs.push_batch(&delivery.batch, admit, &mut logs);
        self.too_large(Signal::Logs, pushed.too_large);
        if self.metrics.len_bytes() >= self.flush_bytes {
            metrics.extend(self.metrics.finish());
        }
        if self.logs.len_bytes() >= self.flush_bytes {
            logs.extend(self.logs.finish());
        }
        self.enqueue_all(metrics, logs).await;
        if self.metrics.items() + self.logs.items() == 0 {
            self.due = None;
        } else if self.due.is_none() {
            self.due = Some(Instant::now() + self.flush_timeout);
        }
    }

    async fn flush(&mut self) {
        self.due = None;
        let (metrics, logs) = (self.metrics.finish(), self.logs.finish());
        self.enqueue_all(metrics, logs).await;
    }

    async fn enqueue_all(
        &mut self,
        metrics: impl IntoIterator<Item = Encoded>,
        logs: impl IntoIterator<Item = Encoded>,
    ) {
        for encoded in metrics {
            let spare = self.enqueue(Signal::Metrics, encoded).await;
            self.metrics.recycle(spare);
        }
        for encoded in logs {
            let spare = self.enqueue(Signal::Logs, encoded).await;
            self.logs.recycle(spare);
        }
    }

    /// Compresses a request and puts it into the queue. Gives the buffer back.
    async fn enqueue(&mut self, signal: Signal, encoded: Encoded) -> Vec<u8> {
        let (items, precious) = (encoded.items as u64, encoded.precious);
        let uncompressed_bytes = encoded.body.len();
        let compressed = match self.compressor.compress(encoded.body).await {
            Ok(compressed) => compressed,
            Err(error) => {
                self.lost(signal, items, LossReason::Panic, &error.to_string());
                return Vec::new();
            }
        };
        self.push(Payload {
            signal,
            body: compressed.body,
            items: u32::try_from(items).unwrap_or(u32::MAX),
            uncompressed_bytes,
            precious,
        });
        compressed.spare
    }

    fn push(&self, payload: Payload) {
        const FULL: &str = "the backend was down or slow for longer than the queue holds";
        let (signal, items) = (payload.signal, u64::from(payload.items));
        match self.queues.of(signal).push(payload) {
            Ok(evicted) => {
                self.ledger.hand_over(signal, items);
                for payload in evicted {
                    self.telemetry.lost_payload(&payload, LossReason::QueueFull);
                    self.health.lost(payload.signal, payload.items.into(), LossReason::QueueFull, FULL);
                }
            }
            Err((PushError::Full, _)) => self.lost(signal, items, LossReason::QueueFull, FULL),
            Err((PushError::TooLarge, _)) => {
                self.lost(signal, items, LossReason::TooLarge, "a request is larger than the queue");
            }
            Err((PushError::Closed, _)) => {
                self.lost(signal, items, LossReason::Shutdown, "the queue is closed");
            }
        }
    }

    fn too_large(&self, signal: Signal, records: usize) {
        if records > 0 {
            let detail = "a record is larger than a request may be";
            self.lost(signal, records as u64, LossReason::TooLarge, detail);
        }
    }

    fn lost(&self, signal: Signal, items: u64, reason: LossReason, detail: &str) {
        self.ledger.lost(signal, items, reason);
        self.health.lost(signal, items, reason, detail);
    }
}
