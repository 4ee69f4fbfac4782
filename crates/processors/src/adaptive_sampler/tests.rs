//! The sampler on simulated time: what it keeps, what it counts, and what it never does.

mod estimate;
mod lane;
mod properties;

use std::sync::Arc;

use dbintel_model::{Blocking, Change, ChangeKind, Server, Target, Timestamp};

use super::*;
use crate::verification::tests::{finding, gauge, of_query, query};

/// The wall clock when a test begins: the start of a time bucket of any usual length.
const START: u64 = 1_795_233_600;

/// A sampler, and the second that it is.
pub(super) struct Simulation {
    sampler: AdaptiveSampler,
    registry: Registry,
    random: fastrand::Rng,
    second: u64,
}

impl Simulation {
    pub(super) fn new(json: &str) -> Self {
        Self::named("adaptive_sampler", json)
    }

    fn named(id: &'static str, json: &str) -> Self {
        let registry = Registry::default();
        let config = config(json);
        let sampler = AdaptiveSampler::new(id.into(), &config, "postgresql/orders".into(), registry.clone());
        Self { sampler, registry, random: fastrand::Rng::with_seed(1), second: 0 }
    }

    /// Gives a batch of these records now.
    pub(super) fn offer(&mut self, records: Vec<Record>) -> Batch {
        let mut batch = batch(records);
        batch.observed_at = Timestamp::from_nanos((START + self.second) * 1_000_000_000);
        self.offer_batch(batch)
    }

    fn offer_batch(&mut self, batch: Batch) -> Batch {
        let mut out = Output::default();
        let (now, monotonic) = self.times();
        self.sampler.process(&mut Context { now, monotonic, random: &mut self.random }, batch, &mut out);
        let batches = out.take_batches();
        let [batch] = <[Batch; 1]>::try_from(batches).unwrap();
        batch
    }

    /// Lets seconds pass, with a tick at the end of each.
    pub(super) fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.second += 1;
            let (now, monotonic) = self.times();
            let mut out = Output::default();
            self.sampler.tick(&mut Context { now, monotonic, random: &mut self.random }, &mut out);
            assert!(out.take_batches().is_empty());
        }
    }

    fn times(&self) -> (Timestamp, Monotonic) {
        let now = Timestamp::from_nanos((START + self.second) * 1_000_000_000);
        (now, Monotonic::default().plus(Duration::from_secs(self.second)))
    }

    fn dropped(&self, reason: &str, rule: &str) -> u64 {
        let labels = [
            ("processor", "adaptive_sampler"),
            ("receiver", "postgresql/orders"),
            ("reason", reason),
            ("rule", rule),
        ];
        self.registry.value("adaptive_sampler_records_dropped_total", &labels).unwrap_or_default() as u64
    }

    fn sum(&self, name: &str) -> u64 {
        let readings = self.registry.read();
        let series = readings.iter().filter(|reading| reading.metric.name == name);
        series.flat_map(|reading| &reading.series).map(|(_, value)| *value as u64).sum()
    }
}

fn config(json: &str) -> AdaptiveSamplerConfig {
    let settings: AdaptiveSamplerSettings = serde_json::from_str(json).unwrap();
    settings.validate().unwrap().config
}

pub(super) fn batch(records: Vec<Record>) -> Batch {
    let server = Server {
        receiver: "postgresql/orders".into(),
        system: "postgresql".into(),
        address: "db.example".into(),
        port: 5432,
        resource: Vec::new(),
    };
    Batch {
        target: Arc::new(Target::server(Arc::new(server))),
        node: None,
        observed_at: Timestamp::from_nanos(START * 1_000_000_000),
        server_clock: None,
        records,
    }
}

/// An active session of the database `orders`.
pub(super) fn cheap(pid: i64) -> Record {
    let database = Some("orders".into());
    Record::Session(Box::new(Session { pid, database, state: Some("active".into()), ..Session::default() }))
}

fn blocked(pid: i64) -> Record {
    let blocking = Some(Box::new(Blocking { pids: vec![1], ..Blocking::default() }));
    Record::Session(Box::new(Session { pid, blocking, ..Session::default() }))
}

fn mark(record: &Record) -> Sampling {
    match record {
        Record::Session(session) => session.sampling.unwrap(),
        other => panic!("not a session: {other:?}"),
    }
}

pub(super) fn kept(batch: &Batch) -> impl Iterator<Item = Sampling> {
    batch.records.iter().map(mark).filter(|mark| mark.keep)
}

const WIDE: &str = r#""max_records_per_second": 1000000"#;

#[test]
fn only_sessions_are_marked_and_everything_is_passed_on_in_its_order() {
    let mut simulation =
        Simulation::new(r#"{"rules": [{"name": "none", "sample_rate": 0, "conditions": []}]}"#);
    let others = [
        Record::Change(Box::new(Change::new(ChangeKind::Restart))),
        of_query(query("select ?")),
        gauge("orders"),
        finding("ANALYZE orders".to_owned(), 1),
    ];
    let mixed = others.iter().enumerate().flat_map(|(place, other)| [other.clone(), cheap(place as i64)]);
    let out = simulation.offer(mixed.collect());
    assert_eq!(out.records.len(), 8);
    for (pair, other) in out.records.chunks(2).zip(&others) {
        let [passed, session] = pair else { panic!("{pair:?}") };
        assert_eq!(passed, other);
        assert!(passed.leaves() && !passed.is_sampled_out() && !session.leaves(), "{passed:?}");
        assert_eq!(mark(session), Sampling { keep: false, probability: 0.0, suppressed: 0 });
    }
    assert_eq!(simulation.sum("adaptive_sampler_records_processed_total"), 4);
    assert_eq!(simulation.dropped("sampled", "none"), 4);
}

#[test]
fn matches_are_counted_by_rule() {
    let mut simulation = Simulation::new(
        r#"{"rules": [{"name": "first", "conditions": [
            {"attribute": "postgresql.pid", "operator": "lt", "value": 3}]}]}"#,
    );
    simulation.offer((0..10).map(cheap).collect());
    let matches = |rule: &str| {
        let labels = [("processor", "adaptive_sampler"), ("receiver", "postgresql/orders"), ("rule", rule)];
        simulation.registry.value("adaptive_sampler_rule_matches_total", &labels)
    };
    assert_eq!((matches("first"), matches("default")), (Some(3.0), Some(7.0)));
}

#[test]
fn a_flood_of_others_does_not_touch_critical_records() {
    let mut simulation = Simulation::new(r#"{"max_records_per_second": 100, "dedup": {"window": "0"}}"#);
    let (mut pid, mut others) = (0, 0);
    for _ in 0..120 {
        // Twenty per second are reserved. The flood comes first in its batch and in a batch before.
        let flood = |pid: &mut i64| -> Vec<Record> {
            std::iter::repeat_with(|| {
                *pid += 1;
                cheap(*pid)
            })
            .take(2_000)
            .collect()
        };
        others += kept(&simulation.offer(flood(&mut pid))).count();
        let mut records = flood(&mut pid);
        records.extend((0..20).map(|n| blocked(pid + n)));
        let out = simulation.offer(records);
        assert_eq!(kept(&Batch { records: out.records[2_000..].to_vec(), ..out.clone() }).count(), 20);
        others += kept(&Batch { records: out.records[..2_000].to_vec(), ..out }).count();
        simulation.pass(1);
    }
    // 80 per second for the rest, and its burst of ten seconds.
    assert!(others <= 80 * 120 + 800, "{others}");
    assert!(others >= 70 * 119, "the flood gets what is left: {others}");
    assert_eq!(simulation.dropped("rate_limited", "blocked_sessions"), 0);
}

#[test]
fn critical_records_come_first_within_a_batch_and_may_use_all() {
    let mut simulation = Simulation::new(r#"{"max_records_per_second": 10, "burst": "1s"}"#);
    let records: Vec<Record> = (0..100).map(cheap).chain((100..110).map(blocked)).collect();
    let out = simulation.offer(records);
    assert_eq!(kept(&out).count(), 10);
    assert!(out.records[100..].iter().all(|record| mark(record).keep));
}

#[test]
fn the_budget_holds_over_any_span_and_what_it_cuts_is_counted_by_rule() {
    let mut simulation = Simulation::new(
        r#"{"max_records_per_second": 50, "burst": "2s", "dedup": {"window": "0"}, "rules": [
            {"name": "some", "sample_rate": 1, "max_per_minute": 300,
             "conditions": [{"attribute": "postgresql.pid", "operator": "lt", "value": 1000}]},
            {"name": "rest", "priority": -1, "sample_rate": 1, "conditions": []}]}"#,
    );
    let (mut per_second, mut some_per_second) = (Vec::new(), Vec::new());
    for second in 0..240 {
        let offered = if second % 90 < 30 { 0 } else { 100 };
        let out = simulation.offer((0..offered).chain(1_000..1_000 + offered).map(cheap).collect());
        per_second.push(kept(&out).count());
        let (some, _) = out.records.split_at(out.records.len() / 2);
        some_per_second.push(some.iter().filter(|record| mark(record).keep).count());
        simulation.pass(1);
    }
    for from in 0..per_second.len() {
        for to in from..per_second.len() {
            let records: usize = per_second[from..=to].iter().sum();
            assert!(records <= 100 + 50 * (to - from), "{records} from {from} to {to}");
        }
    }
    assert!(some_per_second.windows(60).all(|minute| minute.iter().sum::<usize>() <= 300));
    let limited = simulation.dropped("rate_limited", "some") + simulation.dropped("rate_limited", "rest");
    let all = simulation.sum("adaptive_sampler_records_processed_total");
    assert_eq!(limited + per_second.iter().sum::<usize>() as u64, all);
    assert_eq!(simulation.sum("adaptive_sampler_rule_matches_total"), all);
    assert!(simulation.dropped("rate_limited", "some") > 0 && simulation.dropped("sampled", "rest") == 0);
}

#[test]
fn the_rate_adapts_and_never_falls_below_its_floor() {
    let mut simulation = Simulation::new(
        r#"{"max_records_per_second": 100, "min_rate": 0.05, "time_bucket": "10s", "dedup": {"window": "0"},
            "rules": []}"#,
    );
    let (mut pid, mut lowest) = (0, f64::MAX);
    let mut run = |simulation: &mut Simulation, per_second: i64| {
        let mut last = 0.0;
        for _ in 0..200 {
            let out = simulation.offer((pid..pid + per_second).map(cheap).collect());
            pid += per_second;
            last = mark(&out.records[0]).probability;
            lowest = lowest.min(last);
            simulation.pass(1);
        }
        last
    };
    assert_eq!(run(&mut simulation, 20), 1.0);
    let busy = run(&mut simulation, 900);
    assert!((busy - 0.1).abs() < 0.01, "{busy}");
    let limited = simulation.dropped("rate_limited", "default");
    assert_eq!(run(&mut simulation, 20_000), 0.05);
    assert!(simulation.dropped("rate_limited", "default") > limited, "below the floor, the hard limit cuts");
    assert_eq!(run(&mut simulation, 20), 1.0);
    assert_eq!(lowest, 0.05);
}

#[test]
fn duplicates_are_left_out_told_with_the_next_and_hidden_by_nothing_that_was_not_kept() {
    let mut simulation = Simulation::new(
        r#"{"rules": [{"name": "one", "sample_rate": 1, "max_per_minute": 1, "conditions": [
            {"attribute": "postgresql.pid", "operator": "eq", "value": 2}]}], "dedup": {"window": "10s"}}"#,
    );
    let mut seen = |seconds: u64, records: Vec<Record>| {
        let marks: Vec<_> = simulation.offer(records).records.iter().map(mark).collect();
        simulation.pass(seconds);
        marks.iter().map(|mark| (mark.keep, mark.suppressed)).collect::<Vec<_>>()
    };
    assert_eq!(seen(4, vec![cheap(1), cheap(1)]), [(true, 0), (false, 0)]);
    assert_eq!(seen(4, vec![cheap(1)]), [(false, 0)]);
    assert_eq!(seen(4, vec![cheap(1)]), [(false, 0)]);
    assert_eq!(seen(18, vec![cheap(1)]), [(true, 3)]);
    // A new time bucket is a new draw.
    assert_eq!(seen(1, vec![cheap(1)]), [(true, 0)]);
    // What a limit cuts is not remembered: a minute later, the second one is kept.
    let active = |state: &'static str| {
        let session = Session { pid: 2, state: Some(state.into()), ..Session::default() };
        Record::Session(Box::new(session))
    };
    assert_eq!(seen(60, vec![active("a"), active("b"), active("b")]), [(true, 0), (false, 0), (false, 0)]);
    assert_eq!(seen(1, vec![active("b"), active("a")]), [(false, 0), (false, 0)]);
    assert_eq!(seen(1, vec![active("b")]), [(true, 0)]);
    assert_eq!(simulation.dropped("duplicate", "default"), 3);
    assert_eq!(simulation.dropped("rate_limited", "one"), 4);
    let labels = [("processor", "adaptive_sampler"), ("receiver", "postgresql/orders")];
    let hit_rate = simulation.registry.value("adaptive_sampler_cache_hit_rate", &labels).unwrap();
    assert!(hit_rate > 0.0 && hit_rate < 1.0, "{hit_rate}");
}

#[test]
fn replicas_with_the_same_rate_keep_the_same_records() {
    let json = r#"{"rules": [{"name": "all", "sample_rate": 0.3, "conditions": []}]}"#;
    let (mut one, mut other) = (Simulation::new(json), Simulation::new(json));
    // The other replica was started later: its monotonic clock and its observation differ, the server's clock does not.
    other.pass(7);
    for second in 0..100 {
        let mut batch = batch((0..50).map(cheap).collect());
        batch.server_clock = Some(Timestamp::from_nanos((START + second) * 1_000_000_000));
        let keeps = |batch: &Batch| batch.records.iter().map(|record| mark(record).keep).collect::<Vec<_>>();
        let (kept_by_one, kept_by_other) = (one.offer_batch(batch.clone()), other.offer_batch(batch));
        assert_eq!(keeps(&kept_by_one), keeps(&kept_by_other));
        one.pass(1);
        other.pass(1);
    }
    assert!(one.dropped("sampled", "all") > 0);
}

#[test]
fn no_session_is_hidden_for_ever() {
    let mut simulation = Simulation::new(
        r#"{"time_bucket": "1s", "dedup": {"window": "1s"},
            "rules": [{"name": "all", "sample_rate": 0.05, "conditions": []}]}"#,
    );
    let mut seen = [0_u32; 200];
    for _ in 0..600 {
        let out = simulation.offer((0..200).map(cheap).collect());
        for (seen, record) in seen.iter_mut().zip(&out.records) {
            *seen += u32::from(mark(record).keep);
        }
        simulation.pass(1);
    }
    assert!(seen.iter().all(|times| (5..80).contains(times)), "{seen:?}");
}

#[test]
fn a_second_sampler_draws_by_itself_and_leaves_what_is_out_out() {
    let json = format!(r#"{{{WIDE}, "rules": [{{"name": "all", "sample_rate": 0.5, "conditions": []}}]}}"#);
    let (mut first, mut second) = (Simulation::new(&json), Simulation::named("adaptive_sampler/2", &json));
    let once = first.offer((0..10_000).map(cheap).collect());
    let twice = second.offer_batch(once.clone());
    assert!(kept(&twice).all(|mark| mark.probability == 0.25));
    let count = kept(&twice).count();
    // Standard deviation 43.
    assert!((2_284..2_716).contains(&count), "{count}");
    assert!(once.records.iter().zip(&twice.records).all(|(a, b)| mark(a).keep || a == b));
}

#[test]
fn a_page_shows_the_rate_and_every_rule() {
    let mut simulation = Simulation::new(r#"{"rules": [{"template": "blocked_sessions"}]}"#);
    simulation.offer(vec![cheap(1), cheap(1), blocked(2)]);
    let (now, monotonic) = simulation.times();
    let mut cx = Context { now, monotonic, random: &mut simulation.random };
    let reply = simulation.sampler.command(&mut cx, &Command::Show, &mut Output::default());
    let lines: Vec<String> = reply.lines.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_eq!(
        lines,
        [
            "adaptive rate: 1.0000",
            "offered: 0.0 records/s that no fixed rate decides",
            "remembered for duplicates: 2 records",
            "rule blocked_sessions: 1 records, 0 sampled, 0 rate_limited, 0 duplicate",
            "rule default: 2 records, 0 sampled, 0 rate_limited, 1 duplicate",
        ]
    );
}
