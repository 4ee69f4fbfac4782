//! Plans of the extension pg_store_plans, against a stand-in: an extension of the same name with the columns that its
//! version 1.9 publishes, whose plans the test writes. What the real one writes into them it does not show.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, which clippy sees only in functions marked as such"
)]

mod support;

use std::fs;
use std::sync::Arc;

use dbintel_model::{Batch, PlanIdentity, PlanRung, PlanTimesSource, QueryKey};
use dbintel_testkit::postgres::{Cluster, Major, Options};
use support::client::query_id;
use support::followed::PLANS;
use support::settings::{cluster, yaml};
use support::{Watched, plan_changes, queries, query_plans};

/// Stands in the conditions of plans.
const CANARY: &str = "canary4711";
const OBTAINED: (&str, [(&str, &str); 2]) =
    ("dbintel_plans_obtained_total", [("rung", "extension"), ("identity", "proven")]);

/// The first version whose extensions can be found elsewhere than in the installation, which tests share.
const MAJOR: Major = Major::V18;

/// Readings within which something must come.
const MAX_LOOKS: usize = 60;

/// Rows of other roles are for those only who may read all statistics; the setting takes nothing but the formats there are.
const STAND_IN: &str = r"
CREATE FUNCTION pg_store_plans(
    OUT userid oid, OUT dbid oid, OUT queryid int8, OUT planid int8, OUT plan text, OUT calls int8,
    OUT total_time float8, OUT min_time float8, OUT max_time float8, OUT mean_time float8, OUT stddev_time float8,
    OUT rows int8, OUT shared_blks_hit int8, OUT shared_blks_read int8, OUT shared_blks_dirtied int8,
    OUT shared_blks_written int8, OUT local_blks_hit int8, OUT local_blks_read int8, OUT local_blks_dirtied int8,
    OUT local_blks_written int8, OUT temp_blks_read int8, OUT temp_blks_written int8, OUT shared_blk_read_time float8,
    OUT shared_blk_write_time float8, OUT local_blk_read_time float8, OUT local_blk_write_time float8,
    OUT temp_blk_read_time float8, OUT temp_blk_write_time float8, OUT first_call timestamptz, OUT last_call timestamptz
) RETURNS SETOF record LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
DECLARE format text := coalesce(current_setting('pg_store_plans.plan_format', true), 'text');
BEGIN
    IF format NOT IN ('raw', 'text', 'json', 'yaml', 'xml') THEN RAISE 'no such format: %', format; END IF;
    RETURN QUERY SELECT k.userid, k.dbid, k.queryid, k.planid,
        CASE WHEN NOT pg_has_role(session_user, 'pg_read_all_stats', 'USAGE') THEN '<insufficient privilege>'
            WHEN format = 'json' THEN k.json ELSE 'Seq Scan on orders' END,
        k.calls, (k.calls * 10 * k.planid)::float8, 1.0::float8, 1.0::float8, 10 * k.planid::float8, k.planid::float8, 1::int8,
        0::int8, 0::int8, 0::int8, 0::int8, 0::int8, 0::int8, 0::int8, 0::int8, 0::int8, 0::int8,
        0.0::float8, 0.0::float8, 0.0::float8, 0.0::float8, 0.0::float8, 0.0::float8, k.last_call, k.last_call
        FROM public.kept k;
END $$;
CREATE VIEW pg_store_plans AS SELECT * FROM pg_store_plans();
GRANT SELECT ON pg_store_plans TO PUBLIC;
";

async fn install(cluster: &Cluster) {
    let share = cluster.data_dir().join("share");
    let directory = share.join("extension");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("pg_store_plans.control"), "default_version = '1.9'\n").unwrap();
    fs::write(directory.join("pg_store_plans--1.9.sql"), STAND_IN).unwrap();
    let path = format!("ALTER SYSTEM SET extension_control_path = '{}:$system'", share.display());
    cluster.execute("postgres", &path).await;
    cluster.execute("postgres", "SELECT pg_reload_conf()").await;
    while !cluster
        .scalar::<bool>("postgres", "SELECT current_setting('extension_control_path') LIKE '%/share:%'")
        .await
    {}
    let kept = "CREATE TABLE public.kept (userid oid, dbid oid, queryid int8, planid int8, json text, last_call timestamptz, \
            calls int8 DEFAULT 100); \
        CREATE SCHEMA \"Odd schema\"; GRANT USAGE ON SCHEMA \"Odd schema\" TO dbintel; \
        CREATE EXTENSION pg_store_plans SCHEMA \"Odd schema\"";
    cluster.execute("postgres", kept).await;
}

/// The extension keeps the plan that the server has for this text.
async fn keep(cluster: &Cluster, query_id: i64, planid: i64, text: &str, age: &str) {
    let keep = format!(
        "DO $do$ DECLARE plan json; BEGIN EXECUTE $text$EXPLAIN (FORMAT JSON) {text}$text$ INTO plan; \
         INSERT INTO public.kept SELECT 'postgres'::regrole, d.oid, {query_id}, {planid}, (plan -> 0)::text, \
           now() - interval '{age}' FROM pg_database d WHERE d.datname = 'postgres'; END $do$"
    );
    cluster.execute("postgres", &keep).await;
}

/// Asks for the plan of a statement until this is so: between two looks at the extension a while passes.
async fn ask_until(watched: &mut Watched, key: &QueryKey, what: &str, is_so: impl Fn(&Watched) -> bool) {
    for _ in 0..MAX_LOOKS {
        watched.request_plan(key.clone()).await;
        watched.readings(1).await;
        if is_so(watched) {
            return;
        }
    }
    panic!("{what} did not come");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plans_of_the_extension_come_before_explain() {
    // The extension would define it; with a higher value it counts slow executions only.
    let options = Options::new().setting("pg_store_plans.min_duration", "0");
    let cluster = cluster(MAJOR, options).await;
    install(&cluster).await;
    let mut watched = Watched::start_extracting(&yaml(cluster.port(), &[PLANS]));
    watched.baseline().await;
    let statement = format!("SELECT id FROM orders WHERE note = '{CANARY}'");
    cluster.execute("postgres", &statement).await;
    let query = watched.query("FROM orders WHERE note").await;
    let id = query_id(&cluster, "SELECT id FROM orders WHERE note").await;
    // The role has no right on the table: without the extension there is no plan.
    let denied = [("reason", "insufficient_privilege")];
    watched.until_own("dbintel_plans_missing", &denied, |count| count == 1.0).await;

    // One that ran long ago, and then the one that ran last.
    keep(&cluster, id, 1, "SELECT 1", "10 days").await;
    for _ in 0..3 {
        watched.request_plan(query.key.clone()).await;
        watched.readings(1).await;
    }
    assert_eq!(*watched.plans.lock(), [], "it may have another plan since");
    keep(&cluster, id, 2, &statement, "10 seconds").await;
    let plans = Arc::clone(&watched.plans);
    ask_until(&mut watched, &query.key, "a plan", |_| !plans.lock().is_empty()).await;
    let plan = plans.lock()[0].clone();
    assert_eq!((plan.rung, plan.identity), (PlanRung::Extension, PlanIdentity::Proven));
    assert!(String::from_utf8_lossy(&plan.raw).contains(CANARY), "the canary is where it must be taken out");
    assert_eq!(plan.key.query_id, id);
    watched.until_own(OBTAINED.0, &OBTAINED.1, |count| count >= 1.0).await;

    // It is another plan now.
    cluster.execute("postgres", "CREATE INDEX orders_note ON orders (note)").await;
    cluster.execute("postgres", "ALTER SYSTEM SET enable_seqscan = off").await;
    cluster.execute("postgres", "SELECT pg_reload_conf()").await;
    while cluster.scalar::<String>("postgres", "SELECT current_setting('enable_seqscan')").await != "off" {}
    keep(&cluster, id, 3, &statement, "0 seconds").await;
    ask_until(&mut watched, &query.key, "a change", |watched| plan_changes(watched.batches()).count() > 0)
        .await;
    let change = plan_changes(watched.batches()).next().unwrap().clone();
    assert_eq!((change.rung, change.level()), (PlanRung::Extension, "shape"));
    assert!(change.difference.contains("orders_note"), "{}", change.difference);
    let told = query_plans(watched.batches()).filter(|plan| plan.key.query_id == id);
    assert_eq!(told.map(|plan| plan.rung).collect::<Vec<_>>(), [PlanRung::Extension; 2]);
    // What was executed between two readings comes with the statement, of the old plan as well as of the new one.
    let timed = |batches: &[Arc<Batch>]| {
        let last = queries(batches).filter(|query| query.key.query_id == id).last()?;
        last.plan_times.clone().filter(|plans| plans.len() >= 2)
    };
    let mut plans = None;
    for _ in 0..MAX_LOOKS {
        cluster.execute("postgres", "UPDATE kept SET calls = calls + 100").await;
        cluster.execute("postgres", &statement).await;
        watched.request_plan(query.key.clone()).await;
        watched.readings(1).await;
        plans = timed(watched.batches());
        if plans.is_some() {
            break;
        }
    }
    let plans = plans.expect("executions by plan");
    for (plan, number) in [(change.old.exact, 2.0), (change.new.exact, 3.0)] {
        let times = plans.iter().find(|times| times.plan == plan).unwrap();
        assert_eq!((times.source, times.executions % 100), (PlanTimesSource::Extension, 0));
        let variance = times.squared_deviations_ms2 / times.executions as f64;
        assert!(times.executions > 0 && (times.mean_ms - 10.0 * number).abs() < 1e-6, "{times:?}");
        assert!((variance - number * number).abs() < 1e-6, "{times:?}");
    }
    let left = format!("{:?}", watched.batches());
    assert!(!left.contains(CANARY), "{}", left.split(CANARY).next().unwrap_or_default().len());

    // What cannot be read is counted, and the statement explained.
    cluster.execute("postgres", "UPDATE kept SET json = '- Plan:'").await;
    let unusable =
        |watched: &Watched| watched.own("dbintel_limit_reached_total", &[("limit", "stored_plans")]);
    ask_until(&mut watched, &query.key, "what cannot be read", |watched| unusable(watched).is_some()).await;
    cluster.execute("postgres", &statement).await;
    let is_explained = |batches: &[Arc<Batch>]| {
        let last = queries(batches).filter(|query| query.key.query_id == id).last();
        let reason = last.and_then(|query| query.plan_missing).map(|missing| missing.reason);
        (reason == Some("insufficient_privilege")).then_some(())
    };
    watched.until("the attempt to explain", is_explained).await;
    assert!(watched.missing("stored plans").is_none());
    // A view of that name that is not the extension's is not asked.
    cluster.execute("postgres", "DROP EXTENSION pg_store_plans; TRUNCATE kept").await;
    let trap = "CREATE VIEW \"Odd schema\".pg_store_plans AS SELECT 1 / 0 AS queryid";
    cluster.execute("postgres", trap).await;
    for _ in 0..3 {
        watched.request_plan(query.key.clone()).await;
        watched.readings(1).await;
        assert!(watched.missing("stored plans").is_none());
    }
    watched.stop().await;
}
