//! The exporters: what ships records.
//!
//! * [`otlp`]: the exporters `otlp` (gRPC) and `otlphttp`;
//! * [`prometheus`]: a scrape endpoint for the metrics of the databases;
//! * [`mod@file`]: OTLP/JSON lines;
//! * [`debug`]: readable text in the log.
//!
//! Each has `Settings` as written, a pure `validate` that gives a `Config` that can be compared and cannot be
//! invalid, an exporter built from that, and `SIGNALS`, the signals it can take.
//!
//! Promises:
//! * a record taken from the input is sent, or counted as lost with its reason, whatever happens: refusal, full queue,
//!   shutdown, panic, cancellation;
//! * everything that waits or is remembered has a named bound;
//! * a failing backend sets the component's status with the reason; its log lines are bounded, the rest is counted.

#![forbid(unsafe_code)]

mod ledger;
mod quiet;

pub mod debug;
pub mod file;
pub mod otlp;
pub mod prometheus;
pub mod settings;

#[cfg(test)]
mod harness;
