//! Statements that got faster when their plan changed: told apart from what got slower, since nothing has to be done about them.
//!
//! The same locks as for a regression, the other way up. Each is told once and closed at once, so that no queue holds it.

use dbintel_evidence::Verdict;
use dbintel_model::Timestamp;
use dbintel_model::finding::FindingKind;

use super::report::{self, Place};
use super::{RegressionVerifier, causes};

/// Improvements that are told within one hour, at most: an upgrade can make every plan a better one.
pub const IMPROVEMENTS_PER_HOUR: u32 = 20;

/// How many were told in the hour that is going on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Improvements {
    hour: i64,
    told: u32,
}

// === impl Improvements ===

impl Improvements {
    /// Whether there is room for one more in this hour, which it takes.
    fn take(&mut self, hour: i64) -> bool {
        if hour != self.hour {
            *self = Self { hour, told: 0 };
        }
        let has_room = self.told < IMPROVEMENTS_PER_HOUR;
        self.told += u32::from(has_room);
        has_room
    }
}

impl RegressionVerifier {
    /// The trial of this statement ends with this verdict: it is faster.
    pub(super) fn tell_improvement(&mut self, id: u64, verdict: &Verdict, now: Timestamp) {
        let kind = FindingKind::PlanImprovement;
        let Some((target, node)) = &self.place else { return };
        let (Some(trial), Some(statement)) = (self.trials.get(id), self.statements.get(id)) else { return };
        // Without a change of plan there is nothing to be learnt from it.
        if trial.flip.is_none() {
            return;
        }
        if self.findings.is_told(kind, id, now) {
            return self.telemetry.suppressed("cool_down");
        }
        if !self.improvements.take(self.closed.hour) {
            return self.telemetry.suppressed("improvements_per_hour");
        }
        let place = Place { server: &target.server, node: node.as_deref(), now };
        let causes = causes::of_the_plan(trial, &statement.about, verdict, &self.events);
        let mut finding = report::improvement(place, (trial, statement), verdict, &causes, &mut self.clock);
        // One that is new is open, and what is open can be resolved.
        let _ = finding.resolve(now);
        let finding = self.told(finding);
        self.findings.tell(kind, id, now);
        self.findings.restore_ended(finding.id, now);
        self.unstored.closed(&finding);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_has_room_for_so_many() {
        let mut improvements = Improvements::default();
        let told = |improvements: &mut Improvements, hour| {
            (0..IMPROVEMENTS_PER_HOUR + 5).filter(|_| improvements.take(hour)).count()
        };
        for hour in [7, 8] {
            assert_eq!(told(&mut improvements, hour), IMPROVEMENTS_PER_HOUR as usize);
            assert_eq!(told(&mut improvements, hour), 0);
        }
    }
}
