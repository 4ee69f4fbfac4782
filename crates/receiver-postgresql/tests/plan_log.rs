//! Plans from a real server's log: in every format, of the right statement, across rotations, without what clients sent.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, which clippy sees only in functions marked as such"
)]

mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dbintel_model::{
    Batch, Clock as _, GapReason, PlanIdentity, PlanObservation, PlanRung, PlanTimes, PlanTimesSource,
    Record, Server, SystemClock, Target, Text,
};
use dbintel_pipeline::memory::MemoryAccounts;
use dbintel_pipeline::telemetry::Registry;
use dbintel_pipeline::{Context, Output, Processor as _};
use dbintel_plan::log::MARK;
use dbintel_processors::plan_extractor::{PlanCache, PlanExtractor, PlanExtractorSettings};
use dbintel_receiver_postgresql::state::plan_log::Fate;
use dbintel_testkit::postgres::{Cluster, Major, Options};
use sqlx::postgres::PgConnection;
use support::client::{query_id, send};
use support::followed::{assert_cause, kinds};
use support::settings::{cluster, yaml};
use support::{Watched, changes, plan_changes, queries, text_of};

const RECORDS: &str = "dbintel_plan_log_records_total";
const MISSING: &str = "dbintel_plans_missing";
/// Stands in statements and parameters.
const CANARY: &str = "canary4711";

/// A server that logs every plan in every format it has, into files that keep their names.
fn options(major: Major) -> Options {
    let destinations = if major >= Major::V15 { "stderr,csvlog,jsonlog" } else { "stderr,csvlog" };
    let options = Options::new()
        .auto_explain()
        .setting("logging_collector", "on")
        .setting("log_filename", "pg.log")
        .setting("log_destination", destinations)
        .setting("log_line_prefix", "%m [%p] %q%u@%d %Q ")
        .setting("auto_explain.log_format", "json")
        .setting("auto_explain.log_min_duration", "0")
        .setting("auto_explain.log_nested_statements", "on")
        .setting("autovacuum", "off");
    if major >= Major::V14 { options.setting("compute_query_id", "on") } else { options }
}

fn directory(cluster: &Cluster) -> PathBuf {
    cluster.data_dir().join("log")
}

/// A configuration that reads the files of this name and explains nothing.
fn reading(cluster: &Cluster, name: &str) -> String {
    let path = directory(cluster).join(name);
    let plans = format!(
        "{{enabled: true, explain: false, collection_interval: 1s, log: {{include: ['{}']}}}}",
        path.display()
    );
    yaml(cluster.port(), &[("plan_collection", &plans)])
}

/// The same, and explains.
fn explaining(cluster: &Cluster, name: &str) -> String {
    reading(cluster, name).replace("explain: false", "explain: true")
}

fn count(watched: &Watched, fate: Fate) -> f64 {
    watched.own(RECORDS, &[("fate", fate.as_str())]).unwrap_or(0.0)
}

/// What `plan_extractor` lets out of these plans.
fn extracted(plans: Vec<PlanObservation>) -> Vec<Record> {
    let settings: PlanExtractorSettings = dbintel_config::from_yaml("{}").unwrap();
    let config = settings.validate().unwrap().config;
    let (registry, clock) = (Registry::default(), Arc::new(SystemClock::default()));
    let (accounts, id) = (MemoryAccounts::new(registry.clone()), Text::Static("plan_extractor"));
    let cache = PlanCache::new(&id, &config, Arc::clone(&clock) as _, &accounts);
    let mut extractor = PlanExtractor::new(id, &"postgresql".into(), config, cache, registry, &accounts);
    let server = Server {
        receiver: "postgresql".into(),
        system: "postgresql".into(),
        address: "localhost".into(),
        port: 5432,
        resource: Vec::new(),
    };
    let records = plans.into_iter().map(|plan| Record::Plan(Box::new(plan))).collect();
    let target = Arc::new(Target::server(Arc::new(server)));
    let batch = Batch { target, node: None, observed_at: clock.now(), server_clock: None, records };
    let (mut out, mut random) = (Output::default(), fastrand::Rng::with_seed(1));
    let mut cx = Context { now: clock.now(), monotonic: clock.monotonic(), random: &mut random };
    extractor.process(&mut cx, batch, &mut out);
    out.take_batches().into_iter().flat_map(|batch| batch.records).collect()
}

/// Runs a statement until a plan of it has come: the log is read for statements that are known.
async fn plan_of(watched: &mut Watched, cluster: &Cluster, statement: &str, part: &str) -> PlanObservation {
    cluster.execute("postgres", statement).await;
    watched.query(part).await;
    cluster.execute("postgres", statement).await;
    watched.plan(part).await
}

/// Readings within which executions by plan must be told: the settings are read twice before.
const MAX_LOOKS: usize = 60;
const TIMED: (&str, &str) =
    ("SELECT note FROM orders WHERE id = 7 AND note <> ''", "FROM orders WHERE id = ");

/// Runs the statement until its executions by plan are so.
async fn timed_until(
    watched: &mut Watched,
    cluster: &Cluster,
    is_so: impl Fn(&[PlanTimes]) -> bool,
) -> Vec<PlanTimes> {
    let mut seen = None;
    for _ in 0..MAX_LOOKS {
        cluster.execute("postgres", TIMED.0).await;
        watched.readings(1).await;
        let last = queries(watched.batches()).filter(|query| text_of(query).contains(TIMED.1)).last();
        seen = last.and_then(|query| query.plan_times.as_ref()).map(|plans| plans.to_vec());
        if let Some(plans) = seen.take_if(|plans| is_so(plans)) {
            return plans;
        }
    }
    panic!("executions by plan: {seen:?}");
}

/// Executions are counted and timed by plan where all of them are logged, and not where slow ones are.
async fn by_plan(major: Major) {
    let (statement, part) = TIMED;
    let cluster = cluster(major, options(major).setting("auto_explain.log_verbose", "on")).await;
    let mut watched = Watched::start(&reading(&cluster, "pg.csv"));
    watched.baseline().await;
    plan_of(&mut watched, &cluster, statement, part).await;
    watched.readings(2).await;
    let scanning = format!("SET enable_indexscan = off; SET enable_bitmapscan = off; {statement}");
    for _ in 0..40 {
        cluster.execute("postgres", &scanning).await;
    }
    let is_all = |plans: &[PlanTimes]| plans.len() == 2 && plans.iter().any(|times| times.executions == 40);
    let plans = timed_until(&mut watched, &cluster, is_all).await;
    for times in &plans {
        assert_eq!(times.source, PlanTimesSource::ServerLog, "{major}");
        assert!(times.mean_ms > 0.0 && times.squared_deviations_ms2 >= 0.0, "{major}: {times:?}");
    }
    assert_ne!(plans[0].plan, plans[1].plan);

    // From now on only slow ones are logged. A session that logs all of its own must not count.
    cluster.execute("postgres", "ALTER SYSTEM SET auto_explain.log_min_duration = '50ms'").await;
    cluster.execute("postgres", "SELECT pg_reload_conf()").await;
    let is_set = |batches: &[Arc<Batch>]| {
        let mut settings = changes(batches).filter_map(|change| change.subject.as_deref());
        settings.any(|name| name == "auto_explain.log_min_duration").then_some(())
    };
    watched.until("the change of the setting", is_set).await;
    watched.readings(3).await;
    let before = timed_until(&mut watched, &cluster, |_| true).await;
    let met = |watched: &Watched| count(watched, Fate::Taken) + count(watched, Fate::Repeated);
    let fates = met(&watched);
    cluster.execute("postgres", &format!("SET auto_explain.log_min_duration = 0; {statement}")).await;
    watched.until_own(RECORDS, &[("fate", "taken")], |_| met(&watched) > fates).await;
    watched.readings(3).await;
    assert_eq!(timed_until(&mut watched, &cluster, |_| true).await, before, "{major}");
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn executions_are_timed_by_plan_where_all_of_them_are_logged() {
    by_plan(Major::V14).await;
    by_plan(Major::V18).await;
}

async fn every_format(major: Major, verbose: bool) {
    let options = options(major).setting("auto_explain.log_verbose", if verbose { "on" } else { "off" });
    let cluster = cluster(major, options).await;
    for name in ["pg.json", "pg.csv", "pg.log"] {
        let mut watched = Watched::start(&reading(&cluster, name));
        watched.baseline().await;
        let statement = format!("SELECT note FROM orders WHERE note = '{CANARY}' AND id > 1");
        let plan = plan_of(&mut watched, &cluster, &statement, "note FROM orders WHERE note").await;
        let what = format!("{major} {name}");
        assert_eq!((plan.rung, plan.identity), (PlanRung::Actual, PlanIdentity::Proven), "{what}");
        assert_eq!((&*plan.key.database, &*plan.key.user), ("postgres", "postgres"), "{what}");
        assert_eq!(
            plan.key.query_id,
            query_id(&cluster, "SELECT note FROM orders WHERE note").await,
            "{what}"
        );
        let raw = std::str::from_utf8(&plan.raw).unwrap();
        assert!(raw.contains("\"orders\"") && !raw.contains("Query Text"), "{what}: {raw}");
        assert_eq!(raw.contains("\"Query Identifier\""), verbose, "{what}: {raw}");
        let age = SystemClock::default().now().since(plan.obtained_at);
        assert!(age < std::time::Duration::from_secs(600), "{what}: {age:?}");
        let left = extracted(vec![plan]);
        assert_eq!(left.len(), 1, "{what}");
        assert!(
            matches!(left[0], Record::QueryPlan(_)) && !format!("{left:?}").contains(CANARY),
            "{what}: {left:?}"
        );
        let proven = [("rung", "actual"), ("identity", "proven")];
        assert!(watched.own("dbintel_plans_obtained_total", &proven).is_some_and(|plans| plans >= 1.0));
        assert!(watched.missing("plan log").is_none(), "{what}");
        watched.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plans_are_read_in_every_format() {
    every_format(Major::V15, false).await;
    every_format(Major::V18, true).await;
}

/// Files are renamed, and the server told so, while statements are run: every plan in them is met once.
async fn rotation(major: Major) {
    let cluster = cluster(major, options(major)).await;
    // So that nothing is logged but what the test runs.
    cluster.execute("postgres", "ALTER ROLE dbintel SET auto_explain.log_min_duration = -1").await;
    let directory = directory(&cluster);
    let mut watched = Watched::start(&reading(&cluster, "pg.json"));
    watched.baseline().await;
    watched.readings(2).await;
    let met = |watched: &Watched| Fate::ALL.into_iter().map(|fate| count(watched, fate)).sum::<f64>();
    let (logged_before, met_before) = (logged(&directory), met(&watched));
    let mut client = cluster.connect("postgres").await;
    for round in 0..3 {
        for number in 0..40 {
            send(&mut client, &format!("SELECT {number} + id FROM orders WHERE id = {number}")).await;
            if number == 20 && round > 0 {
                fs::rename(directory.join("pg.json"), directory.join(format!("pg.json.{round}"))).unwrap();
                // Into the file that was renamed.
                send(&mut client, "SELECT count(*) FROM orders").await;
                assert!(cluster.scalar::<bool>("postgres", "SELECT pg_rotate_logfile()").await);
            }
            if number % 13 == 0 {
                watched.next().await;
            }
        }
    }
    let written = (logged(&directory) - logged_before) as f64;
    assert!(written >= 122.0, "{written}");
    while met(&watched) - met_before < written {
        watched.next().await;
    }
    watched.readings(2).await;
    assert_eq!((met(&watched) - met_before, count(&watched, Fate::Unreadable)), (written, 0.0));
    assert_eq!(watched.own("dbintel_plan_log_skipped_bytes_total", &[]), Some(0.0));
    watched.stop().await;
}

/// The plans in all files.
fn logged(directory: &Path) -> usize {
    let log = |name: &str| fs::read_to_string(directory.join(name)).unwrap_or_default();
    ["pg.json", "pg.json.1", "pg.json.2"].into_iter().map(|name| log(name).matches(MARK).count()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_loses_nothing() {
    rotation(Major::V17).await;
}

async fn bound(client: &mut PgConnection, statement: &'static str, value: i32) {
    sqlx::query(statement).bind(value).fetch_all(client).await.unwrap();
}

/// A client that speaks as libpq does: portals are not closed.
struct Libpq(UnixStream);

impl Libpq {
    fn connect(cluster: &Cluster) -> Self {
        let socket = cluster.socket_directory().join(format!(".s.PGSQL.{}", cluster.port()));
        let mut client = Self(UnixStream::connect(socket).unwrap());
        let parameters = b"\0\x03\0\0user\0postgres\0database\0postgres\0\0";
        client.0.write_all(&[&length(parameters)[..], &parameters[..]].concat()).unwrap();
        client.until_ready();
        client
    }

    fn simple(&mut self, sql: &str) {
        self.send(b'Q', format!("{sql}\0").as_bytes());
        self.until_ready();
    }

    fn bound(&mut self, sql: &str, value: &str) {
        self.send(b'P', format!("\0{sql}\0\0\0").as_bytes());
        let value = [&(value.len() as u32).to_be_bytes()[..], value.as_bytes()].concat();
        self.send(b'B', &[b"\0\0\0\0\0\x01", &value[..], b"\0\0"].concat());
        self.send(b'D', b"P\0");
        self.send(b'E', b"\0\0\0\0\0");
        self.send(b'S', b"");
        self.until_ready();
    }

    fn send(&mut self, kind: u8, content: &[u8]) {
        self.0.write_all(&[&[kind], &length(content)[..], content].concat()).unwrap();
    }

    fn until_ready(&mut self) {
        loop {
            let mut head = [0; 5];
            self.0.read_exact(&mut head).unwrap();
            let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize - 4;
            let mut content = vec![0; length];
            self.0.read_exact(&mut content).unwrap();
            assert_ne!(head[0], b'E', "{}", String::from_utf8_lossy(&content));
            if head[0] == b'Z' {
                return;
            }
        }
    }
}

/// Of a message, itself included.
fn length(content: &[u8]) -> [u8; 4] {
    (content.len() as u32 + 4).to_be_bytes()
}

/// Of drivers that bind parameters within a transaction: the server explains a statement when the next one begins, and the
/// line names that one. No plan is told to a statement it is not of.
async fn extended_protocol(major: Major) {
    const ORDERS: &str = "SELECT note FROM orders WHERE id = $1";
    const OTHERS: &str = "SELECT name FROM others WHERE id = $1";
    let cluster = cluster(major, options(major)).await;
    cluster.execute("postgres", "CREATE TABLE others AS SELECT 1 AS id, 'a' AS name").await;
    let mut watched = Watched::start(&reading(&cluster, "pg.csv"));
    watched.baseline().await;
    let mut client = Libpq::connect(&cluster);
    for _ in 0..2 {
        client.simple("BEGIN");
        for _ in 0..5 {
            client.bound(ORDERS, "1");
            client.bound(OTHERS, "1");
        }
        client.simple("COMMIT");
        watched.query("FROM orders WHERE id").await;
        watched.query("FROM others").await;
    }
    watched.until_own(RECORDS, &[("fate", "other_statement")], |count| count >= 4.0).await;
    // Without a transaction the line is right.
    client.bound(ORDERS, "1");
    client.bound(OTHERS, "1");
    watched.plan("FROM orders WHERE id").await;
    watched.plan("FROM others").await;
    for plan in watched.plans.lock().iter() {
        let text = plan.text.as_ref().unwrap().masked.clone().unwrap();
        let raw = String::from_utf8_lossy(&plan.raw).into_owned();
        let of = |table: &str| raw.contains(&format!("\"Relation Name\": \"{table}\""));
        assert!(!text.contains("FROM orders WHERE id") || of("orders"), "{text}: {raw}");
        assert!(!text.contains("FROM others") || of("others"), "{text}: {raw}");
    }
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_plan_is_told_to_a_statement_it_is_not_of() {
    extended_protocol(Major::V15).await;
    extended_protocol(Major::V18).await;
}

/// A statement within a function has another identifier than its line says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_within_functions_are_told_apart() {
    let cluster = cluster(Major::V16, options(Major::V16)).await;
    let function = "CREATE FUNCTION inside() RETURNS bigint LANGUAGE plpgsql AS \
        'BEGIN RETURN (SELECT count(*) FROM orders); END'";
    cluster.execute("postgres", function).await;
    for name in ["pg.json", "pg.csv", "pg.log"] {
        let mut watched = Watched::start(&reading(&cluster, name));
        watched.baseline().await;
        let plan = plan_of(&mut watched, &cluster, "SELECT inside()", "inside()").await;
        let raw = String::from_utf8_lossy(&plan.raw).into_owned();
        assert!(raw.contains("\"Result\"") && !raw.contains("orders"), "{name}: {raw}");
        watched.until_own(RECORDS, &[("fate", "within_function")], |count| count >= 1.0).await;
        watched.stop().await;
    }
}

/// The plan of a value, and then the one for all values, are two plans of the statement that ran.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generic_plan_after_a_custom_one_is_another_plan() {
    const STATEMENT: &str = "SELECT count(note) FROM skewed WHERE v = $1";
    let cluster = cluster(Major::V18, options(Major::V18)).await;
    let table = "CREATE TABLE skewed AS SELECT CASE WHEN n % 1000 = 0 THEN 2 ELSE 10 + n % 3 END AS v, 'note' AS note \
        FROM generate_series(1, 50000) n; CREATE INDEX ON skewed (v); ANALYZE skewed";
    cluster.execute("postgres", table).await;
    let mut watched = Watched::start(&reading(&cluster, "pg.json"));
    watched.baseline().await;
    let mut client = cluster.connect("postgres").await;
    send(&mut client, "SET plan_cache_mode = force_custom_plan; SET enable_bitmapscan = off").await;
    bound(&mut client, STATEMENT, 2).await;
    watched.query("FROM skewed").await;
    bound(&mut client, STATEMENT, 2).await;
    let custom = watched.plan("FROM skewed").await;
    watched.plans.lock().clear();
    send(&mut client, "SET plan_cache_mode = force_generic_plan").await;
    bound(&mut client, STATEMENT, 2).await;
    let generic = watched.plan("FROM skewed").await;
    let text = |plan: &PlanObservation| String::from_utf8_lossy(&plan.raw).into_owned();
    assert!(
        text(&custom).contains("\"Index Scan\"") && text(&generic).contains("Seq Scan"),
        "{} {}",
        text(&custom),
        text(&generic)
    );
    let left = extracted(vec![custom, generic]);
    let changes = left.iter().filter(|record| matches!(record, Record::PlanChange(_))).count();
    assert_eq!(changes, 1, "{left:?}");
    watched.stop().await;
}

/// A plan of the log that is another one comes with what may have changed it, however soon after it the statement runs.
async fn causes(major: Major) {
    const STATEMENT: &str = "SELECT note FROM orders WHERE id = $1";
    let cluster = cluster(major, options(major)).await;
    cluster
        .execute(
            "postgres",
            "CREATE INDEX orders_id ON orders (id); ALTER TABLE orders DROP CONSTRAINT orders_pkey",
        )
        .await;
    let slow = ("catalogue_collection", "{collection_interval: 3s}");
    let config = reading(&cluster, "pg.csv");
    let config =
        config.replace("catalogue_collection: {collection_interval: 1s}", &format!("{}: {}", slow.0, slow.1));
    let mut watched = Watched::start_extracting(&config);
    watched.baseline().await;
    let mut client = cluster.connect("postgres").await;
    bound(&mut client, STATEMENT, 1).await;
    watched.query("FROM orders").await;
    bound(&mut client, STATEMENT, 1).await;
    watched.plan("FROM orders").await;
    // The catalogue is followed as soon as a table that was created is told.
    let mut tables = 0;
    while changes(watched.batches()).next().is_none() {
        tables += 1;
        send(&mut client, &format!("CREATE TABLE mark_{tables} ()")).await;
        watched.readings(4).await;
    }
    send(&mut client, "DROP INDEX orders_id").await;
    bound(&mut client, STATEMENT, 1).await;
    let change = watched.until("a change", |batches| plan_changes(batches).next().cloned()).await;
    assert_cause(
        &change,
        "ddl",
        "ddl index public.orders_id dropped on public.orders: was btree (id), noticed at",
    );
    assert_eq!((change.rung, kinds(&change)), (PlanRung::Actual, ["ddl"].into()), "{major}: {change:#?}");
    // A plan it had before does not wait.
    send(&mut client, "CREATE INDEX orders_id ON orders (id)").await;
    bound(&mut client, STATEMENT, 1).await;
    let alternations = [("processor", "plan_extractor")];
    watched.until_own("plan_extractor_alternations_total", &alternations, |count| count == 1.0).await;
    watched.catch_up().await;
    assert_eq!(plan_changes(watched.batches()).count(), 1, "{major}");
    assert_eq!(watched.own("dbintel_limit_reached_total", &[("limit", "held_plans")]), None);
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_plan_of_the_log_comes_with_its_causes() {
    tokio::join!(causes(Major::V14), causes(Major::V18));
}

/// What our role may not explain has a plan all the same, and no reason for having none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_has_plans_of_what_cannot_be_explained() {
    const DENIED: (&str, &[(&str, &str)]) = (MISSING, &[("reason", "insufficient_privilege")]);
    let cluster = cluster(Major::V14, options(Major::V14)).await;
    let mut watched = Watched::start(&explaining(&cluster, "pg.csv"));
    watched.baseline().await;
    cluster.execute("postgres", "SELECT note FROM orders WHERE id = 1").await;
    watched.until_own(DENIED.0, DENIED.1, |count| count == 1.0).await;
    cluster.execute("postgres", "SELECT note FROM orders WHERE id = 1").await;
    let plan = watched.plan("FROM orders").await;
    assert_eq!((plan.rung, plan.identity), (PlanRung::Actual, PlanIdentity::Proven));
    watched.until_own(DENIED.0, DENIED.1, |count| count == 0.0).await;
    watched.stop().await;
}

/// What stands in the way is said, with what to do, and never ends anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_in_the_way_is_said() {
    let without = cluster(Major::V13, options(Major::V13)).await;
    let mut watched = Watched::start(&reading(&without, "pg.csv"));
    watched.baseline().await;
    without.execute("postgres", "SELECT count(*) FROM orders").await;
    let gap = watched.gap("plan log").await;
    assert_eq!(gap.reason, GapReason::DisabledOnServer);
    assert!(gap.detail.contains("compute_query_id"), "{gap:?}");
    watched.until_own(MISSING, &[("reason", "not_logged")], |count| count >= 1.0).await;
    watched.stop().await;

    let options = options(Major::V17).setting("auto_explain.log_format", "text");
    let text = cluster(Major::V17, options).await;
    let mut watched = Watched::start(&reading(&text, "pg.log"));
    watched.baseline().await;
    text.execute("postgres", "SELECT count(*) FROM orders").await;
    let gap = watched.gap("plan log").await;
    assert!(gap.detail.contains("auto_explain.log_format"), "{gap:?}");
    watched.stop().await;

    let mut watched = Watched::start(&reading(&text, "nowhere/*.json"));
    watched.baseline().await;
    text.execute("postgres", "SELECT count(*) FROM orders").await;
    let gap = watched.gap("plan log").await;
    assert_eq!(gap.reason, GapReason::LogNotReachable);
    assert!(gap.detail.contains("log_directory"), "{gap:?}");
    watched.until_own(MISSING, &[("reason", "log_not_reachable")], |count| count >= 1.0).await;
    fs::create_dir(directory(&text).join("nowhere")).unwrap();
    fs::write(directory(&text).join("nowhere/pg.json"), "").unwrap();
    watched.until_not_missing("plan log").await;
    watched.stop().await;
}
