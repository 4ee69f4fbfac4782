//! `dbintel.explain_value`: plans for the values that the statistics have, of which none leaves the server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, which clippy sees only in functions marked as such"
)]

mod support;

use dbintel_model::{PlanSensitivity, Record};
use dbintel_receiver_postgresql::query::plans::{create_script, outline};
use dbintel_testkit::postgres::{Cluster, Major, Options};
use sqlx::Row as _;
use sqlx::postgres::PgConnection;
use support::Watched;
use support::client::send;
use support::settings::{cluster, yaml};

const MAJORS: [Major; 3] = [Major::V13, Major::V16, Major::V18];

/// Columns of many types, each with one value in 99 of 100 rows, and with an index.
const WORLD: &str = "
CREATE SCHEMA shop;
CREATE TYPE shop.mood AS ENUM ('canary-good', 'canary-bad', 'canary-never');
CREATE TABLE shop.job (id int PRIMARY KEY, state text, kind int, \"Due On\" date, mood shop.mood, short varchar(20), done bool);
INSERT INTO shop.job SELECT n, CASE n % 100 WHEN 0 THEN 'canary-rare-' || n ELSE 'canary\\\\''-$1-common' END,
    CASE n % 100 WHEN 0 THEN n ELSE 1357924680 END, CASE n % 100 WHEN 0 THEN date '2020-01-01' + n % 500 ELSE '2042-04-02' END,
    CASE n % 100 WHEN 0 THEN 'canary-bad' ELSE 'canary-good' END::shop.mood,
    CASE n % 100 WHEN 0 THEN 'canary-' || n ELSE 'canary-short' END, true
    FROM generate_series(1, 20000) n;
CREATE INDEX ON shop.job (state); CREATE INDEX ON shop.job (kind); CREATE INDEX ON shop.job (\"Due On\");
CREATE INDEX ON shop.job (mood); CREATE INDEX ON shop.job (short); CREATE INDEX ON shop.job (done);
ANALYZE shop.job;
GRANT USAGE ON SCHEMA shop TO dbintel; ALTER ROLE postgres SET search_path = shop, public";
/// Parts of the values in it.
const CANARIES: [&str; 4] = ["canary", "1357924680", "1357924681", "2042-04"];

async fn world(major: Major) -> Cluster {
    let options = Options::new()
        .setting("log_line_prefix", "by %u: ")
        .setting("autovacuum", "off")
        .setting("debug_print_plan", "on")
        .setting("pg_stat_statements.track", "all");
    let cluster = cluster(major, options).await;
    cluster.execute("postgres", WORLD).await;
    cluster.execute("postgres", &create_script("dbintel")).await;
    cluster
}

/// Everything the server sent: every column as text.
#[derive(Debug)]
struct Answer {
    code: String,
    parameter: Option<i32>,
    column: Option<String>,
    frequency: Option<f64>,
    plan: String,
}

async fn ask(client: &mut PgConnection, statement: &str, parameters: i32, kind: &str) -> Answer {
    let row = sqlx::query("SELECT * FROM dbintel.explain_value($1, $2, 'shop, public', $3)")
        .bind(statement)
        .bind(parameters)
        .bind(kind)
        .fetch_one(client)
        .await
        .unwrap();
    let answer = Answer {
        code: row.get(0),
        parameter: row.get(1),
        column: row.get(3),
        frequency: row.get(4),
        plan: row.get(5),
    };
    let told = format!("{answer:?}");
    assert!(!CANARIES.iter().any(|canary| told.replace("canary_", "").contains(canary)), "{told}");
    answer
}

/// The frequent value and the absent one have other plans; of either only the outline comes out.
async fn values(major: Major) {
    let cluster = world(major).await;
    let logged_before = cluster.log().len();
    let mut thief = cluster.connect_as("dbintel", "postgres").await;
    send(&mut thief, "SET client_min_messages = log").await;
    for (statement, parameters, parameter, column) in [
        ("SELECT id FROM job WHERE state = $1", 1, 1, "state"),
        ("SELECT sum(id) FROM job WHERE kind = $1", 1, 1, "kind"),
        ("SELECT id FROM job j WHERE j.\"Due On\" = $1", 1, 1, "Due On"),
        ("SELECT id FROM job WHERE mood = $1", 1, 1, "mood"),
        ("SELECT id FROM job WHERE short = $1", 1, 1, "short"),
        ("SELECT id FROM job WHERE done = $1", 1, 1, "done"),
        ("SELECT id FROM job WHERE id <> $1 AND kind = $2 AND state <> $3", 3, 2, "kind"),
        ("SELECT id FROM job WHERE kind = $1 AND id NOT IN ($2 /*, ... */)", 2, 1, "kind"),
        ("UPDATE job SET short = $1 WHERE kind = $2", 2, 2, "kind"),
        ("SELECT a.id FROM job a JOIN job b ON b.id = a.kind WHERE b.kind = $1", 1, 1, "kind"),
    ] {
        let frequent = ask(&mut thief, statement, parameters, "frequent").await;
        let absent = ask(&mut thief, statement, parameters, "absent").await;
        for answer in [&frequent, &absent] {
            assert_eq!(answer.code, "DBI00", "{major}: {statement}: {answer:?}");
            assert_eq!(
                (answer.parameter, answer.column.as_deref()),
                (Some(parameter), Some(column)),
                "{major}"
            );
            assert!(answer.plan.contains("Total Cost") && !answer.plan.contains("Cond"), "{}", answer.plan);
            assert!(!answer.plan.contains("Filter\""), "{}", answer.plan);
        }
        assert!(frequent.frequency.unwrap() > 0.97 && absent.frequency == Some(0.0), "{frequent:?}");
        let shape = |answer: &Answer| outline(answer.plan.as_bytes()).shape;
        assert_ne!(
            shape(&frequent),
            shape(&absent),
            "{major}: {statement}: {} {}",
            frequent.plan,
            absent.plan
        );
    }
    for (statement, code) in [
        ("SELECT id FROM job WHERE id = $1", "DBI06"),
        ("SELECT id FROM job WHERE kind > $1", "DBI06"),
        ("SELECT id FROM job WHERE state = $1 AND short = 'x $1'", "DBI03"),
        ("SELECT id FROM job WHERE state = $1 -- $1", "DBI03"),
        ("SELECT id FROM job WHERE state = $1 /* $1 */", "DBI03"),
        ("SELECT id AS \"$1\" FROM job WHERE state = $1", "DBI03"),
        ("SELECT id AS a$1 FROM job WHERE state = $1", "DBI03"),
        ("SELECT $$a$$ FROM job WHERE state = $1", "DBI03"),
        ("DROP TABLE job", "DBI02"),
        ("SELECT id FROM nowhere WHERE state = $1", "42P01"),
    ] {
        for kind in ["frequent", "absent"] {
            let answer = ask(&mut thief, statement, 1, kind).await;
            assert_eq!((answer.code.as_str(), answer.plan.as_str()), (code, ""), "{major}: {statement}");
        }
    }
    // A plan that is printed has its constants as bytes.
    let log = cluster.log().split_off(logged_before);
    assert!(log.contains("plan:") && !log.contains("canary"), "{log}");
    let bytes = b"canary".map(|byte| byte.to_string()).join(" ");
    assert!(!log.contains(&bytes), "{log}");
    let kept = "SELECT count(*) FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid \
        WHERE r.rolname IN ('dbintel', 'dbintel_explain')";
    assert_eq!(cluster.scalar::<i64>("postgres", kept).await, 0, "{major}");
    // Where pg_stat_statements would keep what is planned inside, nothing is planned.
    cluster.execute("postgres", "ALTER ROLE dbintel RESET pg_stat_statements.track").await;
    let mut tracked = cluster.connect_as("dbintel", "postgres").await;
    assert_eq!(ask(&mut tracked, "SELECT id FROM job WHERE kind = $1", 1, "frequent").await.code, "DBI05");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frequent_and_absent_values_are_planned_and_not_told() {
    for major in MAJORS {
        values(major).await;
    }
}

fn found(watched: &Watched) -> Vec<PlanSensitivity> {
    let records = watched.batches().iter().flat_map(|batch| &batch.records);
    let of_record = |record: &Record| match record {
        Record::PlanSensitivity(found) => Some((**found).clone()),
        _ => None,
    };
    records.filter_map(of_record).collect()
}

/// The receiver tells of a statement's plans once in the interval, and again when a processor asks; where it is switched off
/// it does not. No value of the statistics is in anything it has.
async fn told(major: Major) {
    let cluster = world(major).await;
    let plans = |more: &str| format!("{{enabled: true, collection_interval: 1s, interval: 1s{more}}}");
    let run = async || {
        let mut client = cluster.connect("postgres").await;
        let statement = "SELECT id FROM job WHERE kind = $1";
        sqlx::query(statement).bind(3_i32).execute(&mut client).await.unwrap();
    };
    let mut watched = Watched::start(&yaml(cluster.port(), &[("plan_collection", &plans(""))]));
    watched.baseline().await;
    run().await;
    watched.plan("WHERE kind").await;
    watched.readings(3).await;
    assert_eq!(found(&watched), []);
    watched.stop().await;

    let on = plans(", parameter_sensitivity: {enabled: true, interval: 24h}");
    let mut watched = Watched::start(&yaml(cluster.port(), &[("plan_collection", &on)]));
    watched.baseline().await;
    run().await;
    let told = |batches: &[std::sync::Arc<dbintel_model::Batch>]| {
        batches.iter().flat_map(|batch| &batch.records).find_map(|record| match record {
            Record::PlanSensitivity(found) => Some((**found).clone()),
            _ => None,
        })
    };
    let first = watched.until("the sensitivity", told).await;
    assert_eq!((first.parameter, &*first.relation, &*first.column), (1, "shop.job", "kind"), "{first:?}");
    assert!(first.frequency > 0.97 && first.shapes() == 2, "{first:?}");
    assert_eq!(first.generic.shape, first.absent.shape, "{first:?}");
    assert!(first.frequent.rows > first.absent.rows && first.frequent.cost > first.absent.cost, "{first:?}");
    let obtained = watched.plans.lock().len();
    let plans = std::sync::Arc::clone(&watched.plans);
    watched.until("further plans", |_| (plans.lock().len() >= obtained + 3).then_some(())).await;
    assert_eq!(found(&watched).len(), 1, "{major}: once in the interval");
    watched.request_plan(first.key.clone()).await;
    while found(&watched).len() < 2 {
        watched.next().await;
    }
    let everything = format!("{:?} {:?}", watched.batches(), watched.registry.prometheus_text());
    assert!(!CANARIES.iter().any(|canary| everything.contains(canary)), "{everything}");
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_receiver_tells_shapes_frequencies_and_costs() {
    for major in MAJORS {
        told(major).await;
    }
}
