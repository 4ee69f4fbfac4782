//! Simulated statements: the model of `reference/statistics.md` 2.7 and further classes.
//!
//! A history is made in four steps, each from streams of random numbers of its own:
//!
//! 1. [`statement`]: what the statement is like, drawn once: rate, noise of an execution, mixture of parameters, load.
//! 2. [`events`]: what happens to it and to its server, by the model and by its [`Class`]: factors over stretches of time.
//! 3. the regression, if there is one: a factor from the flip on.
//! 4. [`series`]: block by block, loads and mixtures that wander, and single executions.
//!
//! Executions are drawn one by one up to [`series::DRAWS_PER_BLOCK`] in a block; busier blocks are these, scaled. So a busy
//! statement is noisier than a real one, which is the careful direction.
//!
//! What such a history does not have has generators of its own: reports of plans ([`plans`]), analyses of tables ([`tables`]), time-outs
//! ([`timeouts`]).

pub mod classes;
pub mod events;
pub mod noise;
pub mod plans;
pub mod series;
pub mod statement;
pub mod tables;
pub mod timeouts;
pub mod walk;

pub use self::classes::Class;

use std::borrow::Cow;

use crate::history::{History, Truth};
use crate::rng::{Rng, Stream};

use self::events::{Change, Events};
use self::statement::Statement;

/// Length of a simulated block.
pub const BLOCK_MINUTES: u32 = 10;
/// Blocks of an hour.
pub const PER_HOUR: usize = (60 / BLOCK_MINUTES) as usize;
/// Blocks of a day.
pub const PER_DAY: usize = 24 * PER_HOUR;
/// A Monday, 00:00 UTC: histories begin in the week after it.
const MONDAY_S: i64 = 1_704_067_200;
/// What a regression multiplies work by is its ratio to a power of this range.
const WORK_EXPONENT: (f64, f64) = (0.3, 1.2);
/// Share of regressions that add no blocks: another join method, lost parallelism.
const NO_ADDED_BLOCKS: f64 = 0.25;

/// How long a history is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Days before the flip, or before the looks begin.
    pub days_before: usize,
    /// Hours after it.
    pub hours_after: usize,
    /// Whether a plan flips.
    pub flip: bool,
}

/// Makes histories of one class.
#[derive(Clone, Debug)]
pub struct Generator {
    /// All random numbers depend on it.
    pub seed: u64,
    /// What the histories are like.
    pub class: Class,
    /// How long they are.
    pub shape: Shape,
    /// By how much the flip multiplies time. 1: neutral.
    pub ratio: f64,
    /// The row of the table.
    pub label: Cow<'static, str>,
}

// === impl Shape ===

impl Shape {
    /// A week before the flip, a day after it.
    pub const WEEK_AND_DAY: Self = Self { days_before: 7, hours_after: 24, flip: true };

    /// Blocks before the flip.
    #[must_use]
    pub fn before(&self) -> usize {
        self.days_before * PER_DAY
    }

    /// All blocks.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.before() + self.hours_after * PER_HOUR
    }
}

// === impl Generator ===

impl Generator {
    /// History `number`. The same arguments give the same history.
    #[must_use]
    pub fn make(&self, number: u64) -> History {
        let stream = |stream| Rng::new(self.seed, number, stream);
        let mut rng = stream(Stream::Statement);
        let start_s = MONDAY_S + rng.below(7 * PER_DAY as u64) as i64 * i64::from(BLOCK_MINUTES) * 60;
        let mut statement = Statement::draw(&mut rng, &self.class.population());
        let mut events = Events::new(self.shape, start_s);
        let mut truth = Truth { mixture: statement.mixture.is_some(), ..Truth::neutral(self.label.clone()) };
        let shifts =
            events::model(&mut stream(Stream::Events), &self.class.population(), &statement, &mut events);
        let shift = self.class.apply(&mut stream(Stream::Class), &mut statement, &mut events);
        truth.mixture_shift_hours = shift.or(shifts.mixture);
        truth.time_shift_hours = shifts.time;
        if self.ratio > 1.0 {
            truth.ratio = self.ratio;
            truth.work_exponent = regress(&mut stream(Stream::Regression), self.ratio, &mut events);
        }
        let mut rngs = series::Rngs {
            series: stream(Stream::Series),
            executions: stream(Stream::Executions),
            surroundings: stream(Stream::Surroundings),
        };
        History {
            name: String::new(),
            start_s,
            block_minutes: BLOCK_MINUTES,
            flip: self.shape.before(),
            flipped: self.shape.flip,
            blocks: series::blocks(&statement, &events, &mut rngs),
            truth,
        }
    }
}

/// The new plan is slower by `ratio` from the flip on, and in the part of the block before in which it ran already. Gives
/// the exponent of work.
fn regress(rng: &mut Rng, ratio: f64, events: &mut Events) -> f64 {
    let exponent = rng.between(WORK_EXPONENT);
    let exponent = if rng.chance(NO_ADDED_BLOCKS) { 0.0 } else { exponent };
    let early = rng.uniform();
    let flip = events.flip();
    // What a plan does itself is no waiting, but the pages that it reads more wait as the others did.
    let change = |ratio: f64| Change {
        time: ratio.ln(),
        busy: if exponent > 0.0 { 0.0 } else { ratio.ln() },
        ..Change::NONE
    };
    let work = |ratio: f64| Change { work: ratio.ln(), ..Change::NONE };
    events.add(flip, usize::MAX, &change(ratio));
    events.add(flip, usize::MAX, &work(ratio.powf(exponent)));
    if let Some(last) = flip.checked_sub(1) {
        events.add(last, flip, &change(1.0 + early * (ratio - 1.0)));
        events.add(last, flip, &work(1.0 + early * (ratio.powf(exponent) - 1.0)));
    }
    exponent
}

#[cfg(test)]
mod tests;
