//! In a lane, with changes of the server beside the plans.

use dbintel_model::{ACTION_FACT, Attribute, OBJECT_FACT, ROLE_FACT, TABLE_FACT};
use dbintel_pipeline::memory::MemoryState;
use dbintel_pipeline::overrides::Overrides;
use dbintel_pipeline::status::{ComponentKind, StatusBoard};
use dbintel_pipeline::{
    Delivery, ExporterTelemetry, Lane, LaneContext, LaneLimits, ProcessorFactory, QueueLimits, Signals, Sink,
    Supervisor, WeightedQueue,
};
use tokio::sync::mpsc;

use super::*;

pub(super) fn change(kind: ChangeKind, subject: &'static str, at: Option<Timestamp>) -> Record {
    let (database, subject) = (Some("shop".into()), Some(subject.into()));
    Record::Change(Box::new(Change { database, subject, at, ..Change::new(kind) }))
}

fn seconds(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

/// What a lane with the extractor, or without it, sends of these batches.
async fn sent(with_extractor: bool, batches: Vec<Batch>) -> (Vec<Record>, Registry) {
    let limits = QueueLimits { max_bytes: 1 << 20, max_items: 64 };
    let (registry, clock) = (Registry::default(), ManualClock::at(NOW));
    let input = Arc::new(WeightedQueue::<Delivery>::new(limits));
    let (of_chain, clock_of_chain) = (registry.clone(), clock.clone());
    let build = move || -> Box<dyn Processor> {
        Box::new(extractor(PlanExtractorConfig::default(), &of_chain, &clock_of_chain))
    };
    let factory = ProcessorFactory { id: "plan_extractor".into(), build: Arc::new(build) };
    let clock: Arc<dyn Clock> = Arc::new(clock);
    let cx = LaneContext {
        id: "postgresql".into(),
        limits: LaneLimits { queue: limits },
        chain: if with_extractor { vec![factory] } else { Vec::new() },
        sinks: vec![Sink {
            input: Arc::clone(&input),
            signals: Signals::ALL,
            telemetry: ExporterTelemetry::new(registry.clone(), "debug".into()),
        }],
        requests: mpsc::channel(1).0,
        store: None,
        memory: MemoryState::default(),
        overrides: Overrides::new(Arc::clone(&clock)),
        clock: Arc::clone(&clock),
        registry: registry.clone(),
        status: StatusBoard::default().register(ComponentKind::Lane, "postgresql".into(), NOW),
        seed: 1,
    };
    let lane = Lane::start(cx, &Supervisor::new(clock, registry.clone()));
    for batch in batches {
        lane.door().offer(batch).unwrap();
    }
    assert!(lane.drain(Duration::from_secs(1)).await);
    let deliveries = std::iter::from_fn(|| input.try_pop());
    (deliveries.flat_map(|delivery| delivery.batch.records.clone()).collect(), registry)
}

fn plan_at(number: u32, at: u64) -> Batch {
    batch(vec![observation(1, PlanRung::Generic, &plan(number, 1), seconds(at))], seconds(at))
}

#[tokio::test(start_paused = true)]
async fn a_change_names_what_else_changed_between_the_two_plans() {
    let batches = vec![
        batch(vec![change(ChangeKind::Analyze, "public.orders", Some(seconds(1)))], seconds(2)),
        plan_at(1, 10),
        batch(
            vec![
                change(ChangeKind::Analyze, "public.orders", Some(seconds(15))),
                change(ChangeKind::Analyze, "public.customers", Some(seconds(15))),
                change(ChangeKind::StatisticsReset, "statements", Some(seconds(15))),
                change(ChangeKind::Setting, "random_page_cost", None),
            ],
            seconds(20),
        ),
        plan_at(2, 30),
        plan_at(1, 40),
    ];
    let (records, _) = sent(true, batches).await;
    let changes: Vec<_> = records.iter().filter(|record| matches!(record, Record::PlanChange(_))).collect();
    let [there, back] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!(attribute(there, "dbintel.plan.change.cause_kinds").as_deref(), Some("analyze,setting"));
    assert_eq!(
        attribute(there, "dbintel.plan.change.causes").as_deref(),
        Some(
            "setting random_page_cost, noticed at 2026-11-21T04:43:45.000000Z\n\
             analyze public.orders, at 2026-11-21T04:43:40.000000Z"
        ),
        "of this table, after the old plan was last seen"
    );
    assert_eq!(attribute(back, "dbintel.plan.change.cause_kinds").as_deref(), Some("none_known"));
    assert_eq!(attribute(back, "dbintel.plan.change.seen_before").as_deref(), Some("true"));
}

fn with(facts: &[(&'static str, &'static str)], record: Record) -> Record {
    let Record::Change(mut change) = record else { panic!("{record:?}") };
    change.facts.extend(facts.iter().map(|(key, value)| Attribute::new(*key, *value)));
    Record::Change(change)
}

fn ddl(object: &'static str, name: &'static str, table: Option<&'static str>) -> Record {
    let table = table.map(|table| (TABLE_FACT, table));
    let facts: Vec<_> = [(OBJECT_FACT, object), (ACTION_FACT, "dropped")].into_iter().chain(table).collect();
    with(&facts, change(ChangeKind::Ddl, name, None))
}

#[tokio::test(start_paused = true)]
async fn what_was_created_or_dropped_is_a_cause_where_a_plan_names_it_or_its_table() {
    let records = vec![
        ddl("table", "public.orders", None),
        ddl("index", "public.orders_9", Some("public.orders")),
        ddl("index", "public.orders_1", None),
        ddl("statistics", "public.orders", Some("public.customers")),
        ddl("index", "public.customers_1", Some("public.customers")),
        ddl("table", "public.customers", None),
    ];
    let batches = vec![plan_at(1, 10), batch(records, seconds(20)), plan_at(2, 30)];
    let (records, _) = sent(true, batches).await;
    let change = records.iter().find(|record| matches!(record, Record::PlanChange(_))).unwrap();
    assert_eq!(attribute(change, "dbintel.plan.change.cause_kinds").as_deref(), Some("ddl"));
    let causes = attribute(change, "dbintel.plan.change.causes").unwrap();
    let causes: Vec<_> = causes.lines().filter_map(|line| line.split(", noticed").next()).collect();
    assert_eq!(
        causes,
        [
            // By the index of the old plan.
            "ddl index public.orders_1 dropped",
            "ddl index public.orders_9 dropped on public.orders",
            "ddl table public.orders dropped",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_setting_of_a_role_or_database_is_a_cause_for_the_statements_of_both() {
    let setting =
        |name, facts: &[(&'static str, &'static str)]| with(facts, change(ChangeKind::Setting, name, None));
    let elsewhere = |record| {
        let Record::Change(mut change) = record else { panic!("{record:?}") };
        change.database = Some("other".into());
        Record::Change(change)
    };
    let records = vec![
        setting("of_app", &[(ROLE_FACT, "app")]),
        setting("of_another", &[(ROLE_FACT, "another")]),
        elsewhere(setting("of_app_elsewhere", &[(ROLE_FACT, "app")])),
        setting("of_all", &[]),
    ];
    let batches = vec![plan_at(1, 10), batch(records, seconds(20)), plan_at(2, 30)];
    let (records, _) = sent(true, batches).await;
    let change = records.iter().find(|record| matches!(record, Record::PlanChange(_))).unwrap();
    let causes = attribute(change, "dbintel.plan.change.causes").unwrap();
    let causes: Vec<_> = causes.lines().filter_map(|line| line.split(", noticed").next()).collect();
    assert_eq!(causes, ["setting of_all", "setting of_app of role app"]);
}

#[tokio::test(start_paused = true)]
async fn a_cause_in_the_batch_of_the_plan_and_a_setting_of_the_plan_itself_are_found() {
    let with_setting = plan(2, 1).replace(r#"[{"Plan""#, r#"[{"Settings":{"enable_seqscan":"off"},"Plan""#);
    let second = vec![
        observation(1, PlanRung::Generic, &with_setting, seconds(20)),
        change(ChangeKind::TableRewrite, "public.orders", None),
    ];
    let (records, _) = sent(true, vec![plan_at(1, 10), batch(second, seconds(21))]).await;
    let change = records.iter().find(|record| matches!(record, Record::PlanChange(_))).unwrap();
    let kinds = attribute(change, "dbintel.plan.change.cause_kinds");
    assert_eq!(kinds.as_deref(), Some("plan_setting,table_rewrite"));
    let causes = attribute(change, "dbintel.plan.change.causes").unwrap();
    assert!(causes.contains("setting enable_seqscan of the plan: default -> off"), "{causes}");
}

#[tokio::test(start_paused = true)]
async fn without_the_extractor_raw_plans_end_at_the_fan_out_counted() {
    let with_query = batch(vec![change(ChangeKind::Restart, "x", None), raw()], NOW);
    let (records, registry) = sent(false, vec![plan_at(1, 10), with_query]).await;
    assert!(matches!(records.as_slice(), [Record::Change(_)]), "{records:?}");
    let labels = [("receiver", "postgresql"), ("reason", "plan_not_extracted")];
    assert_eq!(registry.value("dbintel_lane_lost_records_total", &labels), Some(2.0));
}

fn raw() -> Record {
    observation(1, PlanRung::Generic, &plan(1, 1), NOW)
}
