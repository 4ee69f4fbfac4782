//! What happens to a statement and to its server: changes over stretches of time.

use super::statement::{Population, Statement};
use super::{BLOCK_MINUTES, PER_DAY, PER_HOUR, Shape};
use crate::rng::Rng;

/// Hours on either side of the flip within which something shifts for good. *text*
const SHIFT_HOURS: f64 = 72.0;
/// Blocks of an incident: 1 to 24 hours. *text*
const INCIDENT: (f64, f64) = (PER_HOUR as f64, PER_DAY as f64);

/// A change, as logarithms of factors, so that changes add up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// Time of all statements of the server. It is waiting.
    pub server: f64,
    /// Time of this statement.
    pub time: f64,
    /// How much of `time` the statement is busy; the rest it waits for locks or I/O.
    pub busy: f64,
    /// Blocks per call.
    pub work: f64,
    /// Rows per call.
    pub rows: f64,
    /// Calls.
    pub calls: f64,
    /// Share of slow parameters.
    pub mixture: f64,
}

/// All changes, block by block, and what is unknown.
#[derive(Clone, Debug)]
pub struct Events {
    shape: Shape,
    start_s: i64,
    levels: Vec<Change>,
    unknown: Vec<bool>,
}

// === impl Change ===

impl Change {
    /// None.
    pub const NONE: Self =
        Self { server: 0.0, time: 0.0, busy: 0.0, work: 0.0, rows: 0.0, calls: 0.0, mixture: 0.0 };

    /// The statement waits: `factor` times the time.
    #[must_use]
    pub fn waits(factor: f64) -> Self {
        Self { time: factor.ln(), ..Self::NONE }
    }

    /// All statements wait.
    #[must_use]
    pub fn server_waits(factor: f64) -> Self {
        Self { server: factor.ln(), ..Self::NONE }
    }

    fn add(&mut self, other: &Self, weight: f64) {
        self.server += weight * other.server;
        self.time += weight * other.time;
        self.busy += weight * other.busy;
        self.work += weight * other.work;
        self.rows += weight * other.rows;
        self.calls += weight * other.calls;
        self.mixture += weight * other.mixture;
    }
}

// === impl Events ===

impl Events {
    /// Nothing happens.
    #[must_use]
    pub fn new(shape: Shape, start_s: i64) -> Self {
        let blocks = shape.blocks();
        Self { shape, start_s, levels: vec![Change::NONE; blocks], unknown: vec![false; blocks] }
    }

    /// The first block after the flip.
    #[must_use]
    pub fn flip(&self) -> usize {
        self.shape.before()
    }

    /// Blocks of the history.
    #[must_use]
    pub fn len(&self) -> usize {
        self.levels.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// Changes the blocks from `from` to before `until`, as far as there are any.
    pub fn add(&mut self, from: usize, until: usize, change: &Change) {
        for level in self.levels.iter_mut().take(until).skip(from) {
            level.add(change, 1.0);
        }
    }

    /// The same from an offset to the flip that may be before the first block.
    pub fn add_at(&mut self, from: i64, length: f64, change: &Change) {
        let until = from.saturating_add(length.ceil() as i64).max(0);
        self.add(from.max(0) as usize, until as usize, change);
    }

    /// A change that is whole at `from` and fades by the factor e every `blocks`.
    pub fn fade(&mut self, from: usize, blocks: f64, change: &Change) {
        for (number, level) in self.levels.iter_mut().skip(from).enumerate() {
            level.add(change, (-(number as f64) / blocks).exp());
        }
    }

    /// Nothing is known of these blocks.
    pub fn forget(&mut self, from: usize, until: usize) {
        for unknown in self.unknown.iter_mut().take(until).skip(from) {
            *unknown = true;
        }
    }

    /// Changes and whether the block is unknown, in order, with its time.
    pub fn blocks(&self) -> impl Iterator<Item = (i64, &Change, bool)> {
        let times = (0_i64..).map(|number| self.start_s + number * i64::from(BLOCK_MINUTES) * 60);
        times.zip(&self.levels).zip(&self.unknown).map(|((time, level), unknown)| (time, level, *unknown))
    }

    /// Any block.
    pub fn anywhere(&self, rng: &mut Rng) -> usize {
        rng.below(self.len() as u64) as usize
    }

    /// A block within `hours` of the flip in half of the cases, any block in the others: what changes a plan often does not
    /// come alone.
    pub fn near_flip_or_anywhere(&self, rng: &mut Rng, hours: f64) -> usize {
        if self.shape.flip && rng.chance(0.5) { self.near_flip(rng, hours) } else { self.anywhere(rng) }
    }

    fn near_flip(&self, rng: &mut Rng, hours: f64) -> usize {
        let offset = rng.between((-hours, hours)) * PER_HOUR as f64;
        (self.flip() as f64 + offset).round().clamp(0.0, self.len() as f64) as usize
    }

    /// When something shifts for good: within [`SHIFT_HOURS`] of the flip; without one, as long before the looks begin or
    /// any time after that.
    fn shift(&self, rng: &mut Rng) -> usize {
        let early = SHIFT_HOURS.min(self.flip() as f64 / PER_HOUR as f64);
        let late = if self.shape.flip { SHIFT_HOURS } else { self.shape.hours_after as f64 };
        let offset = rng.between((-early, late)) * PER_HOUR as f64;
        (self.flip() as f64 + offset).round().max(0.0) as usize
    }

    /// Hours from the flip to a block.
    #[must_use]
    pub fn hours_from_flip(&self, block: usize) -> f64 {
        (block as f64 - self.flip() as f64) / PER_HOUR as f64
    }

    /// Day of the week of a block, Monday being 0.
    #[must_use]
    pub fn weekday(time_s: i64) -> i64 {
        (time_s.div_euclid(86_400) + 3).rem_euclid(7)
    }

    /// Hour of the day, with its fraction.
    #[must_use]
    pub fn hour_of_day(time_s: i64) -> f64 {
        time_s.rem_euclid(86_400) as f64 / 3_600.0
    }
}

/// Hours from the flip to what shifts for good.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shifts {
    /// The mixture.
    pub mixture: Option<f64>,
    /// Time alone.
    pub time: Option<f64>,
}

/// The events of the model. Says what shifts for good.
pub fn model(rng: &mut Rng, population: &Population, statement: &Statement, events: &mut Events) -> Shifts {
    let mut shifts = Shifts::default();
    if rng.chance(population.incidents) {
        let from = events.anywhere(rng);
        let change = Change::server_waits(rng.log_between((1.5, 5.0)));
        events.add_at(from as i64, rng.log_between(INCIDENT), &change);
    }
    if rng.chance(population.incidents) {
        let from = events.anywhere(rng);
        let change = Change::waits(rng.log_between((1.5, 20.0)));
        events.add_at(from as i64, rng.log_between(INCIDENT), &change);
    }
    if rng.chance(population.time_shifts) {
        let from = events.shift(rng);
        events.add(from, usize::MAX, &Change::waits(rng.log_between((1.2, 4.0))));
        shifts.time = Some(events.hours_from_flip(from));
    }
    if rng.chance(population.mixture_shifts) && statement.mixture.is_some() {
        let from = events.shift(rng);
        shifts.mixture = Some(shift_mixture(rng, from, events));
    }
    shifts
}

/// Slow parameters become 1.5 to 8 times as many, for good.
pub(super) fn shift_mixture(rng: &mut Rng, from: usize, events: &mut Events) -> f64 {
    let mixture = rng.log_between((1.5, 8.0)).ln();
    events.add(from, usize::MAX, &Change { mixture, ..Change::NONE });
    events.hours_from_flip(from)
}
