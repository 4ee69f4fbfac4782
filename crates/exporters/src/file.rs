//! The exporter `file`: OTLP/JSON, one export request per line, as the Collector's file exporter writes it and as
//! `dbintel replay` and the Collector's `otlpjsonfile` receiver read it.
//!
//! Promises:
//! * the file and its backups are at most `(max_backups + 1) × max_megabytes` large, plus one line;
//! * a file we make can be read by our user alone; a file that is there keeps its mode;
//! * a line is whole or not there: what a failed write has left is cut off before the next line;
//! * a line that cannot be written is lost and counted; the exporter is degraded until one can be, and the file is
//!   opened anew for each attempt;
//! * nothing is written on the async threads.

mod config;
mod writer;

use std::time::Duration;

use async_trait::async_trait;
use dbintel_model::{Record, Signal};
use dbintel_otlp::encode::{Encoded, Format, LogsEncoder, MetricsEncoder, RequestBytes};
use dbintel_pipeline::status::State;
use dbintel_pipeline::{ComponentError, Delivery, Exporter, ExporterContext, LossReason, Signals};
use tokio::time::{Instant, sleep_until};

pub use self::config::{Config, FileFormat, RotationSettings, Settings, validate};
use self::writer::{Begun, Writer};
use crate::ledger::{Ledger, LeftInInput};
use crate::quiet::Quiet;

/// The signals this exporter takes.
pub const SIGNALS: Signals = Signals { metrics: true, logs: true, traces: false };

/// Writes records to a file.
///
/// Clones write the same file: with `append: false` the first of them empties it, and those that follow after a failure go on.
#[derive(Clone, Debug)]
pub struct FileExporter {
    config: Config,
    begun: Begun,
}

impl FileExporter {
    /// An exporter that opens its file with the first line.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config, begun: Begun::default() }
    }
}

#[async_trait]
impl Exporter for FileExporter {
    async fn run(self: Box<Self>, cx: ExporterContext) -> Result<(), ComponentError> {
        let _input = LeftInInput::new(&cx);
        cx.status.set(State::Ok, cx.clock.now());
        let mut lines = Lines::new(&self.config, &self.begun, &cx);
        tokio::select! {
            () = lines.run() => {}
            () = cx.abort.cancelled() => {}
        }
        Ok(())
    }
}

/// From the input to lines.
struct Lines<'a> {
    cx: &'a ExporterContext,
    ledger: Ledger,
    metrics: MetricsEncoder,
    logs: LogsEncoder,
    config: &'a Config,
    begun: &'a Begun,
    writer: Option<Writer>,
    flush_interval: Duration,
    due: Option<Instant>,
    failed: Quiet,
    recovered: Quiet,
}

impl<'a> Lines<'a> {
    fn new(config: &'a Config, begun: &'a Begun, cx: &'a ExporterContext) -> Self {
        let limit = RequestBytes::default();
        Self {
            cx,
            ledger: Ledger::new(cx.telemetry.clone()),
            metrics: MetricsEncoder::new(Format::Json, limit),
            logs: LogsEncoder::new(Format::Json, limit),
            config,
            begun,
            writer: Some(Writer::new(config.clone(), begun.clone())),
            flush_interval: config.flush_interval,
            due: None,
            failed: Quiet::default(),
            recovered: Quiet::default(),
        }
    }

    async fn run(&mut self) {
        loop {
            let due = self.due;
            let flush = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                delivery = self.cx.input.pop() => match delivery {
                    Some(delivery) => self.take(&delivery).await,
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
        let too_large = LossReason::TooLarge;
        self.ledger.lost(Signal::Metrics, pushed.too_large as u64, too_large);
        let pushed = self.logs.push_batch(&delivery.batch, admit, &mut logs);
        self.ledger.lost(Signal::Logs, pushed.too_large as u64, too_large);
        self.write_all(metrics, logs).await;
        if self.due.is_none() && self.metrics.items() + self.logs.items() > 0 {
            self.due = Some(Instant::now() + self.flush_interval);
        }
    }

    async fn flush(&mut self) {
        self.due = None;
        let (metrics, logs) = (self.metrics.finish(), self.logs.finish());
        self.write_all(metrics, logs).await;
    }

    async fn write_all(
        &mut self,
        metrics: impl IntoIterator<Item = Encoded>,
        logs: impl IntoIterator<Item = Encoded>,
    ) {
        for encoded in metrics {
            let spare = self.write(Signal::Metrics, encoded).await;
            self.metrics.recycle(spare);
        }
        for encoded in logs {
            let spare = self.write(Signal::Logs, encoded).await;
            self.logs.recycle(spare);
        }
    }

    /// Writes one line. Gives the buffer back.
    async fn write(&mut self, signal: Signal, encoded: Encoded) -> Vec<u8> {
        let (mut line, items) = (encoded.body, encoded.items as u64);
        line.push(b'\n');
        let anew = || Writer::new(self.config.clone(), self.begun.clone());
        let mut writer = self.writer.take().unwrap_or_else(anew);
        let written = tokio::task::spawn_blocking(move || {
            let result = writer.write(&line);
            (writer, line, result)
        });
        match written.await {
            Ok((writer, line, result)) => {
                self.writer = Some(writer);
                match result {
                    Ok(()) => self.succeeded(signal, items),
                    Err(error) => self.failed(signal, items, LossReason::WriteFailed, &error.to_string()),
                }
                line
            }
            Err(error) => {
                self.failed(signal, items, LossReason::Panic, &error.to_string());
                Vec::new()
            }
        }
    }

    fn succeeded(&self, signal: Signal, items: u64) {
        self.ledger.sent(signal, items);
        if self.cx.status.succeeded(self.cx.clock.now())
            && let Some(left_out) = self.recovered.permit(self.cx.clock.monotonic())
        {
            tracing::info!(exporter = %self.cx.id, left_out, "file can be written again");
        }
    }

    fn failed(&self, signal: Signal, items: u64, reason: LossReason, error: &str) {
        self.ledger.lost(signal, items, reason);
        let text = format!("cannot write {}: {error}", self.config.path.display());
        if let Some(left_out) = self.failed.permit(self.cx.clock.monotonic()) {
            let (signal, reason) = (signal.as_str(), reason.as_str());
            tracing::error!(exporter = %self.cx.id, signal, items, reason, error = text, left_out, "records lost");
        }
        self.cx.status.set(State::Degraded(text.into()), self.cx.clock.now());
    }
}

#[cfg(test)]
mod tests;
