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
use std::time::Duration;

use dbintel_model::{Change, ChangeKind, PlanChange, PlanIdentity, PlanObservation, PlanRung, QueryKey};
use dbintel_plan::{Budget, parse_postgresql};
use dbintel_testkit::postgres::{Cluster, Major, Options};
use sqlx::postgres::PgConnection;
use support::settings::{cluster, yaml};
use support::{Watched, changes, plan_changes};

const PLANS: (&str, &str) =
    ("plan_collection", "{enabled: true, collection_interval: 1s, max_per_collection: 100}");
/// Probes within which a change must show.
const MAX_PROBES: usize = 2;
/// How long the test waits between two looks.
const PAUSE: Duration = Duration::from_millis(20);
/// How long it waits for what must come.
const PATIENCE: Duration = Duration::from_secs(180);
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

/// One statement whose plan is followed.
struct Followed {
    watched: Watched,
    key: QueryKey,
}

impl Followed {
    async fn start(cluster: &Cluster) -> Self {
        let mut watched = Watched::start_extracting(&yaml(cluster.port(), &[PLANS]));
        watched.baseline().await;
        execute(&mut cluster.connect_as("web", "postgres").await, 1).await;
        let key = watched.query("FROM item").await.key;
        let mut followed = Self { watched, key };
        // The first plan, and one more, by which the catalogue has been read.
        followed.probe().await;
        followed.watched.readings(2).await;
        followed.probe().await;
        assert_eq!(followed.changes(), []);
        followed
    }

    fn plans(&self) -> Vec<PlanObservation> {
        let plans = self.watched.plans.lock();
        plans.iter().filter(|plan| plan.key.query_id == self.key.query_id).cloned().collect()
    }

    fn changes(&self) -> Vec<PlanChange> {
        let own = |change: &&PlanChange| change.key.query_id == self.key.query_id;
        plan_changes(self.watched.batches()).filter(own).cloned().collect()
    }

    /// One more plan, as the lane gets it. What came of it is there as well then.
    async fn probe(&mut self) {
        let before = self.plans().len();
        self.watched.request_plan(self.key.clone()).await;
        let waiting = async {
            while self.plans().len() == before {
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("a plan comes");
        self.watched.catch_up().await;
    }

    /// Does it, probes at once, and gives the one change that comes of it. The plan that waits for its causes is the first
    /// one or the second.
    async fn change(&mut self, cluster: &Cluster, what: &[&str]) -> PlanChange {
        let before = self.changes().len();
        for statement in what {
            cluster.execute("postgres", statement).await;
        }
        let mut probes = 0;
        while self.changes().len() == before {
            assert!(probes < MAX_PROBES, "{what:?}: no change within {MAX_PROBES} probes");
            self.probe().await;
            probes += 1;
        }
        self.probe().await;
        let changes = self.changes();
        assert_eq!(changes.len(), before + 1, "{what:?}: {changes:#?}");
        changes[before].clone()
    }
}

/// As a client with a prepared statement does it.
async fn execute(client: &mut PgConnection, times: usize) {
    for _ in 0..times {
        sqlx::query(STATEMENT).bind(0_i32).fetch_all(&mut *client).await.unwrap();
    }
}

fn kinds(change: &PlanChange) -> BTreeSet<&str> {
    change.causes.iter().map(|cause| &*cause.kind).collect()
}

fn assert_cause(change: &PlanChange, kind: &str, description: &str) {
    let is =
        change.causes.iter().any(|cause| &*cause.kind == kind && cause.description.starts_with(description));
    assert!(is, "no {kind} {description}: {:#?}", change.causes);
}

async fn causes(major: Major) {
    let cluster = cluster(major, options()).await;
    cluster.execute("postgres", ITEMS).await;
    let mut followed = Followed::start(&cluster).await;

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
    execute(&mut cluster.connect_as("web", "postgres").await, 12).await;
    let forced = "ALTER ROLE web SET plan_cache_mode = force_custom_plan";
    cluster.execute("postgres", forced).await;
    execute(&mut cluster.connect_as("web", "postgres").await, 2).await;
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
