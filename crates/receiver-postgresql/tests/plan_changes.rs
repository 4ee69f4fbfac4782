//! What changes a plan on a real server is told once, with what may have changed it, however soon after it the plan is
//! probed; what changes only numbers is not told.

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

use dbintel_model::{
    Change, ChangeKind, PlanChange, PlanIdentity, PlanObservation, PlanRung, PlanTable, QueryKey,
};
use dbintel_plan::{Budget, parse_postgresql};
use dbintel_testkit::postgres::{Major, Options};
use support::followed::{Followed, PATIENCE, PAUSE, PLANS, assert_cause, execute, kinds};
use support::settings::{cluster, yaml};
use support::{Watched, changes, plan_changes, query_plans};

const STATEMENT: &str = "SELECT note FROM item WHERE kind = $1";
/// Of one kind are half of the rows, of the others a handful each.
const ITEMS: &str = "CREATE ROLE web LOGIN; \
    CREATE TABLE item (id int PRIMARY KEY, kind int, note text); \
    INSERT INTO item SELECT n, CASE WHEN n % 2 = 0 THEN 0 ELSE n END, repeat('note', 20) FROM generate_series(1, 40000) n; \
    CREATE INDEX item_kind ON item (kind); ANALYZE item; \
    GRANT SELECT ON item TO web, dbintel";

fn options() -> Options {
    Options::new().setting("autovacuum", "off").setting("pg_stat_statements.track", "all")
}

async fn causes(major: Major) {
    let cluster = cluster(major, options()).await;
    cluster.execute("postgres", ITEMS).await;
    let mut followed = Followed::start(&cluster, STATEMENT).await;

    let change = followed.change(&cluster, &["DROP INDEX item_kind"]).await;
    assert_cause(
        &change,
        "ddl",
        "ddl index public.item_kind dropped on public.item: was btree (kind), noticed at",
    );
    assert_eq!(kinds(&change), BTreeSet::from(["ddl"]), "{major}: {:#?}", change.causes);
    assert!(change.difference.contains("item_kind"), "{}", change.difference);

    let change = followed.change(&cluster, &["CREATE INDEX item_kind ON item (kind)"]).await;
    assert_cause(&change, "ddl", "ddl index public.item_kind created on public.item: now btree (kind)");
    assert!(change.seen_before.is_some());

    let off = "ALTER ROLE web SET enable_indexscan = off; ALTER ROLE web SET enable_bitmapscan = off; \
        ALTER ROLE dbintel SET DateStyle = 'German'";
    let change = followed.change(&cluster, &[off]).await;
    assert_cause(&change, "setting", "setting enable_indexscan of role web: now off");
    assert_eq!(kinds(&change), BTreeSet::from(["plan_setting", "setting"]), "{major}: {:#?}", change.causes);
    let foreign = change.causes.iter().find(|cause| cause.description.contains("DateStyle"));
    assert_eq!(foreign, None, "a setting of another role");

    let change = followed.change(&cluster, &["ALTER ROLE web RESET ALL"]).await;
    assert_cause(&change, "setting", "setting enable_bitmapscan of role web: was off");

    let set = ["ALTER SYSTEM SET enable_indexscan = off", "ALTER SYSTEM SET enable_bitmapscan = off"];
    let change = followed.change(&cluster, &[set[0], set[1], "SELECT pg_reload_conf()"]).await;
    assert_cause(&change, "setting", "setting enable_indexscan: on -> off");
    let change = followed.change(&cluster, &["ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()"]).await;
    assert_cause(&change, "setting", "setting enable_indexscan: off -> on");

    let statistic =
        ["ALTER TABLE item ALTER kind SET STATISTICS 500, ALTER kind SET (n_distinct = 1)", "ANALYZE item"];
    let change = followed.change(&cluster, &statistic).await;
    assert_cause(
        &change,
        "ddl",
        "ddl table public.item altered: column kind integer -> column kind integer statistics 500 n_distinct=1",
    );
    assert!(kinds(&change).is_subset(&BTreeSet::from(["ddl", "analyze"])), "{major}: {:#?}", change.causes);
    assert!(major < Major::V15 || kinds(&change).contains("analyze"), "{major}: {:#?}", change.causes);

    // From a generic plan to one of values, or back: EXPLAIN without them does not show it, and nothing is made up.
    let told = followed.changes().len();
    execute(&mut cluster.connect_as("web", "postgres").await, STATEMENT, 12).await;
    let forced = "ALTER ROLE web SET plan_cache_mode = force_custom_plan";
    cluster.execute("postgres", forced).await;
    execute(&mut cluster.connect_as("web", "postgres").await, STATEMENT, 2).await;
    for _ in 0..2 {
        followed.probe().await;
    }
    assert_eq!(followed.changes().len(), told, "{major}: {:#?}", followed.changes());
    let without = followed.watched.own("dbintel_limit_reached_total", &[("limit", "held_plans")]);
    assert_eq!(without, None, "no plan went without its causes");
    followed.watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_told_once_with_its_cause() {
    tokio::join!(causes(Major::V13), causes(Major::V18));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_told_once_with_its_cause_on_16() {
    causes(Major::V16).await;
}

const CORRELATED: &str =
    "SELECT count(*) FROM pair p JOIN other o ON o.id = p.other WHERE p.a = $1 AND p.b = $2";
/// Two columns of which one follows from the other, which the planner does not know: it expects a two-hundredth of a
/// two-hundredth of the rows.
const PAIRS: &str = "CREATE ROLE web LOGIN; CREATE TABLE other (id int PRIMARY KEY, note text); \
    INSERT INTO other SELECT n, repeat('note', 5) FROM generate_series(1, 20000) n; \
    CREATE TABLE pair (a int, b int, other int); \
    INSERT INTO pair SELECT n % 200, n % 200 + 1, n % 20000 + 1 FROM generate_series(1, 100000) n; \
    CREATE INDEX ON pair (a); ANALYZE pair, other; GRANT SELECT ON pair, other TO web, dbintel";

/// The planner learns of the correlation: one change, with the statistics object among its causes.
async fn statistics(major: Major) {
    let cluster = cluster(major, options()).await;
    cluster.execute("postgres", PAIRS).await;
    let mut followed = Followed::start(&cluster, CORRELATED).await;
    let create = ["CREATE STATISTICS pair_of (dependencies) ON a, b FROM pair", "ANALYZE pair"];
    let change = followed.change(&cluster, &create).await;
    assert_cause(
        &change,
        "ddl",
        "ddl statistics public.pair_of created on public.pair: now dependencies (a, b), noticed at",
    );
    assert!(kinds(&change).is_subset(&BTreeSet::from(["ddl", "analyze"])), "{major}: {:#?}", change.causes);
    let change = followed.change(&cluster, &["DROP STATISTICS pair_of"]).await;
    assert_cause(&change, "ddl", "ddl statistics public.pair_of dropped on public.pair: was dependencies");
    followed.watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statistics_object_is_a_cause() {
    tokio::join!(statistics(Major::V13), statistics(Major::V18));
}

const OF_PARTITIONS: &str = "SELECT note FROM event WHERE kind = $1";
/// Partitions of partitions, so that a plan names what is two levels below the table of the statement.
const EVENTS: &str = "CREATE ROLE web LOGIN; \
    CREATE TABLE event (id int, kind int, note text) PARTITION BY RANGE (id); \
    CREATE TABLE event_low PARTITION OF event FOR VALUES FROM (0) TO (20000) PARTITION BY RANGE (id); \
    CREATE TABLE event_1 PARTITION OF event_low FOR VALUES FROM (0) TO (10000); \
    CREATE TABLE event_2 PARTITION OF event_low FOR VALUES FROM (10000) TO (20000); \
    CREATE TABLE elsewhere (id int, kind int, note text) PARTITION BY RANGE (id); \
    CREATE TABLE elsewhere_1 PARTITION OF elsewhere FOR VALUES FROM (0) TO (10000); \
    INSERT INTO event SELECT n, n % 2000, repeat('note', 20) FROM generate_series(0, 19999) n; \
    CREATE INDEX event_kind ON event (kind); ANALYZE event; GRANT SELECT ON event TO web, dbintel";

/// The plan names the partitions only; what is done to the tables they are partitions of is a cause.
async fn partitions(major: Major) {
    let cluster = cluster(major, options()).await;
    cluster.execute("postgres", EVENTS).await;
    let mut followed = Followed::start(&cluster, OF_PARTITIONS).await;
    let plan = followed.plans().pop().unwrap();
    let names: BTreeSet<_> = plan.tables.iter().map(PlanTable::qualified).collect();
    let all = ["public.event", "public.event_1", "public.event_2", "public.event_low"];
    assert_eq!(names, all.map(str::to_owned).into());
    let first = plan.tables.iter().find(|table| *table.name == *"event_1").unwrap();
    assert_eq!((first.rows, first.parent.as_deref()), (Some(10_000.0), Some("public.event_low")));
    assert!(first.pages.is_some_and(|pages| pages > 0), "{first:?}");
    let low = plan.tables.iter().find(|table| *table.name == *"event_low").unwrap();
    assert_eq!((low.parent.as_deref(), low.pages), (Some("public.event"), None), "{low:?}");

    let change =
        followed.change(&cluster, &["DROP INDEX event_kind", "ALTER TABLE elsewhere ADD more int"]).await;
    assert_cause(&change, "ddl", "ddl index public.event_kind dropped on public.event: was btree (kind)");
    assert_cause(&change, "ddl", "ddl index public.event_1_kind_idx dropped on public.event_1");
    let of_other = change.causes.iter().find(|cause| cause.description.contains("elsewhere"));
    assert_eq!(of_other, None, "a table the statement does not reach");
    let change = followed.change(&cluster, &["CREATE INDEX between_kind ON event_low (kind)"]).await;
    assert_cause(&change, "ddl", "ddl index public.between_kind created on public.event_low");
    followed.watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_done_to_a_partitioned_table_is_a_cause() {
    tokio::join!(partitions(Major::V13), partitions(Major::V18));
}

/// Sizes are the planner's own, and none where it has none.
async fn sizes(major: Major) {
    let cluster = cluster(major, options()).await;
    let tables = "CREATE ROLE web LOGIN; CREATE TABLE never (id int); INSERT INTO never VALUES (1); \
        CREATE TABLE counted (id int); INSERT INTO counted SELECT generate_series(1, 5000); \
        CREATE VIEW seen AS SELECT c.id FROM counted c; ANALYZE counted; \
        GRANT SELECT ON never, seen TO web; GRANT SELECT ON never, counted, seen TO dbintel";
    cluster.execute("postgres", tables).await;
    let statement = "SELECT n.id FROM never n JOIN seen s ON s.id = n.id WHERE n.id = $1";
    let followed = Followed::start(&cluster, statement).await;
    let plan = followed.plans().pop().unwrap();
    let size = |name: &str| {
        let table = plan.tables.iter().find(|table| *table.name == *name).unwrap();
        (table.rows, table.pages)
    };
    assert_eq!((size("never"), size("seen")), ((None, None), (None, None)), "{major}");
    let pages: i64 =
        cluster.scalar("postgres", "SELECT relpages::int8 FROM pg_class WHERE relname = 'counted'").await;
    assert_eq!(size("counted"), (Some(5_000.0), Some(pages)), "{major}");
    let told = format!("Seq Scan on counted (5000 rows in {pages} pages by pg_class)");
    let summary = query_plans(followed.watched.batches()).map(|plan| plan.summary.clone()).next().unwrap();
    assert!(summary.contains(&told) && !summary.contains("never ("), "{major}: {summary}");
    followed.watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_has_the_size_of_its_table() {
    tokio::join!(sizes(Major::V13), sizes(Major::V18));
}

/// A month of growth in so many steps.
const STEPS: i32 = 30;
/// By which factor tables grow in all.
const GROWTH: f64 = 1_000.0;
/// Statements whose plans change at some size, and such whose plans do not.
const GROWING: [&str; 6] = [
    "SELECT count(*) FROM big WHERE kind = $1",
    "SELECT b.note FROM big b JOIN small s ON s.id = b.kind WHERE s.id = $1 AND b.id > $2",
    "SELECT note FROM big WHERE id = $1",
    "SELECT s.note, count(*) FROM big b JOIN small s ON s.id = b.kind WHERE b.id < $1 GROUP BY s.note",
    "SELECT note FROM small WHERE id = $1",
    "SELECT id FROM big WHERE kind < $1 ORDER BY note LIMIT 10",
];
const GROWING_TABLES: &str = "CREATE TABLE big (id int PRIMARY KEY, kind int, note text); \
    CREATE TABLE small (id int PRIMARY KEY, note text); \
    INSERT INTO big SELECT n, n % 200, 'note ' || n FROM generate_series(1, 2000) n; \
    INSERT INTO small SELECT n, 'note ' || n FROM generate_series(0, 199) n; \
    CREATE INDEX big_kind ON big (kind); ANALYZE big, small; GRANT SELECT ON big, small TO dbintel";

/// The exact fingerprint, by the plan library itself.
fn fingerprint(plan: &PlanObservation) -> u128 {
    parse_postgresql(&plan.raw, &mut Budget::unlimited()).plan.fingerprints().exact.as_u128()
}

/// Plans of each statement in their order.
fn by_statement(watched: &Watched) -> BTreeMap<i64, Vec<PlanObservation>> {
    let mut plans: BTreeMap<i64, Vec<PlanObservation>> = BTreeMap::new();
    for plan in watched.plans.lock().iter() {
        plans.entry(plan.key.query_id).or_default().push(plan.clone());
    }
    plans
}

/// The server believes that its tables grow thousandfold: so many events as there are real changes, and none else.
async fn growth(major: Major) {
    let cluster = cluster(major, options()).await;
    cluster.execute("postgres", GROWING_TABLES).await;
    let mut watched = Watched::start_extracting(&yaml(cluster.port(), &[PLANS]));
    watched.baseline().await;
    let mut client = cluster.connect("postgres").await;
    for statement in GROWING {
        let query =
            (0..statement.matches('$').count()).fold(sqlx::query(statement), |query, _| query.bind(1_i32));
        query.fetch_all(&mut client).await.unwrap();
    }
    let mut keys: Vec<QueryKey> = Vec::new();
    for statement in GROWING {
        let part = statement.split('$').next().unwrap();
        keys.push(watched.query(part).await.key);
    }
    let sizes = "CREATE TABLE sizes AS SELECT oid, reltuples FROM pg_class WHERE relname ~ '^(big|small)'";
    cluster.execute("postgres", sizes).await;
    probe_all(&mut watched, &keys).await;
    for step in 1..=STEPS {
        let factor = GROWTH.powf(f64::from(step) / f64::from(STEPS));
        // Pages are what the file has, whatever is written here: more rows on each of them are what the planner believes.
        let grow = format!(
            "UPDATE pg_class c SET reltuples = s.reltuples * {factor} FROM sizes s WHERE s.oid = c.oid"
        );
        cluster.execute("postgres", &grow).await;
        probe_all(&mut watched, &keys).await;
    }
    let all_came = async {
        while by_statement(&watched).values().map(Vec::len).sum::<usize>() < obtained(&watched) {
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(PATIENCE, all_came).await.expect("no plan waits for ever");
    watched.catch_up().await;
    let (mut real, mut same) = (0, 0);
    for (id, plans) in by_statement(&watched) {
        let told: Vec<&PlanChange> =
            plan_changes(watched.batches()).filter(|change| change.key.query_id == id).collect();
        let pairs: Vec<_> =
            plans.windows(2).filter(|pair| fingerprint(&pair[0]) != fingerprint(&pair[1])).collect();
        let expected: Vec<_> =
            pairs.iter().map(|pair| (fingerprint(&pair[0]), fingerprint(&pair[1]))).collect();
        let told: Vec<_> = told.iter().map(|change| (change.old.exact, change.new.exact)).collect();
        assert_eq!(told, expected, "{major}: of {id}");
        real += expected.len();
        same += plans.windows(2).filter(|pair| pair[0].raw != pair[1].raw).count() - pairs.len();
    }
    println!("{major}: {real} changes, {same} plans with other numbers only");
    assert!(real > 0 && same > real, "{major}: {real} {same}");
    let is_ddl = |change: &&Change| {
        change.kind == ChangeKind::Ddl && &**change.subject.as_ref().unwrap() != "public.sizes"
    };
    assert_eq!(changes(watched.batches()).find(is_ddl), None);
    watched.stop().await;
}

/// One more plan of each of these statements. It may have to wait for its causes before the lane gets it.
async fn probe_all(watched: &mut Watched, keys: &[QueryKey]) {
    let before = obtained(watched);
    for key in keys {
        watched.request_plan(key.clone()).await;
    }
    let waiting = async {
        while obtained(watched) < before + keys.len() {
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("plans come");
}

fn obtained(watched: &Watched) -> usize {
    let number = |rung: PlanRung, identity: PlanIdentity| {
        let labels = [("rung", rung.as_str()), ("identity", identity.as_str())];
        watched.own("dbintel_plans_obtained_total", &labels).unwrap_or(0.0) as usize
    };
    let identities = [PlanIdentity::Proven, PlanIdentity::Unproven];
    PlanRung::ALL.into_iter().flat_map(|rung| identities.map(|identity| number(rung, identity))).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn growth_is_told_only_where_it_changes_a_plan() {
    tokio::join!(growth(Major::V13), growth(Major::V18));
}
