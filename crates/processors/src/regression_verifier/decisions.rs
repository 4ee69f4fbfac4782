//! What persons decided about findings: made in the store by another process, and told to the lane by a command.
//!
//! Decisions are told in the order in which they were made, and again and again for a while, since a lane that was started anew may
//! know less than before. One that is known already does nothing. What happened in the meantime stands: a decision about a finding that
//! came to its end, or that something was done about, is counted and changes no state.

use std::time::Duration;

use dbintel_model::finding::{Decision, DecisionAction};
use dbintel_model::{FindingId, Timestamp};
use dbintel_pipeline::FindingDecision;

use super::RegressionVerifier;

/// By how much the clock of the machine on which somebody decides may be behind ours.
const CLOCKS_APART_MAX: Duration = Duration::from_secs(3_600);
/// What became of a decision, as a label.
const TAKEN: &str = "taken";
const LATE: &str = "late";

impl RegressionVerifier {
    /// Takes over what was decided about findings of this lane; those of others are passed over.
    pub(super) fn decided(&mut self, decisions: &[FindingDecision], now: Timestamp) {
        for FindingDecision { finding, decision } in decisions {
            if let Some(result) = self.decide(*finding, decision, now) {
                self.telemetry.decided(decision.action, result);
            }
        }
    }

    /// `None` where there is nothing new in it.
    fn decide(&mut self, id: FindingId, decision: &Decision, now: Timestamp) -> Option<&'static str> {
        let Some(kept) = self.findings.get_mut(id) else {
            return self.findings.take_ended(id).then_some(LATE);
        };
        let finding = &mut kept.finding;
        // What was decided before it was there is about another one, which had its id.
        let is_of_another = decision.at.plus(CLOCKS_APART_MAX) < finding.opened_at;
        if is_of_another || finding.decisions.contains(decision) {
            return None;
        }
        if finding.state.transition(decision.action.step()).is_err() {
            // That somebody decided is told all the same.
            finding.decisions.push(decision.clone());
            self.unstored.finding(id);
            return Some(LATE);
        }
        match decision.action {
            DecisionAction::Accept => {
                let from = finding.decide(decision.clone()).ok()?;
                self.changed(id, from);
            }
            DecisionAction::Reject => {
                self.end(id, now, |finding| finding.decide(decision.clone()).ok());
                // It ended by this decision: told again, that is nothing late.
                self.findings.take_ended(id);
            }
        }
        Some(TAKEN)
    }
}
