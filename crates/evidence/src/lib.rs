//! Whether a change of plan made a statement slower, within the evidence.
//!
//! Promises:
//! * pure: no I/O, no clock, no randomness, no allocation that grows with anything but the blocks of one case;
//! * total: any numbers give a verdict; what is no number counts as evidence missing, never as evidence;
//! * t alone sets the ceiling of a verdict, and everything else can only lower it;
//! * "not enough evidence" is a verdict, and says what is missing and when it can exist;
//! * every verdict carries each number it used and each lock's value, threshold and outcome, so that it can be checked by
//!   hand.
//!
//! # The rule
//!
//! **Blocks, not executions.** The unit of evidence is what a statement did in one block of time, an hour by default: executions
//! within an hour share load and cache, so there are about as many independent things to see as there are hours. Blocks with
//! few calls are merged with their neighbours ([`Numbers::merged`]).
//!
//! **Ceiling.** Welch's `t = (m₂−m₁) / √(v₁/n₁ + v₂/n₂)` ([`student`]) over single executions, with their variances from
//! cumulative counters where rounding leaves them ([`moments`]), else from the differences between blocks
//! ([`series::block_mean`]). `t` grows with the square root of the number of executions: it measures how much was seen,
//! not how much it matters, so it only says how high a verdict may get.
//!
//! **Comparison.** `y = ln(time per call) − control`, where the control is what the statements without a change of plan did in
//! the same block. Each block after is compared with the median of its own hour of day before; the step `L` is the median
//! of these distances. Its error is `1.2533·√(s₁²/B₁ + s₂²/B₂)` with `s = max(1.4826·MAD, 0.5·deviation, 0.001)` and
//! `B = blocks·(1−ρ)/(1+ρ)`, ρ being the autocorrelation of neighbours, at most 0.95 ([`series`]). Work per call (blocks
//! touched) and rows per call are compared in the same way.
//!
//! **Locks** ([`LockName`]): enough data; a control; the step five times its error; slower by at least 1.2 at three errors
//! (`exp(L−3·se)`; the delta method's and Fieller's bounds of the ratio of means are printed beside it, [`ratio`]); time lost
//! per day `(1−1/R)·m₂·calls per day`; more work per call; as many rows per call; not parameter-sensitive; never nearly as
//! far by itself in as many neighbouring blocks of the week; usual before the change and new right after it; patience; old
//! and new plan seen side by side; the plan itself known. A statement that is slower without more work is
//! [`Conclusion::CpuBound`] where most of the added time is not waiting ([`Waited`]), and not separable otherwise.
//!
//! **Beside the change.** What wanders slowly is the same on both sides of the change, a step is not. Where short blocks are given
//! ([`ShortBlocks`]), the jump between the mean of the six right after and that of the six right before must hold half of
//! the step; and a step that hours do not show clearly counts, for `careful`, where that jump is larger than any between
//! two neighbouring stretches of the day before. That is a placebo test: it needs no model of how a statement wanders.
//!
//! **Early verdict.** A large step can be seen in short blocks within hours ([`ShortBlocks`]): under stricter demands, and
//! never above [`Category::Careful`].
//!
//! # What it cannot know
//!
//! Parameters or data that change in the very block in which the plan changes look like the plan. Only both plans seen side by
//! side, or a trial, tell them apart; therefore no single before and after is ever [`Category::Auto`].
//!
//! # Sources
//!
//! Welch (1947) for t; Chan, Golub and LeVeque (1983) for merging moments; Fieller (1954) for the ratio; Hyndman and Fan
//! (1996) for quantiles (their type 7). Thresholds were measured in simulation. All formulas are compared with SciPy and NumPy to
//! nine digits in `tests/scipy.rs`; `docs/evidence.md` tells what the locks mean to a DBA.

#![forbid(unsafe_code)]

mod arms;
mod attribution;
mod case;
mod locks;
mod measure;
pub mod moments;
pub mod ratio;
mod repair;
mod rule;
mod scale;
pub mod series;
mod side_by_side;
pub mod student;
mod thresholds;
pub mod unprompted;
mod verdict;
mod waits;

pub use arms::Pairing;
pub use attribution::{Attribution, attribute};
pub use case::{Block, Case, ControlPoint, EvidenceClass, Overlap, PlanEvidence, ShortBlocks, Waits};
pub use locks::{Category, Lock, LockName, Outcome};
pub use repair::{Confirmation, GONE_HOURS, Gone, MEASURED_FROM_HOURS, Repair, RepairOutcome, confirm, gone};
pub use rule::{Judge, judge};
pub use scale::{Acceleration, TimeScale};
pub use side_by_side::{SideBySide, TIMED_EXECUTIONS_MIN};
pub use thresholds::{Thresholds, TrialThresholds};
pub use verdict::{Conclusion, Direction, Missing, Numbers, Path, Verdict};
pub use waits::{TypicalWaits, WAIT_HOURS, WaitCounts, WaitHours, WaitShares, Waited, WaitingCall};
