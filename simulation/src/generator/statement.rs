//! What a statement is like. Ranges the text gives are marked *text*; the others are this program's, chosen so that the
//! reference rule finds what the text says it finds (see `docs/evidence-histories.md`).

use super::noise::Noise;
use super::walk::Wander;
use crate::rng::Rng;

/// Shares and ranges of a population. [`Population::MODEL`] is the model of the text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Population {
    /// Calls an hour, log-uniform.
    pub calls_per_hour: (f64, f64),
    /// Share with a Pareto tail. *text*: 20 %.
    pub pareto: f64,
    /// Its index. *text*: 1.6 to 4.
    pub pareto_index: (f64, f64),
    /// Share of mixtures. *text*: 30 %. The rest is lognormal.
    pub mixtures: f64,
    /// Deviations of the loads are multiplied by this. *text*: 1, under stress 2.
    pub load: f64,
    /// Share with an incident of the server, and of those with one of the statement. *text*: 10 %, under stress 60 %.
    pub incidents: f64,
    /// Share whose time shifts for good, its work not. *text*: 3 %, under stress 30 %.
    pub time_shifts: f64,
    /// Share of the mixtures that shift for good. *text*: 10 %.
    pub mixture_shifts: f64,
}

/// Parameters of which some are slow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mixture {
    /// Share of slow executions.
    pub share: f64,
    /// How many times slower they are.
    pub slow: f64,
    /// They touch `slow` to this power more blocks.
    pub work_exponent: f64,
    /// They return `slow` to this power more rows.
    pub rows_exponent: f64,
    /// How the logarithm of the share wanders.
    pub wander: Wander,
    /// How the logarithm of the share swings over the day.
    pub daily: f64,
}

/// What a day and a week are like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rhythm {
    /// Hour of the day at which calls and load are highest.
    pub peak_hour: f64,
    /// Swing of the logarithm of calls.
    pub calls: f64,
    /// Swing of the logarithm of time, for all statements of the server.
    pub server: f64,
    /// The same for this statement alone.
    pub own: f64,
    /// Calls on Saturdays and Sundays, as a logarithm.
    pub weekend_calls: f64,
    /// Time on Saturdays and Sundays, as a logarithm, for all statements of the server.
    pub weekend_server: f64,
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// Calls in an hour that is neither peak nor trough.
    pub calls_per_hour: f64,
    /// Deviation of the logarithm of calls from block to block.
    pub calls_noise: f64,
    /// Mean time of an execution.
    pub mean_ms: f64,
    /// Mean number of blocks touched.
    pub blocks_per_call: f64,
    /// Mean number of rows.
    pub rows_per_call: f64,
    /// How executions differ.
    pub noise: Noise,
    /// Blocks touched follow the time of an execution to this power.
    pub work_follows: f64,
    /// Rows follow blocks touched to this power.
    pub rows_follow: f64,
    /// Slow parameters.
    pub mixture: Option<Mixture>,
    /// Load of the server.
    pub server: Wander,
    /// How much of it this statement feels.
    pub sensitivity: f64,
    /// Load of its own.
    pub own: Wander,
    /// How the logarithm of blocks per call wanders.
    pub work: Wander,
    /// Days and weeks.
    pub rhythm: Rhythm,
    /// Growth of time and work per day, as a logarithm.
    pub growth: f64,
    /// Usual share of its time in which it waits for locks or I/O.
    pub waiting: f64,
    /// Other statements of the server without a change of plan.
    pub others: u32,
}

/// Deviation of a load, as a logarithm. *text*
const LOAD_SD: (f64, f64) = (0.02, 0.3);
/// Correlation of a load over an hour. *text*
const LOAD_CORRELATION: (f64, f64) = (0.5, 0.97);
/// Deviation of the logarithm of a lognormal execution. *text*
const SIGMA: (f64, f64) = (0.3, 2.0);
/// The same among the executions of one kind of a mixture.
const MIXTURE_SIGMA: (f64, f64) = (0.2, 0.6);
/// Share of slow parameters. *text*
const SLOW_SHARE: (f64, f64) = (0.005, 0.2);
/// How much slower they are. *text*
const SLOWER: (f64, f64) = (5.0, 100.0);
/// Deviation of the logarithm of the slow share. The text says that it wobbles, not how much.
const SHARE_SD: (f64, f64) = (0.4, 1.2);
/// Growth per day. *text*
const GROWTH: (f64, f64) = (0.0, 0.05);
/// Most sessions that a statement keeps busy on the average.
const SESSIONS: f64 = 32.0;
/// Milliseconds of an hour.
const HOUR_MS: f64 = 3_600_000.0;
/// Share of statements on servers with few others.
const FEW_OTHERS: f64 = 0.1;

// === impl Population ===

impl Population {
    /// The model of the text, with the rates of the requirement: 100 to 3.6 million calls an hour.
    pub const MODEL: Self = Self {
        calls_per_hour: (100.0, 3_600_000.0),
        pareto: 0.2,
        pareto_index: (1.6, 4.0),
        mixtures: 0.3,
        load: 1.0,
        incidents: 0.1,
        time_shifts: 0.03,
        mixture_shifts: 0.1,
    };
}

// === impl Statement ===

impl Statement {
    /// Draws one.
    pub fn draw(rng: &mut Rng, population: &Population) -> Self {
        let calls_per_hour = rng.log_between(population.calls_per_hour);
        let kind = rng.uniform();
        let mixture = Mixture::draw(rng);
        let (sigma, index) = (rng.between(SIGMA), rng.between(population.pareto_index));
        let inner = rng.between(MIXTURE_SIGMA);
        let is_mixture = kind < population.mixtures;
        let noise = if is_mixture {
            Noise::Lognormal { sigma: inner }
        } else if kind < population.mixtures + population.pareto {
            Noise::Pareto { index }
        } else {
            Noise::Lognormal { sigma }
        };
        let load_sd = (LOAD_SD.0 * population.load, LOAD_SD.1 * population.load);
        let few = rng.chance(FEW_OTHERS);
        let half = |rng: &mut Rng, range| if rng.chance(0.5) { rng.between(range) } else { 0.0 };
        Self {
            calls_per_hour,
            calls_noise: rng.between((0.02, 0.3)),
            mean_ms: rng.log_between((0.05, (SESSIONS * HOUR_MS / calls_per_hour).min(10_000.0))),
            blocks_per_call: rng.log_between((3.0, 100_000.0)),
            rows_per_call: rng.log_between((1.0, 1_000.0)),
            noise,
            work_follows: rng.between((0.0, 1.0)),
            rows_follow: half(rng, (0.2, 1.0)),
            mixture: is_mixture.then_some(mixture),
            server: Wander::draw(rng, load_sd, LOAD_CORRELATION),
            sensitivity: rng.between((0.7, 1.3)),
            own: Wander::draw(rng, load_sd, LOAD_CORRELATION),
            work: Wander::draw(rng, (0.0, 0.3), LOAD_CORRELATION),
            rhythm: Rhythm::draw(rng),
            growth: half(rng, GROWTH).ln_1p(),
            waiting: rng.between((0.02, 0.4)),
            others: if few { rng.log_between((3.0, 20.0)) } else { rng.log_between((20.0, 2_000.0)) } as u32,
        }
    }

    /// Mean time of an execution in units of that of a fast one.
    pub(super) fn mixture_mean(&self, exponent: f64) -> f64 {
        self.mixture.map_or(1.0, |mixture| 1.0 + mixture.share * (mixture.slow.powf(exponent) - 1.0))
    }
}

// === impl Mixture ===

impl Mixture {
    fn draw(rng: &mut Rng) -> Self {
        Self {
            share: rng.log_between(SLOW_SHARE),
            slow: rng.log_between(SLOWER),
            work_exponent: rng.between((0.3, 1.2)),
            rows_exponent: if rng.chance(0.5) { rng.between((0.2, 1.0)) } else { 0.0 },
            wander: Wander::draw(rng, SHARE_SD, LOAD_CORRELATION),
            daily: rng.between((0.0, 0.3)),
        }
    }
}

// === impl Rhythm ===

impl Rhythm {
    fn draw(rng: &mut Rng) -> Self {
        Self {
            peak_hour: rng.between((9.0, 20.0)),
            calls: rng.between((0.0, 1.0)),
            server: rng.between((0.0, 0.3)),
            own: rng.between((0.0, 0.15)),
            weekend_calls: -rng.between((0.0, 1.5)),
            weekend_server: -rng.between((0.0, 0.2)),
        }
    }
}
