//! Plans of a real server's statements: how many, by which way, how sure, and what obtaining them leaves behind.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests, which clippy sees only in functions marked as such; what they print is their result"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dbintel_model::{Batch, PlanIdentity, PlanObservation, PlanRung, QueryKey};
use dbintel_receiver_postgresql::config::{Settings, validate};
use dbintel_receiver_postgresql::query::connection::{Connection, Limits};
use dbintel_receiver_postgresql::query::facts::{Facts, SeenFacts};
use dbintel_receiver_postgresql::query::plans;
use dbintel_receiver_postgresql::state::plans::MissingPlan;
use dbintel_testkit::postgres::{Cluster, Major, Options};
use sqlx::Row as _;
use support::client::{Busy, query_id, query_id_of};
use support::settings::{cluster, orders, yaml};
use support::workload::{self, BOUND, WITHOUT};
use support::{Watched, queries, text_of};

/// More than there are.
const ALL: (&str, &str) = ("top_query_collection", "{collection_interval: 1s, top_n_query: 500}");
const PLANS: (&str, &str) =
    ("plan_collection", "{enabled: true, collection_interval: 1s, max_per_collection: 100}");
/// Share of statements with complete text that must have a plan.
const WANTED_SHARE: f64 = 0.95;
/// Distinct statements of the workload that the server keeps apart, at least.
const WANTED_STATEMENTS: usize = 200;
const MISSING: &str = "dbintel_plans_missing";

fn options() -> Options {
    Options::new()
        .setting("log_line_prefix", "by %u: ")
        .setting("autovacuum", "off")
        .setting("pg_stat_statements.track", "all")
}

fn obtained(watched: &Watched) -> Vec<PlanObservation> {
    watched.plans.lock().clone()
}

/// Every reason with the number of statements that have it now.
fn reasons(watched: &Watched) -> BTreeMap<&'static str, u64> {
    let count = |reason: MissingPlan| {
        let count = watched.own(MISSING, &[("reason", reason.as_str())]).unwrap_or(0.0);
        (reason.as_str(), count as u64)
    };
    MissingPlan::ALL.into_iter().map(count).filter(|(_, count)| *count > 0).collect()
}

/// Waits until this statement was seen, and every statement that was seen has been probed.
async fn probed(watched: &mut Watched, last: &str) {
    watched.query(last).await;
    watched.readings(2).await;
    // What is missing is told at the end of a round: one may have begun before.
    let rounds = [("loop", "plans")];
    let before = watched.own("dbintel_polls_total", &rounds).unwrap_or(0.0);
    watched.until_own("dbintel_polls_total", &rounds, |now| now >= before + 2.0).await;
    for waiting in ["not_yet_probed", "not_admitted", "unreachable"] {
        watched.until_own(MISSING, &[("reason", waiting)], |count| count == 0.0).await;
    }
    watched.readings(1).await;
}

async fn xids(cluster: &Cluster) -> i64 {
    cluster.scalar("postgres", "SELECT txid_snapshot_xmax(txid_current_snapshot())").await
}

/// By whose rights statements are explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rights {
    OfTheRole,
    OfTheFunction,
}

/// The share with a plan; what is printed is the table of `docs/plans.md`.
async fn share(major: Major, rights: Rights) {
    let cluster = cluster(major, options()).await;
    workload::build(&cluster).await;
    if rights == Rights::OfTheFunction {
        let none = "REVOKE ALL ON ALL TABLES IN SCHEMA shop, public FROM dbintel; REVOKE ALL ON SCHEMA shop FROM dbintel";
        cluster.execute("postgres", none).await;
        cluster.execute("postgres", &plans::create_script("dbintel")).await;
    }
    let mut watched = Watched::start(&yaml(cluster.port(), &[PLANS, ALL]));
    watched.baseline().await;
    workload::run(&cluster).await;
    let before = xids(&cluster).await;
    probed(&mut watched, "shop.per_customer WHERE customer_id").await;

    let seen: BTreeMap<i64, (String, bool)> = queries(watched.batches())
        .filter(|query| &*query.key.user == "web")
        .filter_map(|query| query.text.as_ref().map(|text| (query, text)))
        .filter(|(_, text)| {
            ["select", "insert", "update", "delete", "merge", "values", "table"].contains(&text.kind)
        })
        .map(|(query, text)| (query.key.query_id, (text_of(query).to_owned(), text.truncated)))
        .collect();
    assert!(seen.len() >= WANTED_STATEMENTS, "{}", seen.len());
    let mut by_rung: BTreeMap<(&str, &str), BTreeSet<i64>> = BTreeMap::new();
    for plan in obtained(&watched).iter().filter(|plan| &*plan.key.user == "web") {
        let ways = (plan.rung.as_str(), plan.identity.as_str());
        by_rung.entry(ways).or_default().insert(plan.key.query_id);
        let raw = std::str::from_utf8(&plan.raw).unwrap();
        assert!(
            raw.starts_with('[') && raw.contains("\"Node Type\"") && !raw.contains("Actual Rows"),
            "{raw}"
        );
    }
    let with: BTreeSet<i64> = by_rung.values().flatten().copied().collect();
    let without: Vec<&String> =
        seen.iter().filter(|(id, _)| !with.contains(id)).map(|(_, (text, _))| text).collect();
    let complete = seen.values().filter(|(_, truncated)| !truncated).count();
    let share = (complete - without.len()) as f64 / complete as f64;
    let rungs: BTreeMap<_, usize> = by_rung.iter().map(|(ways, ids)| (ways, ids.len())).collect();
    println!(
        "{major}, rights {rights:?}: {complete} statements, {:.1} % with a plan, {rungs:?}",
        share * 100.0
    );
    println!("{major}: without: {without:#?}, reasons: {:?}", reasons(&watched));
    assert!(share >= WANTED_SHARE, "{major}: {share}: {without:#?} {:?}", reasons(&watched));

    // What arrived with parameters is vouched for by the server, where it gives identifiers with plans.
    for statement in BOUND {
        let id = query_id_of(&cluster, statement).await;
        let plan = obtained(&watched).into_iter().find(|plan| plan.key.query_id == id);
        let plan = plan.unwrap_or_else(|| panic!("{major}: no plan of {statement}"));
        let identity = plan.identity;
        let expected = if major >= Major::V14 { PlanIdentity::Proven } else { PlanIdentity::Unproven };
        assert_eq!(identity, expected, "{major}: {statement}: {id} {}", String::from_utf8_lossy(&plan.raw));
    }
    // The settings of the role, which is not ours.
    let id = query_id_of(&cluster, "SELECT name FROM customer WHERE id = $1").await;
    let plan = obtained(&watched).into_iter().find(|plan| plan.key.query_id == id).unwrap();
    let raw = std::str::from_utf8(&plan.raw).unwrap();
    assert!(raw.contains("\"enable_seqscan\": \"off\"") && raw.contains("\"work_mem\": \"7MB\""), "{raw}");
    assert!(raw.contains("\"Schema\": \"shop\""), "{raw}");
    let rung = if major >= Major::V16 { PlanRung::Generic } else { PlanRung::GenericNulls };
    assert_eq!(plan.rung, rung);
    leaves_nothing(&cluster, before).await;
    watched.stop().await;
}

/// No transaction id, no row, no line of the log, no prepared statement.
async fn leaves_nothing(cluster: &Cluster, xids_before: i64) {
    assert_eq!(xids(cluster).await, xids_before);
    let ours = "SELECT count(*) FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid WHERE r.rolname = 'dbintel'";
    assert_eq!(cluster.scalar::<i64>("postgres", ours).await, 0);
    let log = cluster.log();
    // On a busy machine a statement of ours can reach its limit: the server logs its text, which is constant.
    let ours = |line: &&str| {
        line.starts_with("by dbintel")
            && !line.contains("canceling statement due to statement timeout")
            && !line.contains("STATEMENT:  SELECT q.*, clock_timestamp() - statement_timestamp()")
    };
    let lines: Vec<_> = log.lines().filter(ours).collect();
    assert!(lines.is_empty(), "{lines:#?}");
    assert!(!log.contains("canary") && !log.contains("EXPLAIN"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nearly_every_statement_has_a_plan_on_13_to_15() {
    for major in [Major::V13, Major::V14, Major::V15] {
        share(major, Rights::OfTheRole).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nearly_every_statement_has_a_plan_on_16_to_18() {
    for major in [Major::V16, Major::V17, Major::V18] {
        share(major, Rights::OfTheRole).await;
    }
}

/// A role without any right on the tables has as many plans where our function is, although it refuses more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nearly_every_statement_has_a_plan_by_the_function() {
    for major in [Major::V13, Major::V16, Major::V18] {
        share(major, Rights::OfTheFunction).await;
    }
}

/// Each of these has no plan, for the reason that is said, and nothing of it was run.
async fn without(major: Major) {
    let cluster = cluster(major, options()).await;
    workload::build(&cluster).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[PLANS]));
    watched.baseline().await;
    workload::run_without(&cluster).await;
    let marks = "SELECT (SELECT count(*) FROM marks) + (SELECT last_value FROM effects)";
    let (marked, before) = (cluster.scalar::<i64>("postgres", marks).await, xids(&cluster).await);
    probed(&mut watched, "FROM short_lived").await;
    let all = obtained(&watched);
    let explained: Vec<_> = all
        .iter()
        .filter_map(|plan| plan.text.as_ref()?.masked.as_deref())
        .filter(|text| {
            WITHOUT.iter().any(|(known, _)| known.split(" WHERE").next() == text.split(" WHERE").next())
        })
        .collect();
    assert!(explained.is_empty(), "{major}: {explained:#?}");
    let mut expected: BTreeMap<&str, u64> = BTreeMap::new();
    for (_, reason) in WITHOUT {
        *expected.entry(reason).or_default() += 1;
    }
    let found = reasons(&watched);
    for (reason, count) in expected {
        assert!(found.get(reason).is_some_and(|found| *found >= count), "{major}: {reason}: {found:?}");
    }
    assert_eq!(cluster.scalar::<i64>("postgres", marks).await, marked);
    leaves_nothing(&cluster, before).await;
    // What leaves says why, from the second reading of a statement on.
    workload::run_without(&cluster).await;
    for (_, reason) in WITHOUT {
        let told = |batches: &[Arc<Batch>]| {
            queries(batches).any(|query| query.plan_missing.is_some_and(|told| told.reason == *reason))
        };
        watched.until(reason, |batches| told(batches).then_some(())).await;
    }
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_must_not_be_planned_is_not_and_says_why() {
    without(Major::V13).await;
    without(Major::V18).await;
}

/// A locked table costs its statements their plan and nobody anything else; no lock of ours stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_table_is_left_alone() {
    let cluster = cluster(Major::V17, options()).await;
    workload::build(&cluster).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[PLANS]));
    watched.baseline().await;
    cluster.execute("postgres", "SELECT total FROM shop.invoice WHERE id = 3").await;
    cluster.execute("postgres", "SELECT name FROM shop.customer WHERE id = 3").await;
    let lock = "BEGIN; LOCK TABLE shop.invoice IN ACCESS EXCLUSIVE MODE";
    let holder = Busy::start(&cluster, "postgres", lock, "SELECT pg_sleep(600)").await;
    // A block that explains ends soon, and no lock of one that has ended is there while its transaction still is.
    let held = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.usename = 'dbintel' \
        AND a.query LIKE 'DO $dbintel$%' AND l.relation::regclass::text LIKE 'shop.%' \
        AND (a.state <> 'active' OR clock_timestamp() - a.query_start > interval '700 ms')";
    let mut client = cluster.connect("postgres").await;
    while watched.own(MISSING, &[("reason", "lock_timeout")]).is_none_or(|count| count < 1.0) {
        for _ in 0..10 {
            assert_eq!(sqlx::query_scalar::<_, i64>(held).fetch_one(&mut client).await.unwrap(), 0);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        watched.next().await;
    }
    watched.plan("FROM shop.customer").await;
    let log = cluster.log();
    assert!(!log.contains("$dbintel$") && !log.contains("FROM shop.invoice"), "{log}");
    cluster.execute("postgres", &format!("SELECT pg_terminate_backend({})", holder.pid)).await;
    watched.stop().await;
}

/// Nothing is explained where it would fill `pg_stat_statements`, or as superuser; both are said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unfit_role_explains_nothing() {
    let cluster = cluster(Major::V15, options()).await;
    cluster.execute("postgres", "ALTER ROLE dbintel RESET pg_stat_statements.track").await;
    let config = yaml(cluster.port(), &[PLANS]);
    for (reason, part_of_advice) in [("own_statements_tracked", "track"), ("superuser", "superuser")] {
        let mut watched = Watched::start(&config);
        watched.baseline().await;
        cluster.execute("postgres", "SELECT count(*) FROM orders").await;
        watched.until_own(MISSING, &[("reason", reason)], |count| count >= 1.0).await;
        let gap = watched.gap("plans").await;
        assert!(format!("{:?}", gap.detail).contains(part_of_advice), "{gap:?}");
        assert_eq!(obtained(&watched).len(), 0);
        watched.stop().await;
        cluster
            .execute(
                "postgres",
                "ALTER ROLE dbintel SUPERUSER; ALTER ROLE dbintel SET pg_stat_statements.track = 'none'",
            )
            .await;
    }
}

/// Where two schemas have the table and the role's path says neither, the identifier says which one it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_search_path_is_found_by_the_identifier() {
    let cluster = cluster(Major::V17, options()).await;
    let schemas = "CREATE SCHEMA one; CREATE SCHEMA two; CREATE TABLE one.thing (id int); \
        CREATE TABLE two.thing (id int); GRANT USAGE ON SCHEMA one, two TO dbintel; \
        GRANT SELECT ON one.thing, two.thing TO dbintel";
    cluster.execute("postgres", schemas).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[PLANS]));
    watched.baseline().await;
    let mut client = cluster.connect("postgres").await;
    support::client::send(&mut client, "SET search_path = two").await;
    sqlx::query("SELECT id FROM thing WHERE id = $1").bind(1_i32).execute(&mut client).await.unwrap();
    let plan = watched.plan("FROM thing").await;
    assert_eq!(plan.identity, PlanIdentity::Proven);
    let raw = std::str::from_utf8(&plan.raw).unwrap();
    assert!(raw.contains("\"Schema\": \"two\""), "{raw}");
    watched.stop().await;
}

/// A database needs no `pg_stat_statements` of its own, and a standby plans what was run on it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plans_are_obtained_in_every_database_and_on_a_standby() {
    let cluster = cluster(Major::V16, options()).await;
    cluster.create_database("app").await;
    orders(&cluster, "app").await;
    cluster.execute("app", "GRANT SELECT, UPDATE ON orders TO dbintel").await;
    let standby = cluster.standby().await;
    let mut on_standby = Watched::start(&yaml(standby.port(), &[PLANS]));
    let mut watched = Watched::start(&yaml(cluster.port(), &[PLANS]));
    watched.baseline().await;
    on_standby.baseline().await;
    for server in [&cluster, &standby] {
        server.execute("app", "SELECT note FROM orders WHERE id = 5").await;
    }
    cluster.execute("app", "UPDATE orders SET note = 'b' WHERE id = 6").await;
    let plan = watched.plan("FROM orders").await;
    assert_eq!((&*plan.key.database, plan.rung), ("app", PlanRung::Generic));
    assert!(watched.plan("UPDATE orders").await.raw.len() > 100);
    on_standby.plan("FROM orders").await;
    let log = standby.log();
    assert!(!log.contains("by dbintel: ERROR"), "{log}");
    watched.stop().await;
    on_standby.stop().await;
}

/// A request of a processor comes first, also of a statement that does not rank.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_requested_plan_is_obtained() {
    let cluster = cluster(Major::V18, options()).await;
    cluster.execute("postgres", "GRANT SELECT ON orders TO dbintel").await;
    let one = ("top_query_collection", "{collection_interval: 1s, top_n_query: 1}");
    let mut watched = Watched::start(&yaml(cluster.port(), &[PLANS, one]));
    watched.baseline().await;
    cluster
        .execute(
            "postgres",
            "SELECT count(*) FROM orders a CROSS JOIN orders b; SELECT id FROM orders WHERE id = 2",
        )
        .await;
    let query = watched.query("SELECT id FROM orders").await;
    assert_eq!(query.rank, None);
    watched.request_plan(query.key.clone()).await;
    let id = query.key.query_id;
    let plans = Arc::clone(&watched.plans);
    watched
        .until("its plan", |_| plans.lock().iter().any(|plan| plan.key.query_id == id).then_some(()))
        .await;
    watched.stop().await;
}

/// A connection of ours in a transaction, and what it found.
async fn looking(cluster: &Cluster, limits: Limits) -> (Connection, Facts) {
    let settings: Settings = dbintel_config::from_yaml(&yaml(cluster.port(), &[])).unwrap();
    let config = validate(&settings).unwrap().config;
    let mut connection = Connection::open(config.connect.clone(), "postgres".into()).await.unwrap();
    connection.begin(limits, "").await.unwrap();
    let facts = Facts::read(&mut connection, limits, &SeenFacts::default()).await.unwrap();
    (connection, facts)
}

/// The identity of a statement of the superuser.
async fn key_of(cluster: &Cluster, text: &str) -> QueryKey {
    let id = "SELECT oid::int8 FROM pg_database WHERE datname = 'postgres'";
    QueryKey {
        system: "postgresql",
        database: "postgres".into(),
        database_id: u32::try_from(cluster.scalar::<i64>("postgres", id).await).unwrap(),
        user: "postgres".into(),
        user_id: 10,
        query_id: query_id(cluster, text).await,
        toplevel: None,
    }
}

/// Locks and prepared statements are gone when the block has ended, while its transaction still is open; a time-out in it
/// neither breaks the transaction nor is logged.
async fn block_undoes_itself(major: Major) {
    let cluster = cluster(major, options()).await;
    cluster.execute("postgres", "GRANT SELECT ON orders TO dbintel").await;
    cluster.execute("postgres", "SELECT note FROM orders WHERE id = 4").await;
    let key = key_of(&cluster, "SELECT note FROM orders").await;
    let limits =
        Limits { statement_timeout: Duration::from_millis(400), lock_timeout: Duration::from_secs(5) };
    let (mut connection, facts) = looking(&cluster, limits).await;
    let ids = (key.database_id, key.query_id);
    let texts = plans::read_texts(&mut connection, limits, &facts, &[ids]).await.unwrap();
    let plan = plans::explain(&mut connection, limits, &facts, &key, &texts[&ids]).await.unwrap();
    assert!(plan.is_ok(), "{major}: {plan:?}");
    let locks = "SELECT count(*) FROM pg_locks WHERE relation = 'orders'::regclass";
    assert_eq!(cluster.scalar::<i64>("postgres", locks).await, 0, "{major}");
    let state = "SELECT (SELECT count(*) FROM pg_prepared_statements)::text || current_setting('search_path') \
        || current_setting('plan_cache_mode')";
    let left: Option<String> = connection.first("state", limits, state, |row| row.try_get(0)).await.unwrap();
    assert_eq!(left.as_deref(), Some("0pg_catalogauto"), "{major}");

    let lock = "BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE";
    let _holder = Busy::start(&cluster, "postgres", lock, "SELECT pg_sleep(600)").await;
    let plan = plans::explain(&mut connection, limits, &facts, &key, &texts[&ids]).await.unwrap();
    assert_eq!(plan.err(), Some(MissingPlan::StatementTimeout), "{major}");
    let left: Option<String> = connection.first("state", limits, state, |row| row.try_get(0)).await.unwrap();
    assert_eq!(left.as_deref(), Some("0pg_catalogauto"), "{major}");
    let log = cluster.log();
    assert!(!log.contains("by dbintel"), "{log}");
    connection.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_block_undoes_itself() {
    block_undoes_itself(Major::V14).await;
    block_undoes_itself(Major::V17).await;
}

/// Somebody makes what the planner, or the preparation of a statement, would run with our rights, where its name is not in the text.
const TRAPS: [(&str, &str, &str); 8] = [
    (
        "CREATE OPERATOR public.~~ (FUNCTION = public.trap, LEFTARG = float8, RIGHTARG = float8)",
        "SELECT pi() LIKE pi()",
        "DROP OPERATOR public.~~ (float8, float8)",
    ),
    (
        // Both exist; the first one of the path is taken.
        "CREATE OPERATOR public.<> (FUNCTION = public.trap, LEFTARG = float8, RIGHTARG = float8)",
        "SELECT pi() != pi()",
        "DROP OPERATOR public.<> (float8, float8)",
    ),
    (
        "CREATE OPERATOR public.= (FUNCTION = public.trap, LEFTARG = float8, RIGHTARG = float8)",
        "SELECT NULLIF(pi(), pi())",
        "DROP OPERATOR public.= (float8, float8)",
    ),
    (
        "CREATE OPERATOR public.=== (FUNCTION = public.trap, LEFTARG = float8, RIGHTARG = float8); \
         CREATE VIEW public.compared AS SELECT pi() OPERATOR(public.===) pi() AS same",
        "SELECT same FROM compared",
        "DROP VIEW compared; DROP OPERATOR public.=== (float8, float8)",
    ),
    (
        "CREATE DOMAIN public.checked AS float8 CHECK (public.trap(VALUE, VALUE))",
        "SELECT '1'::checked",
        "DROP DOMAIN public.checked",
    ),
    (
        // Whoever prepares it with NULL runs the check, also where it is volatile.
        "CREATE DOMAIN public.checked AS float8 CHECK (public.volatile_trap(VALUE))",
        "SELECT '1'::checked",
        "DROP DOMAIN public.checked",
    ),
    (
        "CREATE FUNCTION public.ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff() RETURNS boolean \
         LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN public.trap(1, 1); END'",
        "SELECT ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff()",
        "DROP FUNCTION public.ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff()",
    ),
    (
        "CREATE SCHEMA \"a-b\"; CREATE VIEW \"a-b\".behind AS SELECT public.trap(1, 1) AS same; \
         SELECT set_config('search_path', 'a-b, public', false); ALTER ROLE postgres SET search_path FROM CURRENT",
        "SELECT same FROM behind",
        "ALTER ROLE postgres RESET search_path; DROP VIEW \"a-b\".behind; DROP SCHEMA \"a-b\"",
    ),
];

async fn traps(major: Major) {
    let cluster = cluster(major, options()).await;
    let trap = "SET check_function_bodies = off; CREATE FUNCTION public.trap(float8, float8) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS \
        'BEGIN IF session_user <> ''postgres'' THEN RAISE EXCEPTION ''caught''; END IF; RETURN true; END'; \
        CREATE FUNCTION public.volatile_trap(float8) RETURNS boolean LANGUAGE plpgsql AS \
        'BEGIN RETURN public.trap($1, $1); END'";
    cluster.execute("postgres", trap).await;
    let limits = Limits { statement_timeout: Duration::from_secs(5), lock_timeout: Duration::from_secs(5) };
    for (make, statement, unmake) in TRAPS {
        cluster.execute("postgres", "SELECT FROM pg_stat_statements_reset()").await;
        cluster.execute("postgres", make).await;
        cluster.execute("postgres", statement).await;
        let key = key_of(&cluster, &statement.replace("'1'", "$1")).await;
        let ids = (key.database_id, key.query_id);
        let (mut connection, facts) = looking(&cluster, limits).await;
        let texts = plans::read_texts(&mut connection, limits, &facts, &[ids]).await.unwrap();
        let explained = plans::explain(&mut connection, limits, &facts, &key, &texts[&ids]).await.unwrap();
        assert_eq!(explained.err(), Some(MissingPlan::Function), "{major}: {make}");
        cluster.execute("postgres", unmake).await;
        connection.begin(limits, "").await.unwrap();
        let freed = plans::explain(&mut connection, limits, &facts, &key, &texts[&ids]).await.unwrap();
        assert_ne!(freed.err(), Some(MissingPlan::Function), "{major}: {unmake}");
        connection.close().await;
    }
}

/// What the names of a text do not show is looked for as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_somebody_made_is_run_by_planning() {
    traps(Major::V13).await;
    traps(Major::V18).await;
}
