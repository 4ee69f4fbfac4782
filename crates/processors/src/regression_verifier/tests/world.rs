//! A server whose statements do what they are told, with noise, hours of day and load.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dbintel_model::catalogue::STATEMENT_COUNTERS;
use dbintel_model::finding::{FindingKind, FindingNews};
use dbintel_model::{
    ACTION_FACT, Attribute, Batch, Change, ChangeKind, Clock, Counters, Exactness, FindingEvent, Interval,
    ManualClock, Moments, Node, OBJECT_FACT, PlanCause, PlanChange, PlanFingerprint, PlanIdentity,
    PlanReference, PlanRung, PlanSpan, PlanTimes, Query, QueryErrors, QueryKey, QueryText, ROLE_FACT, Record,
    Server, Session, TABLE_FACT, Target, Text, Timestamp,
};
use dbintel_pipeline::memory::MemoryAccounts;
use dbintel_pipeline::telemetry::Registry;
use dbintel_pipeline::{Context, Output, Processor as _, StateChange};

use crate::regression_verifier::{RegressionVerifier, RegressionVerifierSettings};

/// A Sunday, at midnight.
const START: Timestamp = Timestamp::from_nanos(1_793_491_200_000_000_000);
/// The least of these is one interval.
pub(super) const MINUTES: u64 = 5;
/// Seconds that are made of an interval.
const TICKS: usize = 4;

/// What one statement does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Behaviour {
    pub(super) calls_per_hour: f64,
    pub(super) ms: f64,
    pub(super) blocks: f64,
    pub(super) plan: u128,
    /// Executions of each interval that are timed out instead of ending.
    pub(super) timed_out: u64,
}

pub(super) struct World {
    pub(super) verifier: RegressionVerifier,
    pub(super) registry: Registry,
    pub(super) clock: ManualClock,
    pub(super) statements: Vec<Behaviour>,
    /// Time of everything is multiplied by it.
    pub(super) load: f64,
    /// Whether the server lets us see the texts.
    pub(super) texts_are_known: bool,
    /// How plans are obtained.
    pub(super) rung: PlanRung,
    /// What is known of executions by plan, of these statements.
    pub(super) timed: HashMap<usize, Arc<[PlanTimes]>>,
    pub(super) random: fastrand::Rng,
    /// A part of an hour that one step of simulated time takes, of an hour's length under the acceleration.
    pub(super) step: Duration,
    pub(super) found: Vec<FindingEvent>,
    /// Seconds that are made of an interval.
    pub(super) ticks: usize,
    /// What the store has.
    pub(super) store: BTreeMap<String, Vec<u8>>,
    /// What was given to it and is not written yet.
    pub(super) given: Vec<StateChange>,
    /// Seconds by which the server's clock is ahead of ours.
    pub(super) ahead: i64,
    /// When it was read last, where it was wrong then.
    read_at: Option<Timestamp>,
    settings: RegressionVerifierSettings,
}

pub(super) fn world(yaml: &str) -> World {
    let settings: RegressionVerifierSettings = dbintel_config::from_yaml(yaml).unwrap();
    let registry = Registry::default();
    let behave = |n: u32| Behaviour {
        calls_per_hour: 2_000.0 + 100.0 * f64::from(n),
        ms: 5.0 + f64::from(n),
        blocks: 60.0 + f64::from(n),
        plan: 100 + u128::from(n),
        timed_out: 0,
    };
    World {
        verifier: verifier(&settings, &registry),
        registry,
        clock: ManualClock::at(START),
        statements: (0..40).map(behave).collect(),
        load: 1.0,
        texts_are_known: true,
        rung: PlanRung::Actual,
        timed: HashMap::new(),
        random: fastrand::Rng::with_seed(42),
        step: Duration::from_secs(MINUTES * 60).div_f64(settings.acceleration),
        found: Vec::new(),
        ticks: TICKS,
        store: BTreeMap::new(),
        given: Vec::new(),
        ahead: 0,
        read_at: None,
        settings,
    }
}

fn verifier(settings: &RegressionVerifierSettings, registry: &Registry) -> RegressionVerifier {
    let config = settings.validate().unwrap().config;
    let accounts = MemoryAccounts::new(registry.clone());
    RegressionVerifier::new(
        "regression_verifier".into(),
        &"postgresql".into(),
        config,
        registry.clone(),
        &accounts,
    )
}

pub(super) fn key(statement: usize) -> QueryKey {
    QueryKey {
        system: "postgresql",
        database: "shop".into(),
        database_id: 5,
        user: "app".into(),
        user_id: 10,
        query_id: statement as i64,
        toplevel: Some(true),
    }
}

pub(super) fn text(statement: usize) -> Arc<QueryText> {
    Arc::new(QueryText {
        masked: Some("SELECT ? FROM orders".into()),
        fingerprint: 1_000 + statement as u64,
        kind: "select",
        operation: Some("SELECT"),
        summary: None,
        truncated: false,
    })
}

pub(super) fn plan(exact: u128) -> PlanFingerprint {
    PlanFingerprint { shape: exact / 2, exact }
}

pub(super) fn counters(blocks: f64, rows: f64) -> Counters {
    let value = |column: &str| match column {
        "shared_blks_hit" => blocks,
        "rows" => rows,
        _ => 0.0,
    };
    let values: Vec<f64> = STATEMENT_COUNTERS.iter().map(|definition| value(definition.column)).collect();
    Counters::new(&STATEMENT_COUNTERS, &values)
}

pub(super) fn node() -> Node {
    Node { system_identifier: Some(7), timeline: Some(1), version_number: 170_010, ..Node::default() }
}

impl World {
    /// A server after eight days, with the plans that its statements have had all the time. The days are simulated once, and
    /// taken over from then on.
    pub(super) fn after_a_week(yaml: &str) -> Self {
        static WEEK: OnceLock<World> = OnceLock::new();
        let mut world = world(yaml);
        if world.settings.acceleration > 1.0 {
            world.hours(8 * 24);
            return world;
        }
        let week = WEEK.get_or_init(|| {
            let mut world = self::world("{}");
            world.hours(8 * 24);
            world
        });
        world.clock = ManualClock::at(week.now());
        (world.random, world.store) = (week.random.clone(), week.store.clone());
        world.replace(&week.verifier.snapshot().unwrap());
        world
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What the server's clock says.
    fn server_now(&self) -> Timestamp {
        let now = self.now().as_nanos();
        Timestamp::from_nanos(now.saturating_add_signed(self.ahead.saturating_mul(1_000_000_000)))
    }

    /// Lets hours of simulated time pass.
    pub(super) fn hours(&mut self, hours: usize) {
        for _ in 0..hours * 60 / MINUTES as usize {
            self.interval();
        }
    }

    /// Hours in which nothing is read.
    pub(super) fn away(&mut self, hours: u64) {
        self.clock.advance(Duration::from_secs(hours * 3_600));
    }

    /// One interval of every statement.
    pub(super) fn interval(&mut self) {
        let start = self.now();
        self.clock.advance(self.step);
        // As the receiver has it after a clock that was set back: nothing ends before it begins.
        let end = self.server_now();
        let interval = Interval { start: self.read_at.unwrap_or(start).min(end), end };
        self.read_at = (self.ahead != 0).then_some(end);
        let hours = self.step.as_secs_f64() * self.settings.acceleration / 3_600.0;
        let day = start.since(START).as_secs_f64() * self.settings.acceleration / 86_400.0;
        // More work in the afternoon, and somewhat slower then.
        let swing = 1.0 + 0.5 * (day * std::f64::consts::TAU).sin();
        let records = (0..self.statements.len())
            .map(|n| {
                let Behaviour { calls_per_hour, ms, blocks, plan: exact, timed_out } = self.statements[n];
                let calls = (calls_per_hour * hours * swing * self.noise(0.05)).max(1.0).round();
                let mean = ms * self.load * (0.9 + 0.1 * swing) * self.noise(0.05);
                let blocks = blocks * self.noise(0.02);
                Record::Query(Box::new(Query {
                    key: key(n),
                    text: self.texts_are_known.then(|| text(n)),
                    interval,
                    calls: calls as i64,
                    total_time_ms: calls * mean,
                    moments: Some(Moments { mean_ms: mean, variance_ms2: Some((0.4 * mean).powi(2)) }),
                    counters: counters(calls * blocks, calls),
                    exactness: Exactness::LowerBound,
                    rank: None,
                    plan: Some(PlanReference { fingerprint: plan(exact), rung: self.rung }),
                    errors: (timed_out > 0).then_some(QueryErrors { failed: timed_out, timed_out }),
                    plan_missing: None,
                    plan_times: self.timed.get(&n).cloned(),
                }))
            })
            .collect();
        self.see(records);
    }

    /// An interval of a statement with this text under another identifier of the server.
    pub(super) fn tenant(&mut self, of: usize, query_id: i64, exact: u128) {
        let Behaviour { ms, blocks, .. } = self.statements[of];
        let start = Timestamp::from_nanos(self.now().as_nanos() - self.step.as_nanos() as u64);
        self.see(vec![Record::Query(Box::new(Query {
            key: QueryKey { query_id, ..key(of) },
            text: Some(text(of)),
            interval: Interval { start, end: self.now() },
            calls: 100,
            total_time_ms: 100.0 * ms,
            moments: Some(Moments { mean_ms: ms, variance_ms2: Some((0.4 * ms).powi(2)) }),
            counters: counters(100.0 * blocks, 100.0),
            exactness: Exactness::LowerBound,
            rank: None,
            plan: Some(PlanReference { fingerprint: plan(exact), rung: self.rung }),
            errors: None,
            plan_missing: None,
            plan_times: None,
        }))]);
    }

    /// A factor around one.
    fn noise(&mut self, sigma: f64) -> f64 {
        // Twelve uniform numbers have the variance of a normal one.
        let sum: f64 = (0..12).map(|_| self.random.f64()).sum();
        (sigma * (sum - 6.0)).exp()
    }

    pub(super) fn see(&mut self, records: Vec<Record>) {
        let passed = records.len();
        let out = self.process(records);
        assert_eq!(out.first().map(|batch| batch.records.len()), Some(passed), "what passes is not changed");
    }

    fn process(&mut self, records: Vec<Record>) -> Vec<Batch> {
        let server = Server {
            receiver: "postgresql".into(),
            system: "postgresql".into(),
            address: "localhost".into(),
            port: 5432,
            resource: Vec::new(),
        };
        let now = self.now();
        let batch = Batch {
            target: Arc::new(Target::server(Arc::new(server))),
            node: Some(Arc::new(node())),
            observed_at: now,
            server_clock: Some(self.server_now()),
            records,
        };
        let mut batches = self.run(|verifier, cx, out| {
            verifier.process(cx, batch, out);
            verifier.go_on(cx, out);
        });
        self.note_found(batches.split_off(1));
        // There are more seconds until the next batch, and with those everything is looked at and stored.
        for _ in 0..self.ticks {
            self.second(usize::MAX);
        }
        batches
    }

    /// A second, with so many parts of what takes long. Meanwhile the store writes what it was given before.
    pub(super) fn second(&mut self, parts: usize) {
        self.write(self.given.len());
        let batches = self.run(|verifier, cx, out| {
            verifier.tick(cx, out);
            (0..parts).take_while(|_| verifier.go_on(cx, out)).for_each(drop);
        });
        self.note_found(batches);
    }

    fn run(
        &mut self,
        work: impl FnOnce(&mut RegressionVerifier, &mut Context<'_>, &mut Output),
    ) -> Vec<Batch> {
        let (mut out, mut random) = (Output::default(), fastrand::Rng::with_seed(1));
        let mut cx = Context { now: self.now(), monotonic: self.clock.monotonic(), random: &mut random };
        work(&mut self.verifier, &mut cx, &mut out);
        let (state, lost) = out.take_state();
        assert_eq!(lost, 0);
        self.given.extend(state);
        out.take_batches()
    }

    fn note_found(&mut self, batches: Vec<Batch>) {
        for record in batches.into_iter().flat_map(|batch| batch.records) {
            let Record::Finding(event) = record else { panic!("{record:?}") };
            self.found.push(*event);
        }
    }

    /// The store writes the first of what it was given.
    pub(super) fn write(&mut self, count: usize) {
        for StateChange { key, value } in self.given.drain(..count) {
            match value {
                Some(value) => self.store.insert(key.to_string(), value),
                None => self.store.remove(key.as_str()),
            };
        }
    }

    /// An orderly stop, as a lane ends.
    pub(super) fn finish(&mut self) {
        let batches = self.run(|verifier, cx, out| {
            verifier.finish();
            while verifier.go_on(cx, out) {}
        });
        self.note_found(batches);
        self.write(self.given.len());
    }

    /// The next part of what takes long; what it finds is dropped.
    pub(super) fn go_on(&mut self) {
        self.run(|verifier, cx, out| _ = verifier.go_on(cx, out));
    }

    /// A statement gets another plan, and from now on takes so much more time and work.
    pub(super) fn flip(&mut self, statement: usize, time: f64, work: f64, causes: &[(&'static str, &str)]) {
        let old = self.statements[statement].plan;
        let new = old + 1_000;
        self.flip_to(statement, new, causes);
        let behaviour = &mut self.statements[statement];
        (behaviour.ms, behaviour.blocks) = (behaviour.ms * time, behaviour.blocks * work);
    }

    pub(super) fn flip_to(&mut self, statement: usize, new: u128, causes: &[(&'static str, &str)]) {
        let last = Timestamp::from_nanos(self.server_now().as_nanos() - 60_000_000_000);
        self.flip_since(statement, new, last, causes);
    }

    /// The same, where the old plan was last seen at this time.
    pub(super) fn flip_since(
        &mut self,
        statement: usize,
        new: u128,
        last: Timestamp,
        causes: &[(&'static str, &str)],
    ) {
        let now = self.server_now();
        let old = std::mem::replace(&mut self.statements[statement].plan, new);
        let cause = |(kind, said): &(&'static str, &str)| PlanCause {
            kind: Text::Static(kind),
            description: (*said).to_owned().into(),
        };
        self.see(vec![Record::PlanChange(Box::new(PlanChange {
            key: key(statement),
            text: self.texts_are_known.then(|| text(statement)),
            rung: self.rung,
            identity: PlanIdentity::Proven,
            at: now,
            old: plan(old),
            old_span: PlanSpan { first: START, last },
            old_cost: Some(100.0),
            new: plan(new),
            new_cost: Some(500.0),
            seen_before: None,
            difference: "Index Scan on orders -> Seq Scan on orders".into(),
            causes: causes.iter().map(cause).collect(),
            causes_not_listed: 0,
        }))]);
    }

    /// An index is dropped or created.
    pub(super) fn index(&mut self, action: &'static str) {
        self.index_named("public.orders_customer", action);
    }

    pub(super) fn index_named(&mut self, name: &'static str, action: &'static str) {
        self.index_noticed((name, action), Some(self.now()), None);
    }

    /// The same, noticed now: it has happened since `not_before`.
    pub(super) fn index_since(&mut self, action: &'static str, not_before: Timestamp) {
        self.index_noticed(("public.orders_customer", action), None, Some(not_before));
    }

    fn index_noticed(
        &mut self,
        (name, action): (&'static str, &'static str),
        at: Option<Timestamp>,
        not_before: Option<Timestamp>,
    ) {
        let definition = Some(Text::Static("btree (customer)"));
        let (before, after) = if action == "dropped" { (definition, None) } else { (None, definition) };
        self.see(vec![Record::Change(Box::new(Change {
            at,
            not_before,
            database: Some("shop".into()),
            subject: Some(name.into()),
            before,
            after,
            facts: vec![
                Attribute::new(OBJECT_FACT, "index"),
                Attribute::new(ACTION_FACT, action),
                Attribute::new(TABLE_FACT, "public.orders"),
            ],
            ..Change::new(ChangeKind::Ddl)
        }))]);
    }

    /// Something is told of the table that the statements are on: so many rows modified since its last analysis, so many known.
    pub(super) fn maintenance(&mut self, kind: ChangeKind, modified: i64, rows: f64) {
        self.maintenance_of("public.orders", kind, modified, rows);
    }

    pub(super) fn maintenance_of(&mut self, table: &'static str, kind: ChangeKind, modified: i64, rows: f64) {
        self.see(vec![Record::Change(Box::new(Change {
            at: Some(self.now()),
            database: Some("shop".into()),
            subject: Some(table.into()),
            after: (kind == ChangeKind::StatisticsStale).then(|| format!("{modified} rows modified").into()),
            facts: vec![
                Attribute::new("postgresql.table.modified_since_analyze", modified),
                Attribute::new("postgresql.table.reltuples", rows),
            ],
            ..Change::new(kind)
        }))]);
    }

    /// A setting of a role is another one.
    pub(super) fn setting(
        &mut self,
        role: &'static str,
        name: &'static str,
        (before, after): (&'static str, &'static str),
    ) {
        self.setting_of((Some(role), None), name, (Some(before), Some(after)));
    }

    /// A setting of a role, a database, a role in a database, or the server is another one, or none.
    pub(super) fn setting_of(
        &mut self,
        (role, database): (Option<&'static str>, Option<&'static str>),
        name: &'static str,
        (before, after): (Option<&'static str>, Option<&'static str>),
    ) {
        self.see(vec![Record::Change(Box::new(Change {
            at: Some(self.now()),
            database: database.map(Text::Static),
            subject: Some(name.into()),
            before: before.map(Text::Static),
            after: after.map(Text::Static),
            facts: role.into_iter().map(|role| Attribute::new(ROLE_FACT, role)).collect(),
            ..Change::new(ChangeKind::Setting)
        }))]);
    }

    pub(super) fn sessions(&mut self, statement: usize, count: usize, waits_for: Option<&'static str>) {
        let session = Session {
            database: Some("shop".into()),
            user: Some("app".into()),
            state: Some("active".into()),
            query_id: Some(statement as i64),
            wait_event_type: waits_for.map(Text::Static),
            ..Session::default()
        };
        self.see(vec![Record::Session(Box::new(session)); count]);
    }

    /// The processor is taken away when the store has written what it was given, and another one gets what the store has.
    pub(super) fn kill(&mut self) {
        self.kill_when_written(self.given.len());
    }

    /// The same, when so much of it is written. The rest is lost.
    pub(super) fn kill_when_written(&mut self, count: usize) {
        self.write(count);
        self.given.clear();
        let values = self.store.iter().filter_map(|(key, value)| {
            Some((key.as_str().strip_prefix("regression_verifier/")?, value.as_slice()))
        });
        let values: Vec<_> = values.collect();
        let mut verifier = verifier(&self.settings, &self.registry);
        verifier.restore_kept(&values).unwrap();
        self.verifier = verifier;
        self.nothing_was_damaged();
    }

    /// The processor is handed over in good order.
    pub(super) fn hand_over(&mut self) {
        let state = self.verifier.snapshot().unwrap();
        self.replace(&state);
    }

    fn replace(&mut self, state: &[u8]) {
        self.verifier = verifier(&self.settings, &self.registry);
        self.verifier.restore(state).unwrap();
        self.nothing_was_damaged();
    }

    fn nothing_was_damaged(&self) {
        let labels = [("receiver", "postgresql"), ("limit", "verifier_state_damaged")];
        assert_eq!(self.registry.value("dbintel_limit_reached_total", &labels), None);
    }

    pub(super) fn count(&self, name: &str, more: &[(&str, &str)]) -> f64 {
        let labels = [&[("processor", "regression_verifier"), ("receiver", "postgresql")], more].concat();
        self.registry.value(name, &labels).unwrap_or(0.0)
    }

    /// Findings in the order in which they were told, by kind and state.
    pub(super) fn told(&self) -> Vec<String> {
        let said = |event: &FindingEvent| {
            format!("{} {} {}", event.finding.kind, event.finding.state, event.finding.category)
        };
        self.found.iter().map(said).collect()
    }

    /// The same, of those that were opened.
    pub(super) fn opened(&self) -> Vec<String> {
        let opened = |event: &&FindingEvent| event.news == FindingNews::Opened;
        let said = |event: &FindingEvent| format!("{} {}", event.finding.kind, event.finding.category);
        self.found.iter().filter(opened).map(said).collect()
    }

    pub(super) fn of_kind(&self, kind: FindingKind) -> Vec<&FindingEvent> {
        self.found.iter().filter(|event| event.finding.kind == kind).collect()
    }
}
