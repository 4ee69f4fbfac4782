//! The processor by itself and in a lane: what leaves and when, whatever the cache does.

mod lane;
mod properties;
mod tables;

use std::sync::Arc;
use std::time::Duration;

use dbintel_model::catalogue::STATEMENT_COUNTERS;
use dbintel_model::{
    Change, ChangeKind, Clock, Counters, Exactness, Interval, ManualClock, Node, PlanFormat, PlanIdentity,
    PlanMissing, PlanRung, Query, QueryKey, Server, Target, ValueRef,
};

use dbintel_pipeline::MissingPlanView;

use super::*;

const NOW: Timestamp = Timestamp::from_nanos(1_795_236_205_000_000_000);
/// Stands in every plan where a literal stands.
const LITERAL: &str = "s3cr3t";

struct Fixture {
    processor: PlanExtractor,
    config: PlanExtractorConfig,
    registry: Registry,
    clock: ManualClock,
    node: Node,
}

fn fixture(yaml: &str) -> Fixture {
    let settings: PlanExtractorSettings = dbintel_config::from_yaml(yaml).unwrap();
    let config = settings.validate().unwrap().config;
    let (registry, clock) = (Registry::default(), ManualClock::at(NOW));
    let processor = extractor(config, &registry, &clock);
    Fixture { processor, config, registry, clock, node: node() }
}

fn extractor(config: PlanExtractorConfig, registry: &Registry, clock: &ManualClock) -> PlanExtractor {
    let accounts = MemoryAccounts::new(registry.clone());
    let id = Text::Static("plan_extractor");
    let cache = PlanCache::new(&id, &config, Arc::new(clock.clone()), &accounts);
    PlanExtractor::new(id, &"postgresql".into(), config, cache, registry.clone(), &accounts)
}

fn node() -> Node {
    Node { system_identifier: Some(1), timeline: Some(1), version_number: 170_010, ..Node::default() }
}

impl Fixture {
    /// A batch a second later than the one before.
    fn run(&mut self, records: Vec<Record>) -> Vec<Record> {
        self.clock.advance(Duration::from_secs(1));
        let mut batch = batch(records, self.clock.now());
        batch.node = Some(Arc::new(self.node.clone()));
        let (mut out, mut random) = (Output::default(), fastrand::Rng::with_seed(1));
        let mut cx =
            Context { now: self.clock.now(), monotonic: self.clock.monotonic(), random: &mut random };
        self.processor.process(&mut cx, batch, &mut out);
        out.take_batches().into_iter().flat_map(|batch| batch.records).collect()
    }

    /// A plan obtained now; gives what left because of it, by its reason, and the change.
    fn see(&mut self, statement: i64, rung: PlanRung, raw: &str) -> (Option<PlanNews>, Option<PlanChange>) {
        let at = self.clock.now().plus(Duration::from_secs(1));
        let mut seen = (None, None);
        for record in self.run(vec![observation(statement, rung, raw, at)]) {
            match record {
                Record::QueryPlan(plan) => seen.0 = Some(plan.news),
                Record::PlanChange(change) => seen.1 = Some(*change),
                other => panic!("{other:?}"),
            }
        }
        seen
    }

    fn limit(&self, limit: &str) -> Option<f64> {
        let labels = [("receiver", "postgresql"), ("limit", limit)];
        self.registry.value("dbintel_limit_reached_total", &labels)
    }

    fn value(&self, name: &str, more: &[(&str, &str)]) -> Option<f64> {
        let labels = [&[("processor", "plan_extractor"), ("receiver", "postgresql")], more].concat();
        self.registry.value(name, &labels)
    }
}

fn batch(records: Vec<Record>, at: Timestamp) -> Batch {
    let server = Server {
        receiver: "postgresql".into(),
        system: "postgresql".into(),
        address: "localhost".into(),
        port: 5432,
        resource: Vec::new(),
    };
    let target = Arc::new(Target::server(Arc::new(server)));
    Batch { target, node: None, observed_at: at, server_clock: Some(at), records }
}

fn key(statement: i64) -> QueryKey {
    QueryKey {
        system: "postgresql",
        database: "shop".into(),
        database_id: 5,
        user: "app".into(),
        user_id: 10,
        query_id: statement,
        toplevel: Some(true),
    }
}

fn observation(statement: i64, rung: PlanRung, raw: &str, obtained_at: Timestamp) -> Record {
    Record::Plan(Box::new(PlanObservation {
        key: key(statement),
        text: None,
        rung,
        identity: PlanIdentity::Proven,
        format: PlanFormat::PostgresqlJson,
        raw: raw.as_bytes().into(),
        obtained_at,
        tables: Arc::default(),
    }))
}

fn query(statement: i64) -> Record {
    Record::Query(Box::new(Query {
        key: QueryKey { toplevel: Some(false), ..key(statement) },
        text: None,
        interval: Interval { start: NOW, end: NOW },
        calls: 1,
        total_time_ms: 1.0,
        moments: None,
        counters: Counters::new(&STATEMENT_COUNTERS, &[]),
        exactness: Exactness::Exact,
        rank: None,
        plan: None,
        plan_missing: None,
        plan_times: None,
        errors: None,
    }))
}

/// Plan 0 reads the whole table, every other one uses an index of its own.
fn plan(number: u32, cost: u32) -> String {
    let scan = if number == 0 {
        format!(r#""Node Type":"Seq Scan","Filter":"(name = '{LITERAL}'::text)""#)
    } else {
        format!(
            r#""Node Type":"Index Scan","Index Name":"orders_{number}","Index Cond":"(name = '{LITERAL}'::text)""#
        )
    };
    format!(
        r#"[{{"Plan":{{{scan},"Relation Name":"orders","Alias":"{LITERAL}","Startup Cost":0.5,"Total Cost":{cost}.5,"Plan Rows":3,"Plan Width":8}}}}]"#
    )
}

/// A plan of so many nodes.
fn large_plan(nodes: usize) -> String {
    let scan = plan(0, 1);
    let scan = scan.strip_prefix(r#"[{"Plan":"#).unwrap().strip_suffix("}]").unwrap();
    format!(r#"[{{"Plan":{{"Node Type":"Append","Plans":[{}]}}}}]"#, vec![scan; nodes].join(","))
}

fn attributes(record: &Record) -> Vec<(String, String)> {
    let mut all = Vec::new();
    record.for_each_attribute(&mut |name, value| {
        let value = match value {
            ValueRef::Text(text) => text.to_owned(),
            ValueRef::Int(int) => int.to_string(),
            ValueRef::Double(double) => double.to_string(),
            ValueRef::Bool(bool) => bool.to_string(),
        };
        all.push((name.to_owned(), value));
    });
    all
}

fn attribute(record: &Record, name: &str) -> Option<String> {
    attributes(record).into_iter().find(|(held, _)| held == name).map(|(_, value)| value)
}

#[test]
fn a_plan_leaves_when_it_is_first_seen_or_another_one() {
    let mut fixture = fixture("{}");
    let generic = PlanRung::Generic;
    assert_eq!(fixture.see(1, generic, &plan(0, 10)), (Some(PlanNews::FirstSeen), None));
    let same_but_costlier = plan(0, 1_000);
    assert_eq!(fixture.see(1, generic, &same_but_costlier), (None, None));
    let (news, change) = fixture.see(1, generic, &plan(1, 3));
    let change = change.unwrap();
    assert_eq!(news, Some(PlanNews::Changed));
    assert_eq!((change.old_cost, change.new_cost), (Some(1_000.5), Some(3.5)));
    assert_eq!(change.old_span.last.since(change.old_span.first), Duration::from_secs(1));
    assert_eq!(change.difference.as_str(), "orders: Seq Scan -> Index Scan using orders_1 by ( name = ? )");
    assert_eq!((change.level(), change.seen_before), ("shape", None));
    assert_eq!(fixture.see(1, generic, &plan(1, 3)), (None, None), "a change is told once");
    let change = fixture.see(1, generic, &plan(2, 3)).1.unwrap();
    assert_eq!(change.level(), "exact", "only the index is another one");
    assert_eq!(fixture.value("plan_extractor_events_total", &[("reason", "changed")]), Some(2.0));
    assert_eq!(fixture.value("plan_parser_plans_total", &[("reason", "cached")]), Some(2.0));
}

#[test]
fn coming_back_to_an_earlier_plan_is_a_change_that_says_so() {
    let mut fixture = fixture("{}");
    let generic = PlanRung::Generic;
    let first = fixture.clock.now().plus(Duration::from_secs(1));
    fixture.see(1, generic, &plan(1, 1));
    fixture.see(1, generic, &plan(2, 1));
    for _ in 0..3 {
        let back = fixture.see(1, generic, &plan(1, 1)).1.unwrap();
        assert_eq!(back.seen_before.map(|span| span.first), Some(first));
        assert!(fixture.see(1, generic, &plan(2, 1)).1.unwrap().seen_before.is_some());
    }
    for number in 3..4 + u32::try_from(MAX_EARLIER_PLANS).unwrap() {
        assert_eq!(fixture.see(1, generic, &plan(number, 1)).1.unwrap().seen_before, None);
    }
    let forgotten = fixture.see(1, generic, &plan(1, 1)).1.unwrap();
    assert_eq!(forgotten.seen_before, None);
    let limit = fixture.limit("plan_history");
    assert!(limit >= Some(1.0), "{limit:?}");
}

/// With other values another plan: a set of them, in which only a new one is news.
#[test]
fn where_plans_depend_on_values_going_to_and_fro_is_no_change() {
    let mut fixture = fixture("{}");
    let actual = PlanRung::Actual;
    assert_eq!(fixture.see(1, actual, &plan(1, 1)).0, Some(PlanNews::FirstSeen));
    assert!(fixture.see(1, actual, &plan(2, 1)).1.is_some());
    for _ in 0..5 {
        assert_eq!(fixture.see(1, actual, &plan(1, 1)), (None, None));
        assert_eq!(fixture.see(1, actual, &plan(2, 1)), (None, None));
    }
    assert!(fixture.see(1, actual, &plan(3, 1)).1.is_some());
    assert_eq!(fixture.value("plan_extractor_alternations_total", &[]), Some(10.0));
    // Every interval bears the plan that ran last.
    let record = fixture.run(vec![query(1)]).remove(0);
    let third = attribute(&record, "dbintel.plan.fingerprint");
    fixture.see(1, actual, &plan(2, 1));
    let record = fixture.run(vec![query(1)]).remove(0);
    assert_ne!(attribute(&record, "dbintel.plan.fingerprint"), third);
    // Of more plans than are remembered none is news.
    let all = 4..4 + u32::try_from(2 * MAX_EARLIER_PLANS).unwrap();
    let told = all.filter(|number| fixture.see(1, actual, &plan(*number, 1)).1.is_some()).count();
    assert_eq!(told, MAX_EARLIER_PLANS - 2);
    for number in 1..4 {
        assert_eq!(fixture.see(1, actual, &plan(number, 1)), (None, None));
    }
}

/// Which values a sample has is chance: a plan that is new is told, and is no change; intervals do not bear it where there is
/// another one.
#[test]
fn another_plan_of_a_sample_is_no_change() {
    let mut fixture = fixture("{}");
    let custom = PlanRung::Custom;
    assert_eq!(fixture.see(1, custom, &plan(1, 1)), (Some(PlanNews::FirstSeen), None));
    assert_eq!(fixture.see(1, custom, &plan(2, 1)), (Some(PlanNews::OtherValues), None));
    assert_eq!(fixture.see(1, custom, &plan(1, 1)), (None, None));
    assert_eq!(fixture.see(1, custom, &plan(3, 1)), (Some(PlanNews::OtherValues), None));
    assert_eq!(fixture.value("plan_extractor_alternations_total", &[]), Some(1.0));
    let rung = |fixture: &mut Fixture| attribute(&fixture.run(vec![query(1)])[0], "dbintel.plan.rung");
    assert_eq!(rung(&mut fixture).as_deref(), Some("custom"), "there is no other one");
    assert_eq!(fixture.see(1, PlanRung::GenericNulls, &plan(1, 1)).0, Some(PlanNews::FirstSeen));
    assert_eq!(rung(&mut fixture).as_deref(), Some("generic_nulls"));
    assert_eq!(fixture.see(1, custom, &plan(2, 1)), (None, None));
    assert_eq!(rung(&mut fixture).as_deref(), Some("generic_nulls"));
    assert!(fixture.see(1, PlanRung::GenericNulls, &plan(2, 1)).1.is_some(), "what is compared is as before");
}

#[test]
fn rungs_are_never_compared_and_statements_bear_the_closest_one() {
    let mut fixture = fixture("{}");
    assert_eq!(fixture.see(1, PlanRung::GenericNulls, &plan(1, 1)), (Some(PlanNews::FirstSeen), None));
    assert_eq!(fixture.see(1, PlanRung::Actual, &plan(2, 1)), (Some(PlanNews::FirstSeen), None));
    assert_eq!(fixture.see(1, PlanRung::Generic, &plan(3, 1)), (Some(PlanNews::FirstSeen), None));
    assert_eq!(fixture.see(1, PlanRung::GenericNulls, &plan(1, 1)), (None, None));
    let records = fixture.run(vec![query(1), query(2)]);
    assert_eq!(attribute(&records[0], "dbintel.plan.rung").as_deref(), Some("actual"));
    assert_eq!(attribute(&records[0], "dbintel.plan.fingerprint").unwrap().len(), 32);
    assert_eq!(attribute(&records[1], "dbintel.plan.fingerprint"), None);
    let together = fixture.run(vec![query(9), observation(9, PlanRung::Custom, &plan(1, 1), NOW)]);
    assert_eq!(
        attribute(&together[0], "dbintel.plan.fingerprint"),
        attribute(&together[1], "dbintel.plan.fingerprint"),
        "an interval and a plan of one batch"
    );
}

/// A recording has the plan that a statement had, and not the plan itself.
#[test]
fn a_plan_that_an_interval_names_stays_where_no_other_is_known() {
    let mut fixture = fixture("{}");
    let fingerprint = dbintel_model::PlanFingerprint { shape: 1, exact: 2 };
    let recorded = |statement| {
        let Record::Query(mut query) = query(statement) else { panic!("an interval") };
        query.plan = Some(dbintel_model::PlanReference { fingerprint, rung: PlanRung::Generic });
        Record::Query(query)
    };
    assert_eq!(fixture.see(1, PlanRung::Actual, &plan(1, 1)), (Some(PlanNews::FirstSeen), None));
    let records = fixture.run(vec![recorded(1), recorded(2)]);
    let plans = records.iter().map(|record| attribute(record, "dbintel.plan.rung"));
    assert_eq!(plans.collect::<Vec<_>>(), [Some("actual".to_owned()), Some("generic".to_owned())]);
    assert_eq!(attribute(&records[1], "dbintel.plan.fingerprint"), Some(format!("{:032x}", 2)));
}

#[test]
fn bytes_that_are_no_whole_plan_change_nothing_and_are_counted() {
    let mut fixture = fixture("{max_plan_bytes: 16KiB, max_parse_steps: 1000}");
    let generic = PlanRung::Generic;
    fixture.see(1, generic, &plan(1, 1));
    let (whole, large) = (plan(2, 1), large_plan(1_000));
    let outputs = format!(r#""Output":["a"{}],"Relation"#, r#","a""#.repeat(3_000));
    let many_steps = plan(2, 1).replacen(r#""Relation"#, &outputs, 1);
    let check = |fixture: &mut Fixture, raw: &str, reason: &str| {
        assert_eq!(fixture.see(1, generic, raw), (None, None), "{reason}");
        let count = fixture.value("plan_parser_plans_total", &[("reason", reason)]);
        assert_eq!(count, Some(1.0), "{reason}");
    };
    check(&mut fixture, &large, "too_large");
    check(&mut fixture, "[]", "no_plan");
    check(&mut fixture, &many_steps, "step_budget");
    check(&mut fixture, &whole[..whole.len() - 2], "cut_short");
    assert_eq!(fixture.see(1, generic, &plan(1, 1)), (None, None), "the plan before is still the one");
    assert_eq!(fixture.value("plan_parser_problems_total", &[("problem", "cut_short")]), Some(1.0));
}

#[test]
fn another_node_begins_anew_and_the_first_one_goes_on() {
    let mut fixture = fixture("{}");
    let generic = PlanRung::Generic;
    fixture.see(1, generic, &plan(1, 1));
    let check = |fixture: &mut Fixture, node: Node, news| {
        fixture.node = node;
        assert_eq!(fixture.see(1, generic, &plan(2, 1)), (Some(news), None));
        assert_eq!(fixture.see(1, generic, &plan(2, 1)), (None, None));
    };
    let restarted = Node { started_at: NOW, ..node() };
    fixture.node = restarted;
    assert_eq!(fixture.see(1, generic, &plan(1, 1)), (None, None), "a restart is the same node");
    check(&mut fixture, Node { timeline: Some(2), ..node() }, PlanNews::OtherTimeline);
    check(&mut fixture, Node { address: Some("b".into()), timeline: Some(2), ..node() }, PlanNews::OtherNode);
    check(&mut fixture, Node { version_number: 180_001, ..node() }, PlanNews::OtherVersion);
    let other = Node { version_number: 180_001, system_identifier: Some(7), ..node() };
    check(&mut fixture, other, PlanNews::OtherServer);
    assert_eq!(
        fixture.see(2, generic, &plan(2, 1)).0,
        Some(PlanNews::FirstSeen),
        "a statement new everywhere"
    );
    fixture.node = node();
    assert_eq!(fixture.see(1, generic, &plan(1, 1)), (None, None), "the first node had this plan");
}

#[test]
fn statements_are_bounded_and_what_was_forgotten_is_first_again() {
    let mut fixture = fixture("{tracked: {max_statements: 2}}");
    let generic = PlanRung::Generic;
    for statement in [1, 2, 1, 3] {
        fixture.see(statement, generic, &plan(1, 1));
    }
    assert_eq!(fixture.see(1, generic, &plan(1, 1)), (None, None), "seen more lately than 2");
    assert_eq!(fixture.see(2, generic, &plan(1, 1)).0, Some(PlanNews::FirstSeen));
    let limit = fixture.limit("plan_statements");
    assert_eq!(limit, Some(2.0));
}

#[test]
fn bytes_of_plans_are_bounded_too() {
    let mut fixture = fixture("{tracked: {max_bytes: 1MiB}}");
    for statement in 0..4_000 {
        let raw = plan(u32::try_from(statement).unwrap() + 1, 1);
        fixture.see(statement, PlanRung::Generic, &raw);
        assert!(fixture.processor.statements.bytes() <= 1 << 20);
    }
    assert!(fixture.processor.statements.len() < 4_000);
    let account = [("account", "lane postgresql plans")];
    let held = fixture.registry.value("dbintel_memory_account_bytes", &account);
    assert!(held > Some(500_000.0), "{held:?}");
}

#[test]
fn the_cache_is_within_its_bound_and_gives_its_memory_back() {
    let mut fixture = fixture("{cache: {max_bytes: 1MiB}}");
    for number in 0..3_000 {
        fixture.see(1, PlanRung::Generic, &plan(number, number));
        assert!(fixture.processor.cache.held().1 <= 1 << 20);
    }
    assert!(fixture.value("plan_parser_cache_evicted_total", &[]) > Some(0.0));
    let account = [("account", "processor plan_extractor plans")];
    assert!(fixture.registry.value("dbintel_memory_account_bytes", &account) > Some(900_000.0));

    let accounts = MemoryAccounts::default();
    let clock = Arc::new(fixture.clock.clone());
    let cache = PlanCache::new(&"plan_extractor".into(), &fixture.config, clock, &accounts);
    let first = cache.read(PlanFormat::PostgresqlJson, plan(1, 1).as_bytes());
    let held = cache.held();
    assert_eq!((held.0, accounts.shrink().bytes), (1, held.1));
    assert_eq!(cache.held(), (0, 0));
    assert!(cache.remembered(PlanFormat::PostgresqlJson, plan(1, 1).as_bytes()).is_none());
    let again = cache.read(PlanFormat::PostgresqlJson, plan(1, 1).as_bytes());
    assert!(again.read.is_some() && again.outcome == first.outcome);
    let remembered = cache.remembered(PlanFormat::PostgresqlJson, plan(1, 1).as_bytes()).unwrap();
    assert!(remembered.read.is_none() && remembered.outcome == first.outcome);
}

#[test]
fn a_large_plan_leaves_shortened_and_is_kept_compressed() {
    let mut fixture = fixture("{max_event_plan_bytes: 2KiB}");
    let records = fixture.run(vec![observation(1, PlanRung::Custom, &large_plan(200), NOW)]);
    let json = attribute(&records[0], "postgresql.query_plan").unwrap();
    assert!(json.len() <= 2_048 && json.len() > 700, "{}", json.len());
    serde_json::from_str::<serde_json::Value>(&json).unwrap();
    assert_eq!(attribute(&records[0], "dbintel.plan.truncated").as_deref(), Some("true"));
    assert_eq!(attribute(&records[0], "dbintel.plan.nodes").as_deref(), Some("201"));
    let small = fixture.run(vec![observation(2, PlanRung::Custom, &plan(0, 1), NOW)]);
    assert_eq!(attribute(&small[0], "dbintel.plan.truncated"), None);
    let mut random = fastrand::Rng::with_seed(1);
    fixture.clock.advance(Duration::from_secs(60));
    let mut cx =
        Context { now: fixture.clock.now(), monotonic: fixture.clock.monotonic(), random: &mut random };
    fixture.processor.tick(&mut cx, &mut Output::default());
    assert!(fixture.value("plan_store_compression_ratio", &[]) > Some(10.0));
    assert_eq!(fixture.value("plan_parser_cache_hit_rate", &[]), Some(0.0));
    assert_eq!(fixture.value("plan_parser_p99_latency_ms", &[]), Some(0.0), "by the clock of the test");
    assert_eq!(fixture.value("plan_extractor_statements", &[]), Some(2.0));
}

#[test]
fn the_events_have_the_attributes_of_the_catalogue_and_join() {
    let mut fixture = fixture("{}");
    fixture.see(1, PlanRung::Generic, &plan(1, 1));
    fixture.see(1, PlanRung::Generic, &plan(0, 1));
    let at = fixture.clock.now();
    let mut records = fixture.run(vec![observation(1, PlanRung::Generic, &plan(1, 1), at), query(1)]);
    records.extend([Record::Change(Box::new(Change::new(ChangeKind::Restart)))]);
    let names: Vec<_> = records.iter().filter_map(|record| Some(record.event()?.name)).collect();
    assert_eq!(
        names,
        ["db.server.query_plan", "dbintel.plan.change", "db.server.top_query", "dbintel.change"]
    );
    let join = |record: &Record| {
        let names = ["db.system.name", "db.namespace", "postgresql.rolname", "userid", "postgresql.queryid"];
        names.map(|name| attribute(record, name).unwrap())
    };
    assert_eq!(join(&records[0]), join(&records[2]));
    assert_eq!(join(&records[1]), join(&records[2]));
    for record in &records {
        let event = record.event().unwrap();
        for (name, _) in attributes(record) {
            assert!(event.attributes.iter().any(|(known, _)| *known == name), "{name} of {}", event.name);
        }
    }
    assert_eq!(attribute(&records[1], "dbintel.plan.change.cause_kinds").as_deref(), Some("none_known"));
}

#[test]
fn no_literal_of_a_plan_is_in_what_leaves_or_is_shown() {
    let mut fixture = fixture("{}");
    let mut left = Vec::new();
    let auto_explain = format!(
        r#"{{"Query Text":"select '{LITERAL}'","Query Parameters":"$1 = '{LITERAL}'","Plan":{{"Node Type":"Function Scan","Function Name":"f","Function Call":"f('{LITERAL}')","Actual Rows":1,"Actual Loops":1,"Plan Rows":5000,"New Member":"{LITERAL}"}}}}"#
    );
    for raw in [plan(0, 1), plan(1, 1), auto_explain] {
        // The alias is an identifier and would leave.
        let raw = raw.replace(&format!(r#""Alias":"{LITERAL}""#), r#""Alias":"o""#);
        let at = fixture.clock.now();
        left.extend(fixture.run(vec![observation(1, PlanRung::Actual, &raw, at)]));
    }
    assert_eq!(left.len(), 5, "three plans and two changes");
    for record in &left {
        assert!(!format!("{record:?}").contains(LITERAL), "{record:?}");
    }
    let mut random = fastrand::Rng::with_seed(1);
    let mut cx = Context { now: NOW, monotonic: fixture.clock.monotonic(), random: &mut random };
    let mut ask = |statement: Option<Text>| {
        fixture.processor.command(&mut cx, &Command::Plans { statement }, &mut Output::default()).plans
    };
    let listed = ask(None);
    let shown = ask(Some(listed[0].statement.clone()));
    assert!(!format!("{shown:?}").contains(LITERAL));
    let details = shown[0].details.as_ref().unwrap();
    assert!(
        details.tree.contains("Function Scan") && details.previous.as_ref().unwrap().contains("orders_1")
    );
    assert!((listed[0].changes, details.earlier.len()) == (2, 2) && !details.difference.is_empty());
    assert!(ask(Some("nothing".into())).is_empty());
    let by_identifier = ask(Some(listed[0].query_id.clone()));
    assert!(by_identifier == shown && ask(Some("4711".into())).is_empty());
    assert!(!String::from_utf8_lossy(&fixture.processor.snapshot().unwrap()).contains(LITERAL));
}

/// A top statement that has no plan, as the receiver tells it.
fn without_plan(statement: i64) -> Record {
    let missing = PlanMissing { reason: "lock_timeout", meaning: "One of its tables was locked." };
    let Record::Query(mut query) = query(statement) else { unreachable!() };
    (query.rank, query.plan_missing) = (Some(1), Some(missing));
    Record::Query(query)
}

#[test]
fn a_statement_without_a_plan_says_why_until_it_has_one() {
    let mut fixture = fixture("{}");
    let listed = |fixture: &mut Fixture| {
        let mut random = fastrand::Rng::with_seed(1);
        let mut cx = Context { now: NOW, monotonic: fixture.clock.monotonic(), random: &mut random };
        let command = Command::Plans { statement: None };
        fixture.processor.command(&mut cx, &command, &mut Output::default()).without_plan
    };
    let leaving = fixture.run(vec![without_plan(1), without_plan(2), query(3)]);
    assert_eq!(attribute(&leaving[0], "dbintel.plan.missing").as_deref(), Some("lock_timeout"));
    assert_eq!(attribute(&leaving[2], "dbintel.plan.missing"), None);
    let ids = |views: Vec<MissingPlanView>| {
        views.into_iter().map(|view| view.query_id.to_string()).collect::<Vec<_>>()
    };
    let views = listed(&mut fixture);
    assert_eq!(views[0].missing.reason, "lock_timeout");
    assert_eq!(ids(views), ["2", "1"]);
    // A plan that is known outweighs that there is none now.
    fixture.see(2, PlanRung::Generic, &plan(0, 1));
    let leaving = fixture.run(vec![without_plan(2)]);
    assert_eq!(attribute(&leaving[0], "dbintel.plan.missing"), None);
    assert!(attribute(&leaving[0], "dbintel.plan.fingerprint").is_some());
    assert_eq!(ids(listed(&mut fixture)), ["1"]);
}

#[test]
fn statements_without_a_plan_are_bounded_and_counted() {
    let mut fixture = fixture("{}");
    let over = MAX_WITHOUT_PLAN as i64 + 3;
    fixture.run((0..over).map(without_plan).collect());
    assert_eq!(fixture.processor.without.len(), MAX_WITHOUT_PLAN);
    assert_eq!(fixture.limit("statements_without_plan"), Some(3.0));
}

#[test]
fn a_plan_of_which_only_numbers_changed_is_not_read_again() {
    let mut fixture = fixture("{}");
    let read = |fixture: &Fixture| {
        ["parsed", "cached"].map(|reason| fixture.value("plan_parser_plans_total", &[("reason", reason)]))
    };
    fixture.see(1, PlanRung::Generic, &plan(1, 10));
    for cost in 11..21 {
        assert_eq!(fixture.see(1, PlanRung::Generic, &plan(1, cost)), (None, None));
    }
    assert_eq!(read(&fixture), [Some(1.0), Some(10.0)]);
    // The cost before a change is the last one.
    let (news, change) = fixture.see(1, PlanRung::Generic, &plan(0, 500));
    assert_eq!((news, change.unwrap().old_cost), (Some(PlanNews::Changed), Some(20.5)));
    // Another statement, and another rung, have plans of their own.
    assert_eq!(fixture.see(2, PlanRung::Generic, &plan(1, 30)).0, Some(PlanNews::FirstSeen));
    assert_eq!(fixture.see(1, PlanRung::Custom, &plan(0, 501)).0, Some(PlanNews::FirstSeen));
    assert_eq!(read(&fixture), [Some(4.0), Some(10.0)]);
}
