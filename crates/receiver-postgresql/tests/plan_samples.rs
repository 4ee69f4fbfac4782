//! Plans of running statements with their values: what they show that other plans do not, that no value is left anywhere, and
//! where none is asked for.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, which clippy sees only in functions marked as such"
)]

mod support;

use std::sync::Arc;

use dbintel_model::{PlanIdentity, PlanNews, PlanObservation, PlanRung, QueryKey};
use dbintel_receiver_postgresql::config::{Settings, validate};
use dbintel_receiver_postgresql::examine;
use dbintel_receiver_postgresql::query::connection::{Connection, Limits};
use dbintel_receiver_postgresql::query::facts::{Facts, SeenFacts};
use dbintel_receiver_postgresql::query::plans::{create_script, logging, obstacle, sample_limits};
use dbintel_receiver_postgresql::state::samples::SampleFate;
use dbintel_testkit::postgres::{Cluster, Major, Options};
use sqlx::Row as _;
use support::client::{Busy, query_id, send};
use support::settings::{cluster, yaml};
use support::{Watched, plan_changes, query_plans};

const SAMPLES: (&str, &str) =
    ("plan_collection", "{enabled: true, samples: true, collection_interval: 1s, max_per_collection: 100}");
const PLANS: (&str, &str) =
    ("plan_collection", "{enabled: true, collection_interval: 1s, max_per_collection: 100}");
const TAKEN: &str = "dbintel_plan_samples_total";
const MAJORS: [Major; 3] = [Major::V14, Major::V16, Major::V18];
/// Stands in the values.
const CANARY: &str = "canary4711";
/// Rounds within which a sample must come.
const MAX_LOOKS: usize = 60;

/// One value in 99 of 100 rows. Tables of the same name whose columns have other types.
const WORLD: &str = "
CREATE TABLE job (id int PRIMARY KEY, state text);
INSERT INTO job SELECT n, CASE n % 100 WHEN 0 THEN 'canary4711-rare-' || n ELSE 'canary4711-common' END
    FROM generate_series(1, 20000) n;
CREATE INDEX job_state ON job (state); ANALYZE job;
CREATE TABLE named (code int);
CREATE SCHEMA other; CREATE TABLE other.named (code text)";

async fn world(major: Major, options: Options) -> Cluster {
    let options = options.setting("log_line_prefix", "by %u: ").setting("autovacuum", "off");
    let cluster = cluster(major, options.setting("pg_stat_statements.track", "all")).await;
    cluster.execute("postgres", WORLD).await;
    cluster
}

/// A statement that lasts so long, with this value in it.
fn statement(seconds: u32, value: &str) -> String {
    format!("SELECT sum(id), pg_sleep({seconds}) FROM job WHERE state = '{CANARY}-{value}'")
}

async fn stop(cluster: &Cluster, busy: Busy) {
    cluster.execute("postgres", &format!("SELECT pg_terminate_backend({})", busy.pid)).await;
}

/// Lines of the log that our role caused.
fn our_lines(cluster: &Cluster) -> Vec<String> {
    let log = cluster.log();
    log.lines().filter(|line| line.starts_with("by dbintel")).map(str::to_owned).collect()
}

fn sampled(watched: &Watched) -> Vec<PlanObservation> {
    watched.plans.lock().iter().filter(|plan| plan.rung == PlanRung::Custom).cloned().collect()
}

fn fate(watched: &Watched, fate: SampleFate) -> f64 {
    watched.own(TAKEN, &[("fate", fate.as_str())]).unwrap_or(0.0)
}

/// Asks for the plan of a statement as a processor does, until this is so: the rate of samples is bounded.
async fn ask_until(watched: &mut Watched, key: &QueryKey, what: &str, is_so: impl Fn(&Watched) -> bool) {
    for _ in 0..MAX_LOOKS {
        watched.request_plan(key.clone()).await;
        watched.readings(2).await;
        if is_so(watched) {
            return;
        }
    }
    panic!("{what} did not come: {:?}", SampleFate::ALL.map(|of| (of.as_str(), fate(watched, of))));
}

/// The next plan of a sample.
async fn next(watched: &mut Watched, key: &QueryKey) -> PlanObservation {
    let before = sampled(watched).len();
    ask_until(watched, key, "a sample", |watched| sampled(watched).len() > before).await;
    watched.catch_up().await;
    sampled(watched).remove(before)
}

/// The plan for the value that a session has is another one than that for any value; it is proven, and the value is
/// nowhere: not in what leaves the lane, not in the log, not in `pg_stat_statements`.
async fn values_of_a_session(major: Major) {
    let cluster = world(major, Options::new()).await;
    cluster.execute("postgres", &create_script("dbintel")).await;
    let mut watched = Watched::start_extracting(&yaml(cluster.port(), &[SAMPLES]));
    watched.baseline().await;
    cluster.execute("postgres", &statement(0, "common")).await;
    let key = watched.query("pg_sleep").await.key;
    assert_eq!(key.query_id, query_id(&cluster, "SELECT sum(id)").await);

    let common = Busy::start(&cluster, "postgres", "SELECT 1", &statement(600, "common")).await;
    let plan = next(&mut watched, &key).await;
    assert_eq!((plan.rung, plan.identity), (PlanRung::Custom, PlanIdentity::Proven), "{major}");
    let raw = String::from_utf8_lossy(&plan.raw).into_owned();
    assert!(raw.contains("Seq Scan") && !raw.contains("Actual"), "{major}: {raw}");
    assert!(raw.contains(CANARY), "{major}: the canary is where it must be taken out: {raw}");
    assert!(plan.tables.iter().any(|table| &*table.name == "job"), "{major}: {:?}", plan.tables);
    let generic = watched.plans.lock().iter().find(|plan| plan.rung != PlanRung::Custom).cloned().unwrap();
    assert!(String::from_utf8_lossy(&generic.raw).contains("job_state"), "{major}: it is still asked for");
    stop(&cluster, common).await;

    // Another value has another plan, which is told and is no change; going to and fro is told nobody.
    let rare = Busy::start(&cluster, "postgres", "SELECT 1", &statement(600, "rare-300")).await;
    let plan = next(&mut watched, &key).await;
    assert!(String::from_utf8_lossy(&plan.raw).contains("job_state"), "{major}");
    stop(&cluster, rare).await;
    let common = Busy::start(&cluster, "postgres", "SELECT 1", &statement(600, "common")).await;
    next(&mut watched, &key).await;
    stop(&cluster, common).await;
    watched.readings(2).await;
    let told: Vec<_> = query_plans(watched.batches())
        .filter(|plan| plan.key.query_id == key.query_id && plan.rung == PlanRung::Custom)
        .map(|plan| plan.news)
        .collect();
    assert_eq!(told, [PlanNews::FirstSeen, PlanNews::OtherValues], "{major}");
    let changes: Vec<_> = plan_changes(watched.batches()).collect();
    assert!(changes.is_empty(), "{major}: {changes:#?}");
    assert!(watched.missing("postgres: plan samples").is_none(), "{major}");

    leaves_no_value(&watched, major);
    watched.stop().await;

    // The rate of samples is a receiver's.
    let mut watched = Watched::start_extracting(&yaml(cluster.port(), &[SAMPLES]));
    watched.baseline().await;
    failing_sample(&cluster, &mut watched, major).await;
    leaves_no_value(&watched, major);
    watched.stop().await;

    assert_eq!(our_lines(&cluster), Vec::<String>::new(), "{major}");
    assert!(!cluster.log().contains("EXPLAIN"), "{major}: {}", cluster.log());
    let kept = "SELECT count(*) FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid \
        WHERE r.rolname LIKE 'dbintel%' OR s.query LIKE 'EXPLAIN%' OR s.query LIKE '%canary4711%'";
    assert_eq!(cluster.scalar::<i64>("postgres", kept).await, 0, "{major}");
}

fn leaves_no_value(watched: &Watched, major: Major) {
    let left = format!("{:?}", watched.batches());
    assert!(!left.contains(CANARY), "{major}: {}", left.split(CANARY).next().unwrap_or_default().len());
}

/// Samples that cannot be planned: with the path of its role the statement means a table whose column takes no such value,
/// and its table is one that only its session sees. The server's messages of both would have the value in them.
async fn failing_sample(cluster: &Cluster, watched: &mut Watched, major: Major) {
    for (before, beginning) in [
        ("SET search_path = other", "SELECT code, pg_sleep"),
        ("CREATE TEMP TABLE mine (code text)", "SELECT code AS c, pg_sleep"),
    ] {
        let table = if before.contains("TEMP") { "mine" } else { "named" };
        let statement = |seconds: u32| format!("{beginning}({seconds}) FROM {table} WHERE code = '{CANARY}'");
        let filled = format!("{before}; INSERT INTO {table} VALUES ('{CANARY}')");
        let both = format!("{filled}; {}", statement(0));
        let busy = Busy::start(cluster, "postgres", &both, &statement(600)).await;
        let key = watched.query(beginning).await.key;
        let failed = fate(watched, SampleFate::Failed);
        ask_until(watched, &key, "a failure", |watched| fate(watched, SampleFate::Failed) > failed).await;
        assert!(sampled(watched).iter().all(|plan| plan.key.query_id != key.query_id), "{major}");
        // It is not tried again at once.
        let failed = fate(watched, SampleFate::Failed);
        for _ in 0..2 {
            watched.request_plan(key.clone()).await;
            watched.readings(2).await;
        }
        assert_eq!(fate(watched, SampleFate::Failed), failed, "{major}: {before}");
        stop(cluster, busy).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_statement_is_planned_with_its_values_and_they_are_left_nowhere() {
    let [first, second, third] = MAJORS.map(values_of_a_session);
    tokio::join!(first, second, third);
}

/// A server on which everything that is sent is logged, but for what is bound.
fn logging_everything() -> Options {
    Options::new().setting("log_statement", "all").setting("log_parameter_max_length", "0")
}

/// Runs a long statement until another plan of it has come, and the samples of the round after that are counted.
async fn with_plans(cluster: &Cluster, config: (&str, &str)) -> (Watched, QueryKey, Busy) {
    let mut watched = Watched::start(&yaml(cluster.port(), &[config]));
    watched.baseline().await;
    cluster.execute("postgres", &statement(0, "common")).await;
    let key = watched.query("pg_sleep").await.key;
    let busy = Busy::start(cluster, "postgres", "SELECT 1", &statement(600, "common")).await;
    for _ in 0..2 {
        let before = watched.plans.lock().len();
        let plans = Arc::clone(&watched.plans);
        ask_until(&mut watched, &key, "a plan", |_| plans.lock().len() > before).await;
    }
    watched.readings(2).await;
    (watched, key, busy)
}

/// Whether we have looked at what sessions are running.
fn looked(cluster: &Cluster) -> bool {
    our_lines(cluster).iter().any(|line| line.contains("a.query_id = ANY($1)"))
}

/// Without being asked to nobody looks at sessions for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_off_unless_switched_on() {
    let cluster = world(Major::V16, logging_everything()).await;
    cluster.execute("postgres", &create_script("dbintel")).await;
    let (watched, _, busy) = with_plans(&cluster, PLANS).await;
    assert_eq!(sampled(&watched), []);
    assert!(!looked(&cluster) && watched.own(TAKEN, &[]).is_none());
    watched.stop().await;
    stop(&cluster, busy).await;

    let (mut watched, key, _busy) = with_plans(&cluster, SAMPLES).await;
    next(&mut watched, &key).await;
    assert!(looked(&cluster), "what is not found above can be found");
    let ours = our_lines(&cluster);
    assert!(!ours.iter().any(|line| line.contains(CANARY)), "{ours:#?}");
    watched.stop().await;
}

/// A function that is not there, not ours, a superuser's or not for us is not done without.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_function_nothing_is_sampled() {
    let cluster = world(Major::V18, logging_everything()).await;
    cluster.execute("postgres", "GRANT SELECT ON job TO dbintel").await;
    let (mut watched, key, _busy) = with_plans(&cluster, SAMPLES).await;
    let (create, owner) = (create_script("dbintel"), "ALTER FUNCTION dbintel.explain OWNER TO");
    let different = create.replace("line_ends", "line_end");
    for (prepare, expected) in [
        ("SELECT 1", SampleFate::FunctionMissing),
        (&*different, SampleFate::FunctionDifferent),
        (&*create, SampleFate::Taken),
        (&*format!("{owner} postgres"), SampleFate::FunctionOfSuperuser),
        (
            &*format!("{owner} dbintel_explain; REVOKE USAGE ON SCHEMA dbintel FROM dbintel"),
            SampleFate::FunctionNotGranted,
        ),
    ] {
        cluster.execute("postgres", prepare).await;
        let before = fate(&watched, expected);
        ask_until(&mut watched, &key, expected.as_str(), |watched| fate(watched, expected) > before).await;
        if expected == SampleFate::FunctionDifferent {
            assert!(!looked(&cluster), "no text is read where none can be explained");
            assert_eq!(watched.missing("postgres: plan samples").unwrap().reason, "disabled_on_server");
        }
    }
    watched.stop().await;
}

/// What stands in the way of samples, for the collector's role as it is set now.
async fn in_the_way(cluster: &Cluster) -> Option<SampleFate> {
    let settings: Settings = dbintel_config::from_yaml(&yaml(cluster.port(), &[])).unwrap();
    let config = validate(&settings).unwrap().config;
    let limits: Limits = sample_limits(config.limits);
    let mut connection = Connection::open(config.connect.clone(), "postgres".into()).await.unwrap();
    connection.begin(limits, "").await.unwrap();
    let facts = Facts::read(&mut connection, limits, &SeenFacts::default()).await.unwrap();
    assert_eq!(obstacle(&facts), None);
    let fate = logging(&mut connection, limits).await.unwrap();
    connection.close().await;
    fate
}

/// Has a text explained as we do it, and says whether the log has its value then. That there is nothing to see of it yet is
/// waited for by a line that comes after it.
async fn is_shown(cluster: &Cluster, text: &str) -> bool {
    const CALL: &str = "SELECT q.*, clock_timestamp() - statement_timestamp() FROM (SELECT e.code, \
        octet_length(e.plan)::int8, CASE WHEN octet_length(e.plan) <= 1048576 THEN e.plan END \
        FROM dbintel.explain($1, $2, $3) e) q";
    let before = cluster.log().len();
    let mut client = cluster.connect_as("dbintel", "postgres").await;
    send(&mut client, "BEGIN READ ONLY; SET LOCAL lock_timeout = 20").await;
    let call = sqlx::query(CALL).persistent(false).bind(text).bind(0_i32).bind("public");
    call.fetch_one(&mut client).await.unwrap().get::<String, _>(0);
    send(&mut client, "ROLLBACK").await;
    sqlx::query("SELECT 1 / $1").bind(0_i32).execute(&mut client).await.unwrap_err();
    while !cluster.log()[before..].contains("division by zero") {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    cluster.log()[before..].contains(CANARY)
}

/// Every setting by which the log would have a value of a sample is known as one, and without them it has none.
async fn settings_that_show(major: Major) {
    let cluster = world(major, Options::new().auto_explain()).await;
    cluster.execute("postgres", &create_script("dbintel")).await;
    let plain = format!("SELECT id FROM job WHERE state = '{CANARY}'");
    let invalid = format!("SELECT id FROM job WHERE id = '{CANARY}'");
    let long = format!("SELECT id AS {} FROM job WHERE state = '{CANARY}'", "x".repeat(70));
    let escaped = format!("SELECT id FROM job WHERE state = '{CANARY}\\\\'");
    let (parameters, context, module) =
        (SampleFate::ParametersLogged, SampleFate::ContextLogged, SampleFate::ModuleLogs);
    let locked = [plain.as_str()];
    for (settings, texts, expected) in [
        (&[][..], &[plain.as_str(), &invalid, &long, &escaped][..], None),
        (&["log_statement = 'all'"], &[&plain, &invalid], Some(parameters)),
        (&["log_statement = 'mod'"], &[&plain, &invalid], None),
        (&["log_duration = on"], &[&plain], None),
        (&["log_min_duration_statement = 0"], &[&plain, &invalid], Some(parameters)),
        (&["log_min_duration_sample = 0", "log_statement_sample_rate = 1"], &[&plain], Some(parameters)),
        (&["log_transaction_sample_rate = 1"], &[&plain], Some(parameters)),
        (
            &["log_statement = 'all'", "log_min_duration_statement = 0", "log_parameter_max_length = 0"],
            &[&plain, &invalid],
            None,
        ),
        (&["log_parser_stats = on"], &[&plain], Some(context)),
        (&["log_min_messages = 'notice'"], &[&long], Some(context)),
        (&["standard_conforming_strings = off"], &[&escaped], Some(context)),
        (&["log_lock_waits = on", "deadlock_timeout = 1"], &locked, Some(context)),
        (&["log_lock_waits = on", "deadlock_timeout = '1s'"], &locked, None),
        (&["auto_explain.log_min_duration = 0", "auto_explain.log_verbose = on"], &[&plain], Some(module)),
        (
            &["auto_explain.log_min_duration = 0", "auto_explain.log_nested_statements = on"],
            &[&plain, &invalid],
            Some(module),
        ),
    ] {
        for setting in settings {
            cluster.execute("postgres", &format!("ALTER ROLE dbintel SET {setting}")).await;
        }
        let lock = "BEGIN; LOCK TABLE job IN ACCESS EXCLUSIVE MODE";
        let holder = match texts == locked && settings.len() > 1 {
            true => Some(Busy::start(&cluster, "postgres", lock, "SELECT pg_sleep(600)").await),
            false => None,
        };
        assert_eq!(in_the_way(&cluster).await, expected, "{major}: {settings:?}");
        for text in texts {
            assert_eq!(is_shown(&cluster, text).await, expected.is_some(), "{major}: {settings:?}: {text}");
        }
        if let Some(holder) = holder {
            stop(&cluster, holder).await;
        }
        let again = "ALTER ROLE dbintel RESET ALL; ALTER ROLE dbintel SET pg_stat_statements.track = 'none'";
        cluster.execute("postgres", again).await;
    }
    // What shows a value only where something else goes wrong, or as numbers.
    for (setting, expected) in [
        ("log_parameter_max_length_on_error = -1", parameters),
        ("debug_print_plan = on", context),
        ("log_planner_stats = on", context),
        ("auto_explain.log_min_duration = '1h'", module),
    ] {
        let name = setting.split(' ').next().unwrap();
        cluster.execute("postgres", &format!("ALTER ROLE dbintel SET {setting}")).await;
        assert_eq!(in_the_way(&cluster).await, Some(expected), "{major}: {setting}");
        cluster.execute("postgres", &format!("ALTER ROLE dbintel RESET {name}")).await;
    }
    assert_eq!(in_the_way(&cluster).await, None, "{major}");
    let standby = cluster.standby().await;
    cluster.wait_for_standby(&standby).await;
    assert_eq!(in_the_way(&standby).await, Some(SampleFate::Standby), "{major}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_would_show_a_value_are_known() {
    for major in MAJORS {
        settings_that_show(major).await;
    }
}

/// Where the server would log what we bind, no text of a session is even read; the doctor says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_parameters_are_logged_no_text_is_read() {
    let cluster = world(Major::V16, Options::new().setting("log_statement", "all")).await;
    cluster.execute("postgres", &create_script("dbintel")).await;
    let (mut watched, key, _busy) = with_plans(&cluster, SAMPLES).await;
    let refused = |watched: &Watched| fate(watched, SampleFate::ParametersLogged) > 0.0;
    ask_until(&mut watched, &key, "a refusal", refused).await;
    assert!(watched.missing("postgres: plan samples").unwrap().detail.contains("log_parameter_max_length"));
    watched.stop().await;
    assert!(!looked(&cluster));
    let ours = our_lines(&cluster);
    assert!(!ours.iter().any(|line| line.contains(CANARY)), "{ours:#?}");
    let settings: Settings = dbintel_config::from_yaml(&yaml(cluster.port(), &[SAMPLES])).unwrap();
    let advice = examine(&validate(&settings).unwrap().config).await.unwrap().advice;
    assert!(advice.iter().any(|advice| advice.what.contains("log_parameter_max_length")), "{advice:#?}");
}

/// What the function refuses is not planned another way, though our role could; what means another table on our side is not
/// taken for the statement's, and one in another schema is found; and nobody waits for a lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sample_is_of_the_statement_and_by_the_function_or_not_at_all() {
    let cluster = world(Major::V16, Options::new()).await;
    let more = "CREATE FUNCTION shout() RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 1; END'; \
        CREATE TABLE twin (code text); CREATE TABLE other.twin (code text); CREATE TABLE hidden (code text); \
        GRANT SELECT ON ALL TABLES IN SCHEMA public TO dbintel";
    cluster.execute("postgres", &format!("{more}; {}", create_script("dbintel"))).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[SAMPLES]));
    watched.baseline().await;
    for (before, beginning, rest, expected) in [
        ("SELECT 1", "SELECT avg(id), pg_sleep", "FROM job WHERE state = 'shout'", SampleFate::Refused),
        (
            "CREATE TEMP TABLE hidden (code text); INSERT INTO hidden VALUES ('x')",
            "SELECT code AS h, pg_sleep",
            "FROM hidden WHERE code = 'x'",
            SampleFate::OtherStatement,
        ),
        (
            "SET search_path = other; INSERT INTO twin VALUES ('x')",
            "SELECT code AS t, pg_sleep",
            "FROM twin WHERE code = 'x'",
            SampleFate::Taken,
        ),
    ] {
        let statement = |seconds: u32| format!("{beginning}({seconds}) {rest}");
        let both = format!("{before}; {}", statement(0));
        let busy = Busy::start(&cluster, "postgres", &both, &statement(600)).await;
        let key = watched.query(beginning).await.key;
        ask_until(&mut watched, &key, beginning, |watched| fate(watched, expected) > 0.0).await;
        let of = sampled(&watched).into_iter().filter(|plan| plan.key.query_id == key.query_id);
        let plans: Vec<_> = of.map(|plan| String::from_utf8_lossy(&plan.raw).into_owned()).collect();
        assert_eq!(plans.is_empty(), expected != SampleFate::Taken, "{beginning}: {plans:?}");
        assert!(plans.iter().all(|plan| plan.contains("\"Schema\": \"other\"")), "{plans:?}");
        stop(&cluster, busy).await;
    }
    cluster.execute("postgres", &statement(0, "common")).await;
    let key = watched.query("SELECT sum(id)").await.key;
    let _busy = Busy::start(&cluster, "postgres", "SELECT 1", &statement(600, "common")).await;
    let lock = "LOCK TABLE job IN ACCESS EXCLUSIVE MODE";
    let _waits = Busy::start(&cluster, "postgres", "BEGIN", lock).await;
    let queued = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'job'::regclass";
    while cluster.scalar::<i64>("postgres", queued).await == 0 {}
    let locked = |watched: &Watched| fate(watched, SampleFate::LockTimeout) > 0.0;
    ask_until(&mut watched, &key, "a lock", locked).await;
    watched.stop().await;
    assert_eq!(our_lines(&cluster), Vec::<String>::new());
}

/// What is no sample: a text that was cut, one with parameters, and one of a server before 14.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_sample_is_left_alone() {
    let options = Options::new().setting("track_activity_query_size", "200");
    let cluster = world(Major::V16, options).await;
    cluster.execute("postgres", &create_script("dbintel")).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[SAMPLES]));
    watched.baseline().await;
    let long = |seconds: u32| {
        format!("SELECT max(id), pg_sleep({seconds}) FROM job WHERE state = '{}'", "x".repeat(200))
    };
    cluster.execute("postgres", &long(0)).await;
    let key = watched.query("SELECT max(id)").await.key;
    let _busy = Busy::start(&cluster, "postgres", "SELECT 1", &long(600)).await;
    ask_until(&mut watched, &key, "a cut text", |watched| fate(watched, SampleFate::Cut) > 0.0).await;

    let bound = "SELECT min(id), pg_sleep($1) FROM job WHERE state = $2";
    let mut client = cluster.connect("postgres").await;
    sqlx::query(bound).bind(0.0).bind(CANARY).fetch_all(&mut client).await.unwrap();
    let key = watched.query("SELECT min(id)").await.key;
    let mut running = tokio::task::JoinSet::new();
    running.spawn(async move { sqlx::query(bound).bind(600.0).bind(CANARY).fetch_all(&mut client).await });
    let met = |watched: &Watched| fate(watched, SampleFate::Parameters) > 0.0;
    ask_until(&mut watched, &key, "a text with parameters", met).await;
    assert_eq!(sampled(&watched), []);
    watched.stop().await;

    let cluster = world(Major::V13, Options::new()).await;
    cluster.execute("postgres", &create_script("dbintel")).await;
    let (watched, _, _busy) = with_plans(&cluster, SAMPLES).await;
    watched.until_own(TAKEN, &[("fate", SampleFate::NotInThisVersion.as_str())], |count| count > 0.0).await;
    assert_eq!(watched.missing("postgres: plan samples").unwrap().reason, "not_in_this_version");
    watched.stop().await;
}
