//! Findings as lanes tell them: taken in at once, written soon, in their order.

use std::collections::VecDeque;

use dbintel_model::finding::{FindingEvent, FindingIds, FindingNews, FindingState};
use dbintel_pipeline::StateRefused;

use crate::{Opened, Store, StoreError};

/// Findings that may wait to be written. A lane opens a handful an hour.
pub const MAX_PENDING_FINDINGS: usize = 1_000;

/// Bytes of findings that may wait.
pub const MAX_PENDING_FINDING_BYTES: usize = 16 << 20;

/// What waits.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    events: VecDeque<FindingEvent>,
    bytes: usize,
}

// === impl Waiting ===

impl Waiting {
    pub(crate) fn push(&mut self, event: &FindingEvent) -> Result<(), StateRefused> {
        let bytes = weight_bytes(event);
        if self.events.len() >= MAX_PENDING_FINDINGS || self.bytes + bytes > MAX_PENDING_FINDING_BYTES {
            return Err(StateRefused::Full);
        }
        self.bytes += bytes;
        self.events.push_back(event.clone());
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// Bytes held, that which is being written included.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The first one was written, or is left out.
    fn done(&mut self) {
        if let Some(event) = self.events.pop_front() {
            self.bytes = self.bytes.saturating_sub(weight_bytes(&event));
        }
    }
}

fn weight_bytes(event: &FindingEvent) -> usize {
    size_of::<FindingEvent>() + event.finding.weight_bytes()
}

impl Store {
    /// Writes what waits. What cannot be written for a reason of its own is told and left out.
    ///
    /// # Errors
    /// [`StoreError`] if the store does not work now; the rest waits.
    pub(crate) async fn record_waiting(&self) -> Result<(), StoreError> {
        loop {
            let Some(event) = self.inner().events.lock().events.front().cloned() else { return Ok(()) };
            match self.record(&event).await {
                Ok(()) => {}
                Err(error) if error.is_of_the_finding() => {
                    if matches!(error, StoreError::Unreadable(_)) {
                        self.inner().telemetry.unreadable("findings", 1);
                    }
                    tracing::warn!(id = %event.finding.id, state = %event.finding.state, %error, "a finding was not written");
                }
                Err(error) => return Err(error),
            }
            self.inner().events.lock().done();
        }
    }

    /// Writes one event of a finding. Told twice it changes nothing more.
    ///
    /// # Errors
    /// [`StoreError`] as the functions it stands for.
    pub async fn record(&self, event: &FindingEvent) -> Result<(), StoreError> {
        let FindingEvent { news, finding } = event;
        let (id, at) = (finding.id, finding.updated_at);
        let opened = FindingIds { id, neighbour: None };
        let changed = match (news, finding.state) {
            (FindingNews::Opened, _) => match self.open_finding(opened, finding).await? {
                Opened::New(_) => return Ok(()),
                // Another collector was first, or this one before it was killed.
                Opened::Known(_) => self.revise(id, |held| held.clone_from(finding)).await,
            },
            (FindingNews::Changed { from }, now) if *from == now => {
                self.revise(id, |held| held.clone_from(finding)).await
            }
            (_, FindingState::Resolved) => self.resolve(id, at).await,
            (_, FindingState::Expired) => self.expire(id, at).await,
            (_, FindingState::Applied) => match &finding.applied {
                Some(applied) => self.apply(id, applied.clone(), at).await,
                None => return Ok(()),
            },
            (_, state) if state.is_final() => match &finding.outcome {
                Some(outcome) => self.measure(id, outcome.clone()).await,
                None => return Ok(()),
            },
            // What persons decide is written by who asks them.
            _ => self.revise(id, |held| held.clone_from(finding)).await,
        };
        match changed {
            Ok(_) => Ok(()),
            // A store that is new, or that was set aside since.
            Err(StoreError::NotFound(_)) => self.open_finding(opened, finding).await.map(|_| ()),
            Err(error) => Err(error),
        }
    }
}
