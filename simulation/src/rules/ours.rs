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
    ShortBlocks, Thresholds, TimeScale, Verdict, Waits,
};

use self::unprompted::Watch;
use crate::history::{self, History};
use crate::rule::{Level, Repaired, Rule};

/// Hours before the flip of which the rule gets the blocks themselves.
const SHORT_HOURS: usize = 24;
/// Sampled sessions after the flip below which nothing is said about waiting.
const SAMPLED_MIN: u32 = 30;
/// Sampled sessions of an hour below which its share is no sample of what is usual, and such hours that make a usual share.
const SAMPLED_HOUR_MIN: u32 = 5;
const SHARES_MIN: usize = 12;
/// Errors of a share that are added to it before it counts as no higher, and taken from it before it counts as higher.
const WAITING_ERRORS: f64 = 2.0;
/// How much higher the share of waiting sessions may be and still be no rise.
const WAITING_SLACK: f64 = 0.1;
/// How many times its usual length the time in which a call does not wait must have to have risen.
const BUSY_RISE: f64 = 1.2;

/// The rule, and what it was given of the history at hand.
#[derive(Debug)]
pub struct Ours {
    judge: Judge,
    hours: Arms,
    short: Arms,
    short_scale: TimeScale,
    per_hour: usize,
    /// The usual share of waiting sessions before the flip, where enough were sampled.
    waiting_before: Option<f64>,
    /// The usual time of a call before the flip.
    usual_ms: Option<f64>,
    /// Of each hour after the flip: sessions, calls and their time.
    after: Vec<(history::Waits, u64, f64)>,
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
            waiting_before: None,
            usual_ms: None,
            after: Vec::new(),
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
        if case.flipped {
            // The last block before the flip may hold both plans.
            self.short.before.retain(|block| block.start < -1);
        }
        let seconds = f64::from(case.block_minutes) * 60.0;
        self.short_scale = TimeScale::try_new(seconds, Acceleration::NONE).unwrap_or(TimeScale::HOURLY);
        self.waiting_before = usual_share(hours.before.iter().map(waits_of));
        self.usual_ms = median(hours.before.iter().flatten().filter_map(history::Block::mean_ms).collect());
        let sums = |hour: &Option<history::Block>| {
            hour.map_or_else(Default::default, |hour| {
                (hour.waits.unwrap_or_default(), hour.calls, hour.total_ms)
            })
        };
        self.after = hours.after.iter().map(sums).collect();
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
            flip: 0,
            control: self.short.control_until(end),
            scale: self.short_scale,
        };
        let now = now_hour as i64;
        let case = Case {
            control: self.hours.control_until(now),
            plan: PlanEvidence::clear(EvidenceClass::Actual),
            overlap: Overlap::default(),
            waits: self.waits_until(now_hour),
            trial: Some(short),
            ..Case::new(&self.hours.before, self.hours.after_until(now), 0)
        };
        self.judge.judge(&case)
    }

    /// Whether more of the sessions wait than before: only a clear answer is one. A call that waits for others, however long,
    /// is busy no longer than usual; that has to be seen as well before waiting is ruled out.
    fn waits_until(&self, now_hour: usize) -> Waits {
        let (mut waits, mut calls, mut total_ms) = (history::Waits::default(), 0, 0.0);
        for hour in self.after.iter().take(now_hour) {
            waits = added(waits, hour.0);
            calls += hour.1;
            total_ms += hour.2;
        }
        let Some(usual_ms) = self.usual_ms.filter(|_| waits.sampled >= SAMPLED_MIN && calls > 0) else {
            return Waits::NotSampled;
        };
        let share = share(waits);
        // A share of none or all has an error too: as if one more session of each kind had been seen.
        let smooth = (f64::from(waits.waiting) + 1.0) / (f64::from(waits.sampled) + 2.0);
        let error = WAITING_ERRORS * (smooth * (1.0 - smooth) / f64::from(waits.sampled)).sqrt();
        let usual_busy_ms = usual_ms * (1.0 - self.waiting_before.unwrap_or(0.0));
        let busy_ms = total_ms / calls as f64 * (1.0 - share - error);
        let no_higher = self.waiting_before.is_none_or(|before| share + error <= before + WAITING_SLACK);
        if no_higher && busy_ms >= BUSY_RISE * usual_busy_ms {
            Waits::NoRise
        } else if self.waiting_before.is_some_and(|before| share - error > before) {
            Waits::Rose
        } else {
            Waits::NotSampled
        }
    }
}

/// The median share of the hours in which enough sessions were sampled. The share of a whole week in which there was a storm of
/// locks is that of the storm: most sessions are sampled while they wait.
fn usual_share(hours: impl Iterator<Item = history::Waits>) -> Option<f64> {
    let shares: Vec<f64> = hours.filter(|waits| waits.sampled >= SAMPLED_HOUR_MIN).map(share).collect();
    if shares.len() < SHARES_MIN { None } else { median(shares) }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn share(waits: history::Waits) -> f64 {
    f64::from(waits.waiting) / f64::from(waits.sampled)
}

fn level(category: Category) -> Level {
    match category {
        Category::Insufficient => Level::Insufficient,
        Category::Careful => Level::Careful,
        Category::Manual => Level::Manual,
        Category::Auto => Level::Auto,
    }
}

fn waits_of(block: &Option<history::Block>) -> history::Waits {
    block.and_then(|block| block.waits).unwrap_or_default()
}

fn added(sum: history::Waits, waits: history::Waits) -> history::Waits {
    history::Waits {
        sampled: sum.sampled.saturating_add(waits.sampled),
        waiting: sum.waiting.saturating_add(waits.waiting),
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
