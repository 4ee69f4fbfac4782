//! The processor by itself and in a lane: what leaves, what does not, and that it is counted.

use std::time::Duration;

use dbintel_model::catalogue::{METRICS, STATEMENT_COUNTERS, metric};
use dbintel_model::finding::{
    Category, Evidence, FindingKind, FindingNews, Identity, Scripts, Source, Subject,
};
use dbintel_model::{
    Attribute, Change, ChangeKind, Clock, Counters, Exactness, Finding, FindingEvent, Gap, GapReason,
    Instrument, Interval, ManualClock, Moments, Number, PlanChange, PlanFingerprint, PlanIdentity, PlanNews,
    PlanNumbers, PlanRung, PlanSpan, Query, QueryKey, QueryPlan, QueryText, Session, Target, Timestamp,
};
use dbintel_pipeline::memory::MemoryState;
use dbintel_pipeline::status::{ComponentKind, StatusBoard};
use dbintel_pipeline::{
    Delivery, ExporterTelemetry, Lane, LaneContext, LaneLimits, ProcessorFactory, QueueLimits, Signals, Sink,
    Supervisor, WeightedQueue,
};
use tokio::sync::mpsc;

use super::rota::SWEEP_EVERY;
use super::*;

const NOW: Timestamp = Timestamp::from_nanos(1_795_236_205_000_000_000);

struct Fixture {
    processor: Verification,
    registry: Registry,
    clock: ManualClock,
}

fn fixture(yaml: &str) -> Fixture {
    let settings: VerificationSettings = dbintel_config::from_yaml(yaml).unwrap();
    let registry = Registry::default();
    let config = settings.validate().unwrap().config;
    let processor = Verification::new("verification".into(), &"postgresql".into(), config, registry.clone());
    Fixture { processor, registry, clock: ManualClock::at(NOW) }
}

impl Fixture {
    fn run(&mut self, records: Vec<Record>) -> Vec<Record> {
        self.run_batch(batch(records, self.clock.now()))
    }

    fn run_batch(&mut self, batch: Batch) -> Vec<Record> {
        let mut out = Output::default();
        let mut random = fastrand::Rng::with_seed(1);
        let mut cx =
            Context { now: self.clock.now(), monotonic: self.clock.monotonic(), random: &mut random };
        self.processor.process(&mut cx, batch, &mut out);
        out.take_batches().into_iter().flat_map(|batch| batch.records).collect()
    }

    fn tick(&mut self, after: Duration) {
        self.clock.advance(after);
        let mut random = fastrand::Rng::with_seed(1);
        let mut cx =
            Context { now: self.clock.now(), monotonic: self.clock.monotonic(), random: &mut random };
        self.processor.tick(&mut cx, &mut Output::default());
    }

    fn value(&self, name: &str, more: &[(&str, &str)]) -> Option<f64> {
        let labels = [&[("processor", "verification"), ("receiver", "postgresql")], more].concat();
        self.registry.value(name, &labels)
    }

    fn dropped(&self, reason: &str) -> f64 {
        self.value("verification_records_dropped_total", &[("reason", reason)]).unwrap()
    }
}

fn batch(records: Vec<Record>, at: Timestamp) -> Batch {
    let server = Server {
        receiver: "postgresql".into(),
        system: "postgresql".into(),
        address: "localhost".into(),
        port: 5432,
        resource: vec![Attribute::new("server.address", "localhost")],
    };
    let target = Arc::new(Target::server(Arc::new(server)));
    Batch { target, node: None, observed_at: at, server_clock: Some(at), records }
}

fn point(table: &str, value: Number, instrument: Instrument) -> Record {
    let labels =
        Labels { resource: Vec::new(), point: vec![Attribute::new("db.collection.name", table.to_owned())] };
    let metric = METRICS.iter().find(|metric| metric.instrument == instrument).unwrap();
    Record::Metric(MetricPoint {
        metric,
        labels: Arc::new(labels),
        fixed: &[],
        value,
        start: None,
        time: NOW,
    })
}

pub(crate) fn gauge(table: &str) -> Record {
    point(table, Number::Int(1), Instrument::Gauge)
}

pub(crate) fn query(text: &str) -> Query {
    let counters = vec![1.0; STATEMENT_COUNTERS.len()];
    let text = QueryText {
        masked: Some(text.into()),
        fingerprint: 7,
        kind: "select",
        operation: Some("SELECT"),
        summary: Some("SELECT t".into()),
        truncated: false,
    };
    Query {
        key: QueryKey {
            system: "postgresql",
            database: "orders".into(),
            database_id: 1,
            user: "app".into(),
            user_id: 2,
            query_id: 3,
            toplevel: Some(true),
        },
        text: Some(Arc::new(text)),
        interval: Interval { start: NOW, end: NOW },
        calls: 1,
        total_time_ms: 1.0,
        moments: Some(Moments { mean_ms: 1.0, variance_ms2: Some(1.0) }),
        counters: Counters::new(&STATEMENT_COUNTERS, &counters),
        exactness: Exactness::Exact,
        rank: Some(1),
        plan: None,
        plan_missing: None,
        plan_times: None,
        errors: None,
    }
}

pub(crate) fn of_query(query: Query) -> Record {
    Record::Query(Box::new(query))
}

fn session(application: &str) -> Record {
    Record::Session(Box::new(Session {
        pid: 7,
        application: Some(application.to_owned().into()),
        ..Session::default()
    }))
}

fn gap(detail: &str) -> Record {
    let (what, reason) = ("statements".into(), GapReason::ServerError);
    let detail = detail.to_owned().into();
    Record::Gap(Box::new(Gap { what, database: None, from: None, to: NOW, reason, detail }))
}

#[test]
fn what_is_in_order_leaves_as_it_is() {
    let mut fixture = fixture("{}");
    let mut untold = query("select ?");
    untold.rank = None;
    untold.calls = -1;
    let records = vec![gauge("t"), of_query(query("select ?")), session("web"), gap("why"), of_query(untold)];
    let Record::Query(before) = &records[1] else { panic!() };
    let text = Arc::clone(before.text.as_ref().unwrap());
    let left = fixture.run(records.clone());
    assert_eq!(left, records);
    let Record::Query(after) = &left[1] else { panic!() };
    assert!(Arc::ptr_eq(&text, after.text.as_ref().unwrap()), "the text is not copied");
    assert_eq!(fixture.processor.telemetry.drops().count(), 0);
    let missing =
        fixture.value("verification_identity_missing_total", &[("attribute", "service.instance.id")]);
    assert_eq!(missing, Some(1.0));
}

#[test]
fn records_that_make_no_sense_are_dropped_by_reason() {
    let mut fixture = fixture("{}");
    let changed = |change: fn(&mut Query)| {
        let mut query = query("select ?");
        change(&mut query);
        of_query(query)
    };
    let cases = [
        ("not_a_number", point("t", Number::Double(f64::NAN), Instrument::Gauge)),
        ("not_a_number", point("t", Number::Double(f64::INFINITY), Instrument::Counter)),
        ("negative_counter", point("t", Number::Int(-1), Instrument::Counter)),
        ("missing_identity", changed(|query| query.key.query_id = 0)),
        ("interval_reversed", changed(|query| query.interval.start = NOW.plus(Duration::from_secs(1)))),
        ("negative_counter", changed(|query| query.calls = -1)),
        ("negative_duration", changed(|query| query.total_time_ms = -0.1)),
        ("not_a_number", changed(|query| query.total_time_ms = f64::NAN)),
        (
            "missing_time",
            changed(|query| {
                query.interval = Interval { start: Timestamp::default(), end: Timestamp::default() }
            }),
        ),
        (
            "too_old",
            changed(|query| {
                let old = Timestamp::from_nanos(NOW.as_nanos() - 25 * 3_600_000_000_000);
                query.interval = Interval { start: old, end: old };
            }),
        ),
        ("from_the_future", changed(|query| query.interval.end = NOW.plus(Duration::from_secs(601)))),
        ("missing_identity", Record::Session(Box::default())),
    ];
    for (reason, record) in cases {
        let before = fixture.dropped(reason);
        assert_eq!(fixture.run(vec![record]), [], "{reason}");
        assert_eq!(fixture.dropped(reason), before + 1.0);
    }
    // A gauge may be below zero.
    assert_eq!(fixture.run(vec![point("t", Number::Int(-1), Instrument::Gauge)]).len(), 1);
    let mut nobody = batch(vec![gauge("t"), gauge("u")], NOW);
    let server =
        Server { address: "".into(), ..batch(Vec::new(), NOW).target.server.as_ref().clone_for_test() };
    nobody.target = Arc::new(Target::server(Arc::new(server)));
    assert_eq!(fixture.run_batch(nobody), []);
    assert_eq!(fixture.dropped("missing_target"), 2.0);
}

trait CloneForTest {
    fn clone_for_test(&self) -> Self;
}

impl CloneForTest for Server {
    fn clone_for_test(&self) -> Self {
        Self {
            receiver: self.receiver.clone(),
            system: self.system.clone(),
            address: self.address.clone(),
            port: self.port,
            resource: self.resource.clone(),
        }
    }
}

#[test]
fn a_wrong_value_beside_the_main_one_is_taken_out() {
    let mut fixture = fixture("{}");
    let mut wrong = query("select ?");
    wrong.moments = Some(Moments { mean_ms: 1.0, variance_ms2: Some(-1.0) });
    let mut counters = vec![1.0; STATEMENT_COUNTERS.len()];
    (counters[0], counters[1], counters[2]) = (-1.0, f64::INFINITY, f64::NAN);
    wrong.counters = Counters::new(&STATEMENT_COUNTERS, &counters);
    let left = fixture.run(vec![of_query(wrong)]);
    let Record::Query(left) = &left[0] else { panic!() };
    assert_eq!(left.moments, Some(Moments { mean_ms: 1.0, variance_ms2: None }));
    let known = |index: usize| left.counters.get(STATEMENT_COUNTERS[index].column);
    assert_eq!((known(0), known(1), known(3)), (None, None, Some(1.0)));
    let count = |reason| fixture.value("verification_values_dropped_total", &[("reason", reason)]);
    assert_eq!((count("negative"), count("not_a_number")), (Some(2.0), Some(1.0)));
}

#[test]
fn a_server_whose_clock_is_wrong_loses_nothing() {
    let mut fixture = fixture("{freshness: {max_age: 1m, max_future: 1s}}");
    fixture.clock.set_wall(NOW.plus(Duration::from_secs(86_400)));
    let mut batch = batch(vec![gauge("t"), of_query(query("select ?"))], fixture.clock.now());
    batch.server_clock = Some(NOW);
    assert_eq!(fixture.run_batch(batch).len(), 2);
    assert_eq!(fixture.value("verification_server_clock_skew_seconds", &[]), Some(-86_400.0));
}

#[test]
fn what_is_untimely_can_be_counted_only() {
    let mut fixture = fixture("{freshness: {max_age: 1m, action: count}}");
    fixture.clock.advance(Duration::from_secs(61));
    assert_eq!(fixture.run(vec![gauge("t")]).len(), 1);
    assert_eq!(fixture.value("verification_untimely_records_total", &[("reason", "too_old")]), Some(1.0));
    assert_eq!(fixture.dropped("too_old"), 0.0);
}

#[test]
fn values_too_many_overflow_in_events_and_take_points_away() {
    let mut fixture = fixture(
        "{cardinality: {attributes: {db.collection.name: 2, postgresql.application_name: 1}, forget_after: 10m}}",
    );
    let points = ["a", "b", "c", "a", "d"].map(gauge).to_vec();
    assert_eq!(fixture.run(points), ["a", "b", "a"].map(gauge));
    assert_eq!(fixture.dropped("cardinality"), 2.0);
    let left = fixture.run(vec![session("web"), session("job"), session("web")]);
    assert_eq!(left, [session("web"), session(OVERFLOW), session("web")]);
    let count = |key| fixture.value("verification_cardinality_overflow_total", &[("attribute", key)]);
    assert_eq!((count("db.collection.name"), count("postgresql.application_name")), (Some(2.0), Some(1.0)));

    // What is seen stays; what is not seen any more makes room.
    for _ in 0..3 {
        fixture.tick(Duration::from_secs(301));
        assert_eq!(fixture.run(vec![gauge("a")]).len(), 1);
    }
    assert_eq!(fixture.run(vec![gauge("c"), gauge("b")]), [gauge("c")]);
}

#[test]
fn texts_are_masked_and_counted_in_every_record_that_carries_them() {
    let mut fixture = fixture("{}");
    let record = of_query(query("select \"bob@example.com\""));
    let left = fixture.run(vec![
        record.clone(),
        record,
        session("psql of eve@example.org"),
        gap("to DE89370400440532013000"),
    ]);
    for (record, expect) in left.iter().zip([
        "select \"[redacted]\"",
        "select \"[redacted]\"",
        "psql of [redacted]",
        "to [redacted]",
    ]) {
        let mut seen = false;
        record.for_each_attribute(&mut |_, value| seen |= value == dbintel_model::ValueRef::Text(expect));
        assert!(seen, "{record:?}");
    }
    let count =
        |detector| fixture.value("verification_sensitive_values_masked_total", &[("detector", detector)]);
    assert_eq!((count("email"), count("iban"), count("token")), (Some(3.0), Some(1.0), Some(0.0)));
}

#[test]
fn large_texts_are_cut_and_marked() {
    let mut fixture = fixture("{sizes: {max_text: 1KiB, max_record: 8KiB}}");
    let mut change = Change::new(ChangeKind::Setting);
    change.facts = (0..12).map(|_| Attribute::new("db.namespace", "é".repeat(5_000))).collect();
    let left = fixture.run(vec![
        of_query(query(&"é".repeat(5_000))),
        Record::Change(Box::new(change)),
        gauge(&"x".repeat(2_000)),
    ]);
    assert_eq!(left.len(), 2);
    let Record::Query(query) = &left[0] else { panic!() };
    let text = query.text.as_ref().unwrap();
    let masked = text.masked.as_ref().unwrap();
    assert!(text.truncated && masked.ends_with(TRUNCATED) && (1_020..=1_024).contains(&masked.len()));
    assert!(left[1].weight_bytes() <= 8 << 10, "{}", left[1].weight_bytes());
    assert_eq!(fixture.value("verification_texts_truncated_total", &[]), Some(2.0));
    assert_eq!(fixture.dropped("label_size"), 1.0);
}

#[test]
fn the_byte_budget_gives_up_sessions_then_texts_and_nothing_else() {
    let mut fixture = fixture("{budget: {max_bytes_per_minute: 60000}}");
    let left = fixture.run((0..1_000).map(|_| session("web")).collect());
    assert!((10..1_000).contains(&left.len()), "{}", left.len());
    assert_eq!(fixture.dropped("byte_budget"), 1_000.0 - left.len() as f64);
    let ratio = |fixture: &Fixture| fixture.value("verification_byte_budget_ratio", &[]).unwrap();
    fixture.tick(Duration::from_secs(1));
    assert!((0.7..=0.8).contains(&ratio(&fixture)), "{}", ratio(&fixture));

    let text = "select ?, ".repeat(100);
    let left = fixture.run((0..10).map(|_| of_query(query(&text))).collect());
    let with_text = left.iter().filter(
        |record| matches!(record, Record::Query(query) if query.text.as_ref().unwrap().masked.is_some()),
    );
    assert_eq!((left.len(), with_text.count()), (10, 1));
    assert_eq!(fixture.value("verification_texts_removed_total", &[]), Some(9.0));
    assert_eq!(fixture.run(vec![gauge("t"); 2_000]).len() + fixture.run(vec![gap("why")]).len(), 2_001);
    fixture.tick(Duration::from_secs(1));
    assert!(ratio(&fixture) > 1.0);
    fixture.tick(Duration::from_secs(60));
    assert_eq!((ratio(&fixture), fixture.run(vec![session("web")]).len()), (0.0, 1));
}

#[test]
fn new_series_beyond_the_limit_are_dropped_and_active_ones_go_on() {
    let mut fixture = fixture(
        "{budget: {max_series: 2, series_active_for: 5m, price_per_1000_series_per_month: 365, price_per_gib: 1024, currency: EUR}}",
    );
    assert_eq!(fixture.run(["a", "b", "c", "a"].map(gauge).to_vec()).len(), 3);
    assert_eq!(fixture.dropped("series_budget"), 1.0);
    fixture.tick(Duration::from_secs(60));
    assert_eq!(fixture.value("verification_active_series", &[]), Some(2.0));
    let cost = |fixture: &Fixture, part| {
        let labels = [("part", part), ("source", "configured"), ("currency", "EUR")];
        fixture.value("verification_cost_per_day", &labels)
    };
    let close = |value: Option<f64>, expect: f64| (value.unwrap() / expect - 1.0).abs() < 1e-9;
    assert!(close(cost(&fixture, "series"), 0.024));
    let bytes = fixture.value("verification_bytes_total", &[("signal", "metrics")]).unwrap();
    assert!(close(cost(&fixture, "bytes"), bytes * 1_440.0 / f64::from(1 << 20)));
    fixture.tick(Duration::from_secs(600));
    assert_eq!(fixture.value("verification_active_series", &[]), Some(0.0));
    assert_eq!(fixture.run(vec![gauge("c")]).len(), 1);
}

/// Also where a currency or one of the two prices is configured: what has no price has no cost.
#[test]
fn without_a_price_there_is_no_cost() {
    let cases: [(&str, &[&str]); 3] = [
        ("{}", &[]),
        ("{budget: {max_series: 10, max_bytes_per_minute: 1MiB, currency: EUR}}", &[]),
        ("{budget: {price_per_gib: 1024}}", &["bytes"]),
    ];
    for (yaml, expected) in cases {
        let mut fixture = fixture(yaml);
        assert_eq!(fixture.run(vec![gauge("t"), of_query(query("select ?"))]).len(), 2);
        fixture.tick(Duration::from_secs(60));
        assert_eq!(fixture.value("verification_active_series", &[]), Some(1.0));
        let readings = fixture.registry.read();
        let costs = readings.iter().filter(|reading| reading.metric.name == "verification_cost_per_day");
        let labels = costs.flat_map(|reading| &reading.series).flat_map(|(labels, _)| labels);
        let parts: Vec<&str> =
            labels.filter(|(name, _)| *name == "part").map(|(_, part)| part.as_str()).collect();
        assert_eq!(parts, expected, "{yaml}");
    }
}

#[test]
fn the_normalisation_ratio_counts_texts_that_are_held() {
    let mut fixture = fixture("{}");
    let held = fixture.run(["select ?", "SELECT ?", "Select ?"].map(query).map(of_query).to_vec());
    fixture.tick(SWEEP_EVERY);
    assert_eq!(fixture.value("verification_normalisation_ratio", &[]), Some(1.0 / 3.0));
    drop(held);
    fixture.tick(SWEEP_EVERY);
    assert_eq!(fixture.processor.texts.normalisation(), None);
}

#[test]
fn metric_names_are_of_the_catalogue() {
    assert!(metric("postgresql.commits").is_some());
    assert!(
        crate::definitions::ALL.iter().filter(|metric| metric.name.starts_with("verification_")).count() > 10
    );
}

#[tokio::test(start_paused = true)]
async fn in_a_lane_it_sees_what_others_made_and_what_it_drops_is_counted() {
    /// Adds a point that must not leave to every batch.
    struct Careless;
    impl Processor for Careless {
        fn id(&self) -> &str {
            "careless"
        }
        fn process(&mut self, _: &mut Context<'_>, mut batch: Batch, out: &mut Output) {
            batch.records.push(point("t", Number::Double(f64::NAN), Instrument::Gauge));
            out.emit(batch);
        }
    }

    let (registry, board) = (Registry::default(), StatusBoard::default());
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(NOW));
    let input = Arc::new(WeightedQueue::<Delivery>::new(QueueLimits { max_bytes: 1 << 20, max_items: 8 }));
    let (made, at) = (registry.clone(), clock.now());
    let verification = move || -> Box<dyn Processor> {
        let config = VerificationConfig::default();
        Box::new(Verification::new("verification".into(), &"postgresql".into(), config, made.clone()))
    };
    let chain = vec![
        ProcessorFactory { id: "careless".into(), build: Arc::new(|| Box::new(Careless)) },
        ProcessorFactory { id: "verification".into(), build: Arc::new(verification) },
    ];
    let telemetry = ExporterTelemetry::new(registry.clone(), "debug".into());
    let cx = LaneContext {
        id: "postgresql".into(),
        limits: LaneLimits { queue: QueueLimits { max_bytes: 1 << 20, max_items: 8 } },
        chain,
        sinks: vec![Sink { input: Arc::clone(&input), signals: Signals::ALL, telemetry }],
        requests: mpsc::channel(1).0,
        store: None,
        memory: MemoryState::default(),
        overrides: dbintel_pipeline::overrides::Overrides::new(Arc::clone(&clock)),
        clock: Arc::clone(&clock),
        registry: registry.clone(),
        status: board.register(ComponentKind::Lane, "postgresql".into(), at),
        seed: 1,
    };
    let lane = Lane::start(cx, &Supervisor::new(clock, registry.clone()));
    lane.door().offer(batch(vec![gauge("t")], at)).unwrap();
    lane.door().offer(batch(Vec::new(), at)).unwrap();
    assert!(lane.drain(Duration::from_secs(1)).await);
    let left: Vec<_> =
        std::iter::from_fn(|| input.try_pop()).map(|delivery| delivery.batch.records.len()).collect();
    assert_eq!(left, [1], "the batch of which nothing is left does not leave");
    let labels = [("processor", "verification"), ("receiver", "postgresql"), ("reason", "not_a_number")];
    assert_eq!(registry.value("verification_records_dropped_total", &labels), Some(2.0));
}

fn query_plan(json: String) -> Record {
    let Record::Query(query) = of_query(query("select 1")) else { panic!() };
    let (key, fingerprint) = (query.key, PlanFingerprint { shape: 1, exact: 2 });
    Record::QueryPlan(Box::new(QueryPlan {
        key,
        text: query.text,
        rung: PlanRung::Generic,
        identity: PlanIdentity::Proven,
        news: PlanNews::FirstSeen,
        fingerprint,
        obtained_at: NOW,
        numbers: PlanNumbers::default(),
        summary: "Seq Scan on orders".into(),
        rules: Text::default(),
        findings: Text::default(),
        json: Some(json.into()),
        truncated: false,
    }))
}

#[test]
fn a_redacted_plan_is_whole_or_not_there() {
    let mut fixture = fixture("sizes: {max_text: 2KiB, max_record: 64KiB}");
    let left = |records: Vec<Record>| match records.into_iter().next() {
        Some(Record::QueryPlan(plan)) => (plan.json.map(|json| json.len()), plan.truncated),
        other => panic!("{other:?}"),
    };
    assert_eq!(left(fixture.run(vec![query_plan("x".repeat(30_000))])), (Some(30_000), false));
    assert_eq!(left(fixture.run(vec![query_plan("x".repeat(70_000))])), (None, true));
    let with_mail = fixture.run(vec![query_plan(r#"{"Alias":"mail jane@example.com"}"#.into())]);
    let Some(Record::QueryPlan(plan)) = with_mail.first() else { panic!() };
    let json: serde_json::Value = serde_json::from_str(plan.json.as_deref().unwrap()).unwrap();
    assert_eq!(json["Alias"], "mail [redacted]");
}

#[test]
fn plans_give_way_to_the_budget_of_bytes_and_changes_of_plans_do_not() {
    let mut fixture = fixture("budget: {max_bytes_per_minute: 20KiB}");
    let Record::QueryPlan(plan) = query_plan("x".repeat(30_000)) else { panic!() };
    let span = PlanSpan { first: NOW, last: NOW };
    let change = Record::PlanChange(Box::new(PlanChange {
        key: plan.key.clone(),
        text: plan.text.clone(),
        rung: plan.rung,
        identity: plan.identity,
        at: Timestamp::from_nanos(1),
        old: plan.fingerprint,
        old_span: span,
        old_cost: None,
        new: plan.fingerprint,
        new_cost: None,
        seen_before: None,
        difference: "orders: Index Scan -> Seq Scan, bob@example.com".to_owned().into(),
        causes: Vec::new(),
        causes_not_listed: 0,
    }));
    let left = fixture.run(vec![Record::QueryPlan(plan), change]);
    let [Record::QueryPlan(plan), Record::PlanChange(change)] = left.as_slice() else { panic!("{left:?}") };
    assert!(plan.json.is_none() && plan.truncated && plan.text.as_ref().unwrap().masked.is_none());
    assert_eq!(change.difference.as_str(), "orders: Index Scan -> Seq Scan, [redacted]");
    assert_eq!(fixture.value("verification_texts_removed_total", &[]), Some(1.0));
}

pub(crate) fn finding(script: String, evidence: usize) -> Record {
    let subject =
        Subject::of_object(&batch(Vec::new(), NOW).target.server, None, "orders".into(), "public.o".into());
    let kind = FindingKind::StatisticsStale;
    let id = Identity { kind, subject: &subject, plan: None }.at(NOW).id;
    let number = Evidence::new("rows", Some(1.0), "{row}", Source::Planner, "x".repeat(1_000));
    let finding = Finding {
        summary: "stale since mail to bob@example.com".to_owned().into(),
        evidence: vec![number; evidence],
        scripts: Scripts { forward: Some(script.into()), ..Scripts::default() },
        ..Finding::new(id, kind, Category::Careful, subject, NOW)
    };
    Record::Finding(Box::new(FindingEvent { news: FindingNews::Opened, finding }))
}

#[test]
fn a_finding_is_masked_but_for_its_script_and_never_dropped() {
    let mut fixture =
        fixture("sizes: {max_text: 32KiB, max_record: 64KiB}\nbudget: {max_bytes_per_minute: 20KiB}");
    let script = "ANALYZE \"bob@example.com\"".to_owned();
    let long = "x".repeat(70_000);
    let left = fixture.run(vec![finding(script.clone(), 1), finding(long, 1), finding(script.clone(), 80)]);
    let scripts: Vec<Option<&str>> = left
        .iter()
        .map(|record| {
            let Record::Finding(event) = record else { panic!("{record:?}") };
            assert_eq!(event.finding.summary.as_str(), "stale since mail to [redacted]");
            event.finding.scripts.forward.as_deref()
        })
        .collect();
    // One too long is taken out whole: half a script would do something else.
    assert_eq!(scripts, [Some(script.as_str()), None, Some(script.as_str())]);
}
