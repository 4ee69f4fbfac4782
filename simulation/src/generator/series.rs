//! From a statement and what happens to it to its blocks.

use super::events::{Change, Events};
use super::noise::Table;
use super::statement::{Rhythm, Statement};
use super::walk::Walk;
use super::{PER_DAY, PER_HOUR};
use crate::history::{Block, Control, Waits};
use crate::rng::Rng;

/// Executions drawn per block: 600 an hour, as in the text. Busier blocks are these, scaled.
pub const DRAWS_PER_BLOCK: u64 = 100;
/// Most of a mixture that is slow.
const SHARE_MAX: f64 = 0.95;
/// Part of a load that is waiting; the rest is less CPU for everybody.
const LOAD_WAITING: f64 = 0.5;
/// Deviation of the logarithm of one other statement around the load of the server.
const OTHERS_SD: f64 = 0.25;
/// Deviation of the logarithm of the rows of one execution.
const ROWS_SD: f64 = 0.5;
/// Sessions are sampled this often.
const SAMPLE_SECONDS: f64 = 10.0;

/// The streams of random numbers.
#[derive(Debug)]
pub struct Rngs {
    /// Load, mixture and calls.
    pub series: Rng,
    /// Executions.
    pub executions: Rng,
    /// Other statements and sampled sessions.
    pub surroundings: Rng,
}

/// What wanders.
struct Walks {
    server: Walk,
    own: Walk,
    work: Walk,
    mixture: Option<Walk>,
}

/// What holds in one block.
struct Conditions {
    server: f64,
    time: f64,
    busy: f64,
    work: f64,
    rows: f64,
    calls: f64,
    share: f64,
}

/// Sums over executions, in units of means.
struct Executions {
    draws: u64,
    time: f64,
    square: f64,
    work: f64,
    min: f64,
    slow: u64,
}

/// A statement, prepared.
struct Source<'a> {
    statement: &'a Statement,
    table: Table,
    /// Mean time of a fast execution, in units of the mean of all.
    fast: f64,
    fast_work: f64,
    slow: f64,
    slow_work: f64,
}

/// All blocks of a history.
#[must_use]
pub fn blocks(statement: &Statement, events: &Events, rngs: &mut Rngs) -> Vec<Option<Block>> {
    let source = Source::new(statement);
    let mut walks = Walks::begin(statement, &mut rngs.series);
    let flip = events.flip() as f64;
    let block = |(number, (time_s, change, unknown)): (usize, (i64, &Change, bool))| {
        let age_days = (number as f64 - flip) / PER_DAY as f64;
        let conditions = walks.next(statement, change, (time_s, age_days), &mut rngs.series);
        let block = source.block(&conditions, rngs);
        (!unknown).then_some(block)
    };
    events.blocks().enumerate().map(block).collect()
}

// === impl Walks ===

impl Walks {
    fn begin(statement: &Statement, rng: &mut Rng) -> Self {
        Self {
            server: statement.server.begin(rng, PER_HOUR),
            own: statement.own.begin(rng, PER_HOUR),
            work: statement.work.begin(rng, PER_HOUR),
            mixture: statement.mixture.map(|mixture| mixture.wander.begin(rng, PER_HOUR)),
        }
    }

    fn next(
        &mut self,
        statement: &Statement,
        change: &Change,
        when: (i64, f64),
        rng: &mut Rng,
    ) -> Conditions {
        let (time_s, age_days) = when;
        let rhythm = &statement.rhythm;
        let (swing, weekend) = rhythm.at(time_s);
        let load =
            self.server.next(rng) + rhythm.server * swing + if weekend { rhythm.weekend_server } else { 0.0 };
        let own = self.own.next(rng) + rhythm.own * swing;
        let growth = statement.growth * age_days;
        let felt = statement.sensitivity * load;
        let share = statement.mixture.map_or(0.0, |mixture| {
            let wander = self.mixture.as_mut().map_or(0.0, |walk| walk.next(rng));
            mixture.share * (wander + mixture.daily * swing + change.mixture).exp()
        });
        Conditions {
            server: load + change.server,
            time: felt + own + growth + change.server + change.time,
            busy: (1.0 - LOAD_WAITING) * (felt + own) + growth + change.busy,
            work: self.work.next(rng) + growth + change.work,
            rows: change.rows,
            calls: rhythm.calls * swing
                + if weekend { rhythm.weekend_calls } else { 0.0 }
                + statement.calls_noise * rng.normal()
                + change.calls,
            share: share.min(SHARE_MAX),
        }
    }
}

// === impl Rhythm ===

impl Rhythm {
    /// Where the day is between trough (-1) and peak (1), and whether it is a weekend.
    fn at(&self, time_s: i64) -> (f64, bool) {
        let angle = (Events::hour_of_day(time_s) - self.peak_hour) / 24.0 * std::f64::consts::TAU;
        (angle.cos(), Events::weekday(time_s) >= 5)
    }
}

// === impl Source ===

impl<'a> Source<'a> {
    fn new(statement: &'a Statement) -> Self {
        let (slow, exponent) =
            statement.mixture.map_or((1.0, 0.0), |mixture| (mixture.slow, mixture.work_exponent));
        Self {
            statement,
            table: Table::new(statement.noise, statement.work_follows),
            fast: 1.0 / statement.mixture_mean(1.0),
            fast_work: 1.0 / statement.mixture_mean(exponent),
            slow,
            slow_work: slow.powf(exponent),
        }
    }

    fn block(&self, conditions: &Conditions, rngs: &mut Rngs) -> Block {
        let statement = self.statement;
        let expected = statement.calls_per_hour / PER_HOUR as f64 * conditions.calls.exp();
        let calls = rngs.series.count(expected);
        let sums = self.executions(calls.min(DRAWS_PER_BLOCK), conditions.share, &mut rngs.executions);
        let scale = calls as f64 / sums.draws.max(1) as f64;
        let unit_ms = statement.mean_ms * self.fast * conditions.time.exp();
        let total_ms = unit_ms * sums.time * scale;
        let touched = statement.blocks_per_call * self.fast_work * conditions.work.exp() * sums.work * scale;
        let rows = self.rows(&sums, conditions, &mut rngs.executions) * calls as f64;
        let control = others(statement, conditions, &mut rngs.surroundings);
        let waits = self.waits(total_ms, conditions, &mut rngs.surroundings);
        Block {
            calls,
            total_ms,
            sum_sq: Some(unit_ms * unit_ms * sums.square * scale),
            touched: Some(touched.round()),
            rows: Some(rows.round()),
            min_ms: (calls > 0).then_some(unit_ms * sums.min),
            control: Some(control),
            waits: Some(waits),
        }
    }

    fn executions(&self, draws: u64, share: f64, rng: &mut Rng) -> Executions {
        let threshold = (share * 4_294_967_296.0) as u64;
        let mut sums = Executions { draws, time: 0.0, square: 0.0, work: 0.0, min: f64::INFINITY, slow: 0 };
        for _ in 0..draws {
            let bits = rng.bits();
            let (mut time, mut work) = self.table.draw(bits as u32);
            if (bits >> 32) < threshold {
                time *= self.slow;
                work *= self.slow_work;
                sums.slow += 1;
            }
            sums.time += time;
            sums.square += time * time;
            sums.work += work;
            sums.min = sums.min.min(time);
        }
        sums
    }

    /// Rows per call.
    fn rows(&self, sums: &Executions, conditions: &Conditions, rng: &mut Rng) -> f64 {
        let draws = sums.draws.max(1) as f64;
        let noise = (ROWS_SD / draws.sqrt() * rng.normal()).exp();
        let kinds = match &self.statement.mixture {
            Some(mixture) => {
                let more = mixture.slow.powf(mixture.rows_exponent) - 1.0;
                (1.0 + sums.slow as f64 / draws * more) / (1.0 + mixture.share * more)
            }
            None => (sums.work / draws).max(f64::MIN_POSITIVE).powf(self.statement.rows_follow),
        };
        self.statement.rows_per_call * kinds * noise * conditions.rows.exp()
    }

    fn waits(&self, total_ms: f64, conditions: &Conditions, rng: &mut Rng) -> Waits {
        // In units of the usual time of an execution: what it is busy, and what it takes.
        let busy = (1.0 - self.statement.waiting) * conditions.busy.exp();
        let waiting = (1.0 - busy / conditions.time.exp()).clamp(0.01, 0.99);
        let sampled = rng.count(total_ms / 1_000.0 / SAMPLE_SECONDS);
        let waiting = rng.share(sampled, waiting);
        Waits { sampled: sampled as u32, waiting: waiting as u32 }
    }
}

/// The median of the other statements.
fn others(statement: &Statement, conditions: &Conditions, rng: &mut Rng) -> Control {
    let noise = OTHERS_SD / f64::from(statement.others.max(1)).sqrt() * rng.normal();
    Control { log_ratio: conditions.server + noise, statements: statement.others }
}
