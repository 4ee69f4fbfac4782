//! Receivers: what polls a server.

use std::sync::Arc;

use async_trait::async_trait;
use dbintel_model::{Clock, Text};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use crate::admission::Admission;
use crate::memory::MemoryAccounts;
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
    pub requests: Requests,
    /// Where it says how many bytes its caches and tables hold.
    pub accounts: MemoryAccounts,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Self-metrics.
    pub registry: Registry,
    /// Its entry on the status board.
    pub status: StatusHandle,
    /// Cancelled when the receiver shall stop.
    pub shutdown: CancellationToken,
}

/// Requests of the processors of a lane. They outlive the receiver that answers them: what is asked while it is being
/// restarted waits for the next one, as far as the lane's channel has room.
#[derive(Clone, Debug)]
pub struct Requests(Arc<Mutex<mpsc::Receiver<Request>>>);

/// Why a component cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ComponentError(pub Text);

// === impl Requests ===

impl Requests {
    /// What arrives by this channel.
    #[must_use]
    pub fn new(requests: mpsc::Receiver<Request>) -> Self {
        Self(Arc::new(Mutex::new(requests)))
    }

    /// Waits for the next request; `None` once the lane is gone. Cancelling the wait loses nothing.
    pub async fn recv(&self) -> Option<Request> {
        self.0.lock().await.recv().await
    }
}
