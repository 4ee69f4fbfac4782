//! A repair that is taken back while it is measured: the index is as it was in the regression, or the setting.
//!
//! The hours since then say nothing about the repair, so that the finding ends `inconclusive` and says when it was undone. What is taken back
//! after a finding has ended is a change like any other: what it brings is told anew.

use dbintel_model::Timestamp;
use dbintel_model::finding::{Applied, FindingState};

use super::RegressionVerifier;
use super::events::{Event, Events};
use super::follow::unmeasured;
use super::life::Kept;

impl RegressionVerifier {
    /// Whether the change that was noted last takes back what was done about a finding.
    pub(super) fn undone(&mut self, now: Timestamp) {
        let Some(event) = self.events.iter().next_back().cloned() else { return };
        let events = &self.events;
        let done =
            self.findings.iter().filter_map(|kept| Some((kept.finding.id, undoes(&event, kept, events)?.at)));
        for (id, applied_at) in done.collect::<Vec<_>>() {
            let Some(kept) = self.findings.get_mut(id) else { continue };
            kept.finding.rolled_back_at = Some(event.at);
            // Told apart from its end: the end is a step of its own.
            self.changed(id, FindingState::Applied);
            let sentence =
                format!("It was undone at {} ({}), before it was measured.", event.at, event.said());
            let outcome = unmeasured(now, (applied_at, event.at), sentence.into());
            self.end(id, now, |finding| finding.measure(outcome).ok());
        }
    }
}

/// What was done about this finding, if the change takes it back.
fn undoes<'a>(event: &Event, kept: &'a Kept, events: &Events) -> Option<&'a Applied> {
    let applied = kept.finding.applied.as_ref().filter(|_| kept.finding.state == FindingState::Applied)?;
    // Another index on the same table is not the one that was created.
    let mut named = applied.how.split(' ').map(|word| word.trim_end_matches([':', ',']));
    let is_it = event.subject.as_deref().is_some_and(|subject| named.any(|word| word == subject));
    let cause = kept.cause.as_ref()?;
    let is_undone = event.repeats(cause) || events.takes_back(event, cause);
    (is_it && event.at > applied.at && is_undone).then_some(applied)
}
