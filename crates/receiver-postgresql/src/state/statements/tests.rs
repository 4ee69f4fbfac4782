use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn node(started: u64) -> Arc<Node> {
    Arc::new(Node { started_at: Timestamp::from_nanos(started), ..Node::default() })
}

fn key(query_id: i64) -> StatementKey {
    StatementKey { database_id: 1, user_id: 10, query_id, toplevel: Some(true) }
}

fn entry(calls: f64, total_ms: f64, stats_since: Option<u64>) -> Entry {
    let mean_ms = if calls > 0.0 { total_ms / calls } else { 0.0 };
    Entry {
        times: Cumulative { calls, total_ms, mean_ms, stddev_ms: 0.0 },
        min_ms: mean_ms,
        max_ms: mean_ms,
        counters: Box::new([calls * 2.0, f64::NAN]),
        stats_since: stats_since.map(Timestamp::from_nanos),
        mark: mark(calls, total_ms),
    }
}

/// What the server makes of the numbers that every execution moves.
fn mark(calls: f64, total_ms: f64) -> i64 {
    (calls.to_bits() ^ total_ms.to_bits().rotate_left(17)) as i64
}

fn snapshot(at: u64, entries: &[(i64, Entry)]) -> Snapshot {
    Snapshot {
        node: node(1),
        taken_at: Timestamp::from_nanos(at),
        entries: entries.iter().map(|(id, entry)| (key(*id), entry.clone())).collect(),
        extent: Extent::Whole,
        dealloc_before: Some(0),
        dealloc: Some(0),
        max: Some(5_000),
        stats_reset: None,
        hidden: 0,
        cut: 0,
        shape: Shape::default(),
    }
}

/// What one statement is said to have done between two snapshots: calls and exactness.
fn check(before: &Snapshot, after: &Snapshot, expected: &[(i64, f64, Exactness)]) -> Difference {
    let mut deltas = StatementDeltas::default();
    assert_eq!(deltas.difference(before).rebased, Some(Rebased::First));
    deltas.commit(before.clone());
    let mut difference = deltas.difference(after);
    difference.deltas.sort_by_key(|delta| delta.key);
    let found: Vec<_> = difference.deltas.iter().map(|d| (d.key.query_id, d.calls, d.exactness)).collect();
    assert_eq!(found, expected);
    difference
}

#[test]
fn the_same_incarnation_is_subtracted_exactly() {
    let before = snapshot(100, &[(1, entry(10.0, 50.0, Some(20))), (2, entry(5.0, 5.0, Some(20)))]);
    let after = snapshot(200, &[(1, entry(14.0, 70.0, Some(20))), (2, entry(5.0, 5.0, Some(20)))]);
    let difference = check(&before, &after, &[(1, 4.0, Exactness::Exact)]);
    let delta = &difference.deltas[0];
    assert_eq!((delta.total_ms, delta.counters[0], delta.counters[1].is_nan()), (20.0, 8.0, true));
    assert_eq!(delta.moments.unwrap().mean_ms, 5.0);
}

#[test]
fn without_a_date_the_difference_is_a_lower_bound_with_moments() {
    let before = snapshot(100, &[(1, entry(10.0, 50.0, None))]);
    let after = snapshot(200, &[(1, entry(14.0, 70.0, None))]);
    let difference = check(&before, &after, &[(1, 4.0, Exactness::LowerBound)]);
    assert_eq!(difference.deltas[0].moments.unwrap().mean_ms, 5.0);
}

/// Executions of these times, since the entry began.
fn executed(times: &[f64]) -> Entry {
    let (calls, total_ms) = (times.len() as f64, times.iter().sum::<f64>());
    // Welford's update, as the extension does it: what was there before is rounded as before.
    let (mut mean, mut squares) = (0.0, 0.0);
    for (before, ms) in times.iter().enumerate() {
        let old = mean;
        mean += (ms - old) / (before as f64 + 1.0);
        squares += (ms - old) * (ms - mean);
    }
    let entry = entry(calls, total_ms, Some(20));
    let times = Cumulative { mean_ms: mean, stddev_ms: (squares / calls).sqrt(), ..entry.times };
    // Extremes are not read where entries are dated.
    Entry { times, min_ms: f64::NAN, max_ms: f64::NAN, ..entry }
}

#[test]
fn moments_are_those_of_the_executions_between() {
    let first = [10.0, 12.0, 11.0];
    let outlier = [&[4.0 * 3_600_000.0][..], &[1.0; 10_000]].concat();
    for (before, then, variance) in [
        (&first[..], &[100.0, 300.0][..], Some(20_000.0)),
        // One has none.
        (&first, &[9.0], None),
        // One huge execution in the history makes the variance unknown, not wrong.
        (&outlier, &[0.9, 1.1, 1.0], None),
    ] {
        let all = [before, then].concat();
        let (before, after) =
            (snapshot(100, &[(1, executed(before))]), snapshot(200, &[(1, executed(&all))]));
        let difference = check(&before, &after, &[(1, then.len() as f64, Exactness::Exact)]);
        let moments = difference.deltas[0].moments.unwrap();
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-6 * b.abs();
        assert!(close(moments.mean_ms, then.iter().sum::<f64>() / then.len() as f64), "{moments:?}");
        assert_eq!(moments.variance_ms2.is_some(), variance.is_some(), "{moments:?}");
        assert!(moments.variance_ms2.zip(variance).is_none_or(|(a, b)| close(a, b)), "{moments:?}");
    }
    let mut began = executed(&[1.0, 3.0]);
    began.stats_since = Some(Timestamp::from_nanos(150));
    let difference = check(
        &snapshot(100, &[(1, executed(&first))]),
        &snapshot(200, &[(1, began)]),
        &[(1, 2.0, Exactness::LowerBound)],
    );
    assert_eq!(difference.deltas[0].moments, Some(Moments { mean_ms: 2.0, variance_ms2: Some(2.0) }));
}

/// Every number grew, and so little deviation there cannot have been.
#[test]
fn numbers_that_contradict_each_other_are_told_without_moments() {
    let of = |calls: f64, stddev_ms| {
        let entry = entry(calls, calls * 100.0, Some(20));
        Entry { times: Cumulative { stddev_ms, ..entry.times }, ..entry }
    };
    let (before, after) = (snapshot(100, &[(1, of(10.0, 90.0))]), snapshot(200, &[(1, of(20.0, 1.0))]));
    let difference = check(&before, &after, &[(1, 10.0, Exactness::LowerBound)]);
    assert_eq!(difference.deltas[0].moments, None);
}

#[test]
fn another_stats_since_is_another_incarnation_even_if_every_counter_grew() {
    let before = snapshot(100, &[(1, entry(10.0, 50.0, Some(20)))]);
    let after = snapshot(200, &[(1, entry(14.0, 70.0, Some(150)))]);
    check(&before, &after, &[(1, 14.0, Exactness::LowerBound)]);
}

#[test]
fn a_fall_of_any_counter_is_another_incarnation() {
    let before = snapshot(100, &[(1, entry(10.0, 50.0, None))]);
    let mut after = snapshot(200, &[(1, entry(14.0, 70.0, None))]);
    after.entries.get_mut(&key(1)).unwrap().counters[0] = 1.0;
    check(&before, &after, &[(1, 14.0, Exactness::LowerBound)]);
}

/// Nine executions of 40 ms, a reset that the server does not date, seven of 80 ms and four of 1 ms: every number grew, but
/// two executions of 102 ms there cannot have been.
#[test]
fn a_mean_beyond_the_extremes_is_another_incarnation() {
    let of = |calls: f64, total_ms: f64, min_ms: f64, max_ms: f64| Entry {
        min_ms,
        max_ms,
        ..entry(calls, total_ms, None)
    };
    let before = snapshot(100, &[(1, of(9.0, 360.0, 40.0, 40.0))]);
    let after = snapshot(200, &[(1, of(11.0, 564.0, 1.0, 80.0))]);
    check(&before, &after, &[(1, 11.0, Exactness::LowerBound)]);
}

#[test]
fn with_evictions_the_difference_is_a_lower_bound_without_moments() {
    let before = snapshot(100, &[(1, entry(10.0, 50.0, None))]);
    let mut after = snapshot(200, &[(1, entry(14.0, 70.0, None))]);
    after.dealloc = Some(3);
    let difference = check(&before, &after, &[(1, 4.0, Exactness::LowerBound)]);
    assert_eq!((difference.evictions, difference.deltas[0].moments), (Eviction::Rounds(3), None));
}

#[test]
fn a_reset_counts_what_came_after_it() {
    let before = snapshot(100, &[(1, entry(10.0, 50.0, None))]);
    let mut after = snapshot(200, &[(1, entry(14.0, 70.0, None))]);
    after.stats_reset = Some(Timestamp::from_nanos(150));
    let difference = check(&before, &after, &[(1, 14.0, Exactness::LowerBound)]);
    assert_eq!(difference.rebased, Some(Rebased::Reset));
}

#[test]
fn a_restart_is_a_baseline() {
    let before = snapshot(100, &[(1, entry(10.0, 50.0, None))]);
    let mut after = snapshot(200, &[(1, entry(14.0, 70.0, None))]);
    after.node = node(2);
    let difference = check(&before, &after, &[]);
    assert_eq!(difference.rebased, Some(Rebased::NodeChanged));
}

#[test]
fn an_update_of_the_extension_is_a_baseline() {
    let before = snapshot(100, &[(1, entry(10.0, 50.0, None))]);
    let mut after = snapshot(200, &[(1, entry(14.0, 70.0, None))]);
    after.stats_reset = Some(Timestamp::from_nanos(50));
    after.shape = Shape { toplevel: true, info: true };
    let difference = check(&before, &after, &[]);
    assert_eq!(difference.rebased, Some(Rebased::ExtensionChanged));
}

#[test]
fn what_was_hidden_or_cut_before_is_a_baseline_when_it_is_first_seen() {
    let mut before = snapshot(100, &[]);
    let after = snapshot(200, &[(1, entry(14.0, 70.0, None))]);
    before.hidden = 1;
    assert_eq!(check(&before, &after, &[]).undated, 1);
    before.hidden = 0;
    before.cut = 1;
    assert_eq!(check(&before, &after, &[]).undated, 1);
    before.cut = 0;
    check(&before, &after, &[(1, 14.0, Exactness::LowerBound)]);
    let dated = snapshot(200, &[(1, entry(14.0, 70.0, Some(50))), (2, entry(3.0, 3.0, Some(150)))]);
    assert_eq!(check(&before, &dated, &[(2, 3.0, Exactness::LowerBound)]).undated, 1);
}

#[test]
fn a_refused_reading_makes_the_next_difference_cover_the_longer_interval() {
    let mut deltas = StatementDeltas::default();
    deltas.commit(snapshot(100, &[(1, entry(10.0, 50.0, None))]));
    assert_eq!(deltas.difference(&snapshot(200, &[(1, entry(14.0, 70.0, None))])).deltas[0].calls, 4.0);
    let difference = deltas.difference(&snapshot(300, &[(1, entry(20.0, 100.0, None))]));
    assert_eq!(difference.deltas[0].calls, 10.0);
    assert_eq!(difference.interval.unwrap().start, Timestamp::from_nanos(100));
}

// === Readings of what changed ===

/// After a whole reading of three entries, one of which changed since the reading before.
fn settled() -> StatementDeltas {
    let mut deltas = StatementDeltas::default();
    let three = |calls| {
        [(1, entry(calls, calls * 5.0, None)), (2, entry(5.0, 5.0, None)), (3, entry(1.0, 1.0, None))]
    };
    deltas.commit(snapshot(100, &three(10.0)));
    deltas.commit(snapshot(200, &three(11.0)));
    deltas
}

fn changed(at: u64, entries: &[(i64, Entry)]) -> Snapshot {
    Snapshot { extent: Extent::Changed, ..snapshot(at, entries) }
}

#[test]
fn what_is_left_out_of_a_reading_stays_as_it_was() {
    let mut deltas = settled();
    assert_eq!(deltas.marks(&snapshot(300, &[])).unwrap().len(), 3);
    let second = changed(300, &[(2, entry(7.0, 7.0, None)), (4, entry(2.0, 2.0, None))]);
    assert_eq!(deltas.count(&second), 4);
    let difference = deltas.difference(&second);
    assert_eq!((difference.deltas.len(), difference.evictions), (2, Eviction::None));
    deltas.commit(second);
    let difference = deltas.difference(&changed(400, &[(1, entry(15.0, 75.0, None))]));
    assert_eq!((difference.deltas[0].calls, difference.deltas[0].exactness), (4.0, Exactness::LowerBound));
    assert_eq!(difference.interval.unwrap().start, Timestamp::from_nanos(300));
}

#[test]
fn a_reading_is_whole_unless_the_server_vouches_for_what_it_leaves_out() {
    let deltas = settled();
    let begun = snapshot(300, &[]);
    assert!(StatementDeltas::default().marks(&begun).is_none(), "nothing to compare with");
    assert!(deltas.marks(&begun).is_some());
    let not = |begun: Snapshot| assert!(deltas.marks(&begun).is_none(), "{begun:?}");
    not(Snapshot { node: node(2), ..begun.clone() });
    not(Snapshot { dealloc_before: Some(1), ..begun.clone() });
    not(Snapshot { dealloc_before: None, ..begun.clone() });
    not(Snapshot { stats_reset: Some(Timestamp::from_nanos(250)), ..begun.clone() });
    not(Snapshot { shape: Shape { toplevel: true, info: true }, ..begun.clone() });
    let mut deltas = settled();
    deltas.commit(Snapshot { dealloc: Some(1), ..changed(300, &[]) });
    assert!(deltas.marks(&begun).is_none(), "evicted while it was read: no before");
    assert!(deltas.marks(&Snapshot { dealloc_before: Some(1), ..begun.clone() }).is_none());
    let mut deltas = settled();
    deltas.commit(Snapshot { cut: 1, ..snapshot(300, &[]) });
    assert!(deltas.marks(&begun).is_none(), "more entries than we hold");
}

#[test]
fn a_reading_is_whole_now_and_then_and_as_long_as_most_statements_change() {
    let mut deltas = settled();
    for poll in 0..WHOLE_READING_EVERY - 1 {
        assert!(deltas.marks(&snapshot(300, &[])).is_some(), "poll {poll}");
        deltas.commit(changed(300, &[]));
    }
    assert!(deltas.marks(&snapshot(300, &[])).is_none());
    let mut deltas = settled();
    deltas.commit(changed(300, &[(1, entry(20.0, 80.0, None)), (2, entry(9.0, 9.0, None))]));
    assert!(deltas.marks(&snapshot(400, &[])).is_none());
}

// === Any history ===

/// What a server of some version lets us know.
#[derive(Clone, Copy, Debug)]
struct Version {
    stats_since: bool,
    info: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Run {
        id: i64,
        times: u8,
        ms: u8,
    },
    Evict {
        id: i64,
    },
    /// `pg_stat_statements_reset(userid, dbid, queryid)`: the server counts it nowhere.
    ResetOne {
        id: i64,
    },
    ResetAll,
    Restart {
        keeps_statistics: bool,
    },
    Poll {
        accepted: bool,
    },
}

/// A server that executes statements and forgets some, and what it truly did.
struct Server {
    version: Version,
    now: u64,
    started: u64,
    entries: BTreeMap<i64, Entry>,
    dealloc: i64,
    stats_reset: Option<u64>,
    truth: BTreeMap<i64, f64>,
    truth_ms: BTreeMap<i64, f64>,
}

impl Server {
    fn apply(&mut self, step: &Step) {
        self.now += 10;
        match step {
            Step::Run { id, times, ms } => self.run(*id, f64::from(*times), f64::from(*ms)),
            Step::Evict { id } => {
                if self.entries.remove(id).is_some() {
                    self.dealloc += 1;
                }
            }
            Step::ResetOne { id } => {
                self.entries.remove(id);
            }
            Step::ResetAll => {
                self.entries.clear();
                self.dealloc = 0;
                self.stats_reset = Some(self.now);
            }
            Step::Restart { keeps_statistics } => {
                self.started = self.now;
                if !keeps_statistics {
                    self.entries.clear();
                    self.dealloc = 0;
                }
            }
            Step::Poll { .. } => {}
        }
    }

    fn run(&mut self, id: i64, times: f64, ms: f64) {
        let since = self.version.stats_since.then_some(self.now);
        let entry = self.entries.entry(id).or_insert_with(|| Entry {
            min_ms: f64::INFINITY,
            max_ms: 0.0,
            ..entry(0.0, 0.0, since)
        });
        // Welford's update, one execution after the other.
        for _ in 0..times as u32 {
            let old = entry.times;
            let calls = old.calls + 1.0;
            let mean_ms = old.mean_ms + (ms - old.mean_ms) / calls;
            let squares = old.calls * old.stddev_ms.powi(2) + (ms - old.mean_ms) * (ms - mean_ms);
            entry.times = Cumulative {
                calls,
                total_ms: old.total_ms + ms,
                mean_ms,
                stddev_ms: (squares / calls).max(0.0).sqrt(),
            };
            entry.min_ms = entry.min_ms.min(ms);
            entry.max_ms = entry.max_ms.max(ms);
            entry.counters[0] = calls * 2.0;
        }
        entry.mark =
            mark(entry.times.calls, entry.times.total_ms) ^ (id + 1).wrapping_mul(0x5851_f42d_4c95_7f2d);
        *self.truth.entry(id).or_default() += times;
        *self.truth_ms.entry(id).or_default() += times * ms;
    }

    /// A reading as the receiver takes it: only what changed, where the differences allow it.
    fn reading(&self, deltas: &StatementDeltas) -> Snapshot {
        let mut snapshot = self.snapshot();
        if let Some(marks) = deltas.marks(&snapshot) {
            snapshot.entries.retain(|_, entry| !marks.contains(&entry.mark));
            snapshot.extent = Extent::Changed;
        }
        snapshot
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            node: node(self.started),
            taken_at: Timestamp::from_nanos(self.now),
            entries: self.entries.iter().map(|(id, entry)| (key(*id), entry.clone())).collect(),
            extent: Extent::Whole,
            dealloc_before: self.version.info.then_some(self.dealloc),
            dealloc: self.version.info.then_some(self.dealloc),
            max: Some(5_000),
            stats_reset: self
                .version
                .info
                .then_some(self.stats_reset.unwrap_or(0))
                .map(Timestamp::from_nanos),
            hidden: 0,
            cut: 0,
            shape: Shape::default(),
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0i64..6, 1u8..20, 1u8..100).prop_map(|(id, times, ms)| Step::Run { id, times, ms }),
        2 => (0i64..6).prop_map(|id| Step::Evict { id }),
        1 => (0i64..6).prop_map(|id| Step::ResetOne { id }),
        1 => Just(Step::ResetAll),
        1 => any::<bool>().prop_map(|keeps_statistics| Step::Restart { keeps_statistics }),
        5 => prop::bool::weighted(0.7).prop_map(|accepted| Step::Poll { accepted }),
    ];
    prop::collection::vec(step, 1..80)
}

fn versions() -> impl Strategy<Value = Version> {
    prop_oneof![
        Just(Version { stats_since: true, info: true }),
        Just(Version { stats_since: false, info: true }),
        Just(Version { stats_since: false, info: false }),
    ]
}

fn sorted(mut difference: Difference) -> String {
    difference.deltas.sort_by_key(|delta| delta.key);
    format!("{difference:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever the server does, the sum of what we say is never more than the true work, per statement. What is said to
    /// be exact is all of the statement's work since the last accepted reading, and it is said wherever the server dates
    /// the entry and it goes on. Where a new incarnation shows, all that it did is said. After a suspected one there are no
    /// moments.
    #[test]
    fn never_more_than_the_truth(version in versions(), steps in steps()) {
        let mut server = Server {
            version, now: 1, started: 1, entries: BTreeMap::new(), dealloc: 0, stats_reset: None,
            truth: BTreeMap::new(), truth_ms: BTreeMap::new(),
        };
        let mut deltas = StatementDeltas::default();
        let mut said: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
        // The truth at the last accepted poll, from which an exact interval must account for everything.
        let mut accounted: Option<BTreeMap<i64, f64>> = None;
        let mut accepted_entries: BTreeMap<i64, Entry> = BTreeMap::new();
        for step in &steps {
            server.apply(step);
            let Step::Poll { accepted } = step else { continue };
            let snapshot = server.reading(&deltas);
            if snapshot.extent == Extent::Changed {
                let whole = server.snapshot();
                prop_assert!(deltas.count(&snapshot) >= whole.entries.len());
                prop_assert_eq!(sorted(deltas.difference(&snapshot)), sorted(deltas.difference(&whole)));
            }
            let difference = deltas.difference(&snapshot);
            for delta in &difference.deltas {
                let id = delta.key.query_id;
                let before = accounted.as_ref().and_then(|truth| truth.get(&id)).copied().unwrap_or(0.0);
                if delta.exactness == Exactness::Exact {
                    prop_assert_eq!(delta.calls, server.truth[&id] - before, "exact but wrong: {:?}", delta);
                }
                let (now, earlier) = (&server.entries[&id], accepted_entries.get(&id));
                let goes_on = earlier.is_some_and(|earlier| earlier.stats_since == now.stats_since);
                if version.stats_since {
                    prop_assert_eq!(delta.exactness == Exactness::Exact, goes_on, "{:?}", delta);
                }
                let fell = earlier.is_some_and(|earlier| earlier.times.calls > now.times.calls);
                if fell || (version.stats_since && !goes_on) {
                    prop_assert_eq!(delta.calls, now.times.calls, "a new incarnation: {:?}", delta);
                }
                let subtracted =
                    earlier.is_some_and(|earlier| earlier.times.calls + delta.calls == now.times.calls);
                if subtracted && !version.stats_since && difference.evictions != Eviction::None {
                    prop_assert_eq!((delta.moments, delta.exactness), (None, Exactness::LowerBound));
                }
            }
            if *accepted {
                for delta in &difference.deltas {
                    let sum = said.entry(delta.key.query_id).or_default();
                    sum.0 += delta.calls;
                    sum.1 += delta.total_ms;
                    prop_assert!(delta.calls >= 0.0 && delta.total_ms >= 0.0);
                    if let Some(moments) = delta.moments {
                        prop_assert!(moments.mean_ms >= 0.99 && moments.mean_ms <= 99.01, "{moments:?}");
                        prop_assert!(moments.variance_ms2.is_none_or(|variance| variance >= 0.0));
                    }
                }
                deltas.commit(snapshot);
                accounted = Some(server.truth.clone());
                accepted_entries.clone_from(&server.entries);
            }
            for (id, (calls, ms)) in &said {
                prop_assert!(*calls <= server.truth[id], "statement {id}: said {calls} of {}", server.truth[id]);
                prop_assert!(*ms <= server.truth_ms[id] * (1.0 + 1e-9));
            }
        }
    }
}

#[test]
fn the_bytes_held_grow_with_the_entries_and_go_back() {
    let filled = |at, number| {
        let entries: Vec<_> = (0..number).map(|id| (id, entry(1.0, 1.0, None))).collect();
        snapshot(at, &entries)
    };
    let mut deltas = StatementDeltas::default();
    assert_eq!(deltas.held_bytes(), 0);
    deltas.commit(filled(100, 10));
    let few = deltas.held_bytes();
    assert!(few >= 10 * size_of::<(StatementKey, Entry)>());
    deltas.commit(filled(200, 1_000));
    let many = deltas.held_bytes();
    assert!(many >= few * 50, "{few} {many}");
    // Entries that did not change stay, so a reading without them frees nothing.
    deltas.commit(Snapshot { extent: Extent::Changed, ..filled(300, 1) });
    assert_eq!(deltas.held_bytes(), many);
    deltas.commit(filled(400, 10));
    assert_eq!(deltas.held_bytes(), few);
}
