//! Findings as lanes tell them: taken in at once, written soon, in their order.

use std::collections::VecDeque;

use dbintel_model::finding::{FindingEvent, FindingIds, FindingNews, FindingState};
use dbintel_pipeline::StateRefused;

use crate::{Opened, Store, StoreError};

/// Findings that may wait to be written. A lane opens a handful an hour.
pub const MAX_PENDING_FINDINGS: usize = 1_000;

/// What waits.
#[derive(Debug, Default)]
pub(crate) struct Waiting(VecDeque<FindingEvent>);

// === impl Waiting ===

impl Waiting {
    pub(crate) fn push(&mut self, event: &FindingEvent) -> Result<(), StateRefused> {
        if self.0.len() >= MAX_PENDING_FINDINGS {
            return Err(StateRefused::Full);
        }
        self.0.push_back(event.clone());
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Store {
    /// Writes what waits. What cannot be written for a reason of its own is told and left out.
    ///
    /// # Errors
    /// [`StoreError`] if the store does not work now; the rest waits.
    pub(crate) async fn record_waiting(&self) -> Result<(), StoreError> {
        loop {
            let Some(event) = self.inner().events.lock().0.front().cloned() else { return Ok(()) };
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
            self.inner().events.lock().0.pop_front();
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
