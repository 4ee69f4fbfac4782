//! Findings: what the collector has concluded, with everything by which a person can check it.
//!
//! Promises:
//! * every number says where it comes from ([`Source`]), and one that is not known is absent;
//! * the state changes only by [`FindingState::transition`]; an illegal step is an error that says what is possible;
//! * the id follows from what the finding is about ([`Identity`]), so that those of two collectors merge;
//! * a finding is stored as one JSON document. Fields this version does not know are passed over, and fields that were
//!   added later may be absent, so that versions can share a store. Numbers beyond 2^53 are written as strings, and a
//!   double that is no number as `null`.

mod advice;
mod closed_set;
mod event;
mod evidence;
mod identity;
mod life;
mod similar;
mod state;
mod subject;
#[cfg(test)]
mod tests;
mod wire;
mod words;

use serde::{Deserialize, Serialize};

use crate::{PlanFingerprint, PlanRung, Text, Timestamp};

pub use self::advice::{Questions, Scripts};
pub use self::event::{FindingEvent, FindingNews};
pub use self::evidence::{
    Attribution, Cause, Chart, ChartPoint, Effect, Evidence, Lock, MAX_CHART_POINTS, MAX_CHARTS,
    MAX_EVIDENCE, MAX_FAILURE_MODES, MAX_FINDING_CAUSES, MAX_LOCKS, Source, TimeLost,
};
pub use self::identity::{
    FindingId, FindingIds, IDENTITY_BUCKET, IDENTITY_TOLERANCE, Identity, ParseFindingIdError,
};
pub use self::life::{
    Applied, Decision, DecisionAction, DecisionError, MAX_REASON_BYTES, Outcome, TrackRecord,
};
pub use self::similar::{
    CASE_SENTENCE_BYTES_MAX, CASE_TEXT_BYTES_MAX, MAX_CASE_TOKENS, MAX_SIMILAR, PastCase, SIMILAR_MIN,
    SimilarCase, similar_cases,
};
pub use self::state::{FindingState, IllegalStep, Step, Verdict};
pub use self::subject::{ServerIdentity, Subject};
pub use self::words::{digits, digits_or};

use closed_set::closed_set;
pub(crate) use wire::hex_u128;

closed_set! {
    /// What a finding says.
    FindingKind {
        /// A statement became slower when its plan changed.
        PlanRegression = "plan_regression",
        /// A statement became slower and has the plan it had.
        RegressionWithoutPlanChange = "regression_without_plan_change",
        /// A statement became faster when its plan changed: told once, and resolved at once, since nothing has to be done.
        PlanImprovement = "plan_improvement",
        /// A statement goes back and forth between plans.
        PlanFlapping = "plan_flapping",
        /// A statement is slow and was never seen with another plan.
        SlowSinglePlan = "slow_single_plan",
        /// A statement that ran all the time is no longer in the statistics, for instance because it times out.
        StatementVanished = "statement_vanished",
        /// The planner's statistics of a table are older than its data.
        StatisticsStale = "statistics_stale",
    }
}

closed_set! {
    /// How much may be concluded from the evidence; in order, so that the lesser of two is their minimum. It never acts by
    /// itself.
    Category {
        /// Not enough to conclude anything.
        Insufficient = "insufficient",
        /// Enough to look at it with care.
        Careful = "careful",
        /// Enough for a person to act.
        Manual = "manual",
        /// Enough to act without a person, where somebody has allowed that.
        Auto = "auto",
    }
}

/// A verdict or a recommendation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Its id, from [`Identity`].
    pub id: FindingId,
    /// What it says.
    pub kind: FindingKind,
    /// Where it is in its life.
    pub state: FindingState,
    /// How much may be concluded, after all locks.
    pub category: Category,
    /// What the t statistic alone would allow; `category` is never above it.
    pub ceiling: Category,
    /// What it is about.
    pub subject: Subject,
    /// What happened, in a sentence with the numbers that matter.
    pub summary: Text,
    /// When it was opened, by our clock.
    pub opened_at: Timestamp,
    /// When its state or its evidence changed last, by our clock.
    pub updated_at: Timestamp,
    /// The change of the plan, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flip: Option<PlanFlip>,
    /// How large the effect is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// What it costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_lost: Option<TimeLost>,
    /// Whether the change of the plan is held responsible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribution: Option<Attribution>,
    /// All inputs, and the results of all formulas, at most [`MAX_EVIDENCE`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// The conditions under which the category stands, at most [`MAX_LOCKS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<Lock>,
    /// The course of what was measured, at most [`MAX_CHARTS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charts: Vec<Chart>,
    /// What may have caused it, the most probable first, at most [`MAX_FINDING_CAUSES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// How the conclusion may be wrong, or the advice fail, a sentence each, at most [`MAX_FAILURE_MODES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failure_modes: Vec<Text>,
    /// Entries of the lists above that found no room.
    #[serde(default)]
    pub left_out: u32,
    /// The four questions, where something is recommended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub questions: Option<Questions>,
    /// What can be done and undone.
    #[serde(default)]
    pub scripts: Scripts,
    /// Whether it waits for a person: t between 10 and 100, and more time lost per day than configured.
    #[serde(default)]
    pub for_review: bool,
    /// What persons decided, the oldest first. The store keeps the full record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decision>,
    /// What was done about it, as it was detected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Applied>,
    /// When what was done was found undone again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back_at: Option<Timestamp>,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// A change of a statement's plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanFlip {
    /// When the new plan was first seen, by the server's clock.
    pub at: Timestamp,
    /// How both plans were obtained.
    pub rung: PlanRung,
    /// The plan before.
    pub old: PlanFingerprint,
    /// The plan since.
    pub new: PlanFingerprint,
}

// === impl Finding ===

impl Finding {
    /// An open finding with no evidence yet.
    #[must_use]
    pub fn new(
        id: FindingId,
        kind: FindingKind,
        category: Category,
        subject: Subject,
        at: Timestamp,
    ) -> Self {
        Self {
            id,
            kind,
            state: FindingState::Open,
            category,
            ceiling: category,
            subject,
            summary: Text::default(),
            opened_at: at,
            updated_at: at,
            flip: None,
            effect: None,
            time_lost: None,
            attribution: None,
            evidence: Vec::new(),
            locks: Vec::new(),
            charts: Vec::new(),
            causes: Vec::new(),
            failure_modes: Vec::new(),
            left_out: 0,
            questions: None,
            scripts: Scripts::default(),
            for_review: false,
            decisions: Vec::new(),
            applied: None,
            rolled_back_at: None,
            outcome: None,
        }
    }

    /// Cuts every list to its maximum and adds what was cut off to [`Self::left_out`]. Says how much that was.
    pub fn trim(&mut self) -> usize {
        let mut cut = 0;
        let mut keep = |length: usize, max: usize| cut += length.saturating_sub(max);
        keep(self.evidence.len(), MAX_EVIDENCE);
        keep(self.locks.len(), MAX_LOCKS);
        keep(self.charts.len(), MAX_CHARTS);
        keep(self.causes.len(), MAX_FINDING_CAUSES);
        keep(self.failure_modes.len(), MAX_FAILURE_MODES);
        self.evidence.truncate(MAX_EVIDENCE);
        self.locks.truncate(MAX_LOCKS);
        self.charts.truncate(MAX_CHARTS);
        self.causes.truncate(MAX_FINDING_CAUSES);
        self.failure_modes.truncate(MAX_FAILURE_MODES);
        cut += self.charts.iter_mut().map(Chart::trim).sum::<usize>();
        self.left_out = self.left_out.saturating_add(u32::try_from(cut).unwrap_or(u32::MAX));
        cut
    }

    /// The locks that do not hold, or could not be tested.
    pub fn locks_not_passed(&self) -> impl Iterator<Item = &Lock> {
        self.locks.iter().filter(|lock| lock.passed != Some(true))
    }

    /// Every text that somebody wrote freely. Names of objects and scripts are none: a script with a masked or cut name in
    /// it would do something else.
    pub fn for_each_text(&mut self, visit: &mut dyn FnMut(&mut Text)) {
        visit(&mut self.summary);
        self.subject.query_text.iter_mut().for_each(&mut *visit);
        self.subject.query_summary.iter_mut().for_each(&mut *visit);
        self.locks.iter_mut().for_each(|lock| visit(&mut lock.sentence));
        self.causes.iter_mut().for_each(|cause| visit(&mut cause.sentence));
        self.failure_modes.iter_mut().for_each(&mut *visit);
        if let Some(questions) = &mut self.questions {
            questions.for_each_text(visit);
        }
        for decision in &mut self.decisions {
            decision.reason.iter_mut().for_each(&mut *visit);
        }
        self.applied.iter_mut().for_each(|applied| visit(&mut applied.how));
        self.outcome.iter_mut().for_each(|outcome| visit(&mut outcome.sentence));
    }

    /// Bytes this record keeps alive beyond its own size.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let evidence = self.evidence.iter().map(Evidence::weight_bytes);
        let locks = self.locks.iter().map(Lock::weight_bytes);
        let charts = self.charts.iter().map(Chart::weight_bytes);
        let causes = self.causes.iter().map(Cause::weight_bytes);
        let modes = self.failure_modes.iter().map(|mode| size_of::<Text>() + mode.len());
        let decisions = self.decisions.iter().map(Decision::weight_bytes);
        let lists = evidence.chain(locks).chain(charts).chain(causes).chain(modes).chain(decisions);
        lists.sum::<usize>()
            + self.summary.len()
            + self.subject.weight_bytes()
            + self.questions.as_ref().map_or(0, Questions::weight_bytes)
            + self.scripts.weight_bytes()
            + self.applied.as_ref().map_or(0, |applied| applied.how.len())
            + self.outcome.as_ref().map_or(0, |outcome| outcome.sentence.len())
    }
}
