//! The door of a lane: the only place where records are refused.
//!
//! A receiver keeps its snapshot until its batch is accepted. Database counters are cumulative, so a refused batch is
//! not lost data: the next difference covers the longer interval. A batch that is accepted is never refused later.

use std::sync::Arc;

use dbintel_model::{Batch, Record, Signal, Text};

use crate::memory::{MemoryState, Pressure};
use crate::telemetry::{Counter, Registry, definitions};
use crate::{PushError, Weighed, WeightedQueue};

/// Where a receiver offers its batches. Cloning it gives another handle to the same door.
#[derive(Clone, Debug)]
pub struct Door {
    queue: Arc<WeightedQueue<Waiting>>,
    memory: MemoryState,
    registry: Registry,
    receiver: Text,
    accepted_metric_points: Counter,
    accepted_log_records: Counter,
}

/// A batch that waits for the lane.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) batch: Batch,
    pub(crate) weight_bytes: usize,
}

/// A batch the lane did not take, given back whole.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub reason: RefuseReason,
    /// The batch.
    pub batch: Batch,
}

/// Why a lane does not take a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefuseReason {
    /// The process uses more memory than the soft limit.
    Memory,
    /// The lane's queue is full: processing is slower than polling.
    QueueFull,
    /// The batch alone is larger than the lane's queue.
    TooLarge,
    /// The lane is shutting down.
    Closed,
}

impl Weighed for Waiting {
    fn weight_bytes(&self) -> usize {
        self.weight_bytes
    }
}

impl RefuseReason {
    /// The reason as a label: closed set, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::QueueFull => "queue_full",
            Self::TooLarge => "too_large",
            Self::Closed => "closed",
        }
    }
}

impl Door {
    pub(crate) fn new(
        queue: Arc<WeightedQueue<Waiting>>,
        memory: MemoryState,
        registry: Registry,
        receiver: Text,
    ) -> Self {
        let labels = || vec![("receiver", receiver.clone())];
        let accepted_metric_points =
            registry.counter(&definitions::RECEIVER_ACCEPTED_METRIC_POINTS, labels());
        let accepted_log_records = registry.counter(&definitions::RECEIVER_ACCEPTED_LOG_RECORDS, labels());
        Self { queue, memory, registry, receiver, accepted_metric_points, accepted_log_records }
    }

    /// Offers a batch. Acceptance is final; refusal gives the batch back. Never waits.
    ///
    /// # Errors
    /// [`Refused`] with the reason.
    pub fn offer(&self, batch: Batch) -> Result<(), Box<Refused>> {
        let (points, logs) = count(&batch);
        if self.memory.pressure() != Pressure::None {
            return Err(self.refuse(RefuseReason::Memory, batch, points, logs));
        }
        let weight_bytes = batch.weight_bytes();
        match self.queue.try_push(Waiting { batch, weight_bytes }) {
            Ok(()) => {
                self.accepted_metric_points.add(points);
                self.accepted_log_records.add(logs);
                Ok(())
            }
            Err((error, waiting)) => Err(self.refuse(error.into(), waiting.batch, points, logs)),
        }
    }

    /// Whether the door would refuse because of memory, so that a receiver can skip reading at all.
    #[must_use]
    pub fn is_under_memory_pressure(&self) -> bool {
        self.memory.pressure() != Pressure::None
    }

    fn refuse(&self, reason: RefuseReason, batch: Batch, points: u64, logs: u64) -> Box<Refused> {
        let labels = || vec![("receiver", self.receiver.clone()), ("reason", Text::Static(reason.as_str()))];
        self.registry.counter(&definitions::RECEIVER_REFUSED_METRIC_POINTS, labels()).add(points);
        self.registry.counter(&definitions::RECEIVER_REFUSED_LOG_RECORDS, labels()).add(logs);
        tracing::debug!(receiver = %self.receiver, reason = reason.as_str(), points, logs, "lane refused a batch");
        Box::new(Refused { reason, batch })
    }
}

fn count(batch: &Batch) -> (u64, u64) {
    let is_metric = |record: &&Record| record.signal() == Signal::Metrics;
    let points = batch.records.iter().filter(is_metric).count();
    (points as u64, (batch.records.len() - points) as u64)
}

impl From<PushError> for RefuseReason {
    fn from(error: PushError) -> Self {
        match error {
            PushError::Full => Self::QueueFull,
            PushError::TooLarge => Self::TooLarge,
            PushError::Closed => Self::Closed,
        }
    }
}
