//! What is known of one statement: sums per block of time, before and after a moment at which its plan flipped.

use std::borrow::Cow;

/// Hours within which a lasting shift of the parameter mix counts as being at the flip: no statistic can tell which of
/// the two was the cause.
pub const AT_FLIP_HOURS: f64 = 1.0;

/// What one statement did in one block of time. Sums, never averages.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Block {
    /// Executions that ended.
    pub calls: u64,
    /// Their time.
    pub total_ms: f64,
    /// The sum of the squares of their times, in ms².
    pub sum_sq: Option<f64>,
    /// Blocks touched: shared, local and temporary ones, found in the cache or not.
    pub touched: Option<f64>,
    /// Rows returned or changed.
    pub rows: Option<f64>,
    /// The shortest execution.
    pub min_ms: Option<f64>,
    /// What the rest of the server did meanwhile.
    pub control: Option<Control>,
    /// What its sampled sessions did.
    pub waits: Option<Waits>,
}

/// The other statements of the server, those without a change of plan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Control {
    /// Median over statements of ln(time per call now / usual time per call).
    pub log_ratio: f64,
    /// Statements behind the median.
    pub statements: u32,
}

/// Sampled sessions that ran the statement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// All of them.
    pub sampled: u32,
    /// Those that waited for a lock or for I/O.
    pub waiting: u32,
}

/// What was done to a history, as far as it is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// The row of the table it belongs to.
    pub class: Cow<'static, str>,
    /// By how much the flip multiplied the time of an execution. 1: nothing is wrong with the new plan.
    pub ratio: f64,
    /// The flip multiplied blocks per call by `ratio` to this power. 0: the regression adds no blocks.
    pub work_exponent: f64,
    /// Its executions are a mixture of fast and slow parameters.
    pub mixture: bool,
    /// Hours from the flip to a lasting shift of that mixture; negative before the flip.
    pub mixture_shift_hours: Option<f64>,
    /// The same to a lasting shift of its time alone.
    pub time_shift_hours: Option<f64>,
}

/// What shifted for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shift {
    /// The mixture of its parameters: time and work.
    Mixture,
    /// Its time alone.
    Time,
}

/// One statement.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// Which one, for people: the part and number that make it again, or the name of its file.
    pub name: String,
    /// Start of the first block, in seconds since 1970.
    pub start_s: i64,
    /// Length of a block in minutes: a divisor of 60.
    pub block_minutes: u32,
    /// Number of blocks before the flip, so the index of the first block under the new plan alone; the block before it may
    /// hold executions of both plans. Without a flip: before the looks begin.
    pub flip: usize,
    /// Whether a plan flipped there.
    pub flipped: bool,
    /// Consecutive blocks. `None`: unknown, which is not the same as no calls.
    pub blocks: Vec<Option<Block>>,
    /// What was done.
    pub truth: Truth,
}

/// A history in hours counted from the flip. An hour is the sum of those of its blocks that are known and hold one plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hours {
    /// The hours before the flip, oldest first. A part of an hour at the beginning is left out.
    pub before: Vec<Option<Block>>,
    /// The hours after it. A part of an hour at the end is left out.
    pub after: Vec<Option<Block>>,
}

// === impl Block ===

impl Block {
    /// Mean time of an execution.
    #[must_use]
    pub fn mean_ms(&self) -> Option<f64> {
        (self.calls > 0).then(|| self.total_ms / self.calls as f64)
    }

    /// Both together, log ratios of the control summed. What one of them does not know the sum does not know.
    fn merge(&self, other: &Self) -> Self {
        Self {
            calls: self.calls + other.calls,
            total_ms: self.total_ms + other.total_ms,
            sum_sq: both(self.sum_sq, other.sum_sq, |a, b| a + b),
            touched: both(self.touched, other.touched, |a, b| a + b),
            rows: both(self.rows, other.rows, |a, b| a + b),
            min_ms: both(self.min_ms, other.min_ms, f64::min),
            control: both(self.control, other.control, Control::merge),
            waits: both(self.waits, other.waits, |a, b| Waits {
                sampled: a.sampled.saturating_add(b.sampled),
                waiting: a.waiting.saturating_add(b.waiting),
            }),
        }
    }
}

fn both<T>(first: Option<T>, second: Option<T>, merge: impl FnOnce(T, T) -> T) -> Option<T> {
    Some(merge(first?, second?))
}

// === impl Control ===

impl Control {
    /// The sum of the log ratios, and the smaller number of statements.
    fn merge(self, other: Self) -> Self {
        let statements = self.statements.min(other.statements);
        Self { log_ratio: self.log_ratio + other.log_ratio, statements }
    }
}

// === impl Truth ===

impl Truth {
    /// Nothing was done.
    #[must_use]
    pub fn neutral(class: impl Into<Cow<'static, str>>) -> Self {
        Self {
            class: class.into(),
            ratio: 1.0,
            work_exponent: 0.0,
            mixture: false,
            mixture_shift_hours: None,
            time_shift_hours: None,
        }
    }

    /// The new plan is slower.
    #[must_use]
    pub fn is_regression(&self) -> bool {
        self.ratio > 1.0
    }

    /// What shifted for good, with the hours from the flip, or from the beginning of the looks, to it.
    pub fn shifts(&self) -> impl Iterator<Item = (Shift, f64)> {
        let mixture = self.mixture_shift_hours.map(|hours| (Shift::Mixture, hours));
        let time = self.time_shift_hours.map(|hours| (Shift::Time, hours));
        mixture.into_iter().chain(time)
    }

    /// The parameter mix shifted for good when the plan flipped.
    #[must_use]
    pub fn shifts_at_flip(&self) -> bool {
        self.mixture_shift_hours.is_some_and(|hours| hours.abs() <= AT_FLIP_HOURS)
    }
}

// === impl History ===

impl History {
    /// Blocks of an hour.
    #[must_use]
    pub fn blocks_per_hour(&self) -> usize {
        (60 / self.block_minutes.clamp(1, 60)) as usize
    }

    /// Start of a block in seconds since 1970.
    #[must_use]
    pub fn start_of(&self, block: usize) -> i64 {
        self.start_s + block as i64 * i64::from(self.block_minutes) * 60
    }

    /// Days before the flip.
    #[must_use]
    pub fn days_before(&self) -> f64 {
        self.flip as f64 / (self.blocks_per_hour() * 24) as f64
    }

    /// Whole hours after the flip.
    #[must_use]
    pub fn hours_after(&self) -> usize {
        self.blocks.len().saturating_sub(self.flip) / self.blocks_per_hour()
    }

    /// Calls an hour before the flip, on the average of the known blocks.
    #[must_use]
    pub fn calls_per_hour(&self) -> f64 {
        let (mut known, mut calls) = (0_u64, 0);
        for block in self.blocks.iter().take(self.flip).flatten() {
            known += 1;
            calls += block.calls;
        }
        if known == 0 { 0.0 } else { calls as f64 * self.blocks_per_hour() as f64 / known as f64 }
    }

    /// In hours.
    #[must_use]
    pub fn hours(&self) -> Hours {
        let per_hour = self.blocks_per_hour();
        let (before, after) = self.blocks.split_at(self.flip.min(self.blocks.len()));
        let odd = before.len() % per_hour;
        let sum = |blocks: &[Option<Block>]| blocks.chunks_exact(per_hour).map(hour).collect();
        let mut hours = Hours { before: sum(before.get(odd..).unwrap_or_default()), after: sum(after) };
        let pure = if self.flipped { before.len().saturating_sub(1) } else { before.len() };
        if let Some(last) = hours.before.last_mut() {
            *last = before.get(before.len() - per_hour..pure).and_then(hour);
        }
        hours
    }
}

/// The sum of the known blocks of an hour; the log ratio of its control is their mean. Log ratios differ little within an
/// hour, so that weights do not matter.
fn hour(blocks: &[Option<Block>]) -> Option<Block> {
    let known = blocks.iter().flatten().count() as f64;
    let mut sum = blocks.iter().flatten().copied().reduce(|sum, block| sum.merge(&block))?;
    if let Some(control) = &mut sum.control {
        control.log_ratio /= known;
    }
    Some(sum)
}

#[cfg(test)]
mod tests;
