//! Receivers: what polls a server.

use std::sync::Arc;
use std::time::Duration;

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

/// The longest that a receiver waits for its turn, whatever its interval.
pub const TURN_DELAY_MAX: Duration = Duration::from_secs(10);

/// A receiver's place among all: receivers that are started together poll one after the other, not all at once. Polls at
/// once would share the cores of this machine, and look dearer than they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Place, from 0.
    pub index: usize,
    /// How many there are.
    pub of: usize,
}

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

// === impl Turn ===

impl Turn {
    /// The only receiver.
    pub const ALONE: Self = Self { index: 0, of: 1 };

    /// How long to wait with the first poll: the receivers divide the interval, up to [`TURN_DELAY_MAX`], evenly.
    #[must_use]
    pub fn delay(self, interval: Duration) -> Duration {
        let of = u32::try_from(self.of.max(1)).unwrap_or(u32::MAX);
        let index = u32::try_from(self.index).unwrap_or(u32::MAX).min(of - 1);
        interval.min(TURN_DELAY_MAX) / of * index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receivers_divide_the_interval_and_none_waits_longer_than_the_bound() {
        let second = Duration::from_secs;
        let delays = |of, interval| (0..of).map(move |index| Turn { index, of }.delay(interval));
        assert_eq!(delays(4, second(8)).collect::<Vec<_>>(), [0, 2, 4, 6].map(second));
        assert_eq!(delays(2, second(86_400)).collect::<Vec<_>>(), [second(0), TURN_DELAY_MAX / 2]);
        assert_eq!(Turn::ALONE.delay(second(10)), Duration::ZERO);
        // What cannot be is no reason for a panic.
        assert_eq!(Turn { index: 3, of: 0 }.delay(second(10)), Duration::ZERO);
    }
}
