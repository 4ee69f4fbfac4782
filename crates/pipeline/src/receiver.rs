//! Receivers: what polls a server.

use std::sync::Arc;

use async_trait::async_trait;
use dbintel_model::{Clock, Text};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::admission::Admission;
use crate::status::StatusHandle;
use crate::telemetry::Registry;
use crate::{Door, Request};

/// Polls one server and offers what it reads at the door of its lane.
#[async_trait]
pub trait Receiver: Send {
    /// Runs until `cx.shutdown` is cancelled. Everything that can go wrong with a server is not an error of the
    /// receiver: it says so by status and gap records, and tries again.
    ///
    /// # Errors
    /// [`ComponentError`] for what makes going on pointless; the supervisor restarts the receiver with back-off.
    async fn run(self: Box<Self>, cx: ReceiverContext) -> Result<(), ComponentError>;
}

/// What a receiver is given.
#[derive(Debug)]
pub struct ReceiverContext {
    /// Where records go.
    pub door: Door,
    /// Who must be asked before a statement is sent.
    pub admission: Arc<dyn Admission>,
    /// Requests of the lane's processors.
    pub requests: mpsc::Receiver<Request>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Self-metrics.
    pub registry: Registry,
    /// Its entry on the status board.
    pub status: StatusHandle,
    /// Cancelled when the receiver shall stop.
    pub shutdown: CancellationToken,
}

/// Why a component cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ComponentError(pub Text);
