//! The pipeline: traits, lanes, the door, fan-out, supervision, shutdown, and typed self-telemetry.
//!
//! It knows no database and no protocol. See `ARCHITECTURE.md` for the flow.
//!
//! Promises:
//! * every queue is bounded in bytes and items, and what does not fit is refused or counted as lost;
//! * only the door refuses; after it, nothing does;
//! * a panic is contained in its component, counted, and answered by a restart with back-off;
//! * shutdown goes with the flow: receivers stop, lanes drain, exporters flush, each within the deadline.

pub mod admission;
mod backoff;
mod door;
mod exporter;
mod lane;
pub mod memory;
pub mod overrides;
mod processor;
mod queue;
mod receiver;
pub mod status;
mod supervise;
pub mod telemetry;

pub use backoff::{Backoff, BackoffError};
pub use door::{Door, RefuseReason, Refused};
pub use exporter::{
    Delivery, EXPORTER_INPUT_MAX_BATCHES, EXPORTER_INPUT_MAX_BYTES, ExportQueue, Exporter, ExporterContext,
    ExporterInput, ExporterTelemetry, LossReason, MemoryQueue, Payload, Signals,
};
pub use lane::{
    Lane, LaneChain, LaneCommands, LaneContext, LaneHandle, LaneLimits, ProcessorFactory, Sink, TICK,
};
pub use processor::{
    Command, Context, FindingDecision, FindingLine, FindingsView, GivenUpView, HourView,
    MAX_REQUESTS_PER_CALL, MAX_STATE_CHANGES_PER_CALL, MissingPlanView, Output, PlanDetails, PlanView,
    Processor, Reply, Request, RestoreError, StateChange, StateRefused, StateStore, StatementView,
    StatementsView, WatchedView,
};
pub use queue::{PushError, QueueLimits, Weighed, WeightedQueue};
pub use receiver::{ComponentError, Receiver, ReceiverContext, Requests, TURN_DELAY_MAX, Turn};
pub use supervise::{RECOVERED_AFTER, Supervised, Supervisor};
