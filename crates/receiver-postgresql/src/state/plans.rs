//! Which statements to probe for their plans next, and why those without a plan have none.
//!
//! Statements that rank in the last reading are candidates. A round takes first those that a processor asked for, then
//! those that a change concerns, then those that cost most time, each of them at most once in an interval. What could not
//! be planned waits longer each time, by what the reason says about the chance that it will go better.

mod concern;
mod missing;

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use dbintel_model::{Monotonic, PlanObservation, PlanRung, Query, QueryKey, QueryText, Record};
use xxhash_rust::xxh3::xxh3_64;

use self::concern::Concern;
pub use self::missing::{MissingPlan, Retry};
use super::samples::{NoSample, SampleTurn};

/// Statements that are remembered; those that ranked last longest ago go first.
pub const MAX_CANDIDATES: usize = 2_000;
/// Requests that wait for their turn.
pub const MAX_REQUESTS: usize = 256;
/// How soon at the earliest a statement is probed again because of a change: tables are analysed often.
pub const MIN_PAUSE_AFTER_CHANGE: Duration = Duration::from_secs(300);
/// How soon a probe is tried again whose failure had to do with the moment.
const RETRY_SOON: Duration = Duration::from_secs(60);
/// The longest wait before a probe that failed is tried again, unless something changes.
const MAX_RETRY: Duration = Duration::from_secs(24 * 3_600);
/// By how many times the work of an execution must have gone up or down to be a step, and by how many blocks.
const STEP: (f64, f64) = (2.0, 16.0);
/// Executions of a reading from which its work is taken.
const MIN_CALLS_FOR_WORK: i64 = 5;
/// Doublings of the wait that are counted.
const MAX_DOUBLINGS: u32 = 16;

/// Different plans of a statement in the log that are remembered, as many as `plan_extractor` has in a set; of more the
/// one that was met first is forgotten.
pub const MAX_LOGGED_PLANS: usize = 9;
/// Times a statement is postponed until the wait does not grow any more.
const MAX_POSTPONED: u32 = 4;
/// Kinds of statements that have a plan, as [`QueryText`] names them.
const KINDS: [&str; 7] = ["select", "insert", "update", "delete", "merge", "values", "table"];

/// Database, role and query id. Whether a statement ran in a function does not matter for its plan.
pub type ProbeKey = (u32, u32, i64);

/// A statement to probe.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Which.
    pub key: QueryKey,
    /// Its masked text, once known.
    pub text: Option<Arc<QueryText>>,
}

/// See the module.
#[derive(Debug)]
pub struct Probes {
    interval: Duration,
    known: HashMap<ProbeKey, Probe>,
    requests: VecDeque<ProbeKey>,
    /// Candidates and requests that found no room since it was last asked.
    cut: u64,
}

#[derive(Debug)]
struct Probe {
    candidate: Candidate,
    total_time_ms: f64,
    seen: Monotonic,
    probed: Option<Monotonic>,
    due: Monotonic,
    changed: bool,
    /// Blocks it touched in each execution, in the last reading that had enough of them.
    blocks_per_call: Option<f64>,
    /// Failures in a row, for the back-off.
    failures: u32,
    /// Times in a row that it was its turn and nothing was asked.
    postponed: u32,
    /// When it is to be planned for values of a parameter at the earliest; `None` if it never was.
    for_values: Option<Monotonic>,
    /// When a sample of it is looked for again.
    sample: SampleTurn,
    /// `None` once it has a plan.
    missing: Option<MissingPlan>,
    /// Hash of the last plan as the server gave it.
    plan: Option<u64>,
    /// Exact fingerprints of plans that the log had of it; `None` as long as it had none.
    logged: Option<VecDeque<u128>>,
}

impl Probes {
    /// Knows nothing; each statement is to be probed once in `interval`.
    #[must_use]
    pub fn every(interval: Duration) -> Self {
        Self { interval, known: HashMap::new(), requests: VecDeque::new(), cut: 0 }
    }

    /// Takes in what a poll read: statements that rank, and changes. Tells each statement why it has no plan.
    pub fn observe(&mut self, records: &mut [Record], now: Monotonic) {
        for record in &mut *records {
            match record {
                Record::Query(query) if query.rank.is_some() => {
                    self.rank(query, now);
                    query.plan_missing = self.reason(&query.key).map(MissingPlan::told);
                }
                _ => {}
            }
        }
        self.change(&Concern::of(records), now);
        self.make_room();
    }

    /// A processor wants the plan of this statement.
    pub fn request(&mut self, key: QueryKey, now: Monotonic) {
        let id = id(&key);
        if self.requests.contains(&id) {
            return;
        }
        if self.requests.len() >= MAX_REQUESTS {
            self.cut += 1;
            return;
        }
        self.requests.push_back(id);
        self.known.entry(id).or_insert_with(|| Probe::new(Candidate { key, text: None }, now));
        self.make_room();
    }

    /// The statements to probe now, the most urgent first.
    #[must_use]
    pub fn due(&self, now: Monotonic, max: usize) -> Vec<Candidate> {
        let requested = |id: &ProbeKey| self.requests.iter().position(|waiting| waiting == id);
        let mut due: Vec<(usize, &Probe)> = self
            .known
            .iter()
            .map(|(id, probe)| (requested(id).unwrap_or(usize::MAX), probe))
            .filter(|(place, probe)| *place != usize::MAX || probe.due <= now)
            .collect();
        due.sort_unstable_by(|(place_a, a), (place_b, b)| {
            let order = |place: usize, probe: &Probe| (place, Reverse(probe.changed));
            order(*place_a, a)
                .cmp(&order(*place_b, b))
                .then(b.total_time_ms.total_cmp(&a.total_time_ms))
                .then(a.candidate.key.query_id.cmp(&b.candidate.key.query_id))
        });
        due.into_iter().take(max).map(|(_, probe)| probe.candidate.clone()).collect()
    }

    /// The statement has a plan now.
    pub fn explained(&mut self, key: &QueryKey, now: Monotonic) {
        let interval = self.interval;
        self.settle(key, |probe| {
            (probe.missing, probe.failures, probe.postponed) = (None, 0, 0);
            (probe.probed, probe.due, probe.changed) = (Some(now), now.plus(interval), false);
        });
    }

    /// Remembers the plan; says whether the statement had one before that was not the same to the byte.
    pub fn is_another(&mut self, plan: &PlanObservation) -> bool {
        let hash = xxh3_64(&plan.raw);
        let before = self.known.get_mut(&id(&plan.key)).and_then(|probe| probe.plan.replace(hash));
        before.is_some_and(|before| before != hash)
    }

    /// Remembers a plan of the log; says whether the log had plans of the statement before and not this one. It has
    /// several at the same time, so that another one than the last is not yet news.
    pub fn is_another_in_log(&mut self, key: &QueryKey, fingerprint: u128) -> bool {
        let Some(probe) = self.known.get_mut(&id(key)) else { return false };
        let is_first = probe.logged.is_none();
        let logged = probe.logged.get_or_insert_default();
        if logged.contains(&fingerprint) {
            return false;
        }
        logged.push_back(fingerprint);
        if logged.len() > MAX_LOGGED_PLANS {
            logged.pop_front();
        }
        !is_first
    }

    /// A plan of the statement was remembered and did not get through: it is wanted again, and another one than before.
    pub fn lost(&mut self, plan: &PlanObservation, now: Monotonic) {
        self.settle(&plan.key, |probe| {
            if plan.rung == PlanRung::Actual {
                // It is not known which of them it was.
                probe.logged.iter_mut().for_each(VecDeque::clear);
            } else {
                probe.plan = probe.plan.map(|hash| !hash);
            }
            probe.due = now;
        });
    }

    /// The statement was probed and has none.
    pub fn failed(&mut self, key: &QueryKey, reason: MissingPlan, now: Monotonic) {
        let interval = self.interval;
        self.settle(key, |probe| {
            probe.postponed = 0;
            probe.failures = if probe.missing == Some(reason) { probe.failures.saturating_add(1) } else { 1 };
            let base = first_wait(reason.retry(), interval);
            let doublings = probe.failures.saturating_sub(1).min(MAX_DOUBLINGS);
            let wait = base.saturating_mul(1 << doublings).min(MAX_RETRY.max(interval));
            (probe.missing, probe.probed) = (Some(reason), Some(now));
            (probe.due, probe.changed) = (now.plus(wait), false);
        });
    }

    /// Whether the statement, which is being probed, is to be planned for values of a parameter as well.
    #[must_use]
    pub fn wants_values(&self, key: &QueryKey, now: Monotonic) -> bool {
        let is_due = |probe: &Probe| probe.for_values.is_none_or(|due| due <= now);
        self.requests.contains(&id(key)) || self.known.get(&id(key)).is_some_and(is_due)
    }

    /// The statement was planned for values, or cannot be: not again before `next`, unless a processor asks for it.
    pub fn planned_for_values(&mut self, key: &QueryKey, next: Monotonic) {
        if let Some(probe) = self.known.get_mut(&id(key)) {
            probe.for_values = Some(next);
        }
    }

    /// Whether a sample of the statement, which is being probed, may be looked for.
    #[must_use]
    pub fn wants_sample(&self, key: &QueryKey, now: Monotonic) -> bool {
        self.known.get(&id(key)).is_some_and(|probe| probe.sample.is_due(now))
    }

    /// A sample of the statement was explained, so that it has a plan. Its next turn is as it was.
    pub fn sampled(&mut self, key: &QueryKey) {
        if let Some(probe) = self.known.get_mut(&id(key)) {
            probe.sample.taken();
            probe.missing = None;
        }
    }

    /// There is no plan of a sample of the statement.
    pub fn not_sampled(&mut self, key: &QueryKey, why: NoSample, now: Monotonic) {
        let interval = self.interval;
        if let (Some(retry), Some(probe)) = (why.retry, self.known.get_mut(&id(key))) {
            probe.sample.failed(first_wait(retry, interval), MAX_RETRY.max(interval), now);
        }
    }

    /// Nothing was asked of the server, which does not speak against the statement: it comes again, but not at once, so
    /// that a database that cannot be asked does not keep others from their turn.
    pub fn postponed(&mut self, key: &QueryKey, reason: MissingPlan, now: Monotonic) {
        self.settle(key, |probe| {
            probe.postponed = (probe.postponed + 1).min(MAX_POSTPONED);
            let wait = RETRY_SOON.saturating_mul(1 << (probe.postponed - 1));
            (probe.due, probe.changed) = (now.plus(wait), true);
            // A plan it has is still its plan.
            probe.missing = probe.missing.and(Some(reason));
        });
    }

    /// Every statement that is remembered.
    #[must_use]
    pub fn known(&self) -> Vec<Candidate> {
        self.known.values().map(|probe| probe.candidate.clone()).collect()
    }

    /// Nothing is explained: what has no plan has none for this reason, whoever asked for it.
    pub fn not_explained(&mut self, reason: MissingPlan) {
        self.requests.clear();
        let kept = Some(MissingPlan::StatementKind);
        for probe in self.known.values_mut().filter(|probe| probe.missing.is_some() && probe.missing != kept)
        {
            probe.missing = Some(reason);
        }
    }

    /// How many statements have no plan, for every reason there is.
    #[must_use]
    pub fn missing(&self) -> Vec<(MissingPlan, usize)> {
        let count = |reason| self.known.values().filter(|probe| probe.missing == Some(reason)).count();
        MissingPlan::ALL.into_iter().map(|reason| (reason, count(reason))).collect()
    }

    /// Why this statement has no plan; `None` if it has one or is not known.
    #[must_use]
    pub fn reason(&self, key: &QueryKey) -> Option<MissingPlan> {
        self.known.get(&id(key))?.missing
    }

    /// Bytes held, shared texts counted in full.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let text = |probe: &Probe| probe.candidate.text.as_ref().map_or(0, |text| text.weight_bytes());
        let logged = |probe: &Probe| probe.logged.as_ref().map_or(0, VecDeque::capacity) * size_of::<u128>();
        self.known
            .values()
            .map(|probe| size_of::<(ProbeKey, Probe)>() + text(probe) + logged(probe))
            .sum::<usize>()
            + self.requests.len() * size_of::<ProbeKey>()
    }

    /// What found no room since this was last asked.
    pub fn take_cut(&mut self) -> u64 {
        std::mem::take(&mut self.cut)
    }

    fn rank(&mut self, query: &Query, now: Monotonic) {
        let candidate = Candidate { key: query.key.clone(), text: query.text.clone() };
        let probe = self
            .known
            .entry(id(&query.key))
            .or_insert_with(|| Probe::new(Candidate { key: query.key.clone(), text: None }, now));
        probe.total_time_ms = query.total_time_ms;
        probe.seen = now;
        if probe.work_stepped(query) {
            probe.bring_forward(now);
        }
        // A text that was dropped meanwhile is still the statement's.
        if candidate.text.is_some() {
            probe.candidate = candidate;
        }
        // The log can have a plan of any kind of statement.
        let is_without = probe.missing.is_some();
        if is_without && probe.candidate.text.as_ref().is_some_and(|text| !KINDS.contains(&text.kind)) {
            // So that it takes no place in a round.
            (probe.missing, probe.due) = (Some(MissingPlan::StatementKind), now.plus(MAX_RETRY));
        }
    }

    fn change(&mut self, concern: &Concern<'_>, now: Monotonic) {
        if concern.is_none() {
            return;
        }
        for probe in self.known.values_mut().filter(|probe| concern.is_with(&probe.candidate)) {
            probe.bring_forward(now);
        }
    }

    fn settle(&mut self, key: &QueryKey, change: impl FnOnce(&mut Probe)) {
        let id = id(key);
        self.requests.retain(|waiting| *waiting != id);
        if let Some(probe) = self.known.get_mut(&id) {
            change(probe);
        }
    }

    fn make_room(&mut self) {
        if self.known.len() <= MAX_CANDIDATES {
            return;
        }
        let mut ages: Vec<(Monotonic, ProbeKey)> =
            self.known.iter().map(|(id, probe)| (probe.seen, *id)).collect();
        ages.sort_unstable();
        let surplus = self.known.len() - MAX_CANDIDATES;
        for (_, id) in ages.into_iter().take(surplus) {
            self.known.remove(&id);
            self.requests.retain(|waiting| *waiting != id);
            self.cut += 1;
        }
    }
}

impl Probe {
    const fn new(candidate: Candidate, now: Monotonic) -> Self {
        Self {
            candidate,
            total_time_ms: 0.0,
            seen: now,
            probed: None,
            due: now,
            changed: false,
            blocks_per_call: None,
            failures: 0,
            postponed: 0,
            for_values: None,
            sample: SampleTurn::NEW,
            missing: Some(MissingPlan::NotYetProbed),
            plan: None,
            logged: None,
        }
    }

    /// It is to be probed next, but not again and again.
    fn bring_forward(&mut self, now: Monotonic) {
        let earliest = self.probed.map_or(now, |probed| probed.plus(MIN_PAUSE_AFTER_CHANGE)).max(now);
        (self.changed, self.due) = (true, self.due.min(earliest));
    }

    /// Whether an execution touches far more or fewer blocks than in the reading before, as one with another plan does.
    #[allow(clippy::cast_precision_loss, reason = "executions of an interval")]
    fn work_stepped(&mut self, query: &Query) -> bool {
        let blocks = |column| query.counters.get(column);
        let (Some(hit), Some(read)) = (blocks("shared_blks_hit"), blocks("shared_blks_read")) else {
            return false;
        };
        if query.calls < MIN_CALLS_FOR_WORK {
            return false;
        }
        let now = (hit + read) / query.calls as f64;
        let (times, more) = STEP;
        self.blocks_per_call.replace(now).is_some_and(|before| {
            (now - before).abs() >= more && (now >= before * times || before >= now * times)
        })
    }
}

/// How long to wait after the first failure of a kind.
const fn first_wait(retry: Retry, interval: Duration) -> Duration {
    match retry {
        Retry::Soon => RETRY_SOON,
        Retry::NextInterval => interval,
        Retry::Rarely => MAX_RETRY,
    }
}

const fn id(key: &QueryKey) -> ProbeKey {
    (key.database_id, key.user_id, key.query_id)
}

#[cfg(test)]
mod tests;
