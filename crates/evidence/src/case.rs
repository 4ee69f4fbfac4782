//! What is put before the judge.

use crate::scale::{Acceleration, TimeScale};
use crate::side_by_side::SideBySide;
use crate::verdict::Direction;
use crate::waits::Waited;

/// What one statement did in one block of time. Sums, never averages.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Block {
    /// The block's place: seconds since any fixed time, divided by the length of a block.
    pub start: i64,
    /// Finished executions.
    pub calls: f64,
    /// Their time.
    pub total_ms: f64,
    /// The sum of the squares of their distances from their mean; `None` where rounding leaves nothing of it.
    pub squared_deviations: Option<f64>,
    /// Blocks touched, read or found in the cache: shared, local and temporary ones; logical reads of SQL Server.
    pub work: f64,
    /// Rows returned or changed.
    pub rows: f64,
    /// The fastest execution of the block, where the source has it per interval (Query Store; not PostgreSQL).
    pub min_ms: Option<f64>,
}

/// How the statements without a change of plan did in one block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ControlPoint {
    /// The block's place, in the same units as [`Block::start`].
    pub block: i64,
    /// The median, over those statements, of the logarithm of time per call now divided by the usual time per call.
    pub log_ratio: f64,
    /// How many statements are behind it.
    pub statements: u32,
}

/// How the plan of a statement is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum EvidenceClass {
    /// It is not; nothing says that the plan changed.
    #[default]
    None,
    /// The planner was asked what it would do.
    Generic,
    /// Plans that ran were seen, all or a sample (`auto_explain`).
    Actual,
    /// Counters are kept per plan.
    PerPlan,
}

/// What speaks for the change of plan as the cause.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct PlanEvidence {
    /// How the plans are known.
    pub class: EvidenceClass,
    /// The new plan's share of what was seen before the change.
    pub new_share_before: Option<f64>,
    /// The new plan's share of what was seen after the change.
    pub new_share_after: Option<f64>,
    /// The new plan's work or cost divided by the old one's, by the plans themselves.
    pub expected_ratio: Option<f64>,
}

/// Whether old and new plan were seen side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Overlap {
    /// Blocks in which both plans ran and the new one was slower.
    pub interleaved_blocks: u32,
    /// Separate episodes of the new plan, all in the same direction.
    pub episodes: u32,
    /// A trial of the old plan was made and verified.
    pub verified_trial: bool,
    /// A deployment, DDL or change of statistics falls into the same block as the change.
    pub other_change_in_the_block: bool,
}

/// Whether the statement waits more after the change than before: [`Waited::waits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Waits {
    /// Too few sessions were sampled to tell, or as much of it is waiting as is not.
    #[default]
    Unclear,
    /// Most of what a call takes more is not waiting for locks, input or output.
    NoRise,
    /// Most of what a call takes more is waiting for locks, input or output.
    Rose,
}

/// Shorter blocks around the change, for the statements under trial.
///
/// They are compared with each other only: the median of a mean shifts with the length of the block.
#[derive(Clone, Copy, Debug)]
pub struct ShortBlocks<'a> {
    /// The blocks of the last day before the change.
    pub before: &'a [Block],
    /// The blocks since the change.
    pub after: &'a [Block],
    /// The first block wholly after the change, in units of these blocks.
    pub flip: i64,
    /// The control in these blocks; empty without one.
    pub control: &'a [ControlPoint],
    /// The length of these blocks.
    pub scale: TimeScale,
}

/// All that is known about one statement around one moment.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The blocks of the week before.
    pub before: &'a [Block],
    /// The blocks since.
    pub after: &'a [Block],
    /// The first block wholly after the change. What is on the wrong side of it is left out.
    pub flip: i64,
    /// The control, sorted by block; empty without one.
    pub control: &'a [ControlPoint],
    /// The length of the blocks.
    pub scale: TimeScale,
    /// What is known of the plans.
    pub plan: PlanEvidence,
    /// Whether both plans were seen side by side.
    pub overlap: Overlap,
    /// How long a call waited before and since, where enough sessions were sampled.
    pub waited: Option<Waited>,
    /// What executions took with either plan, where they are timed plan by plan.
    pub side_by_side: Option<SideBySide>,
    /// Shorter blocks, for an early verdict on a large step.
    pub trial: Option<ShortBlocks<'a>>,
}

// === impl Block ===

impl Block {
    /// A block from the sum of the squares of its executions.
    #[must_use]
    pub fn with_sum_of_squares(self, sum_of_squares: f64) -> Self {
        let moments = crate::moments::Moments::from_sums(self.calls, self.total_ms, sum_of_squares);
        Self { squared_deviations: moments.squared_deviations, ..self }
    }
}

// === impl PlanEvidence ===

impl PlanEvidence {
    /// Only the new plan after the change, only the old one before.
    #[must_use]
    pub fn clear(class: EvidenceClass) -> Self {
        Self { class, new_share_before: Some(0.0), new_share_after: Some(1.0), expected_ratio: None }
    }
}

// === impl Case ===

impl<'a> Case<'a> {
    /// A case of hourly blocks about which nothing else is known.
    #[must_use]
    pub fn new(before: &'a [Block], after: &'a [Block], flip: i64) -> Self {
        Self {
            before,
            after,
            flip,
            control: &[],
            scale: TimeScale::HOURLY,
            plan: PlanEvidence::default(),
            overlap: Overlap::default(),
            waited: None,
            side_by_side: None,
            trial: None,
        }
    }

    /// Whether the statement waits more, in a verdict of this direction.
    pub(crate) fn waits(&self, direction: Direction) -> Waits {
        self.waited.map_or(Waits::Unclear, |waited| waited.waits(direction))
    }

    /// The acceleration of its time scale.
    #[must_use]
    pub fn acceleration(&self) -> Acceleration {
        self.scale.acceleration()
    }
}
