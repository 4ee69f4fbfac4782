//! The product's rule, called as the product calls it: hours counted from the flip, and the blocks themselves around it for
//! an early verdict.
//!
//! A flip is judged in [`Ours::verdict`], a statement without one in [`unprompted`], a repair in [`repair`]; reports of plans, analyses and
//! time-outs, which have inputs of their own, in [`flapping`], [`stale`] and [`vanished`]. All decisions are
//! functions of `evidence` that the processor `regression_verifier` calls; what is here and there is the order in which they
//! are asked.
//!
//! The plan is known as clearly as it can be, old and new plan were never seen side by side, and the floor of lost time is off:
//! each of these can only raise the figures. The shortest execution of a block is kept from the rule, because PostgreSQL
//! does not have it.

pub mod flapping;
mod repair;
pub mod stale;
mod unprompted;
pub mod vanished;

use dbintel_evidence::{
    Acceleration, Block, Case, Category, ControlPoint, EvidenceClass, Judge, Overlap, PlanEvidence,
    ShortBlocks, Thresholds, TimeScale, Verdict, WaitCounts, WaitHours, Waited,
};

use self::unprompted::Watch;
use crate::history::{self, History};
use crate::rule::{Level, Repaired, Rule};

/// Hours before the flip of which the rule gets the blocks themselves, and how many of those in which the statement ran: as many as the
/// processor keeps.
const SHORT_HOURS: usize = 24;
const SHORTS_MAX: usize = 78;
/// The new plan is seen in the first block after the flip. That block and the clock hour it lies in may hold both plans, so the processor
/// counts them to neither side; here the hours are counted from the flip, so that it is always a whole one that is lost.
const FIRST_AFTER: i64 = 1;
/// Sampled sessions of one hour that are counted at most; the rule counts a few more.
const COUNTED_MAX: u32 = 60_000;

/// The rule, and what it was given of the history at hand.
#[derive(Debug)]
pub struct Ours {
    judge: Judge,
    hours: Arms,
    short: Arms,
    short_scale: TimeScale,
    per_hour: usize,
    /// The first hour and the first block wholly after the flip.
    first_after: i64,
    /// The sampled sessions before the flip.
    sampled_before: WaitHours,
    /// Of each hour after the flip, the sampled sessions.
    sampled_after: Vec<(i64, WaitCounts)>,
    /// Of a statement without a flip.
    watch: Watch,
}

/// Blocks of one length.
#[derive(Debug, Default)]
struct Arms {
    before: Vec<Block>,
    after: Vec<Block>,
    control: Vec<ControlPoint>,
}

// === impl Ours ===

impl Default for Ours {
    fn default() -> Self {
        let thresholds = Thresholds { lost_ms_per_day_min: 0.0, ..Thresholds::default() };
        Self {
            judge: Judge::new(&thresholds),
            hours: Arms::default(),
            short: Arms::default(),
            short_scale: TimeScale::HOURLY,
            per_hour: 1,
            first_after: 0,
            sampled_before: WaitHours::default(),
            sampled_after: Vec::new(),
            watch: Watch::default(),
        }
    }
}

impl Rule for Ours {
    fn name(&self) -> &'static str {
        "ours"
    }

    fn start(&mut self, case: &History) {
        let hours = case.hours();
        self.hours = Arms::new(&hours.before, &hours.after);
        self.per_hour = case.blocks_per_hour();
        let (before, after) = case.blocks.split_at(case.flip.min(case.blocks.len()));
        let known = before.len().saturating_sub(SHORT_HOURS * self.per_hour);
        self.short = Arms::new(before.get(known..).unwrap_or_default(), after);
        self.first_after = if case.flipped { FIRST_AFTER } else { 0 };
        if case.flipped {
            // The last block before the flip may hold both plans.
            self.short.before.retain(|block| block.start < -1);
            for arms in [&mut self.hours, &mut self.short] {
                arms.after.retain(|block| block.start >= FIRST_AFTER);
            }
        }
        let ran = &mut self.short.before;
        ran.retain(|block| block.calls > 0.0);
        ran.drain(..ran.len().saturating_sub(SHORTS_MAX));
        let seconds = f64::from(case.block_minutes) * 60.0;
        self.short_scale = TimeScale::try_new(seconds, Acceleration::NONE).unwrap_or(TimeScale::HOURLY);
        self.sampled_before = WaitHours::default();
        let first = -(hours.before.len() as i64);
        sampled(first, &hours.before).for_each(|(hour, counts)| self.sampled_before.note(hour, counts));
        self.sampled_after = sampled(0, &hours.after).collect();
        self.watch = if case.flipped { Watch::default() } else { Watch::new(&self.hours) };
    }

    fn judge(&mut self, _: &History, now_hour: usize) -> Level {
        let verdict = self.verdict(now_hour);
        if verdict.is_regression() { level(verdict.category) } else { Level::Insufficient }
    }

    fn kinds_without_flip(&self) -> &'static [&'static str] {
        unprompted::KINDS
    }

    fn judge_without_flip(&mut self, _: &History, now_hour: usize) -> Option<Vec<&'static str>> {
        Some(self.watch.look(&mut self.judge, &self.hours.control, now_hour as i64))
    }

    fn judge_repair(&mut self, _: &History, delay_hours: usize) -> Option<Repaired> {
        repair::judge(self, delay_hours)
    }
}

impl Ours {
    /// What the rule says so many hours after the flip.
    fn verdict(&mut self, now_hour: usize) -> Verdict {
        let end = (now_hour * self.per_hour) as i64;
        let short = ShortBlocks {
            before: &self.short.before,
            after: self.short.after_until(end),
            flip: self.first_after,
            control: self.short.control_until(end),
            scale: self.short_scale,
        };
        let now = now_hour as i64;
        let case = Case {
            control: self.hours.control_until(now),
            plan: PlanEvidence::clear(EvidenceClass::Actual),
            overlap: Overlap::default(),
            waited: self.waited_until(now_hour),
            trial: Some(short),
            ..Case::new(&self.hours.before, self.hours.after_until(now), self.first_after)
        };
        self.judge.judge(&case)
    }

    /// How long a call waits before the flip and since, by the same functions as in the product.
    fn waited_until(&self, now_hour: usize) -> Option<Waited> {
        let mut sampled = WaitHours::default();
        let known = self.sampled_after.iter().take_while(|(hour, _)| *hour < now_hour as i64);
        known.for_each(|(hour, counts)| sampled.note(*hour, *counts));
        let since = self.hours.after_until(now_hour as i64);
        Waited::between((&self.sampled_before, &self.hours.before), (&sampled, since))
    }
}

/// The sampled sessions of hours, the first of which is `first`.
fn sampled(first: i64, hours: &[Option<history::Block>]) -> impl Iterator<Item = (i64, WaitCounts)> + '_ {
    let waits = |block: &history::Block| block.waits.map(counted);
    (first..).zip(hours).filter_map(move |(hour, block)| Some((hour, block.as_ref().and_then(waits)?)))
}

/// A history does not say what was waited for. Where there are more than the rule counts, the same share of fewer.
fn counted(waits: history::Waits) -> WaitCounts {
    let most = waits.sampled.div_ceil(COUNTED_MAX).max(1);
    let part = |count: u32| u16::try_from(count / most).unwrap_or(u16::MAX);
    WaitCounts { samples: part(waits.sampled), locks: 0, io: part(waits.waiting) }
}

fn level(category: Category) -> Level {
    match category {
        Category::Insufficient => Level::Insufficient,
        Category::Careful => Level::Careful,
        Category::Manual => Level::Manual,
        Category::Auto => Level::Auto,
    }
}

// === impl Arms ===

impl Arms {
    /// Blocks are counted from the flip: the first one after it is 0.
    fn new(before: &[Option<history::Block>], after: &[Option<history::Block>]) -> Self {
        let first = -(before.len() as i64);
        let (mut arms, blocks) = (Self::default(), before.iter().chain(after));
        for (place, block) in
            (first..).zip(blocks).filter_map(|(place, block)| Some((place, block.as_ref()?)))
        {
            let side = if place < 0 { &mut arms.before } else { &mut arms.after };
            side.push(converted(place, block));
            if let Some(control) = block.control {
                let history::Control { log_ratio, statements } = control;
                arms.control.push(ControlPoint { block: place, log_ratio, statements });
            }
        }
        arms
    }

    fn after_until(&self, end: i64) -> &[Block] {
        self.after_between(i64::MIN, end)
    }

    fn after_between(&self, first: i64, end: i64) -> &[Block] {
        let place = |place: i64| self.after.partition_point(|block| block.start < place);
        self.after.get(place(first)..place(end)).unwrap_or_default()
    }

    fn control_until(&self, end: i64) -> &[ControlPoint] {
        until(&self.control, end)
    }
}

fn until(control: &[ControlPoint], end: i64) -> &[ControlPoint] {
    let count = control.partition_point(|point| point.block < end);
    control.get(..count).unwrap_or_default()
}

/// What is unknown is no number there.
fn converted(start: i64, block: &history::Block) -> Block {
    let converted = Block {
        start,
        calls: block.calls as f64,
        total_ms: block.total_ms,
        squared_deviations: None,
        work: block.touched.unwrap_or(f64::NAN),
        rows: block.rows.unwrap_or(f64::NAN),
        min_ms: None,
    };
    block.sum_sq.map_or(converted, |sum| converted.with_sum_of_squares(sum))
}

#[cfg(test)]
mod tests;
