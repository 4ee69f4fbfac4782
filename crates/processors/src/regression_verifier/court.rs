//! Puts a statement before the judge: what it did before and since, the control, the plans, the waits.

use dbintel_evidence::{
    Block, Case, Confirmation, EvidenceClass, Gone, Judge, Numbers, Overlap, PlanEvidence, Repair,
    ShortBlocks, Thresholds, Verdict, Waited, confirm, gone,
};
use dbintel_model::{PlanRung, PlanTimes, PlanTimesSource};

use super::clock::BlockClock;
use super::control::Controls;
use super::statement::Statement;
use super::trial::{Flip, Repaired, Trial};

/// Kinds of causes that, in the same block, keep a verdict from being `auto`.
const OTHER_CHANGES: [&str; 7] =
    ["ddl", "analyze", "setting", "plan_setting", "table_rewrite", "statistics_stale", "version"];

/// The judge with its memory.
#[derive(Debug)]
pub(super) struct Court {
    judge: Judge,
    before: Vec<Block>,
    after: Vec<Block>,
    between: Vec<Block>,
    shorts_before: Vec<Block>,
    shorts_after: Vec<Block>,
}

// === impl Court ===

impl Court {
    pub(super) fn new(thresholds: &Thresholds) -> Self {
        Self {
            judge: Judge::new(thresholds),
            before: Vec::new(),
            after: Vec::new(),
            between: Vec::new(),
            shorts_before: Vec::new(),
            shorts_after: Vec::new(),
        }
    }

    pub(super) fn thresholds(&self) -> &Thresholds {
        self.judge.thresholds()
    }

    /// What the hours since the change, and short blocks for an early verdict, say.
    pub(super) fn judge(
        &mut self,
        trial: &Trial,
        statement: &Statement,
        controls: &Controls,
        clock: &BlockClock,
    ) -> Verdict {
        trial.before.list(i64::MIN, trial.hour, &mut self.before);
        statement.hours.list(trial.hour, i64::MAX, &mut self.after);
        trial.shorts_before.list(i64::MIN, trial.short, &mut self.shorts_before);
        trial.shorts_after.list(trial.short, i64::MAX, &mut self.shorts_after);
        let short = ShortBlocks {
            before: &self.shorts_before,
            after: &self.shorts_after,
            flip: trial.short,
            control: controls.shorts(),
            scale: clock.shorts(),
        };
        let waited = Waited::between((&trial.waits_before, &self.before), (&trial.waits, &self.after));
        let is_early = trial.flip.is_some() && !self.shorts_after.is_empty();
        let case = Case {
            control: controls.hours(),
            scale: clock.hours(),
            plan: plan_evidence(trial),
            overlap: overlap(trial),
            waited,
            side_by_side: trial.side_by_side(self.judge.thresholds().z),
            trial: is_early.then_some(short),
            ..Case::new(&self.before, &self.after, trial.hour)
        };
        self.judge.judge(&case)
    }

    /// Whether a regression has gone, by the hours from `since` on.
    pub(super) fn gone(
        &mut self,
        trial: &Trial,
        statement: &Statement,
        controls: &Controls,
        clock: &BlockClock,
        since: i64,
    ) -> Gone {
        let Some((step, work_ratio)) = trial.regression else { return Gone::Unclear };
        trial.before.list(i64::MIN, trial.hour, &mut self.before);
        statement.hours.list(since.max(trial.hour), i64::MAX, &mut self.after);
        let recent = Case {
            control: controls.hours(),
            scale: clock.hours(),
            ..Case::new(&self.before, &self.after, since.max(trial.hour))
        };
        let mut regression = self.judge.judge(&recent);
        regression.direction = dbintel_evidence::Direction::Slower;
        regression.numbers = Numbers { log_step: Some(step), work_ratio, ..Numbers::default() };
        let thresholds = *self.judge.thresholds();
        gone(&recent, &regression, &thresholds)
    }

    /// What a repair did.
    pub(super) fn confirm(
        &mut self,
        trial: &Trial,
        statement: &Statement,
        controls: &Controls,
        clock: &BlockClock,
        repair: Repaired,
    ) -> Confirmation {
        trial.before.list(i64::MIN, trial.hour, &mut self.before);
        statement.hours.list(trial.hour, repair.until, &mut self.between);
        statement.hours.list(repair.from, i64::MAX, &mut self.after);
        let repair = Repair {
            baseline: &self.before,
            regressed: &self.between,
            repaired: &self.after,
            repair_at: repair.from,
            control: controls.hours(),
            scale: clock.hours(),
        };
        confirm(&repair, self.judge.thresholds())
    }
}

/// Plans that ran are seen in the server's log, and by an extension that counts each of them; all others were asked for, or are one look
/// at what ran last.
fn class(trial: &Trial, flip: &Flip) -> EvidenceClass {
    let is_counted =
        |times: &Option<PlanTimes>| times.is_some_and(|times| times.source == PlanTimesSource::Extension);
    match flip.rung {
        PlanRung::Extension if flip.is_proven && trial.timed.iter().all(is_counted) => EvidenceClass::PerPlan,
        PlanRung::Actual if flip.is_proven => EvidenceClass::Actual,
        _ => EvidenceClass::Generic,
    }
}

fn plan_evidence(trial: &Trial) -> PlanEvidence {
    let Some(flip) = &trial.flip else { return PlanEvidence::default() };
    let [new, other] = trial.seen;
    let all = new + other;
    let share = |count: u32| (all > 0).then(|| f64::from(count) / f64::from(all));
    let costs = flip.new_cost.zip(flip.old_cost).filter(|(new, old)| *new > 0.0 && *old > 0.0);
    PlanEvidence {
        class: class(trial, flip),
        // A plan that is new was not there before; of one that was there once, nothing is known.
        new_share_before: (!flip.was_seen_before).then_some(0.0),
        new_share_after: share(new),
        expected_ratio: costs.map(|(new, old)| new / old),
    }
}

fn overlap(trial: &Trial) -> Overlap {
    let causes = trial.flip.iter().flat_map(|flip| &flip.causes);
    let other = causes.into_iter().any(|cause| OTHER_CHANGES.contains(&cause.kind.as_str()));
    // The server counts per statement and not per plan: that both ran in one block can be seen, not which of them took what.
    Overlap { other_change_in_the_block: other, ..Overlap::default() }
}
