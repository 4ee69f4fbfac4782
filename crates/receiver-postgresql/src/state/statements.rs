//! Differences between two readings of `pg_stat_statements`.
//!
//! Promises:
//! * no work is counted twice, and the sum of all differences is never more than the true work;
//! * every difference says whether it is exact or a lower bound, and is exact only if the server dates the entry and it is
//!   the same one as before: whatever else happened, nothing of its work can then be missing;
//! * the first reading, and the first one of another node, is only a baseline;
//! * the previous reading is replaced only by [`StatementDeltas::commit`], after the lane has accepted the records: a
//!   refusal makes the next difference cover the longer interval.
//!
//! What the server tells about the identity of an entry depends on the extension's version:
//! * 1.11 (PostgreSQL 17) has `stats_since` per entry: another value is another incarnation of the entry;
//! * 1.9 (14) has `dealloc` and `stats_reset` for all: no eviction and no reset means the same incarnations, except
//!   after a reset of single statements, which shows only if some counter fell. Differences are therefore lower bounds;
//! * before, entries that vanished from the reading are the only sign of an eviction.
//!
//! What an entry did before it was removed within the interval shows nowhere, so the first difference of every incarnation
//! is a lower bound, too.

use std::collections::HashMap;
use std::sync::Arc;

use dbintel_evidence::moments::{self, Discontinuity, Reading};
use dbintel_model::catalogue::STATEMENT_COUNTERS;
use dbintel_model::{Exactness, Interval, Moments, Node, Timestamp};

/// At least one reading in so many is whole: every ten minutes, if one is taken every ten seconds.
pub const WHOLE_READING_EVERY: u32 = 60;

/// Identity of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StatementKey {
    /// Database.
    pub database_id: u32,
    /// Role.
    pub user_id: u32,
    /// Query identifier.
    pub query_id: i64,
    /// Sent by a client, or run inside a function; `None` before PostgreSQL 14.
    pub toplevel: Option<bool>,
}

/// Executions and their times since an entry began.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cumulative {
    /// Executions.
    pub calls: f64,
    /// Sum of times, in milliseconds.
    pub total_ms: f64,
    /// Mean time, in milliseconds.
    pub mean_ms: f64,
    /// Population standard deviation, in milliseconds.
    pub stddev_ms: f64,
}

/// One entry of a reading: cumulative counters.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Executions and their times.
    pub times: Cumulative,
    /// Shortest execution since the entry began, in milliseconds; NaN where the server dates entries (1.11 and later),
    /// since it is read only to tell incarnations apart.
    pub min_ms: f64,
    /// Longest execution since the entry began, in milliseconds; NaN as above.
    pub max_ms: f64,
    /// Further counters, parallel to [`dbintel_model::catalogue::STATEMENT_COUNTERS`]; NaN where the server has none.
    pub counters: Box<[f64]>,
    /// When the entry began (1.11 and later).
    pub stats_since: Option<Timestamp>,
    /// A 64-bit hash, made by the server, of the query identifier and of the numbers that every execution moves: as long
    /// as it is the same, so is the entry. Should it meet that of another state all the same, by a chance of 2⁻⁶⁴, or
    /// because roles share a statement that was only ever planned, the difference is told with the next change.
    pub mark: i64,
}

/// One reading.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The node it was read from, on the same connection.
    pub node: Arc<Node>,
    /// When, by the server's clock.
    pub taken_at: Timestamp,
    /// The entries.
    pub entries: HashMap<StatementKey, Entry>,
    /// Which of the server's entries these are.
    pub extent: Extent,
    /// Rounds of evictions counted right before the entries were read (1.9 and later).
    pub dealloc_before: Option<i64>,
    /// The same right after, so that no eviction falls between two intervals.
    pub dealloc: Option<i64>,
    /// Entries the server keeps at most.
    pub max: Option<i64>,
    /// Last reset of all statistics (1.9 and later).
    pub stats_reset: Option<Timestamp>,
    /// Entries of other roles that the server did not let us see.
    pub hidden: u64,
    /// Entries left out because of our own bound.
    pub cut: u64,
    /// What the extension tells of entries.
    pub shape: Shape,
}

/// Which entries a reading has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All that the server has.
    Whole,
    /// Those whose marks are not among [`StatementDeltas::marks`]; the others are as they were.
    Changed,
}

/// Which of the columns that tell entries and incarnations apart the installed version of the extension has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// `toplevel`.
    pub toplevel: bool,
    /// The view of evictions and resets.
    pub info: bool,
}

/// The last reading that was accepted.
#[derive(Debug, Default)]
pub struct StatementDeltas {
    /// With the entries of the readings before, where it had only those that changed.
    committed: Option<Snapshot>,
    /// Accepted readings since the last whole one.
    since_whole: u32,
    /// Entries that changed between the last accepted reading and the one before.
    changed: usize,
}

/// What happened between the last accepted reading and another one.
#[derive(Debug)]
pub struct Difference {
    /// From when to when; `None` for a baseline.
    pub interval: Option<Interval>,
    /// What each statement did; statements that did nothing are left out.
    pub deltas: Vec<Delta>,
    /// Why there is only a baseline, or why everything began anew.
    pub rebased: Option<Rebased>,
    /// Evictions in the interval: what those entries did since the reading before is lost.
    pub evictions: Eviction,
    /// Entries seen for the first time whose work cannot be dated; they are baselines.
    pub undated: u64,
}

/// What one statement did.
#[derive(Clone, Debug, PartialEq)]
pub struct Delta {
    /// Which statement.
    pub key: StatementKey,
    /// Executions.
    pub calls: f64,
    /// Sum of times, in milliseconds.
    pub total_ms: f64,
    /// Mean and variance, where the incarnation is certain.
    pub moments: Option<Moments>,
    /// Further counters.
    pub counters: Box<[f64]>,
    /// Exact, or a lower bound.
    pub exactness: Exactness,
}

/// Why differences began anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rebased {
    /// There was no reading before.
    First,
    /// Another node answered, or the same one was restarted or promoted.
    NodeChanged,
    /// All statistics were reset: what is there now is new, what was done before the reset is lost.
    Reset,
    /// The extension was updated: entries have other identities, or resets are dated only since.
    ExtensionChanged,
}

/// What is known of evictions in the interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// There was none.
    None,
    /// The server counted this many rounds.
    Rounds(u64),
    /// This many entries vanished from the reading; the server does not count evictions.
    Vanished(u64),
}

/// How an entry relates to the one of the same key in the reading before.
enum Incarnation<'a> {
    /// The same entry, as the server says.
    Same(&'a Entry),
    /// The same entry, unless somebody removed it alone and it overtook its old counters since.
    Presumed(&'a Entry),
    /// Possibly the same, although entries were evicted; its counters did not fall.
    Suspected(&'a Entry),
    /// Began after the reading before.
    New,
    /// It may have begun before: nothing can be said of its work.
    Undated,
}

impl Snapshot {
    /// Bytes of the entries, estimated without looking at them: the table's places, of which it keeps one in eight free,
    /// and the counters beside it, of which every entry has one of each.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let places = self.entries.capacity() * 8 / 7;
        places * size_of::<(StatementKey, Entry)>()
            + self.entries.len() * STATEMENT_COUNTERS.len() * size_of::<f64>()
    }
}

impl StatementDeltas {
    /// Bytes held for the next difference, see [`Snapshot::held_bytes`].
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.committed.as_ref().map_or(0, Snapshot::held_bytes)
    }

    /// The marks of all entries of the last accepted reading, for a reading of what changed since; `None` if the reading
    /// that `begun` begins must be whole. It need not be whole only if the server says that it is the same node and that
    /// nothing was evicted or reset. It is whole now and then all the same ([`WHOLE_READING_EVERY`]), since the removal
    /// of a single statement shows nowhere else, and as long as most statements change.
    #[must_use]
    pub fn marks(&self, begun: &Snapshot) -> Option<Vec<i64>> {
        let committed = self.committed.as_ref()?;
        let same_entries = begun.node.continues(&committed.node)
            && begun.shape == committed.shape
            && begun.stats_reset == committed.stats_reset
            && begun.dealloc_before.is_some()
            && begun.dealloc_before == committed.dealloc_before
            && begun.dealloc_before == committed.dealloc;
        let worth_it = self.since_whole + 1 < WHOLE_READING_EVERY
            && committed.cut == 0
            && self.changed * 2 < committed.entries.len();
        (same_entries && worth_it).then(|| committed.entries.values().map(|entry| entry.mark).collect())
    }

    /// What happened since the last accepted reading.
    #[must_use]
    pub fn difference(&self, current: &Snapshot) -> Difference {
        let Some(previous) = &self.committed else {
            return Difference::baseline(Rebased::First);
        };
        if !current.node.continues(&previous.node) {
            return Difference::baseline(Rebased::NodeChanged);
        }
        if current.shape != previous.shape {
            return Difference::baseline(Rebased::ExtensionChanged);
        }
        let reset = current.stats_reset != previous.stats_reset;
        let evictions = evictions(previous, current);
        let mut difference = Difference {
            interval: Some(Interval {
                start: previous.taken_at.min(current.taken_at),
                end: current.taken_at,
            }),
            deltas: Vec::new(),
            rebased: reset.then_some(Rebased::Reset),
            evictions: if reset { Eviction::None } else { evictions },
            undated: 0,
        };
        for (key, entry) in &current.entries {
            let incarnation =
                if reset { Incarnation::New } else { incarnation(previous, current, key, entry, evictions) };
            match delta(*key, entry, &incarnation) {
                Some(delta) if delta.is_idle() => {}
                Some(delta) => difference.deltas.push(delta),
                None => difference.undated += 1,
            }
        }
        difference
    }

    /// Replaces the last accepted reading.
    pub fn commit(&mut self, mut current: Snapshot) {
        let previous = self.committed.take();
        self.changed = previous.as_ref().map_or(0, |previous| {
            let known = |(key, entry): &(&StatementKey, &Entry)| {
                previous.entries.get(*key).is_some_and(|earlier| earlier.mark == entry.mark)
            };
            current.entries.iter().filter(|pair| !known(pair)).count()
        });
        match (current.extent, previous) {
            (Extent::Changed, Some(previous)) => {
                let changed = std::mem::replace(&mut current.entries, previous.entries);
                current.entries.extend(changed);
                self.since_whole += 1;
            }
            _ => self.since_whole = 0,
        }
        self.committed = Some(current);
    }

    /// Entries the server has, given a reading that may have only those that changed.
    #[must_use]
    pub fn count(&self, current: &Snapshot) -> usize {
        match (current.extent, &self.committed) {
            (Extent::Changed, Some(previous)) => {
                let new = current.entries.keys().filter(|key| !previous.entries.contains_key(key)).count();
                previous.entries.len() + new
            }
            _ => current.entries.len(),
        }
    }

    /// Entries held for the next difference.
    #[must_use]
    pub fn len(&self) -> usize {
        self.committed.as_ref().map_or(0, |snapshot| snapshot.entries.len())
    }

    /// Whether there is no reading to subtract from.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When the last accepted reading was taken, by the server's clock.
    #[must_use]
    pub fn taken_at(&self) -> Option<Timestamp> {
        self.committed.as_ref().map(|snapshot| snapshot.taken_at)
    }
}

impl Difference {
    fn baseline(reason: Rebased) -> Self {
        Self {
            interval: None,
            deltas: Vec::new(),
            rebased: Some(reason),
            evictions: Eviction::None,
            undated: 0,
        }
    }
}

impl Delta {
    /// Nothing ran and no counter moved.
    fn is_idle(&self) -> bool {
        self.calls == 0.0
            && self.total_ms == 0.0
            && self.counters.iter().all(|value| value.is_nan() || *value == 0.0)
    }
}

impl Entry {
    /// Whether the numbers of `self` can be those of an earlier reading of the entry and what was run since.
    fn may_continue(&self, earlier: &Self) -> bool {
        match moments::interval(&earlier.numbers(), &self.numbers()) {
            // Moments that contradict each other are told of without them: `subtract`.
            Ok(_) | Err(Discontinuity::NegativeVariance) => true,
            Err(_) => false,
        }
    }

    /// Everything that the entry has seen since it began.
    fn whole(&self) -> moments::Moments {
        let Cumulative { calls, total_ms, stddev_ms, .. } = self.times;
        moments::Moments::from_average(calls, total_ms / calls, stddev_ms)
    }

    fn numbers(&self) -> Reading<'_> {
        let Cumulative { calls, total_ms, mean_ms, stddev_ms } = self.times;
        let (min_ms, max_ms, counters) = (self.min_ms, self.max_ms, &self.counters);
        Reading { calls, total_ms, mean_ms, stddev_ms, min_ms, max_ms, counters }
    }
}

fn evictions(previous: &Snapshot, current: &Snapshot) -> Eviction {
    match (previous.dealloc_before, current.dealloc) {
        (Some(before), Some(now)) if now == before => Eviction::None,
        // A counter that fell was reset without the reset being dated: count what it shows.
        (Some(before), Some(now)) => {
            let rounds = if now > before { now - before } else { now.max(1) };
            Eviction::Rounds(u64::try_from(rounds).unwrap_or(1))
        }
        _ => {
            // An eviction leaves at least 95 % of the maximum; a reading well below it cannot follow one.
            let nearly_full = current.max.is_some_and(|max| current.entries.len() as i64 * 10 >= max * 9);
            let vanished = previous.entries.keys().filter(|key| !current.entries.contains_key(key)).count();
            if vanished == 0 && !nearly_full { Eviction::None } else { Eviction::Vanished(vanished as u64) }
        }
    }
}

fn incarnation<'a>(
    previous: &'a Snapshot,
    current: &Snapshot,
    key: &StatementKey,
    entry: &Entry,
    evictions: Eviction,
) -> Incarnation<'a> {
    match (previous.entries.get(key), entry.stats_since) {
        (Some(earlier), Some(since)) => {
            // An extension update can bring `stats_since` for entries that are older than it.
            let same = earlier.stats_since.map_or(since <= previous.taken_at, |before| before == since);
            match (same, entry.may_continue(earlier)) {
                (true, true) => Incarnation::Same(earlier),
                // The server says it is the same entry, and its counters fell: nothing it shows can be dated.
                (true, false) => Incarnation::Undated,
                (false, _) => Incarnation::New,
            }
        }
        (Some(earlier), None) if !entry.may_continue(earlier) => Incarnation::New,
        (Some(earlier), None) if evictions == Eviction::None => Incarnation::Presumed(earlier),
        (Some(earlier), None) => Incarnation::Suspected(earlier),
        (None, Some(since)) if since <= previous.taken_at => Incarnation::Undated,
        (None, None) if previous.cut > 0 || current.hidden < previous.hidden => Incarnation::Undated,
        (None, _) => Incarnation::New,
    }
}

fn delta(key: StatementKey, entry: &Entry, incarnation: &Incarnation<'_>) -> Option<Delta> {
    match incarnation {
        Incarnation::Same(earlier) => Some(subtract(key, entry, earlier, Some(Exactness::Exact))),
        Incarnation::Presumed(earlier) => Some(subtract(key, entry, earlier, Some(Exactness::LowerBound))),
        Incarnation::Suspected(earlier) => Some(subtract(key, entry, earlier, None)),
        Incarnation::New => Some(Delta {
            key,
            calls: entry.times.calls,
            total_ms: entry.times.total_ms,
            moments: known(entry.whole()),
            counters: entry.counters.clone(),
            exactness: Exactness::LowerBound,
        }),
        Incarnation::Undated => None,
    }
}

/// The difference of two readings of one entry; `exactness` is `None` if the incarnation is only suspected to be the
/// same, and moments would mix two of them.
fn subtract(key: StatementKey, entry: &Entry, earlier: &Entry, exactness: Option<Exactness>) -> Delta {
    let moments = moments::interval(&earlier.numbers(), &entry.numbers());
    // Numbers that contradict each other betray another incarnation that happens to lie above the old counters.
    let exactness = exactness.filter(|_| moments.is_ok());
    let counters = entry.counters.iter().zip(&earlier.counters);
    Delta {
        key,
        calls: entry.times.calls - earlier.times.calls,
        total_ms: entry.times.total_ms - earlier.times.total_ms,
        moments: moments.ok().filter(|_| exactness.is_some()).and_then(|interval| known(interval.moments)),
        // A column that appeared since (an extension update) has no difference yet.
        counters: counters.map(|(now, before)| now - before).collect(),
        exactness: exactness.unwrap_or(Exactness::LowerBound),
    }
}

/// Nothing where nothing was run.
fn known(moments: moments::Moments) -> Option<Moments> {
    (moments.count > 0.0).then(|| Moments { mean_ms: moments.mean, variance_ms2: moments.variance() })
}

#[cfg(test)]
mod tests;
