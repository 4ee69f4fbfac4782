//! The tables of a statement whose plan flips, when they are analysed and when most of them has changed since: rows that change by the hour of the day, growth, bulk loads,
//! an autovacuum that comes late, servers that analyse by night.
//!
//! Ten minutes are a step, as everywhere. The flip is at a random time, so that nothing has a part in it, but for
//! [`Tables::Loaded`], where it is the first thing that follows the analysis, and [`Tables::LoadedAlone`], where it follows the
//! load itself.

use super::{PER_DAY, PER_HOUR};
use crate::rng::{Rng, Stream};

/// Steps of a history: two weeks, of which the flip is in the second.
const STEPS: usize = 14 * PER_DAY;
/// Most tables of a statement.
const TABLES_MAX: u64 = 8;
/// Rows of a table, and of a small one: queues, states, settings.
const ROWS: (f64, f64) = (1_000.0, 1e9);
const ROWS_SMALL: (f64, f64) = (10.0, 1_000.0);
/// Rows that change in a day, as a share of all; a tenth of the tables is changed much more often.
const CHANGED_PER_DAY: (f64, f64) = (1e-4, 1.0);
const CHANGED_PER_DAY_BUSY: (f64, f64) = (1.0, 1_000.0);
const BUSY: f64 = 0.1;
/// Growth per day of half of the tables: the model's.
const GROWTH: (f64, f64) = (0.0, 0.05);
/// Share of tables that are loaded in bulk now and then, how often in a day, and how many times their rows.
const LOADED: f64 = 0.1;
const LOADS_PER_DAY: (f64, f64) = (0.05, 2.0);
const LOAD: (f64, f64) = (0.05, 5.0);
/// Autovacuum analyses a table after 50 and a tenth of its rows have changed: its defaults.
const ANALYSE_ROWS: f64 = 50.0;
const ANALYSE_SHARE: f64 = 0.1;
/// Share of servers whose autovacuum is busy, and by how many steps it is late there.
const BUSY_AUTOVACUUM: f64 = 0.1;
const LATE: (f64, f64) = (1.0, 12.0 * PER_HOUR as f64);
/// Share of tables that autovacuum leaves alone; a job analyses those every night, or once a week.
const BY_JOB: f64 = 0.05;
/// Share of servers where everything is analysed at night.
const NIGHTLY: f64 = 0.2;
/// Autovacuum looks every minute: its default.
const MINUTES_OF_STEP: f64 = 10.0;
/// Hours between the last time that the old plan was seen and the first time of the new one.
const WINDOW_HOURS: (f64, f64) = (0.1, 24.0);
/// How many times its rows a table is loaded with where that is why the plan flips.
const LOAD_BEFORE_FLIP: (f64, f64) = (2.0, 20.0);

/// Which tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tables {
    /// A thousand rows to a billion.
    Usual,
    /// Ten rows to a thousand.
    Small,
    /// One of them is loaded to a multiple of its rows and analysed hours later; then the plan flips.
    Loaded,
    /// One of them is loaded to a multiple of its rows, and the plan flips before it is analysed; nothing else happens.
    LoadedAlone,
}

/// An analysis of a table, as it is noticed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Analysis {
    /// The step.
    pub at: usize,
    /// Rows that had changed, as they were last read before it.
    pub modified: f64,
    /// Rows of the table after it.
    pub rows: f64,
}

/// That more rows of a table were read as changed since its last analysis than ever since that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// The step.
    pub at: usize,
    /// Rows that had changed, as they were read before and now.
    pub modified: [f64; 2],
    /// Rows of the table as its last analysis has them.
    pub known: f64,
}

/// A flip, with what happened between the last time of the old plan and the first of the new one, the first one first.
#[derive(Clone, Debug, PartialEq)]
pub struct Flip {
    /// Analyses of the statement's tables in that time.
    pub analyses: Vec<Analysis>,
    /// How many rows of them were read as changed.
    pub readings: Vec<Reading>,
}

/// What the tables of a server have in common.
struct Server {
    is_late: bool,
    is_nightly: bool,
}

/// One table under way.
struct Table {
    rows: f64,
    changed_per_step: f64,
    growth_per_step: f64,
    loads_per_step: f64,
    by_job: Option<bool>,
    peak: f64,
    modified: f64,
    read: f64,
    known: f64,
    due: Option<usize>,
}

// === impl Tables ===

impl Tables {
    /// Flip `number`.
    #[must_use]
    pub fn make(self, seed: u64, number: u64) -> Flip {
        let mut rng = Rng::new(seed, number, Stream::Tables);
        let server = Server { is_late: rng.chance(BUSY_AUTOVACUUM), is_nightly: rng.chance(NIGHTLY) };
        let flip = STEPS / 2 + rng.below(STEPS as u64 / 2) as usize;
        let window = (rng.log_between(WINDOW_HOURS) * PER_HOUR as f64).ceil() as usize;
        let from = flip.saturating_sub(window);
        let rows = if self == Self::Small { ROWS_SMALL } else { ROWS };
        let (mut analyses, mut readings) = (Vec::new(), Vec::new());
        let others = if self == Self::LoadedAlone { 0 } else { 1 + rng.below(TABLES_MAX) };
        for _ in 0..others {
            let mut table = Table::draw(&mut rng, rows);
            for step in 0..=flip {
                let found = table.step(&mut rng, &server, step);
                if step >= from {
                    readings.push(Reading {
                        at: step,
                        modified: [table.read, table.modified],
                        known: table.known,
                    });
                    analyses.extend(found);
                }
            }
        }
        let (before, times) = (rng.log_between(rows), rng.log_between(LOAD_BEFORE_FLIP));
        let loaded = before * times;
        match self {
            Self::Loaded => analyses.push(Analysis { at: flip, modified: loaded, rows: before + loaded }),
            Self::LoadedAlone => readings.push(Reading { at: flip, modified: [0.0, loaded], known: before }),
            Self::Usual | Self::Small => {}
        }
        analyses.sort_by_key(|analysis| analysis.at);
        Flip { analyses, readings }
    }
}

// === impl Table ===

impl Table {
    fn draw(rng: &mut Rng, rows: (f64, f64)) -> Self {
        let rows = rng.log_between(rows);
        let per_day = if rng.chance(BUSY) { CHANGED_PER_DAY_BUSY } else { CHANGED_PER_DAY };
        let per_step = rows * rng.log_between(per_day) / PER_DAY as f64;
        let loads = if rng.chance(LOADED) { rng.log_between(LOADS_PER_DAY) } else { 0.0 };
        let is_by_job = rng.chance(BY_JOB);
        let is_weekly = rng.chance(0.5);
        Self {
            rows,
            changed_per_step: per_step,
            growth_per_step: if rng.chance(0.5) { rng.between(GROWTH) / PER_DAY as f64 } else { 0.0 },
            loads_per_step: loads / PER_DAY as f64,
            by_job: is_by_job.then_some(is_weekly),
            peak: rng.between((0.0, PER_DAY as f64)),
            modified: 0.0,
            read: 0.0,
            known: rows,
            due: None,
        }
    }

    /// Ten minutes. Gives an analysis, if there is one.
    fn step(&mut self, rng: &mut Rng, server: &Server, step: usize) -> Option<Analysis> {
        self.read = self.modified;
        let angle = (step as f64 - self.peak) / PER_DAY as f64 * std::f64::consts::TAU;
        let changed = rng.count(self.changed_per_step * angle.cos().exp()) as f64;
        let grown = self.rows * self.growth_per_step;
        (self.rows, self.modified) = (self.rows + grown, self.modified + changed + grown);
        if rng.chance(self.loads_per_step) {
            let loaded = self.rows * rng.log_between(LOAD);
            (self.rows, self.modified) = (self.rows + loaded, self.modified + loaded);
        }
        if !self.is_analysed(rng, server, step) {
            return None;
        }
        // It is read every ten minutes, and of what changed since the last reading nothing is known. A table that is analysed every
        // minute is read somewhere within one.
        let modified = self.read.max(changed / MINUTES_OF_STEP * rng.uniform());
        let found = Analysis { at: step, modified, rows: self.rows };
        (self.modified, self.known, self.due) = (0.0, self.rows, None);
        Some(found)
    }

    fn is_analysed(&mut self, rng: &mut Rng, server: &Server, step: usize) -> bool {
        let is_night = step % PER_DAY == 3 * PER_HOUR;
        let is_sunday = (step / PER_DAY) % 7 == 6;
        if is_night && (server.is_nightly || self.by_job.is_some_and(|is_weekly| !is_weekly || is_sunday)) {
            return true;
        }
        let wants = self.by_job.is_none() && self.modified > ANALYSE_ROWS + ANALYSE_SHARE * self.rows;
        if wants && self.due.is_none() {
            let late = if server.is_late { rng.log_between(LATE) as usize } else { 0 };
            self.due = Some(step + late);
        }
        self.due.is_some_and(|due| step >= due)
    }
}

#[cfg(test)]
mod tests;
