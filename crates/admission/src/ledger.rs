//! What we cost a database, by purpose, against a budget.
//!
//! Promises:
//! * the sliding minute is never too short: 61 buckets of a second, so that what is counted lies within the last 60 to 61
//!   seconds, and a cost is never forgotten early;
//! * nothing but a rare probe is admitted unless the rest of the minute's budget has room for it: for
//!   [`ROOM_PER_STATEMENT`] times what the costliest of its purpose took lately. So over any minute the cost is within the
//!   budget, but for what statements take beyond that. A minute in which nothing was spent has room for any statement;
//! * what the costliest took counts half as much with each minute that passes, so that nothing is given up for good;
//! * a cost rounds up to a microsecond.
//!
//! Memory: 61 buckets of [`Purpose::COUNT`] `u32`, under 3 KiB.

use std::time::Duration;

use dbintel_model::Monotonic;

use crate::vocabulary::{CostClass, Purpose};

/// Seconds of the window, and one more for the second that has just begun.
const BUCKETS: usize = 61;
/// A probe may pass above the budget, but only once in this time.
const PROBE_ABOVE_BUDGET_EVERY: Duration = Duration::from_secs(61);
/// What a statement takes varies with the load of its server, so there has to be room for this many times what is expected.
const ROOM_PER_STATEMENT: u32 = 2;
/// What is expected counts half after as long.
const EXPECTATION_HALF_LIFE: Duration = Duration::from_secs(60);
/// The most a cadence is stretched.
const MAX_STRETCH: f64 = 16.0;

/// Milliseconds of database time we may cost one database in a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Time per minute.
    pub per_minute: Duration,
}

/// Settings of a ledger. Shares are of the budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LedgerConfig {
    /// From here plans are denied. Default 0.8.
    pub plans_denied_at: f64,
    /// From here sessions and sizes are denied. Default 1.0, where the gate denies nearly everything; they come back later
    /// than the rest.
    pub optional_denied_at: f64,
    /// What was denied comes back once the share has fallen to this much of its mark. Default 0.75.
    pub comes_back_at: f64,
    /// The share that a stretched cadence aims at. Default 0.8.
    pub stretch_target: f64,
    /// Below this share a stretched cadence relaxes. Default 0.5.
    pub relax_below: f64,
}

/// Where the time of a cost was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CostSource {
    /// By the database, in the statement itself.
    Statement,
    /// By our clock, from sending to the last row; more than the database spent.
    Wall,
}

/// What the budget asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pressure {
    /// Cost of the last minute as a share of the budget.
    pub ratio: f64,
    /// Plans are denied.
    pub plans_denied: bool,
    /// Sessions, sizes and objects are denied.
    pub optional_denied: bool,
    /// The budget is used up, or what had to be read last found no room in it.
    pub gate_closed: bool,
    /// What intervals are to be multiplied with, 1 to 16.
    pub stretch: f64,
}

/// A denial by the budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OverBudget {
    /// Cost of the last minute, with what is expected of statements under way, as a share of the budget.
    pub ratio: f64,
    /// When to ask again at the earliest.
    pub retry_after: Duration,
}

/// The account of one database.
#[derive(Clone, Debug)]
pub struct Ledger {
    config: LedgerConfig,
    budget: Budget,
    buckets: Box<[Bucket; BUCKETS]>,
    /// Since the start, by purpose and source.
    totals: [(Duration, Duration); Purpose::COUNT],
    /// What a statement of the purpose is expected to cost, and since when; `None` until one was seen.
    expected: [Option<(Duration, Monotonic)>; Purpose::COUNT],
    reserved: Duration,
    last_probe_above: Option<Monotonic>,
    plans_denied: bool,
    optional_denied: bool,
    stretch: f64,
    last_stretch: Monotonic,
    /// What had to be read last found no room.
    found_no_room: bool,
    /// The gate was closed since the stretch was last decided.
    gate_was_closed: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    second: u64,
    micros: [u32; Purpose::COUNT],
}

// === impl Budget ===

impl Budget {
    /// A share of one core: 0.005 is 300 ms a minute. What is not a number, or negative, is nothing.
    #[must_use]
    pub fn of_core(share: f64) -> Self {
        let secs = if share > 0.0 { share.min(1_000.0) * 60.0 } else { 0.0 };
        Self { per_minute: Duration::from_secs_f64(secs) }
    }
}

impl Default for Budget {
    /// Half a percent of one core.
    fn default() -> Self {
        Self::of_core(0.005)
    }
}

// === impl LedgerConfig ===

impl Default for LedgerConfig {
    fn default() -> Self {
        Self {
            plans_denied_at: 0.8,
            optional_denied_at: 1.0,
            comes_back_at: 0.75,
            stretch_target: 0.8,
            relax_below: 0.5,
        }
    }
}

// === impl CostSource ===

impl CostSource {
    /// The source as a label: closed set, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Statement => "statement",
            Self::Wall => "wall",
        }
    }
}

// === impl Ledger ===

impl Ledger {
    /// Bytes of the buckets.
    pub(crate) const HEAP_BYTES: usize = BUCKETS * size_of::<Bucket>();

    /// An empty account.
    #[must_use]
    pub fn new(config: LedgerConfig, budget: Budget, now: Monotonic) -> Self {
        Self {
            config,
            budget,
            buckets: Box::new([Bucket::default(); BUCKETS]),
            totals: [(Duration::ZERO, Duration::ZERO); Purpose::COUNT],
            expected: [None; Purpose::COUNT],
            reserved: Duration::ZERO,
            last_probe_above: None,
            plans_denied: false,
            optional_denied: false,
            stretch: 1.0,
            last_stretch: now,
            found_no_room: false,
            gate_was_closed: false,
        }
    }

    /// Books what a statement cost.
    pub fn book(&mut self, now: Monotonic, purpose: Purpose, cost: Duration, source: CostSource) {
        let second = second_of(now);
        let slot = usize::try_from(second % BUCKETS as u64).unwrap_or(0);
        if let Some(bucket) = self.buckets.get_mut(slot) {
            // A clock that went back books into what is there, which is kept longer, never shorter.
            if bucket.second < second {
                *bucket = Bucket { second, ..Bucket::default() };
            }
            if let Some(micros) = bucket.micros.get_mut(purpose.index()) {
                *micros =
                    micros.saturating_add(u32::try_from(cost.as_nanos().div_ceil(1_000)).unwrap_or(u32::MAX));
            }
        }
        if let Some((statement, wall)) = self.totals.get_mut(purpose.index()) {
            let total = if source == CostSource::Statement { statement } else { wall };
            *total = total.saturating_add(cost);
        }
        // Rises at once and sinks slowly: the heavier of two features of a purpose is what is expected.
        let before = self.expected(now, purpose).unwrap_or_default();
        if let Some(expected) = self.expected.get_mut(purpose.index()) {
            *expected = Some((cost.max(before.mul_f64(0.9)), now));
        }
        self.update(now);
    }

    /// Whether a statement may be sent as far as the budget goes; nothing is taken.
    ///
    /// # Errors
    /// [`OverBudget`].
    pub fn check(&self, now: Monotonic, purpose: Purpose, cheapest: bool) -> Result<(), OverBudget> {
        let ratio = self.share(self.spent_last_minute(now).saturating_add(self.reserved));
        let class = purpose.class();
        let denied = match class {
            CostClass::Plans => self.plans_denied || ratio >= self.config.plans_denied_at,
            CostClass::Sessions | CostClass::Sizes => {
                self.optional_denied || ratio >= self.config.optional_denied_at
            }
            CostClass::Statements | CostClass::Connection => false,
        };
        let probe = cheapest && class == CostClass::Connection;
        let probe_due = self.last_probe_above.is_none_or(|last| now.since(last) >= PROBE_ABOVE_BUDGET_EVERY);
        if (self.has_room(now, purpose) && !denied) || (probe && probe_due) {
            return Ok(());
        }
        Err(OverBudget { ratio, retry_after: Duration::from_secs(1) })
    }

    /// Takes what is expected of a statement that passed [`Self::check`]; the answer is to be given back to
    /// [`Self::release`] when it has ended.
    pub fn reserve(&mut self, now: Monotonic, purpose: Purpose) -> Duration {
        if self.has_room(now, purpose) {
            self.found_no_room &= is_optional(purpose);
        } else {
            self.last_probe_above = Some(now);
        }
        let room = self.room_for(now, purpose);
        self.reserved = self.reserved.saturating_add(room);
        room
    }

    /// A statement did not pass [`Self::check`]: the true demand is more than the cost shows.
    pub fn note_denial(&mut self, purpose: Purpose) {
        if !is_optional(purpose) {
            (self.found_no_room, self.gate_was_closed) = (true, true);
        }
    }

    /// Whether the rest of the minute's budget has room for a statement of this purpose.
    pub(crate) fn has_room(&self, now: Monotonic, purpose: Purpose) -> bool {
        if self.budget.per_minute.is_zero() {
            return false;
        }
        let taken = self.spent_last_minute(now).saturating_add(self.reserved);
        taken.is_zero() || self.share(taken.saturating_add(self.room_for(now, purpose))) <= 1.0
    }

    fn room_for(&self, now: Monotonic, purpose: Purpose) -> Duration {
        let known = self.expected(now, purpose).map(|expected| expected.saturating_mul(ROOM_PER_STATEMENT));
        known.unwrap_or(self.budget.per_minute / 4)
    }

    fn expected(&self, now: Monotonic, purpose: Purpose) -> Option<Duration> {
        let (expected, seen) = self.expected.get(purpose.index()).copied().flatten()?;
        let half_lives = now.since(seen).as_secs_f64() / EXPECTATION_HALF_LIFE.as_secs_f64();
        Some(expected.mul_f64(0.5f64.powf(half_lives)))
    }

    /// Gives back what [`Self::reserve`] took. What the statement really cost is booked apart.
    pub const fn release(&mut self, reserved: Duration) {
        self.reserved = self.reserved.saturating_sub(reserved);
    }

    /// Brings denials and stretch up to date. Called with every booking; to be called as well before asking
    /// [`Self::pressure`] after a quiet time.
    pub fn update(&mut self, now: Monotonic) {
        let (config, ratio) = (self.config, self.ratio(now));
        let latch = |held: bool, mark: f64| ratio >= mark || (held && ratio > mark * config.comes_back_at);
        self.plans_denied = latch(self.plans_denied, config.plans_denied_at);
        self.optional_denied = latch(self.optional_denied, config.optional_denied_at);
        self.gate_was_closed |= ratio >= 1.0;
        // One decision a window: only then does the minute show what the last one did.
        if now.since(self.last_stretch) < Duration::from_secs(60) {
            return;
        }
        let wanted = self.stretch * ratio / config.stretch_target;
        if self.gate_was_closed {
            // What was denied does not show in the cost, so the true demand is more than the ratio says.
            self.stretch = wanted.max(self.stretch * 2.0);
        } else if ratio < config.relax_below {
            self.stretch = wanted.max(self.stretch / 2.0);
        }
        self.stretch = self.stretch.clamp(1.0, MAX_STRETCH);
        (self.last_stretch, self.gate_was_closed) = (now, ratio >= 1.0);
    }

    /// What the budget asks for, as of the last [`Self::update`].
    #[must_use]
    pub fn pressure(&self, now: Monotonic) -> Pressure {
        let ratio = self.ratio(now);
        Pressure {
            ratio,
            plans_denied: self.plans_denied,
            optional_denied: self.optional_denied,
            gate_closed: ratio >= 1.0 || self.found_no_room,
            stretch: self.stretch,
        }
    }

    /// Cost of the last minute, all purposes.
    #[must_use]
    pub fn spent_last_minute(&self, now: Monotonic) -> Duration {
        self.window(now)
            .flat_map(|bucket| bucket.micros)
            .map(|micros| Duration::from_micros(micros.into()))
            .sum()
    }

    /// Cost of the last minute by purpose, those that cost nothing left out.
    #[must_use]
    pub fn spent_by_purpose(&self, now: Monotonic) -> Vec<(Purpose, Duration)> {
        let spent = |purpose: &Purpose| {
            let micros = self.window(now).filter_map(|bucket| bucket.micros.get(purpose.index()).copied());
            (*purpose, micros.map(|micros| Duration::from_micros(micros.into())).sum::<Duration>())
        };
        Purpose::ALL.iter().map(spent).filter(|(_, cost)| !cost.is_zero()).collect()
    }

    /// Cost since the start by purpose and source, those that cost nothing left out.
    #[must_use]
    pub fn totals(&self) -> Vec<(Purpose, CostSource, Duration)> {
        let both = |(purpose, (statement, wall)): (&Purpose, &(Duration, Duration))| {
            [(*purpose, CostSource::Statement, *statement), (*purpose, CostSource::Wall, *wall)]
        };
        let all = Purpose::ALL.iter().zip(&self.totals).flat_map(both);
        all.filter(|(_, _, cost)| !cost.is_zero()).collect()
    }

    /// Cost of the last minute as a share of the budget. A budget of nothing is always used up.
    #[must_use]
    pub fn ratio(&self, now: Monotonic) -> f64 {
        self.share(self.spent_last_minute(now))
    }

    /// Another budget, as a schedule sets it.
    pub const fn set_budget(&mut self, budget: Budget) {
        self.budget = budget;
    }

    /// The budget in force.
    #[must_use]
    pub const fn budget(&self) -> Budget {
        self.budget
    }

    fn share(&self, cost: Duration) -> f64 {
        match (self.budget.per_minute.is_zero(), cost.is_zero()) {
            (true, true) => 1.0,
            (true, false) => f64::INFINITY,
            (false, _) => cost.as_secs_f64() / self.budget.per_minute.as_secs_f64(),
        }
    }

    fn window(&self, now: Monotonic) -> impl Iterator<Item = &Bucket> {
        let second = second_of(now);
        self.buckets.iter().filter(move |bucket| bucket.second.saturating_add(BUCKETS as u64) > second)
    }
}

fn second_of(now: Monotonic) -> u64 {
    now.since(Monotonic::default()).as_secs()
}

/// What is given up before what the rest of the data rests on.
const fn is_optional(purpose: Purpose) -> bool {
    matches!(purpose.class(), CostClass::Plans | CostClass::Sessions | CostClass::Sizes)
}

#[cfg(test)]
mod tests;
